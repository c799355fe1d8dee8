//! Many rows times a weight: the matrix product, cut into tasks of some columns times some rows.

use crate::gemm::{self, BlockA, BlockB, COLS, ROWS, Tile};
use crate::linear_map::Map;
use crate::simd::{load8, store8};
use crate::step::Io;
use core::ops::Range;

/// Floats that a task's block of weights may have, so that it stays in a second-level cache while all rows pass.
const BLOCK_FLOATS: usize = 96 << 10;
/// Fewer rows would not repay the packing of a block of weights.
const LEAST_ROWS: usize = 96;

/// Blocks of eight steps that are multiplied in one go: those of a tile's rows and columns, 22 KB, stay in a first-level cache.
const MOST_BLOCKS: usize = 52;

/// How a product is cut: blocks of columns times blocks of rows.
struct Cut {
    cols: usize,
    rows: usize,
    n_row_blocks: usize,
    n_tasks: usize,
}

impl Cut {
    fn new(map: &Map, n_threads: usize) -> Self {
        let most_cols = (BLOCK_FLOATS / (gemm::n_blocks(map.rows.n_cols) * gemm::STEPS) / COLS * COLS).max(COLS);
        // As many blocks for each thread, and some four tasks, as threads do not run at one speed.
        let n_blocks = map.n_out.div_ceil(most_cols).next_multiple_of(n_threads);
        let cols = map.n_out.div_ceil(n_blocks).next_multiple_of(COLS);
        let n_col_blocks = map.n_out.div_ceil(cols);
        let wanted = if n_threads == 1 { 1 } else { (4 * n_threads).div_ceil(n_col_blocks) };
        let rows = map.rows.n_rows.div_ceil(wanted).max(LEAST_ROWS).next_multiple_of(ROWS);
        let n_row_blocks = map.rows.n_rows.div_ceil(rows);
        Self { cols, rows, n_row_blocks, n_tasks: n_col_blocks * n_row_blocks }
    }
}

pub(crate) fn n_tasks(map: &Map, n_threads: usize) -> usize {
    Cut::new(map, n_threads).n_tasks
}

#[inline(never)]
pub(crate) fn run(map: &Map, io: &Io, task: usize, n_threads: usize, scratch: &mut [f32]) {
    let cut = Cut::new(map, n_threads);
    let (first_row, first_col) = (task % cut.n_row_blocks * cut.rows, task / cut.n_row_blocks * cut.cols);
    let end_row = (first_row + cut.rows).min(map.rows.n_rows);
    let cols = first_col..(first_col + cut.cols).min(map.n_out);

    let n_cols = map.rows.n_cols;
    let k_blocks = gemm::n_blocks(n_cols);
    let (buffer, rest) = scratch.split_at_mut(n_cols);
    let (a, rest) = gemm::split_a(rest, k_blocks);
    let n_panels = cols.len().div_ceil(COLS);
    let (tiles, rest) = gemm::split_tiles(rest, n_panels);
    let (b, _) = gemm::split_b(rest, n_panels * k_blocks);
    for (to, col) in b.chunks_exact_mut(k_blocks).zip(cols.clone().step_by(COLS)) {
        map.weight.pack(col, COLS.min(cols.end - col), n_cols, to);
    }
    for row in (first_row..end_row).step_by(ROWS) {
        let rows = row..(row + ROWS).min(end_row);
        for (r, row) in rows.clone().enumerate() {
            gemm::pack_a(r, map.rows.row(row, buffer), a);
        }
        (rows.len()..ROWS).for_each(|r| gemm::clear_a(r, a));
        row_of_tiles(map, io, rows, cols.clone(), a, b, tiles);
    }
}

/// The tiles of some rows; these are packed in `a`, the columns in `b`.
#[inline(never)]
fn row_of_tiles(
    map: &Map,
    io: &Io,
    rows: Range<usize>,
    cols: Range<usize>,
    a: &[BlockA],
    b: &[BlockB],
    tiles: &mut [Tile],
) {
    for (tile, col) in tiles.iter_mut().zip(cols.clone().step_by(COLS)) {
        let bias = map.bias(col, COLS.min(cols.end - col));
        tile.iter_mut().for_each(|sums| store8(bias, sums));
    }
    let k_blocks = a.len();
    let stretch = k_blocks.div_ceil(k_blocks.div_ceil(MOST_BLOCKS));
    for first in (0..k_blocks).step_by(stretch) {
        let blocks = first..(first + stretch).min(k_blocks);
        for (b, tile) in b.chunks_exact(k_blocks).zip(tiles.iter_mut()) {
            gemm::tile(&a[blocks.clone()], &b[blocks.clone()], tile);
        }
    }
    for (tile, col) in tiles.iter().zip(cols.clone().step_by(COLS)) {
        for (row, sums) in rows.clone().zip(tile) {
            map.finish(io, load8(sums), (row, col), COLS.min(cols.end - col));
        }
    }
}
