// y = sum over p of exp(max_p - max) * sum_p / sum over p of exp(max_p - max) * total_p. A workgroup has HEADS of the
// n_heads heads of all rows: TURNS threads share a vector of y, and take turns with the parts.
// parts: [n_heads, n_parts, N_VECS + 1], y: [n_heads, N_VECS].
struct Params { n_parts: u32, n_heads: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<y_t>>;
const THREADS = TURNS * N_VECS; // of a head
var<workgroup> sums: array<vec4<f32>, HEADS * THREADS>;
var<workgroup> totals: array<vec2<f32>, HEADS * THREADS>; // greatest maximum of its parts, sum of weights

@compute @workgroup_size(HEADS * THREADS)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) n_wg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let at = (wid.x + wid.y * n_wg.x) * HEADS + lid / THREADS;
    let pitch = N_VECS + 1u;
    let first = min(at, params.n_heads - 1u) * params.n_parts * pitch;
    let mine = lid % THREADS / N_VECS; // turn of this thread
    let lane = lid % N_VECS;
    var most = -3.0e38;
    var sum = vec4<f32>();
    var total = 0.0;
    for (var p = mine; p < params.n_parts; p += TURNS) {
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
    if (mine > 0u || at >= params.n_heads) { return; }
    for (var turn = 1u; turn < TURNS; turn++) { most = max(most, totals[lid + turn * N_VECS].x); }
    sum = vec4<f32>();
    total = 0.0;
    for (var turn = 0u; turn < TURNS; turn++) {
        let stats = totals[lid + turn * N_VECS];
        let share = exp(stats.x - most);
        total += stats.y * share;
        sum += sums[lid + turn * N_VECS] * share;
    }
    y[at * N_VECS + lane] = vec4<y_t>(sum / total);
}
