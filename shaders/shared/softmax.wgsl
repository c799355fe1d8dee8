// Softmax over scores in workgroup memory, by a workgroup of 64 threads; needs reduce.wgsl.
const WG = 64u;
var<workgroup> scores: array<f32, N_SCORES>;

struct Softmax { most: f32, total: f32 }

// Replaces scores[0..n] by exp(score - most); gives that maximum and their sum. Call it from uniform control flow.
fn softmax(n: u32, lid: u32) -> Softmax {
    workgroupBarrier();
    var most = -3.0e38;
    for (var i = lid; i < n; i += WG) { most = max(most, scores[i]); }
    most = max_of_all(most, lid);
    var total = 0.0;
    for (var i = lid; i < n; i += WG) {
        let weight = exp(scores[i] - most);
        scores[i] = weight;
        total += weight;
    }
    return Softmax(most, sum_of_all(total, lid));
}
