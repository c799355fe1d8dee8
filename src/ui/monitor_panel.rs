//! The monitor: what happens now, as curves that grow, and what happened, as stages, phases and dispatches.

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::capability::backend_name;
use super::charts::{Chart, ChartView};
use super::figures_table::figures_table;
use super::monitor::{GpuReport, GraphTotal, MonitorReport, RunRecord, TimedTasks};
use super::session::Session;
use super::session::performance::Tracing;
use super::{format, monitor, pipelines_panel, save};
use crate::protocol::{BackendChoice, PipelineEntry, Task, TimedBy};

/// How often the curves are drawn anew, in ms.
const EVERY_MS: u32 = 500;

/// The switch, the curves, the tables.
#[component]
pub fn MonitorPanel() -> impl IntoView {
    let session = expect_context::<Session>();
    let report = RwSignal::new(session.monitor_report());
    let is_on = move || report.with(|report| report.as_ref().is_some_and(|report| report.is_on));
    let is_here = StoredValue::new(());
    spawn_local(async move {
        // Until the panel is gone.
        while is_here.try_get_value().is_some() {
            let now = session.monitor_report();
            // What was stopped changes no more.
            if now.as_ref().is_some_and(|now| now.is_on)
                || report.try_with_untracked(|before| *before != now) == Some(true)
            {
                let _ = report.try_set(now);
            }
            TimeoutFuture::new(EVERY_MS).await;
        }
    });
    let on_gpu = Memo::new(move |_| report.with(|report| report.as_ref().map(|report| report.gpu.clone())));
    let made = Memo::new(move |_| report.with(|report| report.as_ref().map_or(Vec::new(), |it| it.pipelines.clone())));
    let flip = move |_| {
        if untrack(is_on) {
            session.stop_monitor()
        } else {
            session.start_monitor()
        }
        report.set(session.monitor_report());
    };
    let save = move |_| {
        let json = report.with_untracked(|report| serde_json::to_string_pretty(report).unwrap_or_default());
        if let Err(failure) = save::download("rill-monitor.json", "application/json", json.as_bytes()) {
            session.state.alert(None, failure, super::state::Remedy::Nothing);
        }
    };
    let chart = move |of: fn(&MonitorReport) -> Chart| {
        let chart = Memo::new(move |_| report.with(|report| report.as_ref().map(of)));
        // Of its own, so that a chart stays the same one while it grows.
        let has_some = Memo::new(move |_| chart.with(|chart| chart.as_ref().is_some_and(|chart| !chart.is_empty())));
        move || {
            has_some
                .get()
                .then(|| view! { <ChartView chart=Signal::derive(move || chart.get().unwrap_or_default()) /> })
        }
    };
    view! {
        <section class="panel" aria-labelledby="monitor-title">
            <h1 id="monitor-title">"Monitor"</h1>
            <p class="panel__lead">
                "Start it, use the page, and come back: it tells what was loaded and run, how fast, with how much memory, and whether the page was held up."
            </p>
            <div class="panel__go">
                <button type="button" class="button button--primary" on:click=flip>
                    {move || if is_on() { "Stop watching" } else { "Start watching" }}
                </button>
                <Show when=move || report.with(Option::is_some)>
                    <button type="button" class="button" on:click=save>"Save as JSON"</button>
                </Show>
            </div>
            <div class="monitor__figures">{move || report.with(|report| report.as_ref().map(figures))}</div>
            {chart(MonitorReport::tokens_chart)}
            {chart(MonitorReport::latency_chart)}
            {chart(MonitorReport::memory_chart)}
            {chart(MonitorReport::runs_chart)}
            {chart(MonitorReport::loads_chart)}
            {move || report.with(|report| report.as_ref().filter(|report| !report.runs.is_empty()).map(|report| runs(&report.runs)))}
            <section class="monitor__dispatches" aria-labelledby="gpu-times-title">
                <h2 id="gpu-times-title">"On the GPU"</h2>
                {move || on_gpu.with(|gpu| match gpu {
                    Some(gpu) => graphs(gpu).into_any(),
                    None => view! { <p class="panel__note">"What each graph of a model takes, while the monitor is on."</p> }.into_any(),
                })}
                {chart(|report| report.gpu.timeline())}
                {move || made.with(|made| (!made.is_empty()).then(|| pipelines(made)))}
            </section>
            <Dispatches />
        </section>
    }
}

/// The sums.
fn figures(report: &MonitorReport) -> impl IntoView + use<> {
    let longest = report.long_tasks.iter().map(|task| task.ms).fold(0.0, f64::max);
    let held_up = match (report.long_tasks.len(), report.timed_tasks) {
        (0, _) => "never".to_string(),
        (n, TimedTasks::Browser) => format!("{n} times, {} at most", format::duration_ms(longest)),
        (n, TimedTasks::Timer) => {
            format!("{n} times, {} at most, by a timer of the page", format::duration_ms(longest))
        }
    };
    let latency = report.latency_ms.last().map_or("no recording".into(), |(_, ms)| format::duration_ms(*ms));
    // A sum of nothing would be minus zero.
    let compiled = report.loads.iter().filter_map(|load| load.compile_ms).fold(0.0, |sum, ms| sum + ms);
    let rows = [
        ("Watched for", format::duration_ms(report.seconds * 1e3)),
        ("Loads, runs", format!("{}, {}", report.loads.len(), report.runs.len())),
        ("Waited for shaders", format::duration_ms(compiled)),
        ("Most memory, models", format::bytes(report.peak_backend_bytes)),
        ("Most memory, engine", format::bytes(report.peak_engine_bytes)),
        ("Sound to final text", latency),
        ("Page held up over 50 ms", held_up),
        ("What watching costs", format::percent(report.cost_share as f32)),
    ];
    view! {
        <dl class="timings__strip">
            {rows
                .map(|(name, value)| view! { <div class="timings__one"><dt>{name}</dt><dd>{value}</dd></div> })
                .collect_view()}
        </dl>
    }
}

fn runs(runs: &[RunRecord]) -> impl IntoView + use<> {
    let heads = &["Run", "Began", "Time", "First token", "Tokens/s", "Speed", "GPU busy"];
    let some = |value: Option<f64>, words: fn(f64) -> String| value.map_or("–".into(), words);
    let row = |run: &RunRecord| {
        let name = match run.failed {
            Some(_) => format!("{} (failed)", run.kind),
            None => run.kind.clone(),
        };
        let cells = [
            format!("at {:.1} s", run.after_s),
            format::duration_ms(run.total_ms),
            some(run.first_token_ms, format::duration_ms),
            some(run.tokens_per_s, format::figure),
            some(run.real_time, |factor| format::speed(1.0 / factor)),
            some(run.gpu_busy, |share| format::percent(share as f32)),
        ];
        view! { <tr><th scope="row">{name}</th>{cells.map(|cell| view! { <td>{cell}</td> }).collect_view()}</tr> }
    };
    let rows = runs.iter().rev().map(row).collect_view();
    figures_table("Runs while the monitor was on", heads, rows)
}

/// What the graphs took on the GPU, and what is to be known of that.
fn graphs(gpu: &GpuReport) -> impl IntoView + use<> {
    let notes = gpu.sentences().into_iter().map(|words| view! { <p class="panel__note">{words}</p> }).collect_view();
    let heads = &["Graph", "Runs", "Total", "Median", "Clock"];
    let row = |total: &GraphTotal| {
        let clock = match total.timed_by {
            TimedBy::Timestamps => "the GPU’s own",
            TimedBy::WallClock => "submit to completion",
        };
        let cells = [
            format::count(total.n_runs),
            format::duration_us(1e3 * total.total_ms),
            format::duration_us(1e3 * total.median_ms),
            clock.into(),
        ];
        view! {
            <tr>
                <th scope="row">{total.graph.clone()}</th>
                {cells.map(|cell| view! { <td>{cell}</td> }).collect_view()}
            </tr>
        }
    };
    let table = (!gpu.totals.is_empty()).then(|| {
        let rows = gpu.totals.iter().map(row).collect_view();
        figures_table("Graphs on the GPU while the monitor was on", heads, rows)
    });
    view! {
        {notes}
        {table}
    }
}

/// The shader pipelines that were made, each with its times.
fn pipelines(made: &[PipelineEntry]) -> impl IntoView + use<> {
    let summary = match made.len() {
        1 => "One shader pipeline was made meanwhile".to_string(),
        n => format!("{n} shader pipelines were made meanwhile"),
    };
    view! {
        <details class="stages">
            <summary>{summary}</summary>
            {pipelines_panel::table(made, "Pipelines made while the monitor was on".into())}
        </details>
    }
}

/// The dispatches of a loaded model, captured once, on a timeline that zooms.
#[component]
fn Dispatches() -> impl IntoView {
    let session = expect_context::<Session>();
    let state = session.state;
    let tracing = RwSignal::new(Tracing::Unknown);
    let on_gpu = Memo::new(move |_| {
        let title = |task: Task| {
            state.slot(task).with(|slot| {
                slot.info()
                    .filter(|info| info.backend == BackendChoice::WebGpu)
                    .map(|info| (task, info.model.title.clone()))
            })
        };
        Task::ALL.into_iter().filter_map(title).collect::<Vec<_>>()
    });
    let is_busy = move || tracing.with(|tracing| matches!(tracing, Tracing::Measuring(_)));
    let chart = Signal::derive(move || match tracing.get() {
        Tracing::Known(trace) => monitor::dispatches_chart(&trace),
        _ => Chart::default(),
    });
    view! {
        <section class="monitor__dispatches" aria-labelledby="dispatches-title">
            <h2 id="dispatches-title">"Dispatches of a model"</h2>
            <p class="panel__note">
                {move || match on_gpu.with(Vec::is_empty) {
                    true => format!("Load a model on {} to see each of its dispatches on a timeline.", backend_name(BackendChoice::WebGpu)),
                    false => "Each dispatch is timed by itself, many times over; the model rests meanwhile.".to_string(),
                }}
            </p>
            <div class="panel__go">
                <For each=move || on_gpu.get() key=|(_, title)| title.clone() let((task, title))>
                    <button
                        type="button"
                        class="button button--small"
                        aria-disabled=move || is_busy().to_string()
                        on:click=move |_| {
                            if !untrack(is_busy) {
                                session.trace(task, tracing);
                            }
                        }
                    >
                        {format!("Capture {title}")}
                    </button>
                </For>
                <span role="status" class="panel__note">
                    {move || match tracing.get() {
                        Tracing::Measuring(share) => format!("Measuring: {:.0} %", 100.0 * share),
                        _ => String::new(),
                    }}
                </span>
            </div>
            <Show when=move || matches!(tracing.get(), Tracing::Known(_))>
                <ChartView chart />
            </Show>
        </section>
    }
}
