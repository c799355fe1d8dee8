// What a thread of matvec.wgsl multiplies at a time: eight columns of a weight in floats.
const STEP = 8u;
alias Held = Eight;

fn fetch(w_row: u32, step: u32) -> Held {
    return w8(w_row, step);
}

fn product(held: Held, step: u32) -> f32 {
    return dot(held.lo, row[2u * step]) + dot(held.hi, row[2u * step + 1u]);
}
