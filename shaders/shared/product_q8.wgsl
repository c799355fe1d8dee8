// What a thread of matvec.wgsl multiplies at a time: a group of 32 columns of a weight in int8, scaled as a whole.
const STEP = 32u;

fn product(w_row: u32, group: u32) -> f32 {
    let at = quants_of(w_row) + 2u * group;
    let a = w[at];
    let b = w[at + 1u];
    let k4 = 8u * group;
    var sum = dot(bytes_of(a.x), row[k4]) + dot(bytes_of(a.y), row[k4 + 1u]);
    sum += dot(bytes_of(a.z), row[k4 + 2u]) + dot(bytes_of(a.w), row[k4 + 3u]);
    sum += dot(bytes_of(b.x), row[k4 + 4u]) + dot(bytes_of(b.y), row[k4 + 5u]);
    sum += dot(bytes_of(b.z), row[k4 + 6u]) + dot(bytes_of(b.w), row[k4 + 7u]);
    return sum * scale_of(w_row, group);
}
