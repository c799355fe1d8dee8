// y[s, :] = x[s, r, :], r from the state of sequence s. x: [S, n_rows, n_cols].
struct Params { n_rows: u32, n_cols: u32, sot: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> states: array<DecodeState>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
    if (gid.x >= params.n_cols) { return; }
    let seq = gid.y;
    let row = min(select(states[seq].n_rows - 1u, states[seq].sot_row, params.sot == 1u), params.n_rows - 1u);
    y[seq * params.n_cols + gid.x] = x[(seq * params.n_rows + row) * params.n_cols + gid.x];
}
