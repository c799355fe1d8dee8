//! The matrix-vector kernel of `linear`: few rows, whose layer normalisation it does on the way.
//!
//! A workgroup makes `threads / lanes` outputs of one row; `lanes` threads share an output. A decoder's step is a chain of these, so what counts
//! is how soon one is done: weights, bias and residual are asked for before x, which the dispatch before has only just written.

use super::linear::{BIAS, NORM_BIAS, NORM_WEIGHT, RESIDUAL, WEIGHT, X, is_vectored, weight_file};
use super::math::Activation;
use crate::engine::op::{GpuCaps, Kernel, Signature, fold_workgroups};
use crate::engine::tensor::{DType, TensorType};

/// How the work is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    /// Threads of a workgroup.
    threads: usize,
    /// Threads that share an output.
    lanes: usize,
    /// Steps of a thread whose weights are asked for before x.
    held: usize,
}

/// More columns than these are worth twice as many lanes.
const MANY_COLS: usize = 1024;
/// More outputs than these fill a GPU by themselves: then it is bandwidth that counts.
const MANY_OUTPUTS: usize = 16_384;
/// Most weights that a thread holds, in steps.
const MOST_HELD: usize = 4;

/// What the tuner tries: threads and lanes.
const TRIED: [(usize, usize); 7] = [(64, 8), (64, 16), (64, 32), (128, 8), (128, 16), (128, 32), (256, 16)];

impl Shape {
    /// What suits most adapters (measured on an H100: `docs/bench-notes.md`).
    fn usual(signature: &Signature, caps: &GpuCaps) -> Self {
        let (k, n) = (signature.input(X).n_cols(), signature.rows.len());
        if caps.is_plain() {
            // On a processor posing as a GPU a barrier costs more than the strided reads that it saves.
            return Self { threads: 64, lanes: 1, held: 0 };
        }
        if n >= MANY_OUTPUTS {
            return Self { held: 0, ..Self::of(128, 8, signature, caps) };
        }
        Self::of(128, if k >= MANY_COLS { 32 } else { 16 }, signature, caps)
    }

    fn of(threads: usize, lanes: usize, signature: &Signature, caps: &GpuCaps) -> Self {
        let lanes = caps.subgroup().map_or(lanes, |least| lanes.min(least as usize));
        let k = signature.input(X).n_cols();
        let n_steps = k / step(signature.input(WEIGHT));
        let held = if is_vectored(k) { (n_steps / lanes).min(MOST_HELD) } else { 0 };
        Self { threads, lanes, held }
    }

    fn kernel(self, signature: &Signature, caps: &GpuCaps, activation: Activation, eps: f32) -> Kernel {
        let (x, weight) = (signature.input(X), signature.input(WEIGHT));
        let n_out = signature.rows.len();
        let params = Params {
            n_cols: x.n_cols() as u32,
            n_out: n_out as u32,
            y_first: signature.rows.start as u32,
            y_stride: signature.output().n_cols() as u32,
            eps,
        };
        let [gx, gy, _] = fold_workgroups(n_out.div_ceil(self.threads / self.lanes));
        Kernel::new("matvec", params, [x.n_rows() as u32, gx, gy])
            .reduces(caps)
            .shared(weight_file(weight))
            .shared(product_file(weight))
            .shared("activation")
            .alias("x_t", x.dtype)
            .alias("y_t", signature.output().dtype)
            .constant("N_COLS", x.n_cols())
            .constant("N_HELD", self.held)
            .set("WG", self.threads as f64)
            .set("LANES", self.lanes as f64)
            .set("ACTIVATION", activation.code())
            .flag("VECTORED", is_vectored(x.n_cols()))
            .flag("HAS_BIAS", signature.has(BIAS))
            .flag("HAS_RESIDUAL", signature.has(RESIDUAL))
            .flag("HAS_NORM", signature.has(NORM_WEIGHT))
            .flag("HAS_NORM_BIAS", signature.has(NORM_BIAS))
    }
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n_cols: u32,
    n_out: u32,
    y_first: u32,
    y_stride: u32,
    eps: f32,
}

/// The kernel for `linear`'s inputs.
pub(super) fn kernel(signature: &Signature, caps: &GpuCaps, activation: Activation, eps: f32) -> Kernel {
    Shape::usual(signature, caps).kernel(signature, caps, activation, eps)
}

/// The same otherwise divided.
pub(super) fn alternatives(signature: &Signature, caps: &GpuCaps, activation: Activation, eps: f32) -> Vec<Kernel> {
    let usual = Shape::usual(signature, caps);
    let mut shapes: Vec<Shape> = Vec::new();
    for (threads, lanes) in TRIED {
        let shape = Shape::of(threads, lanes, signature, caps);
        for shape in [shape, Shape { held: 0, ..shape }] {
            if shape != usual && !shapes.contains(&shape) {
                shapes.push(shape);
            }
        }
    }
    shapes.into_iter().map(|shape| shape.kernel(signature, caps, activation, eps)).collect()
}

/// Columns that a thread multiplies at a time.
fn step(weight: &TensorType) -> usize {
    match weight.dtype {
        DType::Q8 | DType::Q4 => 32,
        DType::F32 | DType::F16 | DType::U32 => 8,
    }
}

/// The file that says how.
fn product_file(weight: &TensorType) -> &'static str {
    match weight.dtype {
        DType::Q8 => "product_q8",
        DType::Q4 => "product_q4",
        DType::F32 | DType::F16 | DType::U32 => "product_eight",
    }
}
