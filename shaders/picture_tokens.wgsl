// y[b, t, :] = row(t) + place(t): the model's own tokens, then the patches; n_unplaced tokens behind the first have no place. One
// workgroup per token.
struct Params { n_cols: u32, n_own: u32, n_tokens: u32, n_unplaced: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> tokens: array<f32>;
@group(0) @binding(3) var<storage, read> positions: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let n_cols = params.n_cols;
    let t = wid.x;
    let is_own = t < params.n_own;
    let is_placed = t == 0u || t > params.n_unplaced;
    let patch_row = wid.y * (params.n_tokens - params.n_own) + t - params.n_own;
    let from_row = select(patch_row, t, is_own) * n_cols;
    let place = select(t - params.n_unplaced, 0u, t == 0u) * n_cols;
    let to = (wid.y * params.n_tokens + t) * n_cols;
    for (var c = lid; c < n_cols; c += 64u) {
        var v = 0.0;
        if (is_own) { v = tokens[from_row + c]; } else { v = x[from_row + c]; }
        if (is_placed) { v += positions[place + c]; }
        y[to + c] = v;
    }
}
