//! Plain mathematics that several definitions share.

use crate::engine::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::{FRAC_2_SQRT_PI, SQRT_2};

/// What follows a linear map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `x * Phi(x)` with the exact normal distribution, as Whisper and BERT have it.
    Gelu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`, the approximation of GELU's authors (arXiv 1606.08415), as T5 v1.1 has it.
    GeluTanh,
    /// `x * sigmoid(1.702 x)`, their second approximation, as the first CLIP models have it.
    QuickGelu,
    /// `max(x, 0)`
    Relu,
    /// `x * sigmoid(x)`
    Silu,
    /// `tanh(x)`, as in BERT's and ViT's poolers.
    Tanh,
}

impl Activation {
    /// What the configurations of Hugging Face's transformers call it (`hidden_act` and its kin; `ACT2FN` of `activations.py`).
    pub fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "linear" => Activation::Identity,
            "gelu" | "gelu_python" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" | "gelu_accurate" => Activation::GeluTanh,
            "quick_gelu" => Activation::QuickGelu,
            "relu" => Activation::Relu,
            "silu" | "swish" => Activation::Silu,
            "tanh" => Activation::Tanh,
            other => {
                let known = "gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, quick_gelu, relu, silu, swish, tanh, linear";
                return Err(Error::Unsupported(format!("its activation is `{other}`; known are {known}")));
            }
        })
    }

    /// The definition.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Activation::Identity => x,
            Activation::Gelu => 0.5 * x * (1.0 + libm::erf(x / SQRT_2)),
            Activation::GeluTanh => {
                let inner = FRAC_2_SQRT_PI / SQRT_2 * (x + 0.044715 * x.powi(3));
                0.5 * x * (1.0 + inner.tanh())
            }
            Activation::QuickGelu => x * sigmoid(1.702 * x),
            Activation::Relu => x.max(0.0),
            Activation::Silu => x * sigmoid(x),
            Activation::Tanh => x.tanh(),
        }
    }

    /// Its number in `shaders/shared/activation.wgsl` and in `kernels/src/activation.rs`.
    pub fn code(self) -> u32 {
        match self {
            Activation::Identity => 0,
            Activation::Gelu => 1,
            Activation::GeluTanh => 2,
            Activation::QuickGelu => 3,
            Activation::Relu => 4,
            Activation::Silu => 5,
            Activation::Tanh => 6,
        }
    }
}

/// `1 / (1 + exp(-x))`
fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Scalar product in f64: this is the truth the kernels are measured against.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    // Eight sums, so that the compiler may use vector registers; f64 leaves the order without weight.
    let mut sums = [0.0f64; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
    for (x, y) in a8.zip(b8) {
        for lane in 0..8 {
            sums[lane] += f64::from(x[lane]) * f64::from(y[lane]);
        }
    }
    sums.iter().sum::<f64>() + tail
}

/// Normalises a row in place: to mean 0 and variance 1 with a bias, to a mean square of 1 without one.
pub fn normalize(row: &mut [f32], weight: &[f32], bias: Option<&[f32]>, eps: f32) {
    let n = row.len() as f64;
    let mean = if bias.is_some() { row.iter().map(|&v| f64::from(v)).sum::<f64>() / n } else { 0.0 };
    let var = row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    let rstd = 1.0 / (var + f64::from(eps)).sqrt();
    for (i, v) in row.iter_mut().enumerate() {
        let bias = bias.map_or(0.0, |bias| f64::from(bias[i]));
        *v = ((f64::from(*v) - mean) * rstd * f64::from(weight[i]) + bias) as f32;
    }
}

/// Turns scores into weights that sum to one, in place.
pub fn softmax(scores: &mut [f64]) {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for s in scores.iter_mut() {
        *s = (*s - max).exp();
        sum += *s;
    }
    for s in scores.iter_mut() {
        *s /= sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_go_by_the_names_of_configurations() {
        assert_eq!(Activation::from_name("gelu").ok(), Some(Activation::Gelu));
        assert_eq!(Activation::from_name("gelu_new").ok(), Some(Activation::GeluTanh));
        assert_eq!(Activation::from_name("quick_gelu").ok(), Some(Activation::QuickGelu));
        let refusal = Activation::from_name("mish").expect_err("it is not known").to_string();
        assert!(refusal.contains("`mish`") && refusal.contains("quick_gelu"), "{refusal}");
    }

    /// At 1 and -2, computed from the papers' formulas in Python.
    #[test]
    fn activations_have_the_values_of_their_formulas() {
        for (activation, at_one, at_minus_two) in [
            (Activation::GeluTanh, 0.841192, -0.045402),
            (Activation::QuickGelu, 0.845796, -0.064341),
            (Activation::Silu, 0.731059, -0.238406),
        ] {
            assert!((activation.apply(1.0) - at_one).abs() < 1e-6, "{activation:?}");
            assert!((activation.apply(-2.0) - at_minus_two).abs() < 1e-6, "{activation:?}");
        }
    }
}
