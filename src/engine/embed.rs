//! Texts to vectors: tokens, batches, and an encoder of the BERT family. Masked words are found by `fill_mask`.

use super::batch::{Group, Size, group};
use super::graph::{GraphId, Recorder, SlotId};
use super::model::{Component, parse};
use super::models::bert::{Batch, Bert, Plan};
use super::models::bert_config::Config;
use super::sentence::SentenceConfig;
use super::session::{Pending, Session, Watch};
use super::text::{EncodeOptions, Tokenizer, read_tokenizer};
use super::weights::ModelFiles;
use super::{Error, Result, edge};
use crate::protocol::HiddenState;
use std::collections::VecDeque;

/// Longest text in tokens where the repository does not say: what BERT was trained on.
const MOST_TOKENS: usize = 512;
/// A run that may take longer than this goes in slices, so that the page's own drawing and a stop get through.
const LONG_RUN_MS: f64 = 100.0;
/// Runs under way at once, where a device runs ahead: one computes while the next is on its way.
const IN_FLIGHT: usize = 2;

/// The small files.
pub struct Files {
    config: Config,
    tokenizer: Tokenizer,
    sentence: SentenceConfig,
    mask_token: Option<String>,
}

/// Recorded, without a device.
pub struct Recorded {
    bert: Bert,
    tokenizer: Tokenizer,
    max_tokens: usize,
    mask_token: Option<String>,
}

impl Files {
    /// Reads what lies beside `config.json`.
    pub async fn read(files: &ModelFiles, json: &[u8]) -> Result<Self> {
        let config = Config::from_json(json)?;
        let tokenizer = read_tokenizer(files).await?;
        let sentence = SentenceConfig::read(files, parse("config.json", json)?["model_type"].as_str()).await?;
        let named = match files.read("tokenizer_config.json").await? {
            Some(bytes) => {
                let file = parse("tokenizer_config.json", &bytes)?;
                // Either the token itself, or what it is and how it is cut out.
                let token = &file["mask_token"];
                token.as_str().or(token["content"].as_str()).map(str::to_string)
            }
            None => None,
        };
        let candidates = named.into_iter().chain(["[MASK]".to_string(), "<mask>".to_string()]);
        let mask_token = candidates.into_iter().find(|token| tokenizer.token_id(token).is_some());
        Ok(Self { config, tokenizer, sentence, mask_token })
    }

    /// Records its graphs.
    pub fn record(self, recorder: &Recorder) -> Result<(Recorded, Vec<Component>)> {
        let Files { config, tokenizer, sentence, mask_token } = self;
        let max_tokens = sentence.max_tokens.unwrap_or(MOST_TOKENS).clamp(2, config.max_positions.max(2));
        let fill_mask = !sentence.is_sentence_model && mask_token.is_some();
        if let Some(head) = config.judging_head(&recorder.weights()).filter(|_| !sentence.is_sentence_model) {
            return Err(Error::Unsupported(format!(
                "it was trained to judge texts (its checkpoint has `{head}`), and its vectors mean little without that head, which is not \
                 read here; expected an encoder alone, one for sentences, or one that fills gaps"
            )));
        }
        let plan = Plan { max_tokens, pooling: sentence.pooling, normalize: sentence.normalize, fill_mask };
        let bert = Bert::record(recorder, config, plan)?;
        Ok((Recorded { bert, tokenizer, max_tokens, mask_token }, Component::whole(recorder)))
    }
}

impl Recorded {
    /// The model on a device.
    pub fn on(self, session: Session) -> EmbeddingModel {
        let Recorded { bert, tokenizer, max_tokens, mask_token } = self;
        EmbeddingModel { session, bert, tokenizer, max_tokens, mask_token, ms_per_position: None }
    }
}

/// An encoder of texts that is loaded and ready.
pub struct EmbeddingModel {
    /// Its graphs on a device.
    pub session: Session,
    pub(super) bert: Bert,
    pub(super) tokenizer: Tokenizer,
    pub(super) max_tokens: usize,
    pub(super) mask_token: Option<String>,
    /// What a position of a batch took in the last run that was waited for.
    ms_per_position: Option<f64>,
}

/// Vectors of texts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Embeddings {
    /// One for each text, in order; of length one unless the repository has it otherwise.
    pub vectors: Vec<Vec<f32>>,
    /// How many texts were longer than the model takes, and were cut.
    pub n_cut: u32,
}

/// Last hidden states of texts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HiddenStates {
    /// One for each text, in order.
    pub states: Vec<HiddenState>,
    /// How many texts were longer than the model takes, and were cut.
    pub n_cut: u32,
}

/// A run of a batch: what it writes beside its tokens, what follows it, and what is read of it.
pub(super) struct Run {
    pub group: Group,
    pub write: Option<(SlotId, Vec<u32>)>,
    pub then: Option<GraphId>,
    pub read: SlotId,
}

/// A run on its way back.
struct Flight {
    pending: Pending,
    group: Group,
}

impl EmbeddingModel {
    /// The first run.
    pub(super) async fn warm_up(&mut self, watch: &mut Watch<'_>) -> Result<()> {
        self.embed(&["warm up".to_string()], None, watch).await.map(|_| ())
    }

    /// Longest text in tokens.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// One vector for each text, at most `batch_size` of them computed at once; longer texts are cut. `watch`
    /// hears after each batch the share of the texts that is done.
    ///
    /// # Errors
    /// [`Error::Input`] for a text that has no tokens, [`Error::Numerics`] where a device computes no vectors,
    /// [`Error::Cancelled`], and whatever a device refuses.
    pub async fn embed(
        &mut self,
        texts: &[String],
        batch_size: Option<u32>,
        watch: &mut Watch<'_>,
    ) -> Result<Embeddings> {
        let (ids, n_cut) = self.encode(texts)?;
        let runs = self.runs(&ids, batch_size, |batch| batch.embeddings)?;
        let mut vectors = vec![Vec::new(); texts.len()];
        let d = self.bert.config.hidden_size;
        let mut on_run = |group: &Group, values: Vec<f32>| {
            for (&text, row) in group.texts.iter().zip(values.chunks_exact(d)) {
                check(row)?;
                vectors[text] = row.to_vec();
            }
            Ok(())
        };
        self.run_all(&ids, runs, &mut on_run, watch).await?;
        Ok(Embeddings { vectors, n_cut })
    }

    /// The encoder's last hidden state for each token of each text, `[CLS]` and its like among them; as [`EmbeddingModel::embed`]
    /// otherwise.
    ///
    /// # Errors
    /// As [`EmbeddingModel::embed`].
    pub async fn hidden_states(
        &mut self,
        texts: &[String],
        batch_size: Option<u32>,
        watch: &mut Watch<'_>,
    ) -> Result<HiddenStates> {
        let (ids, n_cut) = self.encode(texts)?;
        let hidden = self.bert.hidden;
        let runs = self.runs(&ids, batch_size, |_| hidden)?;
        let (widths, d): (Vec<usize>, _) =
            (self.bert.batches.iter().map(|batch| batch.seq_len).collect(), self.bert.config.hidden_size);
        let mut values = vec![Vec::new(); texts.len()];
        let mut on_run = |group: &Group, all: Vec<f32>| {
            for (&text, rows) in group.texts.iter().zip(all.chunks_exact(widths[group.shape] * d)) {
                let rows = &rows[..ids[text].len() * d];
                rows.chunks_exact(d).try_for_each(check)?;
                values[text] = rows.to_vec();
            }
            Ok(())
        };
        self.run_all(&ids, runs, &mut on_run, watch).await?;
        let states = ids.into_iter().zip(values).map(|(ids, values)| {
            let tokens = ids.iter().map(|&id| self.tokenizer.token(id).unwrap_or_default()).collect();
            HiddenState { values, hidden_size: d as u32, ids, tokens }
        });
        Ok(HiddenStates { states: states.collect(), n_cut })
    }

    /// The runs of texts of which one thing is read.
    fn runs(&self, ids: &[Vec<u32>], batch_size: Option<u32>, read: impl Fn(&Batch) -> SlotId) -> Result<Vec<Run>> {
        let sizes: Vec<Size> = ids.iter().map(|ids| Size { n_tokens: ids.len(), n_masks: 0 }).collect();
        let groups = group(&self.bert.batches, &sizes, at_once(batch_size))?;
        let run = |group: Group| {
            let read = read(&self.bert.batches[group.shape]);
            Run { group, write: None, then: None, read }
        };
        Ok(groups.into_iter().map(run).collect())
    }

    /// The tokens of texts, cut to the longest that the model takes, and how many were cut.
    pub(super) fn encode(&self, texts: &[String]) -> Result<(Vec<Vec<u32>>, u32)> {
        let whole = EncodeOptions { add_special_tokens: true, max_length: None };
        let cut = EncodeOptions { max_length: Some(self.max_tokens), ..whole };
        let mut n_cut = 0;
        let ids = texts.iter().map(|text| {
            let ids = self.tokenizer.encode(text, whole)?;
            if ids.len() <= self.max_tokens {
                return Ok(ids);
            }
            n_cut += 1;
            self.tokenizer.encode(text, cut)
        });
        let ids: Vec<Vec<u32>> = ids.collect::<Result<_>>()?;
        match ids.iter().position(Vec::is_empty) {
            Some(idx) => Err(Error::Input(format!("text {} has no tokens", idx + 1))),
            None => Ok((ids, n_cut)),
        }
    }

    /// Runs one batch after the other; `on_run` gets what is read of each.
    pub(super) async fn run_all(
        &mut self,
        ids: &[Vec<u32>],
        runs: Vec<Run>,
        on_run: &mut dyn FnMut(&Group, Vec<f32>) -> Result<()>,
        watch: &mut Watch<'_>,
    ) -> Result<()> {
        let in_flight = if self.session.runs_ahead() { IN_FLIGHT } else { 1 };
        let mut flights: VecDeque<Flight> = VecDeque::new();
        let mut runs = runs.into_iter();
        let mut n_done = 0;
        loop {
            watch.progress(n_done as f32 / ids.len().max(1) as f32)?;
            let next = if flights.len() < in_flight { runs.next() } else { None };
            if let Some(run) = next {
                // A run's own progress is none of the texts'.
                let mut quiet = Watch { cancel: watch.cancel, on_progress: &mut |_| () };
                flights.push_back(self.start(ids, run, &mut quiet).await?);
                continue;
            }
            let Some(Flight { pending, group }) = flights.pop_front() else { return Ok(()) };
            let bytes = pending.wait().await?.remove(0);
            on_run(&group, bytemuck::pod_collect_to_vec(&bytes))?;
            n_done += group.texts.len();
        }
    }

    /// Sends a batch on its way.
    async fn start(&mut self, ids: &[Vec<u32>], run: Run, watch: &mut Watch<'_>) -> Result<Flight> {
        let Run { group, write, then, read } = run;
        let batch = self.bert.batches[group.shape];
        let n_positions = batch.n_seqs * batch.seq_len;
        let mut tokens = vec![0u32; n_positions];
        // Sequences without a text are one position long: attention wants a key.
        let mut lengths = vec![1u32; batch.n_seqs];
        for (row, &text) in group.texts.iter().enumerate() {
            tokens[row * batch.seq_len..][..ids[text].len()].copy_from_slice(&ids[text]);
            lengths[row] = ids[text].len() as u32;
        }
        self.session.write(batch.ids, 0, bytemuck::cast_slice(&tokens))?;
        self.session.write(batch.lengths, 0, bytemuck::cast_slice(&lengths))?;
        if let Some((slot, words)) = write {
            self.session.write(slot, 0, bytemuck::cast_slice(&words))?;
        }
        let mut graphs = vec![(batch.graph, 1)];
        graphs.extend(then.map(|graph| (graph, 1)));
        if self.may_take_long(n_positions) {
            let start = edge::Instant::now();
            self.session.run_watched(batch.graph, watch).await?;
            self.ms_per_position = Some(edge::ms_since(start) / n_positions as f64);
            graphs.remove(0);
        }
        let pending = self.session.submit(&graphs, &[read], watch).await?;
        Ok(Flight { pending, group })
    }

    /// Whether a batch of so many positions may take longer than a GPU should be left alone with.
    fn may_take_long(&self, n_positions: usize) -> bool {
        let smallest = self.bert.batches.iter().map(|batch| batch.n_seqs * batch.seq_len).min().unwrap_or(0);
        match self.ms_per_position {
            Some(ms) => ms * n_positions as f64 > LONG_RUN_MS,
            None => n_positions > smallest,
        }
    }
}

/// The most texts of a run where a number was asked for, and where none was.
pub(super) fn at_once(batch_size: Option<u32>) -> usize {
    batch_size.map_or(usize::MAX, |n| n as usize)
}

/// A vector that a model may well have computed: of numbers, and not all of them zero.
fn check(row: &[f32]) -> Result<()> {
    let squares: f32 = row.iter().map(|v| v * v).sum();
    if squares.is_finite() && squares > 0.0 {
        return Ok(());
    }
    Err(Error::Numerics {
        what: "embedding".into(),
        reason: format!("the squares of a vector's elements add up to {squares}"),
    })
}
