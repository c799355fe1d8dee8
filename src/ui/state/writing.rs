//! What the text-to-text panel knows: the texts that are being written, and how fast.

use leptos::prelude::*;

use crate::protocol::{Event, FinishReason, GenerateTimings, Generation};

/// A text that is being written for a text. Each has its own signals: a token that comes redraws its text only.
#[derive(Debug, Clone)]
pub struct Piece {
    /// What it is written for.
    pub prompt: String,
    /// The words so far.
    pub text: ArcRwSignal<String>,
    /// Why it ended, once it has.
    pub finish: ArcRwSignal<Option<FinishReason>>,
    /// Why the model could not read what it is written for.
    pub trouble: ArcRwSignal<Option<String>>,
}

impl Piece {
    /// Nothing is written yet.
    pub fn new(prompt: String) -> Self {
        let (text, finish, trouble) = Default::default();
        Self { prompt, text, finish, trouble }
    }
}

/// How fast tokens come, as the page sees it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pulse {
    /// Tokens so far.
    pub n_tokens: usize,
    /// When the first came and when the last, in milliseconds on the page's clock.
    between: Option<(f64, f64)>,
}

impl Pulse {
    /// So many tokens came at this time.
    pub fn beat(&mut self, n_tokens: usize, now_ms: f64) {
        self.n_tokens += n_tokens;
        self.between = Some((self.between.map_or(now_ms, |(first, _)| first), now_ms));
    }

    /// Tokens a second since the first one; `None` while that says nothing.
    pub fn tokens_per_s(&self) -> Option<f64> {
        let (first, last) = self.between?;
        (self.n_tokens > 3 && last - first > 100.0).then(|| (self.n_tokens - 1) as f64 / (last - first) * 1e3)
    }
}

/// The panel's signals.
#[derive(Debug, Clone, Copy, Default)]
pub struct Writing {
    /// What the visitor has typed.
    pub prompt: RwSignal<String>,
    /// The texts in hand.
    pub pieces: RwSignal<Vec<Piece>>,
    /// How fast they grow.
    pub pulse: RwSignal<Pulse>,
    /// What they took, once all are done.
    pub timings: RwSignal<Option<GenerateTimings>>,
}

impl Writing {
    /// Take in what the engine said, at this time on the page's clock, of a job that writes these pieces.
    pub fn grow(&self, pieces: &[Piece], event: &Event, now_ms: f64) {
        if let Event::Generating { index, text, new_tokens, .. } = event
            && let Some(piece) = pieces.get(*index as usize)
        {
            self.pulse.update(|pulse| pulse.beat(new_tokens.len(), now_ms));
            piece.text.set(text.clone());
        }
    }

    /// These pieces are written.
    pub fn end(&self, pieces: &[Piece], outputs: Vec<Generation>, timings: GenerateTimings) {
        for (piece, Generation { text, finish, .. }) in pieces.iter().zip(outputs) {
            piece.text.set(text);
            piece.finish.set(Some(finish));
        }
        self.timings.update(|all| {
            let before =
                all.unwrap_or(GenerateTimings { first_token_ms: timings.first_token_ms, ..Default::default() });
            let n_tokens = |timings: &GenerateTimings| timings.tokens_per_s * timings.decode_ms;
            let decode_ms = before.decode_ms + timings.decode_ms;
            *all = Some(GenerateTimings {
                encode_ms: before.encode_ms + timings.encode_ms,
                decode_ms,
                first_token_ms: before.first_token_ms,
                total_ms: before.total_ms + timings.total_ms,
                tokens_per_s: (n_tokens(&before) + n_tokens(&timings)) / decode_ms.max(1e-3),
            });
        });
    }
}
