//! Pictures to labels and to vectors: preparation, batches, and the vision transformer.
//!
//! Pictures are asked for one batch at a time, so that a folder of photographs is never decoded as a whole.

use super::graph::Recorder;
use super::image::{self, Pixels, Preprocessor};
use super::model::{Component, parse};
use super::models::vit::{Batch, Config, Vit};
use super::session::{Session, Watch};
use super::weights::ModelFiles;
use super::{Error, Result};
use crate::protocol::LabelScore;
use serde_json::Value;

/// The small files of a vision transformer.
pub struct Files {
    config: Config,
    preprocessor: Preprocessor,
    /// `id2label` of `config.json`.
    labels: Value,
}

/// Recorded, without a device.
pub struct Recorded {
    vit: Vit,
    preprocessor: Preprocessor,
    labels: Vec<String>,
}

impl Files {
    /// Reads what lies beside `config.json`.
    pub async fn read(files: &ModelFiles, config: &[u8]) -> Result<Self> {
        let preprocessor = Preprocessor::from_json(&files.read_required("preprocessor_config.json").await?)?;
        let labels = parse("config.json", config)?["id2label"].take();
        Ok(Self { config: Config::from_json(config)?, preprocessor, labels })
    }

    /// Records its graphs.
    pub fn record(self, recorder: &Recorder) -> Result<(Recorded, Vec<Component>)> {
        let Files { config, preprocessor, labels } = self;
        let vit = Vit::record(recorder, config, preprocessor.side()?)?;
        let name = |id: usize| labels[id.to_string()].as_str().map_or_else(|| format!("label {id}"), str::to_string);
        let labels = (0..vit.n_labels).map(name).collect();
        Ok((Recorded { vit, preprocessor, labels }, Component::whole(recorder)))
    }
}

impl Recorded {
    /// The model on a device.
    pub fn on(self, session: Session) -> VisionModel {
        VisionModel { session, vit: self.vit, preprocessor: self.preprocessor, labels: self.labels }
    }
}

/// A vision transformer that is loaded and ready.
pub struct VisionModel {
    /// Its graphs on a device.
    pub session: Session,
    vit: Vit,
    preprocessor: Preprocessor,
    labels: Vec<String>,
}

/// How many pictures there are, and how many are computed at once at most.
#[derive(Debug, Clone, Copy)]
pub struct PictureCount {
    /// How many.
    pub total: usize,
    /// At once; `None` for what suits the device.
    pub at_once: Option<usize>,
}

impl VisionModel {
    /// Whether it knows labels; without, it has features alone.
    pub fn has_labels(&self) -> bool {
        !self.labels.is_empty()
    }

    /// The first run.
    pub(super) async fn warm_up(&mut self, watch: &mut Watch<'_>) -> Result<()> {
        let grey = Pixels::new(2, 2, (0..12).map(|v| 16 * v).collect())?;
        let one = PictureCount { total: 1, at_once: Some(1) };
        self.embed(one, async |_| Ok(grey.clone()), watch).await.map(|_| ())
    }

    /// The `top_k` most probable labels of each picture, the most probable first. `picture` gives picture number 0, 1, ... when its turn
    /// comes.
    ///
    /// # Errors
    /// [`Error::Input`] where the model has no classifier, and what `picture` returns.
    pub async fn classify(
        &mut self,
        count: PictureCount,
        picture: impl AsyncFnMut(usize) -> Result<Pixels>,
        top_k: usize,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Vec<LabelScore>>> {
        if !self.has_labels() {
            let what = "this model has no classifier: it turns pictures into vectors; choose one for labels";
            return Err(Error::Input(what.into()));
        }
        let rows = self.run_all(count, picture, |batch| batch.logits, watch).await?;
        Ok(rows.iter().map(|logits| self.best(logits, top_k)).collect())
    }

    /// A vector for each picture: the class token behind the last normalisation, as `last_hidden_state[:, 0]` of the reference; not scaled
    /// to length one.
    ///
    /// # Errors
    /// What `picture` returns.
    pub async fn embed(
        &mut self,
        count: PictureCount,
        picture: impl AsyncFnMut(usize) -> Result<Pixels>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Vec<f32>>> {
        self.run_all(count, picture, |batch| Some(batch.features), watch).await
    }

    /// One row of `result` for each picture.
    async fn run_all(
        &mut self,
        count: PictureCount,
        picture: impl AsyncFnMut(usize) -> Result<Pixels>,
        result: impl Fn(&Batch) -> Option<super::graph::SlotId>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Vec<f32>>> {
        let mut pictures =
            Prepared { preprocessor: &self.preprocessor, patch: self.vit.config.patch_size, next: picture };
        let mut rows = Vec::with_capacity(count.total);
        while rows.len() < count.total {
            watch.progress(rows.len() as f32 / count.total as f32)?;
            let wanted = (count.total - rows.len()).min(count.at_once.unwrap_or(usize::MAX).max(1));
            let sizes = self.vit.batches.iter().map(|batch| batch.n_pictures);
            let batch = batch_for(wanted, sizes).and_then(|idx| self.vit.batches.get(idx));
            let batch = batch.ok_or_else(|| Error::Internal("a model of pictures has no graph".into()))?;
            let slot = result(batch).ok_or_else(|| Error::Internal("a graph has no logits".into()))?;
            let n = wanted.min(batch.n_pictures);
            let patches = pictures.take(rows.len()..rows.len() + n, watch).await?;
            self.session.write(batch.patches, 0, bytemuck::cast_slice(&patches))?;
            let pending = self.session.submit(&[(batch.graph, 1)], &[slot], watch).await?;
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(&pending.wait().await?.remove(0));
            check_numbers(&values)?;
            rows.extend(values.chunks_exact(values.len() / batch.n_pictures).take(n).map(<[f32]>::to_vec));
        }
        watch.progress(1.0)?;
        Ok(rows)
    }

    fn best(&self, logits: &[f32], top_k: usize) -> Vec<LabelScore> {
        let scores = softmax(logits.iter().map(|&logit| f64::from(logit * self.vit.logit_scale)));
        let mut labels: Vec<LabelScore> =
            self.labels.iter().zip(scores).map(|(label, score)| LabelScore { label: label.clone(), score }).collect();
        labels.sort_by(|a, b| b.score.total_cmp(&a.score));
        labels.truncate(top_k);
        labels
    }
}

/// Pictures on their way into a graph.
pub(super) struct Prepared<'a, F> {
    pub preprocessor: &'a Preprocessor,
    /// Pixels along each side of a patch.
    pub patch: usize,
    /// Gives a picture.
    pub next: F,
}

impl<F: AsyncFnMut(usize) -> Result<Pixels>> Prepared<'_, F> {
    /// The patches of some pictures, one picture after the other.
    pub async fn take(&mut self, pictures: std::ops::Range<usize>, watch: &Watch<'_>) -> Result<Vec<f32>> {
        let side = self.preprocessor.side()?;
        let mut rows = Vec::with_capacity(pictures.len() * 3 * side * side);
        for idx in pictures {
            watch.cancel.check()?;
            let prepared = self.preprocessor.apply(&(self.next)(idx).await?)?;
            image::patches(&prepared, side, self.patch, &mut rows);
        }
        Ok(rows)
    }
}

/// Which of the graphs' sizes is for the next `wanted` inputs: the largest that is more than half full.
pub(super) fn batch_for(wanted: usize, sizes: impl Iterator<Item = usize>) -> Option<usize> {
    let useful = sizes.enumerate().filter(|&(_, size)| size == 1 || 2 * wanted > size);
    useful.max_by_key(|&(_, size)| size).map(|(idx, _)| idx)
}

/// Results that are no numbers come from a device that does not compute.
pub(super) fn check_numbers(values: &[f32]) -> Result<()> {
    match values.iter().find(|v| !v.is_finite()) {
        None => Ok(()),
        Some(bad) => Err(Error::Numerics { what: "pictures".into(), reason: format!("one value is {bad}") }),
    }
}

/// Probabilities.
pub(super) fn softmax(logits: impl Iterator<Item = f64>) -> Vec<f32> {
    let mut scores: Vec<f64> = logits.collect();
    super::ops::math::softmax(&mut scores);
    scores.into_iter().map(|score| score as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_batch_is_for_more_than_half_of_it() {
        let chosen = |wanted| batch_for(wanted, [1, 8].into_iter());
        assert_eq!([1, 4, 5, 8, 200].map(chosen), [Some(0), Some(0), Some(1), Some(1), Some(1)]);
    }
}
