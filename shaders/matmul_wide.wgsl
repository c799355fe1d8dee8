// y[m, n] = act(x[m, :] . w[n, :] + bias[n]) + residual[m, n], for many rows, on a GPU.
// Each thread makes 8 rows x 8 columns: columns WGX apart, rows by fours, fours WGY apart. Sums are named, since arrays of them may end up in memory.
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
        if (k0 + 16u < params.n_cols) { next = read_next(m0, n0, k0 + 16u, idx); }
        for (var k4 = 0u; k4 < 4u; k4++) {
            let at = 4u * k4 * X_PITCH + lid.y;
            let p0 = x_tile[at];
            let q0 = x_tile[at + X_PITCH];
            let r0 = x_tile[at + 2u * X_PITCH];
            let s0 = x_tile[at + 3u * X_PITCH];
            let p1 = x_tile[at + WGY];
            let q1 = x_tile[at + X_PITCH + WGY];
            let r1 = x_tile[at + 2u * X_PITCH + WGY];
            let s1 = x_tile[at + 3u * X_PITCH + WGY];
            let w0 = w_tile[lid.x * W_PITCH + k4];
            a0 = multiplied(a0, w0, p0, q0, r0, s0);
            a1 = multiplied(a1, w0, p1, q1, r1, s1);
            let w1 = w_tile[(lid.x + WGX) * W_PITCH + k4];
            b0 = multiplied(b0, w1, p0, q0, r0, s0);
            b1 = multiplied(b1, w1, p1, q1, r1, s1);
            let w2 = w_tile[(lid.x + 2u * WGX) * W_PITCH + k4];
            c0 = multiplied(c0, w2, p0, q0, r0, s0);
            c1 = multiplied(c1, w2, p1, q1, r1, s1);
            let w3 = w_tile[(lid.x + 3u * WGX) * W_PITCH + k4];
            d0 = multiplied(d0, w3, p0, q0, r0, s0);
            d1 = multiplied(d1, w3, p1, q1, r1, s1);
            let w4 = w_tile[(lid.x + 4u * WGX) * W_PITCH + k4];
            e0 = multiplied(e0, w4, p0, q0, r0, s0);
            e1 = multiplied(e1, w4, p1, q1, r1, s1);
            let w5 = w_tile[(lid.x + 5u * WGX) * W_PITCH + k4];
            f0 = multiplied(f0, w5, p0, q0, r0, s0);
            f1 = multiplied(f1, w5, p1, q1, r1, s1);
            let w6 = w_tile[(lid.x + 6u * WGX) * W_PITCH + k4];
            g0 = multiplied(g0, w6, p0, q0, r0, s0);
            g1 = multiplied(g1, w6, p1, q1, r1, s1);
            let w7 = w_tile[(lid.x + 7u * WGX) * W_PITCH + k4];
            h0 = multiplied(h0, w7, p0, q0, r0, s0);
            h1 = multiplied(h1, w7, p1, q1, r1, s1);
        }
        workgroupBarrier();
    }
    let m = m0 + 4u * lid.y;
    let n = n0 + lid.x;
    store(m, n, a0);
    store(m + 4u * WGY, n, a1);
    store(m, n + WGX, b0);
    store(m + 4u * WGY, n + WGX, b1);
    store(m, n + 2u * WGX, c0);
    store(m + 4u * WGY, n + 2u * WGX, c1);
    store(m, n + 3u * WGX, d0);
    store(m + 4u * WGY, n + 3u * WGX, d1);
    store(m, n + 4u * WGX, e0);
    store(m + 4u * WGY, n + 4u * WGX, e1);
    store(m, n + 5u * WGX, f0);
    store(m + 4u * WGY, n + 5u * WGX, f1);
    store(m, n + 6u * WGX, g0);
    store(m + 4u * WGY, n + 6u * WGX, g1);
    store(m, n + 7u * WGX, h0);
    store(m + 4u * WGY, n + 7u * WGX, h1);
}
