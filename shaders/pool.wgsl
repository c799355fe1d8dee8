// One vector for each sequence, from its real rows: their mean (0), sum / sqrt(length) (1), first row (2) or greatest elements
// (3); scaled to length one where `normalize` says so. One workgroup per sequence.
struct Params { n_cols: u32, seq_len: u32, mode: u32, normalize: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
const WG = 64u;
var<workgroup> pooled: array<f32, N_COLS>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, thread: Thread) {
    let lid = thread.idx;
    let n_cols = params.n_cols;
    let n_real = clamp(lengths[wid.x], 1u, params.seq_len);
    let n_rows = select(n_real, 1u, params.mode == 2u);
    var scale = 1.0;
    if (params.mode == 0u) { scale = 1.0 / f32(n_real); }
    if (params.mode == 1u) { scale = inverseSqrt(f32(n_real)); }
    let first = wid.x * params.seq_len * n_cols;
    var squares = 0.0;
    for (var c = lid; c < n_cols; c += WG) {
        var v = x[first + c];
        for (var t = 1u; t < n_rows; t++) {
            let next = x[first + t * n_cols + c];
            v = select(v + next, max(v, next), params.mode == 3u);
        }
        v *= scale;
        pooled[c] = v;
        squares += v * v;
    }
    let unit = inverseSqrt(max(sum_of_all(squares, thread), 1e-24));
    let factor = select(1.0, unit, params.normalize == 1u);
    for (var c = lid; c < n_cols; c += WG) { y[wid.x * n_cols + c] = pooled[c] * factor; }
}
