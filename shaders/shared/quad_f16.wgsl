// A weight matrix in f16, four elements at a time, read without the shader-f16 feature. Rows have params.n_cols columns.
@group(0) @binding(2) var<storage, read> w: array<vec2<u32>>;

alias Quad = vec2<u32>;

// Columns 4 * k4 to 4 * k4 + 3 of a row, as they are stored.
fn quad(row: u32, k4: u32) -> Quad {
    return w[row * (params.n_cols >> 2u) + k4];
}

fn widened(four: Quad) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(four.x), unpack2x16float(four.y));
}
