// y[r, :] = x[rows[r], :], a row past the end clamped. One workgroup per row.
struct Params { n_cols: u32, n_rows: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let n_cols = params.n_cols;
    let row = min(rows[wid.x], params.n_rows - 1u);
    for (var c = lid; c < n_cols; c += 64u) { y[wid.x * n_cols + c] = x[row * n_cols + c]; }
}
