//! What this browser can do, in one honest line, from what the engine's probes found.

use super::format;
use super::settings::Measured;
use crate::protocol::{BackendChoice, BackendReport, Precision};

/// How good the news is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Not known yet.
    Unknown,
    /// A GPU.
    Good,
    /// It works, slowly.
    Fair,
    /// It does not work.
    Bad,
}

/// The finding, short for the badge and long for the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// How good the news is.
    pub tone: Tone,
    /// A few words.
    pub badge: String,
    /// A sentence.
    pub line: String,
}

/// The name of a precision as programs write it.
pub fn precision_name(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::F16 => "f16",
        Precision::Int8 => "int8",
        Precision::Int4 => "int4",
    }
}

/// The name of a backend as people write it.
pub fn backend_name(backend: BackendChoice) -> &'static str {
    match backend {
        BackendChoice::Auto => "Automatic",
        BackendChoice::WebGpu => "WebGPU",
        BackendChoice::WebNn => "WebNN",
        BackendChoice::Wasm => "WebAssembly",
    }
}

/// What a feature is called on the page, and in one line what it is good for.
pub fn feature_words(name: &str) -> (&'static str, &'static str) {
    match name {
        "webgpu" => ("WebGPU", "The browser's way to compute on a graphics card."),
        "webgpu.hardware" => ("A real graphics card", "Software can pose as one; it computes on the processor."),
        "webgpu.limits" => ("Room for the models", "How much the graphics card lets a page use at once."),
        "webgpu.f16" => ("16-bit numbers on the GPU", "Half the memory and often more speed."),
        "webgpu.subgroups" => ("Subgroups", "Parts of the GPU that add up numbers together."),
        "webgpu.timestamps" => ("The GPU's own clock", "Tells how long a step took."),
        "webnn" => ("WebNN", "The browser's own interface for neural networks."),
        "webnn.cpu" => ("WebNN on the processor", "The browser's own kernels."),
        "webnn.gpu" => ("WebNN on the GPU", "The system's kernels for graphics cards."),
        "webnn.npu" => ("WebNN on an NPU", "A chip made for neural networks."),
        "wasm" => ("WebAssembly", "Computes on the processor; runs in every browser."),
        "wasm.simd" => ("SIMD", "Four numbers at a time."),
        "wasm.relaxed-simd" => ("Relaxed SIMD", "The same with the processor's fused multiply-add."),
        "wasm.threads" => ("Threads", "Several cores on one memory."),
        "storage" => ("Storage", "Keeps models for the next visit."),
        "microphone" => ("Microphone", "For recording here."),
        _ => ("Another feature", ""),
    }
}

/// Judge the probes' findings (`None` while they are under way). `measured` is the last speed seen in this browser.
pub fn judge(backends: Option<&[BackendReport]>, measured: Option<&Measured>) -> Capability {
    let Some(backends) = backends else {
        return Capability {
            tone: Tone::Unknown,
            badge: "Checking…".into(),
            line: "Checking what this browser can do…".into(),
        };
    };
    let Some(best) = backends.iter().find(|report| report.available) else {
        let reason = backends.first().map(|report| report.reason.as_str()).unwrap_or_default();
        let line = format!("This browser offers nothing that Rill can compute on. {reason}");
        return Capability { tone: Tone::Bad, badge: "Not supported".into(), line: line.trim_end().into() };
    };
    let name = backend_name(best.backend);
    let adapter = if best.adapter.is_empty() { "unnamed" } else { best.adapter.as_str() };
    let (tone, badge, what) = match (best.backend, best.software) {
        (BackendChoice::WebGpu | BackendChoice::WebNn, false) => {
            (Tone::Good, adapter.to_string(), format!("Runs on your GPU: {adapter} · {name}"))
        }
        (BackendChoice::WebGpu | BackendChoice::WebNn, true) => (
            Tone::Fair,
            "Software GPU".into(),
            format!(
                "{name} is here, but no GPU behind it: {adapter} computes on your processor. What is faster is measured when a model is loaded"
            ),
        ),
        _ => (Tone::Fair, "Processor".into(), "No WebGPU here: runs on your processor".into()),
    };
    let speed = measured
        .filter(|measured| measured.backend == best.backend)
        .map(|measured| format!(" · {} measured here", format::speed(measured.rtf)))
        .unwrap_or_default();
    Capability { tone, badge, line: what + &speed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(backend: BackendChoice, available: bool, software: bool) -> BackendReport {
        let (reason, adapter) = ("because".into(), "SwiftShader".into());
        BackendReport { backend, available, reason, adapter, software, features: vec![], probe_ms: 1.0 }
    }

    #[test]
    fn a_software_adapter_is_never_called_a_gpu() {
        let found = judge(Some(&[report(BackendChoice::WebGpu, true, true)]), None);
        assert_eq!(found.tone, Tone::Fair);
        assert!(!found.line.contains("Runs on your GPU"), "{}", found.line);
    }

    #[test]
    fn a_speed_measured_on_another_backend_is_not_claimed_for_this_one() {
        let backends = [report(BackendChoice::WebGpu, false, false), report(BackendChoice::Wasm, true, true)];
        let measured = |backend| Measured { adapter: "x".into(), backend, rtf: 0.1 };
        assert_eq!(
            judge(Some(&backends), Some(&measured(BackendChoice::WebGpu))).line,
            "No WebGPU here: runs on your processor"
        );
        assert!(
            judge(Some(&backends), Some(&measured(BackendChoice::Wasm))).line.ends_with("10× real time measured here")
        );
    }

    #[test]
    fn every_feature_has_plain_words() {
        for name in crate::protocol::FEATURES {
            let (title, what) = feature_words(name);
            assert!(title != "Another feature" && what.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn where_nothing_works_the_reason_is_given() {
        let found = judge(Some(&[report(BackendChoice::WebGpu, false, false)]), None);
        assert_eq!((found.tone, found.line.ends_with("because")), (Tone::Bad, true));
    }
}
