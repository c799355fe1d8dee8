// y[m, n] = act(x[m, :] . w[n, :] + bias[n]) + residual[m, n], for many rows, on a GPU.
// A workgroup of 16 x 16 threads makes 64 x 64 outputs from tiles in workgroup memory, 16 columns of x and w at a time. Each thread
// makes 4 x 4 of them, 16 apart, so that neighbours read neighbouring banks; a row of a tile is padded to five vectors.
struct Params { n_rows: u32, n_out: u32, n_cols: u32, stride: i32, first: i32, len: i32, y_first: u32, y_stride: u32 }
override BOUNDED: bool = false;  // windows may reach over the ends
override VECTORED: bool = true;  // always true here: n_cols is a multiple of 8
override HAS_BIAS: bool = false;
override HAS_RESIDUAL: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<x_t>>;
// binding 2: w, by a file weight_*.wgsl
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<y_t>;
const PITCH = 5u;
var<workgroup> x_tile: array<vec4<f32>, 320>; // [64][PITCH]
var<workgroup> w_tile: array<vec4<f32>, 320>;

fn x4(m: u32, k: u32) -> vec4<f32> {
    if (m >= params.n_rows || k >= params.n_cols) { return vec4<f32>(); }
    let at = params.first + i32(m) * params.stride + i32(k);
    if (BOUNDED) {
        if (at < 0 || at >= params.len) { return vec4<f32>(); }
    }
    return vec4<f32>(x[at >> 2u]);
}

fn store(m: u32, n: u32, value: f32) {
    if (m >= params.n_rows || n >= params.n_out) { return; }
    let col = params.y_first + n;
    var v = value;
    if (HAS_BIAS) { v += bias[col]; }
    v = activate(v);
    let at = m * params.y_stride + col;
    if (HAS_RESIDUAL) { v += residual[at]; }
    y[at] = y_t(v);
}

fn store_row(m: u32, n: u32, v: vec4<f32>) {
    store(m, n, v.x);
    store(m, n + 16u, v.y);
    store(m, n + 32u, v.z);
    store(m, n + 48u, v.w);
}

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_id) lid: vec3<u32>,
    @builtin(local_invocation_index) idx: u32,
) {
    let m0 = 64u * wid.y;
    let n0 = 64u * wid.x;
    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var a2 = vec4<f32>();
    var a3 = vec4<f32>();
    for (var k0 = 0u; k0 < params.n_cols; k0 += 16u) {
        x_tile[(idx >> 2u) * PITCH + (idx & 3u)] = x4(m0 + (idx >> 2u), k0 + 4u * (idx & 3u));
        if (idx < 128u) {
            let n = n0 + (idx >> 1u);
            let k = k0 + 8u * (idx & 1u);
            var eight = Eight();
            if (n < params.n_out && k < params.n_cols) { eight = w8(n, k >> 3u); }
            let at = (idx >> 1u) * PITCH + 2u * (idx & 1u);
            w_tile[at] = eight.lo;
            w_tile[at + 1u] = eight.hi;
        }
        workgroupBarrier();
        for (var k4 = 0u; k4 < 4u; k4++) {
            let p = w_tile[lid.x * PITCH + k4];
            let q = w_tile[(lid.x + 16u) * PITCH + k4];
            let r = w_tile[(lid.x + 32u) * PITCH + k4];
            let s = w_tile[(lid.x + 48u) * PITCH + k4];
            let b0 = x_tile[lid.y * PITCH + k4];
            let b1 = x_tile[(lid.y + 16u) * PITCH + k4];
            let b2 = x_tile[(lid.y + 32u) * PITCH + k4];
            let b3 = x_tile[(lid.y + 48u) * PITCH + k4];
            a0 += vec4<f32>(dot(b0, p), dot(b0, q), dot(b0, r), dot(b0, s));
            a1 += vec4<f32>(dot(b1, p), dot(b1, q), dot(b1, r), dot(b1, s));
            a2 += vec4<f32>(dot(b2, p), dot(b2, q), dot(b2, r), dot(b2, s));
            a3 += vec4<f32>(dot(b3, p), dot(b3, q), dot(b3, r), dot(b3, s));
        }
        workgroupBarrier();
    }
    let m = m0 + lid.y;
    let n = n0 + lid.x;
    store_row(m, n, a0);
    store_row(m + 16u, n, a1);
    store_row(m + 32u, n, a2);
    store_row(m + 48u, n, a3);
}
