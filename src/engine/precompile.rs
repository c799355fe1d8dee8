//! Pipelines from one visit to the next: what a load has made is listed, and what is listed can be made before the next load.

use super::gpu::{Gpu, Manifest};
use super::ladder::Ladder;
use super::model::Model;
use super::session::{Device, Session};
use super::{CancelFlag, Error, Result};
use crate::protocol::{PipelineEntry, PipelineManifest, Precompile};

/// Under which name the list is kept.
const LIST: &str = "pipelines";

impl Ladder {
    /// Lists the pipelines of a model that was loaded, under its name and how it was loaded.
    pub async fn keep_pipelines(&self, device: &Device, name: &str, how: &str, model: &Model) {
        let Device::Gpu(gpu) = device else { return };
        let note = |manifest: &mut Manifest| {
            manifest.note_load(name, how);
            for session in model.sessions() {
                if let Session::Gpu(session) = session {
                    session.list_pipelines(name, manifest);
                }
            }
        };
        self.change_list(gpu, note).await;
    }

    /// Begins to make the pipelines that are listed for a model, if it is loaded again as it was last.
    pub async fn begin_pipelines(&self, device: &Device, name: &str, how: &str) {
        if let Device::Gpu(gpu) = device {
            gpu.begin_listed(&self.list(gpu).await, name, how);
        }
    }

    /// What was made on the GPU, and what is listed for it after `forget` is done.
    pub async fn pipelines(&self, forget: bool) -> Result<PipelineManifest> {
        let gpu = self.gpu().await?;
        if forget {
            self.change_list(&gpu, Manifest::clear).await;
        }
        Ok(gpu.pipelines(&self.list(&gpu).await))
    }

    /// Makes listed pipelines. `on_progress` hears how many are made, of how many.
    pub async fn precompile(
        &self,
        which: &Precompile,
        cancel: &CancelFlag,
        on_progress: &mut dyn FnMut(u32, u32),
    ) -> Result<PipelineManifest> {
        let gpu = self.gpu().await?;
        let made = gpu.precompile(&self.list(&gpu).await, which, cancel, on_progress).await;
        let is_refused = matches!(made, Err(Error::Gpu { .. }));
        // One that is refused would be refused each time: the list is begun anew.
        self.change_list(&gpu, |manifest| {
            if is_refused {
                manifest.clear()
            }
        })
        .await;
        made?;
        Ok(gpu.pipelines(&self.list(&gpu).await))
    }

    /// Pipelines that were made since the last asking, in that order.
    pub(super) async fn newly_made(&self, gpu: &Gpu) -> Vec<PipelineEntry> {
        let listed = self.list(gpu).await;
        let mut told = self.told.borrow_mut();
        let order = |entry: &PipelineEntry| entry.made.map(|made| made.order);
        let mut made = gpu.pipelines(&listed).pipelines;
        made.retain(|entry| order(entry).is_some_and(|order| told.insert(order)));
        made.sort_by_key(order);
        made
    }

    async fn list(&self, gpu: &Gpu) -> Manifest {
        Manifest::read(self.facts.get(LIST).await.as_deref(), gpu)
    }

    async fn change_list(&self, gpu: &Gpu, change: impl FnOnce(&mut Manifest)) {
        // Two loads that end at once must not overwrite each other's part.
        let _one_by_one = self.listing.lock().await;
        let mut manifest = self.list(gpu).await;
        change(&mut manifest);
        manifest.update(gpu);
        if let Some(written) = manifest.write() {
            self.facts.put(LIST, &written).await;
        }
    }
}
