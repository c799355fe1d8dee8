//! The numbers inside a loaded model, held against the definitions of its ops when the visitor asks for it.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Session;
use crate::protocol::{Event, FailureKind, GraphNodes, Inspection, Task};
use crate::ui::platform::Canceller;
use crate::ui::state::Remedy;

/// Nodes that are being checked.
#[derive(Clone)]
pub struct Checking {
    /// The share that is done.
    pub done: f32,
    /// Stops it.
    pub canceller: Canceller,
}

impl Session {
    /// Ask which nodes the loaded model has.
    pub fn nodes(self, task: Task, graphs: RwSignal<Vec<GraphNodes>>) {
        let Some(pipeline) = self.inner().pipeline(task).borrow().clone() else { return };
        spawn_local(async move {
            let told = match pipeline.nodes() {
                Ok(pending) => pending.result().await,
                Err(failure) => Err(failure),
            };
            match told {
                // The panel may be gone meanwhile.
                Ok(told) => drop(graphs.try_set(told)),
                Err(failure) => self.state.alert(task, failure, Remedy::Nothing),
            }
        });
    }

    /// Hold nodes of a graph against their definitions; `checking` hears how far it is.
    pub fn inspect(
        self,
        task: Task,
        (graph, nodes): (String, Vec<u32>),
        checking: RwSignal<Option<Checking>, LocalStorage>,
        found: RwSignal<Option<Inspection>>,
    ) {
        let Some(pipeline) = self.inner().pipeline(task).borrow().clone() else { return };
        let on_event = move |event: &Event| {
            if let Event::BatchProgress { done, total, .. } = event {
                let _ = checking.try_update(|checking| {
                    if let Some(checking) = checking {
                        checking.done = *done as f32 / (*total).max(1) as f32;
                    }
                });
            }
        };
        let pending = match pipeline.inspect(graph, Some(nodes), on_event) {
            Ok(pending) => pending,
            Err(failure) => return self.state.alert(task, failure, Remedy::Nothing),
        };
        checking.set(Some(Checking { done: 0.0, canceller: pending.canceller.clone() }));
        spawn_local(async move {
            let checked = pending.result().await;
            // The model may have been replaced meanwhile, and the panel with it.
            let _ = checking.try_set(None);
            match checked {
                Ok(inspection) => drop(found.try_set(Some(inspection))),
                Err(failure) if failure.kind == FailureKind::Cancelled => {}
                Err(failure) => self.state.alert(task, failure, Remedy::Nothing),
            }
        });
    }
}
