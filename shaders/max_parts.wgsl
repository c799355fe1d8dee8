// y[p] = max of part p of x, of 64 equal parts. One workgroup per part.
struct Params { n: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
const WG = 64u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, thread: Thread) {
    let lid = thread.idx;
    let size = (params.n + 63u) / 64u;
    let end = min((wid.x + 1u) * size, params.n);
    var most = -3.0e38;
    for (var i = wid.x * size + lid; i < end; i += 64u) { most = max(most, x[i]); }
    most = max_of_all(most, thread);
    if (lid == 0u) { y[wid.x] = most; }
}
