// What the versions of attention over whole sequences are given.
// qkv: [n_seqs * seq_len, 3 * n_heads * HEAD_VECS * 4], bias: [n_heads, bias_cols], distance 0 in the middle column.
struct Params { seq_len: u32, n_heads: u32, scale: f32, bias_cols: u32 }
override HAS_LENGTHS: bool = false;
override HAS_BIAS: bool = false;
override CAUSAL: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4<x_t>>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<y_t>>;
