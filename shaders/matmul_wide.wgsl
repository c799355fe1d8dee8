// y[m, n] = act(x[m, :] . w[n, :] + bias[n]) + residual[m, n], for many rows, on a GPU.
// Each thread makes 8 rows x 8 columns: fours of rows WGY apart, fours of columns WGX apart. Sums are named, since arrays of them may end up in memory.
const EACH = 8u;

@compute @workgroup_size(WGX, WGY)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_id) lid: vec3<u32>,
    @builtin(local_invocation_index) idx: u32,
) {
    let m0 = ROWS * wid.y;
    let n0 = COLS * wid.x;
    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var b0 = vec4<f32>();
    var b1 = vec4<f32>();
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var d0 = vec4<f32>();
    var d1 = vec4<f32>();
    var e0 = vec4<f32>();
    var e1 = vec4<f32>();
    var f0 = vec4<f32>();
    var f1 = vec4<f32>();
    var g0 = vec4<f32>();
    var g1 = vec4<f32>();
    var h0 = vec4<f32>();
    var h1 = vec4<f32>();
    var next = read_next(m0, n0, 0u, idx);
    for (var k0 = 0u; k0 < params.n_cols; k0 += 16u) {
        put(next, idx);
        workgroupBarrier();
        next = read_next(m0, n0, min(k0 + 16u, params.n_cols - 16u), idx); // the last tile twice: a branch costs more
        for (var k = 0u; k < 16u; k++) { // unrolled
            let p = x_tile[k * X_PITCH + lid.y];
            let q = x_tile[k * X_PITCH + lid.y + WGY];
            let v = w_tile[k * W_PITCH + lid.x];
            let w = w_tile[k * W_PITCH + lid.x + WGX];
            a0 += p.x * v;
            a1 += p.x * w;
            b0 += p.y * v;
            b1 += p.y * w;
            c0 += p.z * v;
            c1 += p.z * w;
            d0 += p.w * v;
            d1 += p.w * w;
            e0 += q.x * v;
            e1 += q.x * w;
            f0 += q.y * v;
            f1 += q.y * w;
            g0 += q.z * v;
            g1 += q.z * w;
            h0 += q.w * v;
            h1 += q.w * w;
        }
        workgroupBarrier();
    }
    let m = m0 + 4u * lid.y;
    let n = n0 + 4u * lid.x;
    let far = n + 4u * WGX;
    store(m, n, a0);
    store(m, far, a1);
    store(m + 1u, n, b0);
    store(m + 1u, far, b1);
    store(m + 2u, n, c0);
    store(m + 2u, far, c1);
    store(m + 3u, n, d0);
    store(m + 3u, far, d1);
    store(m + 4u * WGY, n, e0);
    store(m + 4u * WGY, far, e1);
    store(m + 4u * WGY + 1u, n, f0);
    store(m + 4u * WGY + 1u, far, f1);
    store(m + 4u * WGY + 2u, n, g0);
    store(m + 4u * WGY + 2u, far, g1);
    store(m + 4u * WGY + 3u, n, h0);
    store(m + 4u * WGY + 3u, far, h1);
}
