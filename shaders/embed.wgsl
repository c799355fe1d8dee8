// y[r, :] = table[id, :] + positions[p, :] + extra. One workgroup per row. Ids outside first_id..end_id are left to the
// dispatch that has their part of the table. While decoding each sequence has n_rows rows and n_ids ids.
struct Params { n_cols: u32, seq_len: u32, first: u32, n_ids: u32, n_rows: u32, n_positions: u32, vocab: u32, first_id: u32, end_id: u32 }
override HAS_POSITIONS: bool = true;
override HAS_EXTRA: bool = false;
override HAS_STATE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
// binding 2: the table, by a file weight_*.wgsl
@group(0) @binding(3) var<storage, read> positions: array<f32>;
@group(0) @binding(4) var<storage, read> extra: array<f32>;
@group(0) @binding(5) var<storage, read> states: array<DecodeState>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let row = wid.x;
    var at = min(row, params.n_ids - 1u);
    var position = row;
    if (HAS_STATE) {
        let seq = row / params.n_rows;
        position = states[seq].position + row % params.n_rows;
        at = seq * params.n_ids + min(position, params.n_ids - 1u);
    } else {
        position = params.first + row % params.seq_len;
    }
    let id = min(ids[at], params.vocab - 1u);
    if (id < params.first_id || id >= params.end_id) { return; }
    let n_cols = params.n_cols;
    let place = min(position, max(params.n_positions, 1u) - 1u) * n_cols;
    for (var c = lid; c < n_cols; c += 64u) {
        var v = w1(id - params.first_id, c);
        if (HAS_POSITIONS) { v += positions[place + c]; }
        if (HAS_EXTRA) { v += extra[c]; }
        y[row * n_cols + c] = v;
    }
}
