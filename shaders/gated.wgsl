// y[r, c] = act(x[r, c]) * x[r, n_cols + c]. x: [n_rows, 2 * n_cols], y: [n_rows, n_cols], n_out elements. A thread per element.
struct Params { n_cols: u32, n_out: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<x_t>;
@group(0) @binding(2) var<storage, read_write> y: array<x_t>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) n_wg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let at = (wid.x + wid.y * n_wg.x) * 64u + lid;
    if (at >= params.n_out) { return; }
    let gate = at / params.n_cols * params.n_cols + at;
    y[at] = x_t(activate(f32(x[gate])) * f32(x[gate + params.n_cols]));
}
