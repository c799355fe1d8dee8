// y[r, :] = (x[r, :] - mean) * inverseSqrt(var + eps) * weight + bias; without a bias the mean is taken to be zero.
// x, y: [n_rows, n_cols]. One workgroup per row.
struct Params { n_rows: u32, n_cols: u32, eps: f32 }
override WG: u32 = 64u; // power of two
override HAS_BIAS: bool = true;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<x_t>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<y_t>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) n_wg: vec3<u32>, thread: Thread) {
    let lid = thread.idx;
    let row = min(wid.x + wid.y * n_wg.x, params.n_rows - 1u);
    let n_cols = params.n_cols;
    let first = row * n_cols;
    var mean = 0.0;
    if (HAS_BIAS) {
        var sum = 0.0;
        for (var c = lid; c < n_cols; c += WG) { sum += f32(x[first + c]); }
        mean = sum_of_all(sum, thread) / f32(n_cols);
    }
    var squares = 0.0;
    for (var c = lid; c < n_cols; c += WG) {
        let d = f32(x[first + c]) - mean;
        squares += d * d;
    }
    let rstd = inverseSqrt(sum_of_all(squares, thread) / f32(n_cols) + params.eps);
    for (var c = lid; c < n_cols; c += WG) {
        var v = (f32(x[first + c]) - mean) * rstd * weight[c];
        if (HAS_BIAS) { v += bias[c]; }
        y[first + c] = y_t(v);
    }
}
