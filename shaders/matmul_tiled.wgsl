// y[m, n] = act(x[m, :] . w[n, :] + bias[n]) + residual[m, n], for many rows, on a GPU.
// Each thread makes 4 rows x 4 columns: columns WGX apart, rows by fours, one four. Sums are named, since arrays of them may end up in memory.
const EACH = 4u;

@compute @workgroup_size(WGX, WGY)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_id) lid: vec3<u32>,
    @builtin(local_invocation_index) idx: u32,
) {
    let m0 = ROWS * wid.y;
    let n0 = COLS * wid.x;
    var a0 = vec4<f32>();
    var b0 = vec4<f32>();
    var c0 = vec4<f32>();
    var d0 = vec4<f32>();
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
            let w0 = w_tile[lid.x * W_PITCH + k4];
            a0 = multiplied(a0, w0, p0, q0, r0, s0);
            let w1 = w_tile[(lid.x + WGX) * W_PITCH + k4];
            b0 = multiplied(b0, w1, p0, q0, r0, s0);
            let w2 = w_tile[(lid.x + 2u * WGX) * W_PITCH + k4];
            c0 = multiplied(c0, w2, p0, q0, r0, s0);
            let w3 = w_tile[(lid.x + 3u * WGX) * W_PITCH + k4];
            d0 = multiplied(d0, w3, p0, q0, r0, s0);
        }
        workgroupBarrier();
    }
    let m = m0 + 4u * lid.y;
    let n = n0 + lid.x;
    store(m, n, a0);
    store(m, n + WGX, b0);
    store(m, n + 2u * WGX, c0);
    store(m, n + 3u * WGX, d0);
}
