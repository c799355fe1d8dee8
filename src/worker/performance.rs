//! What the GPU can do, measured once, what share of it the stages of a loaded model use, and how fast single kernels are.

use super::Worker;
use super::parts::Part;
use crate::engine::kernel_bench::{self, Bench};
use crate::engine::ladder::{Wish, name_of};
use crate::engine::session::{Device, Watch};
use crate::engine::{CancelFlag, Error, Result};
use crate::protocol::{
    BackendChoice, BenchKernel, Event, JobId, PipelineId, PipelineTrace, Precision, Precompile, Roofline,
};

impl Worker {
    /// What the GPU can do. Every model rests while it is measured.
    pub(super) async fn roofline(&self, job: JobId) -> Result<Roofline> {
        // Held while it is measured: two who ask at once get the same figures.
        let mut known = self.roofline.lock().await;
        let gpu = self.ladder.gpu().await?;
        if let Some(roofline) = known.as_ref().filter(|roofline| roofline.adapter == gpu.name) {
            return Ok(roofline.clone());
        }
        let roofline = self.while_models_rest(job, gpu.roofline()).await?;
        *known = Some(roofline.clone());
        Ok(roofline)
    }

    /// Does `work` while no loaded model computes.
    async fn while_models_rest<T>(&self, job: JobId, work: impl Future<Output = Result<T>>) -> Result<T> {
        let models: Vec<_> = self.models.borrow().values().cloned().collect();
        let mut resting = Vec::with_capacity(models.len());
        for loaded in &models {
            resting.push(self.lock(job, loaded, 0.0).await);
        }
        work.await
    }

    /// How fast a kernel is on a backend. Every model rests while it is measured.
    pub(super) async fn kernel(
        &self,
        job: JobId,
        backend: BackendChoice,
        kernel: BenchKernel,
        cancel: &CancelFlag,
    ) -> Result<Event> {
        let wish = Wish { backend, precision: Precision::F32, fallbacks: false, threads: None, model: None };
        let on = self.ladder.choose(&wish).await?;
        let roofline = match on.device {
            Device::Gpu(_) => Some(self.roofline(job).await?),
            _ => None,
        };
        let expected = kernel_bench::answer(kernel, &on.device, &Device::Plain).await?;
        let bench = Bench { kernel, expected: &expected, roofline: roofline.as_ref(), cancel };
        let figure = self.while_models_rest(job, kernel_bench::measure(&on, &bench)).await?;
        Ok(Event::Kernel { job, figure })
    }

    /// What the tuner found on the GPU.
    pub(super) async fn tuning(&self, job: JobId, forget: bool) -> Result<Event> {
        let gpu = self.ladder.gpu().await?;
        if forget {
            self.ladder.forget_tuning(&gpu).await;
        }
        Ok(Event::Tuning { job, tuning: gpu.tuning() })
    }

    /// Makes pipelines that are listed for models used here before.
    pub(super) async fn precompile(&self, job: JobId, which: &Precompile, cancel: &CancelFlag) -> Result<Event> {
        let mut on_progress = |done, total| (self.emit)(Event::BatchProgress { job, done, total });
        let manifest = self.ladder.precompile(which, cancel, &mut on_progress).await?;
        Ok(Event::Pipelines { job, manifest })
    }

    /// Where the time of a loaded model goes.
    pub(super) async fn trace(&self, job: JobId, pipeline: PipelineId, cancel: &CancelFlag) -> Result<Event> {
        let loaded = self.model(pipeline)?;
        let backend = loaded.choice.borrow().backend;
        if backend != BackendChoice::WebGpu {
            let what = "the stages of a model are timed dispatch by dispatch on WebGPU";
            return Err(Error::Input(format!("{what}; this one runs on {}", name_of(backend))));
        }
        let roofline = self.roofline(job).await?;
        let stages = self
            .on_model(job, pipeline, Part::All, cancel, async |model| {
                let mut on_progress =
                    |share: f32| (self.emit)(Event::BatchProgress { job, done: (100.0 * share) as u32, total: 100 });
                model.trace(&roofline, &mut Watch { cancel, on_progress: &mut on_progress }).await
            })
            .await?;
        let model = loaded.info.borrow().model.id.clone();
        Ok(Event::Traced { job, trace: PipelineTrace { pipeline, model, roofline, stages } })
    }
}
