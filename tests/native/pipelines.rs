//! Pipelines from one visit to the next, on this machine's GPU (lavapipe in CI): what a load made is listed with its times, and can be made on
//! another device before the next load, which then makes none.

use crate::models::micro::write_micro_whisper;
use crate::models::open_gpu;
use rill::engine::ladder::Ladder;
use rill::protocol::{BackendChoice, Command, Event, JobId, LoadRequest, PipelineManifest, Precompile};
use rill::worker::{Attachment, Worker};
use std::cell::RefCell;
use std::rc::Rc;

#[test]
fn what_a_load_made_is_made_before_the_next_one() {
    if open_gpu().is_none() {
        return;
    }
    let folder = write_micro_whisper("pipelines");
    let (ladder, said): (Rc<Ladder>, Rc<RefCell<Vec<Event>>>) = Default::default();
    let heard = said.clone();
    let worker =
        Worker::over(ladder.clone(), folder.display().to_string(), move |event| heard.borrow_mut().push(event));
    let ask = |command: Command| {
        pollster::block_on(worker.handle(command, Attachment::None));
        said.borrow().last().cloned().expect("a command with a job is closed")
    };
    let listed = |command: Command| -> PipelineManifest {
        match ask(command) {
            Event::Pipelines { manifest, .. } => manifest,
            other => panic!("{other:?}"),
        }
    };
    let load = || {
        let request = LoadRequest { backend: BackendChoice::WebGpu, ..LoadRequest::new("whisper-tiny.en") };
        assert!(matches!(ask(Command::Load { job: JobId(1), request }), Event::Loaded { .. }));
    };
    let list = || listed(Command::Pipelines { job: JobId(2), forget: false });
    let n_made = |manifest: &PipelineManifest| manifest.pipelines.iter().filter(|p| p.made.is_some()).count();

    load();
    let first = list();
    let of_model: Vec<_> = first.pipelines.iter().filter(|entry| !entry.models.is_empty()).collect();
    assert!(of_model.len() > 10, "{first:#?}");
    for entry in &of_model {
        assert_eq!(entry.models, ["whisper-tiny.en"]);
        let made = entry.made.expect("it was made in this visit");
        assert!(made.ms > 0.0 && entry.warm_ms.is_none(), "{entry:?}");
        // What was written down may differ in the last digit.
        assert!(entry.cold_ms.is_some_and(|ms| (ms - made.ms).abs() < 1e-6), "{entry:?}");
    }
    assert!(of_model.iter().any(|entry| entry.essential && entry.op == "linear"), "{of_model:#?}");
    assert!(first.messages.is_empty() && !first.logging, "{:?}", first.messages);

    // Another visit: the device is another one, the list is kept.
    pollster::block_on(ladder.gpu()).expect("it is there").destroy();
    pollster::block_on(worker.handle(Command::LogCompilation { on: true }, Attachment::None));
    let before = n_made(&list());
    let essential = listed(Command::Precompile { job: JobId(3), which: Precompile::Essential });
    assert!(essential.logging);
    assert!(essential.pipelines.iter().all(|entry| !entry.essential || entry.warm_ms.is_some()), "{essential:#?}");
    let told = said.borrow().iter().filter(|event| matches!(event, Event::BatchProgress { .. })).count();
    assert!(told > 1);
    let all = listed(Command::Precompile { job: JobId(4), which: Precompile::All });
    assert_eq!(n_made(&all) - before, of_model.len());
    load();
    assert_eq!(n_made(&list()), n_made(&all), "the load found all of its pipelines made");

    let forgotten = listed(Command::Pipelines { job: JobId(5), forget: true });
    assert!(forgotten.pipelines.iter().all(|entry| entry.models.is_empty()), "{forgotten:#?}");
}
