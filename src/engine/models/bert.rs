//! BERT (Devlin et al. 2018, arXiv 1810.04805) and its kin DistilBERT (arXiv 1910.01108) and RoBERTa (arXiv 1907.11692), after
//! `modeling_bert.py`, `modeling_distilbert.py` and `modeling_roberta.py` of Hugging Face's transformers: encoders of whole texts, with
//! the pooling of sentence-transformers and, where the checkpoint has one, the head that finds masked words.
//!
//! B sequences of T positions, padded; D hidden size; V vocabulary. Each (B, T) is a graph of its own, since shapes are static. What the
//! models have in common is here, what differs (names, shapes of the configuration) in [`super::bert_config`].

use super::bert_config::Config;
use crate::engine::graph::{GraphId, Recorder, Scope, SlotId, Tensor};
use crate::engine::measure::{Part, Representative};
use crate::engine::nn::{LayerNorm, Linear};
use crate::engine::ops::attention::AttentionOptions;
use crate::engine::ops::embed::Positions;
use crate::engine::ops::linear::LinearOptions;
use crate::engine::ops::pool::Pooling;
use crate::engine::tensor::{DType, TensorType};
use crate::engine::{Error, Result};

/// Positions of the shapes, as far as the model takes them.
const WIDTHS: [usize; 5] = [32, 64, 128, 256, 512];
/// Positions of a full batch, padding among them: enough rows for a matrix product to run at its best on a large GPU.
const BATCH_POSITIONS: usize = 1024;
/// Sequences of the small batch of short texts.
const FEW: usize = 8;
/// Masked positions of a batch at most.
pub const MASKS: usize = 32;

/// What is recorded of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Longest text in tokens.
    pub max_tokens: usize,
    /// What becomes of the last layer's rows.
    pub pooling: Pooling,
    /// Whether the pooled vectors get length one.
    pub normalize: bool,
    /// Whether the head for masked words is recorded, where there is one.
    pub fill_mask: bool,
}

/// One shape of input and its graph.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    /// B
    pub n_seqs: usize,
    /// T
    pub seq_len: usize,
    /// Its graph.
    pub graph: GraphId,
    /// `[B * T]` token ids.
    pub ids: SlotId,
    /// `[B]` real lengths.
    pub lengths: SlotId,
    /// `[B, D]` pooled vectors.
    pub embeddings: SlotId,
}

/// The head that finds masked words: a graph here makes logits of the first of the rows that are named in `rows`.
#[derive(Debug, Clone)]
pub struct MaskHead {
    /// `[MASKS]`: rows of [`Bert::hidden`], sequence * T + position.
    pub rows: SlotId,
    /// For so many masks the graph and its logits, `[n, V]`; smallest first.
    pub graphs: Vec<(usize, GraphId, SlotId)>,
}

/// A recorded encoder.
#[derive(Debug, Clone)]
pub struct Bert {
    /// Its configuration.
    pub config: Config,
    /// Its graphs.
    pub batches: Vec<Batch>,
    /// `[N, D]`, f32: the last hidden state of the batch that ran last, in its first B * T rows; N are those of the largest batch.
    pub hidden: SlotId,
    /// Its head for masked words.
    pub mask_head: Option<MaskHead>,
}

impl Bert {
    /// Records a graph for every shape.
    pub fn record(recorder: &Recorder, config: Config, plan: Plan) -> Result<Self> {
        let root = recorder.weights();
        let body = config.body(&root)?;
        let shapes = shapes(plan.max_tokens.min(config.max_positions));
        let most = shapes.iter().map(|(n_seqs, seq_len)| n_seqs * seq_len).max().unwrap_or(1);
        let hidden = recorder.state("hidden", TensorType::f32([most, config.hidden_size]));
        let batches = shapes
            .into_iter()
            .map(|shape| record_batch(&body, &config, plan, shape, &hidden))
            .collect::<Result<_>>()?;
        let mask_head = match plan.fill_mask && config.has_mask_head(&root) {
            true => Some(record_mask_head(&root, &body, &config, &hidden)?),
            false => None,
        };
        Ok(Self { config, batches, hidden: hidden.slot(), mask_head })
    }
}

/// Sequences and positions of the graphs of a model that takes texts of `limit` tokens: for each width one text alone, and as many
/// as fill a batch.
fn shapes(limit: usize) -> Vec<(usize, usize)> {
    let mut widths: Vec<usize> = WIDTHS.into_iter().filter(|&width| width < limit).collect();
    widths.push(limit.max(1));
    let mut shapes = Vec::new();
    for (idx, &width) in widths.iter().enumerate() {
        let full = (BATCH_POSITIONS / width).max(1);
        let few = if idx == 0 { FEW.min(full) } else { 1 };
        shapes.extend([(1, width), (few, width), (full, width)]);
    }
    shapes.dedup();
    shapes
}

/// Positions of the sentence that stands for all when a backend is measured.
const MEASURED_TOKENS: usize = 32;

/// One layer, at the shape of a short sentence.
impl Representative for Config {
    fn work(&self) -> &'static str {
        "a sentence of 32 tokens"
    }

    fn sizes(&self) -> Vec<usize> {
        vec![MEASURED_TOKENS.min(self.max_positions)]
    }

    fn record_piece(&self, recorder: &Recorder, seq_len: usize) -> Result<Vec<Part>> {
        let x = recorder.state("x", TensorType::f32([seq_len, self.hidden_size]));
        let y = recorder.state("y", TensorType::f32([seq_len, self.hidden_size]));
        let lengths = recorder.state("lengths", TensorType::u32([1]));
        let graph = recorder.begin("layer");
        layer(&self.layer(&recorder.weights(), 0), self, &x, &lengths, seq_len)?.store_in(&y)?;
        let input = Some((lengths.slot(), (seq_len as u32).to_le_bytes().to_vec()));
        Ok(vec![Part { graph, times: self.n_layers as f64, result: y.slot(), input }])
    }
}

fn record_batch(
    body: &Scope,
    config: &Config,
    plan: Plan,
    (n_seqs, seq_len): (usize, usize),
    hidden: &Tensor,
) -> Result<Batch> {
    let recorder = body.recorder();
    let shape = format!("{n_seqs}x{seq_len}");
    let ids = recorder.state(format!("ids {shape}"), TensorType::u32([n_seqs * seq_len]));
    let lengths = recorder.state(format!("lengths {shape}"), TensorType::u32([n_seqs]));
    let embeddings = recorder.state(format!("embeddings {shape}"), TensorType::f32([n_seqs, config.hidden_size]));
    let graph = recorder.begin(format!("embed {shape}"));
    let mut x = embed(&body.scope("embeddings"), config, &ids, seq_len)?;
    for i in 0..config.n_layers {
        x = layer(&config.layer(body, i), config, &x, &lengths, seq_len)?;
    }
    x.pool(&lengths, seq_len, plan.pooling, plan.normalize)?.store_in(&embeddings)?;
    x.store_rows(hidden, None)?;
    Ok(Batch { n_seqs, seq_len, graph, ids: ids.slot(), lengths: lengths.slot(), embeddings: embeddings.slot() })
}

/// `BertEmbeddings`; all tokens are of type 0.
fn embed(weights: &Scope, config: &Config, ids: &Tensor, seq_len: usize) -> Result<Tensor> {
    let d = config.hidden_size;
    let table = weights.matrix("word_embeddings.weight", config.vocab_size, d)?;
    let positions =
        weights.matrix_f32("position_embeddings.weight", config.first_position + config.max_positions, d)?;
    let token_type = match config.type_vocab_size {
        0 => None,
        n => Some(weights.first_row("token_type_embeddings.weight", n, d)?),
    };
    let at = Positions::Sequence { seq_len, first: config.first_position };
    let x = ids.embed(&table, &positions, token_type.as_ref(), at)?;
    LayerNorm::load(weights, "LayerNorm", d, config.layer_norm_eps)?.forward_f32(&x)
}

/// `BertLayer`
fn layer(weights: &Scope, config: &Config, x: &Tensor, lengths: &Tensor, seq_len: usize) -> Result<Tensor> {
    let (d, inner, eps) = (config.hidden_size, config.inner_size, config.layer_norm_eps);
    let names = config.names();
    let intermediate = x.recorder().options.activation;
    let qkv = Linear::load_stacked(weights, &names.qkv, d, d)?;
    let h = qkv.forward(x, LinearOptions { output: intermediate, ..Default::default() })?;
    let h = h.attention(config.n_heads, seq_len, AttentionOptions { lengths: Some(lengths), ..Default::default() })?;
    let onto = |x| LinearOptions { residual: Some(x), ..Default::default() };
    let x = Linear::load(weights, names.attention_out, d, d)?.forward(&h, onto(x))?;
    let x = LayerNorm::load(weights, names.attention_norm, d, eps)?.forward_f32(&x)?;
    let activated = LinearOptions { activation: config.activation, output: intermediate, ..Default::default() };
    let h = Linear::load(weights, names.widen, inner, d)?.forward(&x, activated)?;
    let x = Linear::load(weights, names.narrow, d, inner)?.forward(&h, onto(&x))?;
    LayerNorm::load(weights, names.norm, d, eps)?.forward_f32(&x)
}

/// `BertLMPredictionHead` over the masked rows.
fn record_mask_head(root: &Scope, body: &Scope, config: &Config, hidden: &Tensor) -> Result<MaskHead> {
    let recorder = root.recorder();
    let rows = recorder.state("masked rows", TensorType::u32([MASKS]));
    let (d, v, names) = (config.hidden_size, config.vocab_size, config.head_names());
    let dense = Linear::load(root, names.dense, d, d)?;
    let norm = LayerNorm::load(root, names.norm, d, config.layer_norm_eps)?;
    // Nearly all checkpoints tie the output to the table of the input, and store it once.
    let table = match !config.tied && root.has(names.decoder) {
        true => root.stacked(&[names.decoder], v, d)?,
        false => body.scope("embeddings").matrix("word_embeddings.weight", v, d)?,
    };
    let bias = names.bias.iter().find(|name| root.has(name));
    let bias = root.vector(bias.ok_or_else(|| Error::MissingTensor { name: names.bias[0].into() })?, v)?;
    let mut graphs = Vec::new();
    for n in [1, MASKS] {
        let logits = recorder.state(format!("logits {n}"), TensorType::f32([n, v]));
        let numbers =
            recorder.constant(&format!("first {n}"), TensorType::u32([n]), &(0..n as u32).collect::<Vec<_>>());
        let graph = recorder.begin(format!("head {n}"));
        let x = hidden.gather(&rows)?.gather(&numbers)?;
        let h = dense.forward(&x, LinearOptions { activation: config.activation, ..Default::default() })?;
        let h = norm.forward(&h)?;
        let options = LinearOptions { bias: Some(&bias), output: DType::F32, ..Default::default() };
        h.linear(&table, options)?.store_in(&logits)?;
        graphs.push((n, graph, logits.slot()));
    }
    Ok(MaskHead { rows: rows.slot(), graphs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_hold_the_longest_text_and_fill_a_batch_at_every_width() {
        assert_eq!(shapes(512).len(), 11);
        assert_eq!(shapes(512)[..3], [(1, 32), (8, 32), (32, 32)]);
        assert_eq!(shapes(512)[9..], [(1, 512), (2, 512)]);
        assert_eq!(shapes(50), [(1, 32), (8, 32), (32, 32), (1, 50), (20, 50)]);
        assert_eq!(shapes(20), [(1, 20), (8, 20), (51, 20)]);
        assert_eq!(shapes(2000).last(), Some(&(1, 2000)));
    }
}
