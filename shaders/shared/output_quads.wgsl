// What a matrix product adds to its sums, and where they go, where rows of y are made of whole vectors.
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<y_t>>;

// Four columns from n on.
fn store(m: u32, n: u32, sums: vec4<f32>) {
    if (m >= params.n_rows || n >= params.n_out) { return; }
    let col = (params.y_first + n) >> 2u;
    let at = m * (params.y_stride >> 2u) + col;
    var v = sums;
    if (HAS_BIAS) { v += bias[col]; }
    v = vec4<f32>(activate(v.x), activate(v.y), activate(v.z), activate(v.w));
    if (HAS_RESIDUAL) { v += residual[at]; }
    y[at] = vec4<y_t>(v);
}
