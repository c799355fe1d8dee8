// y[r, n] = act(norm(x)[r, :] . w[n, :] + bias[n]) + residual[r, n], for few rows r.
// One workgroup: row wid.x, WG / LANES columns n; LANES threads share a column. Rows come first, so that workgroups that run at the same time
// read the same weights, which then come from the cache for all but one.
struct Params { n_cols: u32, n_out: u32, y_first: u32, y_stride: u32, eps: f32 }
override WG: u32 = 128u;    // threads of a workgroup
override LANES: u32 = 16u;  // power of two, divides WG
override VECTORED: bool = true;
override HAS_BIAS: bool = false;
override HAS_RESIDUAL: bool = false;
override HAS_NORM: bool = false;
override HAS_NORM_BIAS: bool = false; // without one the mean is taken to be zero
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<x_t>;
// binding 2: w, by a file weight_*.wgsl, and what a thread multiplies at a time, by a file product_*.wgsl
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read> norm_weight: array<f32>;
@group(0) @binding(6) var<storage, read> norm_bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<y_t>;
var<workgroup> row: array<vec4<f32>, (N_COLS + 3u) / 4u>;

fn row_at(k: u32) -> f32 {
    return row[k >> 2u][k & 3u];
}

fn load_row(first: u32, thread: Thread) {
    let n_cols = params.n_cols;
    for (var k4 = thread.idx; k4 * 4u < n_cols; k4 += WG) {
        let k = 4u * k4;
        var four = vec4<f32>(f32(x[first + k]), 0.0, 0.0, 0.0);
        if (k + 1u < n_cols) { four.y = f32(x[first + k + 1u]); }
        if (k + 2u < n_cols) { four.z = f32(x[first + k + 2u]); }
        if (k + 3u < n_cols) { four.w = f32(x[first + k + 3u]); }
        row[k4] = four;
    }
    workgroupBarrier();
}

fn normalise_row(thread: Thread) {
    let n_cols = params.n_cols;
    var mean = 0.0;
    if (HAS_NORM_BIAS) {
        var sum = 0.0;
        for (var k = thread.idx; k < n_cols; k += WG) { sum += row_at(k); }
        mean = sum_of_all(sum, thread) / f32(n_cols);
    }
    var squares = 0.0;
    for (var k = thread.idx; k < n_cols; k += WG) { let d = row_at(k) - mean; squares += d * d; }
    let rstd = inverseSqrt(sum_of_all(squares, thread) / f32(n_cols) + params.eps);
    for (var k4 = thread.idx; k4 * 4u < n_cols; k4 += WG) {
        let k = 4u * k4;
        var four = (row[k4] - mean) * rstd;
        four.x *= norm_weight[k];
        if (k + 1u < n_cols) { four.y *= norm_weight[k + 1u]; }
        if (k + 2u < n_cols) { four.z *= norm_weight[k + 2u]; }
        if (k + 3u < n_cols) { four.w *= norm_weight[k + 3u]; }
        if (HAS_NORM_BIAS) {
            four.x += norm_bias[k];
            if (k + 1u < n_cols) { four.y += norm_bias[k + 1u]; }
            if (k + 2u < n_cols) { four.z += norm_bias[k + 2u]; }
            if (k + 3u < n_cols) { four.w += norm_bias[k + 3u]; }
        }
        row[k4] = four;
    }
    workgroupBarrier();
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) n_wg: vec3<u32>, thread: Thread) {
    let n = (wid.y + wid.z * n_wg.y) * (WG / LANES) + thread.idx / LANES;
    let lane = thread.idx % LANES;
    let w_row = min(n, params.n_out - 1u); // Threads past the end compute along and store nothing.
    let col = params.y_first + w_row;
    let at = wid.x * params.y_stride + col;
    // What does not depend on x is asked for before x, whose dispatch has only just ended.
    var held: array<Held, N_HELD + 1u>;
    for (var i = 0u; i < N_HELD; i++) { held[i] = fetch(w_row, lane + i * LANES); }
    var offset = 0.0;
    if (HAS_BIAS) { offset = bias[col]; }
    var onto = 0.0;
    if (HAS_RESIDUAL) { onto = residual[at]; }
    load_row(wid.x * params.n_cols, thread);
    if (HAS_NORM) { normalise_row(thread); }

    var sum = 0.0;
    if (VECTORED) {
        for (var i = 0u; i < N_HELD; i++) { sum += product(held[i], lane + i * LANES); }
        let n_steps = params.n_cols / STEP;
        for (var s = lane + N_HELD * LANES; s < n_steps; s += LANES) { sum += product(fetch(w_row, s), s); }
    } else {
        for (var k = lane; k < params.n_cols; k += LANES) {
            sum += w1(w_row, k) * row_at(k);
        }
    }
    sum = sum_of_lanes(sum, LANES, thread);
    if (lane == 0u && n < params.n_out) { y[at] = y_t(activate(sum + offset) + onto); }
}
