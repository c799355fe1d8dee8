//! The worker behind its messages, natively: what closes a job, live recordings, bad input, wrong files.

use crate::models;
use crate::models::micro::{write_micro_whisper, write_weights};
use futures_lite::future;
use rill::engine::check::noise;
use rill::engine::ladder::Ladder;
use rill::protocol::*;
use rill::worker::Attachment;
use rill::worker::Worker;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// A worker and everything it has said.
struct Desk {
    worker: Rc<Worker>,
    /// Its devices: a test takes them away.
    ladder: Rc<Ladder>,
    said: Rc<RefCell<Vec<Event>>>,
    /// Done when an event is said, once.
    on_event: Rc<RefCell<Option<OnEvent>>>,
}

/// True once it has done what it waited for.
type OnEvent = Box<dyn Fn(&Event) -> bool>;

impl Desk {
    /// Speaks a recording into a job, a second at a time, until its text is complete.
    fn record(&self, job: JobId, pipeline: PipelineId, recording: &[f32]) {
        let live = async {
            for block in recording.chunks(16_000) {
                self.worker.handle(Command::StreamAudio { job }, Attachment::Samples(block.to_vec())).await;
                rill::engine::edge::sleep(1).await;
            }
            self.worker.handle(Command::StreamEnd { job }, Attachment::None).await;
        };
        let start = self.worker.handle(Command::StreamStart { job, pipeline, options: options() }, Attachment::None);
        pollster::block_on(future::zip(start, live));
    }

    fn over(folder: &Path) -> Self {
        let (ladder, said): (Rc<Ladder>, Rc<RefCell<Vec<Event>>>) = Default::default();
        let on_event: Rc<RefCell<Option<OnEvent>>> = Rc::default();
        let (heard, act) = (said.clone(), on_event.clone());
        let worker = Worker::over(ladder.clone(), folder.display().to_string(), move |event| {
            let is_done = act.borrow().as_ref().is_some_and(|act| act(&event));
            if is_done {
                act.borrow_mut().take();
            }
            heard.borrow_mut().push(event);
        });
        Self { worker, ladder, said, on_event }
    }

    /// Takes the GPU away as soon as `when` is said.
    fn lose_gpu(&self, when: impl Fn(&Event) -> bool + 'static) {
        let gpu = pollster::block_on(self.ladder.gpu()).expect("a GPU, lavapipe at least");
        *self.on_event.borrow_mut() = Some(Box::new(move |event| {
            let is_now = when(event);
            if is_now {
                gpu.destroy();
            }
            is_now
        }));
    }

    /// All events of a job.
    fn of(&self, job: u32) -> Vec<Event> {
        self.said.borrow().iter().filter(|event| event.job() == Some(JobId(job))).cloned().collect()
    }

    /// Sends a command and gives the event that closes its job.
    fn ask(&self, command: Command, attachment: Attachment) -> Event {
        pollster::block_on(self.worker.handle(command, attachment));
        let said = self.said.borrow();
        said.iter().rfind(|event| event.is_closing()).cloned().expect("a command with a job is closed")
    }

    fn load(&self) -> PipelineId {
        self.load_on(BackendChoice::WebGpu).id
    }

    fn load_on(&self, backend: BackendChoice) -> PipelineInfo {
        let request = LoadRequest { backend, ..LoadRequest::new("whisper-tiny.en") };
        match self.ask(Command::Load { job: JobId(1), request }, Attachment::None) {
            Event::Loaded { pipeline, .. } => pipeline,
            other => panic!("{other:?}"),
        }
    }

    fn failure(&self, command: Command, attachment: Attachment) -> Failure {
        match self.ask(command, attachment) {
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
        desk.ask(transcribe(pipeline, options()), Attachment::Samples(recording.clone()))
    else {
        panic!("the file is transcribed");
    };
    let job = JobId(3);
    desk.record(job, pipeline, &recording);
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
        let failure = desk.failure(transcribe(pipeline, options()), Attachment::Samples(samples));
        assert_eq!(failure.kind, FailureKind::Input);
        assert!(failure.message.contains(word), "{}", failure.message);
        assert!(!failure.hint.is_empty());
    }
    let foreign = TranscribeOptions { language: Some("de".into()), ..options() };
    let failure = desk.failure(transcribe(pipeline, foreign), Attachment::Samples(vec![0.1; 16_000]));
    assert!(failure.message.contains("English only"), "{}", failure.message);
}

#[test]
fn a_cancelled_job_closes_as_cancelled_and_the_model_still_works() {
    let desk = Desk::over(&write_micro_whisper("cancelled"));
    let pipeline = desk.load();
    let job = JobId(5);
    let samples = noise(16_000 * 5, 1);
    let run = desk
        .worker
        .handle(Command::Transcribe { job, pipeline, options: options() }, Attachment::Samples(samples.clone()));
    let stop = desk.worker.handle(Command::Cancel { job }, Attachment::None);
    pollster::block_on(future::zip(run, stop));
    let closed = desk.said.borrow().last().cloned();
    assert!(
        matches!(&closed, Some(Event::Failed { failure, .. }) if failure.kind == FailureKind::Cancelled),
        "{closed:?}"
    );
    let again = desk.ask(transcribe(pipeline, options()), Attachment::Samples(samples));
    assert!(matches!(again, Event::Transcribed { .. }), "{again:?}");
}

#[test]
fn a_disposed_model_is_named_in_the_answer() {
    let desk = Desk::over(&write_micro_whisper("disposed"));
    let pipeline = desk.load();
    pollster::block_on(desk.worker.handle(Command::Dispose { pipeline }, Attachment::None));
    let failure = desk.failure(transcribe(pipeline, options()), Attachment::Samples(vec![0.1; 16_000]));
    assert!(failure.message.contains("no longer loaded"), "{}", failure.message);
}

/// Loads after `damage` was done to the model's folder, and gives the failure.
fn load_damaged(name: &str, damage: impl Fn(&Path)) -> Failure {
    let root = write_micro_whisper(name);
    damage(&root.join("whisper-tiny.en"));
    Desk::over(&root)
        .failure(Command::Load { job: JobId(1), request: LoadRequest::new("whisper-tiny.en") }, Attachment::None)
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
    let unknown = desk.failure(Command::Load { job: JobId(1), request: LoadRequest::new("gpt") }, Attachment::None);
    assert!(unknown.message.contains("gpt"), "{}", unknown.message);
    let feature = desk.failure(Command::TestFeature { job: JobId(2), name: "teleport".into() }, Attachment::None);
    assert!(feature.message.contains("webgpu.f16"), "the known ones are listed: {}", feature.message);
}

// ---- the ladder

/// The segments of a job that were sent, each once.
fn sent_segments(events: &[Event]) -> Vec<Segment> {
    let sent = events.iter().filter_map(|event| match event {
        Event::Segments { segments, .. } => Some(segments.clone()),
        _ => None,
    });
    sent.flatten().collect()
}

/// What a transcription came to.
fn transcript_of(event: Event) -> Transcript {
    match event {
        Event::Transcribed { transcript, .. } => transcript,
        other => panic!("{other:?}"),
    }
}

/// No stretch begins before the one before it has ended.
fn expect_in_order(segments: &[Segment]) {
    assert!(!segments.is_empty(), "a random model writes something");
    for pair in segments.windows(2) {
        assert!(pair[1].start >= pair[0].end - 1e-6, "{} s comes after {} s", pair[1].start, pair[0].end);
    }
}

#[test]
fn a_gpu_lost_in_the_middle_of_a_recording_costs_no_word_and_repeats_none() {
    let desk = Desk::over(&write_micro_whisper("lost gpu"));
    let pipeline = desk.load();
    let recording = noise(70 * 16_000, 7);
    let whole = transcript_of(desk.ask(transcribe(pipeline, options()), Attachment::Samples(recording.clone())));
    let before = desk.said.borrow().len();

    desk.lose_gpu(|event| matches!(event, Event::Segments { .. }));
    let saved = transcript_of(desk.ask(transcribe(pipeline, options()), Attachment::Samples(recording.clone())));
    let events = desk.said.borrow()[before..].to_vec();
    assert_eq!(saved.backend, BackendChoice::Wasm, "the processor went on");
    let kept = sent_segments(&events);
    assert_eq!(kept, saved.segments, "what was sent is the result: no window was sent twice");
    expect_in_order(&saved.segments);
    // Two devices round differently, and a random model stands on edges: what the lost GPU wrote is the same to the token.
    let first = |transcript: &Transcript| transcript.segments[0].tokens.clone();
    assert_eq!(first(&saved), first(&whole));
    assert_eq!(saved.timings.audio_s, 70.0);

    let at = |wanted: fn(&Event) -> bool| events.iter().position(wanted).expect("it was said");
    let reload = at(|event| matches!(event, Event::LoadProgress { .. }));
    let notice = at(|event| matches!(event, Event::Notice { failure, .. } if failure.kind == FailureKind::Fallback));
    let moved = at(|event| matches!(event, Event::Moved { .. }));
    assert!(reload < notice && notice < moved, "{reload}, {notice}, {moved}");
    let Event::Moved { pipeline: info, reason, .. } = &events[moved] else { unreachable!("it is one") };
    assert_eq!((info.id, info.backend), (pipeline, BackendChoice::Wasm));
    assert!(reason.contains("WebGPU failed in the middle of the work"), "{reason}");
    assert!(!events.iter().any(|event| matches!(event, Event::DeviceLost { .. })), "no model was lost");

    // The model stays where it is, and the next load finds a GPU again.
    let again = transcript_of(desk.ask(transcribe(pipeline, options()), Attachment::Samples(noise(16_000, 3))));
    assert_eq!(again.backend, BackendChoice::Wasm);
    assert_eq!(desk.load_on(BackendChoice::WebGpu).backend, BackendChoice::WebGpu);
}

/// The processor goes on from the last settled piece, with as many pieces at once.
#[test]
fn a_gpu_lost_between_pieces_costs_no_word_and_repeats_none() {
    let desk = Desk::over(&write_micro_whisper("lost pieces"));
    let request = LoadRequest { backend: BackendChoice::WebGpu, batch_size: 2, ..LoadRequest::new("whisper-tiny.en") };
    let Event::Loaded { pipeline, .. } = desk.ask(Command::Load { job: JobId(1), request }, Attachment::None) else {
        panic!("it is loaded");
    };
    assert_eq!(pipeline.batch_size, 2);
    let recording = noise(100 * 16_000, 7);
    desk.lose_gpu(|event| matches!(event, Event::Segments { .. }));
    let saved = transcript_of(desk.ask(transcribe(pipeline.id, options()), Attachment::Samples(recording)));
    assert_eq!((saved.backend, saved.timings.audio_s), (BackendChoice::Wasm, 100.0));
    let events = desk.of(2);
    assert_eq!(sent_segments(&events), saved.segments);
    expect_in_order(&saved.segments);
    let moved = events.iter().find_map(|event| match event {
        Event::Moved { pipeline, .. } => Some(pipeline.batch_size),
        _ => None,
    });
    assert_eq!(moved, Some(2));
}

#[test]
fn a_gpu_lost_during_a_live_recording_costs_no_word_and_repeats_none() {
    let desk = Desk::over(&write_micro_whisper("lost live"));
    let pipeline = desk.load();
    let recording = noise(64 * 16_000, 7);
    desk.lose_gpu(|event| matches!(event, Event::Segments { .. }));
    desk.record(JobId(3), pipeline, &recording);
    let events = desk.of(3);
    let live = transcript_of(events.last().cloned().expect("it is closed"));
    assert_eq!((live.backend, live.timings.audio_s), (BackendChoice::Wasm, 64.0));
    assert_eq!(sent_segments(&events), live.segments);
    expect_in_order(&live.segments);
    assert!(events.iter().any(|event| matches!(event, Event::Moved { .. })));
}

#[test]
fn sentences_that_a_lost_gpu_did_not_finish_get_the_same_vectors_elsewhere() {
    let desk = Desk::over(&models::folder());
    let request = LoadRequest { backend: BackendChoice::WebGpu, ..LoadRequest::new("all-MiniLM-L6-v2") };
    let Event::Loaded { pipeline, .. } = desk.ask(Command::Load { job: JobId(1), request }, Attachment::None) else {
        panic!("MiniLM is fetched");
    };
    let embed = || Command::Embed {
        job: JobId(2),
        pipeline: pipeline.id,
        texts: vec!["The cat sits outside.".into()],
        batch_size: None,
    };
    let Event::Embedded { embeddings: before, .. } = desk.ask(embed(), Attachment::None) else { panic!("a vector") };
    pollster::block_on(desk.ladder.gpu()).expect("a GPU").destroy();
    let Event::Embedded { embeddings: after, .. } = desk.ask(embed(), Attachment::None) else { panic!("a vector") };
    let cosine: f32 = before[0].iter().zip(&after[0]).map(|(a, b)| a * b).sum();
    assert!(cosine > 0.9999, "{cosine}");
    let moved = desk.of(2).into_iter().find_map(|event| match event {
        Event::Moved { pipeline, .. } => Some(pipeline.backend),
        _ => None,
    });
    assert_eq!(moved, Some(BackendChoice::Wasm));
}

#[test]
fn with_fallbacks_off_a_lost_gpu_is_an_error_and_the_next_load_tries_it_again() {
    let desk = Desk::over(&write_micro_whisper("no fallback"));
    let pipeline = desk.load();
    pollster::block_on(desk.worker.handle(Command::AllowFallbacks { allowed: false }, Attachment::None));
    desk.lose_gpu(|event| matches!(event, Event::RunProgress { .. }));
    let failure = desk.failure(transcribe(pipeline, options()), Attachment::Samples(noise(40 * 16_000, 7)));
    assert_eq!(failure.kind, FailureKind::DeviceLost);
    assert!(desk.said.borrow().iter().any(|event| matches!(event, Event::DeviceLost { .. })));
    assert!(!desk.said.borrow().iter().any(|event| matches!(event, Event::Moved { .. })));
    let gone = desk.failure(transcribe(pipeline, options()), Attachment::Samples(noise(16_000, 7)));
    assert!(gone.message.contains("no longer loaded"), "{}", gone.message);
    desk.load();
}

#[test]
fn a_model_that_is_moved_while_its_job_is_stopped_comes_back_with_the_next_job() {
    let desk = Desk::over(&write_micro_whisper("stopped move"));
    let pipeline = desk.load();
    desk.lose_gpu(|event| matches!(event, Event::RunProgress { .. }));
    let job = JobId(2);
    let run = desk.worker.handle(transcribe(pipeline, options()), Attachment::Samples(noise(5 * 16_000, 7)));
    let stop = async {
        while !desk.said.borrow().iter().any(|event| matches!(event, Event::LoadProgress { job: JobId(2), .. })) {
            rill::engine::edge::sleep(1).await;
        }
        desk.worker.handle(Command::Cancel { job }, Attachment::None).await;
    };
    pollster::block_on(future::zip(run, stop));
    let closed = desk.of(2).last().cloned();
    let again = desk.ask(transcribe(pipeline, options()), Attachment::Samples(noise(16_000, 7)));
    // Natively a whole load may pass before the stop is heard; then the job was done, and that is right too.
    if matches!(&closed, Some(Event::Failed { .. })) {
        assert!(desk.said.borrow().iter().any(|event| matches!(event, Event::Moved { .. })));
    }
    assert!(matches!(again, Event::Transcribed { .. }), "{again:?}");
}

#[test]
fn the_backend_is_chosen_by_figures_that_are_shown_and_remembered_until_they_are_forgotten() {
    let desk = Desk::over(&write_micro_whisper("measured"));
    let first = desk.load_on(BackendChoice::Auto);
    let measured = first.measured.clone().expect("two backends work here, so they were measured");
    assert!(!measured.remembered);
    assert_eq!(measured.measurements.len(), 2);
    assert_eq!(measured.measurements[0].backend, first.backend, "the fastest has it");
    let estimates: Vec<f64> = measured.measurements.iter().filter_map(|m| m.estimate_ms).collect();
    assert!(estimates.is_sorted() && estimates.iter().all(|&ms| ms > 0.0), "{estimates:?}");
    assert!(first.reason.contains("measured") && first.reason.contains("30 s of speech"), "{}", first.reason);

    let second = desk.load_on(BackendChoice::Auto).measured.expect("figures");
    assert!(second.remembered);
    // Figures that were kept as text may differ in the last digit.
    let figures = |choice: &MeasuredChoice| -> Vec<_> {
        let each = choice.measurements.iter();
        each.map(|m| (m.backend, m.adapter.clone(), format!("{:.5e}", m.estimate_ms.unwrap_or(f64::NAN)))).collect()
    };
    assert_eq!(figures(&second), figures(&measured));

    desk.ask(Command::ForgetMeasurements { job: JobId(9) }, Attachment::None);
    let third = desk.load_on(BackendChoice::Auto).measured.expect("figures");
    assert!(!third.remembered, "measured anew");

    let named = desk.load_on(BackendChoice::Wasm);
    assert!(named.measured.is_none() && named.reason.contains("chosen by name"), "{}", named.reason);
}

#[test]
fn every_feature_test_says_what_it_found_and_how_long_it_took() {
    let desk = Desk::over(Path::new("."));
    let Event::Backends { backends, .. } = desk.ask(Command::ProbeBackends { job: JobId(1) }, Attachment::None) else {
        panic!("the backends are probed");
    };
    let names: Vec<_> = backends.iter().flat_map(|b| b.features.iter().map(|f| f.name.clone())).collect();
    for name in FEATURES.iter().filter(|name| name.contains('.')) {
        assert!(names.iter().any(|known| known == name), "{name} belongs to a backend: {names:?}");
    }
    assert!(backends[0].available, "{}", backends[0].reason);
    for name in FEATURES.iter().filter(|&&name| name != "microphone") {
        let Event::Feature { report, .. } =
            desk.ask(Command::TestFeature { job: JobId(2), name: name.to_string() }, Attachment::None)
        else {
            panic!("{name} is tested");
        };
        println!("{name}: {} ({}, {:.1} ms)", report.supported, report.reason, report.probe_ms);
        assert!(!report.reason.is_empty(), "{name}");
        // What a Vulkan adapter of any kind has; the rest depends on the machine.
        if ["webgpu", "webgpu.limits", "wasm"].contains(name) {
            assert!(report.supported, "{name}: {}", report.reason);
        }
    }
}

#[test]
fn a_batch_size_reaches_models_of_texts() {
    let desk = Desk::over(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bert"));
    let request = LoadRequest { backend: BackendChoice::Wasm, ..LoadRequest::new("bert") };
    let Event::Loaded { pipeline, .. } = desk.ask(Command::Load { job: JobId(1), request }, Attachment::None) else {
        panic!("the model is loaded");
    };
    let (pipeline, texts) = (pipeline.id, vec!["A [MASK].".to_string(); 8]);
    type OnTexts = fn(JobId, PipelineId, Vec<String>, Option<u32>) -> Command;
    let commands: [OnTexts; 3] = [
        |job, pipeline, texts, batch_size| Command::FillMask { job, pipeline, texts, top_k: 1, batch_size },
        |job, pipeline, texts, batch_size| Command::HiddenStates { job, pipeline, texts, batch_size },
        |job, pipeline, texts, batch_size| Command::Embed { job, pipeline, texts, batch_size },
    ];
    for (kind, command) in commands.iter().enumerate() {
        for (batch_size, expected) in [(Some(1), 8), (None, 1)] {
            let job = 10 * (kind as u32 + 1) + batch_size.unwrap_or(0);
            desk.ask(command(JobId(job), pipeline, texts.clone(), batch_size), Attachment::None);
            let told = desk.of(job).iter().filter(|event| matches!(event, Event::BatchProgress { .. })).count();
            assert_eq!(told, expected, "command {kind} with {batch_size:?} at once");
        }
    }
}
