//! Every op against its definition inside the browser: the same checks as `ops.rs`, through Tint instead of Naga.
#![cfg(target_arch = "wasm32")]

mod checks;

use rill::engine::gpu::Gpu;
use rill::engine::op::GpuCaps;
use rill::engine::session::Device;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// The browser's adapter, used with a processor's kernels and with a GPU's.
async fn devices() -> Vec<Device> {
    let mut devices = Vec::new();
    for software in [true, false] {
        let gpu = Gpu::open_as(|caps| GpuCaps { software, ..caps }).await;
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
async fn a_weight_over_the_binding_limit_is_split() {
    let gpu = Gpu::open_as(|caps| GpuCaps { max_binding_bytes: 8192, ..caps }).await.expect("an adapter");
    checks::split_weights_agree(&Device::Gpu(gpu)).await.unwrap_or_else(|e| panic!("{e}"));
}
