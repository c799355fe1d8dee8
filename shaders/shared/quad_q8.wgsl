// A weight matrix in int8, four elements at a time; weight_q8.wgsl says how it is laid out. Places are words here.
@group(0) @binding(2) var<storage, read> w: array<u32>;

// Quants, and the pair of scales of which one is theirs.
struct Quad { quants: u32, scale: f32 }

// Columns 4 * k4 to 4 * k4 + 3 of a row.
fn quad(row: u32, k4: u32) -> Quad {
    let panel = (row >> 3u) * (68u * (params.n_cols >> 5u));
    let in_panel = row & 7u;
    let scales = w[panel + 2u * params.n_cols + 4u * (k4 >> 3u) + (in_panel >> 1u)];
    return Quad(w[panel + in_panel * (params.n_cols >> 2u) + k4], unpack2x16float(scales)[in_panel & 1u]);
}

fn widened(four: Quad) -> vec4<f32> {
    let tops = vec4<u32>(four.quants << 24u, four.quants << 16u, four.quants << 8u, four.quants);
    return vec4<f32>(bitcast<vec4<i32>>(tops) >> vec4<u32>(24u)) * four.scale;
}
