// What a thread of matvec.wgsl multiplies at a time: a group of 32 columns of a weight in int4, scaled as a whole.
const STEP = 32u;
struct Held { words: vec4<u32>, factors: vec2<f32> }

fn fetch(w_row: u32, group: u32) -> Held {
    return Held(w[quants_of(w_row) + group], scale_and_least_of(w_row, group));
}

// The product of a word's eight quants with columns k4 and k4 + 4, in vectors.
fn product_of(word: u32, k4: u32) -> f32 {
    return dot(halves_of(word), row[k4]) + dot(halves_of(word >> 4u), row[k4 + 4u]);
}

fn product(held: Held, group: u32) -> f32 {
    let words = held.words;
    let k4 = 8u * group;
    let sum = product_of(words.x, k4) + product_of(words.y, k4 + 1u) + product_of(words.z, k4 + 2u) + product_of(words.w, k4 + 3u);
    // The minimum is added to every weight, so it is multiplied by the sum of x.
    let total = (row[k4] + row[k4 + 1u] + row[k4 + 2u] + row[k4 + 3u]) + (row[k4 + 4u] + row[k4 + 5u] + row[k4 + 6u] + row[k4 + 7u]);
    return sum * held.factors.x + dot(total, vec4<f32>(1.0)) * held.factors.y;
}
