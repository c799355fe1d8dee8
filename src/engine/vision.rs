//! Pictures to labels and to vectors by a vision transformer. How they get into it is `picture_runs`'s.

use super::graph::{Recorder, SlotId};
use super::image::{Pixels, Preprocessor};
use super::model::{Component, parse};
use super::models::vit::{Batch, Config, Vit};
pub use super::picture_runs::PictureCount;
use super::picture_runs::{PictureGraph, PictureRuns, sample};
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
        let Recorded { vit, preprocessor, labels } = self;
        VisionModel { session, vit, preprocessor, labels, ms_per_picture: None }
    }
}

/// A vision transformer that is loaded and ready.
pub struct VisionModel {
    /// Its graphs on a device.
    pub session: Session,
    pub(super) vit: Vit,
    preprocessor: Preprocessor,
    labels: Vec<String>,
    ms_per_picture: Option<f64>,
}

impl VisionModel {
    /// Whether it knows labels; without, it has features alone.
    pub fn has_labels(&self) -> bool {
        !self.labels.is_empty()
    }

    /// The first run.
    pub(super) async fn warm_up(&mut self, watch: &mut Watch<'_>) -> Result<()> {
        self.embed(PictureCount::ONE, async |_| sample(), watch).await.map(|_| ())
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
        result: impl Fn(&Batch) -> Option<SlotId>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Vec<f32>>> {
        let graph = |batch: &Batch| {
            let Batch { n_pictures, graph, patches, .. } = *batch;
            Some(PictureGraph { n_pictures, graph, patches, result: result(batch)? })
        };
        let mut runs = PictureRuns {
            session: &mut self.session,
            preprocessor: &self.preprocessor,
            patch: self.vit.config.patch_size,
            graphs: self.vit.batches.iter().filter_map(graph).collect(),
            ms_per_picture: &mut self.ms_per_picture,
        };
        runs.run(count, picture, watch).await
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

/// Probabilities.
pub(super) fn softmax(logits: impl Iterator<Item = f64>) -> Vec<f32> {
    let mut scores: Vec<f64> = logits.collect();
    super::ops::math::softmax(&mut scores);
    scores.into_iter().map(|score| score as f32).collect()
}
