//! Weights of a matrix product as they lie in memory: `[N, K]`, row by row as checkpoints have them in f32 or f16, or in panels of
//! int8 or int4 (`quantize.rs`). Which it is follows from the operand's length alone, so that whoever fills the memory may choose.
//! Nothing is widened in memory: only in registers and in the blocks that a task packs for itself.

use crate::gemm::{BlockB, COLS, pack_b, padded};
use crate::quantize::{GROUP, Narrow, PANEL};
use crate::simd::{F32x4, f32_from_f16, load8, widen_f16, widen_i4, widen_i8};

const _: () = assert!(PANEL == COLS, "a panel is packed as the columns of a tile");

/// A weight's elements.
#[derive(Clone, Copy)]
pub(crate) enum Weight<'a> {
    F32(&'a [f32]),
    F16(&'a [u16]),
    I8(&'a [u8]),
    I4(&'a [u8]),
}

impl<'a> Weight<'a> {
    /// An operand of `n_rows` by `n_cols` weights. Panics where its length fits none of the four kinds.
    pub fn new(bytes: &'a [u8], n_rows: usize, n_cols: usize) -> Self {
        let n = n_rows * n_cols;
        if bytes.len() == 4 * n {
            return Self::F32(bytemuck::cast_slice(bytes));
        }
        if bytes.len() == 2 * n {
            return Self::F16(bytemuck::cast_slice(bytes));
        }
        let is = |form: Narrow| n_cols.is_multiple_of(GROUP) && bytes.len() == form.n_bytes(n_rows, n_cols);
        if is(Narrow::Int8) {
            return Self::I8(bytes);
        }
        assert!(is(Narrow::Int4), "a weight is f32, f16, int8 or int4");
        Self::I4(bytes)
    }

    /// Packs up to eight rows from `first` on, a multiple of eight, as columns of B, widened.
    pub fn pack(self, first: usize, n_rows: usize, n_cols: usize, to: &mut [BlockB]) {
        match self {
            Self::F32(w) => pack_rows_f32(&w[first * n_cols..], n_rows, n_cols, to),
            Self::F16(w) => pack_rows_f16(&w[first * n_cols..], n_rows, n_cols, to),
            Self::I8(bytes) => pack_rows_i8(&PanelI8::new(bytes, first / PANEL, n_cols), n_rows, to),
            Self::I4(bytes) => pack_rows_i4(&PanelI4::new(bytes, first / PANEL, n_cols), n_rows, to),
        }
    }

    /// Copies one row out, widened.
    pub fn row(self, row: usize, n_cols: usize, to: &mut [f32]) {
        let narrow = |form: Narrow, bytes: &[u8], to: &mut [f32]| {
            let panel = &bytes[row / PANEL * form.panel_bytes(n_cols)..];
            for (idx, group) in to.chunks_exact_mut(GROUP).enumerate() {
                form.dequantize_group(&panel[..form.panel_bytes(n_cols)], n_cols, (row % PANEL, idx), group);
            }
        };
        match self {
            Self::F32(w) => to.copy_from_slice(&w[row * n_cols..][..n_cols]),
            Self::F16(w) => {
                let halves = &w[row * n_cols..][..n_cols];
                to.iter_mut().zip(halves).for_each(|(v, &half)| *v = half::f16::from_bits(half).to_f32());
            }
            Self::I8(bytes) => narrow(Narrow::Int8, bytes, to),
            Self::I4(bytes) => narrow(Narrow::Int4, bytes, to),
        }
    }
}

/// Eight rows of int8.
pub(crate) struct PanelI8<'a> {
    n_groups: usize,
    quants: &'a [[i8; GROUP]],
    /// By group, of each row.
    pub scales: &'a [[u16; PANEL]],
}

impl<'a> PanelI8<'a> {
    pub fn new(bytes: &'a [u8], idx: usize, n_cols: usize) -> Self {
        let n_bytes = Narrow::Int8.panel_bytes(n_cols);
        let (quants, scales) = bytes[idx * n_bytes..][..n_bytes].split_at(PANEL * n_cols);
        let quants = bytemuck::cast_slice::<u8, i8>(quants).as_chunks().0;
        Self { n_groups: n_cols / GROUP, quants, scales: bytemuck::cast_slice::<u8, u16>(scales).as_chunks().0 }
    }

    /// The groups of a row.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &'a [[i8; GROUP]] {
        &self.quants[row * self.n_groups..][..self.n_groups]
    }
}

/// Eight rows of int4.
pub(crate) struct PanelI4<'a> {
    n_groups: usize,
    quants: &'a [[u8; GROUP / 2]],
    /// By group, of each row: the scales, then the minima.
    pub factors: &'a [[[u16; PANEL]; 2]],
}

impl<'a> PanelI4<'a> {
    pub fn new(bytes: &'a [u8], idx: usize, n_cols: usize) -> Self {
        let n_bytes = Narrow::Int4.panel_bytes(n_cols);
        let (quants, factors) = bytes[idx * n_bytes..][..n_bytes].split_at(PANEL * n_cols / 2);
        let factors = bytemuck::cast_slice::<u8, u16>(factors).as_chunks().0.as_chunks().0;
        Self { n_groups: n_cols / GROUP, quants: quants.as_chunks().0, factors }
    }

    /// The groups of a row.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &'a [[u8; GROUP / 2]] {
        &self.quants[row * self.n_groups..][..self.n_groups]
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
fn pack_rows_i8(panel: &PanelI8, n_rows: usize, to: &mut [BlockB]) {
    pack_b(to, n_rows, |row, block| {
        let group = block / BLOCKS;
        let scale = F32x4::splat(f32_from_f16(panel.scales[group][row]));
        widen_i8(&panel.row(row)[group].as_chunks().0[block % BLOCKS]).map(|v| v * scale)
    });
}

#[inline(never)]
fn pack_rows_i4(panel: &PanelI4, n_rows: usize, to: &mut [BlockB]) {
    pack_b(to, n_rows, |row, block| {
        let (group, block) = (block / BLOCKS, block % BLOCKS);
        let [scale, least] = panel.factors[group].each_ref().map(|of| F32x4::splat(f32_from_f16(of[row])));
        let pairs = &panel.row(row)[group].as_chunks().0[block % 2];
        widen_i4(pairs, block >= 2).map(|v| v.madd(scale, least))
    });
}

/// Blocks of eight steps in a group.
const BLOCKS: usize = GROUP / 8;
