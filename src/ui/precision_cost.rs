//! What the precision of a loaded model costs beside f32: agreement on built-in samples, bytes, speed. Measured on demand, since f32 has
//! to be loaded for it.

use leptos::prelude::*;

use super::capability::precision_name;
use super::format;
use super::session::Session;
use super::session::cost::Cost;
use crate::protocol::{PipelineInfo, Precision, QualityMeasure, QualityReport};

/// The button and what it found; nothing for a model in f32.
#[component]
pub fn PrecisionCost(
    /// The loaded model.
    info: PipelineInfo,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let cost = RwSignal::new(Cost::Unknown);
    let (task, precision) = (info.model.task, precision_name(info.precision));
    let measuring = move || cost.with(|cost| *cost == Cost::Measuring);
    let measure = move |_| {
        if !measuring() {
            session.measure_cost(task, cost);
        }
    };
    (info.precision != Precision::F32).then(|| {
        view! {
            <div class="precision-cost">
                <button type="button" class="button" aria-disabled=move || measuring().to_string() on:click=measure>
                    {format!("What does {precision} cost?")}
                </button>
                <p class="loader__words" role="status">
                    {move || match cost.get() {
                        Cost::Unknown => String::new(),
                        Cost::Measuring => "Loading the model in f32 beside it, to compare…".into(),
                        Cost::Known(report) => words(&report),
                    }}
                </p>
            </div>
        }
    })
}

/// The findings in three sentences.
fn words(report: &QualityReport) -> String {
    let n = report.sample_count;
    let agreement = match report.measure {
        QualityMeasure::WordErrorRate => format!("{:.1} % of {n} words differ from f32's", report.value),
        QualityMeasure::Cosine => format!("Vectors of {n} samples agree with f32's to a cosine of {:.4}", report.value),
        QualityMeasure::TopOne => format!("{:.0} % of {n} pictures get f32's label", 100.0 * report.value),
        QualityMeasure::TokenAgreement => format!("{:.0} % of {n} tokens are f32's", 100.0 * report.value),
    };
    format!(
        "{agreement}. It takes {} instead of {}. The samples took {} instead of {}.",
        format::bytes(report.bytes),
        format::bytes(report.bytes_reference),
        format::duration_ms(report.ms_reduced),
        format::duration_ms(report.ms_reference),
    )
}
