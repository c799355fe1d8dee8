//! Attention of decoder rows over the encoder's keys and values, split over the keys.
//!
//! q: `[R, D]`, kv: `[S, 2 * D]`, keys beside values, or `[G, S, 2 * D]` for G sequences; lengths: `[G]`, u32, how many of the keys are real
//! (`None`: all); region: `[1]`, u32, the one of the G that all rows look at (`None`: each has R / G rows, one below the other). y: `[R * H * P, E + 4]`, f32: for each row, head and part of the keys the
//! unnormalised sum of values, then the part's maximal score and sum of weights (and two unused). `attention_combine` puts the
//! parts together. One query over 1500 keys would keep a handful of a GPU's cores busy: undivided it was measured elsewhere as half of a token's time.

use super::attention::{Heads, attend, default_scale};
use super::linear::expect_shape;
use super::math::dot;
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Compare, Lowered, Lowering, Operand};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, attention_cross};
use std::ops::Range;

/// Parts of the keys: 24 x 6 heads fill a GPU's cores (12 took 1.8 times, 48 nine tenths as long on an H100, with more to put together).
pub(super) const N_PARTS: usize = 24;

impl Tensor {
    /// See the module.
    pub fn attention_cross(&self, kv: &Tensor, n_heads: usize, options: CrossOptions) -> Result<Tensor> {
        let scale = options.scale.unwrap_or_else(|| default_scale(self.ty.n_cols() / n_heads));
        let inputs = [Some(self), Some(kv), options.lengths, options.region];
        record_one(AttentionCross { n_heads, scale }, self.recorder(), &inputs)
    }
}

/// How scores are made, and which keys are looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct CrossOptions<'a> {
    /// Of the products; `1 / sqrt(E)` where `None`.
    pub scale: Option<f32>,
    /// `[G]`, u32: how many keys of each region are real; all where `None`.
    pub lengths: Option<&'a Tensor>,
    /// `[1]`, u32: the region of all rows; each region has as many rows as the others where `None`.
    pub region: Option<&'a Tensor>,
}

#[derive(Debug)]
struct AttentionCross {
    n_heads: usize,
    scale: f32,
}

/// The keys of one part of `n_keys`.
fn part_of(n_keys: usize, part: usize) -> Range<usize> {
    let size = n_keys.div_ceil(N_PARTS);
    (part * size).min(n_keys)..((part + 1) * size).min(n_keys)
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n_heads: u32,
    n_keys: u32,
    n_regions: u32,
    n_rows: u32,
    scale: f32,
}

const KV: usize = 1;
const LENGTHS: usize = 2;
const REGION: usize = 3;

impl Op for AttentionCross {
    fn name(&self) -> &'static str {
        "attention_cross"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(q), Some(kv), lengths, region] = inputs else {
            return Err(Error::Internal("attention_cross takes q and kv".into()));
        };
        let (n_rows, d) = (q.n_rows(), q.n_cols());
        let n_regions = kv.n_regions();
        let n_keys = kv.n_rows() / n_regions;
        let expected = if kv.shape.len() == 3 { vec![n_regions, n_keys, 2 * d] } else { vec![n_keys, 2 * d] };
        expect_shape("attention_cross kv", kv, &expected)?;
        if let Some(lengths) = lengths {
            expect_shape("attention_cross lengths", lengths, &[n_regions])?;
        }
        match region {
            Some(region) => expect_shape("attention_cross region", region, &[1])?,
            None if !n_rows.is_multiple_of(n_regions) => {
                return Err(Error::Internal(format!("attention_cross: {n_rows} rows for {n_regions} regions")));
            }
            None => {}
        }
        Ok(Some(TensorType::f32([n_rows * self.n_heads * N_PARTS, d / self.n_heads + 4])))
    }

    fn define(&self, args: Operands) {
        let [Some(q), Some(kv), lengths, region] = args.inputs[..] else { unreachable!() };
        let d = q.ty.n_cols();
        let e = d / self.n_heads;
        let n_regions = kv.ty.n_regions();
        let (size, n_rows) = (kv.ty.n_rows() / n_regions, q.ty.n_rows() / n_regions);
        let y = args.output.expect("attention_cross has an output");
        for (at, out) in y.f32_mut().chunks_exact_mut(e + 4).enumerate() {
            let (row, head, part) = (at / N_PARTS / self.n_heads, at / N_PARTS % self.n_heads, at % N_PARTS);
            let region = region.map_or_else(|| row / n_rows, |region| region.u32()[0] as usize).min(n_regions - 1);
            let n_keys = lengths.map_or(size, |lengths| (lengths.u32()[region] as usize).min(size));
            let kv = &kv.f32()[region * size * 2 * d..];
            let q = &q.f32()[row * d + head * e..][..e];
            let keys = part_of(n_keys, part);
            let key = |j: usize| &kv[j * 2 * d + head * e..][..e];
            let value = |j: usize| &kv[j * 2 * d + d + head * e..][..e];
            let scores: Vec<f64> = keys.clone().map(|j| dot(q, key(j)) * f64::from(self.scale)).collect();
            let most = scores.iter().copied().fold(-3.0e38, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
            for (c, v) in out[..e].iter_mut().enumerate() {
                *v = weights.iter().zip(keys.clone()).map(|(w, j)| w * f64::from(value(j)[c])).sum::<f64>() as f32;
            }
            out[e] = most as f32;
            out[e + 1] = weights.iter().sum::<f64>() as f32;
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let (q, kv) = (signature.input(0), signature.input(KV));
        let params = attention_cross::Params {
            d: q.n_cols() as u32,
            n_heads: self.n_heads as u32,
            n_parts: N_PARTS as u32,
            n_keys: (kv.n_rows() / kv.n_regions()) as u32,
            n_regions: kv.n_regions() as u32,
            scale: self.scale,
        };
        Call::new(rill_kernels::Kernel::AttentionCross, params)
    }

    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        let (q, kv) = (signature.input(0), signature.input(KV));
        let head_size = q.n_cols() / self.n_heads;
        let (n_regions, n_keys) = (kv.n_regions(), kv.n_rows() / kv.n_regions());
        let params = Params {
            n_heads: self.n_heads as u32,
            n_keys: n_keys as u32,
            n_regions: n_regions as u32,
            n_rows: (q.n_rows() / n_regions).max(1) as u32,
            scale: self.scale,
        };
        Kernel::new("attention_cross", params, [N_PARTS as u32, self.n_heads as u32, q.n_rows() as u32])
            .reduces(caps)
            .shared("softmax")
            .alias("x_t", q.dtype)
            .alias("kv_t", kv.dtype)
            .constant("HEAD_VECS", head_size / 4)
            .constant("N_SCORES", part_of(n_keys, 0).len())
            .constant("N_PARTS", N_PARTS)
            .set("WG", if caps.is_plain() { 64.0 } else { 128.0 })
            .flag("HAS_LENGTHS", signature.has(LENGTHS))
            .flag("HAS_REGION", signature.has(REGION))
    }

    /// The whole attention at once, `[R, D]`: there are no parts that `attention_combine` would have to put together.
    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(q), Some(kv), lengths, region] = *inputs else { return Ok(None) };
        let (n_rows, d) = b.rows_and_cols(q);
        let all = b.ty(kv).shape.clone();
        let (n_all, n_keys) = if all.len() == 3 { (all[0], all[1]) } else { (1, all[0]) };
        // As many sequences as regions, or one that looks at the region of that number.
        let (n_seqs, mut kv, mut lengths) = (if region.is_some() { 1 } else { n_all }, b.f32(kv)?, lengths);
        if let Some(region) = region {
            let region = b.at_most(region, n_all - 1)?;
            let by_region = b.reshape(kv, &[n_all, n_keys * 2 * d])?;
            kv = b.gather(by_region, region)?;
            lengths = lengths.map(|lengths| b.gather(lengths, region)).transpose()?;
        }
        let kv = b.reshape(kv, &[n_seqs * n_keys, 2 * d])?;
        let half = |b: &mut Lowering, first: usize| {
            let columns = b.slice(kv, &[0, first], &[n_seqs * n_keys, d])?;
            b.reshape(columns, &[n_seqs, n_keys, d])
        };
        let (keys, values) = (half(b, 0)?, half(b, d)?);
        let q = b.f32(q)?;
        let q = b.reshape(q, &[n_seqs, n_rows / n_seqs, d])?;
        let mask = match lengths {
            Some(lengths) => {
                let (places, lengths) = (b.iota(&[1, 1, 1, n_keys]), b.reshape(lengths, &[n_seqs, 1, 1, 1])?);
                let is_real = b.compare(Compare::Lesser, places, lengths)?;
                Some(b.mask(is_real)?)
            }
            None => None,
        };
        let y = attend(b, [q, keys, values], Heads { n: self.n_heads, scale: self.scale }, mask)?;
        Ok(Some(b.reshape(y, &[n_rows, d])?.into()))
    }

    fn flops(&self, signature: &Signature) -> u64 {
        let kv = signature.input(KV);
        4 * (signature.input(0).n_elements() * (kv.n_rows() / kv.n_regions())) as u64
    }

    fn bytes(&self, signature: &Signature) -> u64 {
        // One region where it is named, all otherwise.
        let n_read = if signature.has(REGION) { signature.input(KV).n_regions() as u64 } else { 1 };
        signature.input_bytes(0) + signature.input_bytes(KV) / n_read + signature.output_bytes()
    }
}
