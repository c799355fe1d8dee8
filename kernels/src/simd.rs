//! Four floats at once: the one vector type that the kernels are written in.
//!
//! In a wasm module it is a `v128` (`simd/wasm.rs`), with relaxed SIMD one rounding in [`F32x4::madd`]; elsewhere an array
//! (`simd/plain.rs`), so that the same kernels are tested natively. What is made of the type's own operations stands here.

#[cfg(target_feature = "simd128")]
#[path = "simd/wasm.rs"]
mod lanes;
#[cfg(not(target_feature = "simd128"))]
#[path = "simd/plain.rs"]
mod lanes;

pub use lanes::{F32x4, dot_i4, dot_i8, transpose, widen_f16_scaled, widen_i8};

/// What [`widen_f16_scaled`] leaves to be multiplied in: exponents of f16 are biased by 15, of f32 by 127.
pub const F16_SCALE: f32 = f32::from_bits((127 + 112) << 23);

/// Eight floats.
pub type Eight = [F32x4; 2];

impl F32x4 {
    /// Zeros.
    pub const ZERO: Self = Self::constant(0.0);

    /// The sum of the four.
    #[inline(always)]
    pub fn sum(self) -> f32 {
        let [a, b, c, d] = self.to_array();
        (a + c) + (b + d)
    }
}

/// Eight neighbours.
#[inline(always)]
pub fn load8(from: &[f32; 8]) -> Eight {
    let (halves, _) = from.as_chunks::<4>();
    [F32x4::load(&halves[0]), F32x4::load(&halves[1])]
}

/// Eight neighbours.
#[inline(always)]
pub fn store8(eight: Eight, to: &mut [f32; 8]) {
    let (halves, _) = to.as_chunks_mut::<4>();
    eight[0].store(&mut halves[0]);
    eight[1].store(&mut halves[1]);
}

/// Widens f16 numbers (not infinities, nor NaN), subnormal ones included.
#[inline(always)]
pub fn widen_f16(from: &[u16; 8]) -> Eight {
    let scale = F32x4::splat(F16_SCALE);
    widen_f16_scaled(from).map(|v| v * scale)
}

/// Eight unsigned integers of four bits as floats: the low halves of eight bytes, or the high ones.
#[inline(always)]
pub fn widen_i4(from: &[u8; 8], high: bool) -> Eight {
    widen_i8(&from.map(|pair| (if high { pair >> 4 } else { pair & 15 }) as i8))
}

/// Widens one f16 number, as [`widen_f16`].
#[inline(always)]
pub fn f32_from_f16(bits: u16) -> f32 {
    let shifted = (i32::from(bits as i16) << 16) >> 3;
    f32::from_bits(shifted as u32 & 0x8fff_ffff) * F16_SCALE
}
