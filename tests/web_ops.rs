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
    ($($name:ident),* $(,)?) => {
        $(#[wasm_bindgen_test] async fn $name() {
            for device in devices().await {
                checks::$name(&device).await.unwrap_or_else(|e| panic!("{e}"));
            }
        })*
    };
}

in_the_browser!(
    linear_agrees_for_awkward_sizes,
    linear_normalises_rows_with_outliers,
    conv1d_pads_and_strides,
    layer_norm_survives_outliers,
    attention_ignores_what_is_padding,
    attention_cached_sees_cache_and_new_rows,
    attention_cross_agrees_in_parts_and_whole,
    embed_looks_up_sequences_and_positions,
    row_at_takes_the_last_real_row,
    log_mel_equals_the_plain_transform,
    mean_pool_gives_unit_vectors,
    sample_follows_the_timestamp_rules,
    f16_agrees_where_there_is_f16,
    a_wrong_kernel_is_noticed,
);

#[wasm_bindgen_test]
async fn a_weight_over_the_binding_limit_is_split() {
    let gpu = Gpu::open_as(|caps| GpuCaps { max_binding_bytes: 8192, ..caps }).await.expect("an adapter");
    checks::split_weights_agree(&Device::Gpu(gpu)).await.unwrap_or_else(|e| panic!("{e}"));
}
