//! A model of two parts, natively: its texts' part works while the pictures' part still arrives, and what needs both waits for it.

use futures_lite::future;
use rill::engine::edge;
use rill::engine::ladder::Ladder;
use rill::protocol::*;
use rill::worker::{Attachment, Worker};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

const LOAD: JobId = JobId(1);
const TEXTS: JobId = JobId(2);
const PICTURES: JobId = JobId(3);

/// A worker over the model that ships with the page, and everything it has said.
struct Desk {
    worker: Rc<Worker>,
    ladder: Rc<Ladder>,
    said: Rc<RefCell<Vec<Event>>>,
}

impl Desk {
    fn new() -> Self {
        let (ladder, said): (Rc<Ladder>, Rc<RefCell<Vec<Event>>>) = Default::default();
        let heard = said.clone();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("public/models").display().to_string();
        let worker = Worker::over(ladder.clone(), folder, move |event| heard.borrow_mut().push(event));
        Self { worker, ladder, said }
    }

    /// Loads in small chunks, and does `meanwhile` with the model as soon as a part of it can be used.
    fn load(&self, backend: BackendChoice, meanwhile: impl AsyncFnOnce(PipelineInfo)) {
        let request = LoadRequest { backend, chunk_bytes: 100_000, ..LoadRequest::new("clip-emoji") };
        let load = self.worker.handle(Command::Load { job: LOAD, request }, Attachment::None);
        let others = async {
            let usable = loop {
                let usable = self.find(|event| match event {
                    Event::Usable { job: LOAD, pipeline } => Some(pipeline.clone()),
                    other => other.is_closing().then(|| panic!("nothing was usable before {other:?}")),
                });
                match usable {
                    Some(pipeline) => break pipeline,
                    None => edge::sleep(1).await,
                }
            };
            meanwhile(usable).await;
        };
        pollster::block_on(future::zip(load, others));
    }

    fn find<T>(&self, wanted: impl Fn(&Event) -> Option<T>) -> Option<T> {
        self.said.borrow().iter().find_map(wanted)
    }

    /// When the first such thing was said.
    fn at(&self, what: &str, wanted: impl Fn(&Event) -> bool) -> usize {
        self.said.borrow().iter().position(wanted).unwrap_or_else(|| panic!("{what} was never said"))
    }

    async fn embed(&self, pipeline: PipelineId) {
        let texts = vec!["dog".to_string(), "pizza".to_string()];
        self.worker.handle(Command::Embed { job: TEXTS, pipeline, texts, batch_size: None }, Attachment::None).await;
    }

    async fn match_pictures(&self, pipeline: PipelineId) {
        let command = Command::Match { job: PICTURES, pipeline, texts: vec!["dog".into()], batch_size: None };
        self.worker.handle(command, Attachment::Files(vec![("dog.png".into(), vec![0; 8])])).await;
    }

    /// The event that closed a job.
    fn closing(&self, job: JobId) -> Event {
        let closing = self.find(|event| (event.is_closing() && event.job() == Some(job)).then(|| event.clone()));
        closing.unwrap_or_else(|| panic!("{job:?} was never closed"))
    }

    fn failure(&self, job: JobId) -> Failure {
        match self.closing(job) {
            Event::Failed { failure, .. } => failure,
            other => panic!("expected a failure, got {other:?}"),
        }
    }

    /// What is said to somebody who asks for the model now.
    fn embed_again(&self, pipeline: PipelineId) -> Event {
        self.said.borrow_mut().clear();
        pollster::block_on(self.embed(pipeline));
        self.closing(TEXTS)
    }
}

fn is_queued(event: &Event) -> bool {
    matches!(event, Event::RunProgress { job: PICTURES, progress } if progress.stage == RunStage::Queued)
}

#[test]
fn texts_become_vectors_before_the_pictures_part_is_there_and_the_same_ones_after() {
    for backend in [BackendChoice::Wasm, BackendChoice::WebGpu] {
        let desk = Desk::new();
        desk.load(backend, async |info| {
            assert_eq!(info.components, ["text"]);
            desk.embed(info.id).await;
        });
        let usable = desk.at("usable", |event| matches!(event, Event::Usable { .. }));
        let embedded = desk.at("the vectors", |event| matches!(event, Event::Embedded { .. }));
        let all_here = desk.at(
            "that all has come",
            |event| matches!(event, Event::LoadProgress { progress, .. } if progress.phase == LoadPhase::Verify),
        );
        let loaded = desk.at("loaded", |event| matches!(event, Event::Loaded { .. }));
        assert!(usable < embedded && embedded < all_here && all_here < loaded);

        let Event::Embedded { embeddings: early, .. } = desk.closing(TEXTS) else { panic!("there are vectors") };
        let Event::Loaded { pipeline, .. } = desk.closing(LOAD) else { panic!("it is loaded") };
        assert_eq!(pipeline.components, ["text", "pictures"]);
        let usable = desk.find(|event| match event {
            Event::Usable { pipeline, .. } => Some(pipeline.clone()),
            _ => None,
        });
        assert!(usable.is_some_and(|part| part.id == pipeline.id && part.memory_bytes < pipeline.memory_bytes));
        let Event::Embedded { embeddings, .. } = desk.embed_again(pipeline.id) else { panic!("there are vectors") };
        assert_eq!(embeddings, early);
    }
}

#[test]
fn pictures_wait_for_their_part_and_do_not_keep_texts_waiting() {
    let desk = Desk::new();
    desk.load(BackendChoice::Wasm, async |info| {
        future::zip(desk.match_pictures(info.id), desk.embed(info.id)).await;
    });
    let queued = desk.at("that pictures wait", is_queued);
    let embedded = desk.at("the vectors", |event| matches!(event, Event::Embedded { .. }));
    let loaded = desk.at("loaded", |event| matches!(event, Event::Loaded { .. }));
    let answered = desk.at("an answer", |event| event.is_closing() && event.job() == Some(PICTURES));
    assert!(queued < embedded && embedded < loaded && loaded < answered);
    // Outside of a browser nothing decodes pictures: that far it came.
    let failure = desk.failure(PICTURES);
    assert!(failure.message.contains("decoded by a browser"), "{}", failure.message);
}

#[test]
fn a_load_that_is_cancelled_between_its_parts_ends_what_waits_and_leaves_no_model() {
    for ends_by_disposal in [false, true] {
        let desk = Desk::new();
        let id = RefCell::new(None);
        desk.load(BackendChoice::Wasm, async |info| {
            *id.borrow_mut() = Some(info.id);
            let stop = async {
                while desk.find(|event| is_queued(event).then_some(())).is_none() {
                    edge::sleep(1).await;
                }
                let stop = match ends_by_disposal {
                    true => Command::Dispose { pipeline: info.id },
                    false => Command::Cancel { job: LOAD },
                };
                desk.worker.handle(stop, Attachment::None).await;
            };
            future::zip(desk.match_pictures(info.id), stop).await;
        });
        assert_eq!(desk.failure(LOAD).kind, FailureKind::Cancelled);
        let waited = desk.failure(PICTURES);
        assert!(waited.message.contains("did not come"), "{}", waited.message);
        let id = id.take().expect("a part of it was there");
        match desk.embed_again(id) {
            Event::Failed { failure, .. } => assert!(failure.message.contains("no longer loaded"), "{failure:?}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_waits_for_a_part_can_be_cancelled_alone() {
    let desk = Desk::new();
    desk.load(BackendChoice::Wasm, async |info| {
        let stop = desk.worker.handle(Command::Cancel { job: PICTURES }, Attachment::None);
        future::zip(desk.match_pictures(info.id), stop).await;
    });
    assert_eq!(desk.failure(PICTURES).kind, FailureKind::Cancelled);
    assert!(matches!(desk.closing(LOAD), Event::Loaded { .. }));
}

#[test]
fn a_gpu_lost_between_the_parts_ends_the_load_and_what_waits_for_it() {
    let desk = Desk::new();
    desk.load(BackendChoice::WebGpu, async |info| {
        desk.ladder.gpu().await.expect("a GPU, lavapipe at least").destroy();
        future::zip(desk.match_pictures(info.id), desk.embed(info.id)).await;
    });
    assert_eq!(desk.failure(LOAD).kind, FailureKind::DeviceLost);
    for job in [TEXTS, PICTURES] {
        let failure = desk.failure(job);
        assert!(failure.message.contains("did not come"), "{}", failure.message);
    }
}
