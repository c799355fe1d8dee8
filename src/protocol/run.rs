//! Runs of a speech model: how to transcribe, how far it is, and what came of it.

use super::BackendChoice;
use serde::{Deserialize, Serialize};

/// What to do with speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpeechTask {
    /// Write it down in its own language.
    #[default]
    Transcribe,
    /// Write it down in English.
    Translate,
}

/// How to transcribe. By a model that was loaded for several windows at once (`LoadRequest::batch_size`) a recording over 30 s is cut at its pauses
/// into pieces, of which so many are decoded together: the prompt is given to each, and none is conditioned on the text before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TranscribeOptions {
    /// Language code (`en`, `de`, ...); `None` detects it.
    pub language: Option<String>,
    /// Transcribe or translate.
    pub task: SpeechTask,
    /// Whether the model writes timestamps. Recordings over 30 s always use them.
    pub timestamps: bool,
    /// Most tokens for one 30 s window.
    pub max_tokens: Option<u32>,
    /// Text that the speech is about or follows, for spelling and style.
    pub prompt: Option<String>,
    /// Whether a window is conditioned on the text before it, as the reference does; pieces that are decoded together are not.
    pub condition_on_previous_text: bool,
    /// Sampling temperatures tried in turn until one passes the reference's thresholds.
    pub temperatures: Vec<f32>,
}

impl Default for TranscribeOptions {
    fn default() -> Self {
        Self {
            language: None,
            task: SpeechTask::Transcribe,
            timestamps: true,
            max_tokens: None,
            prompt: None,
            condition_on_previous_text: true,
            temperatures: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
        }
    }
}

/// The stage a run is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStage {
    /// Another job is running.
    Queued,
    /// Log-mel features.
    Mel,
    /// The encoder.
    Encode,
    /// Tokens.
    Decode,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RunProgress {
    /// The stage.
    pub stage: RunStage,
    /// Share of the stage that is done, 0 to 1, where it is known.
    pub stage_done: Option<f32>,
    /// Seconds of audio whose text is final.
    pub done_s: f64,
    /// Seconds of audio in all, so far.
    pub total_s: f64,
}

/// A finished stretch of text with its times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Seconds from the start of the recording.
    pub start: f64,
    /// Seconds from the start of the recording.
    pub end: f64,
    /// The words, with the model's own leading space.
    pub text: String,
    /// The tokens, timestamps included.
    pub tokens: Vec<u32>,
    /// Mean log-probability of the window's tokens.
    pub avg_logprob: f32,
    /// Probability that the window holds no speech.
    pub no_speech_prob: f32,
    /// The temperature that was accepted.
    pub temperature: f32,
}

/// A whole transcription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// The words.
    pub text: String,
    /// Language code, given or detected.
    pub language: String,
    /// Every token of every segment.
    pub tokens: Vec<u32>,
    /// The stretches.
    pub segments: Vec<Segment>,
    /// What it took.
    pub timings: Timings,
    /// What ran it.
    pub backend: BackendChoice,
    /// What ran it, as its driver names it.
    pub adapter: String,
}

/// What a transcription took.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Timings {
    /// Length of the recording in seconds.
    pub audio_s: f64,
    /// Log-mel features.
    pub mel_ms: f64,
    /// The encoder and the cross-attention keys and values.
    pub encode_ms: f64,
    /// Prompts and tokens.
    pub decode_ms: f64,
    /// From command to text. Of a live recording: from its end to its text.
    pub total_ms: f64,
    /// From command to the first token.
    pub first_token_ms: f64,
    /// Decoded tokens a second of `decode_ms`.
    pub tokens_per_s: f64,
    /// Seconds of work for a second of audio.
    pub rtf: f64,
}
