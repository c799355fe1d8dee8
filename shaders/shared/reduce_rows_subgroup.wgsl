// What reduce_rows.wgsl does, by subgroups: a row is no longer than the smallest.

// The greatest of each component in a row, known to all of its threads.
fn max_of_row(value: vec4<f32>, row: u32, place: u32) -> vec4<f32> {
    var most = value;
    for (var step = 1u; step < KG; step <<= 1u) { most = max(most, subgroupShuffleXor(most, step)); }
    workgroupBarrier();
    return most;
}

// The sum of each component over a row, known to all of its threads.
fn sum_of_row(value: vec4<f32>, row: u32, place: u32) -> vec4<f32> {
    var total = value;
    for (var step = 1u; step < KG; step <<= 1u) { total += subgroupShuffleXor(total, step); }
    return total;
}
