// y[q, :] = softmax(q . k * scale + bias) . v for one head: keys one by one, running maximum and sum. Each thread has two queries, so
// that a key and a value are read once for both; four are no faster and take a compiler for software ten seconds.
// Workgroup: 64 queries wid.x, head wid.y, sequence wid.z.

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(workgroup_id) wid: vec3<u32>) {
    let d = params.n_heads * HEAD_VECS;
    let head = wid.y * HEAD_VECS;
    let first = wid.z * params.seq_len;
    let query = 2u * gid.x;
    if (query >= params.seq_len) { return; }
    // A query over the last one is the last one once more.
    let queries = vec2<u32>(query, min(query + 1u, params.seq_len - 1u));
    var n_keys = vec2<u32>(params.seq_len);
    if (HAS_LENGTHS) { n_keys = vec2<u32>(lengths[wid.z]); }
    if (CAUSAL) { n_keys = min(n_keys, queries + 1u); }
    let bias_at = vec2<u32>(wid.y * params.bias_cols + params.bias_cols / 2u) - queries;
    let q_at = (first + queries) * 3u * d + head;
    var q0: array<vec4<f32>, HEAD_VECS>;
    var q1: array<vec4<f32>, HEAD_VECS>;
    var sum0: array<vec4<f32>, HEAD_VECS>;
    var sum1: array<vec4<f32>, HEAD_VECS>;
    for (var i = 0u; i < HEAD_VECS; i++) {
        q0[i] = vec4<f32>(qkv[q_at.x + i]) * params.scale;
        q1[i] = vec4<f32>(qkv[q_at.y + i]) * params.scale;
    }
    var most = vec2<f32>(-3.0e38);
    var total = vec2<f32>();
    for (var key = 0u; key < n_keys.y; key++) {
        let k_at = (first + key) * 3u * d + d + head;
        let v_at = k_at + d;
        var score = vec2<f32>();
        for (var i = 0u; i < HEAD_VECS; i++) {
            let k = vec4<f32>(qkv[k_at + i]);
            score += vec2<f32>(dot(q0[i], k), dot(q1[i], k));
        }
        if (HAS_BIAS) { score += vec2<f32>(bias[bias_at.x + key], bias[bias_at.y + key]); }
        let sees = vec2<u32>(key) < n_keys;
        score = select(vec2<f32>(-3.0e38), score, sees);
        if (any(score > most)) {
            let shrink = exp(most - max(most, score));
            most = max(most, score);
            total *= shrink;
            for (var i = 0u; i < HEAD_VECS; i++) {
                sum0[i] *= shrink.x;
                sum1[i] *= shrink.y;
            }
        }
        let weight = select(vec2<f32>(), exp(score - most), sees);
        total += weight;
        for (var i = 0u; i < HEAD_VECS; i++) {
            let v = vec4<f32>(qkv[v_at + i]);
            sum0[i] += weight.x * v;
            sum1[i] += weight.y * v;
        }
    }
    let y_at = (first + queries) * d + head;
    for (var i = 0u; i < HEAD_VECS; i++) {
        y[y_at.x + i] = vec4<y_t>(sum0[i] / total.x);
        y[y_at.y + i] = vec4<y_t>(sum1[i] / total.y);
    }
}
