//! Few rows times a weight: scalar products along K, each weight read once for all rows and widened in registers.
//!
//! This is nearly all of a decoder's work, and the memory's speed is its limit. A task is a stretch of the weight's rows. For int8 and int4 the
//! rows of x are rounded to 16 bits in the weight's groups (an error of 2^-16 of a group's largest magnitude, a hundredth of the
//! weights' own), which makes a group's product one of integers.

use crate::gemm::padded;
use crate::linear_map::Map;
use crate::linear_weight::{PanelI4, PanelI8, Weight};
use crate::quantize::{GROUP, PANEL};
use crate::simd::{Eight, F32x4, dot_i4, dot_i8, f32_from_f16, load8, store8, widen_f16, widen_f16_scaled};
use crate::step::Io;
use core::array::from_fn;

/// Rows at most. Two and three are computed as four.
pub(crate) const MOST_ROWS: usize = 4;

/// Outputs of a task at least: those of 384 columns take some microseconds.
const LEAST: usize = 32;
/// Outputs of a task at most, so that threads of different speed end together.
const MOST: usize = 1024;
/// Outputs that are finished together.
const TOGETHER: usize = PANEL;

/// x is multiplied by 2^100 for f16 weights, which are widened without their factor of 2^112 ([`widen_f16_scaled`]): so products are
/// in the middle of the range of f32, for any x up to 2^27.
const X_SCALE: f32 = f32::from_bits((127 + 100) << 23);
/// What remains of the two.
const SUM_SCALE: f32 = (1 << 12) as f32;

/// Scalar products of the rows of x with the weight's row, for each of some.
type Sums = [[f32; TOGETHER]; MOST_ROWS];

fn outputs_per_task(map: &Map, n_threads: usize) -> usize {
    map.n_out.div_ceil(2 * n_threads).clamp(LEAST, MOST).next_multiple_of(TOGETHER)
}

pub(crate) fn n_tasks(map: &Map, n_threads: usize) -> usize {
    map.n_out.div_ceil(outputs_per_task(map, n_threads))
}

#[inline(never)]
pub(crate) fn run(map: &Map, io: &Io, task: usize, n_threads: usize, scratch: &mut [f32]) {
    let stretch = outputs_per_task(map, n_threads);
    let (first, end) = (task * stretch, ((task + 1) * stretch).min(map.n_out));
    let n_rows = map.rows.n_rows;
    let x = Prepared::new(map, scratch);
    let mut sums = Sums::default();
    for col in (first..end).step_by(TOGETHER) {
        let n_cols = TOGETHER.min(end - col);
        if n_rows == 1 {
            some_products::<1, 4>(map, &x, col, n_cols, &mut sums);
        } else {
            some_products::<MOST_ROWS, 1>(map, &x, col, n_cols, &mut sums);
        }
        let bias = map.bias(col, n_cols);
        for (row, sums) in sums.iter().enumerate().take(n_rows) {
            let scale = F32x4::splat(x.sum_scale);
            let [low, high] = load8(sums);
            map.finish(io, [low.madd(scale, bias[0]), high.madd(scale, bias[1])], (row, col), n_cols);
        }
    }
}

/// The rows of x as the weight's kind wants them; rows are missing at the end, not in between.
struct Prepared<'a> {
    /// Rows of `row_len`, zeros behind K.
    floats: &'a [f32],
    row_len: usize,
    sum_scale: f32,
    /// For int8 and int4: rows of K rounded numbers.
    rounded: &'a [i16],
    /// For int8 and int4: what a group's rounded numbers are multiples of.
    steps: &'a [f32],
    /// For int4: the sum of a group's rounded numbers.
    totals: &'a [f32],
}

impl<'a> Prepared<'a> {
    fn new(map: &Map, scratch: &'a mut [f32]) -> Self {
        let (n_rows, n_cols) = (map.rows.n_rows, map.rows.n_cols);
        let n_held = if n_rows == 1 { 1 } else { MOST_ROWS };
        let row_len = n_cols.next_multiple_of(8);
        let (buffer, rest) = scratch.split_at_mut(n_cols);
        let (floats, rest) = rest.split_at_mut(n_held * row_len);
        floats.fill(0.0);
        for (row, to) in floats.chunks_exact_mut(row_len).enumerate().take(n_rows) {
            to[..n_cols].copy_from_slice(map.rows.row(row, buffer));
        }
        let (mut rounded, mut steps, mut totals, mut sum_scale) = (&[][..], &[][..], &[][..], 1.0);
        match map.weight {
            Weight::F32(_) => {}
            Weight::F16(_) => {
                floats.iter_mut().for_each(|v| *v *= X_SCALE);
                sum_scale = SUM_SCALE;
            }
            Weight::I8(_) | Weight::I4(_) => {
                let n_groups = n_held * n_cols / GROUP;
                let (words, rest) = rest.split_at_mut(n_held * n_cols / 2);
                let words = bytemuck::cast_slice_mut::<f32, i16>(words);
                let (step_of, rest) = rest.split_at_mut(n_groups);
                round(floats, words, step_of);
                let total_of = &mut rest[..n_groups];
                add_up(words, step_of, total_of);
                (rounded, steps, totals) = (words, step_of, total_of);
            }
        }
        Self { floats, row_len, sum_scale, rounded, steps, totals }
    }

    /// A row's rounded groups, and what they are multiples of.
    #[inline(always)]
    fn groups(&self, row: usize, n_groups: usize) -> (&[[i16; GROUP]], &[f32]) {
        let rounded = self.rounded.as_chunks::<GROUP>().0;
        (&rounded[row * n_groups..][..n_groups], &self.steps[row * n_groups..][..n_groups])
    }
}

/// What the rounded numbers of each group add up to.
fn add_up(rounded: &[i16], steps: &[f32], totals: &mut [f32]) {
    for ((group, step), total) in rounded.as_chunks::<GROUP>().0.iter().zip(steps).zip(totals) {
        *total = group.iter().map(|&v| i32::from(v)).sum::<i32>() as f32 * step;
    }
}

/// Rounds groups to multiples of a 32767th of their largest magnitude.
fn round(floats: &[f32], rounded: &mut [i16], steps: &mut [f32]) {
    for ((group, to), step) in floats.chunks_exact(GROUP).zip(rounded.chunks_exact_mut(GROUP)).zip(steps) {
        let most = group.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        *step = most / 32_767.0;
        let per_step = if most > 0.0 { 32_767.0 / most } else { 0.0 };
        for (to, v) in to.iter_mut().zip(group) {
            *to = libm::rintf(v * per_step) as i16;
        }
    }
}

/// The products of `M` rows of x with the weight's rows from `first` on, `R` of which are read side by side.
fn some_products<const M: usize, const R: usize>(map: &Map, x: &Prepared, first: usize, n: usize, sums: &mut Sums) {
    let n_cols = map.rows.n_cols;
    match map.weight {
        Weight::I8(bytes) => return panel_i8::<M, R>(&PanelI8::new(bytes, first / PANEL, n_cols), x, sums),
        Weight::I4(bytes) => return panel_i4::<M, R>(&PanelI4::new(bytes, first / PANEL, n_cols), x, sums),
        Weight::F32(_) | Weight::F16(_) => {}
    }
    for at in (0..n).step_by(R) {
        // Rows past the end are the last row once more.
        let starts = from_fn(|r| (first + (at + r).min(n - 1)) * n_cols);
        let some: [[f32; R]; M] = match map.weight {
            Weight::F32(w) => dots_f32(starts.map(|start| &w[start..][..n_cols]), rows(x.floats, x.row_len)),
            Weight::F16(w) => dots_f16(starts.map(|start| &w[start..][..n_cols]), rows(x.floats, x.row_len)),
            Weight::I8(_) | Weight::I4(_) => unreachable!("panels have returned"),
        };
        for (sums, some) in sums.iter_mut().zip(some) {
            sums[at..at + R].copy_from_slice(&some);
        }
    }
}

fn rows<const M: usize>(x: &[f32], row_len: usize) -> [&[f32]; M] {
    from_fn(|m| &x[m * row_len..][..row_len])
}

#[inline(never)]
fn dots_f32<const M: usize, const R: usize>(w: [&[f32]; R], x: [&[f32]; M]) -> [[f32; R]; M] {
    dots(w, x, load8)
}

#[inline(never)]
fn dots_f16<const M: usize, const R: usize>(w: [&[u16]; R], x: [&[f32]; M]) -> [[f32; R]; M] {
    dots(w, x, widen_f16_scaled)
}

#[inline(always)]
fn dots<const M: usize, const R: usize, T: Copy + Default>(
    w: [&[T]; R],
    x: [&[f32]; M],
    widen: impl Fn(&[T; 8]) -> Eight,
) -> [[f32; R]; M] {
    let mut sums = [[[F32x4::ZERO; 2]; R]; M];
    let mut add = |w: [&[T; 8]; R], x: [&[f32; 8]; M]| {
        let x = x.map(load8);
        for r in 0..R {
            let w = widen(w[r]);
            for m in 0..M {
                sums[m][r] = [w[0].madd(x[m][0], sums[m][r][0]), w[1].madd(x[m][1], sums[m][r][1])];
            }
        }
    };
    let n_whole = w[0].len() / 8;
    let whole = w.map(|w| &w.as_chunks::<8>().0[..n_whole]);
    let x = x.map(|x| &x.as_chunks::<8>().0[..w[0].len().div_ceil(8)]);
    let x_whole = x.map(|x| &x[..n_whole]);
    for block in 0..n_whole {
        add(whole.map(|w| &w[block]), x_whole.map(|x| &x[block]));
    }
    if !w[0].len().is_multiple_of(8) {
        let rest = w.map(|w| padded(w, n_whole));
        add(from_fn(|r| &rest[r]), x.map(|x| &x[n_whole]));
    }
    sums.map(|row| row.map(|[low, high]| (low + high).sum()))
}

#[inline(never)]
fn panel_i8<const M: usize, const R: usize>(panel: &PanelI8, x: &Prepared, sums: &mut Sums) {
    let n_groups = panel.scales.len();
    let x: [_; M] = from_fn(|m| x.groups(m, n_groups));
    for first in (0..PANEL).step_by(R) {
        let rows: [_; R] = from_fn(|r| panel.row(first + r));
        let mut products = [[F32x4::ZERO; R]; M];
        for (group, scales) in panel.scales.iter().enumerate() {
            for r in 0..R {
                let scale = f32_from_f16(scales[first + r]);
                for m in 0..M {
                    let (rounded, steps) = x[m];
                    let product = dot_i8(&rows[r][group], &rounded[group]);
                    products[m][r] = product.madd(F32x4::splat(scale * steps[group]), products[m][r]);
                }
            }
        }
        for (sums, products) in sums.iter_mut().zip(products) {
            sums[first..first + R].copy_from_slice(&products.map(F32x4::sum));
        }
    }
}

/// As [`panel_i8`], and the minima times the sums of x, for all eight rows at once.
#[inline(never)]
fn panel_i4<const M: usize, const R: usize>(panel: &PanelI4, x: &Prepared, sums: &mut Sums) {
    let n_groups = panel.factors.len();
    let totals: [_; M] = from_fn(|m| &x.totals[m * n_groups..][..n_groups]);
    let mut least = [[F32x4::ZERO; 2]; M];
    for (group, [_, minima]) in panel.factors.iter().enumerate() {
        let minima = widen_f16(minima);
        for m in 0..M {
            let total = F32x4::splat(totals[m][group]);
            least[m] = [minima[0].madd(total, least[m][0]), minima[1].madd(total, least[m][1])];
        }
    }
    let x: [_; M] = from_fn(|m| x.groups(m, n_groups));
    for first in (0..PANEL).step_by(R) {
        let rows: [_; R] = from_fn(|r| panel.row(first + r));
        let mut products = [[F32x4::ZERO; R]; M];
        for (group, [scales, _]) in panel.factors.iter().enumerate() {
            for r in 0..R {
                let scale = f32_from_f16(scales[first + r]);
                for m in 0..M {
                    let (rounded, steps) = x[m];
                    let product = dot_i4(&rows[r][group], &rounded[group]);
                    products[m][r] = product.madd(F32x4::splat(scale * steps[group]), products[m][r]);
                }
            }
        }
        for (sums, products) in sums.iter_mut().zip(products) {
            sums[first..first + R].copy_from_slice(&products.map(F32x4::sum));
        }
    }
    for (sums, least) in sums.iter_mut().zip(least) {
        let [low, high] = load8(sums);
        store8([low + least[0], high + least[1]], sums);
    }
}
