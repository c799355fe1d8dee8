// y[t, m] = log10(max(filters[m, :] . power(t, :), 1e-10)), power the spectrum of a windowed frame of 400 samples.
// One workgroup per two frames: they are the real and the imaginary part of one complex Stockham FFT of radices 4, 4, 5, 5.
struct Params { n_frames: u32, n_mels: u32 }
override WG: u32 = 128u;
const N = 400u;
const N_BINS = 201u;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> audio: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>; // window, cosines, sines
@group(0) @binding(3) var<storage, read> filters: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
var<workgroup> points: array<vec2<f32>, 800>; // two halves, written in turn
var<workgroup> power: array<vec2<f32>, N_BINS>;

fn times(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

// exp(-2 pi i n / 400)
fn root(n: u32) -> vec2<f32> {
    let i = n % N;
    return vec2<f32>(table[N + i], -table[2u * N + i]);
}

// Sample i of frame t, windowed.
fn sample(t: u32, i: u32) -> f32 {
    return audio[t * 160u + i] * table[i];
}

// One stage: butterflies of `radix` over spans of `span` finished points, from half `src` to the other.
fn stage(radix: u32, span: u32, src: u32, lid: u32) {
    let n_butterflies = N / radix;
    for (var j = lid; j < n_butterflies; j += WG) {
        let k = j % span;
        var v: array<vec2<f32>, 5>;
        for (var i = 0u; i < radix; i++) {
            v[i] = times(points[src + j + i * n_butterflies], root(k * i * (N / (span * radix))));
        }
        let out = (400u - src) + (j / span) * span * radix + k;
        for (var o = 0u; o < radix; o++) {
            var sum = v[0];
            for (var i = 1u; i < radix; i++) { sum += times(v[i], root(o * i * n_butterflies)); }
            points[out + o * span] = sum;
        }
    }
    workgroupBarrier();
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let t = 2u * wid.x;
    for (var i = lid; i < N; i += WG) {
        points[i] = vec2<f32>(sample(t, i), sample(min(t + 1u, params.n_frames - 1u), i));
    }
    workgroupBarrier();
    stage(4u, 1u, 0u, lid);
    stage(4u, 4u, 400u, lid);
    stage(5u, 16u, 0u, lid);
    stage(5u, 80u, 400u, lid);
    // A real frame's spectrum is even, so the sum and the difference with the mirrored point part the two frames.
    for (var bin = lid; bin < N_BINS; bin += WG) {
        let a = points[bin];
        let b = points[(N - bin) % N];
        let even = vec2<f32>(a.x + b.x, a.y - b.y);
        let odd = vec2<f32>(a.y + b.y, b.x - a.x);
        power[bin] = 0.25 * vec2<f32>(dot(even, even), dot(odd, odd));
    }
    workgroupBarrier();
    for (var m = lid; m < params.n_mels; m += WG) {
        var sum = vec2<f32>();
        for (var bin = 0u; bin < N_BINS; bin++) { sum += filters[m * N_BINS + bin] * power[bin]; }
        let logs = log2(max(sum, vec2<f32>(1e-10))) * 0.30102999566398120;
        if (t < params.n_frames) { y[t * params.n_mels + m] = logs.x; }
        if (t + 1u < params.n_frames) { y[(t + 1u) * params.n_mels + m] = logs.y; }
    }
}
