//! Every op against its definition: the list that the native tests and the browser tests share.

mod sequences;

pub use sequences::*;

use rill::engine::check::{Tolerance, check, floats, noise};
use rill::engine::graph::{Recorder, Tensor, record_one};
use rill::engine::lowering::{Lowered, Lowering, Operand, Reduce};
use rill::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use rill::engine::ops::attention::AttentionOptions;
use rill::engine::ops::attention_cached::CachedOptions;
use rill::engine::ops::attention_cross::CrossOptions;
use rill::engine::ops::conv1d::Conv1dOptions;
use rill::engine::ops::decode_state::{self, DecodeState};
use rill::engine::ops::embed::Positions;
use rill::engine::ops::linear::{LinearOptions, Norm};
use rill::engine::ops::math::Activation;
use rill::engine::ops::pool::Pooling;
use rill::engine::ops::row_at::Row;
use rill::engine::session::{Device, Session, Watch};
use rill::engine::tensor::{DType, TensorType};
use rill::engine::{Error, Result};

/// Makes a test of every check, by a macro that makes one of a name.
macro_rules! every_check {
    ($test:ident) => {
        $test!(linear_agrees_for_awkward_sizes);
        $test!(linear_has_every_activation);
        $test!(linear_normalises_rows_with_outliers);
        $test!(linear_reads_weights_of_eight_and_four_bits);
        $test!(embed_reads_a_quantised_table);
        $test!(a_wrong_scale_is_noticed);
        $test!(conv1d_pads_and_strides);
        $test!(layer_norm_survives_outliers);
        $test!(attention_ignores_what_is_padding);
        $test!(attention_sees_what_is_before_and_how_far_it_is);
        $test!(attention_cached_sees_cache_and_new_rows);
        $test!(attention_cross_agrees_in_parts_and_whole);
        $test!(attention_cached_knows_distances);
        $test!(attention_cached_follows_beams);
        $test!(gated_multiplies_by_its_gate);
        $test!(rows_scales_and_biases_are_stored);
        $test!(sample_cutoff_is_that_of_the_reference);
        $test!(sample_draws_above_the_cutoff);
        $test!(top_tokens_come_in_order);
        $test!(embed_looks_up_sequences_and_positions);
        $test!(row_at_takes_the_last_real_row);
        $test!(log_mel_equals_the_plain_transform);
        $test!(pool_makes_one_vector_of_the_real_rows);
        $test!(picture_tokens_stand_in_their_places);
        $test!(layer_scale_scales_columns);
        $test!(class_mean_leaves_the_registers_out);
        $test!(gather_copies_the_rows_that_are_named);
        $test!(sample_follows_the_timestamp_rules);
        $test!(attention_cached_keeps_sequences_apart);
        $test!(attention_cross_looks_at_each_ones_region);
        $test!(rows_of_several_sequences_are_found);
        $test!(several_sequences_choose_by_their_own_states);
        $test!(several_sequences_have_cutoffs_of_their_own);
        $test!(rows_that_fit_no_sequence_are_refused);
        $test!(f16_agrees_where_there_is_f16);
        $test!(a_wrong_kernel_is_noticed);
    };
}
pub(crate) use every_check;

/// f32 arithmetic in another order.
const F32: Tolerance = Tolerance { abs: 2e-5, rel: 2e-5 };
/// Few rows times quantised weights on the processor: x is rounded to sixteen bits, by groups.
const NARROW: Tolerance = Tolerance { abs: 2e-4, rel: 2e-4 };
/// Results stored as f16, which has eleven bits.
const F16: Tolerance = Tolerance { abs: 2e-3, rel: 2e-3 };

fn at<const N: usize>(recorder: &Recorder, label: &str, shape: [usize; N], seed: u32) -> Tensor {
    floats(recorder, label, DType::F32, &shape, &noise(shape.iter().product(), seed))
}

/// Stores `tensor` in a state of its own, to be compared.
fn kept(tensor: Tensor) -> Result<Vec<Tensor>> {
    let state = tensor.recorder().state("kept", tensor.ty.clone());
    tensor.store_in(&state)?;
    Ok(vec![state])
}

/// `x . w` with everything around it that the parameters ask for.
async fn linear(device: &Device, [m, k, n]: [usize; 3], weight: DType, dressed: bool) -> Result<()> {
    let rounds_x = weight.narrow().is_some() && m <= 4 && matches!(device, Device::Cpu(_));
    let tolerance = if rounds_x { NARROW } else { F32 };
    check(device, 1, tolerance, |r| {
        let x = at(r, "x", [m, k], 1);
        let w = floats(r, "w", weight, &[n, k], &noise(n * k, 2));
        let (bias, residual) = (at(r, "bias", [n], 3), at(r, "residual", [m, n], 4));
        let options = LinearOptions {
            bias: dressed.then_some(&bias),
            residual: dressed.then_some(&residual),
            activation: if dressed { Activation::Gelu } else { Activation::Identity },
            ..Default::default()
        };
        kept(x.linear(&w, options)?)
    })
    .await
    .map_err(|e| named(e, format!("[{m}, {k}] . [{n}, {k}] {weight:?} dressed {dressed}")))
}

fn named(error: Error, case: String) -> Error {
    Error::Internal(format!("{case}: {error}"))
}

/// Sizes around every tile and vector width, and one that is none of them. Rows: one, the last that goes to the matrix-vector
/// kernel, the first that does not, one more than a tile, and than a tile of those that divide K.
pub async fn linear_agrees_for_awkward_sizes(device: &Device) -> Result<()> {
    for (k, n) in [(1, 1), (7, 5), (65, 33), (48, 72), (384, 70)] {
        linear(device, [1, k, n], DType::F16, true).await?;
        linear(device, [8, k, n], DType::F32, false).await?;
        linear(device, [9, k, n], DType::F16, false).await?;
        linear(device, [65, k, n], DType::F32, true).await?;
    }
    linear(device, [97, 96, 68], DType::F16, true).await?;
    linear(device, [1, 1757, 3], DType::F16, false).await?;
    linear(device, [9, 1757, 3], DType::F16, false).await
}

/// Each activation, in the kernels for few rows and for many, with sums from 0 to 90 either way: past where exp ends.
pub async fn linear_has_every_activation(device: &Device) -> Result<()> {
    use Activation::{Gelu, GeluTanh, Identity, QuickGelu, Relu, Silu, Tanh};
    for activation in [Identity, Gelu, GeluTanh, QuickGelu, Relu, Silu, Tanh] {
        for m in [1, 9] {
            check(device, 1, F32, |r| {
                let x: Vec<f32> = (0..m * 8).map(|i| if i % 8 == 0 { (i / 8) as f32 - 4.0 } else { 0.0 }).collect();
                let x = floats(r, "x", DType::F32, &[m, 8], &x);
                let w: Vec<f32> = (0..33 * 8).map(|i| if i % 8 == 0 { (i / 8) as f32 * 0.7 } else { 1.0 }).collect();
                let w = floats(r, "w", DType::F32, &[33, 8], &w);
                kept(x.linear(&w, LinearOptions { activation, ..Default::default() })?)
            })
            .await
            .map_err(|e| named(e, format!("{activation:?}, {m} rows")))?;
        }
    }
    Ok(())
}

/// The definition holds what the quantised weights stand for, so the two agree as closely as with any others.
/// Whether a device takes weights of eight and four bits at all: WebNN is never given any.
fn is_narrow(device: &Device) -> bool {
    !matches!(device, Device::WebNn(_))
}

pub async fn linear_reads_weights_of_eight_and_four_bits(device: &Device) -> Result<()> {
    if !is_narrow(device) {
        return Ok(());
    }
    for weight in [DType::Q8, DType::Q4] {
        for (k, n) in [(32, 1), (64, 7), (96, 65), (384, 70)] {
            linear(device, [1, k, n], weight, true).await?;
            linear(device, [8, k, n], weight, false).await?;
            linear(device, [9, k, n], weight, false).await?;
            linear(device, [65, k, n], weight, true).await?;
        }
    }
    Ok(())
}

pub async fn embed_reads_a_quantised_table(device: &Device) -> Result<()> {
    for weight in [DType::Q8, DType::Q4] {
        check(device, 1, F32, |r| {
            let ids = r.constant("ids", TensorType::u32([6]), &[3u32, 0, 64, 7, 8, 63]);
            let table = floats(r, "table", weight, &[65, 96], &noise(65 * 96, 1));
            kept(ids.embed(
                &table,
                &at(r, "positions", [6, 96], 2),
                None,
                Positions::Sequence { seq_len: 6, first: 0 },
            )?)
        })
        .await
        .map_err(|e| named(e, format!("embed {weight:?}")))?;
    }
    Ok(())
}

/// The last scale of the last row twice as large, on the device alone.
pub async fn a_wrong_scale_is_noticed(device: &Device) -> Result<()> {
    if !is_narrow(device) {
        return Ok(());
    }
    for (weight, behind) in [(DType::Q8, 2), (DType::Q4, 18)] {
        for m in [1, 9] {
            let is_second = std::cell::Cell::new(false);
            let checked = check(device, 1, NARROW, |r| {
                let ty = TensorType::new(weight, [8, 64]);
                let values = rill::engine::tensor::HostData::F32(noise(8 * 64, 2));
                let mut bytes = rill::engine::tensor::HostTensor { ty: ty.clone(), data: values }.to_bytes();
                if is_second.replace(true) {
                    let high = bytes.len() - behind + 1;
                    bytes[high] += 4; // The lowest bit of an f16's exponent.
                }
                let x = at(r, "x", [m, 64], 1);
                kept(x.linear(&r.constant("w", ty, &bytes), LinearOptions::default())?)
            });
            match checked.await {
                Err(Error::Numerics { .. }) => {}
                other => return Err(Error::Internal(format!("{weight:?}, {m} rows: {other:?}"))),
            }
        }
    }
    Ok(())
}

pub async fn linear_normalises_rows_with_outliers(device: &Device) -> Result<()> {
    for (m, k, dressed) in
        [(1, 7, true), (1, 64, true), (1, 65, false), (2, 384, true), (3, 1536, true), (8, 512, false)]
    {
        check(device, 1, Tolerance { abs: 1e-4, rel: 1e-4 }, |r| {
            let mut values = noise(m * k, 5);
            values[k / 2] = 631.0; // What the residual stream of whisper-tiny.en reaches.
            let x = floats(r, "x", DType::F32, &[m, k], &values);
            let w = floats(r, "w", DType::F16, &[96, k], &noise(96 * k, 6));
            let (weight, bias) = (at(r, "norm weight", [k], 7), at(r, "norm bias", [k], 8));
            let norm = Some(Norm { weight: &weight, bias: dressed.then_some(&bias), eps: 1e-5 });
            kept(x.linear(&w, LinearOptions { norm, ..Default::default() })?)
        })
        .await
        .map_err(|e| named(e, format!("norm [{m}, {k}], bias {dressed}")))?;
    }
    Ok(())
}

pub async fn conv1d_pads_and_strides(device: &Device) -> Result<()> {
    for (t, c, o, stride) in [(16, 8, 12, 1), (50, 80, 64, 1), (64, 16, 40, 2), (7, 3, 5, 2), (97, 32, 68, 1)] {
        check(device, 1, F32, |r| {
            let x = at(r, "x", [t, c], 1);
            let w = floats(r, "w", DType::F16, &[o, 3 * c], &noise(o * 3 * c, 2));
            let bias = at(r, "bias", [o], 3);
            let residual = at(r, "residual", [t.div_ceil(stride), o], 4);
            let residual = (stride == 2).then_some(&residual);
            let activation = Activation::Gelu;
            kept(x.conv1d(&w, Conv1dOptions { bias: &bias, residual, stride, width: 3, activation })?)
        })
        .await
        .map_err(|e| named(e, format!("conv1d [{t}, {c}] -> {o} / {stride}")))?;
    }
    Ok(())
}

pub async fn layer_norm_survives_outliers(device: &Device) -> Result<()> {
    for (m, k, dressed) in
        [(1, 1, true), (3, 7, true), (65, 64, true), (4, 1757, true), (5, 7, false), (33, 256, false)]
    {
        check(device, 1, Tolerance { abs: 1e-4, rel: 1e-4 }, |r| {
            let mut values = noise(m * k, 9);
            values[m * k / 2] = -539.0;
            let x = floats(r, "x", DType::F32, &[m, k], &values);
            let bias = at(r, "bias", [k], 2);
            kept(x.layer_norm(&at(r, "weight", [k], 1), dressed.then_some(&bias), 1e-5, DType::F32)?)
        })
        .await
        .map_err(|e| named(e, format!("layer_norm [{m}, {k}], bias {dressed}")))?;
    }
    Ok(())
}

pub async fn attention_ignores_what_is_padding(device: &Device) -> Result<()> {
    for (n_seqs, t, heads, e) in
        [(1, 1, 1, 4), (1, 65, 2, 64), (3, 33, 3, 32), (1, 100, 6, 64), (2, 601, 1, 16), (1, 1201, 1, 16)]
    {
        check(device, 1, F32, |r| {
            let qkv = at(r, "qkv", [n_seqs * t, 3 * heads * e], 1);
            let lengths: Vec<u32> = (0..n_seqs as u32).map(|b| (t as u32).saturating_sub(7 * b).max(1)).collect();
            let lengths = r.constant("lengths", TensorType::u32([n_seqs]), &lengths);
            let options = AttentionOptions { lengths: (n_seqs > 1).then_some(&lengths), ..Default::default() };
            kept(qkv.attention(heads, t, options)?)
        })
        .await
        .map_err(|e| named(e, format!("attention {n_seqs} x {t}, {heads} heads")))?;
    }
    Ok(())
}

/// Causal, shifted by distance, scaled otherwise, with padding: alone and together. The sizes are those of CLIP's text and of T5's.
pub async fn attention_sees_what_is_before_and_how_far_it_is(device: &Device) -> Result<()> {
    for (n_seqs, t, heads, e, n) in [(1, 1, 1, 4, 1), (2, 77, 2, 64, 80), (3, 33, 4, 16, 33), (1, 100, 3, 32, 128)] {
        for (causal, shifted, scale) in [(true, false, None), (false, true, Some(1.0)), (true, true, Some(0.3))] {
            check(device, 1, F32, |r| {
                let qkv = at(r, "qkv", [n_seqs * t, 3 * heads * e], 1);
                let bias = at(r, "bias", [heads, 2 * n - 1], 2);
                let lengths: Vec<u32> = (0..n_seqs as u32).map(|b| (t as u32).saturating_sub(19 * b).max(1)).collect();
                let lengths = r.constant("lengths", TensorType::u32([n_seqs]), &lengths);
                let lengths = (n_seqs > 1).then_some(&lengths);
                kept(qkv.attention(
                    heads,
                    t,
                    AttentionOptions { lengths, scale, causal, bias: shifted.then_some(&bias) },
                )?)
            })
            .await
            .map_err(|e| named(e, format!("attention {n_seqs} x {t}, {heads} heads, causal {causal}, {scale:?}")))?;
        }
    }
    Ok(())
}

fn decode_state(recorder: &Recorder, state: DecodeState) -> Tensor {
    let words: Vec<u32> = bytemuck::cast_slice(&[state]).to_vec();
    recorder.constant("decode state", decode_state::ty(), &words)
}

fn state_at(position: u32, n_rows: u32) -> DecodeState {
    DecodeState { position, n_rows, ..bytemuck::Zeroable::zeroed() }
}

pub async fn attention_cached_sees_cache_and_new_rows(device: &Device) -> Result<()> {
    for (position, n_rows) in [(0, 1), (0, 4), (5, 1), (60, 4)] {
        check(device, 1, F32, |r| {
            let qkv = at(r, "qkv", [n_rows, 3 * 128], 1);
            let cache = at(r, "cache", [2 * 64, 128], 2);
            let state = decode_state(r, state_at(position, n_rows as u32));
            let mut states = kept(qkv.attention_cached(&cache, &state, 2, CachedOptions::default())?)?;
            states.push(cache);
            Ok(states)
        })
        .await
        .map_err(|e| named(e, format!("attention_cached at {position}, {n_rows} rows")))?;
    }
    Ok(())
}

pub async fn attention_cross_agrees_in_parts_and_whole(device: &Device) -> Result<()> {
    for (n_rows, n_keys, n_real) in [(1, 5, 5), (1, 1500, 1500), (4, 77, 77), (1, 512, 1), (8, 512, 13), (1, 128, 127)]
    {
        check(device, 1, F32, |r| {
            let q = at(r, "q", [n_rows, 128], 1);
            let kv = at(r, "kv", [n_keys, 256], 2);
            let length = r.constant("length", TensorType::u32([1]), &[n_real as u32]);
            let (lengths, scale) = ((n_real < n_keys).then_some(&length), (n_real < n_keys).then_some(0.7));
            let options = CrossOptions { scale, lengths, region: None };
            kept(q.attention_cross(&kv, 2, options)?.attention_combine(2, DType::F32)?)
        })
        .await
        .map_err(|e| named(e, format!("attention_cross {n_rows} over {n_real} of {n_keys}")))?;
    }
    Ok(())
}

pub async fn embed_looks_up_sequences_and_positions(device: &Device) -> Result<()> {
    for decoding in [false, true] {
        check(device, 1, F32, |r| {
            let ids = r.constant("ids", TensorType::u32([10]), &[3u32, 0, 99, 7, 7, 1, 2, 98, 50, 4_000_000]);
            let table = floats(r, "table", DType::F16, &[100, 24], &noise(2400, 1));
            let (places, extra) = (at(r, "positions", [10, 24], 2), at(r, "extra", [24], 3));
            let state = decode_state(r, state_at(7, 1));
            let (extra, at) = match decoding {
                true => (None, Positions::Decode { state: &state, n_rows: 3 }),
                false => (Some(&extra), Positions::Sequence { seq_len: 5, first: 2 }),
            };
            kept(ids.embed(&table, &places, extra, at)?)
        })
        .await?;
    }
    Ok(())
}

pub async fn row_at_takes_the_last_real_row(device: &Device) -> Result<()> {
    for row in [Row::Last, Row::Sot] {
        check(device, 1, F32, |r| {
            let state = decode_state(r, DecodeState { sot_row: 1, ..state_at(0, 3) });
            kept(at(r, "x", [5, 70], 1).row_at(row, &state)?)
        })
        .await?;
    }
    Ok(())
}

pub async fn log_mel_equals_the_plain_transform(device: &Device) -> Result<()> {
    // Logarithms of power: 1e-4 is a relative error of 2e-4 in a bin's power, 40 dB above what f32 sums lose.
    // Kernels take two frames at once: some have a last one alone. Of 300 filters the lowest are too narrow for any bin.
    for (n_frames, n_mels) in [(1, 80), (17, 80), (18, 128), (33, 128), (3, 300)] {
        check(device, 1, Tolerance { abs: 1e-4, rel: 0.0 }, |r| {
            let n = n_frames * 160 + 400;
            let tone = |i: usize| (i as f32 * 0.31).sin() * 0.5 + (i as f32 * 0.013).sin();
            let audio: Vec<f32> = noise(n, 1).iter().enumerate().map(|(i, v)| tone(i) + 0.1 * v).collect();
            kept(floats(r, "audio", DType::F32, &[n], &audio).log_mel(n_mels)?)
        })
        .await
        .map_err(|e| named(e, format!("{n_frames} frames, {n_mels} mels")))?;
    }
    check(device, 1, F32, |r| {
        let x = at(r, "x", [37, 80], 1);
        let limits = r.constant("limits", TensorType::f32([2]), &[8.5f32, 30.0]);
        kept(x.mel_scale(&x.max_parts()?, &limits)?)
    })
    .await
}

/// Rows of padding are huge here: one of them in a vector would be seen.
pub async fn pool_makes_one_vector_of_the_real_rows(device: &Device) -> Result<()> {
    for pooling in [Pooling::Mean, Pooling::MeanSqrtLen, Pooling::First, Pooling::Max] {
        for normalize in [false, true] {
            check(device, 1, F32, |r| {
                let lengths = r.constant("lengths", TensorType::u32([3]), &[1u32, 5, 9]);
                let mut values = noise(27 * 100, 1);
                values[100..900].fill(631.0);
                values[14 * 100..18 * 100].fill(631.0);
                kept(floats(r, "x", DType::F32, &[27, 100], &values).pool(&lengths, 9, pooling, normalize)?)
            })
            .await
            .map_err(|e| named(e, format!("{pooling:?}, normalize {normalize}")))?;
        }
    }
    Ok(())
}

pub async fn gather_copies_the_rows_that_are_named(device: &Device) -> Result<()> {
    check(device, 1, F32, |r| {
        let rows = r.constant("rows", TensorType::u32([5]), &[4u32, 0, 4, 2, 4_000_000]);
        kept(at(r, "x", [5, 70], 1).gather(&rows)?)
    })
    .await
}

pub async fn picture_tokens_stand_in_their_places(device: &Device) -> Result<()> {
    // Pictures, patches, the model's own tokens, those of them without a place, columns.
    for (n, patches, own, unplaced, d) in [(1, 1, 1, 0, 1), (3, 49, 2, 0, 65), (2, 16, 5, 4, 384), (1, 7, 3, 2, 7)] {
        check(device, 1, F32, |r| {
            let x = at(r, "x", [n * patches, d], 1);
            let (tokens, places) = (at(r, "tokens", [own, d], 2), at(r, "places", [own + patches - unplaced, d], 3));
            kept(x.picture_tokens(&tokens, &places, n, unplaced)?)
        })
        .await
        .map_err(|e| named(e, format!("{n} pictures of {patches} patches, {own} tokens, {unplaced} unplaced")))?;
    }
    Ok(())
}

pub async fn layer_scale_scales_columns(device: &Device) -> Result<()> {
    for (m, n) in [(1, 1), (3, 7), (65, 64), (2, 1757)] {
        check(device, 1, F32, |r| {
            kept(at(r, "x", [m, n], 1).layer_scale(&at(r, "scale", [n], 2), &at(r, "residual", [m, n], 3))?)
        })
        .await
        .map_err(|e| named(e, format!("layer_scale [{m}, {n}]")))?;
    }
    Ok(())
}

pub async fn class_mean_leaves_the_registers_out(device: &Device) -> Result<()> {
    for (n, tokens, own, d) in [(1, 2, 1, 1), (3, 54, 5, 65), (2, 17, 1, 384)] {
        check(device, 1, F32, |r| {
            let mut values = noise(n * tokens * d, 1);
            values[(own - 1) * d] = 1e6; // A token that is no patch must not weigh.
            kept(floats(r, "x", DType::F32, &[n * tokens, d], &values).class_mean(tokens, own)?)
        })
        .await
        .map_err(|e| named(e, format!("class_mean of {n} x {tokens}, {own} own")))?;
    }
    Ok(())
}

/// A vocabulary of 1000 with timestamps from 900 on.
fn rules() -> DecodeState {
    DecodeState {
        sample_begin: 3,
        limit: 30,
        eot: 850,
        timestamp_begin: 900,
        no_timestamps: 899,
        use_timestamps: 1,
        max_initial_timestamp: 50,
        no_speech: 898,
        language_begin: 860,
        n_languages: 20,
        seed: 11,
        ..state_at(0, 3)
    }
}

/// Chooses `times` tokens from the same logits and compares tokens and state.
async fn sample(device: &Device, begin: DecodeState, tokens: &[u32], times: u32, seed: u32) -> Result<()> {
    check(device, times, Tolerance { abs: 1e-3, rel: 1e-4 }, |r| {
        let mut logits = noise(1000, seed);
        logits.iter_mut().for_each(|l| *l *= 8.0);
        logits[17] = f32::NEG_INFINITY.max(-1e30); // A masked logit must neither win nor poison the sums.
        let logits = floats(r, "logits", DType::F32, &[1, 1000], &logits);
        let flags: Vec<u32> = (0..1000).map(|t| u32::from(t % 9 == 0) + 2 * u32::from(t % 7 == 0)).collect();
        let flags = r.constant("flags", TensorType::u32([1000]), &flags);
        let mut all = vec![0u32; 32];
        all[..tokens.len()].copy_from_slice(tokens);
        let tokens = r.constant("tokens", TensorType::u32([32]), &all);
        let words: Vec<u32> = bytemuck::cast_slice(&[begin]).to_vec();
        let state = r.constant("state", decode_state::ty(), &words);
        logits.sot_stats(&state, &tokens)?;
        logits.sample_scan(&flags, &tokens, &state, None)?.sample_pick(&tokens, &state)?;
        let first_words = tokens; // The floats in the state are compared through their effect and by the state itself below.
        Ok(vec![first_words])
    })
    .await
}

pub async fn sample_follows_the_timestamp_rules(device: &Device) -> Result<()> {
    for seed in 1..6 {
        sample(device, rules(), &[1, 2, 3], 12, seed).await?;
        sample(device, DecodeState { use_timestamps: 0, ..rules() }, &[1, 2, 3], 12, seed).await?;
        sample(device, DecodeState { temperature: 0.7, seed, ..rules() }, &[1, 2, 3], 12, seed).await?;
        let mid = DecodeState { position: 5, n_rows: 1, last_timestamp: 930, ..rules() };
        sample(device, mid, &[1, 2, 3, 910, 40, 930], 6, seed).await?;
        sample(device, DecodeState { limit: 8, ..rules() }, &[1, 2, 3], 12, seed).await?;
        // The first run finds the language out, of those from 100 on.
        let detects = DecodeState { detects: 1, language_begin: 100, n_languages: 50, ..rules() };
        sample(device, detects, &[1, 2, 3], 4, seed).await?;
    }
    Ok(())
}

/// T5's decoder: scores unscaled and shifted by distance.
pub async fn attention_cached_knows_distances(device: &Device) -> Result<()> {
    for (position, n_rows, heads, e, n) in [(0, 1, 4, 16, 64), (1, 4, 2, 64, 70), (63, 1, 3, 32, 64)] {
        check(device, 1, F32, |r| {
            let d = heads * e;
            let qkv = at(r, "qkv", [n_rows, 3 * d], 1);
            let cache = at(r, "cache", [2 * 64, d], 2);
            let bias = at(r, "bias", [heads, 2 * n - 1], 3);
            let options = CachedOptions { scale: Some(1.0), bias: Some(&bias), slots: None };
            let state = decode_state(r, state_at(position, n_rows as u32));
            let mut states = kept(qkv.attention_cached(&cache, &state, heads, options)?)?;
            states.push(cache);
            Ok(states)
        })
        .await
        .map_err(|e| named(e, format!("attention_cached by distance at {position}, {n_rows} rows")))?;
    }
    Ok(())
}

/// Rows that are beams: each follows its own slots, which others share, and writes to its own.
pub async fn attention_cached_follows_beams(device: &Device) -> Result<()> {
    for (position, n_rows, shifted) in [(0, 4, false), (5, 4, true), (6, 8, true), (7, 1, true)] {
        check(device, 1, F32, |r| {
            let (heads, d, capacity) = (2, 64, 64);
            let qkv = at(r, "qkv", [n_rows, 3 * d], 1);
            let cache = at(r, "cache", [2 * capacity, d], 2);
            let bias = at(r, "bias", [heads, 2 * capacity - 1], 3);
            // Before the position slots are shared by pairs of rows; there each row has its own.
            let slot = |at: usize| match (at / n_rows, at % n_rows) {
                (j, row) if j < position => (j * n_rows / 2 + row / 2) % (capacity - n_rows),
                (j, row) if j == position => capacity - 1 - row,
                _ => 0,
            };
            let slots: Vec<u32> = (0..capacity * n_rows).map(|at| slot(at) as u32).collect();
            let slots = r.constant("slots", TensorType::u32([capacity, n_rows]), &slots);
            let options = CachedOptions { scale: None, bias: shifted.then_some(&bias), slots: Some(&slots) };
            let state = decode_state(r, state_at(position as u32, 1));
            let mut states = kept(qkv.attention_cached(&cache, &state, heads, options)?)?;
            states.push(cache);
            Ok(states)
        })
        .await
        .map_err(|e| named(e, format!("{n_rows} beams at {position}")))?;
    }
    Ok(())
}

pub async fn gated_multiplies_by_its_gate(device: &Device) -> Result<()> {
    for (m, f, activation) in [(1, 1, Activation::Relu), (3, 13, Activation::GeluTanh), (70, 128, Activation::Silu)] {
        check(device, 1, F32, |r| kept(at(r, "x", [m, 2 * f], 1).gated(activation)?))
            .await
            .map_err(|e| named(e, format!("gated [{m}, {f}] {activation:?}")))?;
    }
    Ok(())
}

/// What a graph leaves for others: rows in a larger state, a scaled weight, biases spread over distances.
pub async fn rows_scales_and_biases_are_stored(device: &Device) -> Result<()> {
    for (n, all, c) in [(1, 1, 3), (5, 9, 70), (32, 32, 64)] {
        check(device, 1, F32, |r| {
            let state = at(r, "state", [all, c], 2);
            at(r, "x", [n, c], 1).store_rows(&state, None)?;
            let mut states = kept(at(r, "weight", [n, c], 3).scale(0.125)?)?;
            states.push(state);
            Ok(states)
        })
        .await
        .map_err(|e| named(e, format!("{n} of {all} rows of {c}")))?;
    }
    check(device, 1, F32, |r| {
        let buckets: Vec<u32> = (0..77).map(|i| i * i % 32).collect();
        let buckets = r.constant("buckets", TensorType::u32([77]), &buckets);
        kept(at(r, "table", [32, 5], 1).distance_bias(&buckets)?)
    })
    .await
}

/// Cutoffs found by `TopKLogitsWarper` and `TopPLogitsWarper` of transformers, of which tests/golden/t5.json keeps the numbers.
pub async fn sample_cutoff_is_that_of_the_reference(device: &Device) -> Result<()> {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../golden/t5.json")).expect("the golden file is JSON");
    let logits: Vec<f32> = floats_of(&golden["warpers"]["logits"]);
    let number = |case: &serde_json::Value, name: &str| case[name].as_f64().expect("a number") as f32;
    for case in golden["warpers"]["cases"].as_array().expect("cases") {
        let (temperature, top_p) = (number(case, "temperature"), number(case, "top_p"));
        let begin = DecodeState { temperature, top_p, top_k: number(case, "top_k") as u32, ..state_at(0, 1) };
        let expected = number(case, "cutoff");
        for target in [&Device::Plain, device] {
            let got = cutoff(target, &logits, begin).await?;
            if got != expected {
                return Err(Error::Internal(format!("{case}: the cutoff is {got} on {target:?}")));
            }
        }
    }
    Ok(())
}

fn floats_of(values: &serde_json::Value) -> Vec<f32> {
    values.as_array().into_iter().flatten().map(|v| v.as_f64().unwrap_or(f64::NAN) as f32).collect()
}

async fn cutoff(device: &Device, logits: &[f32], begin: DecodeState) -> Result<f32> {
    let recorder = rill::engine::check::recorder()?;
    let graph = recorder.begin("cutoff");
    let n = logits.len();
    let flags = recorder.constant("flags", TensorType::u32([n]), &vec![0u32; n]);
    let logits = floats(&recorder, "logits", DType::F32, &[1, n], logits);
    let kept = kept(logits.sample_cutoff(&flags, &decode_state(&recorder, begin))?)?;
    let mut session = Session::compile(device, recorder.finish()).await?;
    let mut watch = Watch { cancel: &Default::default(), on_progress: &mut |_| () };
    let bytes = session.submit(&[(graph, 1)], &[kept[0].slot()], &mut watch).await?.wait().await?.remove(0);
    Ok(bytemuck::pod_read_unaligned(&bytes))
}

/// A vocabulary as large as T5's, some of it forbidden, the logits of both signs; the state afterwards says what was drawn.
pub async fn sample_draws_above_the_cutoff(device: &Device) -> Result<()> {
    for (top_k, top_p, temperature) in
        [(0, 1.0, 0.9), (7, 1.0, 2.0), (0, 0.8, 1.5), (40, 0.6, 3.0), (1, 0.5, 0.1), (9, 0.5, 0.0)]
    {
        let begin = DecodeState {
            top_k,
            top_p,
            temperature,
            limit: 40,
            eot: 1,
            timestamp_begin: 32_128,
            seed: 5,
            ..state_at(0, 1)
        };
        check(device, 12, F32, |r| {
            let logits: Vec<f32> = noise(32_128, 3).iter().map(|l| l * 9.0 - 4.0).collect();
            let logits = floats(r, "logits", DType::F32, &[1, 32_128], &logits);
            let flags: Vec<u32> = (0..32_128).map(|t| u32::from(t % 11 == 0)).collect();
            let flags = r.constant("flags", TensorType::u32([32_128]), &flags);
            let tokens = r.constant("tokens", TensorType::u32([40]), &[0u32; 40]);
            let state = decode_state(r, begin);
            let cutoff = logits.sample_cutoff(&flags, &state)?;
            logits.sample_scan(&flags, &tokens, &state, Some(&cutoff))?.sample_pick(&tokens, &state)?;
            let mut states = kept(cutoff)?;
            states.push(tokens);
            Ok(states)
        })
        .await
        .map_err(|e| named(e, format!("top_k {top_k}, top_p {top_p}, temperature {temperature}")))?;
    }
    Ok(())
}

/// Among them equal ones, of which the lower token comes first.
pub async fn top_tokens_come_in_order(device: &Device) -> Result<()> {
    for (n_rows, vocab, n) in [(1, 3, 3), (4, 1000, 8), (8, 32_128, 16), (2, 70, 32)] {
        check(device, 1, F32, |r| {
            let mut logits = noise(n_rows * vocab, 4);
            logits.iter_mut().for_each(|l| *l = (*l * 40.0).round() / 4.0);
            kept(floats(r, "logits", DType::F32, &[n_rows, vocab], &logits).top_tokens(n)?)
        })
        .await
        .map_err(|e| named(e, format!("{n} of {n_rows} x {vocab}")))?;
    }
    Ok(())
}

/// f16 storage and arithmetic, where the adapter has it.
pub async fn f16_agrees_where_there_is_f16(device: &Device) -> Result<()> {
    let Device::Gpu(gpu) = device else { return Ok(()) };
    if !gpu.caps.f16 {
        return Ok(());
    }
    check(device, 1, F16, |r| {
        let x = floats(r, "x", DType::F16, &[40, 96], &noise(40 * 96, 1));
        let w = floats(r, "w", DType::F16, &[70, 96], &noise(70 * 96, 2));
        kept(x.linear(&w, LinearOptions { output: DType::F16, ..Default::default() })?)
    })
    .await?;
    for t in [40, 620] {
        check(device, 1, F16, |r| {
            let qkv = floats(r, "qkv", DType::F16, &[t, 3 * 32], &noise(3 * t * 32, 1));
            kept(qkv.attention(2, t, AttentionOptions::default())?)
        })
        .await
        .map_err(|e| named(e, format!("attention over {t}")))?;
    }
    check(device, 1, F16, |r| {
        let qkv = floats(r, "qkv", DType::F16, &[2, 3 * 128], &noise(2 * 3 * 128, 2));
        let cache = floats(r, "cache", DType::F16, &[64, 128], &noise(64 * 128, 3));
        let mut states =
            kept(qkv.attention_cached(&cache, &decode_state(r, state_at(9, 2)), 2, CachedOptions::default())?)?;
        states.push(cache);
        Ok(states)
    })
    .await?;
    check(device, 1, F16, |r| {
        let q = floats(r, "q", DType::F16, &[2, 128], &noise(256, 1));
        let kv = floats(r, "kv", DType::F16, &[50, 256], &noise(50 * 256, 4));
        kept(q.attention_cross(&kv, 2, CrossOptions::default())?.attention_combine(2, DType::F16)?)
    })
    .await?;
    check(device, 1, F16, |r| {
        let x = at(r, "x", [5, 64], 1);
        kept(x.layer_norm(&at(r, "weight", [64], 2), Some(&at(r, "bias", [64], 3)), 1e-5, DType::F16)?)
    })
    .await
}

/// Tables of 50 KB, for devices that bind 8 KB at most: they are spread over several buffers, one dispatch each.
pub async fn split_weights_agree(device: &Device) -> Result<()> {
    let narrow = [(DType::Q8, 1), (DType::Q8, 9), (DType::Q4, 1), (DType::Q4, 9)];
    let wide = [(DType::F16, 1), (DType::F32, 1), (DType::F16, 9)].into_iter();
    for (weight, rows) in wide.chain(narrow.into_iter().filter(|_| is_narrow(device))) {
        linear(device, [rows, 64, 201], weight, rows == 1).await?;
    }
    check(device, 1, F32, |r| {
        let ids = r.constant("ids", TensorType::u32([6]), &[0u32, 399, 200, 64, 63, 127]);
        let table = floats(r, "table", DType::F16, &[400, 64], &noise(400 * 64, 1));
        kept(ids.embed(&table, &at(r, "positions", [6, 64], 2), None, Positions::Sequence { seq_len: 6, first: 0 })?)
    })
    .await
}

/// An op whose kernel is not what its definition says: it finds maxima where the definition gives zeros.
#[derive(Debug)]
pub struct Wrong;

impl Op for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        Ok(inputs[0].map(|_| TensorType::f32([64])))
    }

    fn define(&self, _args: Operands) {}

    fn cpu(&self, _signature: &Signature) -> rill_kernels::Call {
        rill_kernels::Call::new(rill_kernels::Kernel::MaxParts, ())
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        Kernel::new("max_parts", signature.input(0).n_elements() as u32, [64, 1, 1]).shared("reduce")
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let Some(x) = inputs[0] else { return Ok(None) };
        let x = b.reduce(Reduce::Max, x, 0)?;
        Ok(Some(b.reshape(x, &[64])?.into()))
    }
}

/// A comparison that cannot fail proves nothing: a wrong kernel must be reported, with the numbers.
pub async fn a_wrong_kernel_is_noticed(device: &Device) -> Result<()> {
    let checked = check(device, 1, F32, |r| {
        let x = at(r, "x", [9, 64], 1);
        kept(record_one(Wrong, r, &[Some(&x)])?)
    })
    .await;
    match checked {
        Err(Error::Numerics { reason, .. }) if reason.contains("expected") => Ok(()),
        other => Err(Error::Internal(format!("a wrong kernel went unnoticed: {other:?}"))),
    }
}
