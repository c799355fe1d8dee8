//! The numbers inside a model, on this machine's GPU (lavapipe in CI) and on the processor: every node is what its definition says, an error is
//! found at the node where it arises, and a model is afterwards what it was before.

use crate::checks::Wrong;
use crate::models::micro::write_micro_whisper;
use crate::models::{devices, folder_of, load_from, load_with, open_gpu, processor};
use rill::engine::CancelFlag;
use rill::engine::check::{floats, noise, recorder};
use rill::engine::graph::{SlotId, record_one};
use rill::engine::inspect::InspectOptions;
use rill::engine::load::LoadOptions;
use rill::engine::memory::MemoryOptions;
use rill::engine::model::Model;
use rill::engine::ops::linear::LinearOptions;
use rill::engine::session::{Device, Session, Watch};
use rill::engine::tensor::{DType, TensorType};
use rill::protocol::{
    BackendChoice, Command, Event, GenerateOptions, GraphNodes, JobId, LoadRequest, MemoryLevel, Precision, TensorCheck,
};
use rill::worker::{Attachment, Worker};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Sums of f32 in another order, beside the largest magnitude of the tensor.
const F32: f64 = 1e-5;
/// Few rows times quantised weights on the processor: x is rounded to sixteen bits, by groups.
const NARROW: f64 = 1e-4;
/// One step of the eleven bits of f16.
const F16: f64 = 1e-3;

fn watched<T>(work: impl AsyncFnOnce(&mut Watch<'_>) -> T) -> T {
    let cancel = CancelFlag::default();
    pollster::block_on(work(&mut Watch { cancel: &cancel, on_progress: &mut |_| () }))
}

fn inspect(model: &mut Model, graph: &str, nodes: Option<&[u32]>) -> rill::engine::Result<Vec<TensorCheck>> {
    watched(async |watch| model.inspect(graph, nodes, watch).await)
}

/// Holds every node of every stage against its definition.
fn all_agree(what: &str, model: &mut Model) {
    let graphs = model.nodes().expect("its nodes can be told");
    let names: BTreeSet<&str> = graphs.iter().map(|graph| graph.graph.as_str()).collect();
    assert_eq!(names.len(), graphs.len(), "{what}: each graph has a name of its own");
    for GraphNodes { graph, nodes } in &graphs {
        let checks = nodes_agree(what, model, graph, F32);
        let seen: BTreeSet<usize> = checks.iter().map(|check| check.node as usize).collect();
        assert!(seen.into_iter().eq(0..nodes.len()), "{what}: {graph}: every node wrote something");
    }
}

/// Holds every node of a graph against its definition; tensors of f32 are no farther from it than `near`.
fn nodes_agree(what: &str, model: &mut Model, graph: &str, near: f64) -> Vec<TensorCheck> {
    let checks = inspect(model, graph, None).unwrap_or_else(|e| panic!("{what}: {graph}: {e}"));
    for check in &checks {
        assert_eq!(check.n_unlike, 0, "{what}: {graph}: {check:?}");
        let near = if check.dtype == "f16" { F16 } else { near };
        let relative = check.difference.as_ref().and_then(|difference| difference.relative);
        assert!(relative.is_some_and(|relative| relative <= near), "{what}: {graph}: {check:?}");
    }
    checks
}

/// What a text model answers; its states are those of that run then.
fn answer(model: &mut Model) -> String {
    let Model::Text(model) = model else { panic!("it is no text model") };
    let texts = ["number to German: 1984".to_string()];
    let answers = watched(async |watch| model.generate(&texts, &GenerateOptions::default(), watch, &mut |_| ()).await);
    answers.expect("it answers").0.remove(0).text
}

fn load_at(level: MemoryLevel, device: Device, id: &str, precision: Precision) -> Model {
    let memory = MemoryOptions { level, ..MemoryOptions::default() };
    load_with(device, folder_of(id), precision, &LoadOptions { memory, ..LoadOptions::default() })
}

#[test]
fn every_node_is_what_its_definition_says() {
    for device in devices() {
        let load = |level, id| load_at(level, device.clone(), id, Precision::F32);
        let mut text = load(MemoryLevel::Share, "t5-numbers");
        answer(&mut text);
        all_agree("t5-numbers", &mut text);
        all_agree("clip-emoji", &mut load(MemoryLevel::Share, "clip-emoji"));
        // Where every tensor has a place of its own there is less to go wrong.
        let mut text = load(MemoryLevel::KeepAll, "t5-numbers");
        answer(&mut text);
        for graph in ["encode 32", "step"] {
            nodes_agree("t5-numbers, all kept", &mut text, graph, F32);
        }
    }
}

#[test]
fn few_bits_are_what_they_stand_for_in_every_definition() {
    let gpu =
        open_gpu().filter(|gpu| gpu.caps.f16).map(|gpu| (Device::Gpu(gpu), F32, [Precision::F16, Precision::Int8]));
    let processor = (processor(), NARROW, [Precision::Int8, Precision::Int4]);
    for (device, near, precisions) in gpu.into_iter().chain([processor]) {
        for precision in precisions {
            let mut text = load_from(device.clone(), folder_of("t5-numbers"), precision);
            answer(&mut text);
            for graph in ["encode 32", "step"] {
                nodes_agree(&format!("t5-numbers in {precision:?}"), &mut text, graph, near);
            }
        }
    }
}

#[test]
fn a_look_leaves_a_model_as_it_was() {
    for device in devices() {
        let mut model = load_from(device, folder_of("t5-numbers"), Precision::F32);
        let said = answer(&mut model);
        let states = |model: &mut Model| -> Vec<(SlotId, Vec<u8>)> {
            let Model::Text(model) = model else { unreachable!() };
            let t5 = &model.t5;
            let slots = [t5.length, t5.encoded, t5.logits, t5.tokens, t5.state];
            slots.map(|slot| (slot, pollster::block_on(model.session.read(slot)).expect("a slot can be read"))).into()
        };
        let before = states(&mut model);
        for graph in ["encode 32", "step"] {
            inspect(&mut model, graph, None).expect("it is inspected");
        }
        for ((slot, before), (_, after)) in before.iter().zip(states(&mut model)) {
            assert!(*before == after, "slot {slot:?} changed");
        }
        // A look that is stopped brings everything back, too.
        let cancel = CancelFlag::default();
        let mut on_progress = |_: f32| cancel.cancel();
        let mut watch = Watch { cancel: &cancel, on_progress: &mut on_progress };
        pollster::block_on(model.inspect("step", None, &mut watch)).expect_err("it was stopped");
        assert!(before == states(&mut model), "a stopped look changed something");
        assert_eq!(answer(&mut model), said);
    }
}

#[test]
fn an_error_is_found_at_the_node_where_it_arises() {
    for device in devices() {
        let recorder = recorder().expect("an empty recording");
        let graph = recorder.begin("chain");
        let x = floats(&recorder, "x", DType::F32, &[9, 64], &noise(9 * 64, 1));
        let w = floats(&recorder, "w", DType::F16, &[64, 64], &noise(64 * 64, 2));
        let product = x.linear(&w, LinearOptions::default()).expect("shapes fit");
        let wrong = record_one(Wrong, &recorder, &[Some(&product)]).expect("shapes fit");
        let y = recorder.state("y", TensorType::f32([64]));
        wrong.scale(2.0).and_then(|last| last.store_in(&y)).expect("shapes fit");
        let mut session = pollster::block_on(Session::compile(&device, recorder.finish())).expect("it compiles");
        let all = BTreeSet::from([0, 1, 2]);
        let options = InspectOptions { graph, nodes: &all, states: &[] };
        let checks = watched(async |watch| session.inspect(&options, watch).await).expect("it is inspected");
        let relative = |check: &TensorCheck| check.difference.as_ref().expect("numbers").relative;
        let [product, wrong, scaled] = &checks[..] else { panic!("three nodes write a tensor each: {checks:?}") };
        assert!(relative(product).is_some_and(|relative| relative < F32), "{product:?}");
        // Its definition gives zeros: nothing to measure the difference by.
        assert_eq!((wrong.op.as_str(), relative(wrong), wrong.definition.max), ("wrong", None, Some(0.0)));
        assert!(wrong.device.max.is_some_and(|max| max > 0.0), "{wrong:?}");
        assert_eq!(
            (scaled.tensor.as_str(), relative(scaled)),
            ("y", Some(0.0)),
            "what follows is not blamed: {scaled:?}"
        );
        assert_eq!(scaled.device.max, wrong.device.max.map(|max| 2.0 * max));
    }
}

#[test]
fn what_is_no_number_is_counted_on_both_sides() {
    for device in devices() {
        let recorder = recorder().expect("an empty recording");
        let graph = recorder.begin("scale");
        let x = recorder.state("x", TensorType::f32([3, 5]));
        let y = recorder.state("y", TensorType::f32([3, 5]));
        x.scale(2.0).and_then(|scaled| scaled.store_in(&y)).expect("shapes fit");
        let mut session = pollster::block_on(Session::compile(&device, recorder.finish())).expect("it compiles");
        let mut values = [1.5f32; 15];
        (values[0], values[7], values[9]) = (-4.0, f32::NAN, f32::INFINITY);
        session.write(x.slot(), 0, bytemuck::cast_slice(&values)).expect("it is written");
        let options = InspectOptions { graph, nodes: &BTreeSet::from([0]), states: &[] };
        let checks = watched(async |watch| session.inspect(&options, watch).await).expect("it is inspected");
        let check = &checks[0];
        assert_eq!((check.device, check.n_unlike), (check.definition, 0));
        assert_eq!((check.device.n_nan, check.device.n_infinite), (1, 1));
        assert_eq!((check.device.min, check.device.max), (Some(-8.0), Some(3.0)));
    }
}

#[test]
fn what_cannot_be_looked_at_is_refused_by_name() {
    let mut model = load_from(processor(), folder_of("t5-numbers"), Precision::F32);
    let mut refused = |graph, nodes| inspect(&mut model, graph, nodes).expect_err("it is not there").to_string();
    let unknown = refused("encoder", None);
    assert!(unknown.contains("no graph `encoder`; it has encode 32, ") && unknown.contains("step"), "{unknown}");
    assert!(refused("step", Some(&[3, 9999])).contains("no node 9999; its nodes are 0 to "));
    assert!(refused("step", Some(&[])).contains("no node of `step` is named"));
    let mut streamed = load_at(MemoryLevel::Stream, processor(), "t5-numbers", Precision::F32);
    let error = streamed.nodes().expect_err("its weights pass through a window");
    assert!(error.to_string().contains("memory level 3"), "{error}");
    let mut plain = load_from(Device::Plain, folder_of("t5-numbers"), Precision::F32);
    assert!(plain.nodes().expect_err("it is the definitions").to_string().contains("runs on the ops' definitions"));
}

#[test]
fn the_worker_tells_nodes_and_inspects_those_that_are_chosen() {
    let folder = write_micro_whisper("inspected");
    let said: Rc<RefCell<Vec<Event>>> = Rc::default();
    let heard = said.clone();
    let worker = Worker::new(folder.display().to_string(), move |event| heard.borrow_mut().push(event));
    let ask = |command: Command| {
        pollster::block_on(worker.handle(command, Attachment::None));
        said.borrow().last().cloned().expect("a command with a job is closed")
    };
    let request = LoadRequest { backend: BackendChoice::Wasm, ..LoadRequest::new("whisper-tiny.en") };
    let Event::Loaded { pipeline, .. } = ask(Command::Load { job: JobId(1), request }) else {
        panic!("{:?}", said.borrow().last());
    };
    let pipeline = pipeline.id;
    let Event::Nodes { graphs, .. } = ask(Command::Nodes { job: JobId(2), pipeline }) else {
        panic!("{:?}", said.borrow().last());
    };
    let names: Vec<&str> = graphs.iter().map(|graph| graph.graph.as_str()).collect();
    assert_eq!(names, ["mel", "encoder", "prompt 4", "step"]);
    let attends = graphs[3].nodes.iter().position(|node| node.op == "attention_cached").expect("a step looks back");
    assert_eq!(graphs[3].nodes[attends].states.len(), 1, "it keeps keys and values");
    let command = |graph: &str, nodes| Command::Inspect { job: JobId(3), pipeline, graph: graph.into(), nodes };
    let Event::Inspected { inspection, .. } = ask(command("step", Some(vec![attends as u32, 0, 0]))) else {
        panic!("{:?}", said.borrow().last());
    };
    assert_eq!((inspection.pipeline, inspection.model.as_str()), (pipeline, "whisper-tiny.en"));
    let seen: Vec<u32> = inspection.checks.iter().map(|check| check.node).collect();
    assert_eq!(seen, [0, attends as u32, attends as u32], "its output and its cache");
    let done = |event: &Event| match event {
        Event::BatchProgress { job: JobId(3), done, total } => Some((*done, *total)),
        _ => None,
    };
    assert_eq!(said.borrow().iter().filter_map(done).collect::<Vec<_>>(), [(50, 100), (100, 100)]);
    let refused = ask(command("decoder", None));
    assert!(
        matches!(&refused, Event::Failed { failure, .. } if failure.message.contains("mel, encoder")),
        "{refused:?}"
    );
}
