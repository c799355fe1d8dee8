//! `y[t, m] = log10(max(filter_m . |FFT(hann * frame_t)|^2, 1e-10))`: Whisper's features before they are scaled.
//!
//! Operands: audio `[N + 400]`, table `[1200]` (Hann window, cosines, sines of the 400 points), filters `[M, 201]`, bands `[M, 2]` (each
//! filter's [`band`]), y `[N / 160, M]`.
//!
//! Eight frames at once: four transforms of complex numbers side by side in the lanes, each of one real frame in the real and another
//! in the imaginary part. A transform of 400 points is four Stockham stages of radices 4, 4, 5 and 5.

use crate::math::log10;
use crate::simd::F32x4;
use crate::step::Io;
use bytemuck::{Pod, Zeroable};
use core::array::from_fn;

/// Of a log-mel spectrogram.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// M
    pub n_mels: u32,
}

const N: usize = 400;
const HOP: usize = 160;
const N_BINS: usize = N / 2 + 1;
/// Frames that are transformed at once.
const TOGETHER: usize = 8;
/// Frames of a task.
const FRAMES: usize = 16 * TOGETHER;

/// A complex number of each of four transforms: real parts, imaginary parts.
type Complex = [F32x4; 2];
/// As it lies in memory.
type Stored = [[f32; 4]; 2];

/// The first bin that a filter weighs, and the end of those: what else it holds is zero.
pub fn band(filter: &[f32]) -> [u32; 2] {
    let weighed = |w: &f32| *w != 0.0;
    let (first, last) = (filter.iter().position(weighed), filter.iter().rposition(weighed));
    [first.unwrap_or(0) as u32, last.map_or(0, |last| last as u32 + 1)]
}

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    n_frames(io).div_ceil(FRAMES)
}

fn n_frames(io: &Io) -> usize {
    (io.read::<f32>(0).len() - N) / HOP
}

pub(crate) fn run(io: &Io, task: usize, _n_threads: usize, scratch: &mut [f32]) {
    let n_mels = io.params::<Params>().n_mels as usize;
    let (audio, table, filters) = (io.read::<f32>(0), io.read::<f32>(1), io.read::<f32>(2));
    let bands = io.read::<[u32; 2]>(3);
    let (first, end) = (task * FRAMES, ((task + 1) * FRAMES).min(n_frames(io)));
    let (points, power) = scratch.split_at_mut(2 * N * 8);
    let points = points.as_chunks_mut::<4>().0.as_chunks_mut::<2>().0;
    let power = &mut power.as_chunks_mut::<4>().0.as_chunks_mut::<2>().0[..N_BINS];
    for frame in (first..end).step_by(TOGETHER) {
        let n = TOGETHER.min(end - frame);
        spectra(audio, table, frame, n, points, power);
        mels(power, filters, bands, n, io.write(4, frame * n_mels..(frame + n) * n_mels));
    }
}

/// Power of `n` frames, bin by bin: of the even ones, then of the odd ones.
fn spectra(audio: &[f32], table: &[f32], first: usize, n: usize, points: &mut [Stored], power: &mut [Stored]) {
    let (a, b) = points.split_at_mut(N);
    // Frames past the end are the last one once more.
    let frames: [&[f32]; TOGETHER] = from_fn(|i| &audio[(first + i.min(n - 1)) * HOP..][..N]);
    for (i, (point, window)) in a.iter_mut().zip(table).enumerate() {
        *point = from_fn(|part| from_fn(|lane| frames[2 * lane + part][i] * window));
    }
    stage(a, b, 1, table, radix4);
    stage(b, a, 4, table, radix4);
    stage(a, b, 16, table, radix5);
    stage(b, a, 80, table, radix5);
    // A real frame's spectrum is even, so the sum and the difference with the mirrored point part the two frames.
    for (bin, power) in power.iter_mut().enumerate() {
        let ([ar, ai], [br, bi]) = (load(&a[bin]), load(&a[(N - bin) % N]));
        let norm = |re: F32x4, im: F32x4| (re * re + im * im) * F32x4::splat(0.25);
        store([norm(ar + br, ai - bi), norm(ai + bi, br - ar)], power);
    }
}

/// One stage: butterflies over spans of `span` finished points.
#[inline(never)]
fn stage<const RADIX: usize>(
    from: &[Stored],
    to: &mut [Stored],
    span: usize,
    table: &[f32],
    butterfly: impl Fn([Complex; RADIX]) -> [Complex; RADIX],
) {
    let (from, to) = (&from[..N], &mut to[..N]);
    let (cos, sin) = (&table[N..2 * N], &table[2 * N..3 * N]);
    let n_butterflies = N / RADIX;
    for k in 0..span {
        // exp(-2 pi i n / 400)
        let roots: [[F32x4; 2]; RADIX] = from_fn(|i| {
            let n = k * i * (N / (span * RADIX)) % N;
            [F32x4::splat(cos[n]), F32x4::splat(-sin[n])]
        });
        for j in (k..n_butterflies).step_by(span) {
            let points = butterfly(from_fn(|i| times(load(&from[j + i * n_butterflies]), roots[i])));
            let out = (j - k) * RADIX + k;
            for (o, point) in points.into_iter().enumerate() {
                store(point, &mut to[out + o * span]);
            }
        }
    }
}

#[inline(always)]
fn radix4(v: [Complex; 4]) -> [Complex; 4] {
    let (a, b, c, d) = (add(v[0], v[2]), sub(v[0], v[2]), add(v[1], v[3]), sub(v[1], v[3]));
    [add(a, c), minus_i_times(b, d), sub(a, c), plus_i_times(b, d)]
}

#[inline(always)]
fn radix5(v: [Complex; 5]) -> [Complex; 5] {
    // Cosines and sines of a fifth and two fifths of a circle.
    let [c1, c2, s1, s2] = [0.309_017, -0.809_017, 0.951_056_5, 0.587_785_25].map(F32x4::splat);
    let (a, b, c, d) = (add(v[1], v[4]), add(v[2], v[3]), sub(v[1], v[4]), sub(v[2], v[3]));
    let mix = |a: Complex, ca: F32x4, b: Complex, cb: F32x4| add(a.map(|a| a * ca), b.map(|b| b * cb));
    let (near, far) = (add(v[0], mix(a, c1, b, c2)), add(v[0], mix(a, c2, b, c1)));
    let (near_i, far_i) = (mix(c, s1, d, s2), sub(c.map(|c| c * s2), d.map(|d| d * s1)));
    [
        add(v[0], add(a, b)),
        minus_i_times(near, near_i),
        minus_i_times(far, far_i),
        plus_i_times(far, far_i),
        plus_i_times(near, near_i),
    ]
}

#[inline(always)]
fn add(a: Complex, b: Complex) -> Complex {
    [a[0] + b[0], a[1] + b[1]]
}

#[inline(always)]
fn sub(a: Complex, b: Complex) -> Complex {
    [a[0] - b[0], a[1] - b[1]]
}

#[inline(always)]
fn times(a: Complex, b: Complex) -> Complex {
    [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]]
}

/// `a + i b`
#[inline(always)]
fn plus_i_times(a: Complex, b: Complex) -> Complex {
    [a[0] - b[1], a[1] + b[0]]
}

/// `a - i b`
#[inline(always)]
fn minus_i_times(a: Complex, b: Complex) -> Complex {
    [a[0] + b[1], a[1] - b[0]]
}

#[inline(always)]
fn load(from: &Stored) -> Complex {
    [F32x4::load(&from[0]), F32x4::load(&from[1])]
}

#[inline(always)]
fn store(point: Complex, to: &mut Stored) {
    point[0].store(&mut to[0]);
    point[1].store(&mut to[1]);
}

/// The filters of `n` frames, of which only the bands that are not zero are read.
#[inline(never)]
fn mels(power: &[Stored], filters: &[f32], bands: &[[u32; 2]], n: usize, y: &mut [f32]) {
    for (m, (filter, band)) in filters.chunks_exact(N_BINS).zip(bands).enumerate() {
        let band = band[0] as usize..band[1] as usize;
        let mut sums = [F32x4::splat(0.0); 2];
        for (weight, power) in filter[band.clone()].iter().zip(&power[band]) {
            let (weight, power) = (F32x4::splat(*weight), load(power));
            sums = [weight.madd(power[0], sums[0]), weight.madd(power[1], sums[1])];
        }
        let logs = sums.map(|sum| log10(sum.max(F32x4::splat(1e-10))).to_array());
        for frame in 0..n {
            y[frame * bands.len() + m] = logs[frame % 2][frame / 2];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{noise, run};
    use crate::{Call, Kernel};
    use std::f64::consts::PI;

    /// Every frame's features by the discrete Fourier transform as it is defined.
    fn log_mel(audio: &[f32], table: &[f32], filters: &[f32]) -> Vec<f64> {
        let mut y = Vec::new();
        for t in 0..(audio.len() - N) / HOP {
            let frame: Vec<f64> = (0..N).map(|i| f64::from(audio[t * HOP + i]) * f64::from(table[i])).collect();
            let power: Vec<f64> = (0..N_BINS)
                .map(|bin| {
                    let angle = |i: usize| 2.0 * PI * (bin * i % N) as f64 / N as f64;
                    let part =
                        |wave: fn(f64) -> f64| frame.iter().enumerate().map(|(i, v)| v * wave(angle(i))).sum::<f64>();
                    part(f64::cos).powi(2) + part(f64::sin).powi(2)
                })
                .collect();
            y.extend(filters.chunks_exact(N_BINS).map(|filter| {
                let sum: f64 = filter.iter().zip(&power).map(|(f, p)| f64::from(*f) * p).sum();
                sum.max(1e-10).log10()
            }));
        }
        y
    }

    #[test]
    fn features_of_noise_a_tone_and_silence() {
        let angle = |i: usize| 2.0 * PI * i as f64 / N as f64;
        let window = (0..N).map(|i| (0.5 - 0.5 * angle(i).cos()) as f32);
        let table: Vec<f32> =
            window.chain((0..N).map(|i| angle(i).cos() as f32)).chain((0..N).map(|i| angle(i).sin() as f32)).collect();
        // Triangles, one without any width, and one that reaches over everything.
        let n_mels = 13;
        let mut filters = vec![0.0f32; n_mels * N_BINS];
        for (m, filter) in filters.chunks_exact_mut(N_BINS).enumerate().skip(1) {
            for (bin, weight) in filter.iter_mut().enumerate() {
                *weight = (1.0 - (bin as f32 - 16.0 * m as f32).abs() / (8.0 * m as f32)).max(0.0) / 40.0;
            }
        }
        let bands: Vec<[u32; 2]> = filters.chunks_exact(N_BINS).map(band).collect();
        assert_eq!(bands[..2], [[0, 0], [9, 24]]);
        for n_frames in [1, 7, 65, 300] {
            let mut audio: Vec<f32> = noise(n_frames * HOP + N, 13).iter().map(|v| v / 40.0).collect();
            let (third, half) = (audio.len() / 3, audio.len() / 2);
            audio[third..half].iter_mut().enumerate().for_each(|(i, v)| *v = (i as f32 / 3.0).sin());
            audio[half..].fill(0.0);
            let expected = log_mel(&audio, &table, &filters);
            // Whisper cuts off what is 8 below the loudest: the tone's rounding errors in the silence beside it.
            let floor = expected.iter().copied().fold(-8.0, f64::max) - 8.0;
            let [audio, table, filters] = [&audio, &table, &filters].map(|v| bytemuck::cast_slice(v.as_slice()));
            let inputs = [audio, table, filters, bytemuck::cast_slice(&bands)];
            let call = Call::new(Kernel::LogMel, Params { n_mels: n_mels as u32 });
            for n_threads in [1, 2] {
                let got = run(call, &inputs, expected.len(), n_threads);
                for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                    let error = (f64::from(got.max(floor as f32)) - expected.max(floor)).abs();
                    assert!(error < 1e-4, "[{i}] is {got}, expected {expected}");
                }
            }
        }
    }
}
