//! What the GPU can do, and where a loaded model's time goes, measured when the visitor asks for it; and a report of all that is known.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Session;
use crate::protocol::{Event, PipelineTrace, Task, Tuning};
use crate::ui::debug_report::ReportKind;
use crate::ui::monitor::MonitorReport;
use crate::ui::save;
use crate::ui::state::Remedy;

/// What is known of where a model's time goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Tracing {
    /// Nothing was asked.
    Unknown,
    /// It is being measured; the share that is done.
    Measuring(f32),
    /// This.
    Known(PipelineTrace),
}

impl Session {
    /// Watch what is loaded and run from now on.
    pub fn start_monitor(self) {
        self.inner().platform.start_monitor();
    }

    /// Watch no more.
    pub fn stop_monitor(self) {
        spawn_local(self.inner().platform.stop_monitor());
    }

    /// What was found since the last start.
    pub fn monitor_report(self) -> Option<MonitorReport> {
        self.inner().platform.monitor_report()
    }

    /// Measure what the GPU can do.
    pub fn measure_roofline(self, is_measuring: RwSignal<bool>) {
        let platform = self.inner().platform.clone();
        is_measuring.set(true);
        spawn_local(async move {
            match platform.roofline().await {
                Ok(roofline) => self.state.roofline.set(Some(roofline)),
                Err(failure) => self.state.alert(None, failure, Remedy::Nothing),
            }
            // The panel may be gone meanwhile.
            let _ = is_measuring.try_set(false);
        });
    }

    /// Ask what the tuner found on this GPU, after `forget` is done.
    pub fn tuning(self, forget: bool, found: RwSignal<Option<Tuning>>) {
        let platform = self.inner().platform.clone();
        spawn_local(async move {
            match platform.tuning(forget).await {
                // The panel may be gone meanwhile.
                Ok(tuning) => drop(found.try_set(Some(tuning))),
                Err(failure) => self.state.alert(None, failure, Remedy::Nothing),
            }
        });
    }

    /// Save a report for finding a fault; `status` says how far it is.
    pub fn save_report(self, kind: ReportKind, with_words: bool, is_busy: RwSignal<bool>, status: RwSignal<String>) {
        let platform = self.inner().platform.clone();
        is_busy.set(true);
        status.set("Trying every backend…".into());
        spawn_local(async move {
            let report = platform.debug_report(with_words).await;
            let name = format!("rill-report.{}", kind.extension());
            let saved = save::download(&name, kind.mime(), report.write(kind).as_bytes());
            // The panel may be gone meanwhile.
            let _ = is_busy.try_set(false);
            let _ = status.try_set(if saved.is_ok() { format!("Saved as {name}") } else { String::new() });
            if let Err(failure) = saved {
                self.state.alert(None, failure, Remedy::Nothing);
            }
        });
    }

    /// Time the stages of the loaded model; `tracing` hears of it.
    pub fn trace(self, task: Task, tracing: RwSignal<Tracing>) {
        let Some(pipeline) = self.inner().pipeline(task).borrow().clone() else { return };
        tracing.set(Tracing::Measuring(0.0));
        let on_event = move |event: &Event| {
            if let Event::BatchProgress { done, total, .. } = event {
                let _ = tracing.try_set(Tracing::Measuring(*done as f32 / (*total).max(1) as f32));
            }
        };
        spawn_local(async move {
            let traced = match pipeline.trace(on_event) {
                Ok(pending) => pending.result().await,
                Err(failure) => Err(failure),
            };
            // The model may have been replaced meanwhile, and the panel with it.
            let _ = tracing.try_set(traced.as_ref().map_or(Tracing::Unknown, |trace| Tracing::Known(trace.clone())));
            match traced {
                Ok(trace) => self.state.roofline.set(Some(trace.roofline)),
                Err(failure) => self.state.alert(task, failure, Remedy::Nothing),
            }
        });
    }
}
