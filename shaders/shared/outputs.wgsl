// What a matrix product adds to its sums, and where they go, one by one.
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<y_t>;

fn store_one(m: u32, n: u32, sum: f32) {
    if (m >= params.n_rows || n >= params.n_out) { return; }
    let col = params.y_first + n;
    let at = m * params.y_stride + col;
    var v = sum;
    if (HAS_BIAS) { v += bias[col]; }
    v = activate(v);
    if (HAS_RESIDUAL) { v += residual[at]; }
    y[at] = y_t(v);
}

// Four columns from n on.
fn store(m: u32, n: u32, sums: vec4<f32>) {
    store_one(m, n, sums.x);
    store_one(m, n + 1u, sums.y);
    store_one(m, n + 2u, sums.z);
    store_one(m, n + 3u, sums.w);
}
