// y[m, n] = act(x[m, :] . w[n, :] + bias[n]) + residual[m, n], for many rows and few columns, on a GPU.
// As matmul_wide, but K is divided among SLICES of a workgroup's threads, whose sums are added up at the end: a core has SLICES times as many threads for as
// many outputs. It has tiles of its own, since matmul_wide is slower with any arithmetic more around its reads.
const EACH = 8u;
const THREADS = WGX * WGY; // of a slice
const ROWS = EACH * WGY;
const COLS = EACH * WGX;
const X_PITCH = ROWS / 4u + 1u;
const W_PITCH = COLS / 4u + 1u;
const STEPS = 16u * SLICES;
// Where few threads would idle, all of them read columns: no branch around the reads.
const ALL_READ = 8u * COLS >= 7u * THREADS;
var<workgroup> x_tile: array<vec4<f32>, STEPS * X_PITCH>; // [STEPS along K][X_PITCH], vectors along M
var<workgroup> w_tile: array<vec4<f32>, STEPS * W_PITCH>; // [STEPS along K][W_PITCH], vectors along N

// What a thread reads of the next tiles: 4 x 4 of x and 4 x 4 of w.
struct Next { x0: vec4<x_t>, x1: vec4<x_t>, x2: vec4<x_t>, x3: vec4<x_t>, w0: Quad, w1: Quad, w2: Quad, w3: Quad }

// Where that lies: the elements that its rows of x begin at, its rows of w and its first step of them, and where both go in the tiles.
struct Reads { x: vec4<i32>, w: vec4<u32>, w_k: u32, x_to: u32, w_to: u32 }

// The first step, and the first row, of a thread in tiles of `size` rows, or columns.
struct Place { k: u32, row: u32 }

fn place(idx: u32, size: u32) -> Place {
    let slice = idx / size;
    return Place(16u * slice + 4u * (idx & 3u), (idx - size * slice) & ~3u);
}

// Rows past the end are computed along, and not stored.
fn reads_of(m0: u32, n0: u32, idx: u32) -> Reads {
    let four = vec4<u32>(0u, 1u, 2u, 3u);
    let x_place = place(idx, ROWS);
    let w_place = place(select(0u, idx, idx < SLICES * COLS), COLS);
    let rows = min(m0 + x_place.row + four, vec4<u32>(params.n_rows - 1u));
    return Reads(
        params.first + i32(x_place.k) + params.stride * vec4<i32>(rows),
        min(n0 + w_place.row + four, vec4<u32>(params.n_out - 1u)),
        w_place.k,
        x_place.k * X_PITCH + (x_place.row >> 2u),
        w_place.k * W_PITCH + (w_place.row >> 2u),
    );
}

fn has_x(idx: u32) -> bool {
    return ROWS == THREADS || idx < SLICES * ROWS;
}

fn has_w(idx: u32) -> bool {
    return COLS == THREADS || idx < SLICES * COLS;
}

fn read_next(reads: Reads, k0: u32, idx: u32) -> Next {
    var next: Next;
    if (has_x(idx)) {
        next.x0 = x_quad(reads.x.x + i32(k0));
        next.x1 = x_quad(reads.x.y + i32(k0));
        next.x2 = x_quad(reads.x.z + i32(k0));
        next.x3 = x_quad(reads.x.w + i32(k0));
    }
    if (ALL_READ || has_w(idx)) {
        let k4 = (k0 + reads.w_k) >> 2u;
        next.w0 = quad(reads.w.x, k4);
        next.w1 = quad(reads.w.y, k4);
        next.w2 = quad(reads.w.z, k4);
        next.w3 = quad(reads.w.w, k4);
    }
    return next;
}

fn put(next: Next, reads: Reads, idx: u32) {
    if (has_x(idx)) {
        let t = transpose(mat4x4<f32>(vec4<f32>(next.x0), vec4<f32>(next.x1), vec4<f32>(next.x2), vec4<f32>(next.x3)));
        x_tile[reads.x_to] = t[0];
        x_tile[reads.x_to + X_PITCH] = t[1];
        x_tile[reads.x_to + 2u * X_PITCH] = t[2];
        x_tile[reads.x_to + 3u * X_PITCH] = t[3];
    }
    if (has_w(idx)) {
        let t = transpose(mat4x4<f32>(widened(next.w0), widened(next.w1), widened(next.w2), widened(next.w3)));
        w_tile[reads.w_to] = t[0];
        w_tile[reads.w_to + W_PITCH] = t[1];
        w_tile[reads.w_to + 2u * W_PITCH] = t[2];
        w_tile[reads.w_to + 3u * W_PITCH] = t[3];
    }
}

// Rows m and m + 1 of a thread at its columns: n of `a`, WGX vectors further of `b`. Four vectors of each thread fit into x's tile: [slice][vector][thread].
fn store_rows(m: u32, n: u32, idx: u32, a0: vec4<f32>, b0: vec4<f32>, a1: vec4<f32>, b1: vec4<f32>) {
    let slice = idx / THREADS;
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

@compute @workgroup_size(WGX, WGY, SLICES)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_id) lid: vec3<u32>,
    @builtin(local_invocation_index) idx: u32,
) {
    let m0 = ROWS * wid.y;
    let n0 = COLS * wid.x;
    let x_from = 16u * X_PITCH * lid.z + lid.y;
    let w_from = 16u * W_PITCH * lid.z + lid.x;
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
    let reads = reads_of(m0, n0, idx);
    var next = read_next(reads, 0u, idx);
    for (var k0 = 0u; k0 < params.n_cols; k0 += STEPS) {
        put(next, reads, idx);
        workgroupBarrier();
        next = read_next(reads, min(k0 + STEPS, params.n_cols - STEPS), idx); // the last tile twice: a branch costs more
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
