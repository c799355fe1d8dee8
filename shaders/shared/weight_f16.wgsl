// A weight matrix in f16, read as f32 without the shader-f16 feature: two halves to a word.
@group(0) @binding(2) var<storage, read> w: array<vec4<u32>>;

struct Eight { lo: vec4<f32>, hi: vec4<f32> }

// Elements 8 * idx to 8 * idx + 7.
fn w8(idx: u32) -> Eight {
    let words = w[idx];
    let lo = vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
    let hi = vec4<f32>(unpack2x16float(words.z), unpack2x16float(words.w));
    return Eight(lo, hi);
}

fn w1(idx: u32) -> f32 {
    let word = w[idx >> 3u][(idx >> 1u) & 3u];
    return unpack2x16float(word)[idx & 1u];
}
