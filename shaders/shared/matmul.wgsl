// What the versions of the matrix product are given. Row m of x starts at element first + m * stride; elements outside 0..len are zero,
// so a convolution is windows that overlap.
struct Params { n_rows: u32, n_out: u32, n_cols: u32, stride: i32, first: i32, len: i32, y_first: u32, y_stride: u32 }
override BOUNDED: bool = false;  // windows may reach over the ends
override HAS_BIAS: bool = false;
override HAS_RESIDUAL: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<x_t>>;
// binding 2: w, by a file weight_*.wgsl
// bindings 3 to 5: bias, residual and y, by outputs.wgsl or output_quads.wgsl

// Four elements of x, as it is stored.
fn x_quad(at: i32) -> vec4<x_t> {
    if (BOUNDED) {
        if (at < 0 || at >= params.len) { return vec4<x_t>(); }
    }
    return x[at >> 2u];
}
