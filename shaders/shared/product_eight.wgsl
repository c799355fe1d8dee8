// What a thread of matvec.wgsl multiplies at a time: eight columns of a weight in floats.
const STEP = 8u;

fn product(w_row: u32, step: u32) -> f32 {
    let eight = w8(w_row, step);
    return dot(eight.lo, row[2u * step]) + dot(eight.hi, row[2u * step + 1u]);
}
