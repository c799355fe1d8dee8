//! The matrix-product kernels of `linear` and `conv1d`: many rows; inputs x, weight, bias, residual.
//!
//! On a GPU a workgroup makes a tile of the output from tiles of x and w in its memory, each thread 4 x 4 (`matmul_tiled`) or 8 x 8
//! (`matmul_wide`) of it, by outer products. Which tile is the fastest depends on how many of them there are for the adapter's cores. Where
//! there are few, K is divided among slices of a workgroup's threads (`matmul_sliced`): more threads for as many outputs.

use super::linear::{BIAS, RESIDUAL, WEIGHT, X, is_vectored, weight_file};
use super::math::Activation;
use crate::engine::op::{GpuCaps, Kernel, Signature};
use crate::engine::tensor::{DType, TensorType};

/// Rows of a matrix product that are windows into a flat tensor; windows may overlap and reach over its ends, where
/// zeros are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    /// M
    pub n_rows: usize,
    /// K
    pub n_cols: usize,
    /// Elements from one row's start to the next.
    pub stride: usize,
    /// Where row 0 starts.
    pub first: isize,
    /// Elements of the tensor.
    pub len: usize,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n_rows: u32,
    n_out: u32,
    n_cols: u32,
    stride: i32,
    first: i32,
    len: i32,
    y_first: u32,
    y_stride: u32,
}

/// Columns of the tiles of x and of w, for each slice.
const STEPS: usize = 16;

/// How the output is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tile {
    shader: &'static str,
    /// Rows, and columns, of a thread.
    each: usize,
    /// Threads along columns and along rows.
    threads: [usize; 2],
    /// Times so many threads, among which K is divided.
    slices: usize,
}

const DIRECT: Tile = Tile { shader: "matmul_direct", each: 8, threads: [4, 4], slices: 1 };

const fn tiled(across: usize, down: usize) -> Tile {
    Tile { shader: "matmul_tiled", each: 4, threads: [across, down], slices: 1 }
}

const fn wide(across: usize, down: usize) -> Tile {
    Tile { shader: "matmul_wide", each: 8, threads: [across, down], slices: 1 }
}

const fn sliced(slices: usize, across: usize, down: usize) -> Tile {
    Tile { shader: "matmul_sliced", each: 8, threads: [across, down], slices }
}

/// With K divided, the better first. Sums are put together where x's tile was, which has room for them up to eight threads across.
const SLICED: [Tile; 2] = [sliced(3, 8, 9), sliced(2, 8, 12)];

/// What the tuner tries. None has more rows or columns than a slice has threads, nor more than the 256 threads that every adapter allows.
const TRIED: [Tile; 6] = [tiled(8, 8), tiled(8, 16), wide(8, 8), wide(8, 16), SLICED[0], SLICED[1]];

/// From so many workgroups of `wide(8, 16)` on, 8 x 8 outputs a thread are faster than 4 x 4 although fewer threads work.
const ENOUGH: usize = 50;

/// From so many of them on, cores are busy without slices, which then only cost their sums: a third more than an H100 has cores. With 144
/// workgroups slices take a fifth less time there, with 216 a tenth more (`docs/bench-notes.md`).
const FILLED: usize = 176;

impl Tile {
    fn rows(self) -> usize {
        self.each * self.threads[1]
    }

    fn cols(self) -> usize {
        self.each * self.threads[0]
    }

    /// How many workgroups make `m` x `n` outputs.
    fn count(self, m: usize, n: usize) -> usize {
        m.div_ceil(self.rows()) * n.div_ceil(self.cols())
    }

    /// What suits most adapters (measured on an H100, of 132 cores: `docs/bench-notes.md`).
    fn usual(signature: &Signature, caps: &GpuCaps, rows: &Rows) -> Self {
        // Emulators are slowest at barriers, then at reading: there each thread reads for itself, for as many outputs as it can
        // (`docs/bench-notes.md`).
        if caps.is_plain() || !rows.fit_tiles(1) {
            return DIRECT;
        }
        match wide(8, 16).count(rows.n_rows, signature.rows.len()) {
            ..ENOUGH => tiled(8, 8),
            ENOUGH..FILLED => SLICED.into_iter().find(|tile| tile.fits(caps, rows)).unwrap_or(wide(8, 16)),
            FILLED.. => wide(8, 16),
        }
    }

    /// Whether K can be divided so, and the adapter has the workgroup memory.
    fn fits(self, caps: &GpuCaps, rows: &Rows) -> bool {
        let pitches = self.rows() / 4 + 1 + self.cols() / 4 + 1;
        let bytes = size_of::<[f32; 4]>() * STEPS * self.slices * pitches;
        rows.fit_tiles(self.slices) && bytes <= caps.workgroup_bytes as usize
    }

    fn kernel(self, signature: &Signature, activation: Activation, rows: Rows) -> Kernel {
        let (m, k, n) = (rows.n_rows, rows.n_cols, signature.rows.len());
        let params = Params {
            n_rows: m as u32,
            n_out: n as u32,
            n_cols: k as u32,
            stride: rows.stride as i32,
            first: rows.first as i32,
            len: rows.len as i32,
            y_first: signature.rows.start as u32,
            y_stride: signature.output().n_cols() as u32,
        };
        let groups = [n.div_ceil(self.cols()) as u32, m.div_ceil(self.rows()) as u32, 1];
        let reaches_over = rows.first < 0 || (m - 1) * rows.stride + k > (rows.len as isize - rows.first) as usize;
        let kernel = Kernel::new(self.shader, params, groups)
            .binds(&[X, WEIGHT, BIAS, RESIDUAL])
            .shared("activation")
            .shared("matmul")
            .alias("x_t", signature.input(X).dtype)
            .alias("y_t", signature.output().dtype)
            .set("ACTIVATION", activation.code())
            .flag("BOUNDED", reaches_over)
            .flag("HAS_BIAS", signature.has(BIAS))
            .flag("HAS_RESIDUAL", signature.has(RESIDUAL));
        let [across, down] = self.threads;
        match self {
            DIRECT => kernel
                .shared(weight_file(signature.input(WEIGHT)))
                .shared("outputs")
                .flag("VECTORED", rows.are_vectors()),
            _ => {
                let kernel = kernel
                    .shared(quad_file(signature.input(WEIGHT)))
                    .shared(if writes_vectors(signature) { "output_quads" } else { "outputs" })
                    .constant("WGX", across)
                    .constant("WGY", down);
                if self.slices > 1 { kernel.constant("SLICES", self.slices) } else { kernel.shared("tiles") }
            }
        }
    }
}

/// The file that reads the weight at binding 2 four elements at a time.
fn quad_file(weight: &TensorType) -> &'static str {
    match weight.dtype {
        DType::F16 => "quad_f16",
        DType::Q8 => "quad_q8",
        DType::Q4 => "quad_q4",
        DType::F32 | DType::U32 => "quad_f32",
    }
}

/// Whether what is written of each row is made of whole vectors.
fn writes_vectors(signature: &Signature) -> bool {
    let rows = &signature.rows;
    [rows.start, rows.len(), signature.output().n_cols()].into_iter().all(|n| n.is_multiple_of(4))
}

impl Rows {
    /// Whether each begins at a vector and is made of whole ones.
    fn are_vectors(&self) -> bool {
        is_vectored(self.n_cols) && self.stride.is_multiple_of(4) && self.first % 4 == 0
    }

    /// Whether tiles, one for each slice, can be read by vectors.
    fn fit_tiles(&self, slices: usize) -> bool {
        self.are_vectors() && self.n_cols.is_multiple_of(STEPS * slices)
    }
}

/// The kernel for these rows.
pub(super) fn kernel(signature: &Signature, caps: &GpuCaps, activation: Activation, rows: Rows) -> Kernel {
    Tile::usual(signature, caps, &rows).kernel(signature, activation, rows)
}

/// The same in other tiles.
pub(super) fn alternatives(signature: &Signature, caps: &GpuCaps, activation: Activation, rows: Rows) -> Vec<Kernel> {
    let usual = Tile::usual(signature, caps, &rows);
    let others = TRIED.into_iter().filter(|tile| *tile != usual && tile.fits(caps, &rows));
    others.map(|tile| tile.kernel(signature, activation, rows)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is usual for `[m, k] . [n, k]` on a GPU with so much workgroup memory.
    fn usual([m, k, n]: [usize; 3], workgroup_bytes: u32) -> Tile {
        let caps = GpuCaps::of_hardware(workgroup_bytes, 128 << 20);
        let signature = Signature { inputs: Vec::new(), output: None, rows: 0..n };
        Tile::usual(&signature, &caps, &Rows { n_rows: m, n_cols: k, stride: k, first: 0, len: m * k })
    }

    #[test]
    fn k_is_divided_where_tiles_are_few_and_fit() {
        const PLENTY: u32 = 48 << 10;
        const LEAST: u32 = 16 << 10;
        for (shape, workgroup_bytes, expected) in [
            ([1500, 384, 384], PLENTY, sliced(3, 8, 9)),
            ([3000, 240, 384], PLENTY, sliced(3, 8, 9)),
            ([1500, 512, 512], PLENTY, sliced(2, 8, 12)),
            ([1500, 1536, 384], 27_647, sliced(2, 8, 12)),
            ([1500, 1536, 384], 27_648, sliced(3, 8, 9)),
            ([1500, 400, 384], PLENTY, wide(8, 16)),
            ([1500, 384, 384], LEAST, wide(8, 16)),
            ([1500, 384, 1152], PLENTY, wide(8, 16)),
            ([128, 384, 1536], PLENTY, tiled(8, 8)),
            ([1500, 1757, 384], PLENTY, DIRECT),
        ] {
            assert_eq!(usual(shape, workgroup_bytes), expected, "{shape:?}, {workgroup_bytes} bytes");
        }
    }
}
