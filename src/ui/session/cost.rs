//! What a loaded model costs: its memory, and what its precision costs, asked for by the visitor: the engine sets it beside the same model in f32.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Session;
use crate::audio::files;
use crate::protocol::{Failure, MemoryReport, QualityReport, Task};
use crate::ui::platform::Pipeline;
use crate::ui::state::Remedy;

/// What is known of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Cost {
    /// Nothing was asked.
    Unknown,
    /// It is being measured.
    Measuring,
    /// This.
    Known(QualityReport),
}

impl Session {
    /// What the engine holds in memory now.
    pub async fn memory(self) -> Result<MemoryReport, Failure> {
        let platform = self.inner().platform.clone();
        platform.memory().await
    }

    /// Measure it for the loaded model; `cost` hears of it.
    pub fn measure_cost(self, task: Task, cost: RwSignal<Cost>) {
        let Some(pipeline) = self.inner().pipeline(task).borrow().clone() else { return };
        cost.set(Cost::Measuring);
        spawn_local(async move {
            let measured = measure(pipeline, task).await;
            // The model may have been replaced meanwhile, and the panel with it.
            let _ = cost.try_set(measured.as_ref().map_or(Cost::Unknown, |report| Cost::Known(report.clone())));
            if let Err(failure) = measured {
                self.state.alert(task, failure, Remedy::Nothing);
            }
        });
    }
}

async fn measure(pipeline: Pipeline, task: Task) -> Result<QualityReport, Failure> {
    let speech = if task == Task::SpeechToText { files::sample().await? } else { Vec::new() };
    pipeline.quality(&speech, |_| {})?.result().await
}
