//! For tests: runs one step natively on operands given as slices, by a team of as many threads as wanted.

use crate::host::Heap;
use crate::memory::ALIGN;
use crate::step::MOST_OPERANDS;
use crate::{Call, Operand, Step};

/// What `call` writes as its last operand, of `n_out` floats, which are NaN before; `inputs` are the others, empty where absent.
pub(crate) fn run(call: Call, inputs: &[&[u8]], n_out: usize, n_threads: usize) -> Vec<f32> {
    let mut end = Heap::BASE;
    let mut place = |len: usize| {
        let offset = end.next_multiple_of(ALIGN);
        end = offset + len;
        Operand { offset: offset as u32, len: len as u32 }
    };
    let nothing = vec![f32::NAN; n_out];
    let contents: Vec<&[u8]> = inputs.iter().copied().chain([bytemuck::cast_slice(&nothing)]).collect();
    let mut operands = [Operand::default(); MOST_OPERANDS];
    for (operand, bytes) in operands.iter_mut().zip(&contents) {
        *operand = place(bytes.len());
    }
    let steps = place(size_of::<Step>());
    let mut heap = Heap::new(end, n_threads);
    for (operand, bytes) in operands.iter().zip(&contents) {
        heap.write(*operand, 0, bytes);
    }
    heap.write(steps, 0, bytemuck::bytes_of(&Step::new(&call, operands)));
    heap.run(steps);
    let bytes = heap.read(operands[inputs.len()]);
    bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect()
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
