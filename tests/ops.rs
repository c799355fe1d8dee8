//! Every op against its definition on this machine's GPU (lavapipe in CI), as a processor's kernels and as a GPU's.
#![cfg(not(target_arch = "wasm32"))]

mod checks;

use rill::engine::gpu::Gpu;
use rill::engine::op::GpuCaps;
use rill::engine::session::Device;

/// Runs a check on each way to use the adapter; without one it is a printed skip, or a failure where REQUIRE_GPU is set.
fn on_every_device<F: Future<Output = rill::engine::Result<()>>>(check: impl Fn(Device) -> F) {
    for software in [true, false] {
        let opened = pollster::block_on(Gpu::open_as(|caps| GpuCaps { software, ..caps }));
        match opened {
            Ok(gpu) => pollster::block_on(check(Device::Gpu(gpu)))
                .unwrap_or_else(|e| panic!("software kernels {software}: {e}")),
            Err(e) if std::env::var_os("REQUIRE_GPU").is_some() => panic!("{e}"),
            Err(e) => eprintln!("skipped: {e}"),
        }
    }
}

macro_rules! on_every_device {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { on_every_device(async |device| checks::$name(&device).await); })*
    };
}

on_every_device!(
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

/// A weight that no binding may hold as a whole is spread over several buffers, one dispatch each.
#[test]
fn a_weight_over_the_binding_limit_is_split() {
    let opened = pollster::block_on(Gpu::open_as(|caps| GpuCaps { max_binding_bytes: 8192, ..caps }));
    let Ok(gpu) = opened else {
        assert!(std::env::var_os("REQUIRE_GPU").is_none(), "no adapter");
        return;
    };
    pollster::block_on(checks::split_weights_agree(&Device::Gpu(gpu))).unwrap_or_else(|e| panic!("{e}"));
}
