// y[q, :] = softmax(q . k * scale + bias) . v for one head, in blocks (after FlashAttention, arXiv 2205.14135).
// Workgroup: 4 QG queries wid.x, head wid.y, sequence and part of its keys wid.z; QG x KG threads. Where the keys are in PARTS, y is what attention_combine
// reads: [n_seqs * seq_len, n_heads, PARTS, HEAD_VECS + 1], the unnormalised sums and (maximum, sum of weights, 0, 0). A thread scores 4 queries against 4 keys of a block of 4 KG keys, then sums
// COLS_EACH vectors of the head for its 4 queries. Queries and keys have the head outermost, weights the keys, so that each step is an outer product.
const THREADS = QG * KG;
const QUERIES = 4u * QG;
const KEYS = 4u * KG;
const Q_PITCH = QG + 1u;
const K_PITCH = KG + 1u;
var<workgroup> q_tile: array<vec4<f32>, 4u * HEAD_VECS * Q_PITCH>;  // [4 HEAD_VECS][Q_PITCH], vectors along queries, scaled
// Keys, [4 HEAD_VECS][K_PITCH], vectors along keys; then weights, [KEYS][Q_PITCH], vectors along queries.
var<workgroup> k_tile: array<vec4<f32>, max(4u * HEAD_VECS * K_PITCH, KEYS * Q_PITCH)>;
var<workgroup> v_tile: array<vec4<f32>, max(1u, min(V_READS, 1u) * KEYS * HEAD_VECS)>; // [KEYS][HEAD_VECS], where there is room

// A vector of queries, keys or values; past the end, the last one's.
fn qkv_at(first: u32, position: u32, at: u32) -> vec4<f32> {
    return vec4<f32>(qkv[(first + min(position, params.seq_len - 1u)) * 3u * params.n_heads * HEAD_VECS + at]);
}

// A vector of values; zeros past the last key, whose weight is zero.
fn value_at(first: u32, key: u32, n_keys: u32, at: u32) -> vec4<f32> {
    return select(vec4<f32>(), qkv_at(first, key, at), key < n_keys);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) idx: u32) {
    let d = params.n_heads * HEAD_VECS;
    let head = wid.y * HEAD_VECS;
    let seq = wid.z / PARTS;
    let part = wid.z % PARTS;
    let first = seq * params.seq_len;
    let query0 = wid.x * QUERIES;
    var n_keys = params.seq_len;
    if (HAS_LENGTHS) { n_keys = lengths[seq]; }
    for (var j = 0u; j < Q_READS; j++) { // unrolled
        let i = idx + j * THREADS;
        if ((j + 1u) * THREADS <= QG * HEAD_VECS || i < QG * HEAD_VECS) {
            let e = i % HEAD_VECS;
            let g = i / HEAD_VECS;
            let query = query0 + 4u * g;
            let q0 = qkv_at(first, query, head + e);
            let q1 = qkv_at(first, query + 1u, head + e);
            let q2 = qkv_at(first, query + 2u, head + e);
            let q3 = qkv_at(first, query + 3u, head + e);
            let t = params.scale * transpose(mat4x4<f32>(q0, q1, q2, q3));
            let to = 4u * e * Q_PITCH + g;
            q_tile[to] = t[0];
            q_tile[to + Q_PITCH] = t[1];
            q_tile[to + 2u * Q_PITCH] = t[2];
            q_tile[to + 3u * Q_PITCH] = t[3];
        }
    }
    let qg = idx / KG;
    let kg = idx % KG;
    let mine = query0 + 4u * qg; // first query of this thread
    var sum_a: array<vec4<f32>, COLS_EACH>;
    var sum_b: array<vec4<f32>, COLS_EACH>;
    var sum_c: array<vec4<f32>, COLS_EACH>;
    var sum_e: array<vec4<f32>, COLS_EACH>;
    var most = vec4<f32>(-3.0e38);
    var total = vec4<f32>();
    var n_blocks = (params.seq_len + KEYS - 1u) / KEYS;
    if (CAUSAL) { n_blocks = min(n_blocks, (query0 + QUERIES + KEYS - 1u) / KEYS); }
    let n_each = (n_blocks + PARTS - 1u) / PARTS;
    n_blocks = min(n_blocks, (part + 1u) * n_each);
    for (var block = part * n_each; block < n_blocks; block++) {
        let key0 = block * KEYS;
        workgroupBarrier();
        for (var j = 0u; j < K_READS; j++) { // unrolled
            let i = idx + j * THREADS;
            if ((j + 1u) * THREADS <= KG * HEAD_VECS || i < KG * HEAD_VECS) {
                let e = i % HEAD_VECS;
                let g = i / HEAD_VECS;
                let key = key0 + 4u * g;
                let k0 = qkv_at(first, key, d + head + e);
                let k1 = qkv_at(first, key + 1u, d + head + e);
                let k2 = qkv_at(first, key + 2u, d + head + e);
                let k3 = qkv_at(first, key + 3u, d + head + e);
                let t = transpose(mat4x4<f32>(k0, k1, k2, k3));
                let to = 4u * e * K_PITCH + g;
                k_tile[to] = t[0];
                k_tile[to + K_PITCH] = t[1];
                k_tile[to + 2u * K_PITCH] = t[2];
                k_tile[to + 3u * K_PITCH] = t[3];
            }
        }
        for (var j = 0u; j < V_READS; j++) { // unrolled
            let i = idx + j * THREADS;
            if ((j + 1u) * THREADS <= KEYS * HEAD_VECS || i < KEYS * HEAD_VECS) {
                v_tile[i] = value_at(first, key0 + i / HEAD_VECS, n_keys, 2u * d + head + i % HEAD_VECS);
            }
        }
        workgroupBarrier();
        var a = vec4<f32>();
        var b = vec4<f32>();
        var c = vec4<f32>();
        var e = vec4<f32>();
        for (var i = 0u; i < 4u * HEAD_VECS; i += 16u) {
            for (var j = 0u; j < 16u; j++) { // unrolled
                let q = q_tile[(i + j) * Q_PITCH + qg];
                let k = k_tile[(i + j) * K_PITCH + kg];
                a += q.x * k;
                b += q.y * k;
                c += q.z * k;
                e += q.w * k;
            }
        }
        let key = key0 + 4u * kg;
        a = scored(a, mine, key, n_keys, wid.y);
        b = scored(b, mine + 1u, key, n_keys, wid.y);
        c = scored(c, mine + 2u, key, n_keys, wid.y);
        e = scored(e, mine + 3u, key, n_keys, wid.y);
        // Behind it all threads are done with the keys.
        let next = max(most, max_of_row(vec4<f32>(most_of(a), most_of(b), most_of(c), most_of(e)), qg, kg));
        let shrink = exp(most - next);
        most = next;
        a = weighed(a, next.x);
        b = weighed(b, next.y);
        c = weighed(c, next.z);
        e = weighed(e, next.w);
        total = total * shrink + vec4<f32>(dot(a, vec4<f32>(1.0)), dot(b, vec4<f32>(1.0)), dot(c, vec4<f32>(1.0)), dot(e, vec4<f32>(1.0)));
        let t = transpose(mat4x4<f32>(a, b, c, e));
        let to = 4u * kg * Q_PITCH + qg;
        k_tile[to] = t[0];
        k_tile[to + Q_PITCH] = t[1];
        k_tile[to + 2u * Q_PITCH] = t[2];
        k_tile[to + 3u * Q_PITCH] = t[3];
        workgroupBarrier();
        for (var i = 0u; i < COLS_EACH; i++) { // unrolled
            sum_a[i] *= shrink.x;
            sum_b[i] *= shrink.y;
            sum_c[i] *= shrink.z;
            sum_e[i] *= shrink.w;
        }
        for (var g = 0u; g < KEYS; g += 16u) {
            for (var j = 0u; j < 16u; j++) { // unrolled
                let w = k_tile[(g + j) * Q_PITCH + qg];
                for (var i = 0u; i < COLS_EACH; i++) { // unrolled
                    let col = min(kg + i * KG, HEAD_VECS - 1u);
                    var v: vec4<f32>;
                    if (V_READS > 0u) {
                        v = v_tile[(g + j) * HEAD_VECS + col];
                    } else {
                        v = value_at(first, key0 + g + j, n_keys, 2u * d + head + col);
                    }
                    sum_a[i] += w.x * v;
                    sum_b[i] += w.y * v;
                    sum_c[i] += w.z * v;
                    sum_e[i] += w.w * v;
                }
            }
        }
    }
    // Each thread summed the weights of its own keys.
    total = sum_of_row(total, qg, kg);
    // Of a query, head and part: the place among all of them.
    let at = ((first + mine) * params.n_heads + wid.y) * PARTS + part;
    let pitch = params.n_heads * PARTS;
    for (var i = 0u; i < COLS_EACH; i++) { // unrolled
        let col = kg + i * KG;
        if (col < HEAD_VECS) {
            store(mine, at, col, sum_a[i], total.x);
            store(mine + 1u, at + pitch, col, sum_b[i], total.y);
            store(mine + 2u, at + 2u * pitch, col, sum_c[i], total.z);
            store(mine + 3u, at + 3u * pitch, col, sum_e[i], total.w);
        }
    }
    if (PARTS > 1u && kg == 0u) {
        store(mine, at, HEAD_VECS, vec4<f32>(most.x, total.x, 0.0, 0.0), 1.0);
        store(mine + 1u, at + pitch, HEAD_VECS, vec4<f32>(most.y, total.y, 0.0, 0.0), 1.0);
        store(mine + 2u, at + 2u * pitch, HEAD_VECS, vec4<f32>(most.z, total.z, 0.0, 0.0), 1.0);
        store(mine + 3u, at + 3u * pitch, HEAD_VECS, vec4<f32>(most.w, total.w, 0.0, 0.0), 1.0);
    }
}

// A vector of a query's sum, over the sum of its weights where all keys are in it; nothing past the last query.
fn store(query: u32, at: u32, col: u32, sum: vec4<f32>, total: f32) {
    if (query >= params.seq_len) { return; }
    if (PARTS > 1u) {
        y[at * (HEAD_VECS + 1u) + col] = vec4<y_t>(sum);
    } else {
        y[at * HEAD_VECS + col] = vec4<y_t>(sum / total);
    }
}

fn most_of(v: vec4<f32>) -> f32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}

// Scores of one query with four keys from `key` on; of keys that it does not see, the least.
fn scored(products: vec4<f32>, query: u32, key: u32, n_keys: u32, head: u32) -> vec4<f32> {
    var scores = products;
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
