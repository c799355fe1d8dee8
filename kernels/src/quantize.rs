//! Weights in 8 and 4 bits: how they are rounded, and how they lie in memory, which is the same on the processor and on a GPU.
//!
//! A weight `[N, K]` is cut into groups of [`GROUP`] along K (which has to divide K), each with a scale of its own.
//!
//! - int8: a quant of -127 to 127 times the group's scale, f16: 8.5 bits a weight.
//! - int4: a quant of 0 to 15 times the group's scale plus the group's minimum, both f16: 5 bits a weight. A minimum of its own is
//!   worth its half bit: see `docs/bench-notes.md`.
//!
//! Rows lie in panels of [`PANEL`], the last one filled up with zeros: first the panel's quants, row by row, then for each group
//! the scales of the panel's rows and, for int4, their minima. So a matrix can be cut at any panel into parts that are complete in
//! themselves, every row begins at a multiple of 16 bytes, and all the numbers that eight outputs need are neighbours. Of the two
//! int4 quants in byte i of a group, the low one is weight i, the high one weight i + 16: both halves are masked out side by side.

use half::f16;

/// Weights that share a scale.
pub const GROUP: usize = 32;
/// Rows that lie together.
pub const PANEL: usize = 8;

/// A form of weights with fewer bits than a float has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Narrow {
    /// 8 bits and a scale.
    Int8,
    /// 4 bits, a scale and a minimum.
    Int4,
}

impl Narrow {
    /// Bytes of the quants of a group.
    pub const fn quant_bytes(self) -> usize {
        match self {
            Narrow::Int8 => GROUP,
            Narrow::Int4 => GROUP / 2,
        }
    }

    /// Numbers in f16 that belong to a group.
    pub const fn n_factors(self) -> usize {
        match self {
            Narrow::Int8 => 1,
            Narrow::Int4 => 2,
        }
    }

    /// Bytes of [`PANEL`] rows.
    pub const fn panel_bytes(self, n_cols: usize) -> usize {
        n_cols / GROUP * PANEL * (self.quant_bytes() + 2 * self.n_factors())
    }

    /// Bytes of a weight. `n_cols` is a multiple of [`GROUP`].
    pub const fn n_bytes(self, n_rows: usize, n_cols: usize) -> usize {
        n_rows.div_ceil(PANEL) * self.panel_bytes(n_cols)
    }

    /// Rounds rows of weights. Panics where `to` is not [`Narrow::n_bytes`] long or `n_cols` not a multiple of [`GROUP`].
    pub fn quantize(self, weight: &[f32], n_cols: usize, to: &mut [u8]) {
        assert!(
            n_cols.is_multiple_of(GROUP) && to.len() == self.n_bytes(weight.len() / n_cols, n_cols),
            "whole groups of weights, and room for whole panels"
        );
        let panels = to.chunks_exact_mut(self.panel_bytes(n_cols));
        for (rows, panel) in weight.chunks(PANEL * n_cols).zip(panels) {
            panel.fill(0);
            let (quants, factors) = panel.split_at_mut(PANEL * n_cols / GROUP * self.quant_bytes());
            let quants = quants.chunks_exact_mut(self.quant_bytes());
            for (at, (group, quants)) in rows.as_chunks::<GROUP>().0.iter().zip(quants).enumerate() {
                let (row, idx) = (at / (n_cols / GROUP), at % (n_cols / GROUP));
                let values = match self {
                    Narrow::Int8 => [quantize_int8(group, quants), f16::ZERO],
                    Narrow::Int4 => quantize_int4(group, quants),
                };
                for (n, value) in values.iter().enumerate().take(self.n_factors()) {
                    let place = 2 * ((idx * self.n_factors() + n) * PANEL + row);
                    factors[place..place + 2].copy_from_slice(&value.to_le_bytes());
                }
            }
        }
    }

    /// What whole panels stand for, written to as many rows as `weight` has.
    pub fn dequantize(self, from: &[u8], n_cols: usize, weight: &mut [f32]) {
        let panels = from.chunks_exact(self.panel_bytes(n_cols));
        for (rows, panel) in weight.chunks_mut(PANEL * n_cols).zip(panels) {
            let n_groups = n_cols / GROUP;
            for (at, group) in rows.chunks_exact_mut(GROUP).enumerate() {
                self.dequantize_group(panel, n_cols, (at / n_groups, at % n_groups), group);
            }
        }
    }

    /// What a group of a panel's row stands for.
    pub fn dequantize_group(self, panel: &[u8], n_cols: usize, (row, idx): (usize, usize), to: &mut [f32]) {
        let n_groups = n_cols / GROUP;
        let (quants, factors) = panel.split_at(PANEL * n_groups * self.quant_bytes());
        let quants = &quants[(row * n_groups + idx) * self.quant_bytes()..][..self.quant_bytes()];
        let factor = |n: usize| {
            let place = 2 * ((idx * self.n_factors() + n) * PANEL + row);
            f16::from_le_bytes([factors[place], factors[place + 1]]).to_f32()
        };
        let scale = factor(0);
        match self {
            Narrow::Int8 => to.iter_mut().zip(quants).for_each(|(v, &quant)| *v = f32::from(quant as i8) * scale),
            Narrow::Int4 => {
                let least = factor(1);
                let (low, high) = to.split_at_mut(GROUP / 2);
                for ((low, high), pair) in low.iter_mut().zip(high).zip(quants) {
                    *low = f32::from(pair & 15) * scale + least;
                    *high = f32::from(pair >> 4) * scale + least;
                }
            }
        }
    }
}

/// Rounds to the nearest integer, for magnitudes below 2^22: adding 1.5 * 2^23 leaves no bits behind the point. The standard
/// function is a call for every number.
#[inline(always)]
fn rounded(v: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    (v + SHIFT) - SHIFT
}

fn inverse(scale: f32) -> f32 {
    if scale > 0.0 { 1.0 / scale } else { 0.0 }
}

/// Writes a group's quants and gives its scale: a 127th of its largest magnitude, rounded up so that none is cut off. At this
/// width no search for a better scale pays.
fn quantize_int8(group: &[f32; GROUP], quants: &mut [u8]) -> f16 {
    let most = group.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let mut scale = f16::from_f32(most / 127.0);
    if scale.to_f32() * 127.0 < most {
        scale = f16::from_bits(scale.to_bits() + 1);
    }
    let per_scale = inverse(scale.to_f32());
    for (quant, v) in quants.iter_mut().zip(group) {
        *quant = rounded(v * per_scale).clamp(-127.0, 127.0) as i8 as u8;
    }
    scale
}

/// Shares of a group's range from which the search for a scale and a minimum begins: cutting the outermost weights off often
/// brings all others nearer.
const RANGES: [f32; 3] = [1.0, 0.94, 0.88];
/// From each of them, how often scale and minimum are fitted to the quants and the quants to them.
const FITS: usize = 4;

/// Writes a group's quants and gives its scale and minimum, those of the smallest squared error that the search finds.
fn quantize_int4(group: &[f32; GROUP], quants: &mut [u8]) -> [f16; 2] {
    let (low, high) = group.iter().fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
    let total: f32 = group.iter().sum();
    let mut best = (f32::MAX, [f16::ZERO; 2]);
    for share in RANGES {
        let scale = (high - low) * share / 15.0;
        let mut fit = [scale, (low + high) / 2.0 - 7.5 * scale];
        for _ in 0..FITS {
            let stored = fit.map(f16::from_f32);
            let trial = Trial::of(group, stored.map(f16::to_f32));
            if trial.error < best.0 {
                best = (trial.error, stored);
            }
            let Some(next) = trial.fitted(total) else { break };
            fit = next;
        }
    }
    let [scale, least] = best.1.map(f16::to_f32);
    let per_scale = inverse(scale);
    let quant = |v: f32| rounded((v - least) * per_scale).clamp(0.0, 15.0) as u8;
    for (i, pair) in quants.iter_mut().enumerate() {
        *pair = quant(group[i]) | quant(group[i + GROUP / 2]) << 4;
    }
    best.1
}

/// What a scale and a minimum make of a group.
struct Trial {
    error: f32,
    /// Sums of the quants, of their squares, and of their products with the weights.
    quants: f32,
    squares: f32,
    products: f32,
}

impl Trial {
    fn of(group: &[f32; GROUP], [scale, least]: [f32; 2]) -> Self {
        // In lanes, so that the compiler puts them into vector registers.
        const LANES: usize = 8;
        let per_scale = inverse(scale);
        let mut sums = [[0.0f32; LANES]; 4];
        for eight in group.as_chunks::<LANES>().0 {
            for (lane, v) in eight.iter().enumerate() {
                let quant = rounded((v - least) * per_scale).clamp(0.0, 15.0);
                let error = quant * scale + least - v;
                sums[0][lane] += error * error;
                sums[1][lane] += quant;
                sums[2][lane] += quant * quant;
                sums[3][lane] += quant * v;
            }
        }
        let [error, quants, squares, products] = sums.map(|lanes| lanes.iter().sum());
        Self { error, quants, squares, products }
    }

    /// The scale and the minimum that fit these quants best; `None` where all are the same. `total` is the sum of the weights.
    fn fitted(&self, total: f32) -> Option<[f32; 2]> {
        let n = GROUP as f32;
        let spread = n * self.squares - self.quants * self.quants;
        let scale = (n * self.products - total * self.quants) / spread;
        (spread > 0.0 && scale > 0.0).then(|| [scale, (total - scale * self.quants) / n])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::noise;

    /// Root of the mean squared error, in shares of that of the weights themselves.
    fn relative_error(form: Narrow, weight: &[f32], n_cols: usize) -> f64 {
        let mut bytes = vec![0; form.n_bytes(weight.len() / n_cols, n_cols)];
        form.quantize(weight, n_cols, &mut bytes);
        let mut back = vec![f32::NAN; weight.len()];
        form.dequantize(&bytes, n_cols, &mut back);
        let square = |v: f32| f64::from(v) * f64::from(v);
        let error: f64 = weight.iter().zip(&back).map(|(a, b)| square(a - b)).sum();
        (error / weight.iter().map(|v| square(*v)).sum::<f64>()).sqrt()
    }

    #[test]
    fn rows_that_fill_no_panel_come_back() {
        for n_rows in [1, 7, 8, 65] {
            for n_cols in [32, 96] {
                let weight: Vec<f32> = noise(n_rows * n_cols, 3).iter().map(|v| v.clamp(-1.0, 1.0)).collect();
                assert!(relative_error(Narrow::Int8, &weight, n_cols) < 0.005, "{n_rows}x{n_cols}");
                assert!(relative_error(Narrow::Int4, &weight, n_cols) < 0.08, "{n_rows}x{n_cols}");
            }
        }
    }

    #[test]
    fn groups_of_zeros_of_equals_and_of_subnormal_numbers_survive() {
        for form in [Narrow::Int8, Narrow::Int4] {
            for v in [0.0f32, 0.37, -0.37, 1e-6] {
                let weight = vec![v; 64];
                let mut bytes = vec![0; form.n_bytes(1, 64)];
                form.quantize(&weight, 64, &mut bytes);
                let mut back = vec![f32::NAN; 64];
                form.dequantize(&bytes, 64, &mut back);
                assert!(back.iter().all(|b| (b - v).abs() <= 1e-3 * v.abs() + 6e-8), "{form:?} of {v}: {}", back[0]);
            }
        }
    }

    #[test]
    fn a_search_beats_the_plain_range() {
        let weight: Vec<f32> = noise(32 * 256, 5).iter().zip(noise(32 * 256, 6)).map(|(a, b)| a * b * b).collect();
        let plain = weight.chunks_exact(32).map(|group| {
            let (low, high) = group.iter().fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
            let scale = (high - low) / 15.0;
            group.iter().map(|v| (((v - low) / scale).round() * scale + low - v).powi(2)).sum::<f32>()
        });
        let plain = (plain.sum::<f32>() / weight.iter().map(|v| v * v).sum::<f32>()).sqrt();
        assert!(relative_error(Narrow::Int4, &weight, 32) < 0.95 * f64::from(plain));
    }
}
