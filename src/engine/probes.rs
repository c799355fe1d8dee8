//! Every capability by name, each tried: what was found, why, and how long that took. The ladder opens the devices; what a
//! model gets is its business.

use super::check::{Finding, probe};
use super::gpu::Gpu;
use super::ladder::Ladder;
use super::session::Device;
use super::webnn::{Context, DeviceType};
use super::{Result, edge, remember, wasm_features};
use crate::protocol::{BackendChoice, BackendReport, FEATURES, FeatureReport};
use std::rc::Rc;

impl Ladder {
    /// Probes every backend with all its features.
    pub async fn report(&self) -> Vec<BackendReport> {
        let start = edge::Instant::now();
        let gpu = self.gpu().await.ok();
        let whole = self.feature("webgpu").await;
        let webgpu = BackendReport {
            backend: BackendChoice::WebGpu,
            available: whole.as_ref().is_some_and(|found| found.supported),
            reason: whole.map_or_else(String::new, |found| found.reason),
            adapter: gpu.as_ref().map_or_else(String::new, |gpu| gpu.name.clone()),
            software: gpu.as_ref().is_some_and(|gpu| gpu.caps.software),
            features: self.features_of("webgpu.").await,
            probe_ms: edge::ms_since(start),
        };
        let start = edge::Instant::now();
        let context = self.nn().await;
        let webnn = BackendReport {
            backend: BackendChoice::WebNn,
            available: context.is_ok(),
            reason: match &context {
                Ok(context) => format!("a test computation on {} came out right", context.name()),
                Err(e) => why(e),
            },
            adapter: context.as_ref().map_or_else(|_| String::new(), |context| context.name()),
            software: context.as_ref().is_ok_and(|context| context.device_type == DeviceType::Cpu),
            features: self.features_of("webnn.").await,
            probe_ms: edge::ms_since(start),
        };
        let start = edge::Instant::now();
        let cpu = self.cpu().await.ok();
        let whole = self.feature("wasm").await;
        let wasm = BackendReport {
            backend: BackendChoice::Wasm,
            available: whole.as_ref().is_some_and(|found| found.supported),
            reason: whole.map_or_else(String::new, |found| found.reason),
            adapter: cpu.map_or_else(String::new, |cpu| cpu.name()),
            software: true,
            features: self.features_of("wasm.").await,
            probe_ms: edge::ms_since(start),
        };
        vec![webgpu, webnn, wasm]
    }

    /// Tests one feature by its name; `None` for a name that is not known here.
    pub async fn feature(&self, name: &str) -> Option<FeatureReport> {
        let start = edge::Instant::now();
        let finding = match name {
            "webgpu" => match self.gpu().await {
                Ok(gpu) => computed(&Device::Gpu(gpu.clone()), &gpu.name).await,
                Err(e) => Err(why(&e)),
            },
            "webnn" => webnn(self, None).await,
            "webnn.cpu" | "webnn.gpu" | "webnn.npu" => webnn(self, name.strip_prefix("webnn.")).await,
            "wasm" => match self.cpu().await {
                Ok(cpu) => computed(&Device::Cpu(cpu.clone()), &cpu.name()).await,
                Err(e) => Err(why(&e)),
            },
            "wasm.simd" => wasm_features::simd().await,
            "wasm.relaxed-simd" => wasm_features::relaxed_simd().await,
            "wasm.threads" => wasm_features::threads().await,
            "storage" => remember::probe().await,
            _ if name.starts_with("webgpu.") && FEATURES.contains(&name) => match self.gpu().await {
                Ok(gpu) => of_gpu(&gpu, name).await,
                Err(e) => Err(why(&e)),
            },
            _ => return None,
        };
        let supported = finding.is_ok();
        let (Ok(reason) | Err(reason)) = finding;
        Some(FeatureReport { name: name.into(), supported, reason, probe_ms: edge::ms_since(start) })
    }

    /// All features whose name begins with `prefix`.
    async fn features_of(&self, prefix: &str) -> Vec<FeatureReport> {
        let mut reports = Vec::new();
        for name in FEATURES.iter().filter(|name| name.starts_with(prefix)) {
            reports.extend(self.feature(name).await);
        }
        reports
    }
}

/// Why a device is not there, without saying again which one was asked for.
fn why(error: &super::Error) -> String {
    match error {
        super::Error::BackendUnavailable { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}

/// A checked computation on a device.
async fn computed(device: &Device, name: &str) -> Finding {
    match probe(device).await {
        Ok(()) => Ok(format!("a test computation on {name} came out right")),
        Err(e) => Err(format!("a test computation on {name} failed: {e}")),
    }
}

async fn of_gpu(gpu: &Rc<Gpu>, name: &str) -> Finding {
    match name {
        "webgpu.hardware" if gpu.caps.software => {
            Err(format!("`{}` is software: it computes on the processor", gpu.name))
        }
        "webgpu.hardware" => Ok(format!("`{}` is a GPU, as far as the browser says", gpu.name)),
        "webgpu.limits" => gpu.probe_limits(),
        "webgpu.f16" => gpu.probe_f16().await,
        "webgpu.subgroups" => gpu.probe_subgroups().await,
        _ => gpu.probe_timestamps().await,
    }
}

/// A context of this device type, opened for the test and given back, or any that a model may get.
async fn webnn(ladder: &Ladder, device_type: Option<&str>) -> Finding {
    let opened = match DeviceType::ALL.into_iter().find(|known| Some(known.name()) == device_type) {
        Some(device_type) => Context::open_probed(device_type).await.inspect(|context| context.destroy()),
        None => ladder.nn().await,
    };
    opened.map(|context| format!("a test computation on {} came out right", context.name())).map_err(|e| why(&e))
}

/// One feature by its name, or the names that there are.
///
/// # Errors
/// [`super::Error::Input`] for a name that is not known.
pub async fn test(ladder: &Ladder, name: &str) -> Result<FeatureReport> {
    ladder.feature(name).await.ok_or_else(|| {
        super::Error::Input(format!("there is no feature test `{name}`; known are {}", FEATURES.join(", ")))
    })
}
