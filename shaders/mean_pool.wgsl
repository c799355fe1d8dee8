// y[b, :] = sum over t < length_b of x[b, t, :], scaled to length one. One workgroup per sequence.
struct Params { n_cols: u32, seq_len: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
const WG = 64u;
var<workgroup> sums: array<f32, N_COLS>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let n_cols = params.n_cols;
    let n_rows = min(lengths[wid.x], params.seq_len);
    var squares = 0.0;
    for (var c = lid; c < n_cols; c += WG) {
        var sum = 0.0;
        for (var t = 0u; t < n_rows; t++) { sum += x[(wid.x * params.seq_len + t) * n_cols + c]; }
        sums[c] = sum;
        squares += sum * sum;
    }
    let scale = inverseSqrt(max(sum_of_all(squares, lid), 1e-24));
    for (var c = lid; c < n_cols; c += WG) { y[wid.x * n_cols + c] = sums[c] * scale; }
}
