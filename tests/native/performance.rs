//! What an adapter can do and where a model's time goes, on this machine's GPU (lavapipe in CI): the figures are figures, bytes and
//! operations are counted right, and a model is afterwards what it was before.

use crate::models::micro::write_micro_whisper;
use crate::models::{folder_of, load_from, open_gpu, open_gpu_as, processor};
use rill::engine::CancelFlag;
use rill::engine::check::{floats, noise, recorder};
use rill::engine::gpu::TraceOptions;
use rill::engine::graph::SlotId;
use rill::engine::model::Model;
use rill::engine::op::GpuCaps;
use rill::engine::ops::attention::AttentionOptions;
use rill::engine::ops::linear::LinearOptions;
use rill::engine::session::{Device, Session, Watch};
use rill::engine::tensor::{DType, TensorType};
use rill::engine::transcribe::SpeechModel;
use rill::protocol::{
    BackendChoice, Bound, Command, Event, JobId, LoadRequest, PipelineId, Precision, Roofline, TimedBy,
    TranscribeOptions,
};
use rill::worker::{Attachment, Worker};
use std::cell::RefCell;
use std::rc::Rc;

/// Figures of no machine: a test of a trace need not measure them.
pub fn some_roofline() -> Roofline {
    Roofline {
        adapter: "none".into(),
        software: true,
        copy_gb_per_s: 10.0,
        copy_bytes: 1 << 20,
        f32_tflops: 0.1,
        f16_tflops: None,
        dispatch_us: 5.0,
        encode_us: 1.0,
        submit_us: 20.0,
        readback_ms: 0.1,
        timed_by: TimedBy::WallClock,
        spent_ms: 1.0,
    }
}

fn watch<'a>(cancel: &'a CancelFlag, on_progress: &'a mut dyn FnMut(f32)) -> Watch<'a> {
    Watch { cancel, on_progress }
}

#[test]
fn what_the_adapter_can_do_is_measured() {
    let Some(gpu) = open_gpu() else { return };
    // A copy that did not arrive and a sum that is wrong are errors.
    let roofline = pollster::block_on(gpu.roofline()).expect("the adapter is measured");
    println!("{roofline:#?}");
    let figures = [
        roofline.copy_gb_per_s,
        roofline.f32_tflops,
        roofline.f16_tflops.unwrap_or(1.0),
        roofline.dispatch_us,
        roofline.encode_us,
        roofline.submit_us,
        roofline.readback_ms,
    ];
    assert!(figures.iter().all(|figure| figure.is_finite() && *figure > 0.0), "{figures:?}");
    assert_eq!(roofline.f16_tflops.is_some(), gpu.caps.f16);
    assert_eq!(roofline.adapter, gpu.name);
}

#[test]
fn a_matvec_moves_its_weight_once_and_multiplies_every_element() {
    let Some(gpu) = open_gpu() else { return };
    let recorder = recorder().expect("an empty recording");
    let graph = recorder.begin("matvec");
    let x = floats(&recorder, "x", DType::F32, &[1, 64], &noise(64, 1));
    let w = floats(&recorder, "w", DType::F16, &[40, 64], &noise(40 * 64, 2));
    let y = recorder.state("y", TensorType::f32([1, 40]));
    x.linear(&w, LinearOptions::default()).and_then(|product| product.store_in(&y)).expect("shapes fit");
    let device = Device::Gpu(gpu);
    let mut session = pollster::block_on(Session::compile(&device, recorder.finish())).expect("it compiles");
    let (roofline, cancel) = (some_roofline(), CancelFlag::default());
    let options = TraceOptions { states: &[], roofline: &roofline, cancel: &cancel };
    let stage = pollster::block_on(session.trace(graph, &options)).expect("it is traced");
    assert_eq!((stage.name.as_str(), stage.n_dispatches), ("matvec", 1));
    let dispatch = &stage.dispatches[0];
    assert_eq!((dispatch.op.as_str(), dispatch.shader.as_str()), ("linear", "matvec"));
    assert_eq!(dispatch.flops, 2 * 40 * 64);
    assert_eq!(dispatch.bytes, 4 * 64 + 2 * 40 * 64 + 4 * 40);
    assert!(dispatch.us > 0.0 && stage.whole_us > 0.0);
    assert_eq!(dispatch.rate, roofline.rate(dispatch.us, dispatch.bytes, dispatch.flops));
    assert!(matches!(dispatch.rate.bound, Bound::Memory), "a product with one row waits for memory");
}

/// Two parts of the keys, put together by a second dispatch: both are the op's, and what lies between them is counted and booked.
#[test]
fn an_attention_in_parts_is_traced_as_two_dispatches() {
    let Some(gpu) = open_gpu_as(|caps| GpuCaps { software: false, ..caps }) else { return };
    let recorder = recorder().expect("an empty recording");
    let graph = recorder.begin("attention");
    let qkv = floats(&recorder, "qkv", DType::F32, &[620, 3 * 64], &noise(620 * 3 * 64, 1));
    let y = recorder.state("y", TensorType::f32([620, 64]));
    qkv.attention(1, 620, AttentionOptions::default()).and_then(|h| h.store_in(&y)).expect("shapes fit");
    let program = recorder.finish();
    let (flops, bytes) = (program.flops(graph), program.bytes(graph));
    let device = Device::Gpu(gpu);
    let mut session = pollster::block_on(Session::compile(&device, program)).expect("it compiles");
    let between = 4 * 620 * 2 * (64 + 4);
    assert_eq!(session.memory().activations, between);
    let (roofline, cancel) = (some_roofline(), CancelFlag::default());
    let options = TraceOptions { states: &[], roofline: &roofline, cancel: &cancel };
    let stage = pollster::block_on(session.trace(graph, &options)).expect("it is traced");
    let figures = stage.dispatches.iter().map(|d| (d.op.as_str(), d.shader.as_str(), d.flops, d.bytes));
    let output = 4 * 620 * 64;
    let expected = [
        ("attention", "attention_blocks", flops, bytes - output + between),
        ("attention", "attention_combine", 0, between + output),
    ];
    assert_eq!(figures.collect::<Vec<_>>(), expected);
}

#[test]
fn a_model_on_the_processor_says_why_it_has_no_trace() {
    let folder = write_micro_whisper("untraced").join("whisper-tiny.en");
    let mut model = load_from(processor(), folder, Precision::F32);
    let cancel = CancelFlag::default();
    let error =
        pollster::block_on(model.trace(&some_roofline(), &mut watch(&cancel, &mut |_| ()))).expect_err("no GPU");
    assert!(error.to_string().contains("runs on the processor"), "{error}");
}

/// What a speech model keeps from one run to the next, as far as it can be read.
fn states(model: &mut SpeechModel) -> Vec<(SlotId, Vec<u8>)> {
    let whisper = &model.whisper;
    let slots = [whisper.loudness, whisper.features, whisper.encoded, whisper.logits, whisper.tokens, whisper.state];
    slots.map(|slot| (slot, pollster::block_on(model.session.read(slot)).expect("a slot can be read"))).into()
}

#[test]
fn a_trace_leaves_a_model_as_it_was() {
    let Some(gpu) = open_gpu() else { return };
    let folder = write_micro_whisper("traced-states").join("whisper-tiny.en");
    let mut model = load_from(Device::Gpu(gpu), folder, Precision::F32);
    let samples = noise(16_000 * 5, 1);
    let transcribe = |model: &mut Model| -> Vec<u32> {
        let Model::Speech(model) = model else { unreachable!() };
        let options = TranscribeOptions { temperatures: vec![0.0], max_tokens: Some(20), ..Default::default() };
        let mut job = model.begin(options).expect("the options fit the model");
        let cancel = CancelFlag::default();
        let mut ignore = |_: f32| ();
        let mut watch = watch(&cancel, &mut ignore);
        pollster::block_on(model.transcribe(&samples, &mut job, &mut watch, &mut |_| ()))
            .expect("the recording is transcribed");
        job.segments.iter().flat_map(|segment| segment.tokens.clone()).collect()
    };
    let tokens = transcribe(&mut model);
    let Model::Speech(speech) = &mut model else { unreachable!() };
    let before = states(speech);
    let (cancel, mut told) = (CancelFlag::default(), Vec::new());
    let mut on_progress = |share| told.push(share);
    let stages =
        pollster::block_on(model.trace(&some_roofline(), &mut watch(&cancel, &mut on_progress))).expect("it is traced");
    let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["mel", "encoder", "prompt 4", "step"]);
    assert_eq!(told, [0.25, 0.5, 0.75, 1.0]);
    // The table of tokens, 51,864 x 32 in f32, is read whole for the logits, and one row of it for the token.
    let table = 4 * 51_864 * 32;
    assert!((table..table * 5 / 4).contains(&stages[3].bytes), "a step moves {} bytes", stages[3].bytes);
    let Model::Speech(speech) = &mut model else { unreachable!() };
    for ((slot, before), (_, after)) in before.iter().zip(states(speech)) {
        assert!(*before == after, "slot {slot:?} changed");
    }
    assert_eq!(transcribe(&mut model), tokens);
}

#[test]
fn every_family_of_models_has_stages() {
    let Some(gpu) = open_gpu() else { return };
    for (id, expected) in [("t5-numbers", "step"), ("clip-emoji", "1 pictures"), ("all-MiniLM-L6-v2", "embed ")] {
        let mut model = load_from(Device::Gpu(gpu.clone()), folder_of(id), Precision::F32);
        let cancel = CancelFlag::default();
        let traced = pollster::block_on(model.trace(&some_roofline(), &mut watch(&cancel, &mut |_| ())));
        let stages = traced.unwrap_or_else(|e| panic!("{id}: {e}"));
        let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
        assert!(names.iter().any(|name| name.starts_with(expected)), "{id}: {names:?}");
        assert!(stages.iter().all(|stage| stage.bytes > 0 && stage.flops > 0 && stage.whole_us > 0.0), "{id}");
    }
}

#[test]
fn the_worker_measures_an_adapter_once_and_traces_what_is_loaded() {
    if open_gpu().is_none() {
        return;
    }
    let folder = write_micro_whisper("traced");
    let said: Rc<RefCell<Vec<Event>>> = Rc::default();
    let heard = said.clone();
    let worker = Worker::new(folder.display().to_string(), move |event| heard.borrow_mut().push(event));
    let ask = |command: Command| {
        pollster::block_on(worker.handle(command, Attachment::None));
        said.borrow().last().cloned().expect("a command with a job is closed")
    };
    let Event::Roofline { roofline, .. } = ask(Command::MeasureRoofline { job: JobId(1) }) else {
        panic!("{:?}", said.borrow().last());
    };
    let again = ask(Command::MeasureRoofline { job: JobId(2) });
    assert_eq!(again, Event::Roofline { job: JobId(2), roofline: roofline.clone() });
    let request = LoadRequest { backend: BackendChoice::WebGpu, ..LoadRequest::new("whisper-tiny.en") };
    let Event::Loaded { pipeline, .. } = ask(Command::Load { job: JobId(4), request }) else {
        panic!("{:?}", said.borrow().last());
    };
    let Event::Traced { trace, .. } = ask(Command::Trace { job: JobId(5), pipeline: pipeline.id }) else {
        panic!("{:?}", said.borrow().last());
    };
    assert_eq!((trace.pipeline, trace.model.as_str(), &trace.roofline), (pipeline.id, "whisper-tiny.en", &roofline));
    assert_eq!(trace.stages.len(), 4);
    assert_eq!(said.borrow().iter().filter(|event| event.job() == Some(JobId(5)) && event.is_closing()).count(), 1);
    let gone = ask(Command::Trace { job: JobId(3), pipeline: PipelineId(9) });
    assert!(matches!(&gone, Event::Failed { failure, .. } if failure.message.contains("no longer loaded")), "{gone:?}");
}
