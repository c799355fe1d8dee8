//! What the GPU worked on in ordinary runs, on this machine's GPU (lavapipe in CI): every graph that ran is there, when it ran, and the
//! answers are what they are without.

use crate::models::micro::write_micro_whisper;
use crate::models::{load_from, load_text_as, open_gpu};
use rill::engine::check::noise;
use rill::engine::generate::TextModel;
use rill::engine::gpu::Gpu;
use rill::engine::model::Model;
use rill::engine::session::{Device, Watch};
use rill::engine::{CancelFlag, edge};
use rill::protocol::{
    BackendChoice, Command, Event, GenerateOptions, GpuSpan, GpuTimes, JobId, LoadRequest, PipelineEntry, Precision,
    TimedBy, TranscribeOptions,
};
use rill::worker::{Attachment, Worker};
use std::cell::RefCell;
use std::rc::Rc;

const TEXT: &str = "number to English: 1984";

fn load(gpu: &Rc<Gpu>) -> TextModel {
    load_text_as(Device::Gpu(gpu.clone()), "t5-numbers", Precision::F32)
}

fn write(model: &mut TextModel) -> Vec<u32> {
    let mut watch = Watch { cancel: &CancelFlag::default(), on_progress: &mut |_| () };
    let texts = [TEXT.to_string()];
    let written = pollster::block_on(model.generate(&texts, &GenerateOptions::default(), &mut watch, &mut |_| ()));
    written.expect("a text is written").0.remove(0).tokens
}

/// A submit of several graphs, the first of them repeated.
fn step_twice_and_once(model: &mut TextModel) {
    let mut watch = Watch { cancel: &CancelFlag::default(), on_progress: &mut |_| () };
    let step = model.t5.step;
    let submitted = pollster::block_on(model.session.submit(&[(step, 2), (step, 1)], &[], &mut watch));
    pollster::block_on(submitted.expect("the steps run").wait()).expect("they end");
}

fn time_runs(gpu: &Gpu, on: bool) {
    pollster::block_on(gpu.time_runs(on)).expect("the clocks are compared");
}

fn take(gpu: &Gpu) -> GpuTimes {
    pollster::block_on(gpu.take_times()).expect("the device answers")
}

fn end_ms(span: &GpuSpan) -> f64 {
    span.start_ms + span.us / 1e3
}

#[test]
fn every_graph_of_a_run_has_its_time_within_the_run() {
    let Some(gpu) = open_gpu() else { return };
    if !gpu.has_timestamps {
        eprintln!("skipped: this adapter has no timestamps");
        return;
    }
    let mut model = load(&gpu);
    let expected = write(&mut model);
    assert_eq!(take(&gpu), GpuTimes::default(), "nobody wanted to know");

    time_runs(&gpu, true);
    let from_ms = edge::epoch_ms();
    assert_eq!(write(&mut model), expected);
    let to_ms = edge::epoch_ms();
    let GpuTimes { spans, n_dropped, timed_by, uncertainty_us, .. } = take(&gpu);
    assert_eq!((n_dropped, timed_by), (0, Some(TimedBy::Timestamps)));
    let uncertainty_ms = uncertainty_us.expect("the clocks were compared") / 1e3;
    // A calibration on a queue that rests: no more than the processor playing the GPU takes for a tiny submit.
    assert!(uncertainty_ms < 50.0, "{uncertainty_ms} ms");
    let runs =
        |graph: &str| -> u32 { spans.iter().filter(|span| span.graph.starts_with(graph)).map(|span| span.times).sum() };
    // A text is read once, then written a token a step, its end too.
    assert_eq!(runs("encode "), 1, "{spans:#?}");
    assert!(runs("step") as usize >= expected.len(), "{} steps for {} tokens", runs("step"), expected.len());
    for span in &spans {
        let lies_within = span.start_ms >= from_ms - uncertainty_ms && end_ms(span) <= to_ms + uncertainty_ms;
        assert!(lies_within && span.us > 0.0, "{span:?} in {from_ms} to {to_ms} ± {uncertainty_ms}");
    }
    // A microsecond for what is lost where times since 1970 are floats.
    assert!(spans.is_sorted_by(|one, next| end_ms(one) <= next.start_ms + 1e-3), "{spans:#?}");
    let busy_ms: f64 = spans.iter().map(|span| span.us / 1e3).sum();
    assert!(busy_ms > 0.2 * (to_ms - from_ms), "{busy_ms} of {} ms", to_ms - from_ms);

    step_twice_and_once(&mut model);
    let times: Vec<u32> = take(&gpu).spans.iter().map(|span| span.times).collect();
    assert_eq!(times, [2, 1], "each graph of a submit has a span");

    time_runs(&gpu, false);
    let _ = take(&gpu);
    assert_eq!(write(&mut model), expected);
    assert_eq!(take(&gpu), GpuTimes::default());
}

#[test]
fn a_gpu_without_timestamps_is_timed_by_this_sides_clock_and_says_so() {
    let Some(mut gpu) = open_gpu() else { return };
    Rc::get_mut(&mut gpu).expect("nobody else has it yet").has_timestamps = false;
    let mut model = load(&gpu);
    let expected = write(&mut model);
    time_runs(&gpu, true);
    let from_ms = edge::epoch_ms();
    assert_eq!(write(&mut model), expected);
    step_twice_and_once(&mut model);
    let to_ms = edge::epoch_ms();
    time_runs(&gpu, false);
    let times = take(&gpu);
    assert_eq!((times.n_dropped, times.timed_by, times.uncertainty_us), (0, Some(TimedBy::WallClock), None));
    assert!(times.spans.iter().all(|span| span.timed_by == TimedBy::WallClock));
    assert!(times.spans.iter().any(|span| span.graph.starts_with("encode ")), "{times:#?}");
    // What is submitted together is timed together.
    let last = times.spans.last().expect("some ran");
    assert_eq!((last.graph.as_str(), last.times), ("step + step", 1));
    assert!(times.spans.iter().all(|span| span.start_ms >= from_ms && end_ms(span) <= to_ms));
    assert!(times.spans.is_sorted_by(|one, next| end_ms(one) <= next.start_ms + 1e-3), "{times:#?}");
}

#[test]
fn the_slices_of_a_long_graph_are_one_run() {
    let Some(gpu) = open_gpu() else { return };
    let folder = write_micro_whisper("timed-slices").join("whisper-tiny.en");
    let Model::Speech(mut model) = load_from(Device::Gpu(gpu.clone()), folder, Precision::F32) else { unreachable!() };
    time_runs(&gpu, true);
    let options = TranscribeOptions { temperatures: vec![0.0], max_tokens: Some(20), ..Default::default() };
    let mut job = model.begin(options).expect("the options fit the model");
    let mut watch = Watch { cancel: &CancelFlag::default(), on_progress: &mut |_| () };
    let samples = noise(16_000 * 5, 1);
    pollster::block_on(model.transcribe(&samples, &mut job, &mut watch, &mut |_| ())).expect("it is transcribed");
    let spans = take(&gpu).spans;
    for graph in ["mel", "encoder", "prompt 4", "step"] {
        assert!(spans.iter().any(|span| span.graph == graph), "{graph} is missing: {spans:#?}");
    }
    let encoded: Vec<u32> = spans.iter().filter(|span| span.graph == "encoder").map(|span| span.times).collect();
    assert_eq!((encoded[0], encoded.iter().sum::<u32>()), (1, 1), "{encoded:?}");
}

#[test]
fn the_worker_tells_what_the_gpu_did_also_on_one_that_is_opened_later() {
    if open_gpu().is_none() {
        return;
    }
    let said: Rc<RefCell<Vec<Event>>> = Rc::default();
    let heard = said.clone();
    let folder = write_micro_whisper("timed").display().to_string();
    let worker = Worker::new(folder, move |event| heard.borrow_mut().push(event));
    let ask = |command: Command, attachment: Attachment| {
        pollster::block_on(worker.handle(command, attachment));
        said.borrow().last().cloned().expect("a command with a job is closed")
    };
    let times = |job: u32, on: bool| match ask(Command::GpuTimes { job: JobId(job), on }, Attachment::None) {
        Event::GpuTimes { job: of, times } if of == JobId(job) => times,
        other => panic!("{other:?}"),
    };
    assert_eq!(times(1, true), GpuTimes::default(), "no GPU is open yet");
    let request = LoadRequest { backend: BackendChoice::WebGpu, ..LoadRequest::new("whisper-tiny.en") };
    let Event::Loaded { pipeline, .. } = ask(Command::Load { job: JobId(2), request }, Attachment::None) else {
        panic!("{:?}", said.borrow().last());
    };
    let warmed_up = times(3, true);
    assert!(warmed_up.spans.iter().any(|span| span.graph == "step"), "{warmed_up:?}");
    let options = TranscribeOptions { temperatures: vec![0.0], ..Default::default() };
    let command = Command::Transcribe { job: JobId(4), pipeline: pipeline.id, options };
    ask(command, Attachment::Samples(vec![0.1; 16_000]));
    let is_made = |entry: &PipelineEntry| entry.made.is_some_and(|made| made.ms >= 0.0) && !entry.models.is_empty();
    assert!(warmed_up.pipelines.iter().any(|entry| entry.op == "linear" && is_made(entry)), "{warmed_up:?}");
    let last = times(5, false);
    assert!(last.pipelines.iter().all(|entry| !warmed_up.pipelines.contains(entry)), "told once: {last:?}");
    assert!(last.spans.iter().any(|span| span.graph == "step"), "{last:?}");
    assert_eq!(times(6, false), GpuTimes::default());
}
