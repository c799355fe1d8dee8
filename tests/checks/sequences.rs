//! Ops that decode several sequences at once: each sequence comes out as it does alone, by its own state and in its own place.

use super::{F32, at, kept, named, rules, state_at};
use rill::engine::check::{Tolerance, check, floats, noise, recorder};
use rill::engine::graph::{Recorder, Tensor};
use rill::engine::ops::attention_cached::CachedOptions;
use rill::engine::ops::attention_cross::CrossOptions;
use rill::engine::ops::decode_state::{self, DecodeState};
use rill::engine::ops::embed::Positions;
use rill::engine::ops::row_at::Row;
use rill::engine::session::Device;
use rill::engine::tensor::{DType, TensorType};
use rill::engine::{Error, Result};

fn decode_states(recorder: &Recorder, states: &[DecodeState]) -> Tensor {
    recorder.constant("decode states", decode_state::ty_of(states.len()), bytemuck::cast_slice::<_, u32>(states))
}

/// States at positions of their own, with so many rows each.
fn states_at(n_seqs: usize, n_rows: usize) -> Vec<DecodeState> {
    [5, 0, 57].into_iter().take(n_seqs).map(|position| state_at(position, n_rows as u32)).collect()
}

pub async fn attention_cached_keeps_sequences_apart(device: &Device) -> Result<()> {
    for (n_seqs, n_regions, n_rows, shifted) in
        [(1, 3, 1, false), (2, 2, 1, true), (3, 3, 1, false), (3, 3, 4, true), (2, 3, 4, false)]
    {
        check(device, 1, F32, |r| {
            let (heads, d, capacity) = (2, 64, 64);
            let qkv = at(r, "qkv", [n_seqs * n_rows, 3 * d], 1);
            let cache = at(r, "cache", [n_regions, 2 * capacity, d], 2);
            let bias = at(r, "bias", [heads, 2 * capacity - 1], 3);
            let states = decode_states(r, &states_at(n_seqs, n_rows));
            let options = CachedOptions { bias: shifted.then_some(&bias), ..Default::default() };
            let mut all = kept(qkv.attention_cached(&cache, &states, heads, options)?)?;
            all.push(cache);
            Ok(all)
        })
        .await
        .map_err(|e| named(e, format!("{n_seqs} sequences of {n_rows} rows in {n_regions} caches")))?;
    }
    Ok(())
}

pub async fn attention_cross_looks_at_each_ones_region(device: &Device) -> Result<()> {
    for (n_regions, n_rows, region, lengths) in [
        (1, 1, None, None),
        (2, 2, None, None),
        (3, 3, None, Some([50, 1, 37])),
        (3, 12, None, Some([9, 50, 77])),
        (3, 1, Some(2), None),
        (3, 4, Some(1), Some([50, 13, 1])),
    ] {
        check(device, 1, F32, |r| {
            let q = at(r, "q", [n_rows, 128], 1);
            let kv = at(r, "kv", [n_regions, 50, 256], 2);
            let lengths = lengths.map(|lengths: [u32; 3]| r.constant("lengths", TensorType::u32([3]), &lengths));
            let region = region.map(|region: u32| r.constant("region", TensorType::u32([1]), &[region]));
            let options = CrossOptions { scale: None, lengths: lengths.as_ref(), region: region.as_ref() };
            kept(q.attention_cross(&kv, 2, options)?.attention_combine(2, DType::F32)?)
        })
        .await
        .map_err(|e| named(e, format!("{n_rows} rows over {n_regions} regions, {region:?}")))?;
    }
    Ok(())
}

/// Tokens of each sequence by its position, the rows that matter of its prompt, and the place that it is stored in.
pub async fn rows_of_several_sequences_are_found(device: &Device) -> Result<()> {
    for (n_seqs, n_rows) in [(1, 4), (2, 1), (3, 1), (3, 4)] {
        check(device, 1, F32, |r| {
            let states: Vec<DecodeState> = (0..n_seqs as u32)
                .map(|seq| DecodeState {
                    sot_row: (seq + 1) % n_rows as u32,
                    ..state_at(7 + 2 * seq, 1 + seq % n_rows as u32)
                })
                .collect();
            let states = decode_states(r, &states);
            let ids: Vec<u32> = (0..10 * n_seqs as u32).map(|i| i * 31 % 100).collect();
            let ids = r.constant("ids", decode_state::tokens_of(n_seqs, 10), &ids);
            let table = floats(r, "table", DType::F16, &[100, 24], &noise(2400, 1));
            let places = at(r, "positions", [12, 24], 2);
            let n_all = n_seqs * n_rows;
            let x = ids.embed(&table, &places, None, Positions::Decode { state: &states, n_rows: n_all })?;
            let mut all = kept(x.row_at(Row::Last, &states)?)?;
            all.extend(kept(x.row_at(Row::Sot, &states)?)?);
            let region = r.constant("region", TensorType::u32([1]), &[n_seqs as u32 - 1]);
            let stored = at(r, "stored", [n_seqs, n_all + 2, 24], 3);
            x.store_rows(&stored, Some(&region))?;
            all.push(stored);
            Ok(all)
        })
        .await
        .map_err(|e| named(e, format!("{n_seqs} sequences of {n_rows} rows")))?;
    }
    Ok(())
}

/// Greedy and drawn, with and without timestamps, short and long, and one that is finished.
pub async fn several_sequences_choose_by_their_own_states(device: &Device) -> Result<()> {
    let states = [
        DecodeState { temperature: 0.7, seed: 3, ..rules() },
        DecodeState { use_timestamps: 0, limit: 9, ..rules() },
        DecodeState { finished: 1, position: 4, n_rows: 1, ..rules() },
    ];
    for n_seqs in 1..=states.len() {
        check(device, 12, Tolerance { abs: 1e-3, rel: 1e-4 }, |r| {
            let logits: Vec<f32> = noise(1000 * n_seqs, 4).iter().map(|l| l * 8.0).collect();
            let logits = floats(r, "logits", DType::F32, &[n_seqs, 1000], &logits);
            let flags: Vec<u32> = (0..1000).map(|t| u32::from(t % 9 == 0) + 2 * u32::from(t % 7 == 0)).collect();
            let flags = r.constant("flags", TensorType::u32([1000]), &flags);
            let tokens: Vec<u32> = (0..32 * n_seqs as u32).map(|i| if i % 32 < 3 { i } else { 0 }).collect();
            let tokens = r.constant("tokens", decode_state::tokens_of(n_seqs, 32), &tokens);
            let states = decode_states(r, &states[..n_seqs]);
            logits.sot_stats(&states, &tokens)?;
            logits.sample_scan(&flags, &tokens, &states, None)?.sample_pick(&tokens, &states)?;
            Ok(vec![tokens])
        })
        .await
        .map_err(|e| named(e, format!("{n_seqs} sequences")))?;
    }
    Ok(())
}

pub async fn several_sequences_have_cutoffs_of_their_own(device: &Device) -> Result<()> {
    let drawn = |top_k, top_p, temperature| DecodeState {
        top_k,
        top_p,
        temperature,
        limit: 20,
        eot: 1,
        timestamp_begin: 3000,
        seed: top_k + 1,
        ..state_at(0, 1)
    };
    let states = [drawn(7, 1.0, 2.0), drawn(0, 1.0, 0.0), drawn(0, 0.8, 1.5)];
    for n_seqs in 1..=states.len() {
        check(device, 12, F32, |r| {
            let logits: Vec<f32> = noise(3000 * n_seqs, 3).iter().map(|l| l * 9.0 - 4.0).collect();
            let logits = floats(r, "logits", DType::F32, &[n_seqs, 3000], &logits);
            let flags: Vec<u32> = (0..3000).map(|t| u32::from(t % 11 == 0)).collect();
            let flags = r.constant("flags", TensorType::u32([3000]), &flags);
            let tokens = r.constant("tokens", decode_state::tokens_of(n_seqs, 20), &vec![0u32; 20 * n_seqs]);
            let states = decode_states(r, &states[..n_seqs]);
            let cutoff = logits.sample_cutoff(&flags, &states)?;
            let parts = logits.sample_scan(&flags, &tokens, &states, Some(&cutoff))?;
            parts.sample_pick(&tokens, &states)?;
            let mut all = kept(cutoff)?;
            all.push(tokens);
            Ok(all)
        })
        .await
        .map_err(|e| named(e, format!("{n_seqs} sequences")))?;
    }
    Ok(())
}

/// Rows that cannot be shared out are a fault of the recording, and are said to be.
pub async fn rows_that_fit_no_sequence_are_refused(_device: &Device) -> Result<()> {
    let recorder = &recorder()?;
    recorder.begin("check");
    let states = decode_states(recorder, &states_at(2, 1));
    let refused = [
        at(recorder, "qkv", [3, 192], 1)
            .attention_cached(&at(recorder, "cache", [2, 8, 64], 2), &states, 2, CachedOptions::default())
            .is_err(),
        at(recorder, "qkv of two", [2, 192], 1)
            .attention_cached(&at(recorder, "one cache", [8, 64], 2), &states, 2, CachedOptions::default())
            .is_err(),
        at(recorder, "q", [3, 64], 1)
            .attention_cross(&at(recorder, "kv", [2, 8, 128], 2), 2, CrossOptions::default())
            .is_err(),
        at(recorder, "x", [3, 64], 1).row_at(Row::Last, &states).is_err(),
    ];
    match refused.iter().all(|refused| *refused) {
        true => Ok(()),
        false => Err(Error::Internal(format!("rows that fit no sequence were recorded: {refused:?}"))),
    }
}
