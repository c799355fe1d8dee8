//! Whisper (Radford et al. 2022, arXiv 2212.04356), after `model.py` of openai/whisper and under the names of Hugging Face's
//! checkpoints (`modeling_whisper.py`).
//!
//! T frames of the encoder (1500 for 30 s), C positions of the decoder (448), D model size, V vocabulary. This file only says
//! what is computed; when and from which audio is the business of `transcribe`.

use crate::engine::decode::DecoderGraphs;
use crate::engine::graph::{GraphId, Recorder, Scope, SlotId, Tensor};
use crate::engine::measure::{Part, Representative};
use crate::engine::nn::{LayerNorm, Linear};
use crate::engine::ops::attention::AttentionOptions;
use crate::engine::ops::attention_cached::CachedOptions;
use crate::engine::ops::attention_cross::CrossOptions;
use crate::engine::ops::conv1d::Conv1dOptions;
use crate::engine::ops::decode_state::{self, DecodeState};
use crate::engine::ops::embed::Positions;
use crate::engine::ops::linear::LinearOptions;
use crate::engine::ops::log_mel::{HOP, N_FFT};
use crate::engine::ops::math::Activation;
use crate::engine::ops::max_parts::N_PARTS as MAX_PARTS;
use crate::engine::ops::mel_scale::NO_LIMITS;
use crate::engine::ops::row_at::Row;
use crate::engine::tensor::TensorType;
use crate::engine::text::whisper::WhisperTokens;
use crate::engine::{Error, Result};
use serde::Deserialize;

/// PyTorch's default, which the reference keeps.
const EPS: f32 = 1e-5;

/// Rows of the prompt graphs; a prompt runs in the smallest that holds it.
const PROMPT_ROWS: [usize; 4] = [4, 16, 64, 256];
/// Rows of a prompt graph for several windows at most, all windows together: the parts of their cross-attention take the most memory.
const MOST_PROMPT_ROWS: usize = 1024;

/// `config.json`, under its own names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the names are the checkpoint's own and say it all")]
pub struct Config {
    pub d_model: usize,
    pub encoder_layers: usize,
    pub encoder_attention_heads: usize,
    pub encoder_ffn_dim: usize,
    pub decoder_layers: usize,
    pub decoder_attention_heads: usize,
    pub decoder_ffn_dim: usize,
    pub num_mel_bins: usize,
    pub max_source_positions: usize,
    pub max_target_positions: usize,
    pub vocab_size: usize,
    #[serde(default = "gelu")]
    pub activation_function: String,
    #[serde(default)]
    pub scale_embedding: bool,
}

fn gelu() -> String {
    "gelu".into()
}

impl Config {
    /// Samples of a window.
    pub fn n_samples(&self) -> usize {
        2 * self.max_source_positions * HOP
    }

    /// Reads and checks `config.json`.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let corrupt = |reason: String| Error::Corrupt { file: "config.json".into(), reason };
        let config: Config =
            serde_json::from_slice(json).map_err(|e| corrupt(format!("not a Whisper configuration ({e})")))?;
        if config.activation_function != "gelu" || config.scale_embedding {
            return Err(Error::Unsupported(format!(
                "activation `{}`, scaled embedding {}; Whisper has `gelu` and no scaling",
                config.activation_function, config.scale_embedding
            )));
        }
        for (heads, what) in [(config.encoder_attention_heads, "encoder"), (config.decoder_attention_heads, "decoder")]
        {
            if heads == 0 || !config.d_model.is_multiple_of(4 * heads) {
                return Err(corrupt(format!(
                    "d_model {} does not divide by {heads} {what} heads of vectors",
                    config.d_model
                )));
            }
        }
        Ok(config)
    }
}

/// The graphs of a recorded Whisper and the slots to reach them by.
#[derive(Debug, Clone)]
pub struct Whisper {
    /// Its configuration.
    pub config: Config,
    /// Audio to features.
    pub mel: GraphId,
    /// Features to the keys and values that the decoder looks at.
    pub encoder: GraphId,
    /// A prompt to its first token, by number of rows.
    pub prompts: Vec<(usize, GraphId)>,
    /// A token to the next.
    pub step: GraphId,
    /// `[2 T * 160 + 400]` samples, with margins.
    pub audio: SlotId,
    /// `[2]` loudest moment and number of frames; see `mel_scale`.
    pub limits: SlotId,
    /// `[64]` loudest moments of the window's parts.
    pub loudness: SlotId,
    /// `[2 T, M]` features.
    pub features: SlotId,
    /// `[T, D]` output of the encoder.
    pub encoded: SlotId,
    /// `[1, V]` logits of the last row.
    pub logits: SlotId,
    /// `[C]` tokens, prompt first.
    pub tokens: SlotId,
    /// The decoder's state.
    pub state: SlotId,
    /// `[1]` which of the windows at once the encoder works for, and the graphs for one look at; `None` where it is one.
    pub region: Option<SlotId>,
    /// The graphs that decode several windows at once.
    pub batch: Option<DecoderGraphs>,
}

impl Whisper {
    /// Records every graph; with a `batch_size` over 1 also those that decode so many windows at once.
    pub fn record(recorder: &Recorder, config: Config, tokens: &WhisperTokens, batch_size: usize) -> Result<Self> {
        let weights = recorder.weights().scope("model");
        let (n_frames, d, n_mels) = (config.max_source_positions, config.d_model, config.num_mel_bins);
        let audio = recorder.state("audio", TensorType::f32([config.n_samples() + N_FFT]));
        let features = recorder.state("features", TensorType::f32([2 * n_frames, n_mels]));
        let encoded = recorder.state("encoded", TensorType::f32([n_frames, d]));

        let limits = recorder.state("mel limits", TensorType::f32([NO_LIMITS.len()]));
        let loudness = recorder.state("loudness", TensorType::f32([MAX_PARTS]));
        let mel = recorder.begin("mel");
        let logs = audio.log_mel(n_mels)?;
        let parts = logs.max_parts()?;
        parts.store_in(&loudness)?;
        logs.mel_scale(&parts, &limits)?.store_in(&features)?;

        let decoder = Decoder::load(&weights.scope("decoder"), &config, tokens, batch_size)?;
        let encoder = recorder.begin("encoder");
        encode(&weights.scope("encoder"), &config, &features)?.store_in(&encoded)?;
        decoder.keep_encoded(&encoded)?;

        let one = decoder.sequences(1);
        let graphs = decoder.graphs(&one)?;
        let batch = match batch_size {
            0 | 1 => None,
            n_seqs => Some(decoder.graphs(&decoder.sequences(n_seqs))?),
        };
        Ok(Self {
            mel,
            encoder,
            batch,
            region: decoder.region.as_ref().map(Tensor::slot),
            audio: audio.slot(),
            limits: limits.slot(),
            loudness: loudness.slot(),
            features: features.slot(),
            encoded: encoded.slot(),
            logits: one.logits.slot(),
            tokens: graphs.tokens,
            state: graphs.state,
            prompts: graphs.prompts,
            step: graphs.step,
            config,
        })
    }
}

/// Tokens that stand for a window's text when a backend is measured: 30 s of speech at an easy pace.
const MEASURED_TOKENS: f64 = 40.0;
/// Frames of the smallest piece: 64 take a software adapter a quarter of a second.
const MEASURED_FRAMES: usize = 64;
/// Rows of the token table in it; the rest costs as much a row.
const MEASURED_VOCAB: usize = 8192;

/// Features, a layer of the encoder, a layer of the decoder and a share of the logits.
impl Representative for Config {
    fn work(&self) -> &'static str {
        "30 s of speech with 40 tokens"
    }

    fn sizes(&self) -> Vec<usize> {
        if self.max_source_positions <= MEASURED_FRAMES {
            return vec![self.max_source_positions];
        }
        vec![MEASURED_FRAMES, self.max_source_positions]
    }

    fn record_piece(&self, recorder: &Recorder, n_frames: usize) -> Result<Vec<Part>> {
        let piece = Config { max_source_positions: n_frames, ..self.clone() };
        let weights = recorder.weights().scope("model");
        let d = self.d_model;
        let part = |graph, times, result: &Tensor| Part { graph, times, result: result.slot(), input: None };

        let audio = recorder.state("audio", TensorType::f32([piece.n_samples() + N_FFT]));
        let logs = recorder.state("features", TensorType::f32([2 * n_frames, self.num_mel_bins]));
        let mel = recorder.begin("mel");
        audio.log_mel(self.num_mel_bins)?.store_in(&logs)?;

        let frames = recorder.state("frames", TensorType::f32([n_frames, d]));
        let encoded = recorder.state("encoded", TensorType::f32([n_frames, d]));
        let encoder = recorder.begin("encoder layer");
        encoder_layer(&weights.scope("encoder.layers.0"), &piece, &frames)?.store_in(&encoded)?;

        // The decoder looks at all frames whatever the size of the piece.
        let state = recorder.state("decode state", decode_state::ty());
        let layer = DecoderLayer::load(&weights.scope("decoder"), 0, self, 1)?;
        let row = recorder.state("row", TensorType::f32([1, d]));
        let next_row = recorder.state("next row", TensorType::f32([1, d]));
        let decoder = recorder.begin("decoder layer");
        layer.forward(&row, &state, None)?.store_in(&next_row)?;
        let at = DecodeState { position: MEASURED_TOKENS as u32 / 2, n_rows: 1, ..bytemuck::Zeroable::zeroed() };

        let n_logits = self.vocab_size.min(MEASURED_VOCAB);
        let table = weights.tied_table("decoder.embed_tokens.weight", n_logits, d)?;
        let norm = LayerNorm::load(&weights, "decoder.layer_norm", d, EPS)?;
        let logits = recorder.state("logits", TensorType::f32([1, n_logits]));
        let choose = recorder.begin("logits");
        row.linear(&table, LinearOptions { norm: norm.before(), ..Default::default() })?.store_in(&logits)?;

        let share = self.max_source_positions as f64 / n_frames as f64;
        let steps = MEASURED_TOKENS * self.decoder_layers as f64;
        Ok(vec![
            part(mel, share, &logs),
            part(encoder, share * self.work_of_encoder() / piece.work_of_layer(), &encoded),
            Part { input: Some((state.slot(), bytemuck::bytes_of(&at).to_vec())), ..part(decoder, steps, &next_row) },
            part(choose, MEASURED_TOKENS * self.vocab_size as f64 / n_logits as f64, &logits),
        ])
    }
}

impl Config {
    /// Multiplications of an encoder layer for one frame.
    fn work_of_layer(&self) -> f64 {
        let (d, ffn) = (self.d_model as f64, self.encoder_ffn_dim as f64);
        4.0 * d * d + 2.0 * d * ffn + 2.0 * self.max_source_positions as f64 * d
    }

    /// Multiplications of the whole encoder for one frame, the decoder's keys and values among them.
    fn work_of_encoder(&self) -> f64 {
        let (d, mels) = (self.d_model as f64, self.num_mel_bins as f64);
        let convolutions = 2.0 * 3.0 * mels * d + 3.0 * d * d;
        self.encoder_layers as f64 * self.work_of_layer() + convolutions + self.decoder_layers as f64 * 2.0 * d * d
    }
}

/// `WhisperEncoder`: features `[2 T, M]` to `[T, D]`.
fn encode(weights: &Scope, config: &Config, features: &Tensor) -> Result<Tensor> {
    let d = config.d_model;
    let bias = weights.vector("conv1.bias", d)?;
    let stem = Conv1dOptions { bias: &bias, residual: None, stride: 1, width: 3, activation: Activation::Gelu };
    let x = features.conv1d(&weights.conv_matrix("conv1.weight", d, config.num_mel_bins, 3)?, stem)?;
    let (bias, positions) = (
        weights.vector("conv2.bias", d)?,
        weights.matrix_f32("embed_positions.weight", config.max_source_positions, d)?,
    );
    let half = Conv1dOptions { bias: &bias, residual: Some(&positions), stride: 2, ..stem };
    let mut x = x.conv1d(&weights.conv_matrix("conv2.weight", d, d, 3)?, half)?;
    for i in 0..config.encoder_layers {
        x = encoder_layer(&weights.scope(format!("layers.{i}")), config, &x)?;
    }
    LayerNorm::load(weights, "layer_norm", d, EPS)?.forward_f32(&x)
}

/// `WhisperEncoderLayer`
fn encoder_layer(weights: &Scope, config: &Config, x: &Tensor) -> Result<Tensor> {
    let (d, ffn) = (config.d_model, config.encoder_ffn_dim);
    let inner = LinearOptions { output: x.recorder().options.activation, ..Default::default() };
    let attn = weights.scope("self_attn");
    let qkv = Linear::load_stacked(&attn, &["q_proj", "k_proj", "v_proj"], d, d)?;
    let h = LayerNorm::load(weights, "self_attn_layer_norm", d, EPS)?.forward(x)?;
    let h = qkv.forward(&h, inner)?.attention(
        config.encoder_attention_heads,
        config.max_source_positions,
        AttentionOptions::default(),
    )?;
    let x = Linear::load(&attn, "out_proj", d, d)?
        .forward(&h, LinearOptions { residual: Some(x), ..Default::default() })?;
    let h = LayerNorm::load(weights, "final_layer_norm", d, EPS)?.forward(&x)?;
    let h =
        Linear::load(weights, "fc1", ffn, d)?.forward(&h, LinearOptions { activation: Activation::Gelu, ..inner })?;
    Linear::load(weights, "fc2", d, ffn)?.forward(&h, LinearOptions { residual: Some(&x), ..Default::default() })
}

/// `WhisperDecoder` with its output projection, which is tied to the token table.
struct Decoder {
    layers: Vec<DecoderLayer>,
    table: Tensor,
    positions: Tensor,
    norm: LayerNorm,
    flags: Tensor,
    /// `[1]` the window in hand, where there may be several.
    region: Option<Tensor>,
    config: Config,
}

/// What belongs to the sequences that are decoded at once: one window, or several.
struct Sequences {
    n: usize,
    /// `[n, V]`
    logits: Tensor,
    /// `[n, V]`
    sot_logits: Tensor,
    /// `[n, C]`
    tokens: Tensor,
    states: Tensor,
}

impl Decoder {
    fn load(weights: &Scope, config: &Config, tokens: &WhisperTokens, batch_size: usize) -> Result<Self> {
        let (d, vocab) = (config.d_model, config.vocab_size);
        let recorder = weights.recorder();
        let layers = (0..config.decoder_layers).map(|i| DecoderLayer::load(weights, i, config, batch_size));
        let layers = layers.collect::<Result<_>>()?;
        Ok(Self {
            layers,
            table: weights.tied_table("embed_tokens.weight", vocab, d)?,
            positions: weights.matrix_f32("embed_positions.weight", config.max_target_positions, d)?,
            norm: LayerNorm::load(weights, "layer_norm", d, EPS)?,
            flags: recorder.constant("suppression", TensorType::u32([vocab]), &suppression(tokens, vocab)),
            region: (batch_size > 1).then(|| recorder.state("window in hand", TensorType::u32([1]))),
            config: config.clone(),
        })
    }

    /// The slots of `n` sequences.
    fn sequences(&self, n: usize) -> Sequences {
        let (recorder, vocab) = (self.table.recorder(), self.config.vocab_size);
        let label = |what: &str| if n == 1 { what.to_string() } else { format!("{what} of {n}") };
        Sequences {
            n,
            logits: recorder.state(label("logits"), TensorType::f32([n, vocab])),
            sot_logits: recorder.state(label("logits at start of transcript"), TensorType::f32([n, vocab])),
            tokens: recorder.state(label("tokens"), decode_state::tokens_of(n, self.config.max_target_positions)),
            states: recorder.state(label("decode state"), decode_state::ty_of(n)),
        }
    }

    /// Prompts and step for these sequences.
    fn graphs(&self, of: &Sequences) -> Result<DecoderGraphs> {
        let is_short = |n: usize| of.n == 1 || n == PROMPT_ROWS[0] || n * of.n <= MOST_PROMPT_ROWS;
        let rows = PROMPT_ROWS.into_iter().filter(|&n| n <= self.config.max_target_positions && is_short(n));
        let prompts = rows.map(|n| Ok((n, self.prompt(of, n)?))).collect::<Result<_>>()?;
        let step = self.step(of)?;
        let capacity = self.config.max_target_positions;
        Ok(DecoderGraphs { prompts, step, n_seqs: of.n, capacity, tokens: of.tokens.slot(), state: of.states.slot() })
    }

    /// Keys and values of the encoder's output for every layer.
    fn keep_encoded(&self, encoded: &Tensor) -> Result<()> {
        self.layers.iter().try_for_each(|layer| layer.keep_encoded(encoded, self.region.as_ref()))
    }

    /// `n_rows` rows of each sequence from its position on, through all layers.
    fn rows(&self, of: &Sequences, n_rows: usize) -> Result<Tensor> {
        let at = Positions::Decode { state: &of.states, n_rows: of.n * n_rows };
        let x = of.tokens.embed(&self.table, &self.positions, None, at)?;
        // Several sequences have a window each.
        let region = self.region.as_ref().filter(|_| of.n == 1);
        self.layers.iter().try_fold(x, |x, layer| layer.forward(&x, &of.states, region))
    }

    /// Logits of one row of each sequence, and the tokens they choose.
    fn choose(&self, of: &Sequences, rows: &Tensor) -> Result<()> {
        rows.linear(&self.table, LinearOptions { norm: self.norm.before(), ..Default::default() })?
            .store_in(&of.logits)?;
        of.logits.sample_scan(&self.flags, &of.tokens, &of.states, None)?.sample_pick(&of.tokens, &of.states)
    }

    fn prompt(&self, of: &Sequences, n_rows: usize) -> Result<GraphId> {
        let graph = self.begin(of, &format!("prompt {n_rows}"));
        let x = self.rows(of, n_rows)?;
        let sot = x.row_at(Row::Sot, &of.states)?;
        let logits = sot.linear(&self.table, LinearOptions { norm: self.norm.before(), ..Default::default() })?;
        logits.store_in(&of.sot_logits)?;
        of.sot_logits.sot_stats(&of.states, &of.tokens)?;
        self.choose(of, &x.row_at(Row::Last, &of.states)?)?;
        Ok(graph)
    }

    fn step(&self, of: &Sequences) -> Result<GraphId> {
        let graph = self.begin(of, "step");
        self.choose(of, &self.rows(of, 1)?)?;
        Ok(graph)
    }

    fn begin(&self, of: &Sequences, name: &str) -> GraphId {
        let recorder = self.table.recorder();
        if of.n == 1 { recorder.begin(name) } else { recorder.begin(format!("{name} of {}", of.n)) }
    }
}

/// Bit 0: never; bit 1: not as the first token.
fn suppression(tokens: &WhisperTokens, vocab: usize) -> Vec<u32> {
    let mut flags = vec![0u32; vocab];
    let mut set = |ids: &[u32], bit: u32| {
        for &id in ids {
            if let Some(flag) = flags.get_mut(id as usize) {
                *flag |= bit;
            }
        }
    };
    set(&tokens.suppress, 1);
    set(&tokens.begin_suppress, 2);
    flags
}

/// `WhisperDecoderLayer` with its caches.
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
    fc1: Linear,
    fc2: Linear,
    /// `[2 C, D]`, keys above values; one behind the other where there are several.
    cache: Tensor,
    /// `[T, 2 D]`, keys beside values; one behind the other where there are several.
    encoded_kv: Tensor,
}

/// The shape of something that each of the windows at once has.
fn for_each_window(batch_size: usize, [n_rows, n_cols]: [usize; 2]) -> Vec<usize> {
    if batch_size > 1 { vec![batch_size, n_rows, n_cols] } else { vec![n_rows, n_cols] }
}

impl DecoderLayer {
    fn load(weights: &Scope, i: usize, config: &Config, batch_size: usize) -> Result<Self> {
        let weights = weights.scope(format!("layers.{i}"));
        let (d, ffn) = (config.d_model, config.decoder_ffn_dim);
        let (attn, cross) = (weights.scope("self_attn"), weights.scope("encoder_attn"));
        let recorder = weights.recorder();
        let activation = recorder.options.activation;
        let cache = TensorType::new(activation, for_each_window(batch_size, [2 * config.max_target_positions, d]));
        let encoded_kv = TensorType::new(activation, for_each_window(batch_size, [config.max_source_positions, 2 * d]));
        Ok(Self {
            n_heads: config.decoder_attention_heads,
            norm1: LayerNorm::load(&weights, "self_attn_layer_norm", d, EPS)?,
            qkv: Linear::load_stacked(&attn, &["q_proj", "k_proj", "v_proj"], d, d)?,
            out: Linear::load(&attn, "out_proj", d, d)?,
            norm2: LayerNorm::load(&weights, "encoder_attn_layer_norm", d, EPS)?,
            cross_q: Linear::load(&cross, "q_proj", d, d)?,
            cross_kv: Linear::load_stacked(&cross, &["k_proj", "v_proj"], d, d)?,
            cross_out: Linear::load(&cross, "out_proj", d, d)?,
            norm3: LayerNorm::load(&weights, "final_layer_norm", d, EPS)?,
            fc1: Linear::load(&weights, "fc1", ffn, d)?,
            fc2: Linear::load(&weights, "fc2", d, ffn)?,
            cache: recorder.state(format!("kv cache {i}"), cache),
            encoded_kv: recorder.state(format!("encoded kv {i}"), encoded_kv),
        })
    }

    fn keep_encoded(&self, encoded: &Tensor, region: Option<&Tensor>) -> Result<()> {
        let output = encoded.recorder().options.activation;
        let kv = self.cross_kv.forward(encoded, LinearOptions { output, ..Default::default() })?;
        match region {
            Some(_) => kv.store_rows(&self.encoded_kv, region),
            None => kv.store_in(&self.encoded_kv),
        }
    }

    /// Rows of the sequences whose states these are; `region` is the window that all of them look at.
    fn forward(&self, x: &Tensor, state: &Tensor, region: Option<&Tensor>) -> Result<Tensor> {
        let activation = x.recorder().options.activation;
        let inside = LinearOptions { output: activation, ..Default::default() };
        let onto = |x| LinearOptions { residual: Some(x), ..Default::default() };
        let h = self.qkv.forward_normed(&self.norm1, x, inside)?.attention_cached(
            &self.cache,
            state,
            self.n_heads,
            CachedOptions::default(),
        )?;
        let x = &self.out.forward(&h, onto(x))?;
        let q = self.cross_q.forward_normed(&self.norm2, x, inside)?;
        let h = q
            .attention_cross(&self.encoded_kv, self.n_heads, CrossOptions { region, ..Default::default() })?
            .attention_combine(self.n_heads, activation)?;
        let x = &self.cross_out.forward(&h, onto(x))?;
        let gelu = LinearOptions { activation: Activation::Gelu, ..inside };
        let h = self.fc1.forward_normed(&self.norm3, x, gelu)?;
        self.fc2.forward(&h, onto(x))
    }
}
