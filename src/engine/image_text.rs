//! Pictures and texts in one space: CLIP's two towers, each on a session of its own, and how well they fit.

use super::batch::POSITIONS_OF_A_RUN;
use super::embed::{Embeddings, at_once};
use super::graph::Recorder;
use super::image::{Pixels, Preprocessor};
use super::model::Component;
use super::models::clip::{Config, PictureBatch, PictureTower, TextBatch, TextTower};
use super::ops::math::dot;
use super::picture_runs::{PictureCount, PictureGraph, PictureRuns, check_numbers, sample};
use super::session::{Session, Watch};
use super::text::{EncodeOptions, Tokenizer, read_tokenizer};
use super::vision::softmax;
use super::weights::ModelFiles;
use super::{Error, Result};
use crate::protocol::Matches;

/// The small files.
pub struct Files {
    config: Config,
    tokenizer: Tokenizer,
    preprocessor: Preprocessor,
}

/// Recorded, without devices.
pub struct Recorded {
    texts: TextTower,
    pictures: PictureTower,
    tokenizer: Tokenizer,
    preprocessor: Preprocessor,
}

impl Files {
    /// Reads what lies beside `config.json`.
    pub async fn read(files: &ModelFiles, config: &[u8]) -> Result<Self> {
        let config = Config::from_json(config)?;
        let tokenizer = read_tokenizer(files).await?;
        let preprocessor = Preprocessor::from_json(&files.read_required("preprocessor_config.json").await?)?;
        let (expected, got) = (config.vision_config.image_size, preprocessor.side()?);
        if expected != got {
            let what = format!("its pictures are prepared with {got} pixels a side, but it takes {expected}");
            return Err(Error::Unsupported(what));
        }
        Ok(Self { config, tokenizer, preprocessor })
    }

    /// Records the graphs of both towers: the texts' component first, which is smaller and needed first.
    pub fn record(self, recorder: &Recorder) -> Result<(Recorded, Vec<Component>)> {
        let Files { config, tokenizer, preprocessor } = self;
        let texts = TextTower::record(recorder, &config)?;
        let for_pictures = recorder.beside();
        let pictures = PictureTower::record(&for_pictures, &config)?;
        let components = vec![
            Component { name: "text", program: recorder.finish() },
            Component { name: "pictures", program: for_pictures.finish() },
        ];
        Ok((Recorded { texts, pictures, tokenizer, preprocessor }, components))
    }
}

impl Recorded {
    /// The model on the session of its first component; it reads texts until [`ImageTextModel::add_pictures`].
    pub fn on(self, text_session: Session) -> ImageTextModel {
        let Recorded { texts, pictures, tokenizer, preprocessor } = self;
        ImageTextModel {
            text_session,
            picture_session: None,
            texts,
            pictures,
            tokenizer,
            preprocessor,
            scale: None,
            ms_per_picture: None,
        }
    }
}

/// An image-text model that is loaded and ready, for texts at least.
pub struct ImageTextModel {
    /// The text tower's graphs on a device.
    pub text_session: Session,
    /// The picture tower's graphs on a device, once its weights are there.
    pub picture_session: Option<Session>,
    pub(super) texts: TextTower,
    pub(super) pictures: PictureTower,
    tokenizer: Tokenizer,
    preprocessor: Preprocessor,
    /// What cosines are multiplied with, once it was read.
    scale: Option<f32>,
    ms_per_picture: Option<f64>,
}

impl ImageTextModel {
    /// Those of the components that are there.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &Session> {
        [&self.text_session].into_iter().chain(&self.picture_session)
    }

    /// The second component is there too.
    pub(super) fn add_pictures(&mut self, session: Session) {
        self.picture_session = Some(session);
    }

    /// The first run of the texts' tower.
    pub(super) async fn warm_up_texts(&mut self, watch: &mut Watch<'_>) -> Result<()> {
        self.embed_texts(&["warm up".to_string()], None, watch).await?;
        self.logit_scale(watch).await.map(|_| ())
    }

    /// The first run of the pictures' tower.
    pub(super) async fn warm_up_pictures(&mut self, watch: &mut Watch<'_>) -> Result<()> {
        self.embed_pictures(PictureCount::ONE, async |_| sample(), watch).await.map(|_| ())
    }

    /// The ids of a text, cut where it is too long, its end-of-text token kept.
    ///
    /// # Errors
    /// [`Error::Input`] where the tokenizer refuses it.
    pub fn token_ids(&self, text: &str) -> Result<Vec<u32>> {
        let max_length = Some(self.texts.config.max_position_embeddings);
        self.tokenizer.encode(text, EncodeOptions { add_special_tokens: true, max_length })
    }

    /// A unit vector for each text, at most `batch_size` of them computed at once, and how many were too long to be read whole.
    ///
    /// # Errors
    /// [`Error::Input`] where the tokenizer refuses one.
    pub async fn embed_texts(
        &mut self,
        texts: &[String],
        batch_size: Option<u32>,
        watch: &mut Watch<'_>,
    ) -> Result<Embeddings> {
        let most = at_once(batch_size).max(1);
        let whole = EncodeOptions { add_special_tokens: true, max_length: None };
        let mut n_cut = 0;
        let ids = texts.iter().map(|text| {
            let ids = self.tokenizer.encode(text, whole)?;
            if ids.len() <= self.texts.config.max_position_embeddings {
                return Ok(ids);
            }
            n_cut += 1;
            self.token_ids(text)
        });
        let ids = ids.collect::<Result<Vec<_>>>()?;
        // Texts of like length go together, so that little is padding.
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|&i| ids[i].len());
        let mut vectors = vec![Vec::new(); ids.len()];
        let mut rest = &order[..];
        while !rest.is_empty() {
            watch.progress(1.0 - rest.len() as f32 / order.len() as f32)?;
            let next = &rest[..rest.len().min(most)];
            let batch = self.text_batch_for(next, &ids)?;
            let (now, later) = rest.split_at(next.len().min(batch.n_texts));
            // Padding behind the end is never looked at.
            let mut all = vec![0u32; batch.n_texts * batch.seq_len];
            let mut pooled = vec![0u32; batch.n_texts];
            for (row, &i) in now.iter().enumerate() {
                all[row * batch.seq_len..][..ids[i].len()].copy_from_slice(&ids[i]);
                pooled[row] = (row * batch.seq_len + self.texts.config.pooled_position(&ids[i])) as u32;
            }
            self.text_session.write(batch.ids, 0, bytemuck::cast_slice(&all))?;
            self.text_session.write(batch.pooled, 0, bytemuck::cast_slice(&pooled))?;
            // A run's own progress is none of the texts'.
            let mut quiet = Watch { cancel: watch.cancel, on_progress: &mut |_| () };
            let pending = self.text_session.submit(&[(batch.graph, 1)], &[batch.embeddings], &mut quiet).await?;
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(&pending.wait().await?.remove(0));
            check_numbers(&values)?;
            for (&i, row) in now.iter().zip(values.chunks_exact(values.len() / batch.n_texts)) {
                vectors[i] = unit(row);
            }
            rest = later;
        }
        watch.progress(1.0)?;
        Ok(Embeddings { vectors, n_cut })
    }

    /// A unit vector for each picture. `picture` gives picture number 0, 1, ... when its turn comes.
    ///
    /// # Errors
    /// What `picture` returns; [`Error::Internal`] before the pictures' tower is there, which whoever shares a model that is still
    /// arriving waits for.
    pub async fn embed_pictures(
        &mut self,
        count: PictureCount,
        picture: impl AsyncFnMut(usize) -> Result<Pixels>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Vec<f32>>> {
        let graph = |batch: &PictureBatch| {
            let PictureBatch { n_pictures, graph, patches, embeddings } = *batch;
            PictureGraph { n_pictures, graph, patches, result: embeddings }
        };
        let Some(session) = &mut self.picture_session else {
            return Err(Error::Internal(
                "pictures were given to a model of which only the texts' part is there".into(),
            ));
        };
        let mut runs = PictureRuns {
            session,
            preprocessor: &self.preprocessor,
            patch: self.pictures.config.patch_size,
            graphs: self.pictures.batches.iter().map(graph).collect(),
            ms_per_picture: &mut self.ms_per_picture,
        };
        let rows = runs.run(count, picture, watch).await?;
        Ok(rows.iter().map(|row| unit(row)).collect())
    }

    /// How well each picture fits each text: the probabilities of the texts for each picture (`logits_per_image.softmax(-1)` of the
    /// reference), and both kinds of vectors.
    ///
    /// # Errors
    /// What `picture` returns.
    pub async fn scores(
        &mut self,
        count: PictureCount,
        picture: impl AsyncFnMut(usize) -> Result<Pixels>,
        texts: &[String],
        watch: &mut Watch<'_>,
    ) -> Result<Matches> {
        // Progress counts pictures.
        let mut quiet = Watch { cancel: watch.cancel, on_progress: &mut |_| () };
        let batch_size = count.at_once.map(|n| n as u32);
        let text_embeddings = self.embed_texts(texts, batch_size, &mut quiet).await?.vectors;
        let logit_scale = self.logit_scale(&mut quiet).await?;
        let image_embeddings = self.embed_pictures(count, picture, watch).await?;
        let of_picture = |picture: &Vec<f32>| {
            softmax(text_embeddings.iter().map(|text| f64::from(logit_scale) * dot(picture, text)))
        };
        let scores = image_embeddings.iter().map(of_picture).collect();
        Ok(Matches { scores, image_embeddings, text_embeddings, logit_scale })
    }

    /// What cosines are multiplied with.
    ///
    /// # Errors
    /// [`Error::Numerics`] where it is no number.
    pub async fn logit_scale(&mut self, watch: &mut Watch<'_>) -> Result<f32> {
        if let Some(scale) = self.scale {
            return Ok(scale);
        }
        let (graph, slot) = (self.texts.scale_graph, self.texts.logit_scale);
        let pending = self.text_session.submit(&[(graph, 1)], &[slot], watch).await?;
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(&pending.wait().await?.remove(0));
        let scale = values.first().map_or(f32::NAN, |log| log.exp());
        check_numbers(&[scale])?;
        self.scale = Some(scale);
        Ok(scale)
    }

    /// The shape for the next texts, whose lengths are ascending: the one that costs the least for each text that it takes.
    fn text_batch_for(&self, rest: &[usize], ids: &[Vec<u32>]) -> Result<TextBatch> {
        let fits = |batch: &&TextBatch| rest.iter().take(batch.n_texts).all(|&i| ids[i].len() <= batch.seq_len);
        let cost = |batch: &TextBatch| {
            let n_positions = batch.n_texts * batch.seq_len + POSITIONS_OF_A_RUN;
            n_positions as f64 / rest.len().min(batch.n_texts) as f64
        };
        let best = self.texts.batches.iter().filter(fits).min_by(|a, b| cost(a).total_cmp(&cost(b)));
        best.cloned().ok_or_else(|| Error::Internal("no shape holds the next text".into()))
    }
}

/// A vector scaled to length one.
fn unit(row: &[f32]) -> Vec<f32> {
    let length = dot(row, row).sqrt();
    row.iter().map(|&v| (f64::from(v) / length.max(1e-12)) as f32).collect()
}
