//! The least logit that top-k and top-p let pass, by a radix selection over the bits of the logits.
//!
//! Operands: logits `[S, V]`, flags `[V]` (u32, bit 0 "never"), the states of S sequences, y `[S]`. A task is a sequence.

use crate::decode::DecodeState;
use crate::step::Io;

/// Lets everything pass.
const NO_CUTOFF: f32 = -3.0e38;
/// One in the fixed point that weights are summed in, which any order of adding leaves the same.
const ONE: f32 = (1u64 << 24) as f32;

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    DecodeState::count(io.read(2))
}

pub(crate) fn run(io: &Io, seq: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let state = DecodeState::of(io.read(2), seq);
    let (logits, flags) = (io.read::<f32>(0), io.read::<u32>(1));
    let logits = &logits[seq * flags.len()..][..flags.len()];
    io.write::<f32>(3, seq..seq + 1)[0] = cutoff(logits, flags, &state);
}

fn cutoff(logits: &[f32], flags: &[u32], state: &DecodeState) -> f32 {
    if state.temperature <= 0.0 || (state.top_k == 0 && state.top_p >= 1.0) {
        return NO_CUTOFF;
    }
    let allowed = || logits.iter().zip(flags).filter(|(_, flags)| **flags & 1 == 0).map(|(&logit, _)| logit);
    let most = allowed().fold(NO_CUTOFF, f32::max);
    let mut least = 0;
    if state.top_k > 0 {
        least = border(allowed(), 0, |_| 1, |all| all.min(state.top_k.into()));
    }
    if state.top_p < 1.0 {
        let weight = |logit: f32| (libm::expf((logit - most) / state.temperature) * ONE) as u64;
        least = border(allowed(), least, weight, |all| (f64::from(state.top_p) * all as f64) as u64);
    }
    logit_of(least)
}

/// The key from which on, downwards from the greatest, the sum of `weight` reaches what is wanted of all. Keys below `least` do not
/// count.
fn border(
    logits: impl Iterator<Item = f32> + Clone,
    least: u32,
    weight: impl Fn(f32) -> u64,
    wanted: impl Fn(u64) -> u64,
) -> u32 {
    let (mut prefix, mut above, mut enough) = (0u32, 0u64, 0u64);
    for shift in [24u32, 16, 8, 0] {
        let mut bins = [0u64; 256];
        for logit in logits.clone() {
            let key = key_of(logit);
            if key >= least && (shift == 24 || key >> (shift + 8) == prefix) {
                bins[(key >> shift) as usize & 255] += weight(logit);
            }
        }
        if shift == 24 {
            enough = wanted(bins.iter().sum());
        }
        let mut chosen = 255;
        for (bin, &sum) in bins.iter().enumerate().rev() {
            // An empty digit is no border.
            if sum == 0 {
                continue;
            }
            chosen = bin;
            if above + sum >= enough {
                break;
            }
            above += sum;
        }
        prefix = prefix << 8 | chosen as u32;
    }
    prefix
}

/// Bits in the order of the numbers.
fn key_of(logit: f32) -> u32 {
    let bits = logit.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn logit_of(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key })
}
