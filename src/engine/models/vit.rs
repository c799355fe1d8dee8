//! Vision transformers under the names of Hugging Face's checkpoints: ViT (Dosovitskiy et al. 2020, arXiv 2010.11929, `modeling_vit.py`),
//! DeiT (Touvron et al. 2020, arXiv 2012.12877, `modeling_deit.py`), and DINOv2 (Oquab et al. 2023, arXiv 2304.07193,
//! `modeling_dinov2.py`) with and without registers (Darcet et al. 2023, arXiv 2309.16588).
//!
//! B pictures of P patches, T = P and the model's own tokens; D hidden size. Each B is a graph of its own, since shapes are static.

use super::pre_norm::{self, Names, Shape};
use crate::engine::graph::{GraphId, Recorder, Scope, SlotId, Tensor};
use crate::engine::measure::{Part, Representative};
use crate::engine::nn::{LayerNorm, Linear};
use crate::engine::ops::linear::LinearOptions;
use crate::engine::ops::math::Activation;
use crate::engine::tensor::TensorType;
use crate::engine::weights::PositionGrid;
use crate::engine::{Error, Result};
use serde::Deserialize;

/// Tokens of a full batch at most: enough rows for a matrix product to run at its best on a large GPU.
const BATCH_TOKENS: usize = 2304;

/// Pictures of each graph of a model that makes `n_tokens` of a picture: the powers of two up to what fills a batch, which is 4 to 16.
/// Intermediate tensors are shared, so it is the largest that takes memory; each has a slot for its own input.
pub(super) fn batches(n_tokens: usize) -> Vec<usize> {
    let fitting = (BATCH_TOKENS / n_tokens.max(1)).clamp(4, 16);
    (0..=fitting.ilog2()).map(|power| 1 << power).collect()
}

/// `config.json`, under its own names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the names are the checkpoint's own and say it all")]
pub struct Config {
    pub model_type: String,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    /// DINOv2 has `mlp_ratio` instead.
    pub intermediate_size: Option<usize>,
    pub mlp_ratio: Option<f64>,
    #[serde(default = "default_image_size")]
    pub image_size: usize,
    pub patch_size: usize,
    #[serde(default = "default_channels")]
    pub num_channels: usize,
    #[serde(default = "default_act")]
    pub hidden_act: String,
    #[serde(default = "default_eps")]
    pub layer_norm_eps: f32,
    #[serde(default)]
    pub use_swiglu_ffn: bool,
    #[serde(default = "default_registers")]
    pub num_register_tokens: usize,
    /// Whether query, key and value have a bias.
    #[serde(default = "yes")]
    pub qkv_bias: bool,
}

fn yes() -> bool {
    true
}

fn default_image_size() -> usize {
    224
}

fn default_channels() -> usize {
    3
}

fn default_act() -> String {
    "gelu".into()
}

fn default_registers() -> usize {
    4
}

fn default_eps() -> f32 {
    1e-6
}

/// The families that are read here, by `model_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Vit,
    Deit,
    Dinov2,
    /// With registers.
    Registers,
}

/// Layers of ViT and DeiT.
const VIT: Names = Names {
    norm1: "layernorm_before",
    qkv: ["attention.attention.query", "attention.attention.key", "attention.attention.value"],
    out: "attention.output.dense",
    norm2: "layernorm_after",
    fc: ["intermediate.dense", "output.dense"],
    scales: None,
};

/// Layers of DINOv2.
const DINOV2: Names = Names {
    norm1: "norm1",
    norm2: "norm2",
    fc: ["mlp.fc1", "mlp.fc2"],
    scales: Some(["layer_scale1.lambda1", "layer_scale2.lambda1"]),
    ..VIT
};

/// Layers of DINOv2-giant.
const DINOV2_GATED: Names = Names { fc: ["mlp.weights_in", "mlp.weights_out"], ..DINOV2 };

impl Config {
    /// The values of `model_type` that are read here.
    pub const MODEL_TYPES: [&'static str; 4] = ["vit", "deit", "dinov2", "dinov2_with_registers"];

    /// Reads and checks `config.json`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where sizes do not fit together, [`Error::Unsupported`] for what is not known here.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let corrupt = |reason: String| Error::Corrupt { file: "config.json".into(), reason };
        let mut config: Config = serde_json::from_slice(json)
            .map_err(|e| corrupt(format!("not the configuration of a vision transformer ({e})")))?;
        let family = config.family()?;
        if family != Family::Registers {
            config.num_register_tokens = 0;
        }
        Activation::from_name(&config.hidden_act)?;
        if config.num_channels != 3 {
            let n = config.num_channels;
            return Err(Error::Unsupported(format!(
                "its pictures have {n} channels; only red, green and blue are known"
            )));
        }
        let (d, heads) = (config.hidden_size, config.num_attention_heads);
        if heads == 0 || !d.is_multiple_of(4 * heads) {
            return Err(corrupt(format!("hidden_size {d} does not divide by {heads} heads of vectors")));
        }
        if config.patch_size == 0 || config.image_size < config.patch_size {
            let (patch, size) = (config.patch_size, config.image_size);
            return Err(corrupt(format!("pictures of {size} pixels have no patches of {patch}")));
        }
        Ok(config)
    }

    fn family(&self) -> Result<Family> {
        Ok(match self.model_type.as_str() {
            "vit" => Family::Vit,
            "deit" => Family::Deit,
            "dinov2" => Family::Dinov2,
            "dinov2_with_registers" => Family::Registers,
            other => return Err(Error::Unsupported(format!("`{other}` is no vision transformer that is known here"))),
        })
    }

    fn inner_size(&self) -> usize {
        let by_ratio = (self.hidden_size as f64 * self.mlp_ratio.unwrap_or(4.0)) as usize;
        // A gated part has a third matrix, and two thirds of the width, in steps of eight.
        let gated = (by_ratio as f64 * 2.0 / 3.0) as usize;
        if self.use_swiglu_ffn { gated.next_multiple_of(8) } else { self.intermediate_size.unwrap_or(by_ratio) }
    }

    fn names(&self) -> &'static Names {
        match self.family() {
            Ok(Family::Dinov2 | Family::Registers) if self.use_swiglu_ffn => &DINOV2_GATED,
            Ok(Family::Dinov2 | Family::Registers) => &DINOV2,
            _ => &VIT,
        }
    }

    fn shape(&self, seq_len: usize) -> Result<Shape> {
        Ok(Shape {
            d: self.hidden_size,
            inner: self.inner_size(),
            n_heads: self.num_attention_heads,
            seq_len,
            eps: self.layer_norm_eps,
            activation: if self.use_swiglu_ffn { Activation::Silu } else { Activation::from_name(&self.hidden_act)? },
            causal: false,
            gated: self.use_swiglu_ffn,
            qkv_bias: self.qkv_bias,
        })
    }

    /// Tokens in front of the patches: class, distillation, registers.
    fn n_own(&self) -> usize {
        1 + usize::from(self.model_type == "deit") + self.num_register_tokens
    }
}

/// B pictures and their graph.
#[derive(Debug, Clone)]
pub struct Batch {
    /// B
    pub n_pictures: usize,
    /// Its graph.
    pub graph: GraphId,
    /// `[B * P, 3 * patch * patch]`, f32: patches as `image::patches` makes them.
    pub patches: SlotId,
    /// `[B, D]`, f32: the class token behind the last normalisation.
    pub features: SlotId,
    /// `[B, N]`, f32, where there is a classifier.
    pub logits: Option<SlotId>,
}

/// A recorded vision transformer.
#[derive(Debug, Clone)]
pub struct Vit {
    /// Its configuration.
    pub config: Config,
    /// Pixels along each side of a picture.
    pub size: usize,
    /// Its graphs, smallest first.
    pub batches: Vec<Batch>,
    /// How many labels its classifier knows; 0 where it has none.
    pub n_labels: usize,
    /// What logits are multiplied with: two classifiers are averaged.
    pub logit_scale: f32,
}

/// A checkpoint's classifier.
enum Head {
    None,
    /// Of the class token.
    Class(Linear),
    /// Of the class token and of the distillation token.
    Two(Linear, Linear),
    /// Of the class token beside the mean of the patches.
    ClassAndMean(Linear),
}

impl Vit {
    /// Records a graph for every number of pictures, of `size` pixels along each side.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Shape`] where the checkpoint is another; [`Error::Unsupported`] where the pictures' size is not
    /// the model's.
    pub fn record(recorder: &Recorder, config: Config, size: usize) -> Result<Self> {
        let root = recorder.weights();
        let prefix = config.model_type.clone();
        let weights = if root.has("embeddings.cls_token") { root.clone() } else { root.scope(prefix) };
        let (head, n_labels) = load_head(&root, &config)?;
        let logit_scale = if matches!(head, Head::Two(..)) { 0.5 } else { 1.0 };
        let side = size / config.patch_size;
        let batches = batches(config.n_own() + side * side)
            .into_iter()
            .map(|n| record_batch(&weights, &config, &head, n_labels, n, size))
            .collect::<Result<_>>()?;
        Ok(Self { config, size, batches, n_labels, logit_scale })
    }
}

/// The classifier and how many labels it knows.
fn load_head(root: &Scope, config: &Config) -> Result<(Head, usize)> {
    let d = config.hidden_size;
    let n_labels = |name: &str| root.shape(&format!("{name}.weight")).and_then(|shape| shape.first().copied());
    if let (Some(n), Some(_)) = (n_labels("cls_classifier"), n_labels("distillation_classifier")) {
        let head = |name| Linear::load(root, name, n, d);
        return Ok((Head::Two(head("cls_classifier")?, head("distillation_classifier")?), n));
    }
    let Some(n) = n_labels("classifier") else { return Ok((Head::None, 0)) };
    Ok(match config.family()? {
        Family::Vit | Family::Deit => (Head::Class(Linear::load(root, "classifier", n, d)?), n),
        Family::Dinov2 | Family::Registers => (Head::ClassAndMean(Linear::load(root, "classifier", n, 2 * d)?), n),
    })
}

fn record_batch(
    weights: &Scope,
    config: &Config,
    head: &Head,
    n_labels: usize,
    n_pictures: usize,
    size: usize,
) -> Result<Batch> {
    let (recorder, d, n) = (weights.recorder(), config.hidden_size, n_pictures);
    let side = size / config.patch_size;
    let n_tokens = config.n_own() + side * side;
    let row = 3 * config.patch_size * config.patch_size;
    let patches = recorder.state(format!("patches {n}"), TensorType::f32([n * side * side, row]));
    let features = recorder.state(format!("features {n}"), TensorType::f32([n, d]));
    let logits = (n_labels > 0).then(|| recorder.state(format!("logits {n}"), TensorType::f32([n, n_labels])));
    let graph = recorder.begin(format!("{n} pictures"));
    let mut x = embed(&weights.scope("embeddings"), config, &patches, n, side)?;
    for i in 0..config.num_hidden_layers {
        let weights = weights.scope(format!("encoder.layer.{i}"));
        x = pre_norm::layer(&weights, config.names(), config.shape(n_tokens)?, &x)?;
    }
    let norm = LayerNorm::load(weights, "layernorm", d, config.layer_norm_eps)?;
    // What a classifier does not look at need not be normalised.
    let token = |x: &Tensor, t: usize| {
        let rows: Vec<u32> = (0..n).map(|b| (b * n_tokens + t) as u32).collect();
        x.gather(&recorder.constant(&format!("rows of token {t} of {n}"), TensorType::u32([n]), &rows))
    };
    let classify = |head: &Linear, x: &Tensor, sum: Option<&Tensor>| {
        head.forward(x, LinearOptions { residual: sum, ..Default::default() })
    };
    let class = norm.forward_f32(&token(&x, 0)?)?;
    let result = match head {
        Head::None => None,
        Head::Class(head) => Some(classify(head, &class, None)?),
        Head::Two(first, second) => {
            let sum = classify(first, &class, None)?;
            Some(classify(second, &norm.forward_f32(&token(&x, 1)?)?, Some(&sum))?)
        }
        Head::ClassAndMean(head) => {
            Some(classify(head, &norm.forward_f32(&x)?.class_mean(n_tokens, config.n_own())?, None)?)
        }
    };
    class.store_in(&features)?;
    if let (Some(result), Some(logits)) = (result, &logits) {
        result.store_in(logits)?;
    }
    let logits = logits.map(|logits| logits.slot());
    Ok(Batch { n_pictures, graph, patches: patches.slot(), features: features.slot(), logits })
}

/// Patches and the model's own tokens, in their places.
fn embed(weights: &Scope, config: &Config, patches: &Tensor, n_pictures: usize, side: usize) -> Result<Tensor> {
    let (d, patch, n_registers) = (config.hidden_size, config.patch_size, config.num_register_tokens);
    let projection = weights.scope("patch_embeddings.projection");
    let weight = projection.flattened("weight", &[d, 3, patch, patch])?;
    let bias = projection.vector("bias", d)?;
    let x = patches.linear(&weight, LinearOptions { bias: Some(&bias), ..Default::default() })?;

    let (one, registers) = ([1, 1, d], [1, n_registers, d]);
    let mut own: Vec<(&str, &[usize])> = vec![("cls_token", &one)];
    if config.family()? == Family::Deit {
        own.push(("distillation_token", &one));
    }
    // Places of the checkpoint's pictures; registers have none.
    let n_before = own.len();
    if n_registers > 0 {
        own.push(("register_tokens", &registers));
    }
    let tokens = weights.rows_f32(&own, d)?;
    let from = config.image_size / config.patch_size;
    let stored = [1, n_before + from * from, d];
    let positions = match config.family()? {
        _ if from == side => weights.rows_f32(&[("position_embeddings", &stored)], d)?,
        family @ (Family::Dinov2 | Family::Registers) => {
            let grid = PositionGrid { n_before, from, to: side, antialias: family == Family::Registers };
            weights.resampled("position_embeddings", &stored, d, grid)?
        }
        Family::Vit | Family::Deit => {
            let (expected, got) = (config.image_size, side * patch);
            let what = format!("its pictures are prepared with {got} pixels a side, but it takes {expected}");
            return Err(Error::Unsupported(what));
        }
    };
    x.picture_tokens(&tokens, &positions, n_pictures, n_registers)
}

/// One layer, at the shape of one picture of 224 pixels or of the model's own size.
impl Representative for Config {
    fn work(&self) -> &'static str {
        "one picture"
    }

    fn sizes(&self) -> Vec<usize> {
        let side = self.image_size.min(default_image_size()) / self.patch_size;
        vec![self.n_own() + side * side]
    }

    fn record_piece(&self, recorder: &Recorder, n_tokens: usize) -> Result<Vec<Part>> {
        let ty = TensorType::f32([n_tokens, self.hidden_size]);
        let (x, y) = (recorder.state("x", ty.clone()), recorder.state("y", ty));
        let graph = recorder.begin("layer");
        let weights = recorder.weights().scope("encoder.layer.0");
        pre_norm::layer(&weights, self.names(), self.shape(n_tokens)?, &x)?.store_in(&y)?;
        Ok(vec![Part { graph, times: self.num_hidden_layers as f64, result: y.slot(), input: None }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_patches_make_large_batches() {
        assert_eq!(batches(197), [1, 2, 4, 8], "224 pixels in patches of 16");
        assert_eq!(batches(257), [1, 2, 4, 8], "224 pixels in patches of 14");
        assert_eq!(batches(50), [1, 2, 4, 8, 16], "224 pixels in patches of 32");
        assert_eq!(batches(1370), [1, 2, 4], "518 pixels in patches of 14");
    }

    #[test]
    fn biases_are_there_unless_the_configuration_says_otherwise() {
        let read = |more: &str| {
            let json = format!(
                r#"{{"model_type": "vit", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "patch_size": 16{more}}}"#
            );
            Config::from_json(json.as_bytes()).expect("a configuration").qkv_bias
        };
        assert!(read(""));
        assert!(!read(r#", "qkv_bias": false"#));
    }
}
