//! How much of the engine's own heap a load takes, counted by the allocator: no file of weights is ever whole in it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(unsafe_code, reason = "an allocator that counts is one")]

#[path = "native/models/mod.rs"]
mod models;

use models::{folder_of, open_gpu};
use rill::engine::CancelFlag;
use rill::engine::ladder::Choice;
use rill::engine::load::{LoadOptions, load};
use rill::engine::memory::MemoryOptions;
use rill::engine::session::Device;
use rill::engine::weights::{LoadHooks, ModelFiles};
use rill::protocol::{BackendChoice, Command, Event, JobId, LoadRequest, MemoryLevel, Precision};
use rill::worker::{Attachment, Worker};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Held by the test that counts: the heap is everybody's.
static COUNTER: Mutex<()> = Mutex::new(());

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes of the heap that a load took at most, beyond those that were taken before.
fn peak_of_load(device: &Device, level: MemoryLevel) -> usize {
    let choice = Choice {
        backend: BackendChoice::WebGpu,
        adapter: "test".into(),
        software: true,
        precision: Precision::F32,
        reason: "a test".into(),
        measured: None,
        device: device.clone(),
    };
    let files = ModelFiles::folder(folder_of("all-MiniLM-L6-v2"), LoadHooks::default()).in_chunks(1 << 20);
    let options = LoadOptions { memory: MemoryOptions { level, budget_bytes: None }, ..LoadOptions::default() };
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let loaded = pollster::block_on(load(&choice, &files, &options, &CancelFlag::default(), &mut |_| ()));
    let peak = PEAK.load(Relaxed) - before;
    drop(loaded.unwrap_or_else(|e| panic!("{e}")));
    peak
}

/// The heap that a page can make a load take at most: the largest pieces, as many as there can be.
#[test]
fn the_largest_pieces_that_can_be_asked_for_are_no_file_in_the_heap() {
    let _alone = COUNTER.lock().unwrap_or_else(PoisonError::into_inner);
    if open_gpu().is_none() {
        return;
    }
    let worker = Worker::new(models::folder().display().to_string(), |event| {
        if let Event::Failed { failure, .. } = event {
            panic!("{failure:?}");
        }
    });
    let request = || LoadRequest {
        backend: BackendChoice::WebGpu,
        chunk_bytes: u32::MAX,
        parallel_components: u32::MAX,
        ..LoadRequest::new("all-MiniLM-L6-v2")
    };
    let load =
        || pollster::block_on(worker.handle(Command::Load { job: JobId(1), request: request() }, Attachment::None));
    // The first load makes pipelines, which stay.
    load();
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    load();
    let peak = PEAK.load(Relaxed) - before;
    eprintln!("{peak} bytes of the heap");
    let most = LoadRequest::MOST_BYTES_AT_ONCE as usize + 2 * *LoadRequest::CHUNK_BYTES.end() as usize;
    // Those on their way, the one that is worked on, one that two parts share, and what small pieces take too.
    assert!(peak < most + (16 << 20), "{peak} bytes of the heap");
}

#[test]
fn weights_pass_through_the_heap_in_chunks() {
    let _alone = COUNTER.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(gpu) = open_gpu() else { return };
    let device = Device::Gpu(gpu);
    let file = folder_of("all-MiniLM-L6-v2").join("model.safetensors");
    let n_bytes = std::fs::metadata(file).expect("the model is fetched").len() as usize;
    // The first load makes pipelines, which stay.
    peak_of_load(&device, MemoryLevel::Share);
    for level in [MemoryLevel::Share, MemoryLevel::Stream] {
        let peak = peak_of_load(&device, level);
        eprintln!("{level:?}: {peak} bytes of the heap for weights of {n_bytes}");
        // Some chunks and parts of 1 MB each, 4 MB on their way to where streamed weights are kept, the tokenizer and its JSON.
        assert!(peak < 32 << 20, "{peak} bytes of the heap, {n_bytes} in the file");
    }
}
