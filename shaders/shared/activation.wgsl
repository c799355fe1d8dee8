// Activations by number (`Activation::code`), and the functions they need.
override ACTIVATION: u32 = 0u;

// Abramowitz and Stegun 7.1.26; absolute error below 1.5e-7.
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return sign(x) * (1.0 - poly * exp(-x * x));
}

// The exponent is held below 88, where exp would leave the numbers of f32.
fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(min(-x, 80.0)));
}

fn activate(x: f32) -> f32 {
    switch (ACTIVATION) {
        case 1u: { return 0.5 * x * (1.0 + erf(x * 0.7071067811865476)); }
        // (1 + tanh(u)) / 2 is sigmoid(2 u), here with u = sqrt(2 / pi) (x + 0.044715 x^3).
        case 2u: { return x * sigmoid(x * (1.5957691216057308 + 0.07135481282553484 * x * x)); }
        case 3u: { return x * sigmoid(1.702 * x); }
        case 4u: { return max(x, 0.0); }
        case 5u: { return x * sigmoid(x); }
        // Some drivers make tanh of exp, and nothing of a large x; past 15 it is 1 in f32.
        case 6u: { return tanh(clamp(x, -15.0, 15.0)); }
        default: { return x; }
    }
}
