//! How much of the engine's own heap a load takes, counted by the allocator: no file of weights is ever whole in it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(unsafe_code, reason = "an allocator that counts is one")]

mod models;

use models::{folder_of, open_gpu};
use rill::engine::CancelFlag;
use rill::engine::ladder::Choice;
use rill::engine::load::{LoadOptions, load};
use rill::engine::memory::MemoryOptions;
use rill::engine::session::Device;
use rill::engine::weights::{LoadHooks, ModelFiles};
use rill::protocol::{BackendChoice, MemoryLevel, Precision};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

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
    let options = LoadOptions { memory: MemoryOptions { level, budget_bytes: None }, lanes: 3, batch_size: 1 };
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let loaded = pollster::block_on(load(&choice, &files, &options, &CancelFlag::default(), &mut |_| ()));
    let peak = PEAK.load(Relaxed) - before;
    drop(loaded.unwrap_or_else(|e| panic!("{e}")));
    peak
}

#[test]
fn weights_pass_through_the_heap_in_chunks() {
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
