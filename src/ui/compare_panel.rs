//! Runs of the benchmark side by side: those of this browser, those that others have sent, and an example.

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::benchmark::compare::{self, Figure};
use super::benchmark::compare_kernels;
use super::benchmark::record::BenchmarkRun;
use super::benchmark::share;
use super::benchmark_panel::{save_runs, table};
use super::charts::{Chart, ChartView};
use super::files_in::picked;
use super::kernel_table::kernel_table;
use super::route::{self, View};
use super::save;
use super::session::Session;
use super::state::Remedy;

/// The list, the charts, the words.
#[component]
pub fn ComparePanel() -> impl IntoView {
    let session = expect_context::<Session>();
    let benchmarks = session.state.benchmarks;
    session.recall_benchmarks();
    let take_link = move || {
        if route::from_address() == View::Compare
            && let Some(letters) = route::parameter("r")
        {
            session.open_benchmark_link(&letters);
        }
    };
    take_link();
    let listening = window_event_listener(ev::hashchange, move |_| take_link());
    on_cleanup(move || listening.remove());

    let figure = RwSignal::new(Figure::default());
    let compared = Memo::new(move |_| benchmarks.compared());
    let of_compared =
        move |chart: fn(&[&BenchmarkRun]) -> Chart| compared.with(|runs| chart(&runs.iter().collect::<Vec<_>>()));
    let bars =
        Signal::derive(move || compared.with(|runs| compare::bars(&runs.iter().collect::<Vec<_>>(), figure.get())));
    let history = Memo::new(move |_| of_compared(compare::history));
    let arithmetic = Memo::new(move |_| of_compared(compare_kernels::arithmetic));
    let memory = Memo::new(move |_| of_compared(compare_kernels::memory));
    let sentences = move || compared.with(|runs| compare::sentences(&runs.iter().collect::<Vec<_>>()));
    let has_some = move || compared.with(|runs| !runs.is_empty());
    let pick = move |event: ev::Event| {
        let files = picked(&event_target::<web_sys::HtmlInputElement>(&event));
        session.open_benchmarks(files.into_iter().map(|file| file.file).collect());
    };
    view! {
        <section class="panel compare" aria-labelledby="compare-title">
            <h1 id="compare-title">"Compare"</h1>
            <p class="panel__lead">"Browsers, machines and backends side by side. Drop files that others have saved anywhere on this page."</p>
            <RunList />
            <div class="compare__add">
                <label class="button button--small">
                    "Add files…"
                    <input class="visually-hidden" type="file" multiple accept="application/json,.json" on:change=pick />
                </label>
                <button type="button" class="button button--small" on:click=move |_| session.open_benchmark_example()>"Show an example"</button>
            </div>
            <Show when=has_some fallback=|| view! { <p class="panel__note">"Nothing is chosen to be compared yet."</p> }>
                <ul class="benchmark__sentences" aria-label="What was found">
                    {move || sentences().into_iter().map(|words| view! { <li>{words}</li> }).collect_view()}
                </ul>
                <label class="settings__field compare__figure">
                    <span>"Figure"</span>
                    <select on:change=move |event| {
                        let chosen = event_target_value(&event);
                        figure.set(Figure::ALL.into_iter().find(|each| each.title() == chosen).unwrap_or_default());
                    }>
                        {Figure::ALL.map(|each| view! { <option value=each.title() selected=move || figure.get() == each>{each.title()}</option> }).collect_view()}
                    </select>
                </label>
                <ChartView chart=bars />
                {[history, arithmetic, memory]
                    .map(|chart| {
                        view! {
                            <Show when=move || chart.with(|chart| !chart.is_empty())>
                                <ChartView chart />
                            </Show>
                        }
                    })}
                <details class="compare__tables">
                    <summary>"All figures"</summary>
                    {move || compared.get().iter().map(|run| view! { <h2>{run.browser_name()}</h2> {table(run)} {kernel_table(run)} }).collect_view()}
                </details>
                <Take compared />
            </Show>
        </section>
    }
}

/// The runs that are here, to be ticked and thrown away.
#[component]
fn RunList() -> impl IntoView {
    let session = expect_context::<Session>();
    let benchmarks = session.state.benchmarks;
    let row = move |run: BenchmarkRun| {
        let id = StoredValue::new(run.id.clone());
        let is_chosen = move || benchmarks.chosen.with(|chosen| id.with_value(|id| chosen.contains(id)));
        let flip = move |event| match event_target_checked(&event) {
            true => benchmarks.choose([id.get_value()]),
            false => benchmarks.chosen.update(|chosen| chosen.retain(|one| *one != id.get_value())),
        };
        let machine = if run.machine.is_empty() { String::new() } else { format!("{} · ", run.machine) };
        let about = format!("{machine}{} · {} · {}", run.system, run.adapter(), run.minute());
        let name = run.browser_name();
        let remove = format!("Remove {name} of {}", run.minute());
        view! {
            <li class="compare__run">
                <label class="settings__check">
                    <input type="checkbox" prop:checked=is_chosen on:change=flip />
                    <span>{name} <small class="settings__hint">{about}</small></span>
                </label>
                <button type="button" class="button button--small" aria-label=remove on:click=move |_| session.forget_benchmark(id.get_value())>
                    "Remove"
                </button>
            </li>
        }
    };
    view! {
        <ul class="compare__runs" aria-label="Runs of the benchmark">
            <For each=move || benchmarks.runs.get().into_iter().rev() key=|run| run.id.clone() children=row />
        </ul>
    }
}

/// Ways to take the comparison along.
#[component]
fn Take(compared: Memo<Vec<BenchmarkRun>>) -> impl IntoView {
    let session = expect_context::<Session>();
    let status = RwSignal::new(String::new());
    let copy = move |_| {
        let address =
            share::pack(&compared.get_untracked()).ok().zip(window().location().href().ok()).map(|(letters, here)| {
                let page = here.split('#').next().unwrap_or_default().to_string();
                format!("{page}{}?r={letters}", View::Compare.href())
            });
        spawn_local(async move {
            let Some(address) = address else { return };
            let copied = save::copy(&address).await;
            let _ = status.try_set(match copied {
                Ok(()) => format!("A link of {} letters is on the clipboard; the result is in it.", address.len()),
                Err(_) => String::new(),
            });
            if copied.is_err() {
                let failure = save::not_saved("The browser did not let the page copy the link.");
                session.state.alert(None, failure, Remedy::Nothing);
            }
        });
    };
    let print = move |_| {
        // A browser without a printer says so itself.
        let _ = window().print();
    };
    view! {
        <p class="benchmark__take">
            <button type="button" class="button button--small" on:click=copy>"Copy a link"</button>
            <button type="button" class="button button--small" on:click=move |_| save_runs(session, &compared.get_untracked())>"Save as JSON"</button>
            <button type="button" class="button button--small" on:click=print>"Print a report"</button>
        </p>
        <p class="panel__note" role="status">{move || status.get()}</p>
    }
}
