// Puts the 64 parts of sample_scan together, chooses the next token and moves the state on; see src/engine/ops/sample_pick.rs.
struct Params { n_tokens: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<vec4<f32>>; // [64, 2, 2]
@group(0) @binding(2) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(3) var<storage, read_write> state: DecodeState;

struct Region { score: f32, token: u32, logit: f32, most: f32, log_sum: f32 }

fn region(which: u32) -> Region {
    var r = Region(-3.0e38, 0u, -3.0e38, -3.0e38, -3.0e38);
    for (var p = 0u; p < 64u; p++) {
        let best = parts[4u * p + 2u * which];
        if (best.x > r.score) {
            r.score = best.x;
            r.token = u32(best.y);
            r.logit = best.z;
        }
        r.most = max(r.most, best.w);
    }
    var sum = 0.0;
    for (var p = 0u; p < 64u; p++) {
        let at = 4u * p + 2u * which;
        sum += parts[at + 1u].x * exp(parts[at].w - r.most);
    }
    if (sum > 0.0) { r.log_sum = r.most + log(sum); }
    return r;
}

@compute @workgroup_size(1)
fn main() {
    if (state.finished != 0u) { return; }
    let text = region(0u);
    let times = region(1u);
    let only_times = state.use_timestamps == 1u && times.log_sum > text.most;
    var chosen = text;
    if (only_times || times.score > text.score) { chosen = times; }
    var log_sum = times.log_sum;
    if (!only_times) {
        let most = max(text.log_sum, times.log_sum);
        log_sum = most + log(exp(text.log_sum - most) + exp(times.log_sum - most));
    }
    let next = state.position + state.n_rows;
    if (next < params.n_tokens) { tokens[next] = chosen.token; }
    state.sum_logprob += chosen.logit - log_sum;
    if (chosen.token >= state.timestamp_begin) { state.last_timestamp = chosen.token; }
    state.position = next;
    state.n_rows = 1u;
    if (chosen.token == state.eot || next + 1u >= state.limit) { state.finished = 1u; }
}
