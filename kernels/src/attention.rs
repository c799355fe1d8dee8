//! `softmax(scale * q . k + bias) . v` for every head and position of whole sequences, without ever storing the scores.
//!
//! Operands: qkv `[B * T, 3 * D]`, each row query, key and value of one position, D = H heads of size E; lengths `[B]`, u32, how many
//! positions of each sequence are real, or none; bias `[H, 2 N - 1]`, added by distance, that of zero in the middle, or none; y
//! `[B * T, D]`.
//!
//! A task is some queries of one head. It passes the keys and values in stretches that stay in a second-level cache, with a running
//! maximum and sum per query (Milakov and Gimelshein 2018, arXiv 1805.02867). Both products are made by `gemm.rs`; the tiles of the
//! first are, as they stand, the left operand of the second: `[row][column]` of the one is `[row][step]` of the other.

use crate::gemm::{self, BlockA, BlockB, COLS, ROWS, STEPS, Tile, padded};
use crate::math::exp2;
use crate::simd::{Eight, F32x4, load8, store8};
use crate::step::Io;
use bytemuck::{Pod, Zeroable};
use core::ops::Range;

/// Of an attention.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// T
    pub seq_len: u32,
    /// H
    pub n_heads: u32,
    /// E
    pub head_size: u32,
    /// Of the products.
    pub scale: f32,
    /// 1 where a query sees nothing behind itself.
    pub causal: u32,
}

/// Floats that a stretch of keys and values may have.
const STRETCH_FLOATS: usize = 64 << 10;
/// Queries of a task at most.
const MOST_QUERIES: usize = 1500;
/// Fewer queries would not repay the packing of keys and values.
const LEAST_QUERIES: usize = 96;
/// A score that weighs nothing, for the columns past the last key.
const NOTHING: f32 = -1e30;

/// What is attended to, and how it is cut into tasks.
struct Attention<'a> {
    qkv: &'a [f32],
    lengths: Option<&'a [u32]>,
    bias: Option<&'a [f32]>,
    seq_len: usize,
    n_heads: usize,
    /// E
    size: usize,
    scale: f32,
    causal: bool,
    /// Queries of a task.
    queries: usize,
    /// Tasks of a head and sequence.
    n_cuts: usize,
}

pub(crate) fn n_tasks(io: &Io, n_threads: usize) -> usize {
    let attention = Attention::new(io, n_threads);
    attention.n_seqs() * attention.n_heads * attention.n_cuts
}

pub(crate) fn run(io: &Io, task: usize, n_threads: usize, scratch: &mut [f32]) {
    let attention = Attention::new(io, n_threads);
    let (head, cut) = (task / attention.n_cuts, task % attention.n_cuts);
    let (seq, head) = (head / attention.n_heads, head % attention.n_heads);
    let first = cut * attention.queries;
    let queries = first..(first + attention.queries).min(attention.seq_len);
    attention.attend(io, seq, head, queries, scratch);
}

impl<'a> Attention<'a> {
    fn new(io: &Io<'a>, n_threads: usize) -> Self {
        let p: Params = io.params();
        let (seq_len, n_heads, size) = (p.seq_len as usize, p.n_heads as usize, p.head_size as usize);
        let qkv = io.read::<f32>(0);
        let n_heads_in_all = qkv.len() / (seq_len * 3 * size);
        // About four tasks for each thread, as threads do not run at one speed.
        let wanted = if n_threads == 1 { 1 } else { (4 * n_threads).div_ceil(n_heads_in_all) };
        let queries = seq_len.div_ceil(wanted).clamp(LEAST_QUERIES, MOST_QUERIES).next_multiple_of(ROWS);
        Self {
            qkv,
            lengths: io.optional(1),
            bias: io.optional(2),
            seq_len,
            n_heads,
            size,
            scale: p.scale,
            causal: p.causal == 1,
            queries,
            n_cuts: seq_len.div_ceil(queries),
        }
    }

    fn n_seqs(&self) -> usize {
        self.qkv.len() / (self.seq_len * 3 * self.n_heads * self.size)
    }

    /// Query (0), key (1) or value (2) of a position.
    fn part(&self, position: usize, which: usize, head: usize) -> &'a [f32] {
        let d = self.n_heads * self.size;
        &self.qkv[position * 3 * d + which * d + head * self.size..][..self.size]
    }

    /// The queries of one head.
    fn attend(&self, io: &Io, seq: usize, head: usize, queries: Range<usize>, scratch: &mut [f32]) {
        let first = seq * self.seq_len;
        let n_real = self.lengths.map_or(self.seq_len, |lengths| (lengths[seq] as usize).min(self.seq_len));
        let n_keys = if self.causal { n_real.min(queries.end) } else { n_real };
        let rows = |query: usize| first + query..first + (query + ROWS).min(queries.end);
        if n_keys == 0 {
            (first + queries.start..first + queries.end)
                .for_each(|row| self.output(io, row, head, 0..self.size).fill(0.0));
        }
        let e_blocks = gemm::n_blocks(self.size);
        let most_keys = STRETCH_FLOATS / (2 * e_blocks * STEPS);
        let stretch = n_keys.div_ceil(n_keys.div_ceil(most_keys).max(1)).next_multiple_of(STEPS);
        let key_blocks = stretch / STEPS;
        let (running, rest) = scratch.split_at_mut(2 * self.queries);
        let (buffer, rest) = rest.split_at_mut(self.size);
        let (q, rest) = gemm::split_a(rest, e_blocks);
        let (scores, rest) = gemm::split_a(rest, key_blocks);
        let (k, rest) = gemm::split_b(rest, key_blocks * e_blocks);
        let (v, _) = gemm::split_b(rest, key_blocks * e_blocks);

        for start in (0..n_keys).step_by(stretch.max(1)) {
            let keys = start..(start + stretch).min(n_keys);
            let key_blocks = gemm::n_blocks(keys.len());
            let (scores, is_last) = (&mut scores[..key_blocks], keys.end == n_keys);
            let (k, v) = (&mut k[..key_blocks * e_blocks], &mut v[..key_blocks * e_blocks]);
            self.pack_keys(first, head, keys.clone(), k);
            self.pack_values(first, head, keys.clone(), v);
            let tiles = queries.clone().step_by(ROWS).zip(running.as_chunks_mut::<{ 2 * ROWS }>().0);
            for (query, running) in tiles {
                let rows = rows(query);
                self.pack_queries(rows.clone(), head, buffer, q);
                score(q, k, keys.len(), scores);
                self.place(scores, head, query, keys.clone());
                let softmax = weigh(scores, running, start == 0);
                for (v, e) in v.chunks_exact(key_blocks).zip((0..self.size).step_by(COLS)) {
                    let mut tile: Tile = [[0.0; COLS]; ROWS];
                    gemm::tile(scores, v, &mut tile);
                    let cols = e..(e + COLS).min(self.size);
                    for ((row, sums), softmax) in rows.clone().zip(&tile).zip(&softmax) {
                        let y = self.output(io, row, head, cols.clone());
                        accumulate(y, load8(sums), softmax, start == 0, is_last);
                    }
                }
            }
        }
    }

    /// Some columns of a head's output.
    fn output<'y>(&self, io: &Io<'y>, row: usize, head: usize, cols: Range<usize>) -> &'y mut [f32] {
        let at = (row * self.n_heads + head) * self.size;
        io.write(3, at + cols.start..at + cols.end)
    }

    /// Queries as rows of A, scaled so that the weights are powers of two.
    fn pack_queries(&self, rows: Range<usize>, head: usize, buffer: &mut [f32], to: &mut [BlockA]) {
        let scale = core::f32::consts::LOG2_E * self.scale;
        for (r, row) in rows.clone().enumerate() {
            for (to, q) in buffer.iter_mut().zip(self.part(row, 0, head)) {
                *to = q * scale;
            }
            gemm::pack_a(r, buffer, to);
        }
        (rows.len()..ROWS).for_each(|r| gemm::clear_a(r, to));
    }

    /// Adds to the scores what the places of query and key say: the bias of their distance, and nothing for what is behind the query.
    fn place(&self, scores: &mut [Tile], head: usize, query: usize, keys: Range<usize>) {
        let last = self.seq_len - 1;
        if let Some(bias) = self.bias {
            let bias = &bias[head * (bias.len() / self.n_heads)..][..bias.len() / self.n_heads];
            for (tile, key) in scores.iter_mut().zip(keys.clone().step_by(COLS)) {
                for (r, row) in tile.iter_mut().enumerate() {
                    // Rows and columns past the end are computed and ignored.
                    let first = bias.len() / 2 + key - (query + r).min(last);
                    let n = COLS.min(keys.end - key);
                    for (score, bias) in row.iter_mut().zip(&bias[first..][..n]) {
                        *score += bias * core::f32::consts::LOG2_E;
                    }
                }
            }
        }
        if self.causal {
            for (tile, key) in scores.iter_mut().zip(keys.step_by(COLS)) {
                for (r, row) in tile.iter_mut().enumerate() {
                    let n_seen = (query + r + 1).saturating_sub(key).min(COLS);
                    row[n_seen..].fill(NOTHING);
                }
            }
        }
    }

    /// Keys as columns of B, of `E` steps.
    #[inline(never)]
    fn pack_keys(&self, first: usize, head: usize, keys: Range<usize>, to: &mut [BlockB]) {
        for (to, key) in to.chunks_exact_mut(gemm::n_blocks(self.size)).zip(keys.clone().step_by(COLS)) {
            let n = COLS.min(keys.end - key);
            gemm::pack_b(to, n, |col, block| load8(&padded(self.part(first + key + col, 1, head), block)));
        }
    }

    /// Values as steps of B, of `E` columns.
    #[inline(never)]
    fn pack_values(&self, first: usize, head: usize, keys: Range<usize>, to: &mut [BlockB]) {
        for (panel, to) in to.chunks_exact_mut(gemm::n_blocks(keys.len())).enumerate() {
            let steps = to.as_flattened_mut();
            for (step, key) in steps.iter_mut().zip(keys.clone()) {
                *step = padded(self.part(first + key, 2, head), panel);
            }
            steps[keys.len()..].fill([0.0; COLS]);
        }
    }
}

/// Scores of a tile of queries, in tiles of eight keys.
#[inline(never)]
fn score(q: &[BlockA], k: &[BlockB], n_keys: usize, scores: &mut [Tile]) {
    for (k, scores) in k.chunks_exact(q.len()).zip(scores.iter_mut()) {
        *scores = [[0.0; COLS]; ROWS];
        gemm::tile(q, k, scores);
    }
    if let (Some(last), rest @ 1..) = (scores.last_mut(), n_keys % COLS) {
        last.iter_mut().for_each(|row| row[rest..].fill(NOTHING));
    }
}

/// What becomes of a query's output when another stretch of keys is added.
#[derive(Clone, Copy)]
struct Softmax {
    /// For what is there: by how much the maximum has risen.
    correction: f32,
    /// For the sum, at the end: one over the sum of the weights.
    norm: f32,
}

/// Turns scores into weights, in place, and brings the running maxima and sums up to date.
#[inline(never)]
fn weigh(scores: &mut [Tile], running: &mut [f32; 2 * ROWS], is_first: bool) -> [Softmax; ROWS] {
    core::array::from_fn(|row| {
        let [max, sum] = &mut running.as_chunks_mut::<2>().0[row];
        if is_first {
            (*max, *sum) = (NOTHING, 0.0);
        }
        let mut most = [F32x4::splat(*max); 2];
        for tile in scores.iter() {
            let scores = load8(&tile[row]);
            most = [most[0].max(scores[0]), most[1].max(scores[1])];
        }
        let new_max = most[0].max(most[1]).to_array().into_iter().fold(*max, f32::max);
        let negative = F32x4::splat(new_max);
        let mut sums = [F32x4::ZERO; 2];
        for tile in scores.iter_mut() {
            let weights = load8(&tile[row]).map(|score| exp2(score - negative));
            store8(weights, &mut tile[row]);
            sums = [sums[0] + weights[0], sums[1] + weights[1]];
        }
        let correction = exp2(F32x4::splat(*max - new_max)).to_array()[0];
        *sum = *sum * correction + (sums[0] + sums[1]).sum();
        *max = new_max;
        Softmax { correction, norm: 1.0 / *sum }
    })
}

/// Adds a stretch's part to up to eight neighbours of y.
#[inline(always)]
fn accumulate(y: &mut [f32], mut sums: Eight, softmax: &Softmax, is_first: bool, is_last: bool) {
    if !is_first {
        let correction = F32x4::splat(softmax.correction);
        let before = load8(&padded(y, 0));
        sums = [before[0].madd(correction, sums[0]), before[1].madd(correction, sums[1])];
    }
    if is_last {
        sums = sums.map(|v| v * F32x4::splat(softmax.norm));
    }
    let mut eight = [0.0; 8];
    store8(sums, &mut eight);
    y.copy_from_slice(&eight[..y.len()]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{assert_near, noise, run};
    use crate::{Call, Kernel};

    /// Every query's weighted mean, as defined.
    fn attention(qkv: &[f32], lengths: &[u32], p: Params, bias: &[f32]) -> Vec<f64> {
        let (t, n_heads, e) = (p.seq_len as usize, p.n_heads as usize, p.head_size as usize);
        let d = n_heads * e;
        let part = |row: usize, which: usize, head: usize| &qkv[row * 3 * d + which * d + head * e..][..e];
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let mut y = Vec::new();
        for row in 0..qkv.len() / (3 * d) {
            let n_keys = (lengths[row / t] as usize).min(if p.causal == 1 { row % t + 1 } else { t });
            let keys = row / t * t..row / t * t + n_keys;
            let n_cols = bias.len() / n_heads;
            for head in 0..n_heads {
                let score = |key: usize| {
                    let product = dot(part(row, 0, head), part(key, 1, head)) * f64::from(p.scale);
                    let column = head * n_cols + n_cols / 2 + key;
                    product + if bias.is_empty() { 0.0 } else { f64::from(bias[column - row]) }
                };
                let scores: Vec<f64> = keys.clone().map(score).collect();
                let max = scores.iter().copied().fold(f64::MIN, f64::max);
                let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
                let value = |i| {
                    let terms = keys.clone().zip(&scores);
                    terms.map(|(key, s)| (s - max).exp() * f64::from(part(key, 2, head)[i])).sum::<f64>()
                };
                y.extend((0..e).map(|i| if sum > 0.0 { value(i) / sum } else { 0.0 }));
            }
        }
        y
    }

    fn params(t: usize, n_heads: usize, e: usize) -> Params {
        let scale = 1.0 / (e as f32).sqrt();
        Params { seq_len: t as u32, n_heads: n_heads as u32, head_size: e as u32, scale, causal: 0 }
    }

    fn check(t: usize, n_heads: usize, e: usize, lengths: Option<&[u32]>, n_threads: usize) {
        check_with(params(t, n_heads, e), lengths, &[], n_threads);
    }

    fn check_with(p: Params, lengths: Option<&[u32]>, bias: &[f32], n_threads: usize) {
        let (t, n_heads, e) = (p.seq_len as usize, p.n_heads as usize, p.head_size as usize);
        let n_seqs = lengths.map_or(1, <[u32]>::len);
        let qkv = noise(n_seqs * t * 3 * n_heads * e, 11);
        let all = vec![t as u32; n_seqs];
        let expected = attention(&qkv, lengths.unwrap_or(&all), p, bias);
        let lengths = lengths.map_or(&[][..], |l| bytemuck::cast_slice(l));
        let inputs = [bytemuck::cast_slice(&qkv), lengths, bytemuck::cast_slice(bias)];
        let got = run(Call::new(Kernel::Attention, p), &inputs, expected.len(), n_threads);
        // Scores reach 50, sums of products of up to 400, and values 20.
        assert_near(&got, &expected, 20.0, 1e-5, &format!("{t} positions, {n_heads} heads of {e}"));
    }

    #[test]
    fn sequences_of_awkward_lengths() {
        for (t, n_heads, e) in [(1, 1, 4), (7, 2, 12), (64, 6, 64), (65, 1, 8), (383, 2, 64)] {
            check(t, n_heads, e, None, 1);
            check(t, n_heads, e, None, 2);
        }
    }

    /// Several stretches of keys, in which the running maximum rises and stays.
    #[test]
    fn a_sequence_of_several_stretches() {
        check(1500, 1, 64, None, 3);
    }

    #[test]
    fn padding_is_not_attended_to() {
        check(65, 2, 12, Some(&[65, 1, 0, 33]), 2);
    }

    #[test]
    fn a_causal_query_sees_nothing_behind_itself() {
        for (t, n_heads, e) in [(1, 1, 4), (77, 8, 64), (383, 2, 12), (1500, 1, 64)] {
            check_with(Params { causal: 1, ..params(t, n_heads, e) }, None, &[], 2);
        }
        check_with(Params { causal: 1, ..params(65, 2, 12) }, Some(&[65, 1, 0, 33]), &[], 2);
    }

    #[test]
    fn scores_are_shifted_by_distance() {
        for (t, n_heads, e, n) in [(1, 1, 4, 1), (32, 4, 64, 40), (383, 2, 12, 383), (1200, 1, 64, 1200)] {
            let bias = noise(n_heads * (2 * n - 1), 5);
            check_with(Params { scale: 0.1, ..params(t, n_heads, e) }, None, &bias, 2);
            check_with(Params { causal: 1, ..params(t, n_heads, e) }, Some(&[t as u32, t as u32 / 2]), &bias, 1);
        }
    }

    /// Scores of thousands: the weights of all keys but one are nothing, and none is infinite.
    #[test]
    fn one_key_takes_all() {
        let (t, e) = (65, 4);
        let qkv: Vec<f32> = noise(t * 3 * e, 12).iter().map(|v| v * 200.0).collect();
        let params = params(t, 1, e);
        let expected = attention(&qkv, &[t as u32], params, &[]);
        let inputs = [bytemuck::cast_slice(&qkv), &[], &[]];
        let got = run(Call::new(Kernel::Attention, params), &inputs, expected.len(), 1);
        assert_near(&got, &expected, 4000.0, 1e-4, "large scores");
    }
}
