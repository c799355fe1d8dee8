// y[b, :] = [x[b, 0, :], mean over t >= n_own of x[b, t, :]]. One thread per column.
struct Params { n_cols: u32, n_tokens: u32, n_own: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let n_cols = params.n_cols;
    let c = wid.x * 64u + lid;
    if (c >= n_cols) { return; }
    let first = wid.y * params.n_tokens * n_cols + c;
    var sum = 0.0;
    for (var t = params.n_own; t < params.n_tokens; t++) { sum += x[first + t * n_cols]; }
    let to = 2u * wid.y * n_cols + c;
    y[to] = x[first];
    y[to + n_cols] = sum / f32(params.n_tokens - params.n_own);
}
