//! Functions of four floats at once.
//!
//! The polynomials interpolate the functions named at Chebyshev's nodes, which is within a factor of two of the best there are.

use crate::simd::F32x4;

/// `1.5 * 2^23`: added to a number below 2^22, it leaves the nearest integer in the lowest bits.
const ROUND: f32 = 12_582_912.0;

/// `c[0] + c[1] x + ...`
#[inline(always)]
fn polynomial<const N: usize>(x: F32x4, c: [f32; N]) -> F32x4 {
    let mut sum = F32x4::splat(c[N - 1]);
    for c in c.iter().rev().skip(1) {
        sum = sum.madd(x, F32x4::splat(*c));
    }
    sum
}

/// `2^x` for x up to 127, with a relative error of 2e-7; below -126 it is that of -126, which is next to nothing.
#[inline(always)]
pub fn exp2(x: F32x4) -> F32x4 {
    let x = x.max(F32x4::splat(-126.0));
    let rounded = x + F32x4::splat(ROUND);
    let rest = x - (rounded - F32x4::splat(ROUND));
    // 2^x on [-0.5, 0.5], relative error 1e-7.
    let c = [1.000_000_1, core::f32::consts::LN_2, 0.240_221_07, 0.055_503_57, 0.009_676_032, 0.001_339_086_3];
    polynomial(rest, c).scale_by_bits(rounded)
}

/// `x * Phi(x)` with the exact normal distribution, to 3e-7 of `max(1, |x|)`.
///
/// `1 - Phi(|x|)` is `exp(-x^2 / 2)` times a polynomial in `1 / (1 + 0.4 |x|)`, the form of Hastings' approximations
/// (Abramowitz and Stegun 7.1.26) with two degrees more.
#[inline(always)]
pub fn gelu(x: F32x4) -> F32x4 {
    let (one, distance) = (F32x4::splat(1.0), x.abs());
    let t = one / distance.madd(F32x4::splat(0.4), one);
    let c = [0.000_532_627_03, 0.151_810_57, 0.207_114_53, -0.023_082_82, 0.379_217_3, -0.277_268_3, 0.061_676_205];
    // No less than 2^-100, which is nothing beside any x: smaller ones would make subnormal numbers, each of which costs some processors
    // more than a hundred cycles in every product that it meets.
    let exponent = (x * x * F32x4::splat(-0.5 * core::f32::consts::LOG2_E)).max(F32x4::splat(-100.0));
    let tail = polynomial(t, c) * exp2(exponent);
    x.max(F32x4::ZERO) - distance * tail
}

/// `x * sigmoid(gate)`, to 3e-7 of `max(1, |x|)`, where the gate has the sign of x.
#[inline(always)]
fn gated(x: F32x4, gate: F32x4) -> F32x4 {
    // Both signs in one: sigmoid is 1 / (1 + t) or t / (1 + t) with t = exp(-|gate|), which is no less than 2^-100 as in `gelu`.
    let t = exp2((gate.abs() * F32x4::splat(-core::f32::consts::LOG2_E)).max(F32x4::splat(-100.0)));
    let positive = x.max(F32x4::ZERO);
    (x - positive).madd(t, positive) / (t + F32x4::splat(1.0))
}

/// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`: the tanh is a sigmoid of twice its argument.
#[inline(always)]
pub fn gelu_tanh(x: F32x4) -> F32x4 {
    gated(x, x * (x * x).madd(F32x4::splat(0.071_354_814), F32x4::splat(1.595_769)))
}

/// `x * sigmoid(1.702 x)`
#[inline(always)]
pub fn quick_gelu(x: F32x4) -> F32x4 {
    gated(x, x * F32x4::splat(1.702))
}

/// `x * sigmoid(x)`
#[inline(always)]
pub fn silu(x: F32x4) -> F32x4 {
    gated(x, x)
}

/// Decimal logarithm of positive normal numbers, to 2e-7 of `max(1, |log|)`.
#[inline(always)]
pub fn log10(x: F32x4) -> F32x4 {
    use core::f32::consts::{LOG10_2, LOG10_E};
    let (mantissa, exponent) = x.split();
    // log(m) = log(1.5) + 2 artanh((m - 1.5) / (m + 1.5)), whose series converges fast on |z| <= 0.2.
    let middle = F32x4::splat(1.5);
    let z = (mantissa - middle) / (mantissa + middle);
    let series = z * polynomial(z * z, [2.0, 2.0 / 3.0, 2.0 / 5.0, 2.0 / 7.0, 2.0 / 9.0]);
    let log_middle = F32x4::splat(0.176_091_26);
    exponent.madd(F32x4::splat(LOG10_2), series.madd(F32x4::splat(LOG10_E), log_middle))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error of `f` against `truth`, over `scale`, on `n` points from `from` to `to`.
    fn worst(f: fn(F32x4) -> F32x4, truth: fn(f64) -> f64, scale: fn(f64) -> f64, from: f32, to: f32) -> f64 {
        let n = 200_000;
        let error = |i: u32| {
            let x = from + (to - from) * i as f32 / n as f32;
            let got = f(F32x4::splat(x)).to_array();
            assert!(got.iter().all(|v| v.to_bits() == got[0].to_bits()));
            (f64::from(got[0]) - truth(x.into())).abs() / scale(truth(x.into()))
        };
        (0..=n).map(error).fold(0.0, f64::max)
    }

    #[test]
    fn exp2_is_right_to_the_last_digits_of_a_float() {
        assert!(worst(exp2, libm::exp2, |v| v, -125.9, 126.9) < 3e-7);
        assert!(exp2(F32x4::splat(f32::NEG_INFINITY)).to_array()[0] < 2e-38);
    }

    #[test]
    fn gelu_follows_the_error_function() {
        let truth = |x: f64| 0.5 * x * libm::erfc(-x / core::f64::consts::SQRT_2);
        assert!(worst(gelu, truth, |v| v.abs().max(1.0), -12.0, 12.0) < 3e-7);
        assert!(worst(gelu, truth, |v| v.abs().max(1.0), -1e18, 1e18) < 3e-7);
    }

    #[test]
    fn the_other_gelus_follow_their_formulas() {
        fn sigmoid(x: f64) -> f64 {
            1.0 / (1.0 + libm::exp(-x))
        }
        let tanh =
            |x: f64| 0.5 * x * (1.0 + libm::tanh(libm::sqrt(2.0 / core::f64::consts::PI) * (x + 0.044715 * x * x * x)));
        let quick = |x: f64| x * sigmoid(1.702 * x);
        let silu_truth = |x: f64| x * sigmoid(x);
        for far in [12.0, 90.0, 1e18] {
            assert!(worst(gelu_tanh, tanh, |v| v.abs().max(1.0), -far, far) < 3e-7, "{far}");
            assert!(worst(quick_gelu, quick, |v| v.abs().max(1.0), -far, far) < 3e-7, "{far}");
            assert!(worst(silu, silu_truth, |v| v.abs().max(1.0), -far, far) < 3e-7, "{far}");
        }
    }

    #[test]
    fn no_gelu_makes_subnormal_numbers() {
        for f in [gelu, gelu_tanh, quick_gelu, silu] {
            for x in (0..12_000).map(|i| -0.01 * i as f32).chain([-1e3, -1e9, -1e18]) {
                let y = f(F32x4::splat(x)).to_array()[0];
                assert!(y == 0.0 || y.is_normal(), "it makes {y:e} of {x}");
            }
        }
    }

    #[test]
    fn log10_of_faint_and_of_loud() {
        for (from, to) in [(1e-10, 1e-9), (1e-3, 1.0), (0.5, 3.0), (1.0, 1e6), (1e10, 1e30)] {
            assert!(worst(log10, libm::log10, |v| v.abs().max(1.0), from, to) < 3e-7, "{from}");
        }
    }
}
