//! `y = x[r, :]` for a row that only the device knows.
//!
//! x: `[R, D]`, f32, the states of S sequences, which have R / S rows each; y: `[S, D]`. After a prompt only two rows matter: the last real one, which decides the
//! first token, and that of start-of-transcript, which tells the language and whether anybody speaks.

use super::decode_state::{self, DecodeState};
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Lowered, Lowering, Operand};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, row_at};

/// Which row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// The last real one.
    Last,
    /// That of start-of-transcript.
    Sot,
}

impl Tensor {
    /// See the module.
    pub fn row_at(&self, row: Row, state: &Tensor) -> Result<Tensor> {
        record_one(RowAt { row }, self.recorder(), &[Some(self), Some(state)])
    }
}

#[derive(Debug)]
struct RowAt {
    row: Row,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n_rows: u32,
    n_cols: u32,
    sot: u32,
}

impl Op for RowAt {
    fn name(&self) -> &'static str {
        "row_at"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(x), Some(states)] = inputs else { return Err(Error::Internal("row_at takes x and a state".into())) };
        decode_state::rows_of_each("row_at", x.n_rows(), states)?;
        Ok(Some(TensorType::f32([decode_state::n_seqs(states), x.n_cols()])))
    }

    fn define(&self, args: Operands) {
        let [Some(x), Some(states)] = args.inputs[..] else { unreachable!() };
        let n_cols = x.ty.n_cols();
        let n_rows = x.ty.n_rows() / decode_state::n_seqs(&states.ty);
        let y = args.output.expect("row_at has an output").f32_mut();
        for (seq, y) in y.chunks_exact_mut(n_cols).enumerate() {
            let state = DecodeState::of(states.u32(), seq);
            let row = if self.row == Row::Sot { state.sot_row } else { state.n_rows - 1 } as usize;
            y.copy_from_slice(&x.f32()[(seq * n_rows + row.min(n_rows - 1)) * n_cols..][..n_cols]);
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let params =
            row_at::Params { n_cols: signature.input(0).n_cols() as u32, sot: u32::from(self.row == Row::Sot) };
        Call::new(rill_kernels::Kernel::RowAt, params)
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let x = signature.input(0);
        let n_seqs = decode_state::n_seqs(signature.input(1));
        let params = Params {
            n_rows: (x.n_rows() / n_seqs) as u32,
            n_cols: x.n_cols() as u32,
            sot: u32::from(self.row == Row::Sot),
        };
        Kernel::new("row_at", params, [x.n_cols().div_ceil(64) as u32, n_seqs as u32, 1]).shared("decode_state")
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x), Some(state)] = *inputs else { return Ok(None) };
        if decode_state::n_seqs_of(b, state) > 1 {
            return Ok(None);
        }
        let most = b.ty(x).shape[0] - 1;
        let row = match self.row {
            Row::Sot => decode_state::lower_word(b, state, decode_state::SOT_ROW)?,
            Row::Last => {
                let n_rows = decode_state::lower_word(b, state, decode_state::N_ROWS)?;
                let minus_one = b.integers(&[1], &[-1]);
                b.add(n_rows, minus_one)?
            }
        };
        let row = b.at_most(row, most)?;
        Ok(Some(b.gather(x, row)?.into()))
    }

    fn bytes(&self, signature: &Signature) -> u64 {
        2 * signature.output_bytes() + signature.input_bytes(1)
    }
}
