//! The worker behind its messages, natively: what closes a job, live recordings, bad input, wrong files.
#![cfg(not(target_arch = "wasm32"))]

mod models;

use futures_lite::future;
use models::micro::{write_micro_whisper, write_weights};
use rill::engine::check::noise;
use rill::protocol::*;
use rill::worker::Worker;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// A worker and everything it has said.
struct Desk {
    worker: Rc<Worker>,
    said: Rc<RefCell<Vec<Event>>>,
}

impl Desk {
    fn over(folder: &Path) -> Self {
        let said: Rc<RefCell<Vec<Event>>> = Rc::default();
        let heard = said.clone();
        let worker = Worker::new(folder.display().to_string(), move |event| heard.borrow_mut().push(event));
        Self { worker, said }
    }

    /// Sends a command and gives the event that closes its job.
    fn ask(&self, command: Command, samples: Option<Vec<f32>>) -> Event {
        pollster::block_on(self.worker.handle(command, samples));
        let said = self.said.borrow();
        said.iter().rfind(|event| event.is_closing()).cloned().expect("a command with a job is closed")
    }

    fn load(&self) -> PipelineId {
        match self.ask(Command::Load { job: JobId(1), request: LoadRequest::new("whisper-tiny.en") }, None) {
            Event::Loaded { pipeline, .. } => pipeline.id,
            other => panic!("{other:?}"),
        }
    }

    fn failure(&self, command: Command, samples: Option<Vec<f32>>) -> Failure {
        match self.ask(command, samples) {
            Event::Failed { failure, .. } => failure,
            other => panic!("expected a failure, got {other:?}"),
        }
    }
}

fn transcribe(pipeline: PipelineId, options: TranscribeOptions) -> Command {
    Command::Transcribe { job: JobId(2), pipeline, options }
}

/// Two temperatures: the random text of a random model fails at the first.
fn options() -> TranscribeOptions {
    TranscribeOptions { temperatures: vec![0.0, 0.8], max_tokens: Some(40), ..Default::default() }
}

#[test]
fn a_live_recording_gives_the_text_of_the_same_file() {
    let desk = Desk::over(&write_micro_whisper("live"));
    let pipeline = desk.load();
    let recording = noise(33 * 16_000, 7);
    let Event::Transcribed { transcript: file, .. } =
        desk.ask(transcribe(pipeline, options()), Some(recording.clone()))
    else {
        panic!("the file is transcribed");
    };
    let job = JobId(3);
    let live = async {
        for block in recording.chunks(16_000) {
            desk.worker.handle(Command::StreamAudio { job }, Some(block.to_vec())).await;
            rill::engine::edge::sleep(1).await;
        }
        desk.worker.handle(Command::StreamEnd { job }, None).await;
    };
    let start = desk.worker.handle(Command::StreamStart { job, pipeline, options: options() }, None);
    pollster::block_on(future::zip(start, live));
    let said = desk.said.borrow();
    let Some(Event::Transcribed { transcript, .. }) = said.iter().rfind(|event| event.job() == Some(job)) else {
        panic!("the live recording is transcribed");
    };
    assert_eq!(transcript.tokens, file.tokens);
    assert_eq!(transcript.timings.audio_s, 33.0);
    assert!(!file.tokens.is_empty(), "a random model writes something");
}

#[test]
fn recordings_that_hold_no_word_are_refused_with_a_reason() {
    let desk = Desk::over(&write_micro_whisper("refused"));
    let pipeline = desk.load();
    for (samples, word) in [(vec![], "empty"), (vec![0.1; 800], "0.05 s"), (vec![f32::NAN; 32_000], "no numbers")] {
        let failure = desk.failure(transcribe(pipeline, options()), Some(samples));
        assert_eq!(failure.kind, FailureKind::Input);
        assert!(failure.message.contains(word), "{}", failure.message);
        assert!(!failure.hint.is_empty());
    }
    let foreign = TranscribeOptions { language: Some("de".into()), ..options() };
    let failure = desk.failure(transcribe(pipeline, foreign), Some(vec![0.1; 16_000]));
    assert!(failure.message.contains("English only"), "{}", failure.message);
}

#[test]
fn a_cancelled_job_closes_as_cancelled_and_the_model_still_works() {
    let desk = Desk::over(&write_micro_whisper("cancelled"));
    let pipeline = desk.load();
    let job = JobId(5);
    let samples = noise(16_000 * 5, 1);
    let run = desk.worker.handle(Command::Transcribe { job, pipeline, options: options() }, Some(samples.clone()));
    let stop = desk.worker.handle(Command::Cancel { job }, None);
    pollster::block_on(future::zip(run, stop));
    let closed = desk.said.borrow().last().cloned();
    assert!(
        matches!(&closed, Some(Event::Failed { failure, .. }) if failure.kind == FailureKind::Cancelled),
        "{closed:?}"
    );
    let again = desk.ask(transcribe(pipeline, options()), Some(samples));
    assert!(matches!(again, Event::Transcribed { .. }), "{again:?}");
}

#[test]
fn a_disposed_model_is_named_in_the_answer() {
    let desk = Desk::over(&write_micro_whisper("disposed"));
    let pipeline = desk.load();
    pollster::block_on(desk.worker.handle(Command::Dispose { pipeline }, None));
    let failure = desk.failure(transcribe(pipeline, options()), Some(vec![0.1; 16_000]));
    assert!(failure.message.contains("no longer loaded"), "{}", failure.message);
}

/// Loads after `damage` was done to the model's folder, and gives the failure.
fn load_damaged(name: &str, damage: impl Fn(&Path)) -> Failure {
    let root = write_micro_whisper(name);
    damage(&root.join("whisper-tiny.en"));
    Desk::over(&root).failure(Command::Load { job: JobId(1), request: LoadRequest::new("whisper-tiny.en") }, None)
}

#[test]
fn damaged_and_wrong_checkpoints_are_told_apart() {
    let weights = "model.safetensors";
    let cut = load_damaged("cut", |folder| {
        let file = std::fs::OpenOptions::new().write(true).open(folder.join(weights)).expect("the weights");
        file.set_len(100_000).expect("the file is cut");
    });
    assert_eq!(cut.kind, FailureKind::Model);
    assert!(cut.message.contains("missing") || cut.message.contains("bytes"), "{}", cut.message);

    let garbage =
        load_damaged("garbage", |folder| std::fs::write(folder.join(weights), [0x7b; 4096]).expect("written"));
    assert_eq!(garbage.kind, FailureKind::Model, "{}", garbage.message);

    let other_size = load_damaged("other size", |folder| write_weights(&folder.join(weights), 64));
    assert!(other_size.message.contains("expected"), "{}", other_size.message);

    let other_kind = load_damaged("other kind", |folder| {
        std::fs::write(folder.join("config.json"), r#"{"model_type": "llama"}"#).expect("written");
    });
    assert!(other_kind.message.contains("llama"), "{}", other_kind.message);

    let no_weights = load_damaged("no weights", |folder| std::fs::remove_file(folder.join(weights)).expect("removed"));
    assert_eq!(no_weights.kind, FailureKind::Network, "{}", no_weights.message);
}

#[test]
fn an_unknown_model_and_an_unknown_feature_are_refused() {
    let desk = Desk::over(Path::new("."));
    let unknown = desk.failure(Command::Load { job: JobId(1), request: LoadRequest::new("gpt") }, None);
    assert!(unknown.message.contains("gpt"), "{}", unknown.message);
    let feature = desk.failure(Command::TestFeature { job: JobId(2), name: "teleport".into() }, None);
    assert!(feature.message.contains("webgpu.f16"), "the known ones are listed: {}", feature.message);
}
