//! Every op against its definition inside the browser: the same checks as `ops.rs`, through Tint instead of Naga, and on the
//! processor by each of the four builds of the kernels' module (`cargo xtask build` makes them).

use crate::{checks, versions};
use rill::engine::cpu::{Cpu, Variant};
use rill::engine::gpu::Gpu;
use rill::engine::op::{Choices, GpuCaps};
use rill::engine::session::Device;
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

/// The processor with each build, and the browser's adapter, used with a processor's kernels and with a GPU's.
async fn devices() -> Vec<Device> {
    let mut devices = Vec::new();
    for (variant, module) in BUILDS {
        let cpu = Cpu::from_bytes(module, variant).await.expect("Chromium has SIMD, relaxed SIMD and shared memory");
        devices.push(Device::Cpu(cpu.with_threads(2)));
    }
    for (_, adjust) in versions::LEVELS {
        let gpu = Gpu::open_as(adjust).await;
        devices.push(Device::Gpu(gpu.expect("the browser has a WebGPU adapter (webdriver.json asks for SwiftShader)")));
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
    for version in 1..=versions::MOST {
        let adjust = |caps| GpuCaps { software: false, choices: Choices::Always(version), ..caps };
        let gpu = Gpu::open_as(adjust).await.expect("an adapter");
        versions::agree(&Device::Gpu(gpu)).await.unwrap_or_else(|e| panic!("version {version}: {e}"));
    }
}

#[wasm_bindgen_test]
async fn a_weight_over_the_binding_limit_is_split() {
    let gpu = Gpu::open_as(|caps| GpuCaps { max_binding_bytes: 8192, ..caps }).await.expect("an adapter");
    checks::split_weights_agree(&Device::Gpu(gpu)).await.unwrap_or_else(|e| panic!("{e}"));
}
