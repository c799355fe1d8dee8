// Puts the 64 parts of sample_scan together, chooses the next token and moves the state on; see src/engine/ops/sample_pick.rs.
// One workgroup; thread p brings part p.
struct Params { n_tokens: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<vec4<f32>>; // [64, 2, 2]
@group(0) @binding(2) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(3) var<storage, read_write> state: DecodeState;

struct Region { best: vec4<f32>, sum: f32 } // (score, token, logit, greatest logit), sum of exp(logit - greatest)
var<workgroup> regions: array<Region, 128>;  // of each part: text, timestamps

fn merged(a: Region, b: Region) -> Region {
    var r = a;
    // The lower token wins a tie, as in argmax.
    if (b.best.x > a.best.x || (b.best.x == a.best.x && b.best.y < a.best.y)) {
        r.best = vec4<f32>(b.best.xyz, a.best.w);
    }
    r.best.w = max(a.best.w, b.best.w);
    r.sum = a.sum * exp(a.best.w - r.best.w) + b.sum * exp(b.best.w - r.best.w);
    return r;
}

fn log_sum(r: Region) -> f32 {
    return select(-3.0e38, r.best.w + log(r.sum), r.sum > 0.0);
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lid: u32) {
    for (var which = 0u; which < 2u; which++) {
        let at = 4u * lid + 2u * which;
        regions[2u * lid + which] = Region(parts[at], parts[at + 1u].x);
    }
    workgroupBarrier();
    for (var step = 32u; step > 0u; step >>= 1u) {
        if (lid < step) {
            regions[2u * lid] = merged(regions[2u * lid], regions[2u * (lid + step)]);
            regions[2u * lid + 1u] = merged(regions[2u * lid + 1u], regions[2u * (lid + step) + 1u]);
        }
        workgroupBarrier();
    }
    if (lid > 0u || state.finished != 0u) { return; }
    let text = regions[0];
    let times = regions[1];
    let times_sum = log_sum(times);
    let only_times = state.use_timestamps == 1u && times_sum > text.best.w;
    var chosen = text.best;
    if (only_times || times.best.x > text.best.x) { chosen = times.best; }
    var total = times_sum;
    if (!only_times) {
        let text_sum = log_sum(text);
        let most = max(text_sum, times_sum);
        total = most + log(exp(text_sum - most) + exp(times_sum - most));
    }
    let token = u32(chosen.y);
    let next = state.position + state.n_rows;
    if (next < params.n_tokens) { tokens[next] = token; }
    state.sum_logprob += chosen.z - total;
    if (token >= state.timestamp_begin) { state.last_timestamp = token; }
    state.position = next;
    state.n_rows = 1u;
    if (token == state.eot || next + 1u >= state.limit) { state.finished = 1u; }
}
