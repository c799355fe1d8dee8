//! Four floats in a `v128`.

use core::arch::wasm32::*;
use core::ops::{Add, Div, Mul, Sub};

/// Four floats.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct F32x4(v128);

impl F32x4 {
    /// The same four times, known when compiling.
    pub const fn constant(v: f32) -> Self {
        Self(f32x4(v, v, v, v))
    }

    /// The same four times.
    #[inline(always)]
    pub fn splat(v: f32) -> Self {
        Self(f32x4_splat(v))
    }

    /// From memory.
    #[inline(always)]
    pub fn load(from: &[f32; 4]) -> Self {
        // SAFETY: the array is 16 bytes that may be read; a v128 is loaded from any alignment.
        Self(unsafe { v128_load(from.as_ptr().cast()) })
    }

    /// To memory.
    #[inline(always)]
    pub fn store(self, to: &mut [f32; 4]) {
        // SAFETY: the array is 16 bytes that may be written; a v128 is stored at any alignment.
        unsafe { v128_store(to.as_mut_ptr().cast(), self.0) }
    }

    /// The four.
    #[inline(always)]
    pub fn to_array(self) -> [f32; 4] {
        let mut array = [0.0; 4];
        self.store(&mut array);
        array
    }

    /// `self * b + c`.
    #[inline(always)]
    pub fn madd(self, b: Self, c: Self) -> Self {
        #[cfg(target_feature = "relaxed-simd")]
        return Self(f32x4_relaxed_madd(self.0, b.0, c.0));
        #[cfg(not(target_feature = "relaxed-simd"))]
        return Self(f32x4_add(f32x4_mul(self.0, b.0), c.0));
    }

    /// The larger of each pair.
    #[inline(always)]
    pub fn max(self, other: Self) -> Self {
        Self(f32x4_pmax(self.0, other.0))
    }

    /// Without signs.
    #[inline(always)]
    pub fn abs(self) -> Self {
        Self(f32x4_abs(self.0))
    }

    /// `self * 2^n`, where the low bits of each of `n` are that number as an integer. No range is checked.
    #[inline(always)]
    pub fn scale_by_bits(self, n: Self) -> Self {
        Self(i32x4_add(self.0, i32x4_shl(n.0, 23)))
    }

    /// Mantissas in `[1, 2)` and exponents of positive normal numbers.
    #[inline(always)]
    pub fn split(self) -> (Self, Self) {
        let exponent = i32x4_sub(u32x4_shr(self.0, 23), i32x4_splat(127));
        let mantissa = v128_or(v128_and(self.0, i32x4_splat(0x007f_ffff)), i32x4_splat(0x3f80_0000));
        (Self(mantissa), Self(f32x4_convert_i32x4(exponent)))
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $intrinsic:ident) => {
        impl $trait for F32x4 {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self($intrinsic(self.0, other.0))
            }
        }
    };
}
operator!(Add, add, f32x4_add);
operator!(Sub, sub, f32x4_sub);
operator!(Mul, mul, f32x4_mul);
operator!(Div, div, f32x4_div);

/// Rows become columns.
#[inline(always)]
pub fn transpose([a, b, c, d]: [F32x4; 4]) -> [F32x4; 4] {
    let ab_low = i32x4_shuffle::<0, 4, 1, 5>(a.0, b.0);
    let ab_high = i32x4_shuffle::<2, 6, 3, 7>(a.0, b.0);
    let cd_low = i32x4_shuffle::<0, 4, 1, 5>(c.0, d.0);
    let cd_high = i32x4_shuffle::<2, 6, 3, 7>(c.0, d.0);
    [
        F32x4(i64x2_shuffle::<0, 2>(ab_low, cd_low)),
        F32x4(i64x2_shuffle::<1, 3>(ab_low, cd_low)),
        F32x4(i64x2_shuffle::<0, 2>(ab_high, cd_high)),
        F32x4(i64x2_shuffle::<1, 3>(ab_high, cd_high)),
    ]
}

/// Widens eight f16 numbers, times 2^-112: a half moved to the top of its word and three down has its sign, exponent and mantissa in
/// place, and copies of the sign where the longer exponent's upper bits belong, which are cleared. Loaded as signed integers, halves
/// come with those copies; that is one instruction everywhere, which not every browser makes of interleaving with zeros.
#[inline(always)]
pub fn widen_f16_scaled(from: &[u16; 8]) -> [F32x4; 2] {
    let (halves, _) = from.as_chunks::<4>();
    [&halves[0], &halves[1]].map(|half| {
        // SAFETY: the array is 8 bytes that may be read, at any alignment.
        let v = unsafe { i32x4_load_extend_i16x4(half.as_ptr().cast()) };
        F32x4(v128_and(i32x4_shl(v, 13), u32x4_splat(0x8fff_ffff)))
    })
}

/// Eight small integers as floats.
#[inline(always)]
pub fn widen_i8(from: &[i8; 8]) -> [F32x4; 2] {
    // SAFETY: the array is 8 bytes that may be read, at any alignment.
    let v = unsafe { i16x8_load_extend_i8x8(from.as_ptr()) };
    [i32x4_extend_low_i16x8(v), i32x4_extend_high_i16x8(v)].map(|v| F32x4(f32x4_convert_i32x4(v)))
}

/// Four sums which together are the scalar product, exact while it is below 2^31.
#[inline(always)]
pub fn dot_i8(a: &[i8; 32], b: &[i16; 32]) -> F32x4 {
    let ((a, _), (b, _)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sum = i32x4_splat(0);
    for i in 0..4 {
        // SAFETY: 8 and 16 bytes that may be read, at any alignment.
        let (a, b) = unsafe { (i16x8_load_extend_i8x8(a[i].as_ptr()), v128_load(b[i].as_ptr().cast())) };
        sum = i32x4_add(sum, i32x4_dot_i16x8(a, b));
    }
    F32x4(f32x4_convert_i32x4(sum))
}

/// As [`dot_i8`] of unsigned integers of four bits: the low halves of the bytes are the first sixteen.
#[inline(always)]
pub fn dot_i4(a: &[u8; 16], b: &[i16; 32]) -> F32x4 {
    // SAFETY: the array is 16 bytes that may be read, at any alignment.
    let pairs = unsafe { v128_load(a.as_ptr().cast()) };
    let (low, high) = (v128_and(pairs, u8x16_splat(15)), u8x16_shr(pairs, 4));
    let quants = [
        u16x8_extend_low_u8x16(low),
        u16x8_extend_high_u8x16(low),
        u16x8_extend_low_u8x16(high),
        u16x8_extend_high_u8x16(high),
    ];
    let mut sum = i32x4_splat(0);
    for (quants, b) in quants.into_iter().zip(b.as_chunks::<8>().0) {
        // SAFETY: 16 bytes that may be read, at any alignment.
        sum = i32x4_add(sum, i32x4_dot_i16x8(quants, unsafe { v128_load(b.as_ptr().cast()) }));
    }
    F32x4(f32x4_convert_i32x4(sum))
}
