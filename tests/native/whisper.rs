//! Whisper against the reference's golden numbers (openai-whisper 20250625) on this machine's GPU (lavapipe in CI)
//! and on the processor.
//!
//! RILL_MODELS names the folder that holds the model folders and, in `samples/`, the clips that packages carry. RILL_SPEECH may name a
//! folder of more clips; a clip that is not there is a printed skip.

use crate::models::{clip, devices, load_speech, load_speech_as, processor, read_floats};
use rill::engine::CancelFlag;
use rill::engine::graph::GraphId;
use rill::engine::ops::{decode_state::DecodeState, log_mel::with_margins, mel_scale::NO_LIMITS};
use rill::engine::session::{Device, Watch};
use rill::engine::transcribe::{SpeechModel, Transcription};
use rill::protocol::{Precision, TranscribeOptions};
use rill::word_errors::words;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/whisper.json")).expect("the golden file is JSON")
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().into_iter().flatten().filter_map(|id| id.as_u64()).map(|id| id as u32).collect()
}

fn transcribe(model: &mut SpeechModel, samples: &[f32], options: TranscribeOptions) -> Transcription {
    let mut job = model.begin(options).expect("the options fit the model");
    let cancel = CancelFlag::default();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    pollster::block_on(model.transcribe(samples, &mut job, &mut watch, &mut |_| ())).expect("the clip is transcribed");
    job
}

fn assert_near(what: &str, got: &[f32], expected: &Value, tolerance: f32) {
    let expected: Vec<f32> =
        expected.as_array().into_iter().flatten().map(|v| v.as_f64().unwrap_or(f64::NAN) as f32).collect();
    assert_eq!(got.len(), expected.len(), "{what}");
    for (idx, (g, e)) in got.iter().zip(&expected).enumerate() {
        assert!((g - e).abs() <= tolerance, "{what}[{idx}] is {g}, expected {e} within {tolerance}");
    }
}

/// Encodes jfk as the reference does, without looking for silence.
fn encode_jfk(model: &mut SpeechModel) {
    let samples = clip("jfk").expect("jfk.wav is fetched with the models");
    let whisper = model.whisper.clone();
    let audio = with_margins(&samples, 0, whisper.config.n_samples());
    let session = &mut model.session;
    session.write(whisper.audio, 0, bytemuck::cast_slice(&audio)).unwrap();
    session.write(whisper.limits, 0, bytemuck::cast_slice(&NO_LIMITS)).unwrap();
    submit(model, &[(whisper.mel, 1), (whisper.encoder, 1)]);
}

fn submit(model: &mut SpeechModel, runs: &[(GraphId, u32)]) {
    let cancel = CancelFlag::default();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    pollster::block_on(model.session.submit(runs, &[], &mut watch)).unwrap();
}

/// Features and encoder of jfk, which was the last that the model encoded, and the first logits.
fn numbers_agree(model: &mut SpeechModel, id: &str, prompt: &[u32]) {
    let golden = golden();
    let expected = &golden["models"][id];
    let whisper = model.whisper.clone();
    let begin = DecodeState {
        n_rows: prompt.len() as u32,
        sample_begin: prompt.len() as u32,
        limit: 9,
        ..bytemuck::Zeroable::zeroed()
    };
    model.session.write(whisper.tokens, 0, bytemuck::cast_slice(prompt)).unwrap();
    model.session.write(whisper.state, 0, bytemuck::bytes_of(&begin)).unwrap();
    submit(model, &[(whisper.prompts[0].1, 1)]);
    let session = &mut model.session;

    // Logarithms of sums of f32: 1e-4 is four units in the last place of the largest, 1.46, times eighty summands.
    let mel = read_floats(session, whisper.features);
    for (frame, row) in golden["mel"]["frames"].as_object().unwrap() {
        let frame: usize = frame.parse().unwrap();
        assert_near(&format!("mel frame {frame}"), &mel[frame * 80..][..80], row, 1e-4);
    }
    // The residual stream reaches 631 before the last norm, where f32 has steps of 6e-5; measured 4e-4 here.
    let d = whisper.config.d_model;
    let encoded = read_floats(session, whisper.encoded);
    for (row, values) in expected["encoder_rows"].as_object().unwrap() {
        let row: usize = row.parse().unwrap();
        assert_near(&format!("encoder row {row}"), &encoded[row * d..][..d], values, 2e-3);
    }
    let logits = read_floats(session, whisper.logits);
    for (token, logit) in expected["first_logits"].as_object().unwrap() {
        let (token, expected) = (token.parse::<usize>().unwrap(), logit.as_f64().unwrap() as f32);
        assert!((logits[token] - expected).abs() <= 2e-3, "logit {token} is {}, expected {expected}", logits[token]);
    }
}

#[test]
fn base_gives_the_references_numbers() {
    for device in devices() {
        let mut model = load_speech(device, "whisper-base");
        encode_jfk(&mut model);
        numbers_agree(&mut model, "whisper-base", &[50258, 50259, 50359, 50363]);
    }
}

/// Greedy tokens of every clip that is there; the long one by its default segments.
fn tokens_agree(model: &mut SpeechModel, id: &str, clips: &[&str]) {
    let golden = golden();
    let expected = &golden["models"][id];
    let mut wrong = Vec::new();
    for name in clips {
        let Some(samples) = clip(name) else { continue };
        let timestamps = samples.len() > 480_000;
        let language = match *name {
            "cv-es" => "es",
            "cv-de" => "de",
            _ => "en",
        };
        let options = TranscribeOptions {
            timestamps,
            language: Some(language.into()),
            temperatures: vec![0.0],
            ..Default::default()
        };
        let job = transcribe(model, &samples, options);
        let got: Vec<u32> = job.segments.iter().flat_map(|segment| segment.tokens.clone()).collect();
        let reference = &expected["clips"][*name];
        let tokens = if timestamps {
            reference["default"]["segments"].as_array().into_iter().flatten().flat_map(|s| ids(&s["tokens"])).collect()
        } else {
            ids(&reference["greedy_tokens"])
        };
        // Where the reference's policy finds no speech, the tokens of its bare decoder do not count.
        let is_silent = reference["default"]["text"] == "";
        if got != tokens && !(is_silent && got.is_empty()) {
            wrong.push(format!("{name}: {got:?}\n  expected {tokens:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tiny_en_writes_the_references_tokens_by_its_numbers() {
    for device in devices() {
        // Lavapipe takes half a minute for each.
        let clips: &[&str] =
            if matches!(device, Device::Gpu(_)) { &["jfk"] } else { &["austen-0880", "austen-0890", "jfk"] };
        let mut model = load_speech(device, "whisper-tiny.en");
        tokens_agree(&mut model, "whisper-tiny.en", clips);
        numbers_agree(&mut model, "whisper-tiny.en", &[50257, 50362]);
    }
}

/// All clips of the development set; minutes on a software adapter, so only where RILL_SPEECH asks for it.
#[test]
fn every_clip_gives_the_references_tokens() {
    if std::env::var_os("RILL_SPEECH").is_none() {
        eprintln!("skipped: RILL_SPEECH names no folder of clips");
        return;
    }
    let english = [
        "jfk",
        "ls-1272-128104-0000",
        "ls-1089-134691-0000",
        "ls-1995-1837-0001",
        "austen-0870",
        "austen-0880",
        "austen-0890",
        "LJ001-0001",
        "LJ001-0007",
        "LJ001-0015",
        "espeak-en-1",
        "silence-5s",
        "noise-8s",
        "lj-long-80s",
    ];
    let all: Vec<&str> = english.into_iter().chain(["cv-es", "cv-de"]).collect();
    for device in devices() {
        for (id, clips) in [("whisper-tiny.en", &english[..]), ("whisper-base", &all[..])] {
            tokens_agree(&mut load_speech(device.clone(), id), id, clips);
        }
    }
}

/// With timestamps, as `decode` of the reference gives them for one padded window.
#[test]
fn tiny_en_follows_the_timestamp_rules() {
    let golden = golden();
    let mut model = load_speech(processor(), "whisper-tiny.en");
    let samples = clip("jfk").expect("jfk.wav is fetched with the models");
    let job = transcribe(&mut model, &samples, TranscribeOptions::default());
    let got: Vec<u32> = job.segments.iter().flat_map(|segment| segment.tokens.clone()).collect();
    assert_eq!(got, ids(&golden["models"]["whisper-tiny.en"]["timestamp_tokens"]));
    let times: Vec<(f64, f64)> = job.segments.iter().map(|segment| (segment.start, segment.end)).collect();
    assert_eq!(times, [(0.0, 8.0), (8.0, 11.0)]);
}

#[test]
fn eight_bit_weights_write_the_references_words() {
    let golden = golden();
    let wide_bytes = load_speech(processor(), "whisper-tiny.en").session.memory_bytes();
    let mut model = load_speech_as(processor(), "whisper-tiny.en", Precision::Int8);
    assert!(model.session.memory_bytes() < wide_bytes, "int8 takes less memory");
    for name in ["jfk", "austen-0880", "austen-0890"] {
        let samples = clip(name).expect("the clips are fetched with the models");
        let options = TranscribeOptions { timestamps: false, ..Default::default() };
        let job = transcribe(&mut model, &samples, options);
        let text: String = job.segments.iter().map(|segment| segment.text.as_str()).collect();
        let reference = &golden["models"]["whisper-tiny.en"]["clips"][name]["default"]["text"];
        assert_eq!(words(&text), words(reference.as_str().expect("a text")), "{name}");
    }
}

#[test]
fn base_detects_the_language() {
    let mut model = load_speech(processor(), "whisper-base");
    let samples = clip("austen-0880").expect("the clips are fetched with the models");
    let job = transcribe(&mut model, &samples, TranscribeOptions { temperatures: vec![0.0], ..Default::default() });
    assert_eq!(job.language.as_deref(), Some("en"));
}
