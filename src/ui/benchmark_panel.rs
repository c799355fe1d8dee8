//! The benchmark of this browser: what is measured, how far it is, and what was found.

use leptos::prelude::*;

use super::benchmark::compare::{self, Figure};
use super::benchmark::compare_kernels;
use super::benchmark::record::{BenchmarkRun, Entry, Figures, LoadFigures, Scope};
use super::benchmark::{runner, suite};
use super::capability::{backend_name, precision_name};
use super::charts::ChartView;
use super::figures_table::{figures_table, outcome_cells};
use super::kernel_table::kernel_table;
use super::route::View;
use super::session::Session;
use super::{format, save};
use crate::protocol::ModelInfo;

/// The form, the progress, the result.
#[component]
pub fn BenchmarkPanel() -> impl IntoView {
    let session = expect_context::<Session>();
    let state = session.state;
    let benchmarks = state.benchmarks;
    session.recall_benchmarks();
    let scope = RwSignal::new(Scope::Short);
    let machine = RwSignal::new(String::new());
    let left_out = RwSignal::new(Vec::<String>::new());
    let models = Memo::new(move |_| suggested(session));
    let chosen = move || match scope.get() {
        Scope::Short => models.get().into_iter().take(1).collect::<Vec<_>>(),
        Scope::Full => models.get().into_iter().filter(|model| left_out.with(|out| !out.contains(&model.id))).collect(),
    };
    let start = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let models = untrack(chosen);
        if !models.is_empty() {
            session.run_benchmark(scope.get_untracked(), models, machine.get_untracked().trim().to_string());
        }
    };
    let to_fetch = move || {
        let bytes = |model: &ModelInfo| if state.is_cached(&model.id) { 0 } else { model.size_bytes };
        match chosen().iter().map(bytes).sum() {
            0 => "Nothing has to be downloaded.".to_string(),
            bytes => format!("About {} will be downloaded, and kept.", format::bytes(bytes)),
        }
    };
    let choice = move |value: Scope, words: &'static str, hint: &'static str| {
        view! {
            <label class="settings__check">
                <input type="radio" name="scope" prop:checked=move || scope.get() == value on:change=move |_| scope.set(value) />
                <span>{words} <small class="settings__hint">{hint}</small></span>
            </label>
        }
    };
    let current = Memo::new(move |_| benchmarks.current.get());
    view! {
        <section class="panel" aria-labelledby="benchmark-title">
            <h1 id="benchmark-title">"Benchmark"</h1>
            <p class="panel__lead">
                "How fast models run in this browser, on each of its backends, cold and warm, and whether their answers are right. What is found stays in this browser."
            </p>
            <form class="panel__form" on:submit=start>
                <fieldset class="benchmark__scope" disabled=move || benchmarks.is_running()>
                    <legend>"How much"</legend>
                    {choice(Scope::Short, "Short", "The speech model in f32 and a few kernels on each backend, and the GPU itself: a minute or two.")}
                    {choice(Scope::Full, "Full", "The models below on each backend in each precision, run several times, and all kernels: ten minutes or more.")}
                </fieldset>
                <Show when=move || scope.get() == Scope::Full>
                    <fieldset class="benchmark__models" disabled=move || benchmarks.is_running()>
                        <legend>"Models"</legend>
                        <For each=move || models.get() key=|model| model.id.clone() let(model)>
                            <ModelTick model left_out />
                        </For>
                    </fieldset>
                </Show>
                <label class="settings__field benchmark__machine">
                    <span>"Name of this machine, if you like"</span>
                    <input
                        type="text"
                        maxlength="60"
                        placeholder="My laptop"
                        prop:value=move || machine.get()
                        on:input=move |event| machine.set(event_target_value(&event))
                    />
                    <small class="settings__hint">"It stands beside the result when you share it. Nothing is sent anywhere."</small>
                </label>
                <div class="panel__go">
                    <Show
                        when=move || benchmarks.is_running()
                        fallback=move || view! { <button type="submit" class="button button--primary">"Run the benchmark"</button> }
                    >
                        <button type="button" class="button" on:click=move |_| session.stop_benchmark()>"Stop"</button>
                    </Show>
                    <span class="panel__note">{to_fetch}</span>
                </div>
            </form>
            <div class="benchmark__progress" role="status">
                {move || {
                    benchmarks
                        .position
                        .get()
                        .map(|at| {
                            view! {
                                <progress max=at.total value=at.done aria-label="Progress of the benchmark"></progress>
                                <p class="panel__note">{format!("{} of {}. {}…", at.done, at.total, at.doing)}</p>
                            }
                        })
                }}
            </div>
            {move || current.get().filter(|run| run.entries.iter().any(|entry| entry.figures().is_some())).map(result)}
        </section>
    }
}

#[component]
fn ModelTick(model: ModelInfo, left_out: RwSignal<Vec<String>>) -> impl IntoView {
    let state = expect_context::<Session>().state;
    let id = StoredValue::new(model.id.clone());
    let is_in = move || left_out.with(|out| id.with_value(|id| !out.contains(id)));
    let flip = move |_| {
        left_out.update(|out| match out.iter().position(|one| id.with_value(|id| one == id)) {
            Some(idx) => drop(out.remove(idx)),
            None => out.push(id.get_value()),
        });
    };
    let size = move || match id.with_value(|id| state.is_cached(id)) {
        true => "kept here".to_string(),
        false => format::bytes(model.size_bytes),
    };
    view! {
        <label class="settings__check">
            <input type="checkbox" prop:checked=is_in on:change=flip />
            <span>{model.title.clone()} " " <small class="settings__hint">{size}</small></span>
        </label>
    }
}

/// The default model first, then the others of the suite, what ships with the page, what is kept here, and what is loaded.
fn suggested(session: Session) -> Vec<ModelInfo> {
    let state = session.state;
    let is_loaded = |id: &str| {
        let holds = |task| state.slot(task).with(|slot| slot.info().is_some_and(|info| info.model.id == id));
        crate::protocol::Task::ALL.into_iter().any(holds)
    };
    let is_wanted = |model: &ModelInfo| {
        let is_here = model.hub_id.is_empty() || state.is_cached(&model.id) || is_loaded(&model.id);
        is_here || suite::has(model, Scope::Short) || suite::has(model, Scope::Full)
    };
    let mut models =
        state.models.with(|models| models.iter().filter(|model| is_wanted(model)).cloned().collect::<Vec<_>>());
    models.sort_by_key(|model| !model.default);
    models
}

/// What a run found: bars, stages, a table, and ways to take it along.
fn result(run: BenchmarkRun) -> impl IntoView {
    let sentences = compare::sentences(&[&run]);
    let bars = compare::bars(&[&run], Figure::Run);
    let stages = compare::stages(&run);
    let table = table(&run);
    let kernels = kernels(&run);
    let kept = StoredValue::new(run);
    let session = expect_context::<Session>();
    view! {
        <section class="benchmark__result" aria-labelledby="benchmark-found">
            <h2 id="benchmark-found">"What was found"</h2>
            <ul class="benchmark__sentences">{sentences.into_iter().map(|words| view! { <li>{words}</li> }).collect_view()}</ul>
            <ChartView chart=Signal::stored(bars) />
            <ChartView chart=Signal::stored(stages) />
            {table}
            {kernels}
            <p class="benchmark__take">
                <a class="button button--small" href=View::Compare.href()>"Compare with others"</a>
                <button type="button" class="button button--small" on:click=move |_| save_runs(session, &[kept.get_value()])>
                    "Save as JSON"
                </button>
            </p>
        </section>
    }
}

/// The kernels by themselves; nothing where none was measured.
fn kernels(run: &BenchmarkRun) -> Option<impl IntoView + use<>> {
    let charts = [compare_kernels::arithmetic(&[run]), compare_kernels::memory(&[run])];
    let charts = charts.into_iter().filter(|chart| !chart.is_empty());
    let charts = charts.map(|chart| view! { <ChartView chart=Signal::stored(chart) /> }).collect_view();
    kernel_table(run).map(|table| {
        view! {
            <h3>"Kernels"</h3>
            <p class="panel__note">
                "What models are made of, each by itself on each backend, in the models' own shapes; on slow backends in the first part of the rows. Each was held against its definition before it was timed."
            </p>
            {charts}
            {table}
        }
    })
}

/// Save runs as a file: one as itself, several as a list.
pub fn save_runs(session: Session, runs: &[BenchmarkRun]) {
    let json = match runs {
        [one] => serde_json::to_string_pretty(one),
        several => serde_json::to_string_pretty(several),
    };
    let saved = json
        .map_err(|error| save::not_saved(&format!("The benchmark could not be written as JSON ({error}).")))
        .and_then(|json| save::download("rill-benchmark.json", "application/json", json.as_bytes()));
    if let Err(failure) = saved {
        session.state.alert(None, failure, super::state::Remedy::Nothing);
    }
}

/// Every entry of a run with its figures, or why there are none.
pub fn table(run: &BenchmarkRun) -> impl IntoView + use<> {
    let heads =
        &["What", "Time", "Middle half", "First token", "Tokens/s", "First load", "Load again", "Memory", "Answers"];
    let rows = run.entries.iter().map(row).collect_view();
    let gpu = match &run.roofline {
        Some(gpu) => format!(
            "The GPU itself ({}): copies {} GB/s, f32 {} TFLOP/s, a dispatch {}, an answer {}.",
            gpu.adapter,
            format::figure(gpu.copy_gb_per_s),
            format::figure(gpu.f32_tflops),
            format::duration_us(gpu.dispatch_us),
            format::duration_ms(gpu.readback_ms)
        ),
        None => format!("The GPU itself was not measured: {}", format::sentence(&run.roofline_note)),
    };
    let caption = format!("{}, {}, {}", run.browser_name(), run.system, run.minute());
    view! {
        {figures_table(caption, heads, rows)}
        <p class="panel__note">{gpu}</p>
    }
}

fn row(entry: &Entry) -> impl IntoView + use<> {
    let name = runner::words(&entry.case);
    let cells = outcome_cells(&entry.outcome, 8, |figures| cells(figures));
    view! { <tr title=format!("{} in {}", backend_name(entry.case.backend), precision_name(entry.case.precision))><th scope="row">{name}</th>{cells}</tr> }
}

/// The figures for people, and exactly.
fn cells(figures: &Figures) -> Vec<(String, String)> {
    let none = || ("–".to_string(), "not measured for this kind of model".to_string());
    let runs = figures.runs;
    let load = |load: &LoadFigures| {
        let exact = format!(
            "{:.1} ms, of which {:.1} for the files, {:.1} for pipelines, {:.1} to warm up; {} over the network",
            load.total_ms,
            load.download_ms,
            load.compile_ms,
            load.warm_up_ms,
            format::bytes(load.fetched_bytes)
        );
        (format::duration_ms(load.total_ms), exact)
    };
    vec![
        (
            format::duration_ms(runs.median),
            format!(
                "{:.2} ms, the median of {}; the first run took {:.2} ms",
                runs.median, runs.n, figures.first_run_ms
            ),
        ),
        match runs.n {
            1 => ("one run".into(), "too slow here to be repeated".into()),
            _ => (
                format!("{} to {}", format::duration_ms(runs.low), format::duration_ms(runs.high)),
                format!("{:.2} to {:.2} ms", runs.low, runs.high),
            ),
        },
        figures.first_token_ms.map_or_else(none, |ms| (format::duration_ms(ms.median), format!("{:.2} ms", ms.median))),
        figures.tokens_per_s.map_or_else(none, |rate| (format::figure(rate.median), format!("{:.2}", rate.median))),
        load(&figures.first_load),
        load(&figures.second_load),
        (
            format::bytes(figures.memory_bytes),
            format!("{} bytes; at most {} while loading", figures.memory_bytes, figures.peak_bytes),
        ),
        figures.accuracy.map_or_else(
            || ("–".into(), figures.answer.clone()),
            |accuracy| (accuracy.words(), figures.answer.clone()),
        ),
    ]
}
