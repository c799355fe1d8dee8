// y[q, :] = softmax(q . k * scale + bias) . v for one head, in tiles (after FlashAttention, arXiv 2205.14135).
// Workgroup: 32 queries wid.x, head wid.y, sequence wid.z. Four threads share a query: each scores a quarter of a tile's keys
// and sums a quarter of the head's columns.
const QUERIES = 32u;
const KEYS = 16u;
const PITCH = HEAD_VECS + 1u;          // padded, so that neighbouring rows start in other banks
const PART = (HEAD_VECS + 3u) / 4u;    // vectors of a head that one thread sums
var<workgroup> q_tile: array<vec4<x_t>, QUERIES * PITCH>;
var<workgroup> kv_tile: array<vec4<x_t>, KEYS * PITCH>;
var<workgroup> scores: array<f32, QUERIES * (KEYS + 1u)>;

// Copies HEAD_VECS vectors of each of `n` rows, zeros past the sequence's end.
fn load_kv(row: u32, n_keys: u32, offset: u32, first: u32, pitch: u32, idx: u32) {
    for (var i = idx; i < KEYS * HEAD_VECS; i += 128u) {
        let key = i / HEAD_VECS;
        var four = vec4<x_t>();
        if (row + key < n_keys) { four = qkv[(first + row + key) * pitch + offset + i % HEAD_VECS]; }
        kv_tile[key * PITCH + i % HEAD_VECS] = four;
    }
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) idx: u32) {
    let d = params.n_heads * HEAD_VECS;
    let pitch = 3u * d;
    let head = wid.y * HEAD_VECS;
    let first = wid.z * params.seq_len;
    let query0 = wid.x * QUERIES;
    var n_keys = params.seq_len;
    if (HAS_LENGTHS) { n_keys = lengths[wid.z]; }
    for (var i = idx; i < QUERIES * HEAD_VECS; i += 128u) {
        let query = min(query0 + i / HEAD_VECS, params.seq_len - 1u);
        q_tile[(i / HEAD_VECS) * PITCH + i % HEAD_VECS] = qkv[(first + query) * pitch + head + i % HEAD_VECS];
    }
    let mine = idx / 4u;   // query of this thread
    let part = idx % 4u;
    var sum: array<vec4<f32>, PART>;
    var most = -3.0e38;
    var total = 0.0;
    // Of the keys that are real this query sees those up to itself, or all.
    var n_seen = n_keys;
    if (CAUSAL) { n_seen = min(n_keys, query0 + mine + 1u); }
    let bias_at = wid.y * params.bias_cols + params.bias_cols / 2u - min(query0 + mine, params.seq_len - 1u);
    var n_tiles = (params.seq_len + KEYS - 1u) / KEYS;
    if (CAUSAL) { n_tiles = min(n_tiles, (query0 + QUERIES) / KEYS); }
    for (var tile = 0u; tile < n_tiles; tile++) {
        let row = tile * KEYS;
        workgroupBarrier();
        load_kv(row, n_keys, d + head, first, pitch, idx);
        workgroupBarrier();
        var s = vec4<f32>();
        for (var i = 0u; i < HEAD_VECS; i++) {
            let q = vec4<f32>(q_tile[mine * PITCH + i]);
            s.x += dot(q, vec4<f32>(kv_tile[part * PITCH + i]));
            s.y += dot(q, vec4<f32>(kv_tile[(part + 4u) * PITCH + i]));
            s.z += dot(q, vec4<f32>(kv_tile[(part + 8u) * PITCH + i]));
            s.w += dot(q, vec4<f32>(kv_tile[(part + 12u) * PITCH + i]));
        }
        s *= params.scale;
        for (var j = 0u; j < 4u; j++) {
            let key = part + 4u * j;
            var score = s[j];
            if (HAS_BIAS) { score += bias[bias_at + min(row + key, params.seq_len - 1u)]; }
            scores[mine * (KEYS + 1u) + key] = select(-3.0e38, score, row + key < n_seen);
        }
        workgroupBarrier();
        load_kv(row, n_keys, 2u * d + head, first, pitch, idx);
        var tile_most = most;
        for (var key = 0u; key < KEYS; key++) { tile_most = max(tile_most, scores[mine * (KEYS + 1u) + key]); }
        let shrink = exp(most - tile_most);
        most = tile_most;
        total *= shrink;
        for (var i = 0u; i < PART; i++) { sum[i] *= shrink; }
        workgroupBarrier();
        for (var key = 0u; key < KEYS; key++) {
            var weight = exp(scores[mine * (KEYS + 1u) + key] - most);
            if (row + key >= n_seen) { weight = 0.0; }
            total += weight;
            for (var i = 0u; i < PART; i++) {
                let col = min(part + 4u * i, HEAD_VECS - 1u);
                sum[i] += weight * vec4<f32>(kv_tile[key * PITCH + col]);
            }
        }
    }
    if (query0 + mine < params.seq_len) {
        for (var i = 0u; i < PART; i++) {
            let col = part + 4u * i;
            if (col < HEAD_VECS) { y[(first + query0 + mine) * d + head + col] = vec4<y_t>(sum[i] / total); }
        }
    }
}
