// Tiles of a matrix product in workgroup memory: WGX x WGY threads, each of which makes EACH rows and EACH columns of the output, 16 steps along K at
// a time. Both tiles have K outermost, so that a step is an outer product of vectors. The next tiles are read into registers as they lie in
// memory, while the present ones are multiplied.
const ROWS = EACH * WGY;
const COLS = EACH * WGX;
const X_PITCH = ROWS / 4u + 1u;
const W_PITCH = COLS / 4u + 1u;
var<workgroup> x_tile: array<vec4<f32>, 16u * X_PITCH>; // [16 along K][X_PITCH], vectors along M
var<workgroup> w_tile: array<vec4<f32>, 16u * W_PITCH>; // [16 along K][W_PITCH], vectors along N

// What a thread reads of the next tiles: 4 x 4 of x and 4 x 4 of w. A tile has no more rows, and no more columns, than there are threads.
struct Next { x0: vec4<x_t>, x1: vec4<x_t>, x2: vec4<x_t>, x3: vec4<x_t>, w0: Quad, w1: Quad, w2: Quad, w3: Quad }

// A tile's rows, or columns, may be as many as there are threads: then all of them read.
fn reads_x(idx: u32) -> bool {
    return ROWS == WGX * WGY || idx < ROWS;
}

fn reads_w(idx: u32) -> bool {
    return COLS == WGX * WGY || idx < COLS;
}

// Rows past the end are computed along, and not stored.
fn x_at(m: u32, k: u32) -> vec4<x_t> {
    return x_quad(params.first + i32(min(m, params.n_rows - 1u)) * params.stride + i32(k));
}

fn w_at(n: u32, k: u32) -> Quad {
    return quad(min(n, params.n_out - 1u), k >> 2u);
}

fn read_next(m0: u32, n0: u32, k0: u32, idx: u32) -> Next {
    var next: Next;
    let k = k0 + 4u * (idx & 3u);
    let at = idx & ~3u;
    if (reads_x(idx)) {
        next.x0 = x_at(m0 + at, k);
        next.x1 = x_at(m0 + at + 1u, k);
        next.x2 = x_at(m0 + at + 2u, k);
        next.x3 = x_at(m0 + at + 3u, k);
    }
    if (reads_w(idx)) {
        next.w0 = w_at(n0 + at, k);
        next.w1 = w_at(n0 + at + 1u, k);
        next.w2 = w_at(n0 + at + 2u, k);
        next.w3 = w_at(n0 + at + 3u, k);
    }
    return next;
}

fn put(next: Next, idx: u32) {
    let k = 4u * (idx & 3u);
    let at = idx >> 2u;
    if (reads_x(idx)) {
        let t = transpose(mat4x4<f32>(vec4<f32>(next.x0), vec4<f32>(next.x1), vec4<f32>(next.x2), vec4<f32>(next.x3)));
        x_tile[k * X_PITCH + at] = t[0];
        x_tile[(k + 1u) * X_PITCH + at] = t[1];
        x_tile[(k + 2u) * X_PITCH + at] = t[2];
        x_tile[(k + 3u) * X_PITCH + at] = t[3];
    }
    if (reads_w(idx)) {
        let t = transpose(mat4x4<f32>(widened(next.w0), widened(next.w1), widened(next.w2), widened(next.w3)));
        w_tile[k * W_PITCH + at] = t[0];
        w_tile[(k + 1u) * W_PITCH + at] = t[1];
        w_tile[(k + 2u) * W_PITCH + at] = t[2];
        w_tile[(k + 3u) * W_PITCH + at] = t[3];
    }
}
