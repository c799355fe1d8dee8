// A weight matrix in f32.
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;

struct Eight { lo: vec4<f32>, hi: vec4<f32> }

// Elements 8 * idx to 8 * idx + 7.
fn w8(idx: u32) -> Eight {
    return Eight(w[2u * idx], w[2u * idx + 1u]);
}

fn w1(idx: u32) -> f32 {
    return w[idx >> 2u][idx & 3u];
}
