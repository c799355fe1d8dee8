// to[i] = x[i] for the n elements of x, which are the first rows of a region of to. A thread per element.
struct Params { n: u32, n_regions: u32, size: u32 }
override HAS_REGION: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<x_t>;
@group(0) @binding(2) var<storage, read_write> to: array<x_t>;
@group(0) @binding(3) var<storage, read> region: array<u32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) n_wg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let at = (wid.x + wid.y * n_wg.x) * 64u + lid;
    var first = 0u;
    if (HAS_REGION) { first = min(region[0], params.n_regions - 1u) * params.size; }
    if (at < params.n) { to[first + at] = x[at]; }
}
