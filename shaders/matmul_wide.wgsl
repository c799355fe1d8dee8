// y[m, n] = act(x[m, :] . w[n, :] + bias[n]) + residual[m, n], for many rows, on a GPU.
// Each thread makes 8 rows x 8 columns: fours of rows WGY apart, fours of columns WGX apart. Sums are named, since arrays of them may end up in memory.
// Where there are few tiles for the adapter's cores, K is divided among SLICES of a workgroup's threads, whose sums are added up at the end.
const EACH = 8u;
const THREADS = WGX * WGY; // of a slice

// Rows m and m + 1 of a thread at its columns: n of `a`, WGX vectors further of `b`. Four vectors of each thread fit into x's tile: [slice][vector][thread].
fn store_rows(m: u32, n: u32, idx: u32, a0: vec4<f32>, b0: vec4<f32>, a1: vec4<f32>, b1: vec4<f32>) {
    if (SLICES == 1u) {
        store(m, n, a0);
        store(m, n + 4u * WGX, b0);
        store(m + 1u, n, a1);
        store(m + 1u, n + 4u * WGX, b1);
    } else {
        let slice = slice_of(idx, THREADS);
        let thread = idx - THREADS * slice;
        let at = 4u * THREADS * slice + thread;
        x_tile[at] = a0;
        x_tile[at + THREADS] = b0;
        x_tile[at + 2u * THREADS] = a1;
        x_tile[at + 3u * THREADS] = b1;
        workgroupBarrier();
        for (var vector = slice; vector < 4u; vector += SLICES) {
            var sum = vec4<f32>();
            for (var part = 0u; part < SLICES; part++) { // unrolled
                sum += x_tile[THREADS * (4u * part + vector) + thread];
            }
            store(m + (vector >> 1u), n + 4u * WGX * (vector & 1u), sum);
        }
        workgroupBarrier();
    }
}

@compute @workgroup_size(WGX, WGY, SLICES)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_id) lid: vec3<u32>,
    @builtin(local_invocation_index) idx: u32,
) {
    let m0 = ROWS * wid.y;
    let n0 = COLS * wid.x;
    let slice = slice_of(idx, THREADS);
    let x_from = 16u * X_PITCH * slice + lid.y;
    let w_from = 16u * W_PITCH * slice + lid.x;
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
    for (var k0 = 0u; k0 < params.n_cols; k0 += STEPS) {
        put(next, idx);
        workgroupBarrier();
        next = read_next(m0, n0, min(k0 + STEPS, params.n_cols - STEPS), idx); // the last tile twice: a branch costs more
        for (var k = 0u; k < 16u; k++) { // unrolled
            let p = x_tile[k * X_PITCH + x_from];
            let q = x_tile[k * X_PITCH + x_from + WGY];
            let v = w_tile[k * W_PITCH + w_from];
            let w = w_tile[k * W_PITCH + w_from + WGX];
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
    store_rows(m, n, idx, a0, a1, b0, b1);
    store_rows(m + 2u, n, idx, c0, c1, d0, d1);
    store_rows(m + 4u * WGY, n, idx, e0, e1, f0, f1);
    store_rows(m + 4u * WGY + 2u, n, idx, g0, g1, h0, h1);
}
