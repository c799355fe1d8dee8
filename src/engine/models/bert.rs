//! BERT (Devlin et al. 2018, arXiv 1810.04805) as a sentence encoder, after `modeling_bert.py` of Hugging Face's transformers
//! and under the names of sentence-transformers' checkpoints (mean pooling, unit length).
//!
//! B sequences of T positions, padded; D hidden size. Each (B, T) is a graph of its own, since shapes are static.

use crate::engine::graph::{GraphId, Recorder, Scope, SlotId, Tensor};
use crate::engine::measure::{Part, Representative};
use crate::engine::nn::{LayerNorm, Linear};
use crate::engine::ops::attention::AttentionOptions;
use crate::engine::ops::embed::Positions;
use crate::engine::ops::linear::LinearOptions;
use crate::engine::ops::math::Activation;
use crate::engine::ops::pool::Pooling;
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use serde::Deserialize;

/// Sequences and positions of each graph: a batch goes to the first that holds it.
const SHAPES: [(usize, usize); 5] = [(1, 32), (1, 128), (1, 256), (8, 32), (4, 128)];

/// `config.json`, under its own names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the names are the checkpoint's own and say it all")]
pub struct Config {
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub max_position_embeddings: usize,
    pub type_vocab_size: usize,
    pub vocab_size: usize,
    pub layer_norm_eps: f32,
    pub hidden_act: String,
}

impl Config {
    /// Reads and checks `config.json`.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let corrupt = |reason: String| Error::Corrupt { file: "config.json".into(), reason };
        let config: Config =
            serde_json::from_slice(json).map_err(|e| corrupt(format!("not a BERT configuration ({e})")))?;
        if config.hidden_act != "gelu" {
            return Err(Error::Unsupported(format!("activation `{}`, expected `gelu`", config.hidden_act)));
        }
        let heads = config.num_attention_heads;
        if heads == 0 || !config.hidden_size.is_multiple_of(4 * heads) {
            let size = config.hidden_size;
            return Err(corrupt(format!("hidden_size {size} does not divide by {heads} heads of vectors")));
        }
        Ok(config)
    }
}

/// One shape of input and its graph.
#[derive(Debug, Clone)]
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
    /// `[B, D]` unit vectors.
    pub embeddings: SlotId,
}

/// A recorded sentence encoder.
#[derive(Debug, Clone)]
pub struct Bert {
    /// Its configuration.
    pub config: Config,
    /// Its graphs, smallest first.
    pub batches: Vec<Batch>,
}

impl Bert {
    /// Records a graph for every shape.
    pub fn record(recorder: &Recorder, config: Config) -> Result<Self> {
        let root = recorder.weights();
        let weights = if root.has("embeddings.word_embeddings.weight") { root } else { root.scope("bert") };
        let batches = SHAPES
            .into_iter()
            .filter(|(_, seq_len)| *seq_len <= config.max_position_embeddings)
            .map(|(n_seqs, seq_len)| record_batch(&weights, &config, n_seqs, seq_len))
            .collect::<Result<_>>()?;
        Ok(Self { config, batches })
    }
}

/// Positions of the sentence that stands for all when a backend is measured.
const MEASURED_TOKENS: usize = 32;

/// One layer, at the shape of a short sentence.
impl Representative for Config {
    fn work(&self) -> &'static str {
        "a sentence of 32 tokens"
    }

    fn sizes(&self) -> Vec<usize> {
        vec![MEASURED_TOKENS.min(self.max_position_embeddings)]
    }

    fn record_piece(&self, recorder: &Recorder, seq_len: usize) -> Result<Vec<Part>> {
        let x = recorder.state("x", TensorType::f32([seq_len, self.hidden_size]));
        let y = recorder.state("y", TensorType::f32([seq_len, self.hidden_size]));
        let lengths = recorder.state("lengths", TensorType::u32([1]));
        let graph = recorder.begin("layer");
        layer(&recorder.weights().scope("encoder.layer.0"), self, &x, &lengths, seq_len)?.store_in(&y)?;
        let input = Some((lengths.slot(), (seq_len as u32).to_le_bytes().to_vec()));
        Ok(vec![Part { graph, times: self.num_hidden_layers as f64, result: y.slot(), input }])
    }
}

fn record_batch(weights: &Scope, config: &Config, n_seqs: usize, seq_len: usize) -> Result<Batch> {
    let recorder = weights.recorder();
    let shape = format!("{n_seqs}x{seq_len}");
    let ids = recorder.state(format!("ids {shape}"), TensorType::u32([n_seqs * seq_len]));
    let lengths = recorder.state(format!("lengths {shape}"), TensorType::u32([n_seqs]));
    let embeddings = recorder.state(format!("embeddings {shape}"), TensorType::f32([n_seqs, config.hidden_size]));
    let graph = recorder.begin(format!("embed {shape}"));
    let mut x = embed(&weights.scope("embeddings"), config, &ids, seq_len)?;
    for i in 0..config.num_hidden_layers {
        x = layer(&weights.scope(format!("encoder.layer.{i}")), config, &x, &lengths, seq_len)?;
    }
    x.pool(&lengths, seq_len, Pooling::Mean, true)?.store_in(&embeddings)?;
    Ok(Batch { n_seqs, seq_len, graph, ids: ids.slot(), lengths: lengths.slot(), embeddings: embeddings.slot() })
}

/// `BertEmbeddings`; all tokens are of type 0.
fn embed(weights: &Scope, config: &Config, ids: &Tensor, seq_len: usize) -> Result<Tensor> {
    let d = config.hidden_size;
    let table = weights.matrix("word_embeddings.weight", config.vocab_size, d)?;
    let positions = weights.matrix_f32("position_embeddings.weight", config.max_position_embeddings, d)?;
    let token_type = weights.first_row("token_type_embeddings.weight", config.type_vocab_size, d)?;
    let x = ids.embed(&table, &positions, Some(&token_type), Positions::Sequence { seq_len, first: 0 })?;
    LayerNorm::load(weights, "LayerNorm", d, config.layer_norm_eps)?.forward_f32(&x)
}

/// `BertLayer`
fn layer(weights: &Scope, config: &Config, x: &Tensor, lengths: &Tensor, seq_len: usize) -> Result<Tensor> {
    let (d, inner, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
    let activation = x.recorder().options.activation;
    let attention = weights.scope("attention");
    let qkv = Linear::load_stacked(&attention.scope("self"), &["query", "key", "value"], d, d)?;
    let h = qkv.forward(x, LinearOptions { output: activation, ..Default::default() })?;
    let h = h.attention(
        config.num_attention_heads,
        seq_len,
        AttentionOptions { lengths: Some(lengths), ..Default::default() },
    )?;
    let output = attention.scope("output");
    let onto = |x| LinearOptions { residual: Some(x), ..Default::default() };
    let x = Linear::load(&output, "dense", d, d)?.forward(&h, onto(x))?;
    let x = LayerNorm::load(&output, "LayerNorm", d, eps)?.forward_f32(&x)?;
    let gelu = LinearOptions { activation: Activation::Gelu, output: activation, ..Default::default() };
    let h = Linear::load(weights, "intermediate.dense", inner, d)?.forward(&x, gelu)?;
    let output = weights.scope("output");
    let x = Linear::load(&output, "dense", d, inner)?.forward(&h, onto(&x))?;
    LayerNorm::load(&output, "LayerNorm", d, eps)?.forward_f32(&x)
}
