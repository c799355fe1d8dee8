// The least logit that top-k and top-p let pass; see src/engine/ops/sample_cutoff.rs. y: [S]. A workgroup for each
// sequence.
struct Params { vocab: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> flags: array<u32>;
@group(0) @binding(3) var<storage, read> states: array<DecodeState>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

const WG = 256u;
const NO_CUTOFF = -3.0e38;
// Fixed point: 12 bits above and 12 below the point, so that a million tokens of weight 1 fit.
const ONE = 4096.0;
var<workgroup> whole: array<atomic<u32>, 256>;
var<workgroup> parts: array<atomic<u32>, 256>;
var<workgroup> chosen: vec4<u32>; // digit, and the sum above it: whole, parts
var<workgroup> total: f32;

// Bits in the order of the numbers.
fn key_of(logit: f32) -> u32 {
    let bits = bitcast<u32>(logit);
    return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

fn logit_of(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7fffffffu, key >= 0x80000000u));
}

// The key from which on, downwards from the greatest, the sum reaches `wanted`: of counts, or of weights as a share of all.
// Only keys from `least` on count. Call it from uniform control flow.
fn border(seq: u32, by_weight: bool, wanted: f32, least: u32, most: f32, lid: u32) -> u32 {
    let first = seq * params.vocab;
    let temperature = states[seq].temperature;
    var prefix = 0u;
    var above = vec2<u32>();
    var target_sum = wanted;
    for (var digit = 0u; digit < 4u; digit++) {
        let shift = 24u - 8u * digit;
        atomicStore(&whole[lid], 0u);
        atomicStore(&parts[lid], 0u);
        workgroupBarrier();
        for (var token = lid; token < params.vocab; token += WG) {
            let key = key_of(logits[first + token]);
            let is_inside = digit == 0u || (key >> ((shift + 8u) & 31u)) == prefix;
            if ((flags[token] & 1u) != 0u || key < least || !is_inside) { continue; }
            let bin = (key >> shift) & 255u;
            if (by_weight) {
                let weight = exp((logits[first + token] - most) / temperature) * ONE;
                atomicAdd(&whole[bin], u32(weight));
                atomicAdd(&parts[bin], u32(fract(weight) * ONE));
            } else {
                atomicAdd(&whole[bin], 1u);
            }
        }
        workgroupBarrier();
        if (lid == 0u) {
            if (digit == 0u) {
                var sum = 0.0;
                for (var bin = 0u; bin < 256u; bin++) { sum += f32(atomicLoad(&whole[bin])) + f32(atomicLoad(&parts[bin])) / ONE; }
                total = sum;
            }
            if (by_weight) { target_sum = wanted * total; }
            var at = 255u;
            var sum = above;
            for (var i = 0u; i < 256u; i++) {
                let bin = 255u - i;
                var next = sum + vec2<u32>(atomicLoad(&whole[bin]), atomicLoad(&parts[bin]));
                next = vec2<u32>(next.x + (next.y >> 12u), next.y & 4095u);
                // An empty digit is no border; the last one that is not empty is, should rounding leave the sum short.
                if (next.x == sum.x && next.y == sum.y) { continue; }
                at = bin;
                if (f32(next.x) + f32(next.y) / ONE >= target_sum) { break; }
                sum = next;
            }
            chosen = vec4<u32>(at, sum, 0u);
        }
        workgroupBarrier();
        prefix = (prefix << 8u) | chosen.x;
        above = chosen.yz;
        workgroupBarrier();
    }
    return prefix;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, thread: Thread) {
    let lid = thread.idx;
    let seq = wid.x;
    var cutoff = NO_CUTOFF;
    if (states[seq].temperature > 0.0 && (states[seq].top_k > 0u || states[seq].top_p < 1.0)) {
        var most = NO_CUTOFF;
        var n_allowed = 0.0;
        for (var token = lid; token < params.vocab; token += WG) {
            if ((flags[token] & 1u) == 0u) {
                most = max(most, logits[seq * params.vocab + token]);
                n_allowed += 1.0;
            }
        }
        most = max_of_all(most, thread);
        n_allowed = sum_of_all(n_allowed, thread);
        var least = 0u;
        let top_k = select(f32(states[seq].top_k), n_allowed, states[seq].top_k == 0u);
        if (states[seq].top_k > 0u) { least = border(seq, false, min(top_k, n_allowed), 0u, most, lid); }
        if (states[seq].top_p < 1.0) { least = border(seq, true, states[seq].top_p, least, most, lid); }
        cutoff = logit_of(least);
    }
    if (lid == 0u) { y[seq] = cutoff; }
}
