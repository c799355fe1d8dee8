//! The tuner and the levels of kernels, on this machine's GPU (lavapipe in CI): every version of what a program needs is tried, once, what is
//! chosen is used and right, and a Whisper writes the same tokens at every level.

use crate::models::micro::write_micro_whisper;
use crate::models::{load_from, open_gpu_as, processor};
use rill::engine::CancelFlag;
use rill::engine::check::{Tolerance, check, floats, noise, recorder};
use rill::engine::gpu::Gpu;
use rill::engine::graph::{Program, Recorder, Tensor};
use rill::engine::model::Model;
use rill::engine::op::{GpuCaps, KernelLevel};
use rill::engine::ops::linear::LinearOptions;
use rill::engine::session::{Device, Watch};
use rill::engine::tensor::{DType, TensorType};
use rill::engine::{Error, Result};
use rill::protocol::{Precision, TranscribeOptions};
use std::rc::Rc;

/// The adapter with the kernels of a GPU.
fn open() -> Option<Rc<Gpu>> {
    open_gpu_as(|caps| GpuCaps { software: false, ..caps })
}

/// A matrix product and two products with one row, alike.
fn products(recorder: &Recorder) -> Result<Vec<Tensor>> {
    let w = floats(recorder, "w", DType::F16, &[48, 64], &noise(48 * 64, 1));
    let (many, few) =
        (recorder.state("many", TensorType::f32([40, 48])), recorder.state("few", TensorType::f32([1, 48])));
    let x = floats(recorder, "x", DType::F32, &[40, 64], &noise(40 * 64, 2));
    x.linear(&w, LinearOptions::default())?.store_in(&many)?;
    let row = floats(recorder, "row", DType::F32, &[1, 64], &noise(64, 3));
    row.linear(&w, LinearOptions::default())?.store_in(&few)?;
    row.linear(&w, LinearOptions::default())?.store_in(&few)?;
    Ok(vec![many, few])
}

fn program() -> Program {
    let recorder = recorder().expect("a recorder");
    recorder.begin("products");
    products(&recorder).expect("the products are recorded");
    recorder.finish()
}

#[test]
fn each_class_is_tried_once_and_what_is_chosen_is_right() {
    let Some(gpu) = open() else { return };
    let (program, cancel, mut heard) = (program(), CancelFlag::default(), Vec::new());
    pollster::block_on(gpu.tune(&[&program], &cancel, &mut |done, all| heard.push((done, all))))
        .expect("all versions run");
    assert_eq!(heard, [(0, 2), (1, 2), (2, 2)], "the row's product stands twice and is one class");

    let mut tuning = gpu.tuning();
    assert_eq!(tuning.adapter, gpu.name);
    for kernel in &tuning.kernels {
        assert!(kernel.versions.len() > 2, "{kernel:?}");
        assert!(kernel.versions.iter().all(|version| version.us > 0.0 && version.us.is_finite()), "{kernel:?}");
        let names: std::collections::BTreeSet<_> = kernel.versions.iter().map(|version| &version.name).collect();
        assert_eq!(names.len(), kernel.versions.len(), "versions are told apart: {kernel:?}");
    }

    // Known already: nothing is tried.
    pollster::block_on(gpu.tune(&[&program], &cancel, &mut |_, _| panic!("tried again"))).expect("nothing to do");

    // Whatever is chosen is used, the last versions for instance.
    tuning.kernels.iter_mut().for_each(|kernel| kernel.chosen = kernel.versions.len() as u32 - 1);
    gpu.set_tuning(tuning.kernels);
    let tolerance = Tolerance { abs: 2e-5, rel: 2e-5 };
    pollster::block_on(check(&Device::Gpu(gpu), 1, tolerance, products)).expect("the chosen versions agree");
}

#[test]
fn a_tuner_that_is_stopped_stops() {
    let Some(gpu) = open() else { return };
    let cancel = CancelFlag::default();
    cancel.cancel();
    let tuned = pollster::block_on(gpu.tune(&[&program()], &cancel, &mut |_, _| ()));
    assert!(matches!(tuned, Err(Error::Cancelled)), "{tuned:?}");
    assert!(gpu.tuning().kernels.is_empty());
}

/// The tokens of a recording, as a small random Whisper on a device hears it.
fn tokens_on(device: Device, folder: &std::path::Path) -> Vec<u32> {
    let Model::Speech(mut model) = load_from(device, folder.to_path_buf(), Precision::F32) else {
        panic!("it is a Whisper");
    };
    let recording: Vec<f32> = noise(32_000, 7).iter().map(|v| 0.3 * v).collect();
    let options =
        TranscribeOptions { temperatures: vec![0.0], timestamps: false, max_tokens: Some(12), ..Default::default() };
    let mut job = model.begin(options).expect("it begins");
    let cancel = CancelFlag::default();
    let mut tokens = Vec::new();
    let mut watch = Watch { cancel: &cancel, on_progress: &mut |_| () };
    let mut emit = |event| {
        if let rill::engine::transcribe::SpeechEvent::Tentative(_, fresh) = event {
            tokens.extend(fresh);
        }
    };
    pollster::block_on(model.transcribe(&recording, &mut job, &mut watch, &mut emit)).expect("it is transcribed");
    tokens
}

/// lavapipe is software, which gets the plainest kernels unless it is told to be a GPU; these are what every other test has there.
#[test]
fn a_whisper_writes_the_same_tokens_at_every_level() {
    let folder = write_micro_whisper("levels").join("whisper-tiny.en");
    let expected = tokens_on(processor(), &folder);
    assert!(expected.len() > 4, "{expected:?}");
    for level in [KernelLevel::Tiled, KernelLevel::Subgroups] {
        let Some(gpu) = open_gpu_as(|caps| GpuCaps { software: false, level, ..caps }) else { return };
        assert_eq!(tokens_on(Device::Gpu(gpu), &folder), expected, "{level:?}");
    }
}
