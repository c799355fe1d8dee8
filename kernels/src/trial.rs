//! For tests: runs one step natively on operands given as slices, by a team of as many threads as wanted.

use crate::memory::ALIGN;
use crate::step::MOST_OPERANDS;
use crate::{Call, Memory, Operand, SCRATCH_BYTES, Step, Team};

/// A cache line, so that a vector of them is aligned as a plan's memory is.
#[repr(C, align(64))]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Line([u8; ALIGN]);

/// What `call` writes as its last operand, of `n_out` floats, which are NaN before; `inputs` are the others, empty where absent.
pub(crate) fn run(call: Call, inputs: &[&[u8]], n_out: usize, n_threads: usize) -> Vec<f32> {
    let mut lines = Vec::new();
    let mut operands = [Operand::default(); MOST_OPERANDS];
    let out = vec![f32::NAN; n_out];
    for (operand, bytes) in operands.iter_mut().zip(inputs.iter().copied().chain([bytemuck::cast_slice(&out)])) {
        *operand = Operand { offset: (lines.len() * ALIGN) as u32, len: bytes.len() as u32 };
        let first = lines.len();
        lines.resize(first + bytes.len().div_ceil(ALIGN), Line([0xff; ALIGN]));
        bytemuck::cast_slice_mut(&mut lines[first..])[..bytes.len()].copy_from_slice(bytes);
    }
    let len = lines.len() * ALIGN;
    // SAFETY: the lines outlive the team, aligned, and nothing else touches them meanwhile.
    let memory = unsafe { Memory::new(lines.as_mut_ptr().cast(), len) };
    let steps = [Step::new(&call, operands)];
    let team = Team::new();
    std::thread::scope(|scope| {
        for _ in 0..n_threads {
            // Rubbish, as earlier tasks leave it.
            scope.spawn(|| team.run(&memory, &steps, 1, n_threads, &mut vec![f32::NAN; SCRATCH_BYTES / 4]));
        }
    });
    let out = operands[inputs.len()];
    let at = out.offset as usize;
    bytemuck::cast_slice(&bytemuck::cast_slice::<Line, u8>(&lines)[at..at + out.len as usize]).to_vec()
}

/// Numbers that look random, between -1 and 1, now and then twenty times as large: sums of equals would prove little.
pub(crate) fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut x = seed.wrapping_mul(2_654_435_761).max(1);
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        let v = (x >> 8) as f32 / 8_388_608.0 - 1.0;
        if x.is_multiple_of(97) { 20.0 * v } else { v }
    };
    (0..n).map(|_| next()).collect()
}

/// Rounds to f16.
pub(crate) fn to_f16(values: &[f32]) -> Vec<u16> {
    values.iter().map(|v| half::f16::from_f32(*v).to_bits()).collect()
}

/// Asserts that all numbers are as near to the expected ones as `tolerance * (1 + scale)` says, which a NaN never is.
#[track_caller]
pub(crate) fn assert_near(got: &[f32], expected: &[f64], scale: f64, tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(*got) - expected).abs();
        assert!(error <= tolerance * (1.0 + scale), "{what}: [{i}] is {got}, expected {expected}");
    }
}
