//! Short loops over rows that several kernels share, written so that the compiler puts them into vector registers.
//!
//! Sums run in sixteen lanes: fast, and with a smaller rounding error than one long sum.

const LANES: usize = 16;

/// Scalar product of two slices of the same length.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + tail
}

/// `y += factor * x`
pub(crate) fn add_scaled(y: &mut [f32], factor: f32, x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += factor * x;
    }
}

/// The greatest element, or `least` where all are smaller.
pub(crate) fn max(values: &[f32], least: f32) -> f32 {
    let mut most = [least; LANES];
    let chunks = values.chunks_exact(LANES);
    let tail = chunks.remainder().iter().copied().fold(least, f32::max);
    for chunk in chunks {
        for lane in 0..LANES {
            most[lane] = if chunk[lane] > most[lane] { chunk[lane] } else { most[lane] };
        }
    }
    most.into_iter().fold(tail, f32::max)
}

/// Replaces each value by `exp(value - most)`; gives the sum.
pub(crate) fn exp_and_sum(values: &mut [f32], most: f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (i, v) in values.iter_mut().enumerate() {
        *v = libm::expf(*v - most);
        sums[i % LANES] += *v;
    }
    sums.iter().sum()
}
