//! `y[h, c] = table[buckets[c], h]`
//!
//! Operands: table `[N, H]`, buckets `[C]` (u32), y `[H, C]`.

use crate::step::Io;

pub(crate) fn n_tasks(_io: &Io, _n_threads: usize) -> usize {
    1
}

pub(crate) fn run(io: &Io, _task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let (table, buckets) = (io.read::<f32>(0), io.read::<u32>(1));
    let y = io.write_all::<f32>(2);
    let n_heads = y.len() / buckets.len();
    for (head, y) in y.chunks_exact_mut(buckets.len()).enumerate() {
        y.iter_mut().zip(buckets).for_each(|(y, &bucket)| *y = table[bucket as usize * n_heads + head]);
    }
}
