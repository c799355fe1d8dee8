// Softmax over scores in workgroup memory; needs a file reduce*.wgsl and WG.
var<workgroup> scores: array<f32, N_SCORES>;

struct Softmax { most: f32, total: f32 }

// Replaces scores[0..n] by exp(score - most); gives that maximum and their sum. Call it from uniform control flow.
fn softmax(n: u32, thread: Thread) -> Softmax {
    workgroupBarrier();
    var most = -3.0e38;
    for (var i = thread.idx; i < n; i += WG) { most = max(most, scores[i]); }
    most = max_of_all(most, thread);
    var total = 0.0;
    for (var i = thread.idx; i < n; i += WG) {
        let weight = exp(scores[i] - most);
        scores[i] = weight;
        total += weight;
    }
    return Softmax(most, sum_of_all(total, thread));
}
