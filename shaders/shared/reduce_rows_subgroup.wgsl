// What reduce_rows.wgsl does, by subgroups: a row of at most eight threads is no longer than the smallest. Written out, since steps that a loop counts
// are no constants to compilers.

// The greatest of each component in a row, known to all of its threads.
fn max_of_row(value: vec4<f32>, row: u32, place: u32) -> vec4<f32> {
    var most = value;
    if (KG > 1u) { most = max(most, subgroupShuffleXor(most, 1u)); }
    if (KG > 2u) { most = max(most, subgroupShuffleXor(most, 2u)); }
    if (KG > 4u) { most = max(most, subgroupShuffleXor(most, 4u)); }
    workgroupBarrier();
    return most;
}

// The sum of each component over a row, known to all of its threads.
fn sum_of_row(value: vec4<f32>, row: u32, place: u32) -> vec4<f32> {
    var total = value;
    if (KG > 1u) { total += subgroupShuffleXor(total, 1u); }
    if (KG > 2u) { total += subgroupShuffleXor(total, 2u); }
    if (KG > 4u) { total += subgroupShuffleXor(total, 4u); }
    return total;
}
