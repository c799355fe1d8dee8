// y[t, m] = log10(max(filters[m, :] . power(t, :), 1e-10)), power the spectrum of a windowed frame of 400 samples.
// One workgroup per two frames: they are the real and the imaginary part of one complex FFT. Its points are 20 columns, then 20 rows, of
// 20 points each, which one thread transforms in registers, so that they go through workgroup memory once.
struct Params { n_frames: u32, n_mels: u32 }
override WG: u32 = 64u;
const N = 400u;
const N_BINS = 201u;
const PITCH = 21u; // from row to row: columns as well as rows lie in different banks
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> audio: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>; // window, cosines, sines
@group(0) @binding(3) var<storage, read> filters: array<f32>;
@group(0) @binding(4) var<storage, read> bands: array<vec2<u32>>; // first bin and end of each filter
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
var<workgroup> rows: array<vec2<f32>, 20u * PITCH>;
var<workgroup> spectrum: array<vec2<f32>, N>;

fn times(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

// a times -i
fn turned(a: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(a.y, -a.x);
}

// exp(-2 pi i n / 400)
fn root(n: u32) -> vec2<f32> {
    return vec2<f32>(table[N + n], -table[2u * N + n]);
}

// Sample i of both frames, windowed.
fn samples(first: u32, second: u32, i: u32) -> vec2<f32> {
    return table[i] * vec2<f32>(audio[first + i], audio[second + i]);
}

fn dft4(a: vec2<f32>, b: vec2<f32>, c: vec2<f32>, d: vec2<f32>) -> array<vec2<f32>, 4> {
    let e = turned(b - d);
    return array<vec2<f32>, 4>(a + c + (b + d), a - c + e, a + c - (b + d), a - c - e);
}

fn dft5(a: vec2<f32>, b: vec2<f32>, c: vec2<f32>, d: vec2<f32>, e: vec2<f32>) -> array<vec2<f32>, 5> {
    // Cosines and sines of one and two fifths of a turn.
    let even1 = a + 0.30901699437 * (b + e) - 0.80901699437 * (c + d);
    let even2 = a - 0.80901699437 * (b + e) + 0.30901699437 * (c + d);
    let odd1 = turned(0.95105651630 * (b - e) + 0.58778525229 * (c - d));
    let odd2 = turned(0.58778525229 * (b - e) - 0.95105651630 * (c - d));
    return array<vec2<f32>, 5>(a + (b + e) + (c + d), even1 + odd1, even2 + odd2, even2 - odd2, even1 - odd1);
}

// 4 and 5 have no common factor, so that with these orders no roots stand between their transforms (Good and Thomas).
fn dft20(v: array<vec2<f32>, 20>) -> array<vec2<f32>, 20> {
    var x = v;
    var fours: array<vec2<f32>, 20>;
    for (var j = 0u; j < 5u; j++) { // unrolled
        let p = dft4(x[4u * j], x[(4u * j + 5u) % 20u], x[(4u * j + 10u) % 20u], x[(4u * j + 15u) % 20u]);
        fours[j] = p[0];
        fours[5u + j] = p[1];
        fours[10u + j] = p[2];
        fours[15u + j] = p[3];
    }
    for (var k = 0u; k < 4u; k++) { // unrolled
        let p = dft5(fours[5u * k], fours[5u * k + 1u], fours[5u * k + 2u], fours[5u * k + 3u], fours[5u * k + 4u]);
        x[5u * k] = p[0];
        x[(5u * k + 16u) % 20u] = p[1];
        x[(5u * k + 12u) % 20u] = p[2];
        x[(5u * k + 8u) % 20u] = p[3];
        x[(5u * k + 4u) % 20u] = p[4];
    }
    return x;
}

// A real frame's spectrum is even, so the sum and the difference with the mirrored point part the two frames.
fn power(bin: u32) -> vec2<f32> {
    let a = spectrum[bin];
    let b = spectrum[(N - bin) % N];
    let even = vec2<f32>(a.x + b.x, a.y - b.y);
    let odd = vec2<f32>(a.y + b.y, b.x - a.x);
    return 0.25 * vec2<f32>(dot(even, even), dot(odd, odd));
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let t = 2u * wid.x;
    let first = 160u * t;
    let second = 160u * min(t + 1u, params.n_frames - 1u);
    for (var j = lid; j < 20u; j += WG) {
        var v: array<vec2<f32>, 20>;
        for (var i = 0u; i < 20u; i++) { // unrolled
            v[i] = samples(first, second, 20u * i + j);
        }
        v = dft20(v);
        for (var k = 0u; k < 20u; k++) { // unrolled
            rows[PITCH * k + j] = times(v[k], root(k * j));
        }
    }
    workgroupBarrier();
    for (var k = lid; k < 20u; k += WG) {
        var v: array<vec2<f32>, 20>;
        for (var j = 0u; j < 20u; j++) { // unrolled
            v[j] = rows[PITCH * k + j];
        }
        v = dft20(v);
        for (var i = 0u; i < 20u; i++) { // unrolled
            spectrum[20u * i + k] = v[i];
        }
    }
    workgroupBarrier();
    for (var m = lid; m < params.n_mels; m += WG) {
        let band = bands[m];
        var sum = vec2<f32>();
        for (var bin = band.x; bin < band.y; bin++) { sum += filters[m * N_BINS + bin] * power(bin); }
        let logs = log2(max(sum, vec2<f32>(1e-10))) * 0.30102999566398120;
        if (t < params.n_frames) { y[t * params.n_mels + m] = logs.x; }
        if (t + 1u < params.n_frames) { y[(t + 1u) * params.n_mels + m] = logs.y; }
    }
}
