//! Every op against its definition: on this machine's GPU (lavapipe in CI), with the kernels for software adapters and with those
//! for GPUs, and on the processor with one thread and with three.

use crate::{checks, versions};
use rill::engine::cpu::Cpu;
use rill::engine::gpu::Gpu;
use rill::engine::op::GpuCaps;
use rill::engine::session::Device;

/// Runs a check on the processor and on each way to use the adapter; without one it is a printed skip, or a failure where REQUIRE_GPU
/// is set.
fn on_every_device<F: Future<Output = rill::engine::Result<()>>>(check: impl Fn(Device) -> F) {
    for n_threads in [1, 3] {
        let cpu = pollster::block_on(Cpu::open("")).expect("there is always a processor").with_threads(n_threads);
        pollster::block_on(check(Device::Cpu(cpu))).unwrap_or_else(|e| panic!("{n_threads} threads: {e}"));
    }
    for (name, adjust) in versions::LEVELS {
        on_gpu(name, adjust, &check);
    }
}

/// Runs a check with kernels chosen in a certain way.
fn on_gpu<F: Future<Output = rill::engine::Result<()>>>(
    name: &str,
    adjust: impl FnOnce(GpuCaps) -> GpuCaps,
    check: impl Fn(Device) -> F,
) {
    match pollster::block_on(Gpu::open_as(adjust)) {
        Ok(gpu) => pollster::block_on(check(Device::Gpu(gpu))).unwrap_or_else(|e| panic!("kernels {name}: {e}")),
        Err(e) if std::env::var_os("REQUIRE_GPU").is_some() => panic!("{e}"),
        Err(e) => eprintln!("skipped: {e}"),
    }
}

/// Whatever the tuner chooses is right.
#[test]
fn every_version_of_a_kernel_agrees() {
    on_gpu("of every version", versions::EACH, async |device| versions::agree(&device).await);
}

macro_rules! on_this_machine {
    ($name:ident) => {
        #[test]
        fn $name() {
            on_every_device(async |device| checks::$name(&device).await);
        }
    };
}
checks::every_check!(on_this_machine);

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
