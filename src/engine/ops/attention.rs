//! Self-attention over whole sequences, without ever storing the scores.
//!
//! qkv: `[B * T, 3 * D]`, each row query, key and value of one position, D = H heads of size E. lengths: `[B]`, u32, how many
//! positions of each sequence are real (`None`: all). bias: `[H, 2 N - 1]`, N at least T, f32, what is added to the score of a key by its
//! distance from the query, the distance zero in column N - 1 (`None`: nothing). y: `[B * T, D]`, `softmax(scale * q . k + bias) . v` per
//! head, over the keys that are real and, where it is causal, not behind the query. The kernel keeps a running maximum and sum per query
//! (Milakov and Gimelshein 2018, arXiv 1805.02867), so memory is linear in T. Where heads and queries are too few for a GPU's cores, its
//! workgroups divide the keys among them, and a second dispatch, that of `attention_combine`, puts the parts together.

use super::attention_combine;
use super::linear::expect_shape;
use super::math::{dot, softmax};
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Binary, Compare, Lowered, Lowering, Operand, Reduce};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::{DType, TensorType};
use crate::engine::{Error, Result};
use rill_kernels::{Call, attention};

/// Which keys a query sees, and how their scores are made.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttentionOptions<'a> {
    /// `[B]`, u32: real positions of each sequence; all where `None`.
    pub lengths: Option<&'a Tensor>,
    /// Of the products; `1 / sqrt(E)` where `None`.
    pub scale: Option<f32>,
    /// Whether a query sees only itself and what is before it.
    pub causal: bool,
    /// `[H, 2 N - 1]`, f32: added to the scores by distance.
    pub bias: Option<&'a Tensor>,
}

impl Tensor {
    /// See the module; `seq_len` is T.
    pub fn attention(&self, n_heads: usize, seq_len: usize, options: AttentionOptions) -> Result<Tensor> {
        let AttentionOptions { lengths, scale, causal, bias } = options;
        let scale = scale.unwrap_or_else(|| default_scale(self.ty.n_cols() / 3 / n_heads));
        record_one(Attention { n_heads, seq_len, scale, causal }, self.recorder(), &[Some(self), lengths, bias])
    }
}

/// The scale of scores of heads of `head_size`, where a model has no other.
pub(super) fn default_scale(head_size: usize) -> f32 {
    1.0 / (head_size as f32).sqrt()
}

#[derive(Debug)]
struct Attention {
    n_heads: usize,
    seq_len: usize,
    scale: f32,
    causal: bool,
}

const LENGTHS: usize = 1;
const BIAS: usize = 2;

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    seq_len: u32,
    n_heads: u32,
    scale: f32,
    bias_cols: u32,
}

impl Attention {
    /// Vectors of four that a head is made of.
    fn head_vecs(&self, signature: &Signature) -> usize {
        signature.input(0).n_cols() / 12 / self.n_heads
    }

    fn kernel_as(&self, form: Form, signature: &Signature, caps: &GpuCaps) -> Kernel {
        let qkv = signature.input(0);
        let head_vecs = self.head_vecs(signature);
        let params = Params {
            seq_len: self.seq_len as u32,
            n_heads: self.n_heads as u32,
            scale: self.scale,
            bias_cols: signature.inputs[BIAS].map_or(0, |bias| bias.n_cols() as u32),
        };
        let n_seqs = qkv.n_rows() / self.seq_len;
        let n_parts = form.n_parts();
        let groups = [self.seq_len.div_ceil(form.queries()), self.n_heads, n_seqs * n_parts].map(|n| n as u32);
        let kernel = Kernel::new(form.shader(), params, groups)
            .shared("attention")
            .alias("x_t", qkv.dtype)
            .alias("y_t", if n_parts > 1 { DType::F32 } else { qkv.dtype })
            .constant("HEAD_VECS", head_vecs)
            .flag("HAS_LENGTHS", signature.has(LENGTHS))
            .flag("HAS_BIAS", signature.has(BIAS))
            .flag("CAUSAL", self.causal);
        let Form::Blocks { down, across, .. } = form else { return kernel };
        // Rows of sixteen threads are no faster in subgroups (docs/bench-notes.md).
        let is_in_subgroup = across <= 8 && caps.subgroup().is_some_and(|least| across <= least as usize);
        let kernel = kernel
            .shared(if is_in_subgroup { "reduce_rows_subgroup" } else { "reduce_rows" })
            .constant("PARTS", n_parts)
            .constant("QG", down)
            .constant("KG", across)
            .constant("COLS_EACH", head_vecs.div_ceil(across))
            .constant("Q_READS", head_vecs.div_ceil(across))
            .constant("K_READS", head_vecs.div_ceil(down))
            .constant("V_READS", if form.holds_values(head_vecs, caps) { (4 * head_vecs).div_ceil(down) } else { 0 });
        if n_parts == 1 {
            return kernel;
        }
        let n_heads = qkv.n_rows() * self.n_heads;
        let combine = attention_combine::kernel(n_parts, n_heads, head_vecs, qkv.dtype);
        kernel.then(combine, self.parts_bytes(n_parts, signature))
    }

    /// Bytes of the parts: for each a head's sums, and a vector more.
    fn parts_bytes(&self, n_parts: usize, signature: &Signature) -> usize {
        16 * (self.head_vecs(signature) + 1) * n_parts * self.n_heads * signature.input(0).n_rows()
    }
}

/// How the work is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Each thread keeps a query to itself, as suits a processor posing as a GPU.
    Direct,
    /// 32 queries and 16 keys at a time in workgroup memory, four threads to a query.
    Tiled,
    /// `4 down` queries and `4 across` keys at a time, `down` x `across` threads with 4 x 4 scores each; the keys in so many parts.
    Blocks { down: usize, across: usize, parts: usize },
}

/// Workgroups with parts of the keys are no more than this: four or five for each core of the GPU that was measured.
const MOST_GROUPS: usize = 600;
/// Keys of a part at least: putting the parts together takes its time.
const LEAST_KEYS: usize = 300;

impl Form {
    /// What the tuner tries.
    const TRIED: [Form; 6] = [
        Form::Tiled,
        Form::Blocks { down: 8, across: 8, parts: 1 },
        Form::Blocks { down: 8, across: 16, parts: 1 },
        Form::Blocks { down: 16, across: 8, parts: 1 },
        Form::Blocks { down: 16, across: 8, parts: 2 },
        Form::Blocks { down: 16, across: 8, parts: 4 },
    ];

    /// What suits most adapters (measured on an H100: `docs/bench-notes.md`).
    fn usual(op: &Attention, signature: &Signature, caps: &GpuCaps) -> Self {
        // As many threads across as a head has vectors: each sums one.
        let across = if op.head_vecs(signature) < 16 { 8 } else { 16 };
        let parted = [4, 2].map(|parts| Form::Blocks { down: 16, across: 8, parts });
        let parted = parted.into_iter().filter(|form| form.is_worth_it(op, signature));
        let mut blocks = parted.chain([Form::Blocks { down: 8, across, parts: 1 }]);
        match blocks.find(|form| form.fits(op, signature, caps)) {
            _ if caps.is_plain() => Form::Direct,
            Some(blocks) => blocks,
            None => Form::Tiled,
        }
    }

    /// Whether its parts fill cores that would idle, and are long enough.
    fn is_worth_it(self, op: &Attention, signature: &Signature) -> bool {
        let n_groups = op.seq_len.div_ceil(self.queries()) * op.n_heads * (signature.input(0).n_rows() / op.seq_len);
        n_groups * self.n_parts() <= MOST_GROUPS && op.seq_len / self.n_parts() >= LEAST_KEYS
    }

    fn shader(self) -> &'static str {
        match self {
            Form::Direct => "attention_direct",
            Form::Tiled => "attention_tiled",
            Form::Blocks { .. } => "attention_blocks",
        }
    }

    /// Queries of a workgroup.
    fn queries(self) -> usize {
        match self {
            Form::Direct => 64,
            Form::Tiled => 32,
            Form::Blocks { down, .. } => 4 * down,
        }
    }

    /// Parts that the keys are in.
    fn n_parts(self) -> usize {
        match self {
            Form::Direct | Form::Tiled => 1,
            Form::Blocks { parts, .. } => parts,
        }
    }

    /// Whether its tiles fit into workgroup memory, a head is made of whole steps of the loops that are written out, each part of the
    /// keys has a block, and all parts go into one binding.
    fn fits(self, op: &Attention, signature: &Signature, caps: &GpuCaps) -> bool {
        let Form::Blocks { down, across, parts } = self else { return true };
        let vecs = op.head_vecs(signature);
        let parts_fit = op.parts_bytes(parts, signature) as u64 <= caps.max_binding_bytes;
        vecs.is_multiple_of(4)
            && Self::tile_bytes(down, across, vecs) <= caps.workgroup_bytes as usize
            && (parts == 1 || op.seq_len.div_ceil(4 * across) >= parts && parts_fit)
    }

    /// Whether there is room for a block's values beside the tiles; otherwise they are read from where they lie.
    fn holds_values(self, vecs: usize, caps: &GpuCaps) -> bool {
        let Form::Blocks { down, across, .. } = self else { return false };
        Self::tile_bytes(down, across, vecs) + 16 * 4 * across * vecs <= caps.workgroup_bytes as usize
    }

    /// Bytes of the tiles of queries and of keys or weights, and of the threads' greatest scores.
    fn tile_bytes(down: usize, across: usize, vecs: usize) -> usize {
        let queries = 4 * vecs * (down + 1);
        let keys_or_weights = (4 * vecs * (across + 1)).max(4 * across * (down + 1));
        16 * (queries + keys_or_weights + down * across)
    }
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(qkv), lengths, bias] = inputs else { return Err(Error::Internal("attention takes qkv".into())) };
        let (n_rows, d3) = (qkv.n_rows(), qkv.n_cols());
        if !d3.is_multiple_of(3 * self.n_heads * 4) || !n_rows.is_multiple_of(self.seq_len) {
            let expected = vec![n_rows, 3 * self.n_heads * 4 * d3.div_ceil(12 * self.n_heads)];
            return Err(Error::Shape { name: "attention qkv".into(), expected, got: qkv.shape.clone() });
        }
        if let Some(lengths) = lengths {
            expect_shape("attention lengths", lengths, &[n_rows / self.seq_len])?;
        }
        if let Some(bias) = bias {
            let n = bias.n_cols().div_ceil(2).max(self.seq_len);
            expect_shape("attention bias", bias, &[self.n_heads, 2 * n - 1])?;
        }
        Ok(Some(TensorType::new(qkv.dtype, [n_rows, d3 / 3])))
    }

    fn define(&self, args: Operands) {
        let [Some(qkv), lengths, bias] = args.inputs[..] else { unreachable!() };
        let (d3, t) = (qkv.ty.n_cols(), self.seq_len);
        let (d, e) = (d3 / 3, d3 / 3 / self.n_heads);
        let part = |row: usize, which: usize, head: usize| &qkv.f32()[row * d3 + which * d + head * e..][..e];
        let y = args.output.expect("attention has an output");
        let out = y.f32_mut();
        let bias_at = |head: usize, key: usize, query: usize| {
            bias.map_or(0.0, |b| f64::from(b.f32()[head * b.ty.n_cols() + b.ty.n_cols() / 2 + key - query]))
        };
        for row in 0..qkv.ty.n_rows() {
            let (first, query) = (row / t * t, row % t);
            let n_real = lengths.map_or(t, |l| l.u32()[row / t] as usize);
            let n_keys = if self.causal { n_real.min(query + 1) } else { n_real };
            for head in 0..self.n_heads {
                let score = |key: usize| {
                    let product = dot(part(row, 0, head), part(first + key, 1, head));
                    product * f64::from(self.scale) + bias_at(head, key, query)
                };
                let mut scores: Vec<f64> = (0..n_keys).map(score).collect();
                softmax(&mut scores);
                let mut sum = vec![0.0f64; e];
                for (key, weight) in scores.iter().enumerate() {
                    for (s, v) in sum.iter_mut().zip(part(first + key, 2, head)) {
                        *s += weight * f64::from(*v);
                    }
                }
                for (to, s) in out[row * d + head * e..][..e].iter_mut().zip(sum) {
                    *to = s as f32;
                }
            }
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let params = attention::Params {
            seq_len: self.seq_len as u32,
            n_heads: self.n_heads as u32,
            head_size: (signature.output().n_cols() / self.n_heads) as u32,
            scale: self.scale,
            causal: u32::from(self.causal),
        };
        Call::new(rill_kernels::Kernel::Attention, params)
    }

    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        self.kernel_as(Form::usual(self, signature, caps), signature, caps)
    }

    fn alternatives(&self, signature: &Signature, caps: &GpuCaps) -> Vec<Kernel> {
        let usual = Form::usual(self, signature, caps);
        let others = Form::TRIED.into_iter().filter(|form| *form != usual && form.fits(self, signature, caps));
        others.map(|form| self.kernel_as(form, signature, caps)).collect()
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(qkv), lengths, bias] = *inputs else { return Ok(None) };
        let (n_rows, d3) = b.rows_and_cols(qkv);
        let output = b.ty(qkv).element;
        let (d, t) = (d3 / 3, self.seq_len);
        let qkv = b.f32(qkv)?;
        let mut parts = Vec::new();
        for which in 0..3 {
            let part = b.slice(qkv, &[0, which * d], &[n_rows, d])?;
            parts.push(b.reshape(part, &[n_rows / t, t, d])?);
        }
        let mut mask = None;
        if let Some(lengths) = lengths {
            let (keys, lengths) = (b.iota(&[1, 1, 1, t]), b.reshape(lengths, &[n_rows / t, 1, 1, 1])?);
            let is_real = b.compare(Compare::Lesser, keys, lengths)?;
            mask = Some(b.mask(is_real)?);
        }
        if self.causal {
            let (keys, queries) = (b.iota(&[1, 1, 1, t]), b.iota(&[1, 1, t, 1]));
            let is_past = b.compare(Compare::LesserOrEqual, keys, queries)?;
            let past = b.mask(is_past)?;
            // The lower of two: their sum would be infinite.
            mask = Some(mask.map_or(Ok(past), |mask| b.binary(Binary::Min, mask, past))?);
        }
        if let Some(bias) = bias {
            let zero = b.ty(bias).shape[1] / 2;
            let columns: Vec<i32> = (0..t * t).map(|at| (zero + at % t - at / t) as i32).collect();
            let columns = b.integers(&[t * t], &columns);
            let by_distance = b.transpose(bias, &[1, 0])?;
            let bias = b.gather(by_distance, columns)?;
            let bias = b.transpose(bias, &[1, 0])?;
            let bias = b.reshape(bias, &[1, self.n_heads, t, t])?;
            mask = Some(mask.map_or(Ok(bias), |mask| b.add(mask, bias))?);
        }
        let y = attend(b, [parts[0], parts[1], parts[2]], Heads { n: self.n_heads, scale: self.scale }, mask)?;
        let y = b.reshape(y, &[n_rows, d])?;
        Ok(Some(b.cast(y, output)?.into()))
    }

    fn flops(&self, signature: &Signature) -> u64 {
        4 * (signature.output().n_elements() * self.seq_len) as u64
    }
}

/// How many heads, and what their products are scaled by.
#[derive(Clone, Copy)]
pub(super) struct Heads {
    pub n: usize,
    pub scale: f32,
}

/// Attention as primitives, f32. q: `[B, R, D]`, keys and values: `[B, S, D]`; mask: spreads over `[B, H, R, S]`, added to
/// the scores; gives `[B, R, D]`. Sums go over a head's own columns.
pub(super) fn attend(
    b: &mut Lowering,
    [q, keys, values]: [Operand; 3],
    heads: Heads,
    mask: Option<Operand>,
) -> Result<Operand> {
    let [n_seqs, n_rows, d] = b.ty(q).shape[..] else { return Err(Error::Internal("attend takes [B, R, D]".into())) };
    let n_keys = b.ty(keys).shape[1];
    let n_heads = heads.n;
    let e = d / n_heads;
    let q = if heads.scale == 1.0 { q } else { b.scale(q, heads.scale)? };
    if n_seqs == 1 && n_rows == 1 {
        return attend_one([q, keys, values], n_heads, mask, b);
    }
    let q = b.reshape(q, &[n_seqs, n_rows, n_heads, e])?;
    let q = b.transpose(q, &[0, 2, 1, 3])?;
    let keys = b.reshape(keys, &[n_seqs, n_keys, n_heads, e])?;
    let keys = b.transpose(keys, &[0, 2, 3, 1])?;
    let values = b.reshape(values, &[n_seqs, n_keys, n_heads, e])?;
    let values = b.transpose(values, &[0, 2, 1, 3])?;
    let mut scores = b.matmul(q, keys)?;
    if let Some(mask) = mask {
        scores = b.add(scores, mask)?;
    }
    let weights = b.softmax(scores, 3)?;
    let y = b.matmul(weights, values)?;
    let y = b.transpose(y, &[0, 2, 1, 3])?;
    b.reshape(y, &[n_seqs, n_rows, d])
}

/// One query: products and sums over keys and values as they lie, since putting 1500 keys in another order takes longer than
/// using them (0.40 ms against 0.61 ms in Chromium 147 on the processor).
fn attend_one(
    [q, keys, values]: [Operand; 3],
    n_heads: usize,
    mask: Option<Operand>,
    b: &mut Lowering,
) -> Result<Operand> {
    let [_, n_keys, d] = b.ty(keys).shape[..] else { return Err(Error::Internal("attend takes [B, S, D]".into())) };
    let e = d / n_heads;
    let q = b.reshape(q, &[1, n_heads, e])?;
    let keys = b.reshape(keys, &[n_keys, n_heads, e])?;
    let products = b.mul(keys, q)?;
    let mut scores = b.reduce(Reduce::Sum, products, 2)?;
    if let Some(mask) = mask {
        // One for every key, or one for every head and key.
        let n = b.ty(mask).n_elements() / n_keys;
        let mask = b.reshape(mask, &[n, n_keys])?;
        let mask = if n == 1 { mask } else { b.transpose(mask, &[1, 0])? };
        let mask = b.reshape(mask, &[n_keys, n, 1])?;
        scores = b.add(scores, mask)?;
    }
    let weights = b.softmax(scores, 0)?;
    let values = b.reshape(values, &[n_keys, n_heads, e])?;
    let weighted = b.mul(values, weights)?;
    let y = b.reduce(Reduce::Sum, weighted, 0)?;
    b.reshape(y, &[1, 1, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The dispatches, with their workgroups, of an attention of heads of 64.
    fn dispatches(n_heads: usize, seq_len: usize, max_binding_bytes: u64) -> Vec<(&'static str, [u32; 3])> {
        let caps = GpuCaps::of_hardware(32 << 10, max_binding_bytes);
        let qkv = TensorType::f32([seq_len, 3 * n_heads * 64]);
        let y = TensorType::f32([seq_len, n_heads * 64]);
        let signature = Signature { inputs: vec![Some(&qkv), None, None], output: Some(&y), rows: 0..0 };
        let kernel = Attention { n_heads, seq_len, scale: 1.0, causal: false }.kernel(&signature, &caps);
        let then = kernel.then.as_ref().map(|then| (then.kernel.shader, then.kernel.workgroups));
        std::iter::once((kernel.shader, kernel.workgroups)).chain(then).collect()
    }

    #[test]
    fn attention_divides_the_keys_of_few_heads_and_many_positions() {
        const ANY: u64 = 128 << 20;
        let (blocks, combine) = ("attention_blocks", "attention_combine");
        assert_eq!(dispatches(6, 1500, ANY), [(blocks, [24, 6, 4]), (combine, [1125, 1, 1])]);
        assert_eq!(dispatches(8, 1500, ANY), [(blocks, [24, 8, 2]), (combine, [1500, 1, 1])]);
        assert_eq!(dispatches(16, 1500, ANY), [(blocks, [47, 16, 1])], "they fill the cores as they are");
        assert_eq!(dispatches(12, 197, ANY), [(blocks, [7, 12, 1])], "parts would be too short");
        // Four parts take 9.8 MB, two half of that.
        assert_eq!(dispatches(6, 1500, 8 << 20)[0], (blocks, [24, 6, 2]));
        assert_eq!(dispatches(6, 1500, 4 << 20), [(blocks, [47, 6, 1])]);
    }
}
