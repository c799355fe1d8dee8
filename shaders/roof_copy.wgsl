// y = x: how fast memory moves. x, y: [n] vectors of 16 bytes. A workgroup copies 4 * WG of them.
struct Params { n: u32 }
const WG = 256u; // threads of a workgroup
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<u32>>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) n_wg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let first = (wid.x + wid.y * n_wg.x) * 4u * WG + lid;
    for (var i = 0u; i < 4u; i++) {
        let at = first + i * WG;
        if (at < params.n) { y[at] = x[at]; }
    }
}
