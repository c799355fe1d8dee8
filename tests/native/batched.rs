//! Several inputs decoded at once: the batch size changes no token of a text, nor of a piece of speech, on this machine's GPU (lavapipe in
//! CI) and on the processor.

use crate::models::micro::write_micro_whisper;
use crate::models::{clip, devices, folder_of, load_for, processor};
use rill::audio::pauses;
use rill::engine::check::noise;
use rill::engine::generate::{TextEvent, TextModel};
use rill::engine::model::Model;
use rill::engine::session::{Device, Watch};
use rill::engine::transcribe::{SpeechEvent, SpeechModel, Transcription};
use rill::engine::{CancelFlag, Error};
use rill::protocol::{GenerateOptions, Generation, Precision, TranscribeOptions};
use rill::word_errors::{edits, words};
use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};

const SECOND: usize = 16_000;

fn speech(device: Device, folder: &Path, batch_size: usize) -> SpeechModel {
    match load_for(device, folder.into(), Precision::F32, batch_size) {
        Model::Speech(model) => *model,
        _ => panic!("{} is no speech model", folder.display()),
    }
}

fn text(device: &Device, folder: &Path, batch_size: usize) -> TextModel {
    match load_for(device.clone(), folder.into(), Precision::F32, batch_size) {
        Model::Text(model) => *model,
        _ => panic!("{} writes no text", folder.display()),
    }
}

fn transcribe(model: &mut SpeechModel, samples: &[f32], options: &TranscribeOptions) -> Transcription {
    let mut job = model.begin(options.clone()).expect("the options fit the model");
    let mut watch = Watch { cancel: &CancelFlag::default(), on_progress: &mut |_| () };
    pollster::block_on(model.transcribe(samples, &mut job, &mut watch, &mut |_| ())).expect("it is transcribed");
    job
}

fn tokens(job: &Transcription) -> Vec<Vec<u32>> {
    job.segments.iter().map(|segment| segment.tokens.clone()).collect()
}

fn generate(
    model: &mut TextModel,
    texts: &[&str],
    options: &GenerateOptions,
    on_text: &mut dyn FnMut(TextEvent),
) -> rill::engine::Result<Vec<Generation>> {
    let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
    let mut watch = Watch { cancel: &CancelFlag::default(), on_progress: &mut |_| () };
    pollster::block_on(model.generate(&texts, options, &mut watch, on_text)).map(|(generations, _)| generations)
}

/// Noise in stretches with pauses between them: four pieces with sound, and one that is silent.
fn stretches() -> Vec<f32> {
    let mut samples = noise(110 * SECOND, 7);
    for pause in [24, 50, 102] {
        samples[pause * SECOND..][..SECOND].fill(0.0);
    }
    samples[60 * SECOND..95 * SECOND].fill(0.0);
    samples
}

#[test]
fn the_batch_size_changes_no_token_of_a_piece() {
    let folder = write_micro_whisper("batched").join("whisper-tiny.en");
    let samples = stretches();
    // Greedy; then drawn, for which each piece has a seed of its own, with a prompt, which each is given.
    let greedy = TranscribeOptions { temperatures: vec![0.0], max_tokens: Some(12), ..Default::default() };
    let drawn = TranscribeOptions {
        temperatures: vec![0.9],
        prompt: Some("a tale of two cities and a pause".into()),
        ..greedy.clone()
    };
    for device in devices() {
        for options in [&greedy, &drawn] {
            let [two, three] = [2, 3].map(|batch_size| {
                let mut model = speech(device.clone(), &folder, batch_size);
                assert_eq!(model.batch_size(), batch_size);
                tokens(&transcribe(&mut model, &samples, options))
            });
            assert_eq!(two, three, "{options:?}");
            assert!(two.windows(2).any(|pair| pair[0] != pair[1]), "the pieces are not all alike: {two:?}");
        }
    }
}

/// What is not longer than a window is decoded as it always is.
#[test]
fn a_short_recording_is_the_same_by_any_batch_size() {
    let folder = write_micro_whisper("batched short").join("whisper-tiny.en");
    let samples = noise(20 * SECOND, 3);
    for device in devices() {
        let [one, four] = [1, 4].map(|batch_size| {
            let mut model = speech(device.clone(), &folder, batch_size);
            transcribe(&mut model, &samples, &TranscribeOptions { max_tokens: Some(30), ..Default::default() }).segments
        });
        assert_eq!(one, four);
        assert!(!one.is_empty(), "a random model writes something");
    }
}

#[test]
fn pieces_are_settled_in_order_and_stop_when_told_to() {
    let folder = write_micro_whisper("batched order").join("whisper-tiny.en");
    let samples = stretches();
    let mut model = speech(processor(), &folder, 3);
    let options = TranscribeOptions { temperatures: vec![0.0, 0.8], max_tokens: Some(20), ..Default::default() };
    let mut job = model.begin(options).expect("the options fit");
    let cancel = CancelFlag::default();
    let mut sent = Vec::new();
    let mut on_event = |event| {
        if let SpeechEvent::Segments(segments) = event {
            sent.extend(segments);
            cancel.cancel();
        }
    };
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let stopped = pollster::block_on(model.transcribe(&samples, &mut job, &mut watch, &mut on_event));
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    let seek = job.seek;
    assert!(seek > 0 && seek < samples.len(), "stopped at {seek}");
    // It goes on from the last settled piece, as on another device.
    let mut on_event = |event| {
        if let SpeechEvent::Segments(segments) = event {
            sent.extend(segments);
        }
    };
    let mut watch = Watch { cancel: &CancelFlag::default(), on_progress: &mut |_| () };
    pollster::block_on(model.transcribe(&samples, &mut job, &mut watch, &mut on_event)).expect("it goes on");
    assert_eq!((job.seek, &sent), (samples.len(), &job.segments), "each segment is sent once");
    for pair in sent.windows(2) {
        assert!(pair[1].start >= pair[0].end - 1e-6, "{} s comes after {} s", pair[1].start, pair[0].end);
    }
    assert!(sent.last().is_some_and(|last| last.start > 95.0 && last.end <= 110.0 + 1e-6), "{:?}", sent.last());
}

/// Clips with pauses between them: the tokens are the same however many pieces are decoded at once, and each piece has the words that it has as
/// a recording of its own, at its own times, but for two of them: the floor of the features follows the loudest moment of the whole recording,
/// and where the model wavers that decides. On the processor: Lavapipe takes minutes.
#[test]
fn joined_clips_have_the_words_of_each() {
    let clips =
        ["jfk", "austen-0880", "austen-0890"].map(|name| clip(name).expect("the clips are fetched with the models"));
    let mut joined = Vec::new();
    for samples in &clips {
        let loudest = samples.iter().fold(0.0f32, |most, sample| most.max(sample.abs()));
        joined.extend(samples.iter().map(|sample| sample / loudest));
        joined.resize(joined.len().next_multiple_of(31 * SECOND), 0.0);
    }
    let mut pieces = Vec::new();
    while pieces.last().is_none_or(|piece: &Range<usize>| piece.end < joined.len()) {
        pieces.push(pauses::piece(&joined, pieces.last().map_or(0, |piece| piece.end), 30 * SECOND));
    }
    let folder = folder_of("whisper-tiny.en");
    let options = TranscribeOptions { temperatures: vec![0.0], ..Default::default() };
    let mut alone = speech(processor(), &folder, 1);
    let said = |job: &Transcription, from: f64, to: f64| -> Vec<String> {
        let within = job.segments.iter().filter(|segment| segment.start >= from && segment.start < to);
        words(&within.map(|segment| segment.text.as_str()).collect::<String>())
    };
    let mut expected = Vec::new();
    for piece in pieces.iter().filter(|piece| joined[(*piece).clone()].iter().any(|sample| *sample != 0.0)) {
        let job = transcribe(&mut alone, &joined[piece.clone()], &options);
        expected.push((piece.start as f64 / SECOND as f64, piece.end as f64 / SECOND as f64, said(&job, 0.0, 30.0)));
    }
    drop(alone);
    assert_eq!(expected.len(), clips.len(), "a piece for each clip");
    assert!(expected[0].2.contains(&"americans".to_string()), "{expected:?}");
    let mut heard: Option<Vec<u32>> = None;
    // Two at once leave one that is decoded alone.
    for batch_size in [2, 3] {
        let mut model = speech(processor(), &folder, batch_size);
        let job = transcribe(&mut model, &joined, &options);
        let tokens: Vec<u32> = job.segments.iter().flat_map(|segment| segment.tokens.iter().copied()).collect();
        assert_eq!(*heard.get_or_insert_with(|| tokens.clone()), tokens, "{batch_size} at once");
        let mut n_errors = 0;
        for (from, to, expected) in &expected {
            let got = said(&job, *from, *to);
            n_errors += edits(expected, &got);
            assert!(n_errors <= 2, "the piece at {from} s, {batch_size} at once: {got:?}, expected {expected:?}");
        }
    }
}

const TEXTS: [&str; 5] = [
    "number to English: 1984",
    "number to Polish: 22005",
    "German to number: eine Million zweihunderttausend",
    "number to French: 71",
    "number to English: 3",
];

fn text_folders() -> [PathBuf; 2] {
    let tiny = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/t5-v1_0-tiny");
    [folder_of("t5-numbers"), tiny.into()]
}

#[test]
fn texts_at_once_are_those_of_one_by_one() {
    let greedy = GenerateOptions { max_tokens: Some(24), ..Default::default() };
    let drawn = GenerateOptions { temperature: 0.9, seed: 5, top_k: Some(40), top_p: 0.9, ..greedy.clone() };
    let beams = GenerateOptions { num_beams: 3, max_tokens: Some(8), ..Default::default() };
    for device in devices().into_iter().chain([Device::Plain]) {
        for folder in text_folders() {
            let is_plain = matches!(device, Device::Plain);
            if !matches!(device, Device::Cpu(_)) && folder.ends_with("t5-numbers") {
                continue; // Lavapipe and the definitions would take minutes.
            }
            let options = if is_plain { vec![&greedy, &drawn] } else { vec![&greedy, &drawn, &beams] };
            let answers = |batch_size: usize| -> Vec<Vec<Generation>> {
                let mut model = text(&device, &folder, batch_size);
                assert_eq!(model.batch_size(), batch_size);
                let answered = |options: &&GenerateOptions| generate(&mut model, &TEXTS, options, &mut |_| ());
                options.iter().map(answered).collect::<rill::engine::Result<_>>().expect("all are answered")
            };
            let one_by_one = answers(1);
            // Three and two; four and one alone; all of them, and places that stay empty.
            for batch_size in if is_plain { vec![3] } else { vec![3, 4, 8] } {
                assert_eq!(answers(batch_size), one_by_one, "{batch_size} of {}", folder.display());
            }
        }
    }
}

#[test]
fn each_of_the_texts_at_once_is_told_as_it_grows() {
    let mut model = text(&processor(), &text_folders()[0], 4);
    let (mut events, shares) = (Vec::new(), RefCell::new(Vec::new()));
    let all: Vec<String> = TEXTS.iter().map(ToString::to_string).collect();
    let mut on_progress = |share| shares.borrow_mut().push(share);
    let mut watch = Watch { cancel: &CancelFlag::default(), on_progress: &mut on_progress };
    let mut on_text = |event| events.push(event);
    let options = GenerateOptions { stream_buffer_size: 2, ..Default::default() };
    let (generations, timings) =
        pollster::block_on(model.generate(&all, &options, &mut watch, &mut on_text)).expect("all are answered");
    for (index, generation) in generations.iter().enumerate() {
        let of_text: Vec<_> = events.iter().filter(|event: &&TextEvent| event.index == index).collect();
        let tokens: Vec<u32> = of_text.iter().flat_map(|event| event.new_tokens.clone()).collect();
        assert_eq!(tokens, generation.tokens);
        assert_eq!(of_text.last().map(|event| &event.text), Some(&generation.text));
    }
    // They grow together: the second begins before the first has ended.
    let first = |index: usize| events.iter().position(|event| event.index == index).expect("it is told");
    let last = |index: usize| events.iter().rposition(|event| event.index == index).expect("it is told");
    assert!(first(1) < last(0));
    assert_eq!(shares.into_inner(), [0.0, 0.8, 1.0]);
    assert!(timings.first_token_ms > 0.0 && timings.first_token_ms <= timings.total_ms);
}

#[test]
fn texts_at_once_stop_when_they_are_told_to() {
    let mut model = text(&processor(), &text_folders()[0], 3);
    let cancel = CancelFlag::default();
    let texts: Vec<String> = TEXTS.iter().map(ToString::to_string).collect();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let mut on_text = |_: TextEvent| cancel.cancel();
    let stopped = pollster::block_on(model.generate(&texts, &GenerateOptions::default(), &mut watch, &mut on_text));
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    let next = generate(&mut model, &["number to French: 71"], &GenerateOptions::default(), &mut |_| ());
    assert_eq!(next.expect("it is answered")[0].text, "soixante et onze");
}
