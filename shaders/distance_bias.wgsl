// y[h, c] = table[buckets[c], h]. table: [n_buckets, n_heads], y: [n_heads, n_cols]. A thread per element.
struct Params { n_heads: u32, n_cols: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> buckets: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) n_wg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let at = (wid.x + wid.y * n_wg.x) * 64u + lid;
    if (at >= params.n_heads * params.n_cols) { return; }
    y[at] = table[buckets[at % params.n_cols] * params.n_heads + at / params.n_cols];
}
