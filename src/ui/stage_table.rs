//! Where a loaded model's time goes: its stages and, inside each, its dispatches by op, beside what the GPU can do. Measured on demand.

use leptos::prelude::*;

use super::session::Session;
use super::session::performance::Tracing;
use super::{findings, format};
use crate::protocol::{Bound, OpTotal, PipelineTrace, Rate, Roofline, StageTrace, Task, TimedBy};

/// The disclosure with its button, and the table once it was measured.
#[component]
pub fn StageTable(
    /// Whose model.
    task: Task,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let tracing = RwSignal::new(Tracing::Unknown);
    let is_measuring = move || tracing.with(|tracing| matches!(tracing, Tracing::Measuring(_)));
    let measure = move |_| {
        if !is_measuring() {
            session.trace(task, tracing);
        }
    };
    let words = move || {
        match tracing.get() {
        Tracing::Unknown => {
            "Times every step of the model by itself, beside what the GPU can do. Takes some seconds; the model rests meanwhile.".into()
        }
        Tracing::Measuring(done) => format!("Measuring… {}", format::percent(done)),
        Tracing::Known(trace) => about(&trace),
    }
    };
    view! {
        <details class="stages">
            <summary>"Where the time goes"</summary>
            <p class="stages__words" role="status">{words}</p>
            <button type="button" class="button button--small" aria-disabled=move || is_measuring().to_string() on:click=measure>
                {move || if tracing.with(|tracing| matches!(tracing, Tracing::Known(_))) { "Measure again" } else { "Measure the stages" }}
            </button>
            {move || match tracing.get() {
                Tracing::Known(trace) => Some(view! { <Table trace /> }),
                Tracing::Unknown | Tracing::Measuring(_) => None,
            }}
        </details>
    }
}

/// What the figures are, in three sentences.
fn about(trace: &PipelineTrace) -> String {
    let Roofline { adapter, copy_gb_per_s, f32_tflops, .. } = &trace.roofline;
    let clock = match trace.stages.first().map(|stage| stage.timed_by) {
        Some(TimedBy::Timestamps) => "by the GPU's own clock",
        _ => "from submit to completion",
    };
    format!(
        "Timed on {adapter} {clock}. Its peaks: {} GB/s, {} TFLOP/s in f32. A share above 100 % was read from a cache.",
        format::figure(*copy_gb_per_s),
        format::figure(*f32_tflops),
    )
}

#[component]
fn Table(trace: PipelineTrace) -> impl IntoView {
    let found = findings::of(&trace);
    let PipelineTrace { roofline, stages, .. } = trace;
    view! {
        <div class="stages__box" role="region" aria-label="Stages, to be scrolled" tabindex="0">
            <table class="stages__table">
                <caption class="visually-hidden">"Stages of the model"</caption>
                <thead>
                    <tr>
                        {["Stage", "Time", "Dispatches", "GB", "GFLOP", "GB/s", "TFLOP/s", "Share of peak"]
                            .map(|name| view! { <th scope="col">{name}</th> })
                            .collect_view()}
                    </tr>
                </thead>
                {stages.into_iter().map(|stage| view! { <Stage stage roofline=roofline.clone() /> }).collect_view()}
            </table>
        </div>
        <ul class="stages__found" aria-label="What stands out">
            {found.into_iter().map(|words| view! { <li>{words}</li> }).collect_view()}
        </ul>
    }
}

/// A stage, and its dispatches by op where it is opened.
#[component]
fn Stage(stage: StageTrace, roofline: Roofline) -> impl IntoView {
    let is_open = RwSignal::new(false);
    let name = stage.name.clone();
    let parts = format!(
        "The sum of its parts, each by itself: {}. Of the whole, {} would be spent on empty dispatches.",
        format::duration_us(stage.parts_us),
        format::percent(stage.dispatch_share as f32),
    );
    let whole = cells(stage.whole_us, stage.n_dispatches, stage.bytes, stage.flops, stage.rate);
    let ops = stage
        .by_op()
        .into_iter()
        .map(|total| {
            let name = findings::name(&total);
            let (rate, OpTotal { n_dispatches, us, bytes, flops, .. }) = (total.rate(&roofline), total);
            view! {
                <tr class="stages__op" hidden=move || !is_open.get()>
                    <th scope="row">{name}</th>
                    {cells(us, n_dispatches, bytes, flops, rate)}
                </tr>
            }
        })
        .collect_view();
    view! {
        <tbody>
            <tr>
                <th scope="row">
                    <button
                        type="button"
                        class="stages__fold"
                        aria-expanded=move || is_open.get().to_string()
                        on:click=move |_| is_open.update(|open| *open = !*open)
                    >
                        {name}
                    </button>
                </th>
                {whole}
            </tr>
            {ops}
            <tr class="stages__note" hidden=move || !is_open.get()><td colspan="8">{parts}</td></tr>
        </tbody>
    }
}

fn cells(us: f64, n_dispatches: u32, bytes: u64, flops: u64, rate: Rate) -> impl IntoView + use<> {
    let bound = match rate.bound {
        Bound::Memory => "memory",
        Bound::Arithmetic => "arithmetic",
    };
    let texts = [
        format::duration_us(us),
        format::count(n_dispatches),
        format::figure(bytes as f64 / 1e9),
        format::figure(flops as f64 / 1e9),
        format::figure(rate.gb_per_s),
        format::figure(rate.tflops),
        format!("{:.1} % of {bound}", 100.0 * rate.share),
    ];
    texts.map(|text| view! { <td>{text}</td> }).collect_view()
}
