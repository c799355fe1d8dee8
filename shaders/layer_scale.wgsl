// y[i] = x[i] * scale[i % n_cols] + residual[i], n elements. One thread per element.
struct Params { n: u32, n_cols: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) n_wg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let i = (wid.x + wid.y * n_wg.x) * 256u + lid;
    if (i < params.n) { y[i] = x[i] * scale[i % params.n_cols] + residual[i]; }
}
