//! Which backends work here, found out by using them, and which one a model gets.

use super::check::probe;
use super::edge;
use super::gpu::Gpu;
use super::session::Device;
use super::webnn::{Context, DeviceType};
use super::{Error, Result};
use crate::protocol::{BackendChoice, BackendReport, FeatureReport, Precision};
use std::cell::RefCell;
use std::rc::Rc;

/// The devices of this machine, opened when first asked for.
#[derive(Debug, Default)]
pub struct Ladder {
    gpu: RefCell<Option<Rc<Gpu>>>,
    nn: RefCell<Option<Rc<Context>>>,
}

/// A device, and why this one.
#[derive(Debug, Clone)]
pub struct Choice {
    /// What computes.
    pub device: Device,
    /// Which backend that is.
    pub backend: BackendChoice,
    /// Its name.
    pub adapter: String,
    /// Whether it computes on the processor.
    pub software: bool,
    /// What was given of what was asked for.
    pub precision: Precision,
    /// In one sentence.
    pub reason: String,
}

impl Ladder {
    /// The GPU, opened and probed once; opened again after it was lost.
    pub async fn gpu(&self) -> Result<Rc<Gpu>> {
        if let Some(gpu) = self.gpu.borrow().as_ref().filter(|gpu| gpu.check().is_ok()) {
            return Ok(gpu.clone());
        }
        let gpu = Gpu::open().await?;
        probe(&Device::Gpu(gpu.clone())).await.map_err(|e| Error::BackendUnavailable {
            backend: "webgpu",
            reason: format!("`{}` was found, but a test computation failed on it: {e}", gpu.name),
        })?;
        *self.gpu.borrow_mut() = Some(gpu.clone());
        Ok(gpu)
    }

    /// The first device type of WebNN whose test computation comes out right; opened again after it was lost.
    pub async fn nn(&self) -> Result<Rc<Context>> {
        if let Some(context) = self.nn.borrow().as_ref().filter(|context| context.check().is_ok()) {
            return Ok(context.clone());
        }
        let mut reasons = Vec::new();
        for device_type in DeviceType::ALL {
            match Context::open_probed(device_type).await {
                Ok(context) => {
                    *self.nn.borrow_mut() = Some(context.clone());
                    return Ok(context);
                }
                Err(Error::BackendUnavailable { reason, .. }) => reasons.push(reason),
                Err(other) => return Err(other),
            }
        }
        Err(Error::BackendUnavailable { backend: "webnn", reason: reasons.join("; ") })
    }

    /// The device for a model.
    pub async fn choose(&self, backend: BackendChoice, precision: Precision) -> Result<Choice> {
        match backend {
            BackendChoice::WebGpu => Ok(gpu_choice(self.gpu().await?, precision, "chosen in the settings")),
            BackendChoice::Wasm => Ok(cpu_choice("chosen in the settings".into())),
            BackendChoice::WebNn => Ok(nn_choice(self.nn().await?, "chosen in the settings")),
            BackendChoice::Auto => match self.gpu().await {
                Ok(gpu) => Ok(gpu_choice(gpu, precision, "the first backend whose test computation came out right")),
                Err(e) => Ok(cpu_choice(format!("{e}; the processor is much slower"))),
            },
        }
    }

    /// Probes every backend.
    pub async fn report(&self) -> Vec<BackendReport> {
        let start = edge::Instant::now();
        let gpu = self.gpu().await;
        let probe_ms = edge::ms_since(start);
        let webgpu = match &gpu {
            Ok(gpu) => BackendReport {
                backend: BackendChoice::WebGpu,
                available: true,
                reason: "a test computation came out right".into(),
                adapter: gpu.name.clone(),
                software: gpu.caps.software,
                features: vec![f16_report(gpu), timestamps_report(gpu)],
                probe_ms,
            },
            Err(e) => unavailable(BackendChoice::WebGpu, e.to_string(), probe_ms),
        };
        let start = edge::Instant::now();
        let tested = probe(&Device::Plain).await;
        let wasm = BackendReport {
            backend: BackendChoice::Wasm,
            available: tested.is_ok(),
            reason: "runs everywhere, on one thread and slowly".into(),
            adapter: "this processor".into(),
            software: true,
            features: Vec::new(),
            probe_ms: edge::ms_since(start),
        };
        let start = edge::Instant::now();
        let nn = self.nn().await;
        let probe_ms = edge::ms_since(start);
        let webnn = match &nn {
            Ok(context) => BackendReport {
                backend: BackendChoice::WebNn,
                available: true,
                reason: "a test computation came out right".into(),
                adapter: context.name(),
                software: context.device_type == DeviceType::Cpu,
                features: Vec::new(),
                probe_ms,
            },
            Err(e) => unavailable(BackendChoice::WebNn, e.to_string(), probe_ms),
        };
        vec![webgpu, webnn, wasm]
    }

    /// Tests one of the features that belong to a backend; `None` for names that do not.
    pub async fn feature(&self, name: &str) -> Option<FeatureReport> {
        let gpu = match name {
            "webgpu" | "webgpu.f16" | "webgpu.timestamps" => self.gpu().await,
            "webnn" => {
                return Some(match self.nn().await {
                    Ok(context) => {
                        feature(name, true, format!("a test computation on {} came out right", context.name()))
                    }
                    Err(e) => feature(name, false, e.to_string()),
                });
            }
            "wasm" => return Some(feature(name, true, "this answer comes from it".into())),
            _ => return None,
        };
        Some(match (name, &gpu) {
            (_, Err(e)) => feature(name, false, e.to_string()),
            ("webgpu.f16", Ok(gpu)) => f16_report(gpu),
            ("webgpu.timestamps", Ok(gpu)) => timestamps_report(gpu),
            (_, Ok(gpu)) => feature(name, true, format!("a test computation on `{}` came out right", gpu.name)),
        })
    }
}

fn gpu_choice(gpu: Rc<Gpu>, precision: Precision, why: &str) -> Choice {
    let given = if gpu.caps.f16 { precision } else { Precision::F32 };
    let reason = match given == precision {
        true => format!("WebGPU: {why}"),
        false => format!("WebGPU: {why}; f32, since this adapter has no f16"),
    };
    let (adapter, software) = (gpu.name.clone(), gpu.caps.software);
    Choice { device: Device::Gpu(gpu), backend: BackendChoice::WebGpu, adapter, software, precision: given, reason }
}

fn nn_choice(context: Rc<Context>, why: &str) -> Choice {
    Choice {
        adapter: context.name(),
        software: context.device_type == DeviceType::Cpu,
        device: Device::WebNn(context),
        backend: BackendChoice::WebNn,
        precision: Precision::F32,
        reason: format!("WebNN: {why}"),
    }
}

fn cpu_choice(why: String) -> Choice {
    Choice {
        device: Device::Plain,
        backend: BackendChoice::Wasm,
        adapter: "this processor".into(),
        software: true,
        precision: Precision::F32,
        reason: format!("WASM: {why}"),
    }
}

fn unavailable(backend: BackendChoice, reason: String, probe_ms: f64) -> BackendReport {
    let adapter = String::new();
    BackendReport { backend, available: false, reason, adapter, software: false, features: Vec::new(), probe_ms }
}

fn feature(name: &str, supported: bool, reason: String) -> FeatureReport {
    FeatureReport { name: name.into(), supported, reason }
}

fn f16_report(gpu: &Gpu) -> FeatureReport {
    adapter_feature("webgpu.f16", "shader-f16", gpu.caps.f16)
}

fn timestamps_report(gpu: &Gpu) -> FeatureReport {
    adapter_feature("webgpu.timestamps", "timestamp-query", gpu.has_timestamps)
}

fn adapter_feature(name: &str, feature_name: &str, supported: bool) -> FeatureReport {
    feature(name, supported, format!("the adapter has {}{feature_name}", if supported { "" } else { "no " }))
}
