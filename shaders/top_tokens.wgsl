// The n_top most probable tokens of each row: y[r, :n_top] their log-probabilities, falling, y[r, n_top:] their numbers.
// logits: [n_rows, vocab]. A workgroup per row finds one after the other: the greatest among those behind the one before.
struct Params { vocab: u32, n_top: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const WG = 256u;
const NOTHING = -3.4e38;
var<workgroup> best: array<f32, WG>;
var<workgroup> token_of: array<u32, WG>;

// Whether (a, token a) comes before (b, token b): the greater first, of equals the lower token.
fn is_before(a: f32, token_a: u32, b: f32, token_b: u32) -> bool {
    return a > b || (a == b && token_a < token_b);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, thread: Thread) {
    let lid = thread.idx;
    let first = wid.x * params.vocab;
    var most = NOTHING;
    for (var i = lid; i < params.vocab; i += WG) { most = max(most, logits[first + i]); }
    most = max_of_all(most, thread);
    var sum = 0.0;
    for (var i = lid; i < params.vocab; i += WG) { sum += exp(logits[first + i] - most); }
    let log_sum = most + log(sum_of_all(sum, thread));
    var last = 3.4e38;
    var last_token = 0u;
    for (var n = 0u; n < params.n_top; n++) {
        var mine = NOTHING;
        var token = 0xffffffffu;
        for (var i = lid; i < params.vocab; i += WG) {
            let logit = logits[first + i];
            if (is_before(last, last_token, logit, i) && is_before(logit, i, mine, token)) {
                mine = logit;
                token = i;
            }
        }
        best[lid] = mine;
        token_of[lid] = token;
        workgroupBarrier();
        for (var step = WG / 2u; step > 0u; step >>= 1u) {
            if (lid < step && is_before(best[lid + step], token_of[lid + step], best[lid], token_of[lid])) {
                best[lid] = best[lid + step];
                token_of[lid] = token_of[lid + step];
            }
            workgroupBarrier();
        }
        last = best[0];
        last_token = token_of[0];
        workgroupBarrier();
        if (lid == 0u) {
            let at = 2u * params.n_top * wid.x + n;
            y[at] = last - log_sum;
            y[at + params.n_top] = f32(last_token);
        }
    }
}
