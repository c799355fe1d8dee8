//! CLIP (Radford et al. 2021, arXiv 2103.00020) under the names of Hugging Face's checkpoints, after `modeling_clip.py`.
//!
//! Two towers that meet in one space: texts and pictures become vectors of the same length, and the angle between them says how well they
//! fit. Each tower is a program of its own, so that one may be used while the other is still on its way.

use super::pre_norm::{self, Names, Shape};
use super::vit::batches;
use crate::engine::graph::{GraphId, Recorder, Scope, SlotId};
use crate::engine::measure::{Part, Representative};
use crate::engine::nn::LayerNorm;
use crate::engine::ops::embed::Positions;
use crate::engine::ops::linear::LinearOptions;
use crate::engine::ops::math::Activation;
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

/// `config.json`, under its own names; what old files leave out is what transformers takes instead.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are the checkpoint's own and say it all")]
pub struct Config {
    pub text_config: TextConfig,
    pub vision_config: VisionConfig,
    pub projection_dim: usize,
}

/// `text_config`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are the checkpoint's own and say it all")]
pub struct TextConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub max_position_embeddings: usize,
    pub hidden_act: String,
    pub layer_norm_eps: f32,
    pub eos_token_id: u32,
}

/// `vision_config`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are the checkpoint's own and say it all")]
pub struct VisionConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_channels: usize,
    pub image_size: usize,
    pub patch_size: usize,
    pub hidden_act: String,
    pub layer_norm_eps: f32,
}

/// `CLIPTextConfig`
impl Default for TextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49_408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: "quick_gelu".into(),
            layer_norm_eps: 1e-5,
            eos_token_id: 49_407,
        }
    }
}

/// `CLIPVisionConfig`
impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: "quick_gelu".into(),
            layer_norm_eps: 1e-5,
        }
    }
}

/// Layers of either tower.
const NAMES: Names = Names {
    norm1: "layer_norm1",
    qkv: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    out: "self_attn.out_proj",
    norm2: "layer_norm2",
    fc: ["mlp.fc1", "mlp.fc2"],
    scales: None,
};

fn corrupt(reason: String) -> Error {
    Error::Corrupt { file: "config.json".into(), reason }
}

impl Config {
    /// Reads and checks `config.json`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where sizes do not fit together, [`Error::Unsupported`] for what is not known here.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let wrong = |e: serde_json::Error| corrupt(format!("not a CLIP configuration ({e})"));
        let mut file: Value = serde_json::from_slice(json).map_err(wrong)?;
        // The first files have a part as `NAME_config_dict` too, or alone.
        let mut part = |name: &str| {
            let values = file[name].take();
            let values = if values.is_object() { values } else { file[format!("{name}_dict")].take() };
            if values.is_object() { values } else { Value::Object(serde_json::Map::new()) }
        };
        let text_config: TextConfig = serde_json::from_value(part("text_config")).map_err(wrong)?;
        let vision_config: VisionConfig = serde_json::from_value(part("vision_config")).map_err(wrong)?;
        let projection_dim = file["projection_dim"].as_u64().unwrap_or(512) as usize;
        let (text, vision) = (&text_config, &vision_config);
        for (tower, d, heads, act) in [
            ("text", text.hidden_size, text.num_attention_heads, &text.hidden_act),
            ("vision", vision.hidden_size, vision.num_attention_heads, &vision.hidden_act),
        ] {
            Activation::from_name(act)?;
            if heads == 0 || !d.is_multiple_of(4 * heads) {
                return Err(corrupt(format!(
                    "the {tower} tower's hidden_size {d} does not divide by {heads} heads of vectors"
                )));
            }
        }
        if vision.num_channels != 3 {
            let n = vision.num_channels;
            return Err(Error::Unsupported(format!(
                "its pictures have {n} channels; only red, green and blue are known"
            )));
        }
        if vision.patch_size == 0 || vision.image_size < vision.patch_size || text.max_position_embeddings < 2 {
            return Err(corrupt("it has no place for a patch, or for a token".into()));
        }
        Ok(Self { text_config, vision_config, projection_dim })
    }
}

impl TextConfig {
    fn shape(&self, seq_len: usize) -> Result<Shape> {
        Ok(Shape {
            d: self.hidden_size,
            inner: self.intermediate_size,
            n_heads: self.num_attention_heads,
            seq_len,
            eps: self.layer_norm_eps,
            activation: Activation::from_name(&self.hidden_act)?,
            causal: true,
            gated: false,
            qkv_bias: true,
        })
    }

    /// The position whose row becomes a text's vector: the first end-of-text token. Files from before that was written down say 2, and
    /// mean the greatest id, which is the same token in CLIP's vocabulary.
    pub fn pooled_position(&self, ids: &[u32]) -> usize {
        let wanted = if self.eos_token_id == 2 { ids.iter().copied().max() } else { Some(self.eos_token_id) };
        // As `argmax` of nothing but zeros, a text without such a token has its first row.
        ids.iter().position(|&id| Some(id) == wanted).unwrap_or(0)
    }
}

impl VisionConfig {
    fn shape(&self, seq_len: usize) -> Result<Shape> {
        Ok(Shape {
            d: self.hidden_size,
            inner: self.intermediate_size,
            n_heads: self.num_attention_heads,
            seq_len,
            eps: self.layer_norm_eps,
            activation: Activation::from_name(&self.hidden_act)?,
            causal: false,
            gated: false,
            qkv_bias: true,
        })
    }

    fn side(&self) -> usize {
        self.image_size / self.patch_size
    }
}

/// B texts of up to T tokens and their graph.
#[derive(Debug, Clone)]
pub struct TextBatch {
    /// B
    pub n_texts: usize,
    /// T
    pub seq_len: usize,
    /// Its graph.
    pub graph: GraphId,
    /// `[B * T]` token ids.
    pub ids: SlotId,
    /// `[B]`, u32: the row of each text that is pooled, counted over all texts.
    pub pooled: SlotId,
    /// `[B, projection_dim]`, f32, of any length.
    pub embeddings: SlotId,
}

/// The recorded text tower.
#[derive(Debug, Clone)]
pub struct TextTower {
    /// Its configuration.
    pub config: TextConfig,
    /// Its graphs.
    pub batches: Vec<TextBatch>,
    /// Copies `logit_scale` to where it can be read.
    pub scale_graph: GraphId,
    /// `[1, 1]`, f32: the logarithm of what cosines are multiplied with.
    pub logit_scale: SlotId,
}

/// Texts and tokens of each graph: labels are short, and a text may fill every place.
const TEXT_SHAPES: [(usize, usize); 4] = [(1, 16), (8, 16), (32, 16), (4, usize::MAX)];

impl TextTower {
    /// Records a graph for every shape.
    pub fn record(recorder: &Recorder, config: &Config) -> Result<Self> {
        let root = recorder.weights();
        let text = config.text_config.clone();
        let mut shapes = TEXT_SHAPES.map(|(n, len)| (n, len.min(text.max_position_embeddings))).to_vec();
        shapes.dedup();
        let batches = shapes
            .into_iter()
            .map(|(n_texts, seq_len)| text_batch(&root, config, n_texts, seq_len))
            .collect::<Result<_>>()?;
        let logit_scale = recorder.state("logit scale", TensorType::f32([1, 1]));
        let scale_graph = recorder.begin("logit scale");
        // Checkpoints have it as a number, some as a list of one.
        let stored = root.shape("logit_scale").unwrap_or_default();
        let first = recorder.constant("the only row", TensorType::u32([1]), &[0u32]);
        root.rows_f32(&[("logit_scale", &stored)], 1)?.gather(&first)?.store_in(&logit_scale)?;
        Ok(Self { config: text, batches, scale_graph, logit_scale: logit_scale.slot() })
    }
}

fn text_batch(root: &Scope, config: &Config, n_texts: usize, seq_len: usize) -> Result<TextBatch> {
    let (recorder, text, weights) = (root.recorder(), &config.text_config, root.scope("text_model"));
    let d = text.hidden_size;
    let shape = format!("{n_texts}x{seq_len}");
    let ids = recorder.state(format!("ids {shape}"), TensorType::u32([n_texts * seq_len]));
    let pooled = recorder.state(format!("pooled rows {shape}"), TensorType::u32([n_texts]));
    let embeddings = recorder.state(format!("text vectors {shape}"), TensorType::f32([n_texts, config.projection_dim]));
    let graph = recorder.begin(format!("texts {shape}"));
    let table = weights.matrix("embeddings.token_embedding.weight", text.vocab_size, d)?;
    let places = weights.matrix_f32("embeddings.position_embedding.weight", text.max_position_embeddings, d)?;
    let mut x = ids.embed(&table, &places, None, Positions::Sequence { seq_len, first: 0 })?;
    for i in 0..text.num_hidden_layers {
        x = pre_norm::layer(&weights.scope(format!("encoder.layers.{i}")), &NAMES, text.shape(seq_len)?, &x)?;
    }
    // A row sees nothing behind it, so padding needs no mask.
    let x = LayerNorm::load(&weights, "final_layer_norm", d, text.layer_norm_eps)?.forward_f32(&x.gather(&pooled)?)?;
    let projection = root.stacked(&["text_projection.weight"], config.projection_dim, d)?;
    x.linear(&projection, LinearOptions::default())?.store_in(&embeddings)?;
    let (ids, pooled, embeddings) = (ids.slot(), pooled.slot(), embeddings.slot());
    Ok(TextBatch { n_texts, seq_len, graph, ids, pooled, embeddings })
}

/// B pictures and their graph.
#[derive(Debug, Clone)]
pub struct PictureBatch {
    /// B
    pub n_pictures: usize,
    /// Its graph.
    pub graph: GraphId,
    /// `[B * P, 3 * patch * patch]`, f32: patches as `image::patches` makes them.
    pub patches: SlotId,
    /// `[B, projection_dim]`, f32, of any length.
    pub embeddings: SlotId,
}

/// The recorded picture tower.
#[derive(Debug, Clone)]
pub struct PictureTower {
    /// Its configuration.
    pub config: VisionConfig,
    /// Its graphs, smallest first.
    pub batches: Vec<PictureBatch>,
}

impl PictureTower {
    /// Records a graph for every number of pictures.
    pub fn record(recorder: &Recorder, config: &Config) -> Result<Self> {
        let root = recorder.weights();
        let side = config.vision_config.side();
        let batches = batches(1 + side * side).into_iter().map(|n| picture_batch(&root, config, n));
        let batches = batches.collect::<Result<_>>()?;
        Ok(Self { config: config.vision_config.clone(), batches })
    }
}

fn picture_batch(root: &Scope, config: &Config, n: usize) -> Result<PictureBatch> {
    let (recorder, vision, weights) = (root.recorder(), &config.vision_config, root.scope("vision_model"));
    let (d, patch, eps) = (vision.hidden_size, vision.patch_size, vision.layer_norm_eps);
    let n_patches = vision.side() * vision.side();
    let n_tokens = 1 + n_patches;
    let patches = recorder.state(format!("patches {n}"), TensorType::f32([n * n_patches, 3 * patch * patch]));
    let embeddings = recorder.state(format!("picture vectors {n}"), TensorType::f32([n, config.projection_dim]));
    let graph = recorder.begin(format!("{n} pictures"));
    let names = weights.scope("embeddings");
    let kernel = names.flattened("patch_embedding.weight", &[d, 3, patch, patch])?;
    let x = patches.linear(&kernel, LinearOptions::default())?;
    let class = names.rows_f32(&[("class_embedding", &[d])], d)?;
    let places = names.matrix_f32("position_embedding.weight", n_tokens, d)?;
    let x = x.picture_tokens(&class, &places, n, 0)?;
    // The checkpoints' own spelling.
    let mut x = LayerNorm::load(&weights, "pre_layrnorm", d, eps)?.forward_f32(&x)?;
    for i in 0..vision.num_hidden_layers {
        x = pre_norm::layer(&weights.scope(format!("encoder.layers.{i}")), &NAMES, vision.shape(n_tokens)?, &x)?;
    }
    let rows: Vec<u32> = (0..n).map(|b| (b * n_tokens) as u32).collect();
    let class = x.gather(&recorder.constant(&format!("rows of classes of {n}"), TensorType::u32([n]), &rows))?;
    let class = LayerNorm::load(&weights, "post_layernorm", d, eps)?.forward_f32(&class)?;
    let projection = root.stacked(&["visual_projection.weight"], config.projection_dim, d)?;
    class.linear(&projection, LinearOptions::default())?.store_in(&embeddings)?;
    Ok(PictureBatch { n_pictures: n, graph, patches: patches.slot(), embeddings: embeddings.slot() })
}

/// One layer of the picture tower, which is most of the work, at the shape of one picture.
impl Representative for Config {
    fn work(&self) -> &'static str {
        "one picture"
    }

    fn sizes(&self) -> Vec<usize> {
        vec![1 + self.vision_config.side() * self.vision_config.side()]
    }

    fn record_piece(&self, recorder: &Recorder, n_tokens: usize) -> Result<Vec<Part>> {
        let vision = &self.vision_config;
        let ty = TensorType::f32([n_tokens, vision.hidden_size]);
        let (x, y) = (recorder.state("x", ty.clone()), recorder.state("y", ty));
        let graph = recorder.begin("layer");
        let weights = recorder.weights().scope("vision_model.encoder.layers.0");
        pre_norm::layer(&weights, &NAMES, vision.shape(n_tokens)?, &x)?.store_in(&y)?;
        Ok(vec![Part { graph, times: vision.num_hidden_layers as f64, result: y.slot(), input: None }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form of openai/clip-vit-base-patch32: much is left out, and end of text is written as 2.
    #[test]
    fn an_old_configuration_means_the_references_defaults() {
        let json =
            br#"{"model_type": "clip", "projection_dim": 512, "text_config": {"eos_token_id": 2, "bos_token_id": 0},
            "vision_config": null, "vision_config_dict": {"patch_size": 16}}"#;
        let config = Config::from_json(json).expect("a configuration");
        assert_eq!((config.text_config.max_position_embeddings, config.text_config.hidden_size), (77, 512));
        assert_eq!((config.vision_config.patch_size, config.vision_config.hidden_size), (16, 768));
        assert_eq!(config.text_config.pooled_position(&[49406, 320, 49407, 49407]), 2);
    }

    #[test]
    fn the_first_end_of_text_is_pooled() {
        let text = TextConfig { eos_token_id: 7, ..Default::default() };
        assert_eq!(text.pooled_position(&[6, 90, 7, 7]), 2);
        assert_eq!(text.pooled_position(&[6, 90]), 0);
    }
}
