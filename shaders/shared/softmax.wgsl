// Softmax over scores in workgroup memory, by a workgroup of 64 threads.
const WG = 64u;
var<workgroup> scores: array<f32, N_SCORES>;
var<workgroup> partials: array<f32, WG>;

struct Softmax { most: f32, total: f32 }

// Replaces scores[0..n] by exp(score - most); gives that maximum and their sum. Call it from uniform control flow.
fn softmax(n: u32, lid: u32) -> Softmax {
    workgroupBarrier();
    var most = -3.0e38;
    for (var i = lid; i < n; i += WG) { most = max(most, scores[i]); }
    partials[lid] = most;
    workgroupBarrier();
    for (var step = WG / 2u; step > 0u; step >>= 1u) {
        if (lid < step) { partials[lid] = max(partials[lid], partials[lid + step]); }
        workgroupBarrier();
    }
    most = partials[0];
    workgroupBarrier();
    var total = 0.0;
    for (var i = lid; i < n; i += WG) {
        let weight = exp(scores[i] - most);
        scores[i] = weight;
        total += weight;
    }
    partials[lid] = total;
    workgroupBarrier();
    for (var step = WG / 2u; step > 0u; step >>= 1u) {
        if (lid < step) { partials[lid] += partials[lid + step]; }
        workgroupBarrier();
    }
    total = partials[0];
    workgroupBarrier();
    return Softmax(most, total);
}
