// A weight matrix in int4, four elements at a time; weight_q4.wgsl says how it is laid out. Places are words here.
@group(0) @binding(2) var<storage, read> w: array<u32>;

// Quants in the low halves of bytes, scale and minimum.
struct Quad { quants: u32, scale: f32, least: f32 }

// Columns 4 * k4 to 4 * k4 + 3 of a row.
fn quad(row: u32, k4: u32) -> Quad {
    let panel = (row >> 3u) * (40u * (params.n_cols >> 5u));
    let in_panel = row & 7u;
    let group = k4 >> 3u;
    let quants = w[panel + in_panel * (params.n_cols >> 3u) + 4u * group + (k4 & 3u)] >> (k4 & 4u);
    let factors = panel + params.n_cols + 8u * group + (in_panel >> 1u);
    let odd = in_panel & 1u;
    return Quad(quants, unpack2x16float(w[factors])[odd], unpack2x16float(w[factors + 4u])[odd]);
}

fn widened(four: Quad) -> vec4<f32> {
    let quants = vec4<u32>(four.quants, four.quants >> 8u, four.quants >> 16u, four.quants >> 24u) & vec4<u32>(15u);
    return vec4<f32>(quants) * four.scale + four.least;
}
