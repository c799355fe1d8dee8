// y[m, n] = act(x[m, :] . w[n, :] + bias[n]) + residual[m, n], for many rows.
// Each thread makes 4 rows x 4 columns and reads for itself: no workgroup memory, no barrier.
override VECTORED: bool = true;  // n_cols is a multiple of 8, rows start at multiples of 4

fn x1(at: i32) -> f32 {
    if (BOUNDED) {
        if (at < 0 || at >= params.len) { return 0.0; }
    }
    return f32(x[at >> 2u][at & 3]);
}

fn start_of(m: u32) -> i32 {
    return params.first + i32(min(m, params.n_rows - 1u)) * params.stride;
}

fn store(m: u32, n: u32, sums: vec4<f32>) {
    if (m >= params.n_rows) { return; }
    for (var j = 0u; j < 4u; j++) {
        if (n + j >= params.n_out) { break; }
        let col = params.y_first + n + j;
        var v = sums[j];
        if (HAS_BIAS) { v += bias[col]; }
        v = activate(v);
        let at = m * params.y_stride + col;
        if (HAS_RESIDUAL) { v += residual[at]; }
        y[at] = y_t(v);
    }
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
    let n = 4u * gid.x;
    let m = 4u * gid.y;
    let x0 = start_of(m);
    let x1_ = start_of(m + 1u);
    let x2 = start_of(m + 2u);
    let x3 = start_of(m + 3u);
    let last = params.n_out - 1u;
    let w0_row = min(n, last);
    let w1_row = min(n + 1u, last);
    let w2_row = min(n + 2u, last);
    let w3_row = min(n + 3u, last);
    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var a2 = vec4<f32>();
    var a3 = vec4<f32>();
    if (VECTORED) {
        for (var k = 0u; k < params.n_cols; k += 8u) {
            let p = w8(w0_row, k >> 3u);
            let q = w8(w1_row, k >> 3u);
            let r = w8(w2_row, k >> 3u);
            let s = w8(w3_row, k >> 3u);
            let at = i32(k);
            var lo = x4(x0 + at);
            var hi = x4(x0 + at + 4);
            a0 += vec4<f32>(dot(lo, p.lo), dot(lo, q.lo), dot(lo, r.lo), dot(lo, s.lo));
            a0 += vec4<f32>(dot(hi, p.hi), dot(hi, q.hi), dot(hi, r.hi), dot(hi, s.hi));
            lo = x4(x1_ + at);
            hi = x4(x1_ + at + 4);
            a1 += vec4<f32>(dot(lo, p.lo), dot(lo, q.lo), dot(lo, r.lo), dot(lo, s.lo));
            a1 += vec4<f32>(dot(hi, p.hi), dot(hi, q.hi), dot(hi, r.hi), dot(hi, s.hi));
            lo = x4(x2 + at);
            hi = x4(x2 + at + 4);
            a2 += vec4<f32>(dot(lo, p.lo), dot(lo, q.lo), dot(lo, r.lo), dot(lo, s.lo));
            a2 += vec4<f32>(dot(hi, p.hi), dot(hi, q.hi), dot(hi, r.hi), dot(hi, s.hi));
            lo = x4(x3 + at);
            hi = x4(x3 + at + 4);
            a3 += vec4<f32>(dot(lo, p.lo), dot(lo, q.lo), dot(lo, r.lo), dot(lo, s.lo));
            a3 += vec4<f32>(dot(hi, p.hi), dot(hi, q.hi), dot(hi, r.hi), dot(hi, s.hi));
        }
    } else {
        for (var k = 0u; k < params.n_cols; k++) {
            let four = vec4<f32>(w1(w0_row, k), w1(w1_row, k), w1(w2_row, k), w1(w3_row, k));
            let at = i32(k);
            a0 += x1(x0 + at) * four;
            a1 += x1(x1_ + at) * four;
            a2 += x1(x2 + at) * four;
            a3 += x1(x3 + at) * four;
        }
    }
    store(m, n, a0);
    store(m + 1u, n, a1);
    store(m + 2u, n, a2);
    store(m + 3u, n, a3);
}
