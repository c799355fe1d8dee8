//! The matrix product's inner part, `c[r, n] = sum over k of a[r, k] * b[n, k]`, and the layouts that it wants.
//!
//! The loop [`tile`] keeps [`ROWS`] x [`COLS`] sums in registers and goes through `k` eight steps at a time. Both operands are copied
//! into blocks of eight steps first ([`BlockA`], [`BlockB`]), filled up with zeros: so the loop has no remainder, reads each operand
//! from one pointer, and never sees strides, f16, margins or normalisation. Copying costs 1 to 3 % of the product, because a block of
//! B serves all rows of a task, and a block of A all columns.

use crate::simd::{Eight, F32x4, load8, store8, transpose};

/// Rows of a tile. A browser has 15 vector registers on x86: 12 sums, two of B and one of A. Without fused multiplication the
/// product needs a register too.
pub const ROWS: usize = if cfg!(all(target_feature = "simd128", not(target_feature = "relaxed-simd"))) { 5 } else { 6 };
/// Columns of a tile: two vectors.
pub const COLS: usize = 8;
/// Steps of `k` in a block.
pub const STEPS: usize = 8;

/// Eight steps of a tile's rows: `[row][step]`.
pub type BlockA = [[f32; STEPS]; ROWS];
/// Eight steps of a tile's columns: `[step][column]`.
pub type BlockB = [[f32; COLS]; STEPS];
/// A tile's sums.
pub type Tile = [[f32; COLS]; ROWS];

/// Blocks that `k` steps need.
pub fn n_blocks(k: usize) -> usize {
    k.div_ceil(STEPS)
}

/// Adds a tile of the product to what is there. Not inlined: a browser replaces its first, slow translation of a function only at the next call.
#[inline(never)]
pub fn tile(a: &[BlockA], b: &[BlockB], tile: &mut Tile) {
    let mut sums = tile.each_ref().map(load8);
    for (a, b) in a.iter().zip(b) {
        let mut a = a.as_flattened().as_ptr();
        for b in b {
            let b = load8(b);
            for (row, sums) in sums.iter_mut().enumerate() {
                // SAFETY: `a` is the block's first row moved on by the step, which is below STEPS; rows are STEPS apart.
                let a = F32x4::splat(unsafe { *a.add(row * STEPS) });
                *sums = [a.madd(b[0], sums[0]), a.madd(b[1], sums[1])];
            }
            // SAFETY: at most one past the first row, of the block's several.
            a = unsafe { a.add(1) };
        }
    }
    for (to, sums) in tile.iter_mut().zip(sums) {
        store8(sums, to);
    }
}

/// Cuts off the front of a thread's scratch as blocks of A.
pub fn split_a(scratch: &mut [f32], n_blocks: usize) -> (&mut [BlockA], &mut [f32]) {
    let (front, rest) = scratch.split_at_mut(n_blocks * STEPS * ROWS);
    (front.as_chunks_mut::<STEPS>().0.as_chunks_mut::<ROWS>().0, rest)
}

/// Cuts off the front of a thread's scratch as tiles.
pub fn split_tiles(scratch: &mut [f32], n: usize) -> (&mut [Tile], &mut [f32]) {
    let (front, rest) = scratch.split_at_mut(n * COLS * ROWS);
    (front.as_chunks_mut::<COLS>().0.as_chunks_mut::<ROWS>().0, rest)
}

/// Cuts off the front of a thread's scratch as blocks of B.
pub fn split_b(scratch: &mut [f32], n_blocks: usize) -> (&mut [BlockB], &mut [f32]) {
    let (front, rest) = scratch.split_at_mut(n_blocks * STEPS * COLS);
    (front.as_chunks_mut::<COLS>().0.as_chunks_mut::<STEPS>().0, rest)
}

/// Copies a row of A into its place.
#[inline(never)]
pub fn pack_a(row: usize, from: &[f32], to: &mut [BlockA]) {
    let (whole, rest) = from.as_chunks::<STEPS>();
    for (to, from) in to.iter_mut().zip(whole) {
        to[row] = *from;
    }
    if !rest.is_empty() {
        let last = &mut to[whole.len()][row];
        *last = [0.0; STEPS];
        last[..rest.len()].copy_from_slice(rest);
    }
}

/// Zeros in place of a row of A.
pub fn clear_a(row: usize, to: &mut [BlockA]) {
    to.iter_mut().for_each(|block| block[row] = [0.0; STEPS]);
}

/// Copies columns of B, given as rows of `k` elements: `eight(column, block)` are eight steps of one.
#[inline(always)]
pub fn pack_b(to: &mut [BlockB], n_cols: usize, eight: impl Fn(usize, usize) -> Eight) {
    for (block, to) in to.iter_mut().enumerate() {
        let column = |col: usize| if col < n_cols { eight(col, block) } else { [F32x4::ZERO; 2] };
        for left in [0, 4] {
            let columns: [Eight; 4] = core::array::from_fn(|i| column(left + i));
            for half in 0..2 {
                let steps = transpose(columns.map(|column| column[half]));
                for (to, step) in to[4 * half..].iter_mut().zip(steps) {
                    step.store(&mut to.as_chunks_mut::<4>().0[left / 4]);
                }
            }
        }
    }
}

/// Eight elements of a row from `8 * block` on, zeros behind its end.
#[inline(always)]
pub fn padded<T: Copy + Default>(row: &[T], block: usize) -> [T; 8] {
    let (whole, rest) = row.as_chunks::<8>();
    whole.get(block).copied().unwrap_or_else(|| {
        let mut last = [T::default(); 8];
        last[..rest.len()].copy_from_slice(rest);
        last
    })
}
