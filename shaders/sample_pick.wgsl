// Puts the N_PARTS parts of sample_scan together, chooses the next token and moves the state on; see src/engine/ops/sample_pick.rs.
// A workgroup for each sequence; thread p brings part p.
struct Params { n_tokens: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<vec4<f32>>; // [S, N_PARTS, 2, 2]
@group(0) @binding(2) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(3) var<storage, read_write> states: array<DecodeState>;

var<workgroup> regions: array<Candidate, 2u * N_PARTS>;  // of each part: text, timestamps

fn log_sum(r: Candidate) -> f32 {
    return select(-3.0e38, r.best.w + log(r.sum), r.sum > 0.0);
}

@compute @workgroup_size(N_PARTS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let seq = wid.x;
    for (var which = 0u; which < 2u; which++) {
        let at = 4u * N_PARTS * seq + 4u * lid + 2u * which;
        regions[2u * lid + which] = Candidate(parts[at], parts[at + 1u].x);
    }
    workgroupBarrier();
    for (var step = N_PARTS / 2u; step > 0u; step >>= 1u) {
        if (lid < step) {
            regions[2u * lid] = merged(regions[2u * lid], regions[2u * (lid + step)]);
            regions[2u * lid + 1u] = merged(regions[2u * lid + 1u], regions[2u * (lid + step) + 1u]);
        }
        workgroupBarrier();
    }
    if (lid > 0u || states[seq].finished != 0u) { return; }
    // The prompt was without its language: it runs once more.
    if (states[seq].detects != 0u) {
        states[seq].detects = 0u;
        return;
    }
    let text = regions[0];
    let times = regions[1];
    let times_sum = log_sum(times);
    let only_times = states[seq].use_timestamps == 1u && times_sum > text.best.w;
    var chosen = text.best;
    if (only_times || times.best.x > text.best.x) { chosen = times.best; }
    var total = times_sum;
    if (!only_times) {
        let text_sum = log_sum(text);
        let most = max(text_sum, times_sum);
        total = most + log(exp(text_sum - most) + exp(times_sum - most));
    }
    let token = u32(chosen.y);
    let next = states[seq].position + states[seq].n_rows;
    if (next < params.n_tokens) { tokens[seq * params.n_tokens + next] = token; }
    states[seq].sum_logprob += chosen.z - total;
    if (token >= states[seq].timestamp_begin) { states[seq].last_timestamp = token; }
    states[seq].position = next;
    states[seq].n_rows = 1u;
    if (token == states[seq].eot || next + 1u >= states[seq].limit) { states[seq].finished = 1u; }
}
