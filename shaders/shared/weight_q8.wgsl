// A weight matrix in int8 (kernels/src/quantize.rs), in panels of eight rows of params.n_cols columns: the quants row by row, then the
// rows' scales for each group of 32 columns, eight halves.
@group(0) @binding(2) var<storage, read> w: array<vec4<u32>>;

struct Eight { lo: vec4<f32>, hi: vec4<f32> }

// Where a row's panel begins.
fn panel_of(row: u32) -> u32 {
    return (row >> 3u) * (17u * (params.n_cols >> 5u));
}

// Where a row's quants begin.
fn quants_of(row: u32) -> u32 {
    return panel_of(row) + (row & 7u) * (params.n_cols >> 4u);
}

fn scale_of(row: u32, group: u32) -> f32 {
    let word = w[panel_of(row) + (params.n_cols >> 1u) + group][(row & 7u) >> 1u];
    return unpack2x16float(word)[row & 1u];
}

// The four signed bytes of a word.
fn bytes_of(word: u32) -> vec4<f32> {
    let tops = vec4<u32>(word << 24u, word << 16u, word << 8u, word);
    return vec4<f32>(bitcast<vec4<i32>>(tops) >> vec4<u32>(24u));
}

// Columns 8 * k8 to 8 * k8 + 7 of a row.
fn w8(row: u32, k8: u32) -> Eight {
    let sixteen = w[quants_of(row) + (k8 >> 1u)];
    let words = select(sixteen.xy, sixteen.zw, (k8 & 1u) == 1u);
    let scale = scale_of(row, k8 >> 2u);
    return Eight(bytes_of(words.x) * scale, bytes_of(words.y) * scale);
}

fn w1(row: u32, k: u32) -> f32 {
    let word = w[quants_of(row) + (k >> 4u)][(k >> 2u) & 3u];
    return bytes_of(word)[k & 3u] * scale_of(row, k >> 5u);
}
