// A weight matrix in f32. Rows have params.n_cols columns.
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;

struct Eight { lo: vec4<f32>, hi: vec4<f32> }

// Columns 8 * k8 to 8 * k8 + 7 of a row.
fn w8(row: u32, k8: u32) -> Eight {
    let at = row * (params.n_cols >> 2u) + 2u * k8;
    return Eight(w[at], w[at + 1u]);
}

fn w1(row: u32, k: u32) -> f32 {
    let at = row * params.n_cols + k;
    return w[at >> 2u][at & 3u];
}
