//! `linear` and `conv1d` against plain sums in f64.

use crate::quantize::Narrow;
use crate::trial::{assert_near, noise, run, to_f16};
use crate::{Call, Kernel, conv1d, linear};

/// Weights in one of the kinds, and what they are exactly.
struct Stored {
    bytes: Vec<u8>,
    exact: Vec<f64>,
}

fn stored(kind: &str, weight: &[f32], n_cols: usize) -> Stored {
    match kind {
        "f32" => Stored {
            bytes: bytemuck::cast_slice(weight).to_vec(),
            exact: weight.iter().map(|v| f64::from(*v)).collect(),
        },
        "f16" => {
            let halves = to_f16(weight);
            let exact = halves.iter().map(|v| half::f16::from_bits(*v).to_f64()).collect();
            Stored { bytes: bytemuck::cast_slice(&halves).to_vec(), exact }
        }
        _ => {
            let form = if kind == "i8" { Narrow::Int8 } else { Narrow::Int4 };
            let mut bytes = vec![0; form.n_bytes(weight.len() / n_cols, n_cols)];
            form.quantize(weight, n_cols, &mut bytes);
            let mut exact = vec![0.0; weight.len()];
            form.dequantize(&bytes, n_cols, &mut exact);
            Stored { bytes, exact: exact.into_iter().map(f64::from).collect() }
        }
    }
}

fn gelu(x: f64) -> f64 {
    0.5 * x * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// The row as the definition normalises it.
fn normalized(row: &[f32], weight: &[f32], bias: &[f32], eps: f64) -> Vec<f64> {
    let n = row.len() as f64;
    let mean = row.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let variance = row.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    let unit = |v: &f32| (f64::from(*v) - mean) / (variance + eps).sqrt();
    row.iter().zip(weight.iter().zip(bias)).map(|(v, (w, b))| unit(v) * f64::from(*w) + f64::from(*b)).collect()
}

/// One linear map of m rows, k columns, n outputs, with everything around it or nothing.
fn check(m: usize, k: usize, n: usize, kind: &str, surrounded: bool, n_threads: usize) {
    let what = format!("{m}x{k}x{n} {kind} surrounded {surrounded}, {n_threads} threads");
    let (x, w) = (noise(m * k, 1), noise(n * k, 2).iter().map(|v| v / 8.0).collect::<Vec<_>>());
    let (bias, residual) = (noise(n, 3), noise(m * n, 4));
    let (norm_weight, norm_bias) = (noise(k, 5), noise(k, 6));
    let w = stored(kind, &w, k);
    let eps = 1e-5f32;
    let mut expected = Vec::new();
    let mut scale = 0.0f64;
    for (r, row) in x.chunks_exact(k).enumerate() {
        let row = match surrounded {
            true => normalized(row, &norm_weight, &norm_bias, eps.into()),
            false => row.iter().map(|v| f64::from(*v)).collect(),
        };
        for (c, w) in w.exact.chunks_exact(k).enumerate() {
            let sum: f64 = row.iter().zip(w).map(|(a, b)| a * b).sum();
            scale = scale.max(row.iter().zip(w).map(|(a, b)| (a * b).powi(2)).sum::<f64>().sqrt());
            expected.push(match surrounded {
                true => gelu(sum + f64::from(bias[c])) + f64::from(residual[r * n + c]),
                false => sum,
            });
        }
    }
    let floats = |v: &[f32]| if surrounded { bytemuck::cast_slice(v).to_vec() } else { Vec::new() };
    let params = linear::Params { n_cols: k as u32, n_out: n as u32, activation: surrounded.into(), eps };
    let inputs = [
        bytemuck::cast_slice(&x).to_vec(),
        w.bytes,
        floats(&bias),
        floats(&residual),
        floats(&norm_weight),
        floats(&norm_bias),
    ];
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let got = run(Call::new(Kernel::Linear, params), &inputs, m * n, n_threads);
    // Roundings add up as a random walk does; x in 16 bits is off by 2^-16 of its largest.
    let tolerance = if kind.starts_with('i') && m <= 4 { 2e-4 } else { 1e-6 + 2e-7 * (k as f64).sqrt() };
    assert_near(&got, &expected, scale, tolerance, &what);
}

#[test]
fn products_of_awkward_sizes_in_every_kind_of_weight() {
    for (m, k, n) in
        [(1, 1, 1), (1, 7, 65), (3, 64, 7), (4, 65, 383), (5, 1, 9), (7, 383, 65), (65, 7, 64), (64, 64, 64)]
    {
        for kind in ["f32", "f16"] {
            check(m, k, n, kind, false, 1);
            check(m, k, n, kind, true, 2);
        }
    }
    for (m, k, n) in [(1, 32, 1), (1, 384, 65), (2, 64, 7), (4, 96, 383), (7, 384, 65), (65, 32, 64)] {
        for kind in ["i8", "i4"] {
            check(m, k, n, kind, false, 1);
            check(m, k, n, kind, true, 2);
        }
    }
}

#[test]
fn the_sizes_of_a_speech_model_on_one_and_several_threads() {
    for n_threads in [1, 2, 3] {
        check(1500, 65, 383, "f16", true, n_threads);
        check(1, 384, 1500, "f16", true, n_threads);
    }
}

/// Columns are cut into blocks that fit a cache: here every task has one panel, and the last block is narrower.
#[test]
fn rows_too_long_for_a_block_of_weights() {
    check(7, 12_000, 17, "f16", false, 2);
}

#[test]
fn the_smallest_halves_are_exact() {
    let halves: Vec<u16> = (0..0x7c00).chain(0x8000..0xfc00).collect();
    let params = linear::Params { n_cols: 1, n_out: halves.len() as u32, activation: 0, eps: 0.0 };
    let rows = [vec![1.0f32; 1], vec![1.0f32; 5]];
    for x in rows {
        let n = halves.len();
        let inputs = [bytemuck::cast_slice(&x), bytemuck::cast_slice(&halves), &[], &[], &[], &[]];
        let got = run(Call::new(Kernel::Linear, params), &inputs, x.len() * n, 1);
        for (i, (got, half)) in got.iter().zip(halves.iter().cycle()).enumerate() {
            assert_eq!(*got, half::f16::from_bits(*half).to_f32(), "[{i}] {half:#x}");
        }
    }
}

#[test]
fn windows_reach_over_both_ends() {
    for (t, c, n_out, width, stride) in [(1, 3, 5, 3, 1), (7, 8, 65, 3, 2), (64, 5, 9, 5, 1), (65, 80, 33, 3, 2)] {
        let (x, w) = (noise(t * c, 7), noise(n_out * width * c, 8));
        let n_rows = t.div_ceil(stride);
        let (bias, residual) = (noise(n_out, 9), noise(n_rows * n_out, 10));
        let at = |t: isize, c_idx: usize| {
            usize::try_from(t).ok().and_then(|t| x.get(t * c + c_idx)).map_or(0.0, |v| f64::from(*v))
        };
        let (mut expected, mut scale) = (Vec::new(), 0.0f64);
        for row in 0..n_rows {
            for o in 0..n_out {
                let first = (stride * row) as isize - (width / 2) as isize;
                let term = |i: usize| at(first + (i / c) as isize, i % c) * f64::from(w[o * width * c + i]);
                scale = scale.max((0..width * c).map(|i| term(i).powi(2)).sum::<f64>().sqrt());
                let sum = (0..width * c).map(term).sum::<f64>() + f64::from(bias[o]);
                expected.push(gelu(sum) + f64::from(residual[row * n_out + o]));
            }
        }
        let params = conv1d::Params {
            n_rows: n_rows as u32,
            n_cols: (width * c) as u32,
            n_out: n_out as u32,
            stride: (stride * c) as u32,
            margin: (width / 2 * c) as u32,
            activation: 1,
        };
        let inputs = [&x, &w, &bias, &residual].map(|v| bytemuck::cast_slice(v.as_slice()));
        for n_threads in [1, 2] {
            let got = run(Call::new(Kernel::Conv1d, params), &inputs, n_rows * n_out, n_threads);
            assert_near(&got, &expected, scale, 1e-6, &format!("{t}x{c} to {n_out}"));
        }
    }
}
