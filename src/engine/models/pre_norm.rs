//! A transformer layer that normalises first (Xiong et al. 2020, arXiv 2002.04745), as ViT, DINOv2 and CLIP have it, each under its own
//! names.

use crate::engine::Result;
use crate::engine::graph::{Scope, Tensor};
use crate::engine::nn::{LayerNorm, Linear};
use crate::engine::ops::attention::AttentionOptions;
use crate::engine::ops::linear::LinearOptions;
use crate::engine::ops::math::Activation;

/// What a checkpoint calls the parts of a layer.
#[derive(Debug)]
pub(super) struct Names {
    /// In front of the attention.
    pub norm1: &'static str,
    /// Query, key and value.
    pub qkv: [&'static str; 3],
    /// Behind the attention.
    pub out: &'static str,
    /// In front of the feed-forward part.
    pub norm2: &'static str,
    /// The feed-forward part.
    pub fc: [&'static str; 2],
    /// LayerScale behind either part, where the family has it.
    pub scales: Option<[&'static str; 2]>,
}

/// Sizes of a layer, and what it computes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// D
    pub d: usize,
    /// Between the two maps of the feed-forward part.
    pub inner: usize,
    pub n_heads: usize,
    /// T
    pub seq_len: usize,
    pub eps: f32,
    pub activation: Activation,
    /// Whether a position sees only itself and what is before it.
    pub causal: bool,
    /// Whether the first map of the feed-forward part gives twice `inner`, one half activated and multiplied with the other.
    pub gated: bool,
    /// Whether query, key and value have a bias.
    pub qkv_bias: bool,
}

/// One layer over `[B * T, D]`, f32.
pub(super) fn layer(weights: &Scope, names: &Names, shape: Shape, x: &Tensor) -> Result<Tensor> {
    let Shape { d, inner, n_heads, seq_len, eps, activation, causal, gated, qkv_bias } = shape;
    let narrow = LinearOptions { output: x.recorder().options.activation, ..Default::default() };
    let h = LayerNorm::load(weights, names.norm1, d, eps)?.forward(x)?;
    let qkv = match qkv_bias {
        true => Linear::load_stacked(weights, &names.qkv, d, d)?,
        false => Linear::load_plain(weights, &names.qkv, d, d)?,
    };
    let qkv = qkv.forward(&h, narrow)?;
    let h = qkv.attention(n_heads, seq_len, AttentionOptions { causal, ..Default::default() })?;
    let x = onto(weights, names.scales.map(|s| s[0]), &Linear::load(weights, names.out, d, d)?, &h, x)?;
    let h = LayerNorm::load(weights, names.norm2, d, eps)?.forward(&x)?;
    let h = match gated {
        false => Linear::load(weights, names.fc[0], inner, d)?.forward(&h, LinearOptions { activation, ..narrow })?,
        true => Linear::load(weights, names.fc[0], 2 * inner, d)?.forward(&h, narrow)?.gated(activation)?,
    };
    onto(weights, names.scales.map(|s| s[1]), &Linear::load(weights, names.fc[1], d, inner)?, &h, &x)
}

/// A linear map of `h`, scaled where the family does that, added to the residual stream.
fn onto(weights: &Scope, scale: Option<&str>, map: &Linear, h: &Tensor, x: &Tensor) -> Result<Tensor> {
    match scale {
        None => map.forward(h, LinearOptions { residual: Some(x), ..Default::default() }),
        Some(name) => map.forward(h, LinearOptions::default())?.layer_scale(&weights.vector(name, x.ty.n_cols())?, x),
    }
}
