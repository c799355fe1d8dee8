// y = (max(x, loudest - 8) + 4) / 4, loudest the maximum of parts and limits.x; zero in frames from limits.y on.
// x, y: [n / n_mels, n_mels]. One workgroup per 1024 elements.
struct Params { n: u32, n_mels: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> parts: array<f32>; // [64]
@group(0) @binding(3) var<storage, read> limits: vec2<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    var most = limits.x;
    for (var i = 0u; i < 64u; i++) { most = max(most, parts[i]); }
    let end = min((wid.x + 1u) * 1024u, params.n);
    for (var i = wid.x * 1024u + lid; i < end; i += 64u) {
        y[i] = select(0.0, (max(x[i], most - 8.0) + 4.0) * 0.25, f32(i / params.n_mels) < limits.y);
    }
}
