//! Runs of text and picture models: one command, one model, one answer. Speech, which streams, is `live`'s and `super`'s.

use super::parts::Part;
use super::pictures::decode;
use super::{File, Worker};
use crate::engine::embed::{Embeddings, HiddenStates};
use crate::engine::generate::TextEvent;
use crate::engine::model::Model;
use crate::engine::session::Watch;
use crate::engine::vision::PictureCount;
use crate::engine::{CancelFlag, Error, Result, edge};
use crate::protocol::{Event, GenerateOptions, JobId, PipelineId};

impl Worker {
    /// Runs `work` on a model that is this job's alone, as soon as the part that it needs is there; on the next backend again where
    /// one fails.
    pub(super) async fn on_model<T>(
        &self,
        job: JobId,
        pipeline: PipelineId,
        part: Part,
        cancel: &CancelFlag,
        mut work: impl AsyncFnMut(&mut Model) -> Result<T>,
    ) -> Result<T> {
        let loaded = self.model(pipeline)?;
        if part == Part::All {
            self.until_complete(job, &loaded, cancel).await?;
        }
        let mut place = self.lock(job, &loaded, 0.0).await;
        loop {
            if !loaded.is_complete() {
                let result = match place.as_mut() {
                    Some(model) => Some(work(model).await),
                    None => None,
                };
                match result {
                    // A backend that fails now fails the load too, and it is the load that finds the next one.
                    Some(Err(error)) if error.is_of_backend() && self.fallbacks.get() => {}
                    Some(result) => return result,
                    None => {}
                }
                drop(place);
                self.until_complete(job, &loaded, cancel).await?;
                place = self.lock(job, &loaded, 0.0).await;
            }
            match work(self.present(job, &loaded, &mut place, cancel).await?).await {
                Ok(result) => return Ok(result),
                Err(error) => self.move_on(job, &loaded, &mut place, error, cancel).await?,
            }
        }
    }

    /// Runs `work` over `total` inputs as [`Worker::on_model`] does; what it reports is told as progress of the batch.
    pub(super) async fn on_batch<T>(
        &self,
        job: JobId,
        pipeline: PipelineId,
        part: Part,
        total: usize,
        cancel: &CancelFlag,
        mut work: impl AsyncFnMut(&mut Model, &mut Watch<'_>) -> Result<T>,
    ) -> Result<T> {
        self.on_model(job, pipeline, part, cancel, async |model| {
            let mut on_progress = self.batch_progress(job, total);
            work(model, &mut Watch { cancel, on_progress: &mut on_progress }).await
        })
        .await
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
            .on_batch(job, pipeline, Part::First, texts.len(), cancel, async |model, watch| match model {
                Model::Embedding(model) => model.embed(texts, batch_size, watch).await,
                Model::ImageText(model) => model.embed_texts(texts, batch_size, watch).await,
                other => Err(other.refuses("turns texts into vectors")),
            })
            .await?;
        Ok(Event::Embedded { job, embeddings: vectors, n_cut, total_ms: edge::ms_since(start) })
    }

    pub(super) async fn hidden_states(
        &self,
        job: JobId,
        pipeline: PipelineId,
        texts: &[String],
        batch_size: Option<u32>,
        cancel: &CancelFlag,
    ) -> Result<Event> {
        let start = edge::Instant::now();
        let HiddenStates { states, n_cut } = self
            .on_batch(job, pipeline, Part::All, texts.len(), cancel, async |model, watch| match model {
                Model::Embedding(model) => model.hidden_states(texts, batch_size, watch).await,
                other => Err(other.refuses("turns texts into vectors by an encoder")),
            })
            .await?;
        Ok(Event::HiddenStates { job, states, n_cut, total_ms: edge::ms_since(start) })
    }

    pub(super) async fn fill_mask(
        &self,
        job: JobId,
        pipeline: PipelineId,
        texts: &[String],
        top_k: u32,
        batch_size: Option<u32>,
        cancel: &CancelFlag,
    ) -> Result<Event> {
        let start = edge::Instant::now();
        let results = self
            .on_batch(job, pipeline, Part::All, texts.len(), cancel, async |model, watch| match model {
                Model::Embedding(model) => model.fill_mask(texts, top_k as usize, batch_size, watch).await,
                other => Err(other.refuses("fills gaps in texts")),
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
            .on_batch(job, pipeline, Part::All, texts.len(), cancel, async |model, watch| {
                let mut on_text = |TextEvent { index, text, new_tokens }| {
                    (self.emit)(Event::Generating { job, index: index as u32, text, new_tokens });
                };
                match model {
                    Model::Text(model) => model.generate(texts, options, watch, &mut on_text).await,
                    other => Err(other.refuses("writes text from text")),
                }
            })
            .await?;
        Ok(Event::Generated { job, outputs, timings })
    }

    pub(super) async fn classify(
        &self,
        job: JobId,
        pipeline: PipelineId,
        pictures: &[File],
        top_k: u32,
        batch_size: Option<u32>,
        cancel: &CancelFlag,
    ) -> Result<Event> {
        let start = edge::Instant::now();
        let count = count(pictures, batch_size)?;
        let results = self
            .on_batch(job, pipeline, Part::All, pictures.len(), cancel, async |model, watch| {
                let picture = async |idx: usize| decode(&pictures[idx]).await;
                match model {
                    Model::Vision(model) => model.classify(count, picture, top_k as usize, watch).await,
                    other => Err(other.refuses("names what is on pictures")),
                }
            })
            .await?;
        Ok(Event::Classified { job, results, total_ms: edge::ms_since(start) })
    }

    pub(super) async fn embed_pictures(
        &self,
        job: JobId,
        pipeline: PipelineId,
        pictures: &[File],
        batch_size: Option<u32>,
        cancel: &CancelFlag,
    ) -> Result<Event> {
        let start = edge::Instant::now();
        let count = count(pictures, batch_size)?;
        let embeddings = self
            .on_batch(job, pipeline, Part::All, pictures.len(), cancel, async |model, watch| {
                let picture = async |idx: usize| decode(&pictures[idx]).await;
                match model {
                    Model::Vision(model) => model.embed(count, picture, watch).await,
                    Model::ImageText(model) => model.embed_pictures(count, picture, watch).await,
                    other => Err(other.refuses("turns pictures into vectors")),
                }
            })
            .await?;
        Ok(Event::Embedded { job, embeddings, n_cut: 0, total_ms: edge::ms_since(start) })
    }

    pub(super) async fn match_pictures(
        &self,
        job: JobId,
        pipeline: PipelineId,
        pictures: &[File],
        texts: &[String],
        batch_size: Option<u32>,
        cancel: &CancelFlag,
    ) -> Result<Event> {
        let start = edge::Instant::now();
        let count = count(pictures, batch_size)?;
        let matches = self
            .on_batch(job, pipeline, Part::All, pictures.len(), cancel, async |model, watch| {
                let picture = async |idx: usize| decode(&pictures[idx]).await;
                match model {
                    Model::ImageText(model) => model.scores(count, picture, texts, watch).await,
                    other => Err(other.refuses("compares pictures with texts")),
                }
            })
            .await?;
        Ok(Event::Matched { job, matches, total_ms: edge::ms_since(start) })
    }
}

/// How many pictures there are; none is an error.
fn count(pictures: &[File], batch_size: Option<u32>) -> Result<PictureCount> {
    if pictures.is_empty() {
        return Err(Error::Input("no picture came with the request".into()));
    }
    Ok(PictureCount { total: pictures.len(), at_once: batch_size.map(|n| n as usize) })
}
