//! `y[r, :] = table[id, :] + positions[p, :] + extra`, the entrance of a text model.
//!
//! ids: u32; table: `[V, D]`; positions: `[P, D]`, f32; extra: `[D]`, f32; both optional (T5 has no positions; extra is BERT's token type). In a whole sequence
//! of length T row r has id `ids[r]` and position `first + r % T`; while decoding it has both at `state.position + r`; with the
//! states of S sequences ids are `[S, C]`, and each sequence has R / S rows, one below the other. y: `[R, D]`, f32. Ids and
//! positions past the end are clamped: padding rows are computed and ignored.

use super::decode_state::{self, DecodeState};
use super::linear::{expect_shape, weight_file};
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Lowered, Lowering, Operand};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, embed};

/// Which row of the tables belongs to row r.
#[derive(Debug, Clone, Copy)]
pub enum Positions<'a> {
    /// Whole sequences, one below the other.
    Sequence {
        /// T
        seq_len: usize,
        /// The position of each sequence's first row: RoBERTa counts from the number of its padding token on.
        first: usize,
    },
    /// This many rows from the decoder's position on.
    Decode {
        /// The decoder's state, or those of several sequences.
        state: &'a Tensor,
        /// R, of all sequences together.
        n_rows: usize,
    },
}

impl Tensor {
    /// Looks the ids up; see the module.
    pub fn embed<'a>(
        &self,
        table: &Tensor,
        positions: impl Into<Option<&'a Tensor>>,
        extra: Option<&Tensor>,
        at: Positions,
    ) -> Result<Tensor> {
        let (op, state) = match at {
            Positions::Sequence { seq_len, first } => (Embed { seq_len, first, n_rows: self.ty.n_elements() }, None),
            Positions::Decode { state, n_rows } => (Embed { seq_len: 0, first: 0, n_rows }, Some(state)),
        };
        record_one(op, self.recorder(), &[Some(self), Some(table), positions.into(), extra, state])
    }
}

#[derive(Debug)]
struct Embed {
    seq_len: usize,
    first: usize,
    n_rows: usize,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n_cols: u32,
    seq_len: u32,
    first: u32,
    n_ids: u32,
    n_rows: u32,
    n_positions: u32,
    vocab: u32,
    first_id: u32,
    end_id: u32,
}

impl Op for Embed {
    fn name(&self) -> &'static str {
        "embed"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(_ids), Some(table), positions, extra, state] = inputs else {
            return Err(Error::Internal("embed takes ids and a table".into()));
        };
        let d = table.n_cols();
        if let Some(positions) = positions {
            expect_shape("embed positions", positions, &[positions.n_rows(), d])?;
        }
        if let Some(extra) = extra {
            expect_shape("embed extra", extra, &[d])?;
        }
        if let Some(state) = state {
            decode_state::rows_of_each("embed", self.n_rows, state)?;
        }
        Ok(Some(TensorType::f32([self.n_rows, d])))
    }

    fn define(&self, args: Operands) {
        let [Some(ids), Some(table), positions, extra, state] = args.inputs[..] else { unreachable!() };
        let n_seqs = state.map_or(1, |states| decode_state::n_seqs(&states.ty));
        let (n_rows, n_ids) = (self.n_rows / n_seqs, ids.ty.n_elements() / n_seqs);
        let d = table.ty.n_cols();
        let y = args.output.expect("embed has an output");
        for (r, out) in y.f32_mut().chunks_exact_mut(d).enumerate() {
            let (seq, row) = (r / n_rows, r % n_rows);
            let at = state.map_or(0, |states| DecodeState::of(states.u32(), seq).position as usize) + row;
            let id = ids.u32()[seq * n_ids + at.min(n_ids - 1)] as usize;
            let position = if state.is_some() { at } else { self.first + r % self.seq_len };
            let token = &table.f32()[id.min(table.ty.n_rows() - 1) * d..][..d];
            let place = positions.map(|p| &p.f32()[position.min(p.ty.n_rows() - 1) * d..][..d]);
            for (c, v) in out.iter_mut().enumerate() {
                *v = token[c] + place.map_or(0.0, |p| p[c]) + extra.map_or(0.0, |e| e.f32()[c]);
            }
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let table = signature.input(1);
        let params = embed::Params {
            n_cols: table.n_cols() as u32,
            seq_len: self.seq_len as u32,
            first: self.first as u32,
            n_rows: self.n_rows as u32,
            vocab: table.n_rows() as u32,
        };
        Call::new(rill_kernels::Kernel::Embed, params)
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let table = signature.input(1);
        let n_seqs = signature.inputs[4].map_or(1, decode_state::n_seqs);
        let params = Params {
            n_cols: table.n_cols() as u32,
            seq_len: self.seq_len as u32,
            first: self.first as u32,
            n_ids: (signature.input(0).n_elements() / n_seqs) as u32,
            n_rows: (self.n_rows / n_seqs) as u32,
            n_positions: signature.inputs[2].map_or(0, |positions| positions.n_rows() as u32),
            vocab: table.n_rows() as u32,
            first_id: signature.rows.start as u32,
            end_id: signature.rows.end as u32,
        };
        Kernel::new("embed", params, [self.n_rows as u32, 1, 1])
            .shared(weight_file(table))
            .shared("decode_state")
            .flag("HAS_POSITIONS", signature.has(2))
            .flag("HAS_EXTRA", signature.has(3))
            .flag("HAS_STATE", signature.has(4))
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(ids), Some(table), positions, extra, state] = *inputs else { return Ok(None) };
        if state.is_some_and(|state| decode_state::n_seqs_of(b, state) > 1) {
            return Ok(None);
        }
        let (n_ids, vocab) = (b.ty(ids).shape[0], b.ty(table).shape[0]);
        let n_positions = positions.map_or(1, |positions| b.ty(positions).shape[0]);
        let (ids, places) = match state {
            Some(state) => {
                let position = decode_state::lower_word(b, state, decode_state::POSITION)?;
                let rows = b.iota(&[self.n_rows]);
                let rows = b.add(rows, position)?;
                let at = b.at_most(rows, n_ids - 1)?;
                (b.gather(ids, at)?, b.at_most(rows, n_positions - 1)?)
            }
            None => {
                let places: Vec<i32> =
                    (0..self.n_rows).map(|r| (self.first + r % self.seq_len).min(n_positions - 1) as i32).collect();
                (b.reshape(ids, &[self.n_rows])?, b.integers(&[self.n_rows], &places))
            }
        };
        let ids = b.at_most(ids, vocab - 1)?;
        let tokens = b.gather(table, ids)?;
        let mut y = b.f32(tokens)?;
        if let Some(positions) = positions {
            let places = b.gather(positions, places)?;
            y = b.add(y, places)?;
        }
        Ok(Some(extra.map_or(Ok(y), |extra| b.add(y, extra))?.into()))
    }

    fn splittable(&self) -> Option<usize> {
        Some(1)
    }

    fn bytes(&self, signature: &Signature) -> u64 {
        // One row of each table for every row, and one id.
        let table = signature.input(1);
        let row = (table.n_bytes() / table.n_rows().max(1)) as u64;
        let place = signature.inputs[2].map_or(0, |places| (places.n_cols() * places.dtype.size()) as u64);
        self.n_rows as u64 * (row + place + 4) + signature.input_bytes(3) + signature.output_bytes()
    }
}
