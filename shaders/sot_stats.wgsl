// no_speech_prob = softmax(logits)[no_speech]; language = argmax over the language tokens, which a sequence that detects it puts behind
// start-of-transcript. A workgroup for each sequence. tokens: [S, n_tokens]
struct Params { vocab: u32, n_tokens: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> states: array<DecodeState>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;
const WG = 256u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, thread: Thread) {
    let lid = thread.idx;
    let seq = wid.x;
    let first = seq * params.vocab;
    var most = -3.0e38;
    for (var i = lid; i < params.vocab; i += WG) { most = max(most, logits[first + i]); }
    most = max_of_all(most, thread);
    var sum = 0.0;
    for (var i = lid; i < params.vocab; i += WG) { sum += exp(logits[first + i] - most); }
    sum = sum_of_all(sum, thread);
    if (lid == 0u) {
        if (states[seq].no_speech < params.vocab) {
            states[seq].no_speech_prob = exp(logits[first + states[seq].no_speech] - most) / sum;
        }
        var language = 0u;
        var best = -3.0e38;
        let end = min(states[seq].language_begin + states[seq].n_languages, params.vocab);
        for (var token = states[seq].language_begin; token < end; token++) {
            if (logits[first + token] > best) {
                best = logits[first + token];
                language = token;
            }
        }
        states[seq].language = language;
        let at = states[seq].sot_row + 1u;
        if (states[seq].detects != 0u && at < params.n_tokens) { tokens[seq * params.n_tokens + at] = language; }
    }
}
