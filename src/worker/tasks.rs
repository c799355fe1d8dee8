//! Runs of text and picture models: one command, one model, one answer. Speech, which streams, is `live`'s and `super`'s.

use super::Worker;
use crate::engine::embed::Embeddings;
use crate::engine::generate::TextEvent;
use crate::engine::model::Model;
use crate::engine::session::Watch;
use crate::engine::{CancelFlag, Result, edge};
use crate::protocol::{Event, GenerateOptions, JobId, PipelineId};

impl Worker {
    /// Runs `work` on a model that is this job's alone; on the next backend again where one fails.
    async fn on_model<T>(
        &self,
        job: JobId,
        pipeline: PipelineId,
        cancel: &CancelFlag,
        mut work: impl AsyncFnMut(&mut Model) -> Result<T>,
    ) -> Result<T> {
        let loaded = self.model(pipeline)?;
        let mut place = self.lock(job, &loaded, 0.0).await;
        loop {
            match work(self.present(job, &loaded, &mut place, cancel).await?).await {
                Ok(result) => return Ok(result),
                Err(error) => self.move_on(job, &loaded, &mut place, error, cancel).await?,
            }
        }
    }

    /// Tells how many of `total` inputs are done, whenever that changes.
    fn batch_progress(&self, job: JobId, total: usize) -> impl FnMut(f32) + use<'_> {
        let mut told = 0;
        move |share| {
            let done = (share * total as f32).round() as u32;
            if done != told {
                told = done;
                (self.emit)(Event::BatchProgress { job, done, total: total as u32 });
            }
        }
    }

    pub(super) async fn embed(
        &self,
        job: JobId,
        pipeline: PipelineId,
        texts: &[String],
        batch_size: Option<u32>,
        cancel: &CancelFlag,
    ) -> Result<Event> {
        let start = edge::Instant::now();
        let Embeddings { vectors, n_cut } = self
            .on_model(job, pipeline, cancel, async |model| {
                let mut on_progress = self.batch_progress(job, texts.len());
                let mut watch = Watch { cancel, on_progress: &mut on_progress };
                match model {
                    Model::Embedding(model) => model.embed(texts, batch_size, &mut watch).await,
                    other => Err(other.refuses("turns texts into vectors")),
                }
            })
            .await?;
        Ok(Event::Embedded { job, embeddings: vectors, n_cut, total_ms: edge::ms_since(start) })
    }

    pub(super) async fn fill_mask(
        &self,
        job: JobId,
        pipeline: PipelineId,
        texts: &[String],
        top_k: u32,
        cancel: &CancelFlag,
    ) -> Result<Event> {
        let start = edge::Instant::now();
        let results = self
            .on_model(job, pipeline, cancel, async |model| {
                let mut on_progress = self.batch_progress(job, texts.len());
                let mut watch = Watch { cancel, on_progress: &mut on_progress };
                match model {
                    Model::Embedding(model) => model.fill_mask(texts, top_k as usize, &mut watch).await,
                    other => Err(other.refuses("fills gaps in texts")),
                }
            })
            .await?;
        Ok(Event::Filled { job, results, total_ms: edge::ms_since(start) })
    }

    pub(super) async fn generate(
        &self,
        job: JobId,
        pipeline: PipelineId,
        texts: &[String],
        options: &GenerateOptions,
        cancel: &CancelFlag,
    ) -> Result<Event> {
        let (outputs, timings) = self
            .on_model(job, pipeline, cancel, async |model| {
                let mut on_progress = self.batch_progress(job, texts.len());
                let mut watch = Watch { cancel, on_progress: &mut on_progress };
                let mut on_text = |TextEvent { index, text, new_tokens }| {
                    (self.emit)(Event::Generating { job, index: index as u32, text, new_tokens });
                };
                match model {
                    Model::Text(model) => model.generate(texts, options, &mut watch, &mut on_text).await,
                    other => Err(other.refuses("writes text from text")),
                }
            })
            .await?;
        Ok(Event::Generated { job, outputs, timings })
    }
}
