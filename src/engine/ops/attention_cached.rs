//! Causal self-attention of new positions over all earlier ones, keeping their keys and values.
//!
//! qkv: `[R, 3 * D]`, rows from `state.position` on; cache: `[2 * C, D]`, keys of C positions above their values, written in
//! place; state: the decoder's. y: `[R, D]`. Each row sees the cache and the rows before it, which it reads from qkv itself, so no
//! workgroup waits for another. Rows past the prompt's end write rubbish behind it, which later rows overwrite before anybody reads it.

use super::attention::{Heads, attend, default_scale};
use super::decode_state::{self, DecodeState};
use super::linear::expect_shape;
use super::math::{dot, softmax};
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Compare, Lowered, Lowering, Operand, Primitive};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, attention_cached};

impl Tensor {
    /// See the module.
    pub fn attention_cached(&self, cache: &Tensor, state: &Tensor, n_heads: usize) -> Result<Tensor> {
        record_one(AttentionCached { n_heads }, self.recorder(), &[Some(self), Some(cache), Some(state)])
    }
}

#[derive(Debug)]
struct AttentionCached {
    n_heads: usize,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n_heads: u32,
    scale: f32,
}

impl Op for AttentionCached {
    fn name(&self) -> &'static str {
        "attention_cached"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(qkv), Some(cache), Some(_state)] = inputs else {
            return Err(Error::Internal("attention_cached takes qkv, a cache and a state".into()));
        };
        let d = qkv.n_cols() / 3;
        expect_shape("attention_cached cache", cache, &[cache.n_rows(), d])?;
        expect_shape("attention_cached qkv", qkv, &[qkv.n_rows(), 3 * self.n_heads * (d / self.n_heads)])?;
        Ok(Some(TensorType::new(qkv.dtype, [qkv.n_rows(), d])))
    }

    fn writes(&self) -> &'static [usize] {
        &[1]
    }

    fn define(&self, args: Operands) {
        let [Some(qkv), _, Some(state)] = args.inputs[..] else { unreachable!() };
        let position = DecodeState::from_words(state.u32()).position as usize;
        let cache = &mut args.states[0];
        let (d, capacity) = (cache.ty.n_cols(), cache.ty.n_rows() / 2);
        let e = d / self.n_heads;
        let y = args.output.expect("attention_cached has an output").f32_mut();
        for (r, row) in qkv.f32().chunks_exact(3 * d).enumerate() {
            let at = (position + r).min(capacity - 1);
            let cache = cache.f32_mut();
            cache[at * d..][..d].copy_from_slice(&row[d..2 * d]);
            cache[(capacity + at) * d..][..d].copy_from_slice(&row[2 * d..]);
            for head in 0..self.n_heads {
                let cols = head * e..(head + 1) * e;
                let scale = 1.0 / (e as f64).sqrt();
                let key = |j: usize| &cache[j * d..][..d][cols.clone()];
                let value = |j: usize| &cache[(capacity + j) * d..][..d][cols.clone()];
                let mut scores: Vec<f64> = (0..=at).map(|j| dot(&row[cols.clone()], key(j)) * scale).collect();
                softmax(&mut scores);
                for (c, out) in y[r * d..][..d][cols.clone()].iter_mut().enumerate() {
                    *out = scores.iter().enumerate().map(|(j, w)| w * f64::from(value(j)[c])).sum::<f64>() as f32;
                }
            }
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let (qkv, cache) = (signature.input(0), signature.input(1));
        let d = qkv.n_cols() / 3;
        let params = attention_cached::Params {
            d: d as u32,
            n_heads: self.n_heads as u32,
            capacity: cache.n_rows() as u32 / 2,
            scale: 1.0 / ((d / self.n_heads) as f32).sqrt(),
        };
        Call::new(rill_kernels::Kernel::AttentionCached, params)
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let qkv = signature.input(0);
        let head_size = qkv.n_cols() / 3 / self.n_heads;
        let params = Params { n_heads: self.n_heads as u32, scale: 1.0 / (head_size as f32).sqrt() };
        Kernel::new("attention_cached", params, [self.n_heads as u32, qkv.n_rows() as u32, 1])
            .shared("decode_state")
            .shared("reduce")
            .shared("softmax")
            .alias("x_t", qkv.dtype)
            .constant("HEAD_VECS", head_size / 4)
            .constant("N_SCORES", signature.input(1).n_rows() / 2)
    }

    /// All rows are put into the cache, then each looks at it as far as itself.
    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(qkv), Some(cache), Some(state)] = *inputs else { return Ok(None) };
        let ((n_rows, _), (n_cache, d)) = (b.rows_and_cols(qkv), b.rows_and_cols(cache));
        let (output, stored, capacity) = (b.ty(qkv).element, b.ty(cache).element, n_cache / 2);
        let position = decode_state::lower_word(b, state, decode_state::POSITION)?;
        let rows = b.iota(&[n_rows]);
        let rows = b.add(rows, position)?;
        let at = b.at_most(rows, capacity - 1)?;
        let to_values = b.integer(capacity);
        let at_values = b.add(at, to_values)?;
        let places = b.concat(&[at, at_values], 0)?;
        let places = b.reshape(places, &[2 * n_rows, 1])?;

        let part = |b: &mut Lowering, which: usize| b.slice(qkv, &[0, which * d], &[n_rows, d]);
        let (q, k, v) = (part(b, 0)?, part(b, 1)?, part(b, 2)?);
        let updates = b.concat(&[k, v], 0)?;
        let updates = b.cast(updates, stored)?;
        let cache = b.step(Primitive::ScatterRows, &[cache, places, updates])?;

        let half = |b: &mut Lowering, first: usize| {
            let rows = b.slice(cache, &[first, 0], &[capacity, d])?;
            let rows = b.f32(rows)?;
            b.reshape(rows, &[1, capacity, d])
        };
        let (keys, values) = (half(b, 0)?, half(b, capacity)?);
        let (places, at) = (b.iota(&[1, 1, 1, capacity]), b.reshape(at, &[1, 1, n_rows, 1])?);
        let is_past = b.compare(Compare::LesserOrEqual, places, at)?;
        let mask = b.mask(is_past)?;
        let q = b.f32(q)?;
        let q = b.reshape(q, &[1, n_rows, d])?;
        let y = attend(
            b,
            [q, keys, values],
            Heads { n: self.n_heads, scale: default_scale(d / self.n_heads) },
            Some(mask),
        )?;
        let y = b.reshape(y, &[n_rows, d])?;
        Ok(Some(Lowered { output: Some(b.cast(y, output)?), states: vec![cache] }))
    }
}
