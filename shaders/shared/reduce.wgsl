// Reductions over a workgroup of WG threads, WG a power of two. Call them from uniform control flow.
struct Thread { @builtin(local_invocation_index) idx: u32 }
var<workgroup> reduced: array<f32, WG>;

// The sum of one value of every thread, known to all of them.
fn sum_of_all(value: f32, thread: Thread) -> f32 {
    reduced[thread.idx] = value;
    workgroupBarrier();
    for (var step = WG / 2u; step > 0u; step >>= 1u) {
        if (thread.idx < step) { reduced[thread.idx] += reduced[thread.idx + step]; }
        workgroupBarrier();
    }
    let total = reduced[0];
    workgroupBarrier();
    return total;
}

// The greatest value of any thread, known to all of them.
fn max_of_all(value: f32, thread: Thread) -> f32 {
    reduced[thread.idx] = value;
    workgroupBarrier();
    for (var step = WG / 2u; step > 0u; step >>= 1u) {
        if (thread.idx < step) { reduced[thread.idx] = max(reduced[thread.idx], reduced[thread.idx + step]); }
        workgroupBarrier();
    }
    let most = reduced[0];
    workgroupBarrier();
    return most;
}

// The sum over `n` neighbours, a power of two, known to the first of them.
fn sum_of_lanes(value: f32, n: u32, thread: Thread) -> f32 {
    if (n == 1u) { return value; }
    reduced[thread.idx] = value;
    workgroupBarrier();
    for (var step = n / 2u; step > 0u; step >>= 1u) {
        if (thread.idx % n < step) { reduced[thread.idx] += reduced[thread.idx + step]; }
        workgroupBarrier();
    }
    return reduced[thread.idx];
}
