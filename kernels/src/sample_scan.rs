//! The first half of choosing a token: each part of the vocabulary under the suppression and timestamp rules.
//!
//! Operands: logits `[S, V]`, flags `[V]` (u32), tokens `[S, C]` (u32), the states of S sequences, cutoff `[S]`, the least logits that may
//! be chosen, or none, y `[S * 2 * P, 8]`: for each part first its text tokens, then its timestamps, as (greatest score, its token, that token's logit, greatest logit, sum of exp(logit - greatest)).

use crate::decode::{DecodeState, History, PART_SIZE, allowed, random};
use crate::lanes::{exp_and_sum, max};
use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a scan.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// P
    pub n_parts: u32,
}

/// Parts of a task.
const PARTS: usize = 8;

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    (io.params::<Params>().n_parts as usize).div_ceil(PARTS) * DecodeState::count(io.read(3))
}

pub(crate) fn run(io: &Io, task: usize, _n_threads: usize, scratch: &mut [f32]) {
    let n_parts = io.params::<Params>().n_parts as usize;
    let n_tasks = n_parts.div_ceil(PARTS);
    let (seq, task) = (task / n_tasks, task % n_tasks);
    let (states, tokens) = (io.read(3), io.read::<u32>(2));
    let n_tokens = tokens.len() / DecodeState::count(states);
    let flags = io.read::<u32>(1);
    let state = DecodeState::of(states, seq);
    let choice = Choice {
        logits: &io.read::<f32>(0)[seq * flags.len()..][..flags.len()],
        flags,
        least: io.optional::<f32>(4).map_or(f32::MIN, |cutoff| cutoff[seq]),
        history: History::of(&state, &tokens[seq * n_tokens..][..n_tokens]),
        state,
    };
    let size = flags.len().div_ceil(n_parts);
    for part in task * PARTS..((task + 1) * PARTS).min(n_parts) {
        let start = (part * size).min(flags.len());
        let end = (start + size).min(flags.len());
        let first_time = (choice.state.timestamp_begin as usize).clamp(start, end);
        let at = 2 * (seq * n_parts + part) * PART_SIZE;
        let y = io.write::<f32>(5, at..at + 2 * PART_SIZE);
        let (text, times) = y.split_at_mut(PART_SIZE);
        for (range, y) in [(start..first_time, text), (first_time..end, times)] {
            y.copy_from_slice(&choice.best_of(range, scratch));
        }
    }
}

/// What the choice of a sequence's next token depends on.
struct Choice<'a> {
    logits: &'a [f32],
    flags: &'a [u32],
    least: f32,
    state: DecodeState,
    history: History,
}

impl Choice<'_> {
    /// The row of some tokens.
    fn best_of(&self, tokens: core::ops::Range<usize>, scratch: &mut [f32]) -> [f32; PART_SIZE] {
        let state = &self.state;
        let next = state.position + state.n_rows;
        let mut best = (-3.0e38f32, 0, -3.0e38f32);
        let mut n_allowed = 0;
        for token in tokens {
            let logit = self.logits[token];
            if logit < self.least || !allowed(token as u32, self.flags[token], state, &self.history) {
                continue;
            }
            scratch[n_allowed] = logit;
            n_allowed += 1;
            // The greatest logit over the temperature plus Gumbel noise is a sample of the softmax.
            let score = if state.temperature > 0.0 {
                let u = f64::from(random(state.seed, next, token as u32));
                (f64::from(logit / state.temperature) - libm::log(-libm::log(u))) as f32
            } else {
                logit
            };
            if score > best.0 {
                best = (score, token, logit);
            }
        }
        let logits = &mut scratch[..n_allowed];
        let most = max(logits, -3.0e38);
        let sum = exp_and_sum(logits, most);
        [best.0, best.1 as f32, best.2, most, sum, 0.0, 0.0, 0.0]
    }
}
