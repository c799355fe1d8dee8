// y = sum over p of exp(max_p - max) * sum_p / sum over p of exp(max_p - max) * total_p. A thread per vector of y.
// parts: [n_rows * n_heads, n_parts, n_vecs + 1], y: [n_rows * n_heads, n_vecs].
struct Params { n_parts: u32, n_vecs: u32, n_out: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<y_t>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
    if (gid.x >= params.n_out) { return; }
    let n_vecs = params.n_vecs;
    let pitch = n_vecs + 1u;
    let first = gid.x / n_vecs * params.n_parts * pitch;
    let lane = gid.x % n_vecs;
    var most = -3.0e38;
    for (var p = 0u; p < params.n_parts; p++) { most = max(most, parts[first + p * pitch + n_vecs].x); }
    var sum = vec4<f32>();
    var total = 0.0;
    for (var p = 0u; p < params.n_parts; p++) {
        let stats = parts[first + p * pitch + n_vecs];
        let share = exp(stats.x - most);
        total += stats.y * share;
        sum += parts[first + p * pitch + lane] * share;
    }
    y[gid.x] = vec4<y_t>(sum / total);
}
