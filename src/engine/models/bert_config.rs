//! What differs within the BERT family: the keys of `config.json` and the names of tensors.

use crate::engine::graph::Scope;
use crate::engine::ops::math::Activation;
use crate::engine::{Error, Result};
use serde::Deserialize;

/// The `model_type`s that [`Config::from_json`] reads.
pub const MODEL_TYPES: [&str; 5] = ["bert", "distilbert", "roberta", "xlm-roberta", "camembert"];

/// What names its tensors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kin {
    Bert,
    DistilBert,
    /// As BERT but for its head; positions are counted from the number of the padding token on.
    Roberta,
}

/// A configuration, whichever of the family it is of.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    kin: Kin,
    /// D
    pub hidden_size: usize,
    /// Layers.
    pub n_layers: usize,
    /// Heads of attention.
    pub n_heads: usize,
    /// Size of the wide layer between two linear maps.
    pub inner_size: usize,
    /// Longest text in tokens.
    pub max_positions: usize,
    /// Row of the table of positions that belongs to a text's first token.
    pub first_position: usize,
    /// Types of tokens; 0 where there is no table for them.
    pub type_vocab_size: usize,
    /// V
    pub vocab_size: usize,
    /// Added to variances.
    pub layer_norm_eps: f32,
    /// Between the two linear maps.
    pub activation: Activation,
    /// Whether the head's output matrix is the table of the input.
    pub tied: bool,
}

/// Names of a layer's linear maps and normalisations.
#[expect(missing_docs, reason = "the names say it all")]
pub struct LayerNames {
    pub qkv: [&'static str; 3],
    pub attention_out: &'static str,
    pub attention_norm: &'static str,
    pub widen: &'static str,
    pub narrow: &'static str,
    pub norm: &'static str,
}

/// Names of the head's parts, from the checkpoint's root.
pub struct HeadNames {
    /// The linear map of `[D, D]`.
    pub dense: &'static str,
    /// The normalisation behind it.
    pub norm: &'static str,
    /// The output matrix, `[V, D]`, where it is stored apart.
    pub decoder: &'static str,
    /// Names that the output's bias may have.
    pub bias: &'static [&'static str],
}

/// The keys of BERT's and RoBERTa's files.
#[derive(Deserialize)]
struct BertKeys {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "two")]
    type_vocab_size: usize,
    vocab_size: usize,
    #[serde(default = "small")]
    layer_norm_eps: f32,
    hidden_act: String,
    pad_token_id: Option<usize>,
    #[serde(default = "absolute")]
    position_embedding_type: String,
    #[serde(default = "yes")]
    tie_word_embeddings: bool,
}

/// The keys of DistilBERT's files.
#[derive(Deserialize)]
struct DistilBertKeys {
    dim: usize,
    n_layers: usize,
    n_heads: usize,
    hidden_dim: usize,
    max_position_embeddings: usize,
    vocab_size: usize,
    activation: String,
    #[serde(default = "yes")]
    tie_word_embeddings: bool,
}

fn two() -> usize {
    2
}

fn small() -> f32 {
    1e-12
}

fn yes() -> bool {
    true
}

fn absolute() -> String {
    "absolute".into()
}

impl Config {
    /// Reads and checks `config.json`.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Kind {
            model_type: String,
        }
        let corrupt = |reason: String| Error::Corrupt { file: "config.json".into(), reason };
        let wrong = |e: serde_json::Error| corrupt(format!("not a configuration of the BERT family ({e})"));
        let kind: Kind = serde_json::from_slice(json).map_err(wrong)?;
        let config = match kind.model_type.as_str() {
            "distilbert" => Self::from_distilbert(serde_json::from_slice(json).map_err(wrong)?)?,
            "bert" => Self::from_bert(Kin::Bert, serde_json::from_slice(json).map_err(wrong)?)?,
            _ => Self::from_bert(Kin::Roberta, serde_json::from_slice(json).map_err(wrong)?)?,
        };
        let (size, heads) = (config.hidden_size, config.n_heads);
        if heads == 0 || !size.is_multiple_of(4 * heads) {
            return Err(corrupt(format!("its hidden size {size} does not divide by {heads} heads of vectors")));
        }
        if config.n_layers == 0 || config.max_positions == 0 || config.vocab_size == 0 {
            return Err(corrupt("it has no layers, no positions or no vocabulary".into()));
        }
        Ok(config)
    }

    fn from_bert(kin: Kin, keys: BertKeys) -> Result<Self> {
        if keys.position_embedding_type != "absolute" {
            let got = keys.position_embedding_type;
            return Err(Error::Unsupported(format!("its positions are `{got}`, expected `absolute`")));
        }
        let first_position = if kin == Kin::Roberta { keys.pad_token_id.unwrap_or(1) + 1 } else { 0 };
        Ok(Self {
            kin,
            hidden_size: keys.hidden_size,
            n_layers: keys.num_hidden_layers,
            n_heads: keys.num_attention_heads,
            inner_size: keys.intermediate_size,
            max_positions: keys.max_position_embeddings.saturating_sub(first_position),
            first_position,
            type_vocab_size: keys.type_vocab_size,
            vocab_size: keys.vocab_size,
            layer_norm_eps: keys.layer_norm_eps,
            activation: Activation::from_name(&keys.hidden_act)?,
            tied: keys.tie_word_embeddings,
        })
    }

    fn from_distilbert(keys: DistilBertKeys) -> Result<Self> {
        Ok(Self {
            kin: Kin::DistilBert,
            hidden_size: keys.dim,
            n_layers: keys.n_layers,
            n_heads: keys.n_heads,
            inner_size: keys.hidden_dim,
            max_positions: keys.max_position_embeddings,
            first_position: 0,
            type_vocab_size: 0,
            vocab_size: keys.vocab_size,
            layer_norm_eps: 1e-12, // Written into modeling_distilbert.py.
            activation: Activation::from_name(&keys.activation)?,
            tied: keys.tie_word_embeddings,
        })
    }

    /// The encoder's place in the checkpoint: at its root, or below its name where it has heads beside it.
    pub fn body(&self, root: &Scope) -> Result<Scope> {
        let table = "embeddings.word_embeddings.weight";
        let names = ["bert", "distilbert", "roberta", "model"];
        let places = std::iter::once(root.clone()).chain(names.into_iter().map(|name| root.scope(name)));
        places.into_iter().find(|place| place.has(table)).ok_or_else(|| Error::MissingTensor { name: table.into() })
    }

    /// A layer's place in the encoder.
    pub fn layer(&self, body: &Scope, idx: usize) -> Scope {
        let layers = if self.kin == Kin::DistilBert { "transformer.layer" } else { "encoder.layer" };
        body.scope(format!("{layers}.{idx}"))
    }

    /// What a layer's parts are called.
    pub fn names(&self) -> LayerNames {
        match self.kin {
            Kin::Bert | Kin::Roberta => LayerNames {
                qkv: ["attention.self.query", "attention.self.key", "attention.self.value"],
                attention_out: "attention.output.dense",
                attention_norm: "attention.output.LayerNorm",
                widen: "intermediate.dense",
                narrow: "output.dense",
                norm: "output.LayerNorm",
            },
            Kin::DistilBert => LayerNames {
                qkv: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
                attention_out: "attention.out_lin",
                attention_norm: "sa_layer_norm",
                widen: "ffn.lin1",
                narrow: "ffn.lin2",
                norm: "output_layer_norm",
            },
        }
    }

    /// What the head's parts are called.
    pub fn head_names(&self) -> HeadNames {
        match self.kin {
            Kin::Bert => HeadNames {
                dense: "cls.predictions.transform.dense",
                norm: "cls.predictions.transform.LayerNorm",
                decoder: "cls.predictions.decoder.weight",
                bias: &["cls.predictions.bias", "cls.predictions.decoder.bias"],
            },
            Kin::DistilBert => HeadNames {
                dense: "vocab_transform",
                norm: "vocab_layer_norm",
                decoder: "vocab_projector.weight",
                bias: &["vocab_projector.bias"],
            },
            Kin::Roberta => HeadNames {
                dense: "lm_head.dense",
                norm: "lm_head.layer_norm",
                decoder: "lm_head.decoder.weight",
                bias: &["lm_head.bias", "lm_head.decoder.bias"],
            },
        }
    }

    /// The head of a checkpoint that was trained to judge texts or their words rather than to turn them into vectors, if it has one.
    pub fn judging_head(&self, root: &Scope) -> Option<&'static str> {
        // Of whole texts or of words; RoBERTa's of whole texts; of answers to questions.
        ["classifier.weight", "classifier.dense.weight", "qa_outputs.weight"].into_iter().find(|name| root.has(name))
    }

    /// Whether the checkpoint has a head for masked words.
    pub fn has_mask_head(&self, root: &Scope) -> bool {
        root.scope(self.head_names().dense).has("weight")
    }
}
