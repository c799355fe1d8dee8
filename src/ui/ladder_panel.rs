//! The ladder in plain words: what each backend does here and why, the figures that chose one, and the table of everything that
//! was tried in this very browser.

use leptos::prelude::*;

use super::capability::{backend_name, feature_words};
use super::fault_report::FaultReport;
use super::format;
use super::gpu_measured::GpuMeasured;
use super::loader::is_open_now;
use super::pipelines_panel::Pipelines;
use super::session::Session;
use super::tuned_kernels::TunedKernels;
use crate::protocol::{BackendChoice, BackendReport, FeatureReport, MeasuredChoice, Measurement, Task};

/// The panel, with the figures of one task's model.
#[component]
pub fn LadderPanel(
    /// Which.
    task: Task,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let state = session.state;
    let is_checking = move || state.backends.with(Option::is_none);
    let on_toggle = move |event: leptos::ev::Event| {
        if is_open_now(&event) {
            session.probe_rest();
        }
    };
    let is_there = |report: &BackendReport| report.backend == BackendChoice::WebGpu && report.available;
    let has_gpu = move || state.backends.with(|backends| backends.iter().flatten().any(is_there));
    let rungs = move || state.backends.get().unwrap_or_default();
    view! {
        <details class="ladder" on:toggle=on_toggle>
            <summary>"What this browser can do"</summary>
            <div class="ladder__body">
                <p class="ladder__words">
                    {move || match is_checking() {
                        true => "Trying…",
                        false => "Each way to compute was tried here. A model runs on the one that is fastest with it; if that fails, the next goes on.",
                    }}
                </p>
                <ol class="rungs" aria-label="Backends">
                    {move || rungs().into_iter().map(|report| view! { <Rung task report /> }).collect_view()}
                </ol>
                <Decision task />
                <Show when=has_gpu>
                    <GpuMeasured />
                    <TunedKernels />
                    <Pipelines />
                </Show>
                <Features />
                <FaultReport />
            </div>
        </details>
    }
}

/// One backend.
#[component]
fn Rung(task: Task, report: BackendReport) -> impl IntoView {
    let session = expect_context::<Session>();
    let slot = session.state.slot(task);
    let backend = report.backend;
    let name = backend_name(backend);
    let in_use = Memo::new(move |_| slot.with(|slot| slot.info().is_some_and(|info| info.backend == backend)));
    let figure = move || slot.with(|slot| slot.info().and_then(|info| figure(info.measured.as_ref()?, backend)));
    let status = move || match (in_use.get(), report.available) {
        (true, _) => "In use",
        (false, true) => "Works",
        (false, false) => "Not here",
    };
    let can_choose = move || report.available && !in_use.get() && !slot.with(|slot| slot.is_loading());
    view! {
        <li class="rung" class=("rung--absent", !report.available) class=("rung--used", in_use)>
            <p class="rung__head">
                <strong>{name}</strong>
                <span class="rung__status">{status}</span>
            </p>
            {(!report.adapter.is_empty())
                .then(|| {
                    let is_posing = report.software && backend != BackendChoice::Wasm;
                    let words = format!("{}{}", report.adapter, if is_posing { ", which computes on the processor" } else { "" });
                    view! { <p class="rung__words">{format::sentence(&words)}</p> }
                })}
            <p class="rung__words">{format::sentence(&report.reason)}</p>
            <p class="rung__figure" hidden=move || figure().is_none()>{figure}</p>
            <Show when=can_choose>
                <button type="button" class="button button--small" on:click=move |_| session.use_backend(task, backend)>
                    {format!("Use {name}")}
                </button>
            </Show>
        </li>
    }
}

/// What was measured on this backend, for people.
fn figure(measured: &MeasuredChoice, backend: BackendChoice) -> Option<String> {
    let found = measured.measurements.iter().find(|measurement| measurement.backend == backend)?;
    let note = if found.note.is_empty() { String::new() } else { format!(" ({})", found.note) };
    Some(match found.estimate_ms {
        Some(ms) => format!("{} would take about {}{note}", measured.work, format::duration_ms(ms)),
        None => format!("Could not run a piece of the model{note}"),
    })
}

/// Why the loaded model runs where it does, and the two ways to change that.
#[component]
fn Decision(task: Task) -> impl IntoView {
    let session = expect_context::<Session>();
    let state = session.state;
    let slot = state.slot(task);
    let reason = move || slot.with(|slot| slot.info().map(|info| info.reason.clone()));
    let measured = Memo::new(move |_| slot.with(|slot| slot.info().and_then(|info| info.measured.clone())));
    let is_chosen = move || state.settings.with(|settings| settings.backend != BackendChoice::Auto);
    view! {
        <div class="ladder__decision">
            <h2>"Why it runs there"</h2>
            <p class="ladder__words">
                {move || reason().map(|reason| format::sentence(&reason)).unwrap_or_else(|| "The model is not loaded yet; its backend is measured when it is.".into())}
            </p>
            {move || measured.get().map(|measured| view! { <Spent measured /> })}
            <Show when=move || measured.get().is_some() || is_chosen()>
                <button type="button" class="button button--small" on:click=move |_| session.measure_again(task)>
                    {move || if is_chosen() { "Let measurement choose" } else { "Measure again" }}
                </button>
            </Show>
        </div>
    }
}

/// When it was measured, and what that took.
#[component]
fn Spent(measured: MeasuredChoice) -> impl IntoView {
    let spent: f64 = measured.measurements.iter().map(|measurement: &Measurement| measurement.spent_ms).sum();
    let spent = format::duration_ms(spent);
    let words = match measured.remembered {
        true => format!("Measured at an earlier load in {spent} and remembered for this model, browser and device."),
        false => format!("Measured at this load in {spent}; the next load remembers it."),
    };
    view! { <p class="ladder__words">{words}</p> }
}

/// Everything that was tried, as a table.
#[component]
fn Features() -> impl IntoView {
    let state = expect_context::<Session>().state;
    let rows = move || {
        let backends = state.backends.get().unwrap_or_default();
        let mut rows: Vec<FeatureReport> = backends
            .into_iter()
            .flat_map(|report| {
                let itself = FeatureReport {
                    name: feature_of(report.backend).into(),
                    supported: report.available,
                    reason: report.reason,
                    probe_ms: report.probe_ms - report.features.iter().map(|feature| feature.probe_ms).sum::<f64>(),
                };
                std::iter::once(itself).chain(report.features)
            })
            .collect();
        rows.extend(state.features.get());
        rows
    };
    view! {
        <table class="tried">
            <caption>"Tried in this browser"</caption>
            <thead>
                <tr><th scope="col">"What"</th><th scope="col">"Here"</th><th scope="col">"Took"</th></tr>
            </thead>
            <tbody>
                {move || rows().into_iter().map(row).collect_view()}
            </tbody>
        </table>
        <p class="ladder__agent">{user_agent()}</p>
    }
}

fn row(report: FeatureReport) -> impl IntoView {
    let (title, what) = feature_words(&report.name);
    view! {
        <tr class="tried__row" class=("tried__row--no", !report.supported)>
            <th scope="row">
                <span class="tried__words">
                    <span class="tried__title">{title}</span>
                    <span class="tried__what">{what}</span>
                    <span class="tried__reason">{format::sentence(&report.reason)}</span>
                </span>
            </th>
            <td>{if report.supported { "Yes" } else { "No" }}</td>
            <td>{format::duration_ms(report.probe_ms.max(0.0))}</td>
        </tr>
    }
}

/// The feature that stands for a backend as a whole.
fn feature_of(backend: BackendChoice) -> &'static str {
    match backend {
        BackendChoice::WebGpu => "webgpu",
        BackendChoice::WebNn => "webnn",
        BackendChoice::Wasm | BackendChoice::Auto => "wasm",
    }
}

/// The browser as it names itself.
fn user_agent() -> String {
    // A browser that does not say leaves the line empty.
    window().navigator().user_agent().unwrap_or_default()
}
