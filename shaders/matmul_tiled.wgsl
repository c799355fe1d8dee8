// y[m, n] = act(x[m, :] . w[n, :] + bias[n]) + residual[m, n], for many rows, on a GPU.
// Each thread makes 4 rows x 4 columns. Sums are named, since arrays of them may end up in memory.
const EACH = 4u;

@compute @workgroup_size(WGX, WGY)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_id) lid: vec3<u32>,
    @builtin(local_invocation_index) idx: u32,
) {
    let m0 = ROWS * wid.y;
    let n0 = COLS * wid.x;
    var a = vec4<f32>();
    var b = vec4<f32>();
    var c = vec4<f32>();
    var d = vec4<f32>();
    var next = read_next(m0, n0, 0u, idx);
    for (var k0 = 0u; k0 < params.n_cols; k0 += 16u) {
        put(next, idx);
        workgroupBarrier();
        next = read_next(m0, n0, min(k0 + 16u, params.n_cols - 16u), idx); // the last tile twice: a branch costs more
        for (var k = 0u; k < 16u; k++) { // unrolled
            let p = x_tile[k * X_PITCH + lid.y];
            let w = w_tile[k * W_PITCH + lid.x];
            a += p.x * w;
            b += p.y * w;
            c += p.z * w;
            d += p.w * w;
        }
        workgroupBarrier();
    }
    let m = m0 + 4u * lid.y;
    let n = n0 + 4u * lid.x;
    store(m, n, a);
    store(m + 1u, n, b);
    store(m + 2u, n, c);
    store(m + 3u, n, d);
}
