// One part of the keys for one head and one row: the unnormalised sum of values, then (maximum, sum of weights, 0, 0).
// q: [rows, d], kv: [n_regions, n_keys, 2 * d], lengths: [n_regions], how many keys are real, region: [1], that of all rows; without it
// each has n_rows rows. y: [rows, n_heads, n_parts, HEAD_VECS + 1]. Workgroup: part wid.x, head wid.y, row wid.z.
struct Params { n_heads: u32, n_keys: u32, n_regions: u32, n_rows: u32, scale: f32 }
override WG: u32 = 64u;
override HAS_LENGTHS: bool = false;
override HAS_REGION: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<x_t>>;
@group(0) @binding(2) var<storage, read> kv: array<vec4<kv_t>>;
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read> region: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;
var<workgroup> sums: array<vec4<f32>, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) n_wg: vec3<u32>, thread: Thread) {
    let lid = thread.idx;
    let d = params.n_heads * HEAD_VECS;
    let head = wid.y * HEAD_VECS;
    let row = wid.z * d + head;
    var place = wid.z / params.n_rows;
    if (HAS_REGION) { place = region[0]; }
    place = min(place, params.n_regions - 1u);
    var n_real = params.n_keys;
    if (HAS_LENGTHS) { n_real = min(lengths[place], n_real); }
    let above = place * params.n_keys; // Rows of kv before the region's.
    let size = (n_real + N_PARTS - 1u) / N_PARTS;
    let first = min(wid.x * size, n_real);
    let n_keys = min(first + size, n_real) - first;
    for (var j = lid; j < n_keys; j += WG) {
        let key = (above + first + j) * 2u * d + head;
        var score = 0.0;
        for (var i = 0u; i < HEAD_VECS; i++) { score += dot(vec4<f32>(q[row + i]), vec4<f32>(kv[key + i])); }
        scores[j] = score * params.scale;
    }
    let norm = softmax(n_keys, thread);
    let n_groups = WG / HEAD_VECS;
    let group = lid / HEAD_VECS;
    var sum = vec4<f32>();
    if (group < n_groups) {
        for (var j = group; j < n_keys; j += n_groups) {
            sum += scores[j] * vec4<f32>(kv[(above + first + j) * 2u * d + d + head + lid % HEAD_VECS]);
        }
    }
    sums[lid] = sum;
    workgroupBarrier();
    let out = ((wid.z * params.n_heads + wid.y) * n_wg.x + wid.x) * (HEAD_VECS + 1u);
    if (lid < HEAD_VECS) {
        for (var g = 1u; g < n_groups; g++) { sum += sums[g * HEAD_VECS + lid]; }
        y[out + lid] = sum;
    }
    if (lid == HEAD_VECS) { y[out + HEAD_VECS] = vec4<f32>(norm.most, norm.total, 0.0, 0.0); }
}
