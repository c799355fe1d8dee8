//! The WebNN backend without a browser: every op and whole models through an interpreter that holds them to the
//! specification's rules, compared with the definitions.

use crate::checks;
use crate::interpreter::{CHROMIUM_LIMITS, open};
use crate::models;
use rill::engine::ops::decode_state::DecodeState;
use rill::engine::session::{Device, Watch};
use rill::engine::transcribe::SpeechModel;
use rill::engine::webnn::Context;
use rill::engine::{CancelFlag, Error};
use rill::protocol::{FailureKind, GenerateOptions, Precision};
use serde_json::Value;
use std::rc::Rc;

macro_rules! by_the_interpreter {
    ($name:ident) => {
        #[test]
        fn $name() {
            let (context, _) = open(CHROMIUM_LIMITS);
            pollster::block_on(checks::$name(&Device::WebNn(context))).unwrap_or_else(|e| panic!("{e}"));
        }
    };
}
checks::every_check!(by_the_interpreter);
by_the_interpreter!(split_weights_agree); // Nothing is split here; it is one more mix of widths.

/// Runs a prompt and two steps over silence that was never encoded; gives the logits of the last step, tokens and state.
fn decode(model: &mut SpeechModel) -> (Vec<f32>, Vec<u32>, DecodeState) {
    let whisper = model.whisper.clone();
    let session = &mut model.session;
    let prompt = [50257u32, 50362];
    let begin = DecodeState {
        n_rows: 2,
        sample_begin: 2,
        limit: 40,
        eot: 50256,
        timestamp_begin: 50363,
        no_timestamps: 50362,
        no_speech: 50361,
        ..bytemuck::Zeroable::zeroed()
    };
    session.write(whisper.tokens, 0, bytemuck::cast_slice(&prompt)).expect("tokens are written");
    session.write(whisper.state, 0, bytemuck::bytes_of(&begin)).expect("a state is written");
    let cancel = CancelFlag::default();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let runs = [(whisper.prompts[0].1, 1), (whisper.step, 2)];
    let reads = [whisper.logits, whisper.tokens, whisper.state];
    let submitted = pollster::block_on(session.submit(&runs, &reads, &mut watch)).expect("the decoder runs");
    let bytes = pollster::block_on(submitted.wait()).expect("the slots are read");
    let floats = bytemuck::pod_collect_to_vec(&bytes[0]);
    (floats, bytemuck::pod_collect_to_vec(&bytes[1]), bytemuck::pod_read_unaligned(&bytes[2]))
}

fn load(context: &Rc<Context>, id: &str) -> SpeechModel {
    models::load_speech(Device::WebNn(context.clone()), id)
}

#[test]
fn whisper_decodes_as_the_definitions_do() {
    let (context, interpreter) = open(CHROMIUM_LIMITS);
    let mut model = load(&context, "whisper-tiny.en");
    let (logits, tokens, state) = decode(&mut model);
    let (expected_logits, expected_tokens, expected_state) =
        decode(&mut models::load_speech(Device::Plain, "whisper-tiny.en"));
    assert_eq!(tokens[..6], expected_tokens[..6]);
    assert_eq!((state.position, state.n_rows), (expected_state.position, expected_state.n_rows));
    for (idx, (got, expected)) in logits.iter().zip(&expected_logits).enumerate() {
        // f32 sums in another order, over a residual stream of hundreds.
        assert!((got - expected).abs() < 1e-2, "logit {idx} is {got}, expected {expected}");
    }

    // Every graph of the model passed the limits when it was loaded; only those that ran were built, and the projection onto
    // the vocabulary, which prompt and step share, once.
    let built = interpreter.built.borrow().clone();
    assert_eq!(built.iter().filter(|label| label.ends_with("/linear")).count(), 1, "{built:?}");
    assert!(built.iter().any(|label| label.starts_with("step/")), "{built:?}");
    assert!(!built.iter().any(|label| label.starts_with("prompt 16/")), "{built:?}");
    drop(model);
    assert_eq!(interpreter.n_objects(), [0, 0, 0], "what a session made goes with it");
}

#[test]
fn minilm_gives_the_references_vectors_by_the_interpreter() {
    let golden: Value = serde_json::from_str(include_str!("../golden/minilm.json")).expect("the golden file is JSON");
    let (context, _) = open(CHROMIUM_LIMITS);
    let mut model = models::load_embedding(Device::WebNn(context), "all-MiniLM-L6-v2");
    let cancel = CancelFlag::default();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let sentence = &golden["sentences"][0];
    let text = sentence["text"].as_str().expect("a text").to_string();
    let got = pollster::block_on(model.embed(&[text], None, &mut watch)).expect("the sentence is embedded");
    let got = &got.vectors[0];
    let expected = sentence["embedding"].as_array().expect("an embedding");
    let cosine: f64 = got.iter().zip(expected).map(|(g, e)| f64::from(*g) * e.as_f64().unwrap_or(0.0)).sum();
    assert!((cosine - 1.0).abs() < 1e-5, "cosine {cosine}");
}

/// Greedily and by beams, whose keys lie anywhere in the cache.
#[test]
fn t5_writes_what_the_definitions_do() {
    let tiny = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/t5-v1_0-tiny");
    let texts = |device: Device| {
        let mut model = models::load_text_as(device, tiny, Precision::F32);
        let write = |num_beams: u32| {
            let options = GenerateOptions { max_tokens: Some(5), num_beams, ..Default::default() };
            let cancel = CancelFlag::default();
            let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
            let (texts, mut on_text) = (["A text.".to_string()], |_| ());
            let written = pollster::block_on(model.generate(&texts, &options, &mut watch, &mut on_text));
            written.expect("a text is written").0.remove(0).tokens
        };
        [1, 3].map(write)
    };
    let (context, _) = open(CHROMIUM_LIMITS);
    let expected = texts(Device::Plain);
    assert_ne!(expected[0], expected[1], "beams find another text");
    assert_eq!(texts(Device::WebNn(context)), expected);
}

#[test]
fn a_device_that_lacks_a_primitive_is_refused_by_its_name() {
    let mut limits: Value = serde_json::from_str(CHROMIUM_LIMITS).expect("limits are JSON");
    limits.as_object_mut().expect("a dictionary").remove("gelu");
    let (context, interpreter) = open(&limits.to_string());
    let probed = pollster::block_on(rill::engine::check::probe(&Device::WebNn(context)));
    match probed {
        Err(Error::BackendUnavailable { backend: "webnn", reason }) => assert!(reason.contains("`gelu`"), "{reason}"),
        other => panic!("a device without gelu was taken: {other:?}"),
    }
    assert!(interpreter.built.borrow().is_empty(), "nothing is built for it");
}

#[test]
fn a_context_that_is_lost_says_so_and_not_what_failed_after() {
    let (context, interpreter) = open(CHROMIUM_LIMITS);
    let device = Device::WebNn(context.clone());
    pollster::block_on(rill::engine::check::probe(&device)).expect("it works at first");
    interpreter.lose("the GPU process crashed");
    match pollster::block_on(rill::engine::check::probe(&device)) {
        Err(error @ Error::DeviceLost(_)) => {
            assert!(error.to_string().contains("the GPU process crashed"), "{error}");
            assert_eq!(error.to_failure().kind, FailureKind::DeviceLost);
        }
        other => panic!("a lost context went unnoticed: {other:?}"),
    }
}
