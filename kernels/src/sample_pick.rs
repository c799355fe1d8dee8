//! The second half of choosing a token: decides between text and timestamps, writes the token and moves the state on.
//!
//! Operands: parts `[2 * P, 8]` (`sample_scan`), tokens `[C]` (u32, written), the decoder's state (written).

use crate::decode::DecodeState;
use crate::step::Io;

/// Floats of a part's row.
const PART_SIZE: usize = 8;

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

pub(crate) fn n_tasks(_io: &Io, _n_threads: usize) -> usize {
    1
}

pub(crate) fn run(io: &Io, _task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let parts = io.read::<f32>(0);
    let (tokens, words) = (io.write_all::<u32>(1), io.write_all::<u32>(2));
    let mut state = DecodeState::from_words(words);
    if state.finished != 0 {
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
    state.write_to(words);
}
