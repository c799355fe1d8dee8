//! Compares a device with the definitions: the same small program on both, element by element.
//!
//! The tests run every op through this, and so does the probe that decides whether a backend may be used: features that
//! are reported may still not work.

use super::graph::{GraphId, Program, RecordOptions, Recorder, Tensor, WeightForm};
use super::op::Choices;
use super::ops::linear::LinearOptions;
use super::ops::math::Activation;
use super::session::{Device, Session, Watch};
use super::tensor::{DType, HostTensor, TensorType};
use super::weights::checkpoint::Checkpoint;
use super::{CancelFlag, Error, Result};
use crate::protocol::KernelLevel;
use std::rc::Rc;

/// What a probe found, in one sentence: why a feature may be used, or why not.
pub type Finding = std::result::Result<String, String>;

/// How far apart two numbers may be: `abs + rel * |expected|`.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    /// For numbers near zero.
    pub abs: f32,
    /// For large ones.
    pub rel: f32,
}

/// Numbers that look random and are the same everywhere, between -1 and 1.
pub fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut x = seed.wrapping_mul(2_654_435_761).max(1);
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        (x >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// A float constant, rounded to `dtype`.
pub fn floats(recorder: &Recorder, label: &str, dtype: DType, shape: &[usize], values: &[f32]) -> Tensor {
    let ty = TensorType::new(dtype, shape);
    let bytes = HostTensor { ty: ty.clone(), data: super::tensor::HostData::F32(values.to_vec()) }.to_bytes();
    recorder.constant(label, ty, &bytes)
}

/// A recorder for programs without a checkpoint.
pub fn recorder() -> Result<Recorder> {
    let checkpoint = Checkpoint::parse_header("(none)", b"{}", None)?;
    Ok(Recorder::new(
        Rc::new(checkpoint),
        RecordOptions { activation: DType::F32, weights: WeightForm::AsStored, kernels: KernelLevel::default() },
    ))
}

/// Runs what `record` writes down on `device` and on the processor, `times` times, and compares the states it returns. A GPU that is used
/// with [`Choices::Each`] runs it once for every version of the kernels that it takes.
pub async fn check(
    device: &Device,
    times: u32,
    tolerance: Tolerance,
    record: impl Fn(&Recorder) -> Result<Vec<Tensor>>,
) -> Result<()> {
    let reference = Recorded::by(&record)?;
    let (types, versions) = (reference.types(), versions(device, &reference.program));
    let expected = reference.run(&Device::Plain, times).await?;
    for (version, device) in versions {
        let got = Recorded::by(&record)?.run(&device, times).await?;
        for ((ty, expected), got) in types.iter().zip(&expected).zip(&got) {
            compare(ty, expected, got, tolerance).map_err(|e| of_version(e, version))?;
        }
    }
    Ok(())
}

/// What a device is checked as: itself, or in each version by its number.
fn versions(device: &Device, program: &Program) -> Vec<(usize, Device)> {
    match device {
        Device::Gpu(gpu) if gpu.caps.choices == Choices::Each => {
            (1..).zip(gpu.versions(program).into_iter().map(Device::Gpu)).collect()
        }
        _ => vec![(0, device.clone())],
    }
}

/// Says in which version numbers differ, where it is not the usual one.
fn of_version(error: Error, version: usize) -> Error {
    match error {
        Error::Numerics { what, reason } if version > 0 => {
            Error::Numerics { what: format!("{what} by version {version}"), reason }
        }
        other => other,
    }
}

/// A program of one graph, and the states that it leaves.
struct Recorded {
    program: Program,
    graph: GraphId,
    states: Vec<Tensor>,
}

impl Recorded {
    fn by(record: impl Fn(&Recorder) -> Result<Vec<Tensor>>) -> Result<Self> {
        let recorder = recorder()?;
        let graph = recorder.begin("check");
        let states = record(&recorder)?;
        Ok(Self { program: recorder.finish(), graph, states })
    }

    fn types(&self) -> Vec<TensorType> {
        self.states.iter().map(|state| state.ty.clone()).collect()
    }

    /// The bytes of the states.
    async fn run(self, device: &Device, times: u32) -> Result<Vec<Vec<u8>>> {
        let mut session = Session::compile(device, self.program).await?;
        let slots: Vec<_> = self.states.iter().map(Tensor::slot).collect();
        let mut watch = Watch { cancel: &CancelFlag::default(), on_progress: &mut |_| () };
        session.submit(&[(self.graph, times)], &slots, &mut watch).await?.wait().await
    }
}

/// Compares two tensors given as bytes; the error names the first elements that are too far apart.
pub fn compare(ty: &TensorType, expected: &[u8], got: &[u8], tolerance: Tolerance) -> Result<()> {
    let as_floats = |bytes: &[u8]| {
        let mut tensor = HostTensor::zeros(ty.clone());
        tensor.write_bytes(0, bytes);
        match tensor.data {
            super::tensor::HostData::F32(v) => v,
            super::tensor::HostData::U32(v) => v.into_iter().map(|v| v as f32).collect(),
        }
    };
    let (expected, got) = (as_floats(expected), as_floats(got));
    let is_near = |e: f32, g: f32| e == g || (e - g).abs() <= tolerance.abs + tolerance.rel * e.abs();
    let wrong: Vec<String> = expected
        .iter()
        .zip(&got)
        .enumerate()
        .filter(|(_, (e, g))| !is_near(**e, **g))
        .take(5)
        .map(|(idx, (e, g))| format!("[{idx}] is {g}, expected {e}"))
        .collect();
    if wrong.is_empty() && expected.len() == got.len() {
        return Ok(());
    }
    Err(Error::Numerics { what: format!("{:?} {:?}", ty.dtype, ty.shape), reason: wrong.join("; ") })
}

/// A checked computation on a device: a matrix product, a matrix-vector product with normalisation, and an activation.
pub async fn probe(device: &Device) -> Result<()> {
    check(device, 1, Tolerance { abs: 1e-4, rel: 1e-4 }, |recorder| {
        let x = floats(recorder, "x", DType::F32, &[33, 64], &noise(33 * 64, 1));
        let w = floats(recorder, "w", DType::F16, &[40, 64], &noise(40 * 64, 2));
        let gelu = LinearOptions { activation: Activation::Gelu, ..Default::default() };
        let y = recorder.state("y", TensorType::f32([33, 40]));
        x.linear(&w, gelu)?.store_in(&y)?;
        let row = floats(recorder, "row", DType::F32, &[1, 64], &noise(64, 3));
        let z = recorder.state("z", TensorType::f32([1, 40]));
        row.linear(&w, gelu)?.store_in(&z)?;
        Ok(vec![y, z])
    })
    .await
}
