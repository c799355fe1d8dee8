//! Texts to unit vectors: tokens, batches, and the sentence encoder.

use super::graph::Recorder;
use super::load::{Component, parse};
use super::models::bert::{Batch, Bert, Config};
use super::session::{Session, Watch};
use super::text::{EncodeOptions, Tokenizer};
use super::weights::ModelFiles;
use super::{Error, Result};
use serde_json::Value;

/// Longest text in tokens where the repository does not say.
const DEFAULT_MAX_TOKENS: usize = 256;

/// The small files of a sentence encoder.
pub struct Files {
    config: Config,
    tokenizer: Tokenizer,
    max_tokens: Option<usize>,
}

/// Recorded, without a device.
pub struct Recorded {
    bert: Bert,
    tokenizer: Tokenizer,
    max_tokens: Option<usize>,
}

impl Files {
    /// Reads what lies beside `config.json`.
    pub async fn read(files: &ModelFiles, config: &[u8]) -> Result<Self> {
        let tokenizer = Tokenizer::from_json(&files.read_required("tokenizer.json").await?)?;
        let sentence = match files.read("sentence_bert_config.json").await? {
            Some(bytes) => parse("sentence_bert_config.json", &bytes)?,
            None => Value::Null,
        };
        let max_tokens = sentence["max_seq_length"].as_u64().map(|n| n as usize);
        Ok(Self { config: Config::from_json(config)?, tokenizer, max_tokens })
    }

    /// Records its graphs.
    pub fn record(self, recorder: &Recorder) -> Result<(Recorded, Vec<Component>)> {
        let Files { config, tokenizer, max_tokens } = self;
        let bert = Bert::record(recorder, config)?;
        Ok((Recorded { bert, tokenizer, max_tokens }, Component::whole(recorder)))
    }
}

impl Recorded {
    /// The model on a device.
    pub fn on(self, session: Session) -> EmbeddingModel {
        EmbeddingModel::new(session, self.bert, self.tokenizer, self.max_tokens)
    }
}

/// A sentence encoder that is loaded and ready.
pub struct EmbeddingModel {
    /// Its graphs on a device.
    pub session: Session,
    bert: Bert,
    tokenizer: Tokenizer,
    max_tokens: usize,
}

impl EmbeddingModel {
    /// A recorded and uploaded encoder; `max_tokens` is `max_seq_length` of `sentence_bert_config.json`.
    pub fn new(session: Session, bert: Bert, tokenizer: Tokenizer, max_tokens: Option<usize>) -> Self {
        let longest = bert.batches.iter().map(|batch| batch.seq_len).max().unwrap_or(0);
        let max_tokens = max_tokens.unwrap_or(DEFAULT_MAX_TOKENS).min(longest);
        Self { session, bert, tokenizer, max_tokens }
    }

    /// The first run.
    pub(super) async fn warm_up(&mut self, watch: &mut Watch<'_>) -> Result<()> {
        self.embed(&["warm up".to_string()], watch).await.map(|_| ())
    }

    /// One unit vector for each text; longer texts are cut.
    pub async fn embed(&mut self, texts: &[String], watch: &mut Watch<'_>) -> Result<Vec<Vec<f32>>> {
        let options = EncodeOptions { add_special_tokens: true, max_length: Some(self.max_tokens) };
        let ids = texts.iter().map(|text| self.tokenizer.encode(text, options)).collect::<Result<Vec<_>>>()?;
        // Texts of like length go together, so that little is padding.
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|&i| ids[i].len());
        let mut embeddings = vec![Vec::new(); ids.len()];
        let mut rest = &order[..];
        while !rest.is_empty() {
            watch.progress(1.0 - rest.len() as f32 / order.len() as f32)?;
            let batch = self.batch_for(rest.iter().map(|&i| ids[i].len()))?;
            let (now, later) = rest.split_at(rest.len().min(batch.n_seqs));
            let texts: Vec<&[u32]> = now.iter().map(|&i| &ids[i][..]).collect();
            for (&i, row) in now.iter().zip(self.run(&batch, &texts, watch).await?) {
                embeddings[i] = row;
            }
            rest = later;
        }
        Ok(embeddings)
    }

    /// The shape for the next texts, whose lengths are ascending.
    fn batch_for(&self, lengths: impl ExactSizeIterator<Item = usize>) -> Result<Batch> {
        let lengths: Vec<usize> = lengths.collect();
        let fits = |batch: &&Batch| lengths.iter().take(batch.n_seqs).all(|&n| n <= batch.seq_len);
        let useful = |batch: &&Batch| batch.n_seqs == 1 || lengths.len() > batch.n_seqs / 2;
        let batches = self.bert.batches.iter().filter(fits).filter(useful);
        let best = batches.min_by_key(|batch| (batch.n_seqs * batch.seq_len) / batch.n_seqs.min(lengths.len()));
        best.cloned().ok_or_else(|| Error::Internal(format!("no shape holds a text of {:?} tokens", lengths.first())))
    }

    async fn run(&mut self, batch: &Batch, texts: &[&[u32]], watch: &mut Watch<'_>) -> Result<Vec<Vec<f32>>> {
        let mut ids = vec![0u32; batch.n_seqs * batch.seq_len];
        let mut lengths = vec![1u32; batch.n_seqs];
        for (row, text) in texts.iter().enumerate() {
            ids[row * batch.seq_len..][..text.len()].copy_from_slice(text);
            lengths[row] = text.len() as u32;
        }
        self.session.write(batch.ids, 0, bytemuck::cast_slice(&ids))?;
        self.session.write(batch.lengths, 0, bytemuck::cast_slice(&lengths))?;
        let pending = self.session.submit(&[(batch.graph, 1)], &[batch.embeddings], watch).await?;
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(&pending.wait().await?.remove(0));
        let rows: Vec<Vec<f32>> =
            values.chunks_exact(self.bert.config.hidden_size).take(texts.len()).map(<[f32]>::to_vec).collect();
        let is_unit = |row: &Vec<f32>| (row.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-2;
        if rows.iter().all(is_unit) {
            return Ok(rows);
        }
        Err(Error::Numerics { what: "embedding".into(), reason: "a vector is not of length one".into() })
    }
}
