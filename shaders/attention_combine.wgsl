// y = sum over p of exp(max_p - max) * sum_p / sum over p of exp(max_p - max) * total_p. A workgroup for each row and head: TURNS threads
// share a vector of y, and take turns with the parts.
// parts: [n_rows * n_heads, n_parts, N_VECS + 1], y: [n_rows * n_heads, N_VECS].
struct Params { n_parts: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<y_t>>;
var<workgroup> sums: array<vec4<f32>, TURNS * N_VECS>;
var<workgroup> totals: array<vec2<f32>, TURNS * N_VECS>; // greatest maximum of its parts, sum of weights

@compute @workgroup_size(TURNS * N_VECS)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) n_wg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let at = wid.x + wid.y * n_wg.x;
    let pitch = N_VECS + 1u;
    let first = at * params.n_parts * pitch;
    let lane = lid % N_VECS;
    var most = -3.0e38;
    var sum = vec4<f32>();
    var total = 0.0;
    for (var p = lid / N_VECS; p < params.n_parts; p += TURNS) {
        let stats = parts[first + p * pitch + N_VECS];
        let next = max(most, stats.x);
        let shrink = exp(most - next);
        let share = exp(stats.x - next);
        total = total * shrink + stats.y * share;
        sum = sum * shrink + parts[first + p * pitch + lane] * share;
        most = next;
    }
    sums[lid] = sum;
    totals[lid] = vec2<f32>(most, total);
    workgroupBarrier();
    if (lid >= N_VECS) { return; }
    for (var turn = 1u; turn < TURNS; turn++) { most = max(most, totals[turn * N_VECS + lid].x); }
    sum = vec4<f32>();
    total = 0.0;
    for (var turn = 0u; turn < TURNS; turn++) {
        let stats = totals[turn * N_VECS + lid];
        let share = exp(stats.x - most);
        total += stats.y * share;
        sum += sums[turn * N_VECS + lid] * share;
    }
    y[at * N_VECS + lid] = vec4<y_t>(sum / total);
}
