// y[r, :] = softmax(q . k * scale + bias) . v for one head and one new row over the cache and the new rows before it; the row's own
// key and value go into the cache. qkv: [n_rows, 3 * d], cache: [2 * N_SCORES, d], bias: [n_heads, bias_cols], distance 0 in the middle
// column, slots: [N_SCORES, n_rows], where the keys of each row lie. Each sequence has n_rows rows and a cache. Workgroup: head wid.x, row
// wid.y of all sequences.
struct Params { n_heads: u32, scale: f32, bias_cols: u32, n_rows: u32 }
override WG: u32 = 64u;
override HAS_BIAS: bool = false;
override HAS_SLOTS: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4<x_t>>;
@group(0) @binding(2) var<storage, read_write> cache: array<vec4<x_t>>;
@group(0) @binding(3) var<storage, read> states: array<DecodeState>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> slots: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4<x_t>>;
var<workgroup> sums: array<vec4<f32>, WG>;

// The row of the cache that holds position j.
fn slot(j: u32, row: u32) -> u32 {
    if (HAS_SLOTS) { return min(slots[j * params.n_rows + row], N_SCORES - 1u); }
    return j;
}

// The new row that stands `after` the position.
fn new_row(after: u32, row: u32) -> u32 {
    return select(after, row, HAS_SLOTS);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, thread: Thread) {
    let lid = thread.idx;
    let d = params.n_heads * HEAD_VECS;
    let head = wid.x * HEAD_VECS;
    let row = wid.y * 3u * d + head;
    let seq = wid.y / params.n_rows;
    let at = wid.y % params.n_rows; // Among the rows of the sequence.
    let first = seq * params.n_rows;
    let keys = seq * 2u * N_SCORES; // Rows of the cache: those of the sequence's keys, then of its values.
    let values = keys + N_SCORES;
    // Beams stand at one position, and the row itself is the only one of them that it sees.
    let position = min(states[seq].position, N_SCORES - 1u);
    let mine = select(min(position + at, N_SCORES - 1u), position, HAS_SLOTS);
    let n_keys = mine + 1u;
    let bias_at = wid.x * params.bias_cols + params.bias_cols / 2u - mine;
    for (var j = lid; j < n_keys; j += WG) {
        var score = 0.0;
        if (j < position) {
            let key = (keys + slot(j, at)) * d + head;
            for (var i = 0u; i < HEAD_VECS; i++) { score += dot(vec4<f32>(qkv[row + i]), vec4<f32>(cache[key + i])); }
        } else {
            let key = (first + new_row(j - position, at)) * 3u * d + d + head;
            for (var i = 0u; i < HEAD_VECS; i++) { score += dot(vec4<f32>(qkv[row + i]), vec4<f32>(qkv[key + i])); }
        }
        score *= params.scale;
        if (HAS_BIAS) { score += bias[bias_at + j]; }
        scores[j] = score;
    }
    let norm = softmax(n_keys, thread);
    // WG / HEAD_VECS groups of threads take turns with the keys; each thread sums one vector of the head.
    let n_groups = WG / HEAD_VECS;
    let group = lid / HEAD_VECS;
    let i = lid % HEAD_VECS;
    var sum = vec4<f32>();
    if (group < n_groups) {
        for (var j = group; j < n_keys; j += n_groups) {
            var v: vec4<x_t>;
            if (j < position) {
                v = cache[(values + slot(j, at)) * d + head + i];
            } else {
                v = qkv[(first + new_row(j - position, at)) * 3u * d + 2u * d + head + i];
            }
            sum += scores[j] * vec4<f32>(v);
        }
    }
    sums[lid] = sum;
    workgroupBarrier();
    if (lid < HEAD_VECS) {
        for (var g = 1u; g < n_groups; g++) { sum += sums[g * HEAD_VECS + lid]; }
        y[wid.y * d + head + lid] = vec4<x_t>(sum / norm.total);
        let to = slot(mine, at);
        cache[(keys + to) * d + head + lid] = qkv[row + d + lid];
        cache[(values + to) * d + head + lid] = qkv[row + 2u * d + lid];
    }
}
