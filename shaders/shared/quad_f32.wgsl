// A weight matrix in f32, four elements at a time. Rows have params.n_cols columns.
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;

alias Quad = vec4<f32>;

// Columns 4 * k4 to 4 * k4 + 3 of a row, as they are stored.
fn quad(row: u32, k4: u32) -> Quad {
    return w[row * (params.n_cols >> 2u) + k4];
}

fn widened(four: Quad) -> vec4<f32> {
    return four;
}
