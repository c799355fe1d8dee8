// What a thread of matvec.wgsl multiplies at a time: a group of 32 columns of a weight in int8, scaled as a whole.
const STEP = 32u;
struct Held { a: vec4<u32>, b: vec4<u32>, scale: f32 }

fn fetch(w_row: u32, group: u32) -> Held {
    let at = quants_of(w_row) + 2u * group;
    return Held(w[at], w[at + 1u], scale_of(w_row, group));
}

fn product(held: Held, group: u32) -> f32 {
    let k4 = 8u * group;
    var sum = dot(bytes_of(held.a.x), row[k4]) + dot(bytes_of(held.a.y), row[k4 + 1u]);
    sum += dot(bytes_of(held.a.z), row[k4 + 2u]) + dot(bytes_of(held.a.w), row[k4 + 3u]);
    sum += dot(bytes_of(held.b.x), row[k4 + 4u]) + dot(bytes_of(held.b.y), row[k4 + 5u]);
    sum += dot(bytes_of(held.b.z), row[k4 + 6u]) + dot(bytes_of(held.b.w), row[k4 + 7u]);
    return sum * held.scale;
}
