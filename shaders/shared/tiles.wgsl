// Tiles of a matrix product in workgroup memory: WGX x WGY threads, each of which makes EACH rows and EACH columns of the output, 16 steps along K at
// a time; SLICES times as many, where each slice of threads takes 16 steps of its own. Tiles have K outermost, so that a step is an outer product of
// vectors. The next tiles are read into registers as they lie in memory, while the present ones are multiplied.
const ROWS = EACH * WGY;
const COLS = EACH * WGX;
const X_PITCH = ROWS / 4u + 1u;
const W_PITCH = COLS / 4u + 1u;
const STEPS = 16u * SLICES;
var<workgroup> x_tile: array<vec4<f32>, STEPS * X_PITCH>; // [STEPS along K][X_PITCH], vectors along M
var<workgroup> w_tile: array<vec4<f32>, STEPS * W_PITCH>; // [STEPS along K][W_PITCH], vectors along N

// What a thread reads of the next tiles: 4 x 4 of x and 4 x 4 of w. A tile has no more rows, and no more columns, than a slice has threads.
struct Next { x0: vec4<x_t>, x1: vec4<x_t>, x2: vec4<x_t>, x3: vec4<x_t>, w0: Quad, w1: Quad, w2: Quad, w3: Quad }

// A tile's rows, or columns, may be as many as a slice's threads: then all of them read.
fn reads_x(idx: u32) -> bool {
    return ROWS == WGX * WGY || idx < SLICES * ROWS;
}

fn reads_w(idx: u32) -> bool {
    return COLS == WGX * WGY || idx < SLICES * COLS;
}

// Which slice an index belongs to, of `size` each.
fn slice_of(idx: u32, size: u32) -> u32 {
    return select(idx / size, 0u, SLICES == 1u);
}

// Where what a thread reads lies in tiles of `size` rows, or columns: its first step, and its first row.
struct Place { k: u32, row: u32 }

fn place(idx: u32, size: u32) -> Place {
    let slice = slice_of(idx, size);
    return Place(16u * slice + 4u * (idx & 3u), (idx - size * slice) & ~3u);
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
    if (reads_x(idx)) {
        let at = place(idx, ROWS);
        next.x0 = x_at(m0 + at.row, k0 + at.k);
        next.x1 = x_at(m0 + at.row + 1u, k0 + at.k);
        next.x2 = x_at(m0 + at.row + 2u, k0 + at.k);
        next.x3 = x_at(m0 + at.row + 3u, k0 + at.k);
    }
    if (reads_w(idx)) {
        let at = place(idx, COLS);
        next.w0 = w_at(n0 + at.row, k0 + at.k);
        next.w1 = w_at(n0 + at.row + 1u, k0 + at.k);
        next.w2 = w_at(n0 + at.row + 2u, k0 + at.k);
        next.w3 = w_at(n0 + at.row + 3u, k0 + at.k);
    }
    return next;
}

fn put(next: Next, idx: u32) {
    if (reads_x(idx)) {
        let t = transpose(mat4x4<f32>(vec4<f32>(next.x0), vec4<f32>(next.x1), vec4<f32>(next.x2), vec4<f32>(next.x3)));
        let at = place(idx, ROWS);
        let row = at.row >> 2u;
        x_tile[at.k * X_PITCH + row] = t[0];
        x_tile[(at.k + 1u) * X_PITCH + row] = t[1];
        x_tile[(at.k + 2u) * X_PITCH + row] = t[2];
        x_tile[(at.k + 3u) * X_PITCH + row] = t[3];
    }
    if (reads_w(idx)) {
        let t = transpose(mat4x4<f32>(widened(next.w0), widened(next.w1), widened(next.w2), widened(next.w3)));
        let at = place(idx, COLS);
        let row = at.row >> 2u;
        w_tile[at.k * W_PITCH + row] = t[0];
        w_tile[(at.k + 1u) * W_PITCH + row] = t[1];
        w_tile[(at.k + 2u) * W_PITCH + row] = t[2];
        w_tile[(at.k + 3u) * W_PITCH + row] = t[3];
    }
}
