//! Every op against its definition inside the browser: the same checks as `native/ops.rs`, through Tint instead of Naga, and on the
//! processor by each of the four builds of the kernels' module (`cargo xtask build` makes them).

use crate::{checks, versions};
use rill::engine::cpu::{Cpu, Variant};
use rill::engine::gpu::Gpu;
use rill::engine::op::GpuCaps;
use rill::engine::session::Device;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen_test::wasm_bindgen_test;

macro_rules! built {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/target/kernels/dist/", $name, ".wasm"))
    };
}

/// The builds of the processor's kernels.
const BUILDS: [(Variant, &[u8]); 4] = [
    (Variant { relaxed: false, threads: false }, built!("simd")),
    (Variant { relaxed: true, threads: false }, built!("relaxed")),
    (Variant { relaxed: false, threads: true }, built!("simd-threads")),
    (Variant { relaxed: true, threads: true }, built!("relaxed-threads")),
];

thread_local! {
    static GPU: RefCell<Option<Rc<Gpu>>> = const { RefCell::new(None) };
}

/// The browser's adapter, used in some way. All tests share its pipelines: making them takes most of the time here.
async fn gpu(adjust: impl FnOnce(GpuCaps) -> GpuCaps) -> Device {
    let known = GPU.with_borrow(Clone::clone);
    let opened = match known {
        Some(gpu) => gpu,
        None => Gpu::open().await.expect("the browser has a WebGPU adapter (webdriver.json asks for SwiftShader)"),
    };
    GPU.set(Some(opened.clone()));
    Device::Gpu(opened.used_as(adjust).await)
}

/// The processor with each build, and the browser's adapter, used with a processor's kernels and with a GPU's.
async fn devices() -> Vec<Device> {
    let mut devices = Vec::new();
    for (variant, module) in BUILDS {
        let cpu = Cpu::from_bytes(module, variant).await.expect("Chromium has SIMD, relaxed SIMD and shared memory");
        devices.push(Device::Cpu(cpu.with_threads(2)));
    }
    for (_, adjust) in versions::LEVELS {
        devices.push(gpu(adjust).await);
    }
    devices
}

macro_rules! in_the_browser {
    ($name:ident) => {
        #[wasm_bindgen_test]
        async fn $name() {
            for device in devices().await {
                checks::$name(&device).await.unwrap_or_else(|e| panic!("{e}"));
            }
        }
    };
}
checks::every_check!(in_the_browser);

#[wasm_bindgen_test]
async fn every_version_of_a_kernel_agrees() {
    versions::agree_in_brief(&gpu(versions::EACH).await).await.unwrap_or_else(|e| panic!("{e}"));
}

#[wasm_bindgen_test]
async fn a_weight_over_the_binding_limit_is_split() {
    let gpu = gpu(|caps| GpuCaps { max_binding_bytes: 8192, ..caps }).await;
    checks::split_weights_agree(&gpu).await.unwrap_or_else(|e| panic!("{e}"));
}

#[wasm_bindgen_test]
async fn memory_that_the_browser_refuses_at_first_is_asked_for_again() {
    // What a browser does while the threads of models that are gone have not ended.
    let refuse_once = "const real = WebAssembly.Memory;
        WebAssembly.Memory = function () {
            WebAssembly.Memory = real;
            throw new RangeError('could not allocate memory');
        };";
    let (variant, module) = BUILDS[0];
    let cpu = Cpu::from_bytes(module, variant).await.expect("Chromium has SIMD");
    js_sys::Function::new_no_args(refuse_once).call0(&wasm_bindgen::JsValue::NULL).expect("a script");
    checks::layer_norm_survives_outliers(&Device::Cpu(cpu.with_threads(1))).await.unwrap_or_else(|e| panic!("{e}"));
}
