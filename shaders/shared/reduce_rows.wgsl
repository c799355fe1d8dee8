// Reductions over rows of KG neighbouring threads, QG rows in a workgroup. Call them from uniform control flow; no thread leaves max_of_row before
// all have come there.
var<workgroup> reduced: array<vec4<f32>, QG * KG>; // [KG][QG]

// The greatest of each component in a row, known to all of its threads.
fn max_of_row(value: vec4<f32>, row: u32, place: u32) -> vec4<f32> {
    reduced[place * QG + row] = value;
    workgroupBarrier();
    var most = reduced[row];
    for (var g = 1u; g < KG; g++) { most = max(most, reduced[g * QG + row]); }
    return most;
}

// The sum of each component over a row, known to all of its threads.
fn sum_of_row(value: vec4<f32>, row: u32, place: u32) -> vec4<f32> {
    workgroupBarrier(); // Others may still read what was reduced before.
    reduced[place * QG + row] = value;
    workgroupBarrier();
    var total = vec4<f32>();
    for (var g = 0u; g < KG; g++) { total += reduced[g * QG + row]; }
    return total;
}
