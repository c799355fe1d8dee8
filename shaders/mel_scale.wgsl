// y = (max(x, most - 8) + 4) / 4, most the maximum of parts. One workgroup per 1024 elements.
struct Params { n: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> parts: array<f32>; // [64]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    var most = parts[0];
    for (var i = 1u; i < 64u; i++) { most = max(most, parts[i]); }
    let end = min((wid.x + 1u) * 1024u, params.n);
    for (var i = wid.x * 1024u + lid; i < end; i += 64u) {
        y[i] = (max(x[i], most - 8.0) + 4.0) * 0.25;
    }
}
