// What reduce.wgsl does, by subgroups: their threads are neighbours, and at least 16 (gpu/probe.rs tries both).
struct Thread {
    @builtin(local_invocation_index) idx: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(subgroup_invocation_id) lane: u32,
}
var<workgroup> reduced: array<f32, WG>;

// The sum of one value of every thread, known to all of them.
fn sum_of_all(value: f32, thread: Thread) -> f32 {
    let sum = subgroupAdd(value);
    if (thread.lane == 0u) { reduced[thread.idx / thread.size] = sum; }
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i * thread.size < WG; i++) { total += reduced[i]; }
    workgroupBarrier();
    return total;
}

// The greatest value of any thread, known to all of them.
fn max_of_all(value: f32, thread: Thread) -> f32 {
    let greatest = subgroupMax(value);
    if (thread.lane == 0u) { reduced[thread.idx / thread.size] = greatest; }
    workgroupBarrier();
    var most = reduced[0];
    for (var i = 1u; i * thread.size < WG; i++) { most = max(most, reduced[i]); }
    workgroupBarrier();
    return most;
}

// The sum over `n` neighbours, a power of two of at most 16, known to all of them.
fn sum_of_lanes(value: f32, n: u32, thread: Thread) -> f32 {
    var sum = value;
    for (var step = n / 2u; step > 0u; step >>= 1u) { sum += subgroupShuffleXor(sum, step); }
    return sum;
}
