//! The tuner, on this machine's GPU (lavapipe in CI): it tries every version of what a program needs, once, and what it chooses is used
//! and right.
#![cfg(not(target_arch = "wasm32"))]

use rill::engine::CancelFlag;
use rill::engine::check::{Tolerance, check, floats, noise, recorder};
use rill::engine::gpu::Gpu;
use rill::engine::graph::{Program, Recorder, Tensor};
use rill::engine::op::GpuCaps;
use rill::engine::ops::linear::LinearOptions;
use rill::engine::session::Device;
use rill::engine::tensor::{DType, TensorType};
use rill::engine::{Error, Result};
use std::rc::Rc;

/// The adapter with the kernels of a GPU; without one it is a printed skip, or a failure where REQUIRE_GPU is set.
fn open() -> Option<Rc<Gpu>> {
    match pollster::block_on(Gpu::open_as(|caps| GpuCaps { software: false, ..caps })) {
        Ok(gpu) => Some(gpu),
        Err(e) if std::env::var_os("REQUIRE_GPU").is_some() => panic!("{e}"),
        Err(e) => {
            eprintln!("skipped: {e}");
            None
        }
    }
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
