//! Loading real models in tests.
#![allow(dead_code, reason = "each test binary uses a part of this")]

pub mod micro;
pub mod pictures;

use rill::engine::cpu::Cpu;
use rill::engine::generate::TextModel;
use rill::engine::gpu::Gpu;
use rill::engine::graph::SlotId;
use rill::engine::ladder::Choice;
use rill::engine::load::{LoadOptions, load};
use rill::engine::model::Model;
use rill::engine::op::GpuCaps;
use rill::engine::session::{Device, Session};
use rill::engine::transcribe::SpeechModel;
use rill::engine::weights::{LoadHooks, ModelFiles};
use rill::engine::{CancelFlag, embed::EmbeddingModel};
use rill::protocol::{BackendChoice, Precision};
use std::path::PathBuf;
use std::rc::Rc;

/// The folder that holds the model folders.
pub fn folder() -> PathBuf {
    match std::env::var_os("RILL_MODELS") {
        Some(folder) => folder.into(),
        None => panic!("RILL_MODELS names no folder of models; `cargo xtask test` fetches them and sets it"),
    }
}

/// A model's folder: the one that ships with the app, otherwise the fetched one.
pub fn folder_of(id: &str) -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("public/models").join(id);
    if own.is_dir() { own } else { folder().join(id) }
}

/// A clip's samples, from the packages' clips or the folder that RILL_SPEECH names; a clip that is not there is a printed skip.
pub fn clip(name: &str) -> Option<Vec<f32>> {
    let folders = [Some(folder().join("samples")), std::env::var_os("RILL_SPEECH").map(PathBuf::from)];
    let file =
        folders.into_iter().flatten().map(|folder| folder.join(format!("{name}.wav"))).find(|file| file.exists());
    let Some(file) = file else {
        eprintln!("skipped: no clip {name}");
        return None;
    };
    let wav = rill::audio::wav::decode(&std::fs::read(file).expect("the clip can be read")).expect("the clip is WAV");
    assert_eq!(wav.sample_rate_hz, 16_000);
    Some(wav.samples)
}

/// This machine's GPU; without one a printed skip, or a failure where REQUIRE_GPU is set.
pub fn open_gpu() -> Option<Rc<Gpu>> {
    open_gpu_as(|caps| caps)
}

/// The same, used as if it could do what `adjust` makes of its capabilities.
pub fn open_gpu_as(adjust: impl FnOnce(GpuCaps) -> GpuCaps) -> Option<Rc<Gpu>> {
    match pollster::block_on(Gpu::open_as(adjust)) {
        Ok(gpu) => Some(gpu),
        Err(e) if std::env::var_os("REQUIRE_GPU").is_some() => panic!("{e}"),
        Err(e) => {
            eprintln!("skipped: {e}");
            None
        }
    }
}

/// The processor.
pub fn processor() -> Device {
    Device::Cpu(pollster::block_on(Cpu::open("")).expect("there is always a processor"))
}

/// What models are tested on: the GPU where there is one, and the processor.
pub fn devices() -> Vec<Device> {
    open_gpu().map(Device::Gpu).into_iter().chain([processor()]).collect()
}

fn load_model(device: Device, id: &str, precision: Precision) -> Model {
    load_from(device, folder_of(id), precision)
}

/// A model on a device, from a folder of its own.
pub fn load_from(device: Device, folder: PathBuf, precision: Precision) -> Model {
    load_for(device, folder, precision, 1)
}

/// The same for `batch_size` inputs at once.
pub fn load_for(device: Device, folder: PathBuf, precision: Precision, batch_size: usize) -> Model {
    load_with(device, folder, precision, &LoadOptions { batch_size, ..LoadOptions::default() })
}

/// The same with all that can be asked for.
pub fn load_with(device: Device, folder: PathBuf, precision: Precision, options: &LoadOptions) -> Model {
    let choice = Choice {
        backend: BackendChoice::WebGpu,
        adapter: "test".into(),
        software: true,
        precision,
        reason: "a test".into(),
        measured: None,
        device,
    };
    let name = folder.display().to_string();
    let files = ModelFiles::folder(folder, LoadHooks::default());
    let loaded = pollster::block_on(load(&choice, &files, options, &CancelFlag::default(), &mut |_| ()));
    loaded.unwrap_or_else(|e| panic!("{name}: {e}")).model
}

/// A Whisper on a device.
pub fn load_speech(device: Device, id: &str) -> SpeechModel {
    load_speech_as(device, id, Precision::F32)
}

/// A Whisper on a device with weights of a precision.
pub fn load_speech_as(device: Device, id: &str, precision: Precision) -> SpeechModel {
    match load_model(device, id, precision) {
        Model::Speech(model) => *model,
        _ => panic!("{id} is no speech model"),
    }
}

/// A sentence encoder on a device.
pub fn load_embedding(device: Device, id: &str) -> EmbeddingModel {
    load_embedding_as(device, id, Precision::F32)
}

/// An encoder of texts on a device with weights of a precision; `id` may be a folder too.
pub fn load_embedding_as(device: Device, id: &str, precision: Precision) -> EmbeddingModel {
    match load_model(device, id, precision) {
        Model::Embedding(model) => *model,
        _ => panic!("{id} is no sentence encoder"),
    }
}

/// A text-to-text model on a device with weights of a precision; `id` may be a folder too.
pub fn load_text_as(device: Device, id: &str, precision: Precision) -> TextModel {
    match load_model(device, id, precision) {
        Model::Text(model) => *model,
        _ => panic!("{id} writes no text"),
    }
}

/// A slot's floats.
pub fn read_floats(session: &mut Session, slot: SlotId) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(&pollster::block_on(session.read(slot)).expect("a slot can be read"))
}
