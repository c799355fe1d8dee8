// y[q, :] = softmax(q . k * scale + bias) . v for one head, in blocks (after FlashAttention, arXiv 2205.14135).
// Workgroup: 4 QG queries wid.x, head wid.y, sequence wid.z; QG x KG threads. A thread scores 4 queries against 4 keys of a block of 4 KG keys, then sums
// COLS_EACH vectors of the head for its 4 queries.
const THREADS = QG * KG;
const QUERIES = 4u * QG;
const KEYS = 4u * KG;
const Q_PITCH = HEAD_VECS + 1u;
const K_PITCH = KG + 1u;
const P_PITCH = KG + 1u;
const COLS_EACH = (HEAD_VECS + KG - 1u) / KG;
const KV_SIZE = max(4u * HEAD_VECS * K_PITCH, KEYS * HEAD_VECS);
var<workgroup> q_tile: array<vec4<x_t>, QUERIES * Q_PITCH>;     // [QUERIES][Q_PITCH], vectors along the head
var<workgroup> kv_tile: array<vec4<x_t>, KV_SIZE>;              // keys: [4 HEAD_VECS][K_PITCH], vectors along keys; values: [KEYS][HEAD_VECS]
var<workgroup> weights: array<vec4<f32>, QUERIES * P_PITCH>;    // [QUERIES][P_PITCH], vectors along keys
var<workgroup> greatest: array<vec4<f32>, THREADS>;             // [KG][QG], vectors along queries

fn qkv_at(key: u32, n_keys: u32, at: u32) -> vec4<x_t> {
    if (key < n_keys) { return qkv[at]; }
    return vec4<x_t>();
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) idx: u32) {
    let d = params.n_heads * HEAD_VECS;
    let pitch = 3u * d;
    let head = wid.y * HEAD_VECS;
    let first = wid.z * params.seq_len;
    let query0 = wid.x * QUERIES;
    var n_keys = params.seq_len;
    if (HAS_LENGTHS) { n_keys = lengths[wid.z]; }
    for (var i = idx; i < QUERIES * HEAD_VECS; i += THREADS) {
        let query = min(query0 + i / HEAD_VECS, params.seq_len - 1u);
        q_tile[(i / HEAD_VECS) * Q_PITCH + i % HEAD_VECS] = qkv[(first + query) * pitch + head + i % HEAD_VECS];
    }
    let qg = idx / KG;
    let kg = idx % KG;
    let mine = query0 + 4u * qg; // first query of this thread
    var sum: array<array<vec4<f32>, COLS_EACH>, 4>;
    var most = vec4<f32>(-3.0e38);
    var total = vec4<f32>();
    var n_blocks = (params.seq_len + KEYS - 1u) / KEYS;
    if (CAUSAL) { n_blocks = min(n_blocks, (query0 + QUERIES + KEYS - 1u) / KEYS); }
    for (var block = 0u; block < n_blocks; block++) {
        let key0 = block * KEYS;
        workgroupBarrier();
        for (var i = idx; i < KG * HEAD_VECS; i += THREADS) {
            let e = i % HEAD_VECS;
            let g = i / HEAD_VECS;
            let key = key0 + 4u * g;
            let at = (first + key) * pitch + d + head + e;
            let k0 = qkv_at(key, n_keys, at);
            let k1 = qkv_at(key + 1u, n_keys, at + pitch);
            let k2 = qkv_at(key + 2u, n_keys, at + 2u * pitch);
            let k3 = qkv_at(key + 3u, n_keys, at + 3u * pitch);
            let to = 4u * e * K_PITCH + g;
            kv_tile[to] = vec4<x_t>(k0.x, k1.x, k2.x, k3.x);
            kv_tile[to + K_PITCH] = vec4<x_t>(k0.y, k1.y, k2.y, k3.y);
            kv_tile[to + 2u * K_PITCH] = vec4<x_t>(k0.z, k1.z, k2.z, k3.z);
            kv_tile[to + 3u * K_PITCH] = vec4<x_t>(k0.w, k1.w, k2.w, k3.w);
        }
        workgroupBarrier();
        var a = vec4<f32>();
        var b = vec4<f32>();
        var c = vec4<f32>();
        var e = vec4<f32>();
        for (var i = 0u; i < HEAD_VECS; i++) {
            let at = 4u * i * K_PITCH + kg;
            let k0 = vec4<f32>(kv_tile[at]);
            let k1 = vec4<f32>(kv_tile[at + K_PITCH]);
            let k2 = vec4<f32>(kv_tile[at + 2u * K_PITCH]);
            let k3 = vec4<f32>(kv_tile[at + 3u * K_PITCH]);
            let q_at = 4u * qg * Q_PITCH + i;
            let q0 = vec4<f32>(q_tile[q_at]);
            let q1 = vec4<f32>(q_tile[q_at + Q_PITCH]);
            let q2 = vec4<f32>(q_tile[q_at + 2u * Q_PITCH]);
            let q3 = vec4<f32>(q_tile[q_at + 3u * Q_PITCH]);
            a += q0.x * k0 + q0.y * k1 + q0.z * k2 + q0.w * k3;
            b += q1.x * k0 + q1.y * k1 + q1.z * k2 + q1.w * k3;
            c += q2.x * k0 + q2.y * k1 + q2.z * k2 + q2.w * k3;
            e += q3.x * k0 + q3.y * k1 + q3.z * k2 + q3.w * k3;
        }
        let key = key0 + 4u * kg;
        a = scored(a, mine, key, n_keys, wid.y);
        b = scored(b, mine + 1u, key, n_keys, wid.y);
        c = scored(c, mine + 2u, key, n_keys, wid.y);
        e = scored(e, mine + 3u, key, n_keys, wid.y);
        greatest[kg * QG + qg] = vec4<f32>(most_of(a), most_of(b), most_of(c), most_of(e));
        workgroupBarrier();
        var next = most;
        for (var g = 0u; g < KG; g++) { next = max(next, greatest[g * QG + qg]); }
        let shrink = exp(most - next);
        most = next;
        a = weighed(a, next.x);
        b = weighed(b, next.y);
        c = weighed(c, next.z);
        e = weighed(e, next.w);
        total = total * shrink + vec4<f32>(dot(a, vec4<f32>(1.0)), dot(b, vec4<f32>(1.0)), dot(c, vec4<f32>(1.0)), dot(e, vec4<f32>(1.0)));
        let to = 4u * qg * P_PITCH + kg;
        weights[to] = a;
        weights[to + P_PITCH] = b;
        weights[to + 2u * P_PITCH] = c;
        weights[to + 3u * P_PITCH] = e;
        for (var i = idx; i < KEYS * HEAD_VECS; i += THREADS) {
            let k = key0 + i / HEAD_VECS;
            kv_tile[i] = qkv_at(k, n_keys, (first + k) * pitch + 2u * d + head + i % HEAD_VECS);
        }
        workgroupBarrier();
        for (var i = 0u; i < COLS_EACH; i++) {
            sum[0][i] *= shrink.x;
            sum[1][i] *= shrink.y;
            sum[2][i] *= shrink.z;
            sum[3][i] *= shrink.w;
        }
        for (var g = 0u; g < KG; g++) {
            let at = 4u * qg * P_PITCH + g;
            let w0 = weights[at];
            let w1 = weights[at + P_PITCH];
            let w2 = weights[at + 2u * P_PITCH];
            let w3 = weights[at + 3u * P_PITCH];
            for (var i = 0u; i < COLS_EACH; i++) {
                let v_at = 4u * g * HEAD_VECS + min(kg + i * KG, HEAD_VECS - 1u);
                let v0 = vec4<f32>(kv_tile[v_at]);
                let v1 = vec4<f32>(kv_tile[v_at + HEAD_VECS]);
                let v2 = vec4<f32>(kv_tile[v_at + 2u * HEAD_VECS]);
                let v3 = vec4<f32>(kv_tile[v_at + 3u * HEAD_VECS]);
                sum[0][i] += w0.x * v0 + w0.y * v1 + w0.z * v2 + w0.w * v3;
                sum[1][i] += w1.x * v0 + w1.y * v1 + w1.z * v2 + w1.w * v3;
                sum[2][i] += w2.x * v0 + w2.y * v1 + w2.z * v2 + w2.w * v3;
                sum[3][i] += w3.x * v0 + w3.y * v1 + w3.z * v2 + w3.w * v3;
            }
        }
    }
    // Each thread summed the weights of its own keys.
    workgroupBarrier();
    greatest[kg * QG + qg] = total;
    workgroupBarrier();
    total = vec4<f32>();
    for (var g = 0u; g < KG; g++) { total += greatest[g * QG + qg]; }
    for (var q = 0u; q < 4u; q++) {
        if (mine + q >= params.seq_len) { break; }
        for (var i = 0u; i < COLS_EACH; i++) {
            let col = kg + i * KG;
            if (col < HEAD_VECS) { y[(first + mine + q) * d + head + col] = vec4<x_t>(sum[q][i] / total[q]); }
        }
    }
}

fn most_of(v: vec4<f32>) -> f32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}

// Scores of one query with four keys from `key` on; of keys that it does not see, the least.
fn scored(products: vec4<f32>, query: u32, key: u32, n_keys: u32, head: u32) -> vec4<f32> {
    var scores = products * params.scale;
    let keys = vec4<u32>(key) + vec4<u32>(0u, 1u, 2u, 3u);
    if (HAS_BIAS) {
        let last = params.seq_len - 1u;
        let at = head * params.bias_cols + params.bias_cols / 2u - min(query, last);
        let seen = min(keys, vec4<u32>(last)) + vec4<u32>(at);
        scores += vec4<f32>(bias[seen.x], bias[seen.y], bias[seen.z], bias[seen.w]);
    }
    var n_seen = n_keys;
    if (CAUSAL) { n_seen = min(n_keys, query + 1u); }
    return select(vec4<f32>(-3.0e38), scores, keys < vec4<u32>(n_seen));
}

fn weighed(scores: vec4<f32>, most: f32) -> vec4<f32> {
    return select(vec4<f32>(), exp(scores - most), scores > vec4<f32>(-2.9e38));
}
