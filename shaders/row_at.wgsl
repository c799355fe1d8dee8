// y = x[r, :], r from the decoder's state. x: [n_rows, n_cols].
struct Params { n_rows: u32, n_cols: u32, sot: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> state: DecodeState;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
    if (gid.x >= params.n_cols) { return; }
    let row = min(select(state.n_rows - 1u, state.sot_row, params.sot == 1u), params.n_rows - 1u);
    y[gid.x] = x[row * params.n_cols + gid.x];
}
