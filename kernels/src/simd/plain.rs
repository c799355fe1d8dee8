//! Four floats in an array, for processors that are not the kernels' aim: natively they are tested, not sold.

use core::array::from_fn;
use core::ops::{Add, Div, Mul, Sub};

/// Four floats.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct F32x4([f32; 4]);

impl F32x4 {
    /// The same four times, known when compiling.
    pub const fn constant(v: f32) -> Self {
        Self([v; 4])
    }

    /// The same four times.
    #[inline(always)]
    pub fn splat(v: f32) -> Self {
        Self([v; 4])
    }

    /// From memory.
    #[inline(always)]
    pub fn load(from: &[f32; 4]) -> Self {
        Self(*from)
    }

    /// To memory.
    #[inline(always)]
    pub fn store(self, to: &mut [f32; 4]) {
        *to = self.0;
    }

    /// The four.
    #[inline(always)]
    pub fn to_array(self) -> [f32; 4] {
        self.0
    }

    /// `self * b + c`.
    #[inline(always)]
    pub fn madd(self, b: Self, c: Self) -> Self {
        Self(from_fn(|i| self.0[i] * b.0[i] + c.0[i]))
    }

    /// The larger of each pair.
    #[inline(always)]
    pub fn max(self, other: Self) -> Self {
        Self(from_fn(|i| if other.0[i] > self.0[i] { other.0[i] } else { self.0[i] }))
    }

    /// Without signs.
    #[inline(always)]
    pub fn abs(self) -> Self {
        Self(self.0.map(|v| f32::from_bits(v.to_bits() & 0x7fff_ffff)))
    }

    /// `self * 2^n`, where the low bits of each of `n` are that number as an integer. No range is checked.
    #[inline(always)]
    pub fn scale_by_bits(self, n: Self) -> Self {
        Self(from_fn(|i| f32::from_bits(self.0[i].to_bits().wrapping_add(n.0[i].to_bits() << 23))))
    }

    /// Mantissas in `[1, 2)` and exponents of positive normal numbers.
    #[inline(always)]
    pub fn split(self) -> (Self, Self) {
        let mantissa = self.0.map(|v| f32::from_bits(v.to_bits() & 0x007f_ffff | 0x3f80_0000));
        let exponent = self.0.map(|v| ((v.to_bits() >> 23) as i32 - 127) as f32);
        (Self(mantissa), Self(exponent))
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident) => {
        impl $trait for F32x4 {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(from_fn(|i| $trait::$method(self.0[i], other.0[i])))
            }
        }
    };
}
operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);

/// Rows become columns.
#[inline(always)]
pub fn transpose(rows: [F32x4; 4]) -> [F32x4; 4] {
    from_fn(|col| F32x4(from_fn(|row| rows[row].0[col])))
}

/// Widens eight f16 numbers, times 2^-112: a half moved to the top of its word and three down has its sign, exponent and mantissa in
/// place, and copies of the sign where the longer exponent's upper bits belong, which are cleared.
#[inline(always)]
pub fn widen_f16_scaled(from: &[u16; 8]) -> [F32x4; 2] {
    let widen = |bits: u16| f32::from_bits(((i32::from(bits as i16) << 16) >> 3) as u32 & 0x8fff_ffff);
    [0, 4].map(|first| F32x4(from_fn(|i| widen(from[first + i]))))
}

/// Eight small integers as floats.
#[inline(always)]
pub fn widen_i8(from: &[i8; 8]) -> [F32x4; 2] {
    [0, 4].map(|first| F32x4(from_fn(|i| f32::from(from[first + i]))))
}

/// Four sums which together are the scalar product, exact while it is below 2^31.
#[inline(always)]
pub fn dot_i8(a: &[i8; 32], b: &[i16; 32]) -> F32x4 {
    let product = |i: usize| i32::from(a[i]) * i32::from(b[i]);
    F32x4(from_fn(|lane| (0..8).map(|i| product(4 * i + lane)).sum::<i32>() as f32))
}

/// As [`dot_i8`] of unsigned integers of four bits: the low halves of the bytes are the first sixteen.
#[inline(always)]
pub fn dot_i4(a: &[u8; 16], b: &[i16; 32]) -> F32x4 {
    let quants: [i8; 32] = from_fn(|i| if i < 16 { (a[i] & 15) as i8 } else { (a[i - 16] >> 4) as i8 });
    dot_i8(&quants, b)
}
