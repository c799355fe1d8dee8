// y[m, n] = act(x[m, :] . w[n, :] + bias[n]) + residual[m, n], for many rows: on an emulated GPU, and where rows are no vectors.
// Each thread makes 8 rows x 8 columns and reads for itself: no workgroup memory, no barrier. There what is read costs most, so that more
// outputs to a thread are faster, however many registers they take. Sums are named, since arrays of them may end up in memory.
override VECTORED: bool = true;  // n_cols is a multiple of 8, rows start at multiples of 4

fn x1(at: i32) -> f32 {
    if (BOUNDED) {
        if (at < 0 || at >= params.len) { return 0.0; }
    }
    return f32(x[at >> 2u][at & 3]);
}

fn x_at(at: i32) -> vec4<f32> {
    return vec4<f32>(x_quad(at));
}

fn start_of(m: u32) -> i32 {
    return params.first + i32(min(m, params.n_rows - 1u)) * params.stride;
}

// Four rows times a column.
fn dots(p: vec4<f32>, q: vec4<f32>, r: vec4<f32>, s: vec4<f32>, w: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(dot(p, w), dot(q, w), dot(r, w), dot(s, w));
}

@compute @workgroup_size(4, 4)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
    let n = 8u * gid.x;
    let m = 8u * gid.y;
    let x_0 = start_of(m + 0u);
    let x_1 = start_of(m + 1u);
    let x_2 = start_of(m + 2u);
    let x_3 = start_of(m + 3u);
    let x_4 = start_of(m + 4u);
    let x_5 = start_of(m + 5u);
    let x_6 = start_of(m + 6u);
    let x_7 = start_of(m + 7u);
    let last = params.n_out - 1u;
    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var b0 = vec4<f32>();
    var b1 = vec4<f32>();
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var d0 = vec4<f32>();
    var d1 = vec4<f32>();
    var e0 = vec4<f32>();
    var e1 = vec4<f32>();
    var f0 = vec4<f32>();
    var f1 = vec4<f32>();
    var g0 = vec4<f32>();
    var g1 = vec4<f32>();
    var h0 = vec4<f32>();
    var h1 = vec4<f32>();
    if (VECTORED) {
        for (var k = 0u; k < params.n_cols; k += 8u) {
            let at = i32(k);
            let lo0 = x_at(x_0 + at);
            let hi0 = x_at(x_0 + at + 4);
            let lo1 = x_at(x_1 + at);
            let hi1 = x_at(x_1 + at + 4);
            let lo2 = x_at(x_2 + at);
            let hi2 = x_at(x_2 + at + 4);
            let lo3 = x_at(x_3 + at);
            let hi3 = x_at(x_3 + at + 4);
            let lo4 = x_at(x_4 + at);
            let hi4 = x_at(x_4 + at + 4);
            let lo5 = x_at(x_5 + at);
            let hi5 = x_at(x_5 + at + 4);
            let lo6 = x_at(x_6 + at);
            let hi6 = x_at(x_6 + at + 4);
            let lo7 = x_at(x_7 + at);
            let hi7 = x_at(x_7 + at + 4);
            var w: Eight;
            w = w8(min(n + 0u, last), k >> 3u);
            a0 += dots(lo0, lo1, lo2, lo3, w.lo) + dots(hi0, hi1, hi2, hi3, w.hi);
            a1 += dots(lo4, lo5, lo6, lo7, w.lo) + dots(hi4, hi5, hi6, hi7, w.hi);
            w = w8(min(n + 1u, last), k >> 3u);
            b0 += dots(lo0, lo1, lo2, lo3, w.lo) + dots(hi0, hi1, hi2, hi3, w.hi);
            b1 += dots(lo4, lo5, lo6, lo7, w.lo) + dots(hi4, hi5, hi6, hi7, w.hi);
            w = w8(min(n + 2u, last), k >> 3u);
            c0 += dots(lo0, lo1, lo2, lo3, w.lo) + dots(hi0, hi1, hi2, hi3, w.hi);
            c1 += dots(lo4, lo5, lo6, lo7, w.lo) + dots(hi4, hi5, hi6, hi7, w.hi);
            w = w8(min(n + 3u, last), k >> 3u);
            d0 += dots(lo0, lo1, lo2, lo3, w.lo) + dots(hi0, hi1, hi2, hi3, w.hi);
            d1 += dots(lo4, lo5, lo6, lo7, w.lo) + dots(hi4, hi5, hi6, hi7, w.hi);
            w = w8(min(n + 4u, last), k >> 3u);
            e0 += dots(lo0, lo1, lo2, lo3, w.lo) + dots(hi0, hi1, hi2, hi3, w.hi);
            e1 += dots(lo4, lo5, lo6, lo7, w.lo) + dots(hi4, hi5, hi6, hi7, w.hi);
            w = w8(min(n + 5u, last), k >> 3u);
            f0 += dots(lo0, lo1, lo2, lo3, w.lo) + dots(hi0, hi1, hi2, hi3, w.hi);
            f1 += dots(lo4, lo5, lo6, lo7, w.lo) + dots(hi4, hi5, hi6, hi7, w.hi);
            w = w8(min(n + 6u, last), k >> 3u);
            g0 += dots(lo0, lo1, lo2, lo3, w.lo) + dots(hi0, hi1, hi2, hi3, w.hi);
            g1 += dots(lo4, lo5, lo6, lo7, w.lo) + dots(hi4, hi5, hi6, hi7, w.hi);
            w = w8(min(n + 7u, last), k >> 3u);
            h0 += dots(lo0, lo1, lo2, lo3, w.lo) + dots(hi0, hi1, hi2, hi3, w.hi);
            h1 += dots(lo4, lo5, lo6, lo7, w.lo) + dots(hi4, hi5, hi6, hi7, w.hi);
        }
    } else {
        for (var k = 0u; k < params.n_cols; k++) {
            let at = i32(k);
            let lo = vec4<f32>(x1(x_0 + at), x1(x_1 + at), x1(x_2 + at), x1(x_3 + at));
            let hi = vec4<f32>(x1(x_4 + at), x1(x_5 + at), x1(x_6 + at), x1(x_7 + at));
            var w: f32;
            w = w1(min(n + 0u, last), k);
            a0 += lo * w;
            a1 += hi * w;
            w = w1(min(n + 1u, last), k);
            b0 += lo * w;
            b1 += hi * w;
            w = w1(min(n + 2u, last), k);
            c0 += lo * w;
            c1 += hi * w;
            w = w1(min(n + 3u, last), k);
            d0 += lo * w;
            d1 += hi * w;
            w = w1(min(n + 4u, last), k);
            e0 += lo * w;
            e1 += hi * w;
            w = w1(min(n + 5u, last), k);
            f0 += lo * w;
            f1 += hi * w;
            w = w1(min(n + 6u, last), k);
            g0 += lo * w;
            g1 += hi * w;
            w = w1(min(n + 7u, last), k);
            h0 += lo * w;
            h1 += hi * w;
        }
    }
    var sums = array<vec4<f32>, 16>(a0, a1, b0, b1, c0, c1, d0, d1, e0, e1, f0, f1, g0, g1, h0, h1);
    for (var i = 0u; i < 64u; i++) { store_one(m + i % 8u, n + i / 8u, sums[i / 4u][i % 4u]); }
}
