//! T5 (Raffel et al. 2019, arXiv 1910.10683), after `modeling_t5.py` of Hugging Face's transformers and under the names of its
//! checkpoints: versions 1.0 (ReLU, head tied to the token table, its input scaled) and 1.1 (gated GELU, a head of its own), and what
//! was trained from them (Flan-T5).
//!
//! T positions of the encoder, C of the decoder, D model size, I all heads together, which need not be D, V vocabulary. This file only says
//! what is computed; when and from which text is the business of `generate`.

use crate::engine::decode::DecoderGraphs;
use crate::engine::graph::{GraphId, Recorder, Scope, SlotId, Tensor};
use crate::engine::measure::{Part, Representative};
use crate::engine::nn::{LayerNorm, Linear};
use crate::engine::ops::attention::AttentionOptions;
use crate::engine::ops::attention_cached::CachedOptions;
use crate::engine::ops::attention_cross::CrossOptions;
use crate::engine::ops::decode_state::{self, DecodeState};
use crate::engine::ops::embed::Positions;
use crate::engine::ops::linear::{LinearOptions, Norm};
use crate::engine::ops::math::Activation;
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use serde::Deserialize;

/// Lengths of the encoder's graphs; a text goes to the first that holds it. T5 was trained on 512 at most.
const LENGTHS: [usize; 3] = [32, 128, 512];
/// Positions of the decoder's cache: as many as the encoder's at most.
pub const CAPACITY: usize = 512;
/// Beams of the recorded searches; a search of fewer leaves some rows idle.
const BEAMS: [usize; 2] = [4, 8];
/// T5 does not scale the products of queries and keys.
const SCALE: Option<f32> = Some(1.0);

/// `config.json`, under its own names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the names are the checkpoint's own and say it all")]
pub struct Config {
    pub d_model: usize,
    pub d_kv: usize,
    pub d_ff: usize,
    pub num_layers: usize,
    pub num_decoder_layers: Option<usize>,
    pub num_heads: usize,
    pub vocab_size: usize,
    #[serde(default = "buckets")]
    pub relative_attention_num_buckets: usize,
    #[serde(default = "distance")]
    pub relative_attention_max_distance: usize,
    #[serde(default = "epsilon")]
    pub layer_norm_epsilon: f32,
    #[serde(default = "relu")]
    pub feed_forward_proj: String,
    pub tie_word_embeddings: Option<bool>,
    pub scale_decoder_outputs: Option<bool>,
    #[serde(default)]
    pub pad_token_id: u32,
    #[serde(default = "eos")]
    pub eos_token_id: u32,
    pub decoder_start_token_id: Option<u32>,
}

fn buckets() -> usize {
    32
}

fn distance() -> usize {
    128
}

fn epsilon() -> f32 {
    1e-6
}

fn relu() -> String {
    "relu".into()
}

fn eos() -> u32 {
    1
}

impl Config {
    /// Reads and checks `config.json`.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let corrupt = |reason: String| Error::Corrupt { file: "config.json".into(), reason };
        let config: Config =
            serde_json::from_slice(json).map_err(|e| corrupt(format!("not a T5 configuration ({e})")))?;
        config.feed_forward()?;
        if config.num_heads == 0 || config.d_kv == 0 || !config.d_kv.is_multiple_of(4) {
            return Err(corrupt(format!("{} heads of size {} are no vectors of four", config.num_heads, config.d_kv)));
        }
        if config.relative_attention_num_buckets < 4
            || config.relative_attention_max_distance <= config.relative_attention_num_buckets / 2
        {
            let (n, most) = (config.relative_attention_num_buckets, config.relative_attention_max_distance);
            return Err(corrupt(format!("{n} buckets for distances up to {most} leave none for the far ones")));
        }
        Ok(config)
    }

    /// The activation, and whether it is a gate.
    fn feed_forward(&self) -> Result<(Activation, bool)> {
        Ok(match self.feed_forward_proj.as_str() {
            // The name is older than the activations' names: it means the approximation by tanh.
            "gated-gelu" => (Activation::GeluTanh, true),
            other => match other.strip_prefix("gated-") {
                Some(gate) => (Activation::from_name(gate)?, true),
                None => (Activation::from_name(other)?, false),
            },
        })
    }

    /// All heads together.
    fn inner(&self) -> usize {
        self.num_heads * self.d_kv
    }

    /// Whether the head's input is scaled: in version 1.0, which newer files say in words and older ones by tying the head.
    fn scales_outputs(&self) -> bool {
        self.scale_decoder_outputs.unwrap_or(self.tie_word_embeddings != Some(false))
    }

    /// The token that a text begins with.
    pub fn start_token(&self) -> u32 {
        self.decoder_start_token_id.unwrap_or(self.pad_token_id)
    }

    fn n_decoder_layers(&self) -> usize {
        self.num_decoder_layers.unwrap_or(self.num_layers)
    }

    /// Which row of a table of biases belongs to each of the distances `1 - n` to `n - 1` (`_relative_position_bucket`): the near
    /// ones have their own, the far ones share one by their logarithm. In the encoder half of the rows is for what stands behind.
    fn buckets(&self, n: usize, bidirectional: bool) -> Vec<u32> {
        let n_buckets = self.relative_attention_num_buckets / if bidirectional { 2 } else { 1 };
        let n_exact = n_buckets / 2;
        let most = self.relative_attention_max_distance as f64;
        let bucket = |distance: i64| {
            let behind = bidirectional && distance > 0;
            let far = if bidirectional { distance.unsigned_abs() } else { (-distance).max(0) as u64 } as usize;
            let within = if far < n_exact {
                far
            } else {
                // In f32 as the reference, which decides at the borders.
                let share = (far as f32 / n_exact as f32).ln() / (most / n_exact as f64).ln() as f32;
                n_exact + (share * (n_buckets - n_exact) as f32) as usize
            };
            (within.min(n_buckets - 1) + if behind { n_buckets } else { 0 }) as u32
        };
        (1 - n as i64..n as i64).map(bucket).collect()
    }
}

/// The encoder for texts of one length.
#[derive(Debug, Clone)]
pub struct EncoderGraph {
    /// T
    pub seq_len: usize,
    /// `[T]` token ids.
    pub ids: SlotId,
    /// Ids to what the decoder looks at.
    pub graph: GraphId,
}

/// One step of a beam search.
#[derive(Debug, Clone)]
pub struct BeamGraph {
    /// B
    pub n_beams: usize,
    /// A token for each beam to the candidates for the next.
    pub graph: GraphId,
    /// `[B]` the last token of each beam.
    pub tokens: SlotId,
    /// `[C, B]` where each beam's keys lie.
    pub slots: SlotId,
    /// `[B, 2 * 2 B]` candidates, see `top_tokens`.
    pub candidates: SlotId,
}

/// What several texts at once need.
#[derive(Debug, Clone)]
pub struct TextBatch {
    /// Steps of all of them.
    pub graphs: DecoderGraphs,
    /// `[1]` which of the texts the encoder works for, and the graphs for one look at.
    pub region: SlotId,
    /// `[n]` how many positions of each text are real.
    pub lengths: SlotId,
}

/// The graphs of a recorded T5 and the slots to reach them by.
#[derive(Debug, Clone)]
pub struct T5 {
    /// Its configuration.
    pub config: Config,
    /// The encoder, shortest first.
    pub encoders: Vec<EncoderGraph>,
    /// A token to the next.
    pub step: GraphId,
    /// Beam searches, narrowest first.
    pub beams: Vec<BeamGraph>,
    /// `[1]` how many positions of the encoder are real.
    pub length: SlotId,
    /// What several texts at once need; `None` where it is one.
    pub batch: Option<TextBatch>,
    /// `[512, D]` output of the encoder.
    pub encoded: SlotId,
    /// `[1, V]` logits of the last step.
    pub logits: SlotId,
    /// `[C]` tokens.
    pub tokens: SlotId,
    /// The decoder's state.
    pub state: SlotId,
}

impl T5 {
    /// Records every graph; with a `batch_size` over 1 also the step of so many texts at once.
    pub fn record(recorder: &Recorder, config: Config, batch_size: usize) -> Result<Self> {
        let weights = recorder.weights();
        let length = recorder.state("text length", TensorType::u32([1]));
        let longest = LENGTHS[LENGTHS.len() - 1];
        let encoded = recorder.state("encoded", TensorType::f32([longest, config.d_model]));
        let decoder = Decoder::load(&weights, &config, Texts::record(recorder, &length, batch_size))?;
        let encoders = LENGTHS
            .into_iter()
            .map(|seq_len| {
                let ids = recorder.state(format!("text {seq_len}"), TensorType::u32([seq_len]));
                let graph = recorder.begin(format!("encode {seq_len}"));
                let output = encode(&weights, &config, &ids, &length)?;
                output.store_rows(&encoded, None)?;
                decoder.prepare(&output)?;
                Ok(EncoderGraph { seq_len, ids: ids.slot(), graph })
            })
            .collect::<Result<_>>()?;
        let one = decoder.sequences(1);
        let step = decoder.step(&one)?;
        let batch = decoder.texts.region.as_ref().map(|region| {
            let all = decoder.sequences(batch_size);
            let graph = decoder.step(&all)?;
            let (tokens, state) = (all.tokens.slot(), all.states.slot());
            let prompts = vec![(1, graph)];
            let graphs = DecoderGraphs { prompts, step: graph, n_seqs: batch_size, capacity: CAPACITY, tokens, state };
            Ok::<_, Error>(TextBatch { graphs, region: region.slot(), lengths: decoder.texts.lengths.slot() })
        });
        let batch = batch.transpose()?;
        let beams = BEAMS.into_iter().map(|n| decoder.beams(&one, n)).collect::<Result<_>>()?;
        Ok(Self {
            encoders,
            step,
            beams,
            length: length.slot(),
            batch,
            encoded: encoded.slot(),
            logits: one.logits.slot(),
            tokens: one.tokens.slot(),
            state: one.states.slot(),
            config,
        })
    }
}

/// The table of tokens, which encoder and decoder share; where equal tensors are stored once, any of their names may be the one that is kept.
fn token_table(weights: &Scope, config: &Config) -> Result<Tensor> {
    let names = ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];
    let name = names.into_iter().find(|name| weights.has(name)).unwrap_or(names[0]);
    let is_tied = !weights.has("lm_head.weight");
    let (vocab, d) = (config.vocab_size, config.d_model);
    if is_tied { weights.tied_table(name, vocab, d) } else { weights.matrix(name, vocab, d) }
}

/// The biases of a stack's attention by distance, up to `n - 1` either way; its first layer has them for all.
fn distance_bias(stack: &Scope, config: &Config, n: usize, bidirectional: bool) -> Result<Tensor> {
    let attention = stack.scope("block.0.layer.0.SelfAttention");
    let n_buckets = config.relative_attention_num_buckets;
    let table = attention.matrix_f32("relative_attention_bias.weight", n_buckets, config.num_heads)?;
    let label = format!("buckets of {n}, {}", if bidirectional { "both ways" } else { "one way" });
    let buckets = stack.recorder().constant(&label, TensorType::u32([2 * n - 1]), &config.buckets(n, bidirectional));
    table.distance_bias(&buckets)
}

/// `T5Stack` as the encoder: ids `[T]` to `[T, D]`.
fn encode(weights: &Scope, config: &Config, ids: &Tensor, length: &Tensor) -> Result<Tensor> {
    let seq_len = ids.ty.n_elements();
    let encoder = weights.scope("encoder");
    let bias = distance_bias(&encoder, config, seq_len, true)?;
    let mut x = ids.embed(&token_table(weights, config)?, None, None, Positions::Sequence { seq_len, first: 0 })?;
    for i in 0..config.num_layers {
        x = encoder_layer(&encoder.scope(format!("block.{i}")), config, &x, length, &bias)?;
    }
    rms(&encoder, "final_layer_norm", config)?.forward_f32(&x)
}

/// `T5Block` of the encoder.
fn encoder_layer(block: &Scope, config: &Config, x: &Tensor, length: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let (d, inner) = (config.d_model, config.inner());
    let attention = block.scope("layer.0.SelfAttention");
    let output = x.recorder().options.activation;
    let h = rms(block, "layer.0.layer_norm", config)?.forward(x)?;
    let qkv = Linear::load_plain(&attention, &["q", "k", "v"], inner, d)?;
    let h = qkv.forward(&h, LinearOptions { output, ..Default::default() })?;
    let options = AttentionOptions { lengths: Some(length), scale: SCALE, causal: false, bias: Some(bias) };
    let h = h.attention(config.num_heads, x.ty.n_rows(), options)?;
    let x = Linear::load_plain(&attention, &["o"], d, inner)?.forward(&h, onto(x))?;
    let h = rms(block, "layer.1.layer_norm", config)?.forward(&x)?;
    FeedForward::load(&block.scope("layer.1.DenseReluDense"), config)?.forward(&h, None, &x)
}

fn rms(scope: &Scope, name: &str, config: &Config) -> Result<LayerNorm> {
    LayerNorm::load_rms(scope, name, config.d_model, config.layer_norm_epsilon)
}

fn onto(residual: &Tensor) -> LinearOptions<'_> {
    LinearOptions { residual: Some(residual), ..Default::default() }
}

/// `T5DenseActDense` or `T5DenseGatedActDense`.
struct FeedForward {
    wi: Linear,
    wo: Linear,
    activation: Activation,
    gated: bool,
}

impl FeedForward {
    fn load(scope: &Scope, config: &Config) -> Result<Self> {
        let (activation, gated) = config.feed_forward()?;
        let names: &[&str] = if gated { &["wi_0", "wi_1"] } else { &["wi"] };
        Ok(Self {
            wi: Linear::load_plain(scope, names, config.d_ff, config.d_model)?,
            wo: Linear::load_plain(scope, &["wo"], config.d_model, config.d_ff)?,
            activation,
            gated,
        })
    }

    /// What is between the maps stays f32: trained T5 models reach beyond f16 there, for which the reference keeps `wo` in f32
    /// (`_keep_in_fp32_modules`).
    fn forward(&self, h: &Tensor, norm: Option<Norm>, x: &Tensor) -> Result<Tensor> {
        let activation = if self.gated { Activation::Identity } else { self.activation };
        let mut h = self.wi.forward(h, LinearOptions { norm, activation, ..Default::default() })?;
        if self.gated {
            h = h.gated(self.activation)?;
        }
        self.wo.forward(&h, onto(x))
    }
}

/// The texts that the decoder has room for.
#[derive(Debug, Clone)]
struct Texts {
    n: usize,
    /// `[n]` how many positions of each are real.
    lengths: Tensor,
    /// `[1]` the one in hand, where there may be several.
    region: Option<Tensor>,
}

impl Texts {
    /// Room for `n`; the `length` of one is that of the encoder.
    fn record(recorder: &Recorder, length: &Tensor, n: usize) -> Self {
        if n <= 1 {
            return Self { n: 1, lengths: length.clone(), region: None };
        }
        let lengths = recorder.state(format!("text lengths of {n}"), TensorType::u32([n]));
        Self { n, lengths, region: Some(recorder.state("text in hand", TensorType::u32([1]))) }
    }

    /// The shape of something that each of them has.
    fn for_each(&self, [n_rows, n_cols]: [usize; 2]) -> Vec<usize> {
        if self.n > 1 { vec![self.n, n_rows, n_cols] } else { vec![n_rows, n_cols] }
    }
}

/// What belongs to the sequences that are decoded at once: one text, or several.
struct Sequences {
    n: usize,
    /// `[n, V]`
    logits: Tensor,
    /// `[n, C]`
    tokens: Tensor,
    states: Tensor,
}

/// `T5Stack` as the decoder, with its head.
struct Decoder {
    config: Config,
    layers: Vec<DecoderLayer>,
    table: Tensor,
    head: Tensor,
    /// Of the last norm, scaled where the head's input is.
    norm_weight: Tensor,
    /// The same as the checkpoint has it, where it is scaled.
    stored_norm_weight: Option<Tensor>,
    bias: Tensor,
    flags: Tensor,
    texts: Texts,
    scope: Scope,
}

impl Decoder {
    fn load(weights: &Scope, config: &Config, texts: Texts) -> Result<Self> {
        let (recorder, scope, vocab, d) =
            (weights.recorder(), weights.scope("decoder"), config.vocab_size, config.d_model);
        let layers = (0..config.n_decoder_layers()).map(|i| DecoderLayer::load(&scope, i, config, &texts));
        let layers = layers.collect::<Result<_>>()?;
        let table = token_table(weights, config)?;
        let has_head = weights.has("lm_head.weight");
        let head = if has_head { weights.stacked(&["lm_head.weight"], vocab, d)? } else { table.clone() };
        let norm_weight = scope.vector("final_layer_norm.weight", d)?;
        let (norm_weight, stored_norm_weight) = match config.scales_outputs() {
            true => (recorder.state("scaled final norm", norm_weight.ty.clone()), Some(norm_weight)),
            false => (norm_weight, None),
        };
        let bias = TensorType::f32([config.num_heads, 2 * CAPACITY - 1]);
        Ok(Self {
            config: config.clone(),
            layers,
            table,
            head,
            norm_weight,
            stored_norm_weight,
            bias: recorder.state("decoder bias", bias),
            flags: recorder.constant("suppression", TensorType::u32([vocab]), &vec![0u32; vocab]),
            texts,
            scope,
        })
    }

    /// The slots of `n` sequences.
    fn sequences(&self, n: usize) -> Sequences {
        let recorder = self.scope.recorder();
        let label = |what: &str| if n == 1 { what.to_string() } else { format!("{what} of {n}") };
        Sequences {
            n,
            logits: recorder.state(label("logits"), TensorType::f32([n, self.config.vocab_size])),
            tokens: recorder.state(label("tokens"), decode_state::tokens_of(n, CAPACITY)),
            states: recorder.state(label("decode state"), decode_state::ty_of(n)),
        }
    }

    /// What is the same for every step of a text: each layer's keys and values of the encoder's output, and what follows from weights alone,
    /// which is too little to be worth a graph of its own.
    fn prepare(&self, encoded: &Tensor) -> Result<()> {
        distance_bias(&self.scope, &self.config, CAPACITY, false)?.store_in(&self.bias)?;
        if let Some(weight) = &self.stored_norm_weight {
            weight.scale((self.config.d_model as f32).sqrt().recip())?.store_in(&self.norm_weight)?;
        }
        self.layers.iter().try_for_each(|layer| layer.keep_encoded(encoded))
    }

    /// Rows of these sequences through all layers; `slots` as in `attention_cached`.
    fn layers(&self, of: &Sequences, x: Tensor, slots: Option<&Tensor>) -> Result<Tensor> {
        let options = CachedOptions { scale: SCALE, bias: Some(&self.bias), slots };
        self.layers.iter().try_fold(x, |x, layer| layer.forward(&x, &of.states, of.n == 1, options))
    }

    fn head(&self, x: &Tensor) -> Result<Tensor> {
        let norm = Norm { weight: &self.norm_weight, bias: None, eps: self.config.layer_norm_epsilon };
        x.linear(&self.head, LinearOptions { norm: Some(norm), ..Default::default() })
    }

    fn step(&self, of: &Sequences) -> Result<GraphId> {
        let recorder = self.scope.recorder();
        let graph = if of.n == 1 { recorder.begin("step") } else { recorder.begin(format!("step of {}", of.n)) };
        let at = Positions::Decode { state: &of.states, n_rows: of.n };
        let x = self.layers(of, of.tokens.embed(&self.table, None, None, at)?, None)?;
        self.head(&x)?.store_in(&of.logits)?;
        let cutoff = of.logits.sample_cutoff(&self.flags, &of.states)?;
        let parts = of.logits.sample_scan(&self.flags, &of.tokens, &of.states, Some(&cutoff))?;
        parts.sample_pick(&of.tokens, &of.states)?;
        Ok(graph)
    }

    /// The beams of one sequence.
    fn beams(&self, of: &Sequences, n_beams: usize) -> Result<BeamGraph> {
        let recorder = self.scope.recorder();
        let tokens = recorder.state(format!("tokens of {n_beams} beams"), TensorType::u32([n_beams]));
        let slots = recorder.state(format!("slots of {n_beams} beams"), TensorType::u32([CAPACITY, n_beams]));
        // Twice as many as there are beams: as many may end at once, and the others go on.
        let n_top = (2 * n_beams).min(self.config.vocab_size);
        let candidates =
            recorder.state(format!("candidates of {n_beams} beams"), TensorType::f32([n_beams, 2 * n_top]));
        let graph = recorder.begin(format!("{n_beams} beams"));
        let at = Positions::Sequence { seq_len: n_beams, first: 0 };
        let x = self.layers(of, tokens.embed(&self.table, None, None, at)?, Some(&slots))?;
        self.head(&x)?.top_tokens(n_top)?.store_in(&candidates)?;
        Ok(BeamGraph { n_beams, graph, tokens: tokens.slot(), slots: slots.slot(), candidates: candidates.slot() })
    }
}

/// `T5Block` of the decoder with its caches.
struct DecoderLayer {
    n_heads: usize,
    norm1: LayerNorm,
    qkv: Linear,
    out: Linear,
    norm2: LayerNorm,
    cross_q: Linear,
    cross_kv: Linear,
    cross_out: Linear,
    norm3: LayerNorm,
    feed_forward: FeedForward,
    /// `[2 C, I]`, keys above values; one behind the other where there are several texts.
    cache: Tensor,
    /// `[512, 2 I]`, keys beside values; one behind the other where there are several texts.
    encoded_kv: Tensor,
    texts: Texts,
}

impl DecoderLayer {
    fn load(decoder: &Scope, i: usize, config: &Config, texts: &Texts) -> Result<Self> {
        let block = decoder.scope(format!("block.{i}"));
        let (d, inner) = (config.d_model, config.inner());
        let (attention, cross) = (block.scope("layer.0.SelfAttention"), block.scope("layer.1.EncDecAttention"));
        let recorder = decoder.recorder();
        let activation = recorder.options.activation;
        let cache = TensorType::new(activation, texts.for_each([2 * CAPACITY, inner]));
        let encoded_kv = TensorType::new(activation, texts.for_each([LENGTHS[LENGTHS.len() - 1], 2 * inner]));
        Ok(Self {
            n_heads: config.num_heads,
            norm1: rms(&block, "layer.0.layer_norm", config)?,
            qkv: Linear::load_plain(&attention, &["q", "k", "v"], inner, d)?,
            out: Linear::load_plain(&attention, &["o"], d, inner)?,
            norm2: rms(&block, "layer.1.layer_norm", config)?,
            cross_q: Linear::load_plain(&cross, &["q"], inner, d)?,
            cross_kv: Linear::load_plain(&cross, &["k", "v"], inner, d)?,
            cross_out: Linear::load_plain(&cross, &["o"], d, inner)?,
            norm3: rms(&block, "layer.2.layer_norm", config)?,
            feed_forward: FeedForward::load(&block.scope("layer.2.DenseReluDense"), config)?,
            cache: recorder.state(format!("kv cache {i}"), cache),
            encoded_kv: recorder.state(format!("encoded kv {i}"), encoded_kv),
            texts: texts.clone(),
        })
    }

    fn keep_encoded(&self, encoded: &Tensor) -> Result<()> {
        let output = encoded.recorder().options.activation;
        let kv = self.cross_kv.forward(encoded, LinearOptions { output, ..Default::default() })?;
        kv.store_rows(&self.encoded_kv, self.texts.region.as_ref())
    }

    /// Rows of the sequences whose states these are; rows that are of `one` text look at the one in hand.
    fn forward(&self, x: &Tensor, states: &Tensor, one: bool, cached: CachedOptions) -> Result<Tensor> {
        let output = x.recorder().options.activation;
        let after = |norm| LinearOptions { norm, output, ..Default::default() };
        let h = self.qkv.forward(x, after(self.norm1.before()))?;
        let h = h.attention_cached(&self.cache, states, self.n_heads, cached)?;
        let x = &self.out.forward(&h, onto(x))?;
        let q = self.cross_q.forward(x, after(self.norm2.before()))?;
        let region = self.texts.region.as_ref().filter(|_| one);
        let options = CrossOptions { scale: SCALE, lengths: Some(&self.texts.lengths), region };
        let h = q.attention_cross(&self.encoded_kv, self.n_heads, options)?;
        let h = h.attention_combine(self.n_heads, output)?;
        let x = &self.cross_out.forward(&h, onto(x))?;
        self.feed_forward.forward(x, self.norm3.before(), x)
    }
}

/// Tokens of the text that stands for all when a backend is measured, and of its answer.
const MEASURED_TOKENS: usize = 32;
/// Rows of the token table in it; the rest costs as much a row.
const MEASURED_VOCAB: usize = 8192;

/// A layer of the encoder, a layer of the decoder and a share of the logits.
impl Representative for Config {
    fn work(&self) -> &'static str {
        "32 tokens from a text of 32"
    }

    fn sizes(&self) -> Vec<usize> {
        vec![MEASURED_TOKENS]
    }

    fn record_piece(&self, recorder: &Recorder, seq_len: usize) -> Result<Vec<Part>> {
        let (weights, d) = (recorder.weights(), self.d_model);
        let part = |graph, times, result: &Tensor, input| Part { graph, times, result: result.slot(), input };
        let length = recorder.state("text length", TensorType::u32([1]));
        let real = Some((length.slot(), (seq_len as u32).to_le_bytes().to_vec()));

        let bias = recorder.state("bias", TensorType::f32([self.num_heads, 2 * seq_len - 1]));
        let x = recorder.state("x", TensorType::f32([seq_len, d]));
        let y = recorder.state("y", TensorType::f32([seq_len, d]));
        let encoder = recorder.begin("encoder layer");
        encoder_layer(&weights.scope("encoder.block.0"), self, &x, &length, &bias)?.store_in(&y)?;

        let state = recorder.state("decode state", decode_state::ty());
        let bias = recorder.state("decoder bias", TensorType::f32([self.num_heads, 2 * CAPACITY - 1]));
        let layer = DecoderLayer::load(&weights.scope("decoder"), 0, self, &Texts::record(recorder, &length, 1))?;
        let row = recorder.state("row", TensorType::f32([1, d]));
        let next_row = recorder.state("next row", TensorType::f32([1, d]));
        let decoder = recorder.begin("decoder layer");
        let cached = CachedOptions { scale: SCALE, bias: Some(&bias), slots: None };
        layer.forward(&row, &state, true, cached)?.store_in(&next_row)?;
        let at = DecodeState { position: MEASURED_TOKENS as u32 / 2, n_rows: 1, ..bytemuck::Zeroable::zeroed() };

        let n_logits = self.vocab_size.min(MEASURED_VOCAB);
        let table = weights.tied_table("shared.weight", n_logits, d)?;
        let logits = recorder.state("logits", TensorType::f32([1, n_logits]));
        let choose = recorder.begin("logits");
        row.linear(&table, LinearOptions::default())?.store_in(&logits)?;

        let tokens = MEASURED_TOKENS as f64;
        let at = Some((state.slot(), bytemuck::bytes_of(&at).to_vec()));
        Ok(vec![
            part(encoder, self.num_layers as f64, &y, real),
            part(decoder, tokens * self.n_decoder_layers() as f64, &next_row, at),
            part(choose, tokens * self.vocab_size as f64 / n_logits as f64, &logits, None),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        let sizes = r#""d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 3, "num_heads": 4, "vocab_size": 100"#;
        Config::from_json(format!("{{{sizes}{json}}}").as_bytes()).expect("a configuration")
    }

    /// `T5Attention._relative_position_bucket` of transformers, for distances from -300 to 300.
    #[test]
    fn distances_share_buckets_as_in_the_reference() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/golden/t5.json")).expect("the golden file is JSON");
        for (case, expected) in golden["buckets"].as_object().expect("cases") {
            let [bidirectional, n, most] = case.split(' ').collect::<Vec<_>>()[..] else { panic!("{case}") };
            let json = format!(r#", "relative_attention_num_buckets": {n}, "relative_attention_max_distance": {most}"#);
            let got = config(&json).buckets(301, bidirectional == "True");
            let expected: Vec<u32> =
                expected.as_array().expect("numbers").iter().filter_map(|v| v.as_u64()).map(|v| v as u32).collect();
            assert_eq!(got, expected, "{case}");
        }
    }

    #[test]
    fn configurations_of_every_generation_are_understood() {
        let old = config("");
        assert_eq!((old.scales_outputs(), old.feed_forward().unwrap()), (true, (Activation::Relu, false)));
        let newer = config(r#", "tie_word_embeddings": false, "feed_forward_proj": "gated-gelu""#);
        assert_eq!((newer.scales_outputs(), newer.feed_forward().unwrap()), (false, (Activation::GeluTanh, true)));
        // Transformers 5 writes so what was a head of its own.
        let newest =
            config(r#", "tie_word_embeddings": true, "scale_decoder_outputs": false, "num_decoder_layers": 2"#);
        assert_eq!((newest.scales_outputs(), newest.n_decoder_layers()), (false, 2));
        assert!(Config::from_json(br#"{"d_model": 64}"#).is_err());
    }
}
