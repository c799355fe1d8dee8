//! Memory that runs short, behind the worker's messages: what gives way, what is told, and what is never lost.

use crate::models;
use rill::engine::Error;
use rill::engine::ladder::{Ladder, Wish};
use rill::protocol::*;
use rill::worker::{Attachment, Worker};
use std::cell::RefCell;
use std::rc::Rc;

const MODEL: &str = "all-MiniLM-L6-v2";

/// A worker over the fetched models and everything it has said.
struct Desk {
    worker: Rc<Worker>,
    said: Rc<RefCell<Vec<Event>>>,
}

impl Desk {
    fn new() -> Self {
        let said: Rc<RefCell<Vec<Event>>> = Rc::default();
        let heard = said.clone();
        let folder = models::folder().display().to_string();
        let worker = Worker::over(Rc::default(), folder, move |event| heard.borrow_mut().push(event));
        Self { worker, said }
    }

    /// The event that closes a command.
    fn ask(&self, command: Command) -> Event {
        pollster::block_on(self.worker.handle(command, Attachment::None));
        self.said.borrow().iter().rfind(|event| event.is_closing()).cloned().expect("a command with a job is closed")
    }

    fn load(&self, request: LoadRequest) -> Result<PipelineInfo, Failure> {
        match self.ask(Command::Load { job: JobId(1), request }) {
            Event::Loaded { pipeline, .. } => Ok(pipeline),
            Event::Failed { failure, .. } => Err(failure),
            other => panic!("{other:?}"),
        }
    }

    fn embed(&self, pipeline: PipelineId) -> Vec<Vec<f32>> {
        let texts = vec!["The cat sits outside.".to_string()];
        match self.ask(Command::Embed { job: JobId(2), pipeline, texts, batch_size: None }) {
            Event::Embedded { embeddings, .. } => embeddings,
            other => panic!("{other:?}"),
        }
    }

    fn notices(&self) -> Vec<String> {
        let said = self.said.borrow();
        let words = said.iter().filter_map(|event| match event {
            Event::Notice { failure, .. } => Some(failure.message.clone()),
            _ => None,
        });
        words.collect()
    }
}

fn request(backend: BackendChoice, precision: Precision, budget_mb: Option<u32>) -> LoadRequest {
    LoadRequest { backend, precision, memory_budget_mb: budget_mb, ..LoadRequest::new(MODEL) }
}

#[test]
fn memory_that_runs_out_in_eight_bits_is_not_asked_for_in_sixteen() {
    let ladder = Ladder::default();
    let out = Error::Exhausted { what: "the GPU".into(), reason: "a test".into() };
    let next = |precision| {
        let wish = Wish { backend: BackendChoice::WebGpu, precision, fallbacks: true, threads: None, model: None };
        pollster::block_on(async {
            let failed = ladder.choose(&wish).await.expect("a GPU, lavapipe at least");
            let next = ladder.next(&failed, &out, &[(failed.backend, precision)], &wish).await;
            next.map(|next| (next.backend, next.precision))
        })
    };
    assert_eq!(next(Precision::Int8), Some((BackendChoice::Wasm, Precision::Int8)));
    assert_eq!(next(Precision::Int4), Some((BackendChoice::Wasm, Precision::Int4)));
    assert_eq!(next(Precision::F32), Some((BackendChoice::WebGpu, Precision::F16)), "narrower than 32 bits");
}

/// The processor takes a weight as a whole where the GPU takes it in pieces, so that one of them can stream what the other cannot.
#[test]
fn a_model_that_fits_on_one_backend_alone_gets_it_whichever_is_faster() {
    let desk = Desk::new();
    for backend in [BackendChoice::Wasm, BackendChoice::WebGpu] {
        let named = desk.load(request(backend, Precision::F32, Some(BETWEEN_MB)));
        assert_eq!(named.is_ok(), backend == BackendChoice::WebGpu, "{named:?}");
    }
    let found = desk.load(request(BackendChoice::Auto, Precision::F32, Some(BETWEEN_MB))).expect("it fits on the GPU");
    assert_eq!((found.backend, found.memory_level), (BackendChoice::WebGpu, MemoryLevel::Stream));
    assert!(found.memory_bytes <= u64::from(BETWEEN_MB) * 1_000_000);

    let none = desk.load(request(BackendChoice::Auto, Precision::F32, Some(5))).expect_err("5 MB are not enough");
    assert_eq!(none.kind, FailureKind::OutOfMemory);
    assert!(desk.notices().iter().any(|notice| notice.contains("could not take the model")), "{:?}", desk.notices());
}

/// MB that a streaming GPU can do with and the processor cannot.
const BETWEEN_MB: u32 = 35;

#[test]
fn what_a_precision_costs_is_measured_within_the_budget_and_never_at_the_price_of_the_model() {
    for (budget_mb, fits) in [(None, true), (Some(120), true), (Some(60), false)] {
        let desk = Desk::new();
        let loaded = desk.load(request(BackendChoice::Wasm, Precision::Int8, budget_mb)).expect("int8 fits");
        let before = desk.embed(loaded.id);
        match desk.ask(Command::MeasureQuality { job: JobId(3), pipeline: loaded.id }) {
            Event::Quality { report, .. } => {
                assert!(fits, "{budget_mb:?}: {report:?}");
                assert!(report.value > 0.999, "the other one is in f32: {report:?}");
                if let Some(budget_mb) = budget_mb {
                    let both = report.bytes + report.bytes_reference;
                    assert!(both <= u64::from(budget_mb) * 1_000_000, "{report:?}");
                }
            }
            Event::Failed { failure, .. } => {
                assert!(!fits, "{budget_mb:?}: {failure:?}");
                assert_eq!(failure.kind, FailureKind::OutOfMemory);
                assert!(failure.message.contains("in f32, to be compared with"), "{}", failure.message);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(desk.embed(loaded.id), before, "the model is as it was");
    }
}

#[test]
fn what_is_in_memory_is_told_by_purpose_as_the_books_have_it() {
    let desk = Desk::new();
    let memory = || match desk.ask(Command::Memory { job: JobId(4) }) {
        Event::Memory { report, .. } => report,
        other => panic!("{other:?}"),
    };
    assert_eq!((memory().pipelines.len(), memory().all.total), (0, 0));
    let on_gpu = desk.load(request(BackendChoice::WebGpu, Precision::F32, None)).expect("it is loaded");
    let on_cpu = desk.load(request(BackendChoice::Wasm, Precision::Int8, None)).expect("it is loaded");
    let report = memory();
    assert_eq!(report.pipelines.iter().map(|each| each.pipeline).collect::<Vec<_>>(), [on_gpu.id, on_cpu.id]);
    for (each, info) in report.pipelines.iter().zip([&on_gpu, &on_cpu]) {
        let MemoryBytes { weights, states, intermediates, plans, staging, total, peak } = each.bytes;
        assert_eq!(weights + states + intermediates + plans + staging, total);
        assert_eq!((total, &each.model, each.backend), (info.memory_bytes, &info.model.id, info.backend));
        assert!(weights > total / 2 && states > 0 && intermediates > 0 && plans > 0 && peak >= total, "{each:?}");
    }
    let books = rill::engine::memory::of_all_sessions();
    assert_eq!(report.all, MemoryBytes::from(books));
    assert_eq!(report.all.total, report.pipelines.iter().map(|each| each.bytes.total).sum::<u64>());

    // It is what is there now, not what the load told.
    pollster::block_on(desk.worker.handle(Command::Dispose { pipeline: on_gpu.id }, Attachment::None));
    let report = memory();
    assert_eq!(report.pipelines.len(), 1);
    assert_eq!(report.all.total, on_cpu.memory_bytes);
}
