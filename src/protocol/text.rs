//! Runs of text models: generation, gaps in sentences, and what came of them.

use serde::{Deserialize, Serialize};

/// Most tokens that a text may be asked for: the cache of a text-to-text model has room for these and the one that a text begins with.
pub const MOST_NEW_TOKENS: u32 = 511;
/// Most beams of a search.
pub const MOST_BEAMS: u32 = 8;

/// How to generate text. A model that was loaded for several inputs at once (`LoadRequest::batch_size`) answers so many texts together, each as it
/// would alone; with beams it answers them one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GenerateOptions {
    /// Most tokens, 1 to [`MOST_NEW_TOKENS`]; `None` for what the repository says.
    pub max_tokens: Option<u32>,
    /// 0 for the most probable token each time, otherwise logits are divided by it and a token is drawn.
    pub temperature: f32,
    /// Draw among so many of the most probable tokens; `None` for all.
    pub top_k: Option<u32>,
    /// Draw among the most probable tokens that have this probability together, above 0; 1 for all.
    pub top_p: f32,
    /// Beams of a beam search, at most [`MOST_BEAMS`]; 1 for none. Beams are not drawn: `temperature` must be 0 with more than one.
    pub num_beams: u32,
    /// Seed of the random numbers: the same seed gives the same text.
    pub seed: u32,
    /// Tokens that are collected before they are told.
    pub stream_buffer_size: u32,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_tokens: None,
            temperature: 0.0,
            top_k: None,
            top_p: 1.0,
            num_beams: 1,
            seed: 0,
            stream_buffer_size: 1,
        }
    }
}

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinishReason {
    /// The model said so.
    EndOfText,
    /// As many tokens as were allowed.
    MaxTokens,
}

/// A generated text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// The words.
    pub text: String,
    /// Its tokens, end of text not among them.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish: FinishReason,
}

/// What generating took, over all texts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct GenerateTimings {
    /// The encoder.
    pub encode_ms: f64,
    /// The tokens.
    pub decode_ms: f64,
    /// From command to the first token of the first text.
    pub first_token_ms: f64,
    /// From command to the last text.
    pub total_ms: f64,
    /// Tokens a second of `decode_ms`.
    pub tokens_per_s: f64,
}

/// A word for a gap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaskCandidate {
    /// Which gap of the text, from 0.
    pub mask: u32,
    /// Its token.
    pub token: u32,
    /// The token in letters.
    pub text: String,
    /// Its probability.
    pub score: f32,
    /// The text with this gap filled, the others left open.
    pub sequence: String,
}
