// The best token of a part of the vocabulary, and the sum of exponentials over that part.
struct Candidate {
    best: vec4<f32>, // score, token, its logit, greatest logit of the part
    sum: f32,        // sum of exp(logit - greatest)
}

fn merged(a: Candidate, b: Candidate) -> Candidate {
    var r = a;
    // The lower token wins a tie, as in argmax.
    if (b.best.x > a.best.x || (b.best.x == a.best.x && b.best.y < a.best.y)) {
        r.best = vec4<f32>(b.best.xyz, a.best.w);
    }
    r.best.w = max(a.best.w, b.best.w);
    r.sum = a.sum * exp(a.best.w - r.best.w) + b.sum * exp(b.best.w - r.best.w);
    return r;
}
