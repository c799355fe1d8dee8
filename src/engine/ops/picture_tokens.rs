//! `y[b, t, :] = row(t) + place(t)`: a picture's patches as tokens, behind the tokens that a model has of its own, each with its place.
//!
//! x: `[B * P, D]`, f32, patches; tokens: `[K, D]`, f32, the model's own (class, distillation, registers); positions: `[K + P - U, D]`,
//! f32. The U tokens behind the first have no place (DINOv2's registers). y: `[B * (K + P), D]`, f32.

use super::linear::expect_shape;
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Lowered, Lowering, Operand};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, picture_tokens};

impl Tensor {
    /// See the module; `n_pictures` is B, `n_unplaced` is U.
    pub fn picture_tokens(
        &self,
        tokens: &Tensor,
        positions: &Tensor,
        n_pictures: usize,
        n_unplaced: usize,
    ) -> Result<Tensor> {
        record_one(
            PictureTokens { n_pictures, n_unplaced },
            self.recorder(),
            &[Some(self), Some(tokens), Some(positions)],
        )
    }
}

#[derive(Debug)]
struct PictureTokens {
    n_pictures: usize,
    n_unplaced: usize,
}

impl PictureTokens {
    /// K and K + P.
    fn sizes(&self, x: &TensorType, tokens: &TensorType) -> (usize, usize) {
        (tokens.n_rows(), tokens.n_rows() + x.n_rows() / self.n_pictures)
    }

    fn params(&self, signature: &Signature) -> picture_tokens::Params {
        let (n_own, n_tokens) = self.sizes(signature.input(0), signature.input(1));
        picture_tokens::Params {
            n_cols: signature.input(0).n_cols() as u32,
            n_own: n_own as u32,
            n_tokens: n_tokens as u32,
            n_unplaced: self.n_unplaced as u32,
        }
    }

    /// Which place token t has.
    fn place(&self, t: usize) -> Option<usize> {
        match t {
            0 => Some(0),
            t if t <= self.n_unplaced => None,
            t => Some(t - self.n_unplaced),
        }
    }
}

impl Op for PictureTokens {
    fn name(&self) -> &'static str {
        "picture_tokens"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(x), Some(tokens), Some(positions)] = inputs else {
            return Err(Error::Internal("picture_tokens takes patches, tokens and positions".into()));
        };
        let d = x.n_cols();
        let (n_own, n_tokens) = self.sizes(x, tokens);
        if self.n_unplaced >= n_own || !x.n_rows().is_multiple_of(self.n_pictures) {
            return Err(Error::Internal("picture_tokens: a first token has a place, and pictures are alike".into()));
        }
        expect_shape("picture_tokens tokens", tokens, &[n_own, d])?;
        expect_shape("picture_tokens positions", positions, &[n_tokens - self.n_unplaced, d])?;
        Ok(Some(TensorType::f32([self.n_pictures * n_tokens, d])))
    }

    fn define(&self, args: Operands) {
        let [Some(x), Some(tokens), Some(positions)] = args.inputs[..] else { unreachable!() };
        let d = x.ty.n_cols();
        let (n_own, n_tokens) = self.sizes(&x.ty, &tokens.ty);
        let y = args.output.expect("picture_tokens has an output");
        for (r, out) in y.f32_mut().chunks_exact_mut(d).enumerate() {
            let (b, t) = (r / n_tokens, r % n_tokens);
            let row = match t.checked_sub(n_own) {
                None => &tokens.f32()[t * d..][..d],
                Some(patch) => &x.f32()[(b * (n_tokens - n_own) + patch) * d..][..d],
            };
            out.copy_from_slice(row);
            if let Some(place) = self.place(t) {
                out.iter_mut().zip(&positions.f32()[place * d..]).for_each(|(v, place)| *v += place);
            }
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        Call::new(rill_kernels::Kernel::PictureTokens, self.params(signature))
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let (_, n_tokens) = self.sizes(signature.input(0), signature.input(1));
        Kernel::new("picture_tokens", self.params(signature), [n_tokens as u32, self.n_pictures as u32, 1])
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x), Some(tokens), Some(positions)] = *inputs else { return Ok(None) };
        let (n_rows, d) = b.rows_and_cols(x);
        let (n, u) = (self.n_pictures, self.n_unplaced);
        let (n_own, n_patches) = (b.rows_and_cols(tokens).0, n_rows / n);
        let mut places = positions;
        if u > 0 {
            let first = b.slice(positions, &[0, 0], &[1, d])?;
            let rest = b.slice(positions, &[1, 0], &[n_own + n_patches - u - 1, d])?;
            let none = b.floats(&[u, d], &vec![0.0; u * d]);
            places = b.concat(&[first, none, rest], 0)?;
        }
        let own = b.reshape(tokens, &[1, n_own, d])?;
        let patches = b.reshape(x, &[n, n_patches, d])?;
        let own = b.concat(&vec![own; n], 0)?;
        let all = b.concat(&[own, patches], 1)?;
        let places = b.reshape(places, &[1, n_own + n_patches, d])?;
        let y = b.add(all, places)?;
        Ok(Some(b.reshape(y, &[n * (n_own + n_patches), d])?.into()))
    }
}
