//! The GPU's pipelines: listed, made before a model needs them, and what the shader compiler says of them.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Session;
use crate::protocol::{BackendChoice, Event, FailureKind, PipelineManifest, Precompile};
use crate::ui::platform::Canceller;
use crate::ui::state::Remedy;

/// Pipelines that are being made.
#[derive(Clone)]
pub struct Making {
    /// So many are made.
    pub done: u32,
    /// Of so many.
    pub total: u32,
    /// Stops it.
    pub canceller: Canceller,
}

impl Session {
    /// Ask for the pipelines, after `forget` is done.
    pub fn pipelines(self, forget: bool, found: RwSignal<Option<PipelineManifest>>) {
        let platform = self.inner().platform.clone();
        spawn_local(async move {
            match platform.pipelines(forget).await {
                // The panel may be gone meanwhile.
                Ok(manifest) => drop(found.try_set(Some(manifest))),
                Err(failure) => self.state.alert(None, failure, Remedy::Nothing),
            }
        });
    }

    /// Make listed pipelines; `making` hears how far it is.
    pub fn precompile(
        self,
        which: Precompile,
        making: RwSignal<Option<Making>, LocalStorage>,
        found: RwSignal<Option<PipelineManifest>>,
    ) {
        let pending = self.inner().platform.precompile(which, move |event| {
            if let Event::BatchProgress { done, total, .. } = event {
                let _ = making.try_update(|making| {
                    if let Some(making) = making {
                        (making.done, making.total) = (*done, *total);
                    }
                });
            }
        });
        making.set(Some(Making { done: 0, total: 0, canceller: pending.canceller.clone() }));
        spawn_local(async move {
            let made = pending.result().await;
            // The panel may be gone meanwhile.
            let _ = making.try_set(None);
            match made {
                Ok(manifest) => drop(found.try_set(Some(manifest))),
                Err(failure) if failure.kind == FailureKind::Cancelled => {}
                Err(failure) => self.state.alert(None, failure, Remedy::Nothing),
            }
        });
    }

    /// Whether everything that the shader compiler says is noted from now on.
    pub fn log_compilation(self, on: bool) {
        self.inner().platform.log_compilation(on);
    }

    /// Make what models used here before need first, where the visitor wants that and there is a GPU.
    pub(super) async fn precompile_at_start(self) {
        let has_gpu = self.state.backends.with_untracked(|backends| {
            backends.iter().flatten().any(|report| report.backend == BackendChoice::WebGpu && report.available)
        });
        if has_gpu && self.state.settings.with_untracked(|settings| settings.precompile) {
            let pending = self.inner().platform.precompile(Precompile::Essential, |_| {});
            // Nobody waits for it: a load that needs a pipeline makes it and says what is wrong.
            let _ = pending.result().await;
        }
    }
}
