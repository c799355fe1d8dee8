// y[0] = y[0] + summand: the smallest dispatch that has to wait for the one before it. y: [1].
struct Params { summand: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(1)
fn main() {
    y[0] += params.summand;
}
