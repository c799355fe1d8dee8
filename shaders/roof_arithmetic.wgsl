// x = x * factor + summand, n_steps times 4 times: how fast a GPU multiplies and adds. A thread has 32 such chains, none of which waits
// for another. y: [1], the sum of the first thread's chains; with factor 1/2 and summand 1 each comes to 2.
struct Params { n_steps: u32, factor: f32, summand: f32, never: f32 }
const WG = 256u; // threads of a workgroup
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let factor = vec4<elem>(elem(params.factor));
    let summand = vec4<elem>(elem(params.summand));
    let start = vec4<elem>(vec4<f32>(0.0, 0.25, 0.5, 0.75) + f32(lid) / 256.0);
    var x0 = start;
    var x1 = start + elem(1.0);
    var x2 = start + elem(2.0);
    var x3 = start + elem(3.0);
    var x4 = start + elem(4.0);
    var x5 = start + elem(5.0);
    var x6 = start + elem(6.0);
    var x7 = start + elem(7.0);
    for (var i = 0u; i < params.n_steps; i++) {
        for (var j = 0u; j < 4u; j++) {
            x0 = fma(x0, factor, summand);
            x1 = fma(x1, factor, summand);
            x2 = fma(x2, factor, summand);
            x3 = fma(x3, factor, summand);
            x4 = fma(x4, factor, summand);
            x5 = fma(x5, factor, summand);
            x6 = fma(x6, factor, summand);
            x7 = fma(x7, factor, summand);
        }
    }
    let all = ((x0 + x1) + (x2 + x3)) + ((x4 + x5) + (x6 + x7));
    let sum = f32((all.x + all.y) + (all.z + all.w));
    // No sum is `never`, but a compiler cannot know: no thread's chains may be left out.
    if (id.x == 0u || sum == params.never) { y[0] = sum; }
}
