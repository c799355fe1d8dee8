//! Weights of a matrix product as they lie in memory: `[N, K]`, row by row.
//!
//! f32 and f16 are as checkpoints have them. int8 is symmetric in groups of [`GROUP`] along K (which has to divide K): first all
//! quants, `[N, K]` i8, then the groups' scales, `[N, K / 32]` f16; a weight is its quant times its group's scale. Which it is follows
//! from the operand's length alone, so that whoever fills the memory may choose. Nothing is widened in memory: only in registers and in
//! the blocks that a task packs for itself.

use crate::gemm::{BlockB, pack_b, padded};
use crate::simd::{F32x4, f32_from_f16, load8, widen_f16, widen_i8};

/// Weights that share a scale.
pub const GROUP: usize = 32;

/// Bytes of an int8 weight. `n_cols` is a multiple of [`GROUP`].
pub const fn i8_bytes(n_rows: usize, n_cols: usize) -> usize {
    n_rows * (n_cols + 2 * n_cols / GROUP)
}

/// Rounds weights to int8, in the layout of the module, with scales of a 127th of each group's largest magnitude. Panics where
/// `to` does not hold [`i8_bytes`], or `n_cols` is not a multiple of [`GROUP`].
pub fn quantize(weight: &[f32], n_cols: usize, to: &mut [u8]) {
    assert!(
        n_cols.is_multiple_of(GROUP) && to.len() == i8_bytes(weight.len() / n_cols, n_cols),
        "whole groups of weights"
    );
    let (quants, scales) = to.split_at_mut(weight.len());
    let groups = weight.chunks_exact(GROUP).zip(quants.chunks_exact_mut(GROUP)).zip(scales.chunks_exact_mut(2));
    for ((group, quants), scale) in groups {
        let most = group.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        let stored = half::f16::from_f32(most / 127.0);
        scale.copy_from_slice(&stored.to_le_bytes());
        let per_scale = if stored.to_f32() > 0.0 { 1.0 / stored.to_f32() } else { 0.0 };
        for (quant, v) in quants.iter_mut().zip(group) {
            *quant = libm::roundf(v * per_scale).clamp(-127.0, 127.0) as i8 as u8;
        }
    }
}

/// What int8 weights, in the layout of the module, stand for.
pub fn dequantize(from: &[u8], weight: &mut [f32]) {
    let (quants, scales) = from.split_at(weight.len());
    let groups = weight.chunks_exact_mut(GROUP).zip(quants.chunks_exact(GROUP)).zip(scales.chunks_exact(2));
    for ((group, quants), scale) in groups {
        let scale = half::f16::from_le_bytes([scale[0], scale[1]]).to_f32();
        group.iter_mut().zip(quants).for_each(|(v, &quant)| *v = f32::from(quant as i8) * scale);
    }
}

/// A weight's elements.
#[derive(Clone, Copy)]
pub(crate) enum Weight<'a> {
    F32(&'a [f32]),
    F16(&'a [u16]),
    I8 { quants: &'a [i8], scales: &'a [u16] },
}

impl<'a> Weight<'a> {
    /// An operand of `n_rows` by `n_cols` weights. Panics where its length fits none of the three kinds.
    pub fn new(bytes: &'a [u8], n_rows: usize, n_cols: usize) -> Self {
        let n = n_rows * n_cols;
        if bytes.len() == 4 * n {
            return Self::F32(bytemuck::cast_slice(bytes));
        }
        if bytes.len() == 2 * n {
            return Self::F16(bytemuck::cast_slice(bytes));
        }
        assert!(
            n_cols.is_multiple_of(GROUP) && bytes.len() == i8_bytes(n_rows, n_cols),
            "a weight is f32, f16 or int8"
        );
        let (quants, scales) = bytes.split_at(n);
        Self::I8 { quants: bytemuck::cast_slice(quants), scales: bytemuck::cast_slice(scales) }
    }

    /// Packs up to eight rows from `first` on as columns of B, widened.
    pub fn pack(self, first: usize, n_rows: usize, n_cols: usize, to: &mut [BlockB]) {
        match self {
            Self::F32(w) => pack_rows_f32(&w[first * n_cols..], n_rows, n_cols, to),
            Self::F16(w) => pack_rows_f16(&w[first * n_cols..], n_rows, n_cols, to),
            Self::I8 { quants, scales } => {
                pack_rows_i8(&quants[first * n_cols..], &scales[first * n_cols / GROUP..], n_rows, n_cols, to);
            }
        }
    }
}

#[inline(never)]
fn pack_rows_f32(w: &[f32], n_rows: usize, n_cols: usize, to: &mut [BlockB]) {
    pack_b(to, n_rows, |row, block| load8(&padded(&w[row * n_cols..][..n_cols], block)));
}

#[inline(never)]
fn pack_rows_f16(w: &[u16], n_rows: usize, n_cols: usize, to: &mut [BlockB]) {
    pack_b(to, n_rows, |row, block| widen_f16(&padded(&w[row * n_cols..][..n_cols], block)));
}

#[inline(never)]
fn pack_rows_i8(quants: &[i8], scales: &[u16], n_rows: usize, n_cols: usize, to: &mut [BlockB]) {
    pack_b(to, n_rows, |row, block| {
        let scale = F32x4::splat(f32_from_f16(scales[(row * n_cols + 8 * block) / GROUP]));
        widen_i8(&padded(&quants[row * n_cols..][..n_cols], block)).map(|v| v * scale)
    });
}
