//! What models take of memory: that the books are right, that every level gives the same text or vectors, and that a model larger than
//! its budget runs within it.

use crate::models::{self, devices, folder_of, micro, open_gpu};
use rill::engine::CancelFlag;
use rill::engine::embed::EmbeddingModel;
use rill::engine::ladder::Choice;
use rill::engine::load::{LoadOptions, LoadStep, Loaded, load};
use rill::engine::memory::{MemoryOptions, of_all_sessions};
use rill::engine::model::Model;
use rill::engine::session::{Device, Watch};
use rill::engine::weights::{LoadHooks, ModelFiles};
use rill::engine::{Error, Result};
use rill::protocol::{BackendChoice, MemoryLevel, Precision};
use std::path::Path;

const TEXTS: [&str; 3] =
    ["A cat sits on the mat.", "Rain.", "The quick brown fox jumps over the lazy dog, and then again."];

fn try_load(device: &Device, folder: &Path, level: MemoryLevel, budget_bytes: Option<u64>) -> Result<Loaded> {
    let choice = Choice {
        backend: BackendChoice::WebGpu,
        adapter: "test".into(),
        software: true,
        precision: Precision::F32,
        reason: "a test".into(),
        measured: None,
        device: device.clone(),
    };
    let files = ModelFiles::folder(folder, LoadHooks::default());
    let options = LoadOptions { memory: MemoryOptions { level, budget_bytes }, ..LoadOptions::default() };
    let mut components = Vec::new();
    let mut on_step = |step| {
        if let LoadStep::Components(all) = step {
            components = all;
        }
    };
    let loaded = pollster::block_on(load(&choice, &files, &options, &CancelFlag::default(), &mut on_step))?;
    assert_eq!(components.len(), 1);
    assert!(components[0].ready && components[0].received_bytes == components[0].total_bytes, "{components:?}");
    Ok(loaded)
}

fn embedding(loaded: Loaded) -> EmbeddingModel {
    match loaded.model {
        Model::Embedding(model) => *model,
        _ => panic!("the model is a sentence encoder"),
    }
}

fn vectors(model: &mut EmbeddingModel) -> Vec<Vec<f32>> {
    let cancel = CancelFlag::default();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    pollster::block_on(model.embed(&TEXTS.map(String::from), None, &mut watch)).expect("the texts are embedded").vectors
}

#[test]
fn every_memory_level_gives_the_same_vectors_and_takes_less() {
    let folder = folder_of("all-MiniLM-L6-v2");
    for device in devices() {
        let mut before: Option<(Vec<Vec<f32>>, u64)> = None;
        for level in [MemoryLevel::KeepAll, MemoryLevel::Share, MemoryLevel::Stream] {
            let loaded = try_load(&device, &folder, level, None).expect("it is loaded");
            assert_eq!((loaded.given.level, loaded.given.precision), (level, Precision::F32));
            let mut model = embedding(loaded);
            let got = vectors(&mut model);
            let memory = model.session.memory();
            eprintln!("{level:?}: {memory:?}");
            if let Some((expected, more)) = &before {
                assert_eq!(&got, expected, "{level:?}, bit by bit");
                assert!(memory.total() < *more, "{level:?} takes {memory:?}, {more} was taken before");
            }
            before = Some((got, memory.total()));
        }
    }
}

#[test]
fn model_larger_than_its_budget_is_streamed_within_it_and_says_so() {
    let folder = folder_of("all-MiniLM-L6-v2");
    for device in devices() {
        let mut whole = embedding(try_load(&device, &folder, MemoryLevel::Share, None).expect("it is loaded"));
        let expected = vectors(&mut whole);
        let takes = whole.session.memory_bytes();
        drop(whole);
        let least = try_load(&device, &folder, MemoryLevel::Stream, None).expect("it is loaded").model.memory_bytes();
        let budget = least + (takes - least) / 3;
        let asked = if device.quantizes() { MemoryLevel::Stream } else { MemoryLevel::Share };
        let loaded = try_load(&device, &folder, asked, Some(budget)).expect("it fits when it is streamed");
        assert_eq!(loaded.given.level, MemoryLevel::Stream);
        assert!(
            loaded.given.note.contains("streamed")
                && (asked == MemoryLevel::Stream || loaded.given.note.contains("level 1"))
        );
        let mut model = embedding(loaded);
        assert_eq!(vectors(&mut model), expected);
        let peak = model.session.memory().peak;
        eprintln!("{takes} bytes whole, {least} at least, {peak} of {budget} at most: {:?}", model.session.memory());
        assert!(peak <= budget && peak > budget / 2, "weights stay as far as the budget goes");
    }
}

#[test]
fn model_that_fits_at_no_level_is_refused_with_figures_before_its_weights_are_read() {
    let folder = folder_of("all-MiniLM-L6-v2");
    for device in devices() {
        let before = of_all_sessions();
        let error = try_load(&device, &folder, MemoryLevel::Share, Some(5_000_000)).err().expect("5 MB are not enough");
        assert!(matches!(error, Error::Budget { .. }), "{error}");
        let words = error.to_string();
        assert!(words.contains("5 MB") && words.contains("at level 1") && words.contains("at level 3"), "{words}");
        assert_eq!(of_all_sessions().peak, before.peak.max(before.total()), "nothing was made");
    }
}

#[test]
fn whisper_writes_the_same_at_every_memory_level() {
    let root = micro::write_micro_whisper("memory-levels");
    for device in devices() {
        let mut before = None;
        for level in [MemoryLevel::KeepAll, MemoryLevel::Share, MemoryLevel::Stream] {
            let loaded = try_load(&device, &root.join("whisper-tiny.en"), level, None).expect("it is loaded");
            let Model::Speech(mut model) = loaded.model else { panic!("the model is a Whisper") };
            let logits = models::read_floats(&mut model.session, model.whisper.logits);
            if let Some(before) = &before {
                assert_eq!(&logits, before, "{level:?}, bit by bit");
            }
            before = Some(logits);
        }
    }
}

#[test]
fn quantized_level_takes_int8_where_the_device_has_kernels_for_it() {
    let folder = folder_of("all-MiniLM-L6-v2");
    for device in devices().into_iter().filter(Device::quantizes) {
        let mut wide = embedding(try_load(&device, &folder, MemoryLevel::Share, None).expect("it is loaded"));
        let loaded = try_load(&device, &folder, MemoryLevel::Quantize, None).expect("it is loaded");
        assert_eq!((loaded.given.level, loaded.given.precision), (MemoryLevel::Quantize, Precision::Int8));
        assert!(loaded.given.note.contains("int8"), "{}", loaded.given.note);
        let mut narrow = embedding(loaded);
        assert!(narrow.session.memory_bytes() < wide.session.memory_bytes());
        for (a, b) in vectors(&mut wide).iter().zip(vectors(&mut narrow)) {
            let cosine: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            assert!(cosine > 0.999, "{cosine}");
        }
        // A budget between the two makes the same choice, and says why.
        let loaded = try_load(&device, &folder, MemoryLevel::Share, Some(60_000_000)).expect("it fits in int8");
        assert_eq!((loaded.given.level, loaded.given.precision), (MemoryLevel::Quantize, Precision::Int8));
        assert!(
            loaded.given.note.contains("since level 1 takes") && loaded.given.note.contains("int8"),
            "{}",
            loaded.given.note
        );
        assert!(loaded.model.memory_bytes() < 60_000_000);
    }
}

#[test]
fn books_agree_with_the_drivers_own_allocations() {
    let Some(gpu) = open_gpu() else { return };
    let device = Device::Gpu(gpu.clone());
    // What the device makes for itself with its first model stays.
    drop(try_load(&device, &folder_of("all-MiniLM-L6-v2"), MemoryLevel::Share, None).expect("it is loaded"));
    let Some((_, before)) = gpu.allocations() else { return eprintln!("skipped: this driver does not tell") };
    for level in [MemoryLevel::Share, MemoryLevel::Stream] {
        let mut model =
            embedding(try_load(&device, &folder_of("all-MiniLM-L6-v2"), level, None).expect("it is loaded"));
        vectors(&mut model);
        let booked = model.session.memory_bytes();
        let (n, allocated) = gpu.allocations().expect("it told before");
        eprintln!("{level:?}: {booked} bytes booked, {} allocated in {n} pieces", allocated - before);
        // A driver rounds each buffer up.
        assert!((booked..booked + 4096 * n as u64).contains(&(allocated - before)));
        drop(model);
        assert_eq!(gpu.allocations().map(|(_, bytes)| bytes), Some(before), "everything was given back");
        assert_eq!(of_all_sessions().total(), 0);
    }
}
