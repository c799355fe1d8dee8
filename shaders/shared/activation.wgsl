// Activations by number, and the error function they need.
override ACTIVATION: u32 = 0u;

// Abramowitz and Stegun 7.1.26; absolute error below 1.5e-7.
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return sign(x) * (1.0 - poly * exp(-x * x));
}

fn activate(x: f32) -> f32 {
    if (ACTIVATION == 1u) {
        return 0.5 * x * (1.0 + erf(x * 0.7071067811865476));
    }
    return x;
}
