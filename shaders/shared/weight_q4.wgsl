// A weight matrix in int4 (kernels/src/quantize.rs), in panels of eight rows of params.n_cols columns: the quants row by row, 16 bytes for
// each group of 32 columns, the low halves of which are its first 16; then for each group the rows' scales and their minima, eight
// halves each.
@group(0) @binding(2) var<storage, read> w: array<vec4<u32>>;

struct Eight { lo: vec4<f32>, hi: vec4<f32> }

// Where a row's panel begins.
fn panel_of(row: u32) -> u32 {
    return (row >> 3u) * (10u * (params.n_cols >> 5u));
}

// Where a row's quants begin: a vector for each group.
fn quants_of(row: u32) -> u32 {
    return panel_of(row) + (row & 7u) * (params.n_cols >> 5u);
}

// A group's scale and minimum.
fn scale_and_least_of(row: u32, group: u32) -> vec2<f32> {
    let at = panel_of(row) + (params.n_cols >> 2u) + 2u * group;
    let word = (row & 7u) >> 1u;
    return vec2<f32>(unpack2x16float(w[at][word])[row & 1u], unpack2x16float(w[at + 1u][word])[row & 1u]);
}

// The low halves of a word's four bytes; of the word shifted by four, the high ones.
fn halves_of(word: u32) -> vec4<f32> {
    return vec4<f32>(vec4<u32>(word, word >> 8u, word >> 16u, word >> 24u) & vec4<u32>(15u));
}

// Columns 8 * k8 to 8 * k8 + 7 of a row.
fn w8(row: u32, k8: u32) -> Eight {
    let group = w[quants_of(row) + (k8 >> 2u)];
    let words = select(group.xy, group.zw, (k8 & 1u) == 1u) >> vec2<u32>(2u * (k8 & 2u));
    let factors = scale_and_least_of(row, k8 >> 2u);
    return Eight(halves_of(words.x) * factors.x + factors.y, halves_of(words.y) * factors.x + factors.y);
}

fn w1(row: u32, k: u32) -> f32 {
    let word = w[quants_of(row) + (k >> 5u)][(k >> 2u) & 3u];
    let factors = scale_and_least_of(row, k >> 5u);
    return halves_of(word >> ((k & 16u) >> 2u))[k & 3u] * factors.x + factors.y;
}
