//! Ops with their weights, under the checkpoint's names.

use super::Result;
use super::graph::{Scope, Tensor};
use super::ops::linear::{LinearOptions, Norm};

/// Up to so many rows a linear map normalises for itself: on an H100 16 rows of 384 take 12.8 µs to 1,536 columns with the norm, and 13.5 and 5 µs
/// apart; 256 rows 149 and about 35 µs.
const FEW_ROWS: usize = 16;

/// A layer normalisation's weights; without a bias it is the root-mean-square norm.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Option<Tensor>,
    eps: f32,
}

impl LayerNorm {
    /// `NAME.weight` and `NAME.bias`, `[d]` each; `gamma` and `beta` in files that began as TensorFlow's, BERT's among them.
    pub fn load(scope: &Scope, name: &str, d: usize, eps: f32) -> Result<Self> {
        let scope = scope.scope(name);
        let is_old = !scope.has("weight") && scope.has("gamma");
        let (weight, bias) = if is_old { ("gamma", "beta") } else { ("weight", "bias") };
        Ok(Self { weight: scope.vector(weight, d)?, bias: Some(scope.vector(bias, d)?), eps })
    }

    /// `NAME.weight`, `[d]`, of a root-mean-square norm.
    pub fn load_rms(scope: &Scope, name: &str, d: usize, eps: f32) -> Result<Self> {
        Ok(Self { weight: scope.scope(name).vector("weight", d)?, bias: None, eps })
    }

    /// On its own, in the activations' type.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let output = x.recorder().options.activation;
        x.layer_norm(&self.weight, self.bias.as_ref(), self.eps, output)
    }

    /// On its own, in f32: onto the residual stream.
    pub fn forward_f32(&self, x: &Tensor) -> Result<Tensor> {
        x.layer_norm(&self.weight, self.bias.as_ref(), self.eps, super::tensor::DType::F32)
    }

    /// In front of a linear map.
    pub fn before(&self) -> Option<Norm<'_>> {
        Some(Norm { weight: &self.weight, bias: self.bias.as_ref(), eps: self.eps })
    }
}

/// A linear map's weights; several maps of the same input may be stacked into one.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// `NAME.weight`, `[n_out, n_in]`, and `NAME.bias`, `[n_out]`.
    pub fn load(scope: &Scope, name: &str, n_out: usize, n_in: usize) -> Result<Self> {
        Self::load_stacked(scope, &[name], n_out, n_in)
    }

    /// The same for several names of `n_out` outputs each; a missing bias is zero.
    pub fn load_stacked(scope: &Scope, names: &[&str], n_out: usize, n_in: usize) -> Result<Self> {
        let all = |suffix: &str| names.iter().map(|name| format!("{name}.{suffix}")).collect::<Vec<_>>();
        Ok(Self {
            weight: scope.stacked(&all("weight"), n_out, n_in)?,
            bias: Some(scope.stacked_vectors(&all("bias"), n_out)?),
        })
    }

    /// `NAME.weight` of each name, `[n_out, n_in]`, of maps that have no bias.
    pub fn load_plain(scope: &Scope, names: &[&str], n_out: usize, n_in: usize) -> Result<Self> {
        let names: Vec<_> = names.iter().map(|name| format!("{name}.weight")).collect();
        Ok(Self { weight: scope.stacked(&names, n_out, n_in)?, bias: None })
    }

    /// The same of the normalised x: one op where rows are few, as those of a token; where they are many the matrix product, which cannot
    /// normalise, saves more than a pass over x takes.
    pub fn forward_normed(&self, norm: &LayerNorm, x: &Tensor, options: LinearOptions) -> Result<Tensor> {
        match x.ty.n_rows() > FEW_ROWS {
            true => self.forward(&norm.forward(x)?, options),
            false => self.forward(x, LinearOptions { norm: norm.before(), ..options }),
        }
    }

    /// `x . weight + bias`, and whatever else the options say.
    pub fn forward(&self, x: &Tensor, options: LinearOptions) -> Result<Tensor> {
        x.linear(&self.weight, LinearOptions { bias: self.bias.as_ref(), ..options })
    }
}
