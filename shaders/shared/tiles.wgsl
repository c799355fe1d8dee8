// Tiles of a matrix product in workgroup memory: WGX x WGY threads, each of which makes EACH rows and EACH columns of the output, 16
// columns of x and w at a time. The next 16 are read into registers while the present ones are multiplied.
const ROWS = EACH * WGY;
const COLS = EACH * WGX;
const X_PITCH = ROWS / 4u + 1u;
const W_PITCH = 5u;
const W_READS = (2u * COLS + WGX * WGY - 1u) / (WGX * WGY);
var<workgroup> x_tile: array<vec4<f32>, 16u * X_PITCH>; // [16 along K][X_PITCH], vectors along M
var<workgroup> w_tile: array<vec4<f32>, COLS * W_PITCH>; // [COLS][W_PITCH], vectors along K

// What a thread reads of the next tiles: 4 x 4 of x, W_READS times 8 of w.
struct Next { x: array<vec4<f32>, 4>, w: array<Eight, W_READS> }

fn x_at(m: u32, k: u32) -> vec4<f32> {
    // Rows past the end are computed along, and not stored.
    return x4(params.first + i32(min(m, params.n_rows - 1u)) * params.stride + i32(k));
}

fn read_next(m0: u32, n0: u32, k0: u32, idx: u32) -> Next {
    var next: Next;
    if (idx < ROWS) {
        let k = k0 + 4u * (idx & 3u);
        let m = m0 + 4u * (idx >> 2u);
        if (k < params.n_cols) {
            next.x[0] = x_at(m, k);
            next.x[1] = x_at(m + 1u, k);
            next.x[2] = x_at(m + 2u, k);
            next.x[3] = x_at(m + 3u, k);
        }
    }
    for (var i = 0u; i < W_READS; i++) {
        let at = idx + i * WGX * WGY;
        let k = k0 + 8u * (at & 1u);
        if (at < 2u * COLS && k < params.n_cols) { next.w[i] = w8(min(n0 + (at >> 1u), params.n_out - 1u), k >> 3u); }
    }
    return next;
}

fn put(next: Next, idx: u32) {
    if (idx < ROWS) {
        let at = 4u * (idx & 3u) * X_PITCH + (idx >> 2u);
        let a = next.x[0];
        let b = next.x[1];
        let c = next.x[2];
        let d = next.x[3];
        x_tile[at] = vec4<f32>(a.x, b.x, c.x, d.x);
        x_tile[at + X_PITCH] = vec4<f32>(a.y, b.y, c.y, d.y);
        x_tile[at + 2u * X_PITCH] = vec4<f32>(a.z, b.z, c.z, d.z);
        x_tile[at + 3u * X_PITCH] = vec4<f32>(a.w, b.w, c.w, d.w);
    }
    for (var i = 0u; i < W_READS; i++) {
        let at = idx + i * WGX * WGY;
        if (at < 2u * COLS) {
            let to = (at >> 1u) * W_PITCH + 2u * (at & 1u);
            w_tile[to] = next.w[i].lo;
            w_tile[to + 1u] = next.w[i].hi;
        }
    }
}

// sum + w . (p, q, r, s), for four rows at once.
fn multiplied(sum: vec4<f32>, w: vec4<f32>, p: vec4<f32>, q: vec4<f32>, r: vec4<f32>, s: vec4<f32>) -> vec4<f32> {
    return sum + w.x * p + w.y * q + w.z * r + w.w * s;
}

fn store(m: u32, n: u32, values: vec4<f32>) {
    if (n >= params.n_out) { return; }
    let col = params.y_first + n;
    var offset = 0.0;
    if (HAS_BIAS) { offset = bias[col]; }
    for (var i = 0u; i < 4u; i++) {
        if (m + i >= params.n_rows) { return; }
        let at = (m + i) * params.y_stride + col;
        var v = activate(values[i] + offset);
        if (HAS_RESIDUAL) { v += residual[at]; }
        y[at] = y_t(v);
    }
}
