// no_speech_prob = softmax(logits)[no_speech]; language = argmax over the language tokens. One workgroup.
struct Params { vocab: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: DecodeState;
const WG = 256u;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lid: u32) {
    var most = -3.0e38;
    for (var i = lid; i < params.vocab; i += WG) { most = max(most, logits[i]); }
    most = max_of_all(most, lid);
    var sum = 0.0;
    for (var i = lid; i < params.vocab; i += WG) { sum += exp(logits[i] - most); }
    sum = sum_of_all(sum, lid);
    if (lid == 0u) {
        if (state.no_speech < params.vocab) {
            state.no_speech_prob = exp(logits[state.no_speech] - most) / sum;
        }
        var language = 0u;
        var best = -3.0e38;
        let end = min(state.language_begin + state.n_languages, params.vocab);
        for (var token = state.language_begin; token < end; token++) {
            if (logits[token] > best) {
                best = logits[token];
                language = token;
            }
        }
        state.language = language;
    }
}
