//! T5 against transformers' numbers on this machine's GPU (lavapipe in CI), on the processor and by the definitions: a tiny random checkpoint of
//! version 1.0 (ReLU, tied head), and t5-numbers, which is of version 1.1 (gated, a head of its own) and trained.

use crate::models::{self, devices, open_gpu, processor, read_floats};
use rill::engine::generate::{TextEvent, TextModel};
use rill::engine::ops::decode_state::DecodeState;
use rill::engine::session::{Device, Watch};
use rill::engine::{CancelFlag, Error};
use rill::protocol::{FinishReason, GenerateOptions, Generation, Precision};
use serde_json::Value;
use std::cell::RefCell;

const MODELS: [&str; 2] = ["t5-v1_0-tiny", "t5-numbers"];

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/t5.json")).expect("the golden file is JSON")
}

fn items(golden: &Value, model: &str) -> Vec<Value> {
    golden["models"][model].as_array().expect("items").clone()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().into_iter().flatten().filter_map(Value::as_u64).map(|id| id as u32).collect()
}

fn load(device: &Device, model: &str) -> TextModel {
    load_as(device, model, Precision::F32)
}

fn load_as(device: &Device, model: &str, precision: Precision) -> TextModel {
    let tiny = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/t5-v1_0-tiny");
    models::load_text_as(device.clone(), if model == "t5-v1_0-tiny" { tiny } else { model }, precision)
}

fn try_generate(
    model: &mut TextModel,
    texts: &[&str],
    options: &GenerateOptions,
    cancel: &CancelFlag,
    on_text: &mut dyn FnMut(TextEvent),
) -> rill::engine::Result<Vec<Generation>> {
    let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
    let mut watch = Watch { cancel, on_progress: &mut |_| () };
    pollster::block_on(model.generate(&texts, options, &mut watch, on_text)).map(|(generations, _)| generations)
}

fn generate(model: &mut TextModel, text: &str, options: &GenerateOptions) -> Generation {
    let answered = try_generate(model, &[text], options, &CancelFlag::default(), &mut |_| ());
    answered.unwrap_or_else(|e| panic!("`{text}`: {e}")).remove(0)
}

/// The reference's ids without what a text begins and ends with, and whether it ended.
fn expected(ids: &[u32]) -> (Vec<u32>, bool) {
    match ids {
        [_start, tokens @ .., 1] => (tokens.to_vec(), true),
        [_start, tokens @ ..] => (tokens.to_vec(), false),
        [] => panic!("a text begins with a token"),
    }
}

fn assert_near(what: &str, got: f32, expected: &Value, tolerance: f32) {
    let expected = expected.as_f64().expect("a number") as f32;
    assert!((got - expected).abs() <= tolerance, "{what} is {got}, expected {expected} within {tolerance}");
}

/// The encoder's rows and the decoder's logits for given tokens. `tolerance` is for the encoder; logits reach forty.
fn numbers_agree(device: &Device, model_name: &str, precision: Precision, tolerance: f32) {
    let golden = golden();
    let mut model = load_as(device, model_name, precision);
    for item in items(&golden, model_name) {
        let text = item["text"].as_str().expect("a text").to_string();
        // What the tokenizer makes of it is checked by the encoder's output: it is different for every token.
        generate(&mut model, &text, &GenerateOptions { max_tokens: Some(1), ..Default::default() });
        let t5 = model.t5.clone();
        let encoded = read_floats(&mut model.session, t5.encoded);
        for (row, values) in item["encoder"].as_object().expect("rows") {
            let row: usize = row.parse().expect("a number");
            for (col, value) in values.as_array().expect("numbers").iter().enumerate() {
                let got = encoded[row * t5.config.d_model + col];
                assert_near(&format!("`{text}`: encoder [{row}, {col}]"), got, value, tolerance);
            }
        }
        for (position, token) in ids(&item["logits"]["decoder_input_ids"]).into_iter().enumerate() {
            let state = DecodeState {
                position: position as u32,
                n_rows: 1,
                limit: 99,
                eot: 1,
                timestamp_begin: u32::MAX,
                ..bytemuck::Zeroable::zeroed()
            };
            model.session.write(t5.tokens, 4 * position, &token.to_le_bytes()).expect("a token is written");
            model.session.write(t5.state, 0, bytemuck::bytes_of(&state)).expect("a state is written");
            let cancel = CancelFlag::default();
            let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
            pollster::block_on(model.session.submit(&[(t5.step, 1)], &[], &mut watch)).expect("a step runs");
            let expected = &item["logits"]["rows"][position.to_string()];
            let logits = read_floats(&mut model.session, t5.logits);
            for (token, value) in expected.as_object().into_iter().flatten() {
                let got = logits[token.parse::<usize>().expect("a number")];
                assert_near(&format!("`{text}`: logit {token} at {position}"), got, value, 4.0 * tolerance);
            }
        }
    }
}

/// f32 sums in another order, over residual streams that reach hundreds before the last norm.
const F32: f32 = 2e-4;

#[test]
fn numbers_are_the_references() {
    for device in devices() {
        MODELS.iter().for_each(|model| numbers_agree(&device, model, Precision::F32, F32));
    }
    numbers_agree(&Device::Plain, "t5-v1_0-tiny", Precision::F32, F32);
}

/// Half precision between the layers: eleven bits, in sums over 256.
#[test]
fn numbers_in_half_precision_are_near() {
    let Some(gpu) = open_gpu() else { return };
    if !gpu.caps.f16 {
        eprintln!("skipped: this adapter has no f16");
        return;
    }
    let device = Device::Gpu(gpu);
    numbers_agree(&device, "t5-numbers", Precision::F16, 3e-2);
    let mut model = load_as(&device, "t5-numbers", Precision::F16);
    for item in items(&golden(), "t5-numbers") {
        let text = item["text"].as_str().expect("a text");
        let (tokens, _) = expected(&ids(&item["greedy"]));
        assert_eq!(generate(&mut model, text, &GenerateOptions::default()).tokens, tokens, "{text}");
    }
}

#[test]
fn greedy_texts_are_the_references() {
    for device in devices() {
        for name in MODELS {
            let mut model = load(&device, name);
            for item in items(&golden(), name) {
                let text = item["text"].as_str().expect("a text");
                let max_tokens = (name == "t5-v1_0-tiny").then_some(16);
                let got = generate(&mut model, text, &GenerateOptions { max_tokens, ..Default::default() });
                let (tokens, has_end) = expected(&ids(&item["greedy"]));
                assert_eq!(got.tokens, tokens, "{text}");
                assert_eq!(got.finish == FinishReason::EndOfText, has_end, "{text}");
                assert_eq!(got.text, item["greedy_text"].as_str().expect("a text"));
            }
        }
    }
}

#[test]
fn beams_find_the_references_texts() {
    for device in devices() {
        for name in MODELS {
            let mut model = load(&device, name);
            for item in items(&golden(), name) {
                let text = item["text"].as_str().expect("a text");
                for (n_beams, found) in item["beams"].as_object().expect("searches") {
                    if matches!(device, Device::Gpu(_)) && n_beams == "8" {
                        continue; // Lavapipe takes half a minute for them; the processor does them all.
                    }
                    let num_beams = n_beams.parse().expect("a number");
                    let max_tokens = (name == "t5-v1_0-tiny").then_some(16);
                    let options = GenerateOptions { max_tokens, num_beams, ..Default::default() };
                    let got = generate(&mut model, text, &options);
                    let (tokens, has_end) = expected(&ids(&found["ids"]));
                    assert_eq!(got.tokens, tokens, "{n_beams} beams of `{text}`");
                    assert_eq!(got.finish == FinishReason::EndOfText, has_end, "{text}");
                }
            }
        }
    }
}

#[test]
fn eight_bit_weights_give_the_same_texts() {
    let mut model = load_as(&processor(), "t5-numbers", Precision::Int8);
    // The others' best tokens are as near to each other as the weights' rounding.
    for item in items(&golden(), "t5-numbers").iter().take(5) {
        let text = item["text"].as_str().expect("a text");
        let (tokens, _) = expected(&ids(&item["greedy"]));
        assert_eq!(generate(&mut model, text, &GenerateOptions::default()).tokens, tokens, "{text}");
    }
}

#[test]
fn what_is_drawn_depends_on_the_seed_and_not_on_the_device() {
    let drawn = |seed, top_k, top_p| GenerateOptions {
        max_tokens: Some(12),
        temperature: 0.9,
        seed,
        top_k,
        top_p,
        ..Default::default()
    };
    let cases = [drawn(1, None, 1.0), drawn(2, None, 1.0), drawn(2, Some(5), 1.0), drawn(3, Some(40), 0.5)];
    let texts = |device: &Device| -> Vec<Vec<u32>> {
        let mut model = load(device, "t5-v1_0-tiny");
        cases.iter().map(|options| generate(&mut model, "x", options).tokens).collect()
    };
    let plain = texts(&Device::Plain);
    assert!(plain.windows(2).all(|pair| pair[0] != pair[1]), "{plain:?}");
    for device in devices() {
        assert_eq!(texts(&device), plain);
        assert_eq!(texts(&device), plain, "again");
    }
}

/// Drawing from one token is greedy, whatever the temperature.
#[test]
fn a_single_candidate_is_the_greedy_text() {
    let mut model = load(&processor(), "t5-numbers");
    let text = "number to English: 1984";
    let greedy = generate(&mut model, text, &GenerateOptions::default());
    let one = GenerateOptions { temperature: 5.0, top_k: Some(1), ..Default::default() };
    assert_eq!(generate(&mut model, text, &one), greedy);
    let sure = GenerateOptions { temperature: 5.0, top_p: 1e-6, ..Default::default() };
    assert_eq!(generate(&mut model, text, &sure), greedy);
}

#[test]
fn texts_are_told_as_they_grow() {
    for device in devices() {
        let mut model = load(&device, "t5-numbers");
        let texts = ["number to English: 1984", "number to Polish: 22005"];
        for stream_buffer_size in [1, 4, 100] {
            let options = GenerateOptions { stream_buffer_size, ..Default::default() };
            let (mut events, shares) = (Vec::new(), RefCell::new(Vec::new()));
            let cancel = CancelFlag::default();
            let mut on_progress = |share| shares.borrow_mut().push(share);
            let mut watch = Watch { cancel: &cancel, on_progress: &mut on_progress };
            let all: Vec<String> = texts.iter().map(ToString::to_string).collect();
            let mut on_text = |event| events.push(event);
            let answered = model.generate(&all, &options, &mut watch, &mut on_text);
            let (generations, timings) = pollster::block_on(answered).expect("both are answered");
            assert_eq!(generations[0].text, "one thousand, nine hundred and eighty-four");
            assert_eq!(generations[1].text, "dwadzieścia dwa tysiące pięć");
            for (index, generation) in generations.iter().enumerate() {
                let of_text: Vec<_> = events.iter().filter(|event| event.index == index).collect();
                let tokens: Vec<u32> = of_text.iter().flat_map(|event| event.new_tokens.clone()).collect();
                assert_eq!(tokens, generation.tokens);
                assert!(of_text.iter().all(|event| generation.text.starts_with(&event.text)), "{of_text:?}");
                assert_eq!(of_text.last().map(|event| &event.text), Some(&generation.text));
                assert_eq!(of_text.len(), generation.tokens.len().div_ceil(stream_buffer_size as usize));
            }
            assert_eq!(shares.into_inner(), [0.0, 0.5, 1.0]);
            assert!(timings.first_token_ms > 0.0 && timings.first_token_ms <= timings.total_ms);
        }
    }
}

#[test]
fn texts_end_before_what_stops_them() {
    for device in devices() {
        let mut model = load(&device, "t5-numbers");
        let stopped_by = |stops: &[&str]| GenerateOptions {
            stop: stops.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        let text = "number to English: 1984";
        let whole = generate(&mut model, text, &GenerateOptions::default());
        let cut = generate(&mut model, text, &stopped_by(&["hundred", ","]));
        assert_eq!((cut.text.as_str(), cut.finish), ("one thousand", FinishReason::Stop));
        assert!(whole.tokens.starts_with(&cut.tokens) && cut.tokens.len() < whole.tokens.len(), "{cut:?}");
        assert_eq!(generate(&mut model, text, &stopped_by(&["million"])), whole);
        let (cancel, texts) = (CancelFlag::default(), [text, "number to English: 7"]);
        let both = try_generate(&mut model, &texts, &stopped_by(&[","]), &cancel, &mut |_| ()).expect("two answers");
        let ends: Vec<_> = both.iter().map(|answer| (answer.text.as_str(), answer.finish)).collect();
        assert_eq!(ends, [("one thousand", FinishReason::Stop), ("seven", FinishReason::EndOfText)]);
    }
}

#[test]
fn it_stops_when_it_is_told_to() {
    for num_beams in [1, 4] {
        let mut model = load(&processor(), "t5-numbers");
        let cancel = CancelFlag::default();
        let options = GenerateOptions { num_beams, ..Default::default() };
        let texts = ["German to number: eine Million zweihunderttausend"; 3];
        let mut on_text = |_: TextEvent| cancel.cancel();
        let stopped = try_generate(&mut model, &texts, &options, &cancel, &mut on_text);
        assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
        // And is ready for the next.
        let next = generate(&mut model, "number to French: 71", &GenerateOptions::default());
        assert_eq!(next.text, "soixante et onze");
    }
}

#[test]
fn texts_end_at_the_limit_and_what_cannot_be_done_is_refused() {
    let mut model = load(&processor(), "t5-numbers");
    let text = "number to English: 1984";
    let three = generate(&mut model, text, &GenerateOptions { max_tokens: Some(3), ..Default::default() });
    assert_eq!((three.tokens.len(), three.finish), (3, FinishReason::MaxTokens));
    let plain = GenerateOptions::default();
    let refused = [
        GenerateOptions { max_tokens: Some(0), ..plain.clone() },
        GenerateOptions { max_tokens: Some(512), ..plain.clone() },
        GenerateOptions { temperature: -1.0, ..plain.clone() },
        GenerateOptions { temperature: f32::NAN, ..plain.clone() },
        GenerateOptions { top_k: Some(0), ..plain.clone() },
        GenerateOptions { top_p: 0.0, ..plain.clone() },
        GenerateOptions { num_beams: 9, ..plain.clone() },
        GenerateOptions { num_beams: 4, temperature: 1.0, ..plain.clone() },
        GenerateOptions { stop: vec![String::new()], ..plain.clone() },
        GenerateOptions { stop: vec![".".into()], num_beams: 4, ..plain.clone() },
    ];
    for options in refused {
        let answer = try_generate(&mut model, &[text], &options, &CancelFlag::default(), &mut |_| ());
        assert!(matches!(answer, Err(Error::Input(_))), "{options:?}: {answer:?}");
    }
    let long = "one ".repeat(600);
    let answer = try_generate(&mut model, &[text, &long], &plain, &CancelFlag::default(), &mut |_| ());
    assert!(matches!(&answer, Err(Error::Input(what)) if what.contains("512")), "{answer:?}");
    assert!(
        try_generate(&mut model, &[], &plain, &CancelFlag::default(), &mut |_| ()).expect("nothing to do").is_empty()
    );
    assert!(!generate(&mut model, "", &plain).tokens.is_empty(), "an empty text is a text");
}
