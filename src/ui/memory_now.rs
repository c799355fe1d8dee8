//! What a loaded model holds in memory, by purpose, as it is while somebody looks.

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::format;
use super::session::Session;
use crate::protocol::{MemoryReport, PipelineId};

/// How often it is asked for.
const EVERY_MS: u32 = 1000;

/// The rows; asked for anew as long as `is_shown`.
#[component]
pub fn MemoryNow(
    /// Whose.
    pipeline: PipelineId,
    /// Whether somebody looks.
    is_shown: RwSignal<bool>,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let report = RwSignal::new(None::<MemoryReport>);
    // Counts how often it was opened: what asked for an earlier time ends.
    let turn = RwSignal::new(0u32);
    Effect::new(move |_| {
        turn.update_untracked(|turn| *turn += 1);
        if is_shown.get() {
            let mine = turn.get_untracked();
            spawn_local(async move {
                // The panel may be gone meanwhile, and its signals with it.
                while turn.try_get_untracked() == Some(mine) {
                    if let Ok(now) = session.memory().await {
                        let _ = report.try_set(Some(now));
                    }
                    TimeoutFuture::new(EVERY_MS).await;
                }
            });
        }
    });
    let rows = move || report.with(|report| report.as_ref().map(|report| rows(report, pipeline)).unwrap_or_default());
    view! {
        <table class="memory">
            <caption>"In memory now"</caption>
            <tbody>
                {move || {
                    rows()
                        .into_iter()
                        .map(|(name, bytes)| view! { <tr><th scope="row">{name}</th><td>{format::bytes(bytes)}</td></tr> })
                        .collect_view()
                }}
            </tbody>
        </table>
    }
}

fn rows(report: &MemoryReport, pipeline: PipelineId) -> Vec<(&'static str, u64)> {
    let own = report.pipelines.iter().find(|each| each.pipeline == pipeline).map(|each| each.bytes).unwrap_or_default();
    let rows = [
        ("Weights", own.weights),
        ("States and caches", own.states),
        ("Intermediate results", own.intermediates),
        ("Parameters and scratch", own.plans),
        ("On the way back", own.staging),
        ("This model", own.total),
        ("All models", report.all.total),
        ("The engine itself", report.engine_bytes),
    ];
    rows.into_iter().filter(|(_, bytes)| *bytes > 0).collect()
}
