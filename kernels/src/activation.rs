//! What follows a linear map, by the numbers of the engine's `Activation::code`.

use crate::math::{gelu, gelu_tanh, quick_gelu, silu};
use crate::simd::{Eight, F32x4};

const IDENTITY: u32 = 0;
const GELU: u32 = 1;
const GELU_TANH: u32 = 2;
const QUICK_GELU: u32 = 3;
const RELU: u32 = 4;
const SILU: u32 = 5;
const TANH: u32 = 6;

/// Eight values activated.
#[inline(always)]
pub fn activate(activation: u32, x: Eight) -> Eight {
    match activation {
        IDENTITY => x,
        GELU => x.map(gelu),
        _ => seldom(activation, x),
    }
}

/// The others stand apart, so that a product's inner loop does not carry the code of all.
#[inline(never)]
fn seldom(activation: u32, x: Eight) -> Eight {
    match activation {
        GELU_TANH => x.map(gelu_tanh),
        QUICK_GELU => x.map(quick_gelu),
        RELU => x.map(|x| x.max(F32x4::ZERO)),
        SILU => x.map(silu),
        // One by one: only poolers have it, for one row of a sequence.
        TANH => x.map(|x| F32x4::load(&x.to_array().map(libm::tanhf))),
        _ => panic!("the engine has no such activation"),
    }
}
