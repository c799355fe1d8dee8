// The vocabulary in N_PARTS parts under the suppression and timestamp rules; see src/engine/ops/sample_scan.rs. y: [S, N_PARTS, 2, 2]
// vectors: (greatest score, its token, its logit, greatest logit), (sum of exp(logit - greatest), 0, 0, 0), text before timestamps. Workgroup: part wid.x,
// sequence wid.y.
struct Params { vocab: u32, n_tokens: u32 }
override HAS_CUTOFF: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> flags: array<u32>;
@group(0) @binding(3) var<storage, read> tokens: array<u32>;
@group(0) @binding(4) var<storage, read> states: array<DecodeState>;
@group(0) @binding(5) var<storage, read> cutoff: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4<f32>>;

override WG: u32 = 64u;
var<private> seq: u32;
var<workgroup> parts: array<Candidate, 2u * WG>; // of each thread: text, timestamps

struct History { n_sampled: u32, last_is_timestamp: bool, penultimate_is_timestamp: bool }

fn is_timestamp_at(at: u32) -> bool {
    return tokens[seq * params.n_tokens + min(at, params.n_tokens - 1u)] >= states[seq].timestamp_begin;
}

fn history() -> History {
    let next = states[seq].position + states[seq].n_rows;
    let n_sampled = next - min(states[seq].sample_begin, next);
    var h = History(n_sampled, false, true);
    if (n_sampled >= 1u) { h.last_is_timestamp = is_timestamp_at(next - 1u); }
    if (n_sampled >= 2u) { h.penultimate_is_timestamp = is_timestamp_at(next - 2u); }
    return h;
}

fn allowed(token: u32, h: History) -> bool {
    let is_first = h.n_sampled == 0u;
    let bits = flags[token];
    if ((bits & 1u) != 0u || (is_first && (bits & 2u) != 0u)) { return false; }
    if (states[seq].use_timestamps == 0u) { return true; }
    let is_timestamp = token >= states[seq].timestamp_begin;
    if (token == states[seq].no_timestamps) { return false; }
    if (h.last_is_timestamp && h.penultimate_is_timestamp && is_timestamp) { return false; }
    if (h.last_is_timestamp && !h.penultimate_is_timestamp && token < states[seq].eot) { return false; }
    if (is_timestamp && states[seq].last_timestamp != 0u) {
        let repeats = h.last_is_timestamp && !h.penultimate_is_timestamp;
        if (token < states[seq].last_timestamp + select(1u, 0u, repeats)) { return false; }
    }
    return !is_first || (is_timestamp && token - states[seq].timestamp_begin <= states[seq].max_initial_timestamp);
}

// Uniform in (0, 1).
fn random(seed: u32, position: u32, token: u32) -> f32 {
    var hash = seed;
    for (var i = 0u; i < 2u; i++) {
        var v = (hash ^ select(token, position, i == 0u)) * 747796405u + 2891336453u;
        v = ((v >> ((v >> 28u) + 4u)) ^ v) * 277803737u;
        hash = (v >> 22u) ^ v;
    }
    return (f32(hash >> 8u) + 0.5) / 16777216.0;
}

fn joined(p: Candidate, score: f32, token: u32, logit: f32) -> Candidate {
    var r = p;
    if (score > r.best.x) { r.best = vec4<f32>(score, f32(token), logit, r.best.w); }
    if (logit > r.best.w) {
        r.sum = r.sum * exp(r.best.w - logit) + 1.0;
        r.best.w = logit;
    } else {
        r.sum += exp(logit - r.best.w);
    }
    return r;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    seq = wid.y;
    let h = history();
    let next = states[seq].position + states[seq].n_rows;
    let temperature = states[seq].temperature;
    let size = (params.vocab + N_PARTS - 1u) / N_PARTS;
    let end = min((wid.x + 1u) * size, params.vocab);
    let nothing = Candidate(vec4<f32>(-3.0e38, 0.0, -3.0e38, -3.0e38), 0.0);
    var text = nothing;
    var times = nothing;
    for (var token = wid.x * size + lid; token < end; token += WG) {
        if (!allowed(token, h)) { continue; }
        let logit = logits[seq * params.vocab + token];
        if (HAS_CUTOFF) {
            if (logit < cutoff[seq]) { continue; }
        }
        var score = logit;
        if (temperature > 0.0) { score = logit / temperature - log(-log(random(states[seq].seed, next, token))); }
        if (token >= states[seq].timestamp_begin) {
            times = joined(times, score, token, logit);
        } else {
            text = joined(text, score, token, logit);
        }
    }
    parts[2u * lid] = text;
    parts[2u * lid + 1u] = times;
    workgroupBarrier();
    for (var step = WG / 2u; step > 0u; step >>= 1u) {
        if (lid < step) {
            parts[2u * lid] = merged(parts[2u * lid], parts[2u * (lid + step)]);
            parts[2u * lid + 1u] = merged(parts[2u * lid + 1u], parts[2u * (lid + step) + 1u]);
        }
        workgroupBarrier();
    }
    if (lid < 2u) {
        let out = 2u * (2u * (wid.y * N_PARTS + wid.x) + lid);
        y[out] = parts[lid].best;
        y[out + 1u] = vec4<f32>(parts[lid].sum, 0.0, 0.0, 0.0);
    }
}
