// y[q, :] = softmax(q . k * scale + bias) . v for one head: a thread per query, keys one by one, running maximum and sum.
// Workgroup: 64 queries wid.x, head wid.y, sequence wid.z.

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(workgroup_id) wid: vec3<u32>) {
    let d = params.n_heads * HEAD_VECS;
    let first = wid.z * params.seq_len;
    let query = gid.x;
    if (query >= params.seq_len) { return; }
    var n_keys = params.seq_len;
    if (HAS_LENGTHS) { n_keys = lengths[wid.z]; }
    if (CAUSAL) { n_keys = min(n_keys, query + 1u); }
    let bias_at = wid.y * params.bias_cols + params.bias_cols / 2u - query;
    var q: array<vec4<f32>, HEAD_VECS>;
    var sum: array<vec4<f32>, HEAD_VECS>;
    let q_at = (first + query) * 3u * d + wid.y * HEAD_VECS;
    for (var i = 0u; i < HEAD_VECS; i++) {
        q[i] = vec4<f32>(qkv[q_at + i]) * params.scale;
    }
    var most = -3.0e38;
    var total = 0.0;
    for (var key = 0u; key < n_keys; key++) {
        let k_at = (first + key) * 3u * d + d + wid.y * HEAD_VECS;
        let v_at = k_at + d;
        var score = 0.0;
        for (var i = 0u; i < HEAD_VECS; i++) { score += dot(q[i], vec4<f32>(qkv[k_at + i])); }
        if (HAS_BIAS) { score += bias[bias_at + key]; }
        if (score > most) {
            let shrink = exp(most - score);
            total *= shrink;
            for (var i = 0u; i < HEAD_VECS; i++) { sum[i] *= shrink; }
            most = score;
        }
        let weight = exp(score - most);
        total += weight;
        for (var i = 0u; i < HEAD_VECS; i++) { sum[i] += weight * vec4<f32>(qkv[v_at + i]); }
    }
    let y_at = (first + query) * d + wid.y * HEAD_VECS;
    for (var i = 0u; i < HEAD_VECS; i++) { y[y_at + i] = vec4<x_t>(sum[i] / total); }
}
