//! Causal self-attention of new positions over all earlier ones, keeping their keys and values.
//!
//! qkv: `[R, 3 * D]`, rows from `state.position` on; cache: `[2 * C, D]`, keys of C positions above their values, written in
//! place; state: the decoder's; bias: `[H, 2 N - 1]`, N at least C, as in `attention`. y: `[R, D]`. Each row sees the cache and the
//! rows before it, which it reads from qkv itself, so no workgroup waits for another. Rows past the prompt's end write rubbish behind
//! it, which later rows overwrite before anybody reads it.
//!
//! Several sequences: with the states of S of them each has R / S rows, one below the other, and the cache is `[G, 2 * C, D]`, G at least S, a
//! region for each.
//!
//! With slots, `[C, R]`, u32, the rows are the beams of a search, all of them at `state.position`: the key of row r at position j lies in
//! row `slots[j, r]` of the cache. Beams share what they have in common, and a beam that is continued twice is not copied.

use super::attention::{Heads, attend, default_scale};
use super::decode_state::{self, DecodeState};
use super::linear::expect_shape;
use super::math::{dot, softmax};
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Binary, Compare, Lowered, Lowering, Operand, Primitive};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, attention_cached};

impl Tensor {
    /// See the module.
    pub fn attention_cached(
        &self,
        cache: &Tensor,
        state: &Tensor,
        n_heads: usize,
        options: CachedOptions,
    ) -> Result<Tensor> {
        let scale = options.scale.unwrap_or_else(|| default_scale(self.ty.n_cols() / 3 / n_heads));
        let inputs = [Some(self), Some(cache), Some(state), options.bias, options.slots];
        record_one(AttentionCached { n_heads, scale }, self.recorder(), &inputs)
    }
}

/// How scores are made, and where keys lie.
#[derive(Debug, Clone, Copy, Default)]
pub struct CachedOptions<'a> {
    /// Of the products; `1 / sqrt(E)` where `None`.
    pub scale: Option<f32>,
    /// `[H, 2 N - 1]`, f32: added to the scores by distance.
    pub bias: Option<&'a Tensor>,
    /// `[C, R]`, u32: where each row's keys lie in the cache; at their positions where `None`.
    pub slots: Option<&'a Tensor>,
}

#[derive(Debug)]
struct AttentionCached {
    n_heads: usize,
    scale: f32,
}

impl AttentionCached {
    /// Positions before the new rows that reports count: half of the cache, as in the middle of a text; none before a prompt, which is
    /// told by its rows.
    fn n_seen(signature: &Signature) -> usize {
        let (qkv, cache) = (signature.input(QKV), signature.input(CACHE));
        let is_step = signature.has(SLOTS) || qkv.n_rows() == decode_state::n_seqs(signature.input(STATES));
        if is_step { cache.n_rows() / cache.n_regions() / 4 } else { 0 }
    }
}

const QKV: usize = 0;
const CACHE: usize = 1;
const STATES: usize = 2;
const BIAS: usize = 3;
const SLOTS: usize = 4;

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n_heads: u32,
    scale: f32,
    bias_cols: u32,
    n_rows: u32,
}

impl Op for AttentionCached {
    fn name(&self) -> &'static str {
        "attention_cached"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(qkv), Some(cache), Some(states), bias, slots] = inputs else {
            return Err(Error::Internal("attention_cached takes qkv, a cache and a state".into()));
        };
        let d = qkv.n_cols() / 3;
        decode_state::rows_of_each("attention_cached", qkv.n_rows(), states)?;
        let (n_seqs, n_regions) = (decode_state::n_seqs(states), cache.n_regions());
        if n_seqs > n_regions || (slots.is_some() && n_seqs > 1) {
            return Err(Error::Internal(format!("attention_cached: {n_seqs} sequences, {n_regions} regions")));
        }
        let cache_rows = cache.n_rows() / n_regions;
        let expected = if cache.shape.len() == 3 { vec![n_regions, cache_rows, d] } else { vec![cache_rows, d] };
        expect_shape("attention_cached cache", cache, &expected)?;
        expect_shape("attention_cached qkv", qkv, &[qkv.n_rows(), 3 * self.n_heads * (d / self.n_heads)])?;
        let capacity = cache_rows / 2;
        if let Some(bias) = bias {
            let n = bias.n_cols().div_ceil(2).max(capacity);
            expect_shape("attention_cached bias", bias, &[self.n_heads, 2 * n - 1])?;
        }
        if let Some(slots) = slots {
            expect_shape("attention_cached slots", slots, &[capacity, qkv.n_rows()])?;
        }
        Ok(Some(TensorType::new(qkv.dtype, [qkv.n_rows(), d])))
    }

    fn writes(&self) -> &'static [usize] {
        &[1]
    }

    fn define(&self, args: Operands) {
        let [Some(qkv), _, Some(state), bias, slots] = args.inputs[..] else { unreachable!() };
        let cache = &mut args.states[0];
        let (d, capacity) = (cache.ty.n_cols(), cache.ty.n_rows() / cache.ty.n_regions() / 2);
        let e = d / self.n_heads;
        let y = args.output.expect("attention_cached has an output").f32_mut();
        let n_rows = qkv.ty.n_rows() / decode_state::n_seqs(&state.ty);
        for ((row_idx, row), y) in qkv.f32().chunks_exact(3 * d).enumerate().zip(y.chunks_exact_mut(d)) {
            let (seq, r) = (row_idx / n_rows, row_idx % n_rows);
            let position = DecodeState::of(state.u32(), seq).position as usize;
            let at = (position + if slots.is_some() { 0 } else { r }).min(capacity - 1);
            let slot = |j: usize| slots.map_or(j, |slots| slots.u32()[j * n_rows + r] as usize).min(capacity - 1);
            let cache = &mut cache.f32_mut()[seq * 2 * capacity * d..][..2 * capacity * d];
            cache[slot(at) * d..][..d].copy_from_slice(&row[d..2 * d]);
            cache[(capacity + slot(at)) * d..][..d].copy_from_slice(&row[2 * d..]);
            for head in 0..self.n_heads {
                let cols = head * e..(head + 1) * e;
                let key = |j: usize| &cache[slot(j) * d..][..d][cols.clone()];
                let value = |j: usize| &cache[(capacity + slot(j)) * d..][..d][cols.clone()];
                let by_distance = |j: usize| {
                    bias.map_or(0.0, |b| f64::from(b.f32()[head * b.ty.n_cols() + b.ty.n_cols() / 2 + j - at]))
                };
                let score = |j| dot(&row[cols.clone()], key(j)) * f64::from(self.scale) + by_distance(j);
                let mut scores: Vec<f64> = (0..=at).map(score).collect();
                softmax(&mut scores);
                for (c, out) in y[cols.clone()].iter_mut().enumerate() {
                    *out = scores.iter().enumerate().map(|(j, w)| w * f64::from(value(j)[c])).sum::<f64>() as f32;
                }
            }
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let (qkv, cache) = (signature.input(QKV), signature.input(CACHE));
        let d = qkv.n_cols() / 3;
        let params = attention_cached::Params {
            d: d as u32,
            n_heads: self.n_heads as u32,
            capacity: (cache.n_rows() / cache.n_regions() / 2) as u32,
            scale: self.scale,
        };
        Call::new(rill_kernels::Kernel::AttentionCached, params)
    }

    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        let qkv = signature.input(QKV);
        let head_size = qkv.n_cols() / 3 / self.n_heads;
        let bias_cols = signature.inputs[BIAS].map_or(0, |bias| bias.n_cols() as u32);
        let n_rows = (qkv.n_rows() / decode_state::n_seqs(signature.input(STATES))) as u32;
        let params = Params { n_heads: self.n_heads as u32, scale: self.scale, bias_cols, n_rows };
        let cache = signature.input(CACHE);
        Kernel::new("attention_cached", params, [self.n_heads as u32, qkv.n_rows() as u32, 1])
            .shared("decode_state")
            .reduces(caps)
            .shared("softmax")
            .alias("x_t", qkv.dtype)
            .constant("HEAD_VECS", head_size / 4)
            .constant("N_SCORES", cache.n_rows() / cache.n_regions() / 2)
            .set("WG", if caps.is_plain() { 64.0 } else { 256.0 })
            .flag("HAS_BIAS", signature.has(BIAS))
            .flag("HAS_SLOTS", signature.has(SLOTS))
    }

    /// All rows are put into the cache, then each looks at it as far as itself, or at its own slots.
    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(qkv), Some(cache), Some(state), bias, slots] = *inputs else { return Ok(None) };
        if b.ty(cache).shape.len() == 3 {
            return Ok(None);
        }
        let ((n_rows, _), (n_cache, d)) = (b.rows_and_cols(qkv), b.rows_and_cols(cache));
        let (output, stored, capacity) = (b.ty(qkv).element, b.ty(cache).element, n_cache / 2);
        let position = decode_state::lower_word(b, state, decode_state::POSITION)?;
        let rows = if slots.is_some() { b.integers(&[n_rows], &vec![0; n_rows]) } else { b.iota(&[n_rows]) };
        let rows = b.add(rows, position)?;
        let positions = b.at_most(rows, capacity - 1)?;
        let at = match slots {
            Some(slots) => {
                let mine = b.slice(positions, &[0], &[1])?;
                let mine = b.gather(slots, mine)?;
                let mine = b.reshape(mine, &[n_rows])?;
                b.at_most(mine, capacity - 1)?
            }
            None => positions,
        };
        let to_values = b.integer(capacity);
        let at_values = b.add(at, to_values)?;
        let places = b.concat(&[at, at_values], 0)?;
        let places = b.reshape(places, &[2 * n_rows, 1])?;

        let part = |b: &mut Lowering, which: usize| b.slice(qkv, &[0, which * d], &[n_rows, d]);
        let (q, k, v) = (part(b, 0)?, part(b, 1)?, part(b, 2)?);
        let updates = b.concat(&[k, v], 0)?;
        let updates = b.cast(updates, stored)?;
        let cache = b.step(Primitive::ScatterRows, &[cache, places, updates])?;

        // Beams are sequences of one row each, with keys and values of their own; other rows are one sequence.
        let n_seqs = if slots.is_some() { n_rows } else { 1 };
        let by_row = match slots {
            Some(slots) => {
                let by_row = b.transpose(slots, &[1, 0])?;
                let by_row = b.reshape(by_row, &[n_rows * capacity])?;
                Some(b.at_most(by_row, capacity - 1)?)
            }
            None => None,
        };
        let half = |b: &mut Lowering, first: usize| {
            let mut rows = b.slice(cache, &[first, 0], &[capacity, d])?;
            if let Some(by_row) = by_row {
                rows = b.gather(rows, by_row)?;
            }
            let rows = b.f32(rows)?;
            b.reshape(rows, &[n_seqs, capacity, d])
        };
        let (keys, values) = (half(b, 0)?, half(b, capacity)?);
        let places = b.iota(&[1, 1, 1, capacity]);
        let queries = b.reshape(positions, &[n_seqs, 1, n_rows / n_seqs, 1])?;
        let is_past = b.compare(Compare::LesserOrEqual, places, queries)?;
        let mut mask = b.mask(is_past)?;
        if let Some(bias) = bias {
            // The columns of what is behind a query are there too, and masked.
            let n_cols = b.ty(bias).shape[1];
            let middle = b.integer(n_cols / 2);
            let columns = b.add(places, middle)?;
            let columns = b.binary(Binary::Sub, columns, queries)?;
            let columns = b.reshape(columns, &[n_rows * capacity])?;
            let by_distance = b.transpose(bias, &[1, 0])?;
            let bias = b.gather(by_distance, columns)?;
            let bias = b.reshape(bias, &[n_seqs, n_rows / n_seqs, capacity, self.n_heads])?;
            let bias = b.transpose(bias, &[0, 3, 1, 2])?;
            mask = b.add(mask, bias)?;
        }
        let q = b.f32(q)?;
        let q = b.reshape(q, &[n_seqs, n_rows / n_seqs, d])?;
        let y = attend(b, [q, keys, values], Heads { n: self.n_heads, scale: self.scale }, Some(mask))?;
        let y = b.reshape(y, &[n_rows, d])?;
        Ok(Some(Lowered { output: Some(b.cast(y, output)?), states: vec![cache] }))
    }

    fn flops(&self, signature: &Signature) -> u64 {
        4 * (signature.output().n_elements() * Self::n_seen(signature)) as u64
    }

    fn bytes(&self, signature: &Signature) -> u64 {
        let cache = signature.input(CACHE);
        let n_seqs = decode_state::n_seqs(signature.input(STATES));
        let seen = cache.bytes_of_rows(2 * n_seqs * Self::n_seen(signature)) as u64;
        let stored = cache.bytes_of_rows(2 * signature.output().n_rows()) as u64;
        seen + stored + signature.input_bytes(QKV) + signature.output_bytes()
    }
}
