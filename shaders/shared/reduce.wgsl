// Reductions over a workgroup of WG threads, WG a power of two. Call them from uniform control flow.
var<workgroup> reduced: array<f32, WG>;

// The sum of one value of every thread, known to all of them.
fn sum_of_all(value: f32, lid: u32) -> f32 {
    reduced[lid] = value;
    workgroupBarrier();
    for (var step = WG / 2u; step > 0u; step >>= 1u) {
        if (lid < step) { reduced[lid] += reduced[lid + step]; }
        workgroupBarrier();
    }
    let total = reduced[0];
    workgroupBarrier();
    return total;
}

// The greatest value of any thread, known to all of them.
fn max_of_all(value: f32, lid: u32) -> f32 {
    reduced[lid] = value;
    workgroupBarrier();
    for (var step = WG / 2u; step > 0u; step >>= 1u) {
        if (lid < step) { reduced[lid] = max(reduced[lid], reduced[lid + step]); }
        workgroupBarrier();
    }
    let most = reduced[0];
    workgroupBarrier();
    return most;
}
