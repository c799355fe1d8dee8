//! What steers decoding: the decoder's state, the rules by which the next token may be chosen, and the choice.
//!
//! The rules are `ApplyTimestampRules`, `SuppressBlank` and `SuppressTokens` of openai/whisper `decoding.py`. The layout of the state
//! is that of `shaders/shared/decode_state.wgsl`; a test compares the two.

use bytemuck::{Pod, Zeroable};

/// Steers the decoding of one sequence: a window of speech, a text. All positions are indices into the `tokens` state.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct DecodeState {
    /// Position of the first row of the next run.
    pub position: u32,
    /// How many rows of it are real; the token after them is chosen.
    pub n_rows: u32,
    /// Position of the first token that is chosen and not given.
    pub sample_begin: u32,
    /// Position at which decoding stops at the latest.
    pub limit: u32,
    /// 1 once the end of text was chosen or the limit reached; later runs change nothing.
    pub finished: u32,
    /// Greatest timestamp token chosen so far, 0 for none.
    pub last_timestamp: u32,
    /// Row of the prompt that holds start-of-transcript.
    pub sot_row: u32,
    /// End-of-text token.
    pub eot: u32,
    /// First timestamp token; the vocabulary's size where there are none.
    pub timestamp_begin: u32,
    /// The no-timestamps token.
    pub no_timestamps: u32,
    /// Whether the timestamp rules are in force (0 or 1).
    pub use_timestamps: u32,
    /// Latest first timestamp, counted from `timestamp_begin`.
    pub max_initial_timestamp: u32,
    /// The no-speech token.
    pub no_speech: u32,
    /// First language token.
    pub language_begin: u32,
    /// How many language tokens there are.
    pub n_languages: u32,
    /// Seed of the random numbers.
    pub seed: u32,
    /// 0 for greedy decoding.
    pub temperature: f32,
    /// Sum of the chosen tokens' log-probabilities, end of text included.
    pub sum_logprob: f32,
    /// Probability of the no-speech token at start-of-transcript.
    pub no_speech_prob: f32,
    /// Most probable language token at start-of-transcript.
    pub language: u32,
    /// While sampling: among how many of the most probable tokens; 0 for all.
    pub top_k: u32,
    /// While sampling: among the most probable tokens that have this probability together; 1 for all.
    pub top_p: f32,
    /// 1 until the language that a prompt is to have was put into it (`place_language`); that run chooses no token, and the next is the first.
    pub detects: u32,
}

impl DecodeState {
    /// How many 32-bit words it has.
    pub const N_WORDS: usize = size_of::<Self>() / 4;

    /// Reads it out of its [`Self::N_WORDS`] words.
    pub fn from_words(words: &[u32]) -> Self {
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(words))
    }

    /// How many states lie in these words, one for each sequence that is decoded.
    pub fn count(words: &[u32]) -> usize {
        words.len() / Self::N_WORDS
    }

    /// That of sequence `seq`.
    pub fn of(words: &[u32], seq: usize) -> Self {
        Self::from_words(&words[seq * Self::N_WORDS..][..Self::N_WORDS])
    }

    /// Puts the most probable language behind start-of-transcript, where the sequence is to find it out.
    pub fn place_language(&self, tokens: &mut [u32]) {
        if self.detects != 0
            && let Some(token) = tokens.get_mut(self.sot_row as usize + 1)
        {
            *token = self.language;
        }
    }

    /// Writes it into its [`Self::N_WORDS`] words.
    pub fn write_to(self, words: &mut [u32]) {
        words.copy_from_slice(bytemuck::cast_slice(&[self]));
    }
}

/// The last two tokens, as far as the rules ask for them.
#[derive(Debug, Clone, Copy)]
pub struct History {
    n_sampled: u32,
    last_is_timestamp: bool,
    penultimate_is_timestamp: bool,
}

impl History {
    /// Of the tokens chosen so far.
    pub fn of(state: &DecodeState, tokens: &[u32]) -> Self {
        let next = state.position + state.n_rows;
        let is_timestamp = |at: u32| tokens.get(at as usize).is_some_and(|&t| t >= state.timestamp_begin);
        let n_sampled = next.saturating_sub(state.sample_begin);
        Self {
            n_sampled,
            last_is_timestamp: n_sampled >= 1 && is_timestamp(next.wrapping_sub(1)),
            penultimate_is_timestamp: n_sampled < 2 || is_timestamp(next.wrapping_sub(2)),
        }
    }
}

/// Whether the rules allow `token` next. `flags`: bit 0 "never", bit 1 "not as the first token".
pub fn allowed(token: u32, flags: u32, state: &DecodeState, history: &History) -> bool {
    let is_first = history.n_sampled == 0;
    if flags & 1 != 0 || (is_first && flags & 2 != 0) {
        return false;
    }
    if state.use_timestamps == 0 {
        return true;
    }
    let is_timestamp = token >= state.timestamp_begin;
    if token == state.no_timestamps {
        return false;
    }
    // Timestamps come in pairs, the end of a segment and the start of the next, except before the end of text.
    if history.last_is_timestamp && history.penultimate_is_timestamp && is_timestamp {
        return false;
    }
    if history.last_is_timestamp && !history.penultimate_is_timestamp && token < state.eot {
        return false;
    }
    // They never go back, and a segment is never empty.
    if is_timestamp && state.last_timestamp != 0 {
        let repeats = history.last_is_timestamp && !history.penultimate_is_timestamp;
        if token < state.last_timestamp + u32::from(!repeats) {
            return false;
        }
    }
    // The first token is a timestamp, and an early one.
    !is_first || (is_timestamp && token <= state.timestamp_begin.saturating_add(state.max_initial_timestamp))
}

/// Floats of a part's row of candidates: (greatest score, its token, that token's logit, greatest logit, sum of exp(logit -
/// greatest), and three unused).
pub const PART_SIZE: usize = 8;

/// The best token of a region, and the logarithm of the sum of its exponentials.
#[derive(Clone, Copy)]
struct Region {
    score: f32,
    token: u32,
    logit: f32,
    most: f32,
    log_sum: f64,
}

impl Region {
    /// Puts the parts of text (`which` 0) or timestamps (1) together.
    fn of(parts: &[f32], which: usize) -> Self {
        let parts = || parts.chunks_exact(PART_SIZE).skip(which).step_by(2);
        let mut best = Region { score: -3.0e38, token: 0, logit: -3.0e38, most: -3.0e38, log_sum: f64::NEG_INFINITY };
        for p in parts() {
            if p[0] > best.score {
                best = Region { score: p[0], token: p[1] as u32, logit: p[2], ..best };
            }
            best.most = best.most.max(p[3]);
        }
        let most = f64::from(best.most);
        let sum: f64 = parts().map(|p| f64::from(p[4]) * libm::exp(f64::from(p[3]) - most)).sum();
        best.log_sum = most + libm::log(sum);
        best
    }
}

/// Chooses between the candidates for text and for timestamps (rows of [`PART_SIZE`], in turn), writes the token and moves the state
/// on. Changes nothing once the state is finished.
pub fn pick(parts: &[f32], tokens: &mut [u32], state: &mut DecodeState) {
    if state.finished != 0 {
        return;
    }
    if state.detects != 0 {
        state.detects = 0;
        return;
    }
    let (text, times) = (Region::of(parts, 0), Region::of(parts, 1));
    let only_times = state.use_timestamps == 1 && times.log_sum > f64::from(text.most);
    let chosen = if only_times || times.score > text.score { times } else { text };
    let log_sum = if only_times {
        times.log_sum
    } else {
        let most = text.log_sum.max(times.log_sum);
        most + libm::log(libm::exp(text.log_sum - most) + libm::exp(times.log_sum - most))
    };
    let next = state.position + state.n_rows;
    if let Some(token) = tokens.get_mut(next as usize) {
        *token = chosen.token;
    }
    state.sum_logprob += (f64::from(chosen.logit) - log_sum) as f32;
    if chosen.token >= state.timestamp_begin {
        state.last_timestamp = chosen.token;
    }
    state.position = next;
    state.n_rows = 1;
    state.finished = u32::from(chosen.token == state.eot || next + 1 >= state.limit);
}

/// Uniform in (0, 1), by PCG (O'Neill 2014) over seed, position and token.
pub fn random(seed: u32, position: u32, token: u32) -> f32 {
    let mut hash = seed;
    for word in [position, token] {
        let v = (hash ^ word).wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        let v = ((v >> ((v >> 28) + 4)) ^ v).wrapping_mul(277_803_737);
        hash = (v >> 22) ^ v;
    }
    ((hash >> 8) as f32 + 0.5) / 16_777_216.0
}
