// A weight matrix in f16, read as f32 without the shader-f16 feature: two halves to a word. Rows have params.n_cols columns.
@group(0) @binding(2) var<storage, read> w: array<vec4<u32>>;

struct Eight { lo: vec4<f32>, hi: vec4<f32> }

// Columns 8 * k8 to 8 * k8 + 7 of a row.
fn w8(row: u32, k8: u32) -> Eight {
    let words = w[row * (params.n_cols >> 3u) + k8];
    let lo = vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
    let hi = vec4<f32>(unpack2x16float(words.z), unpack2x16float(words.w));
    return Eight(lo, hi);
}

fn w1(row: u32, k: u32) -> f32 {
    let at = row * params.n_cols + k;
    let word = w[at >> 3u][(at >> 1u) & 3u];
    return unpack2x16float(word)[at & 1u];
}
