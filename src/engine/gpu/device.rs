//! Finding an adapter, asking for what the kernels need, and noticing when the device goes away, refuses something or no
//! longer answers.

use super::compiler_log::CompilerLog;
use super::pipeline::PipelineCache;
use super::spans::RunTimes;
use crate::engine::graph::Program;
use crate::engine::op::{Choices, GpuCaps, KernelLevel};
use crate::engine::{Error, Result};
use crate::protocol::{TunedKernel, Tuning};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// A GPU that leaves a submit unfinished for so long will not finish it. A submit is made to take about 80 ms; the longest that cannot
/// be divided is one op of a model, which may take seconds on a slow GPU.
const WATCHDOG_S: u64 = 30;
/// The same where the processor plays the GPU, and others may want the processor too.
const SOFTWARE_WATCHDOG_S: u64 = 150;

/// A device that is lost says so within this time of its first refusal.
const FAREWELL_MS: u32 = 50;

/// Wait before an adapter is asked for once more.
const ADAPTER_RETRY_MS: u32 = 100;

/// An adapter and its device.
#[derive(Debug, Clone)]
pub struct Gpu {
    pub(super) device: Rc<OwnDevice>,
    pub(super) queue: wgpu::Queue,
    /// What kernels may use.
    pub caps: GpuCaps,
    /// The adapter as its driver names it.
    pub name: String,
    /// Whether the adapter is a program on the processor, whatever `caps` is told to say.
    pub(super) is_software: bool,
    /// Threads of a subgroup at least, where the device was given operations across them.
    pub(super) least_subgroup: Option<u32>,
    /// Whether timestamp queries are there.
    pub has_timestamps: bool,
    /// Bound where an optional input is absent.
    pub(super) empty: wgpu::Buffer,
    pub(super) pipelines: Rc<RefCell<PipelineCache>>,
    /// What the shader compiler said of them.
    pub(super) compiler_log: Rc<RefCell<CompilerLog>>,
    /// What the tuner found, by class.
    pub(super) tuned: RefCell<BTreeMap<String, TunedKernel>>,
    /// Why this device is of no use any more.
    fault: Arc<Mutex<Option<Error>>>,
    /// Floating-point operations that take about [`super::session::SUBMIT_MS`]; learned by `run_watched`.
    pub(super) flops_per_submit: std::cell::Cell<f64>,
    /// What ordinary runs take, where somebody wants to know.
    pub(super) run_times: Rc<RunTimes>,
}

impl Gpu {
    /// The most capable adapter there is.
    pub async fn open() -> Result<Rc<Self>> {
        Self::open_as(|caps| caps).await
    }

    /// The same, used as if it could do what `adjust` makes of its capabilities: how kernels for other adapters are tested.
    pub async fn open_as(adjust: impl FnOnce(GpuCaps) -> GpuCaps) -> Result<Rc<Self>> {
        let gpu = Self::request().await?.used_as(adjust).await;
        gpu.learn_to_wait().await?;
        Ok(gpu)
    }

    /// This device, used as if it could do what `adjust` makes of its capabilities. Pipelines that are alike are made once for both.
    pub async fn used_as(&self, adjust: impl FnOnce(GpuCaps) -> GpuCaps) -> Rc<Self> {
        let caps = adjust(GpuCaps { subgroup: None, ..self.caps.clone() });
        let mut gpu = Self { tuned: RefCell::default(), flops_per_submit: first_flops(&caps), caps, ..self.clone() };
        if !gpu.caps.software && gpu.probe_subgroups().await.is_ok() {
            gpu.caps.subgroup = gpu.least_subgroup;
        }
        Rc::new(gpu)
    }

    async fn request() -> Result<Self> {
        let unavailable = |reason: String| Error::BackendUnavailable { backend: "webgpu", reason };
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::BROWSER_WEBGPU;
        let instance = wgpu::Instance::new(descriptor);
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        // The first request in a browser that has just started may come before its GPU process: seen in Chromium on an H100.
        let adapter = match instance.request_adapter(&options).await {
            Err(_) if cfg!(target_arch = "wasm32") => {
                crate::engine::edge::sleep(ADAPTER_RETRY_MS).await;
                instance.request_adapter(&options).await
            }
            first => first,
        };
        let adapter = adapter.map_err(|e| unavailable(format!("no adapter ({e})")))?;
        #[cfg(target_arch = "wasm32")]
        let asking = super::browser::SubgroupRequest::begin();
        let features = adapter.features()
            & (wgpu::Features::SHADER_F16 | wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SUBGROUP);
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("rill"),
                required_features: features,
                required_limits: limits(&adapter.limits()),
                ..Default::default()
            })
            .await
            .map_err(|e| unavailable(format!("the adapter gave no device ({e})")))?;
        #[cfg(target_arch = "wasm32")]
        drop(asking);
        let fault = Arc::new(Mutex::new(None));
        watch_for_faults(&device, &fault);
        let info = adapter.get_info();
        let granted = device.limits();
        let is_software = info.device_type == wgpu::DeviceType::Cpu;
        let caps = GpuCaps {
            f16: features.contains(wgpu::Features::SHADER_F16),
            software: is_software,
            max_binding_bytes: granted.max_storage_buffer_binding_size.min(granted.max_buffer_size),
            workgroup_bytes: granted.max_compute_workgroup_storage_size,
            subgroup: None,
            level: KernelLevel::Tuned,
            choices: Choices::Measured(BTreeMap::new()),
        };
        let empty = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("empty"),
            size: 256, // As large as the largest fixed-size struct that may be absent.
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        Ok(Self {
            is_software,
            least_subgroup: least_subgroup(&device, &info),
            flops_per_submit: first_flops(&caps),
            name: name_of(&device, &info),
            has_timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            device: Rc::new(OwnDevice(device)),
            queue,
            caps,
            empty,
            pipelines: Rc::default(),
            compiler_log: Rc::default(),
            tuned: RefCell::default(),
            run_times: Rc::default(),
            fault,
        })
    }

    /// What the tuner found here.
    pub fn tuning(&self) -> Tuning {
        Tuning { adapter: self.name.clone(), kernels: self.tuned.borrow().values().cloned().collect() }
    }

    /// What the tuner found here before.
    pub fn set_tuning(&self, kernels: Vec<TunedKernel>) {
        *self.tuned.borrow_mut() = kernels.into_iter().map(|kernel| (kernel.class.clone(), kernel)).collect();
    }

    /// What the choice of a program's kernels depends on.
    pub(super) fn caps_for(&self, program: &Program) -> GpuCaps {
        let chosen = || self.tuned.borrow().values().map(|k| (k.class.clone(), k.chosen as usize)).collect();
        let choices = match &self.caps.choices {
            Choices::Measured(_) => Choices::Measured(chosen()),
            fixed => fixed.clone(),
        };
        GpuCaps { level: self.caps.level.min(program.kernels), choices, ..self.caps.clone() }
    }

    /// This device with each version of the kernels that `program` takes, but for the usual one, by their numbers from 1 on.
    pub fn versions(&self, program: &Program) -> Vec<Rc<Self>> {
        let caps = self.caps_for(program);
        let n_others = program.nodes().map(|(node, signature)| node.op.alternatives(&signature, &caps).len());
        let always =
            |idx| Self { caps: GpuCaps { choices: Choices::Always(idx), ..self.caps.clone() }, ..self.clone() };
        (1..=n_others.max().unwrap_or(0)).map(|idx| Rc::new(always(idx))).collect()
    }

    /// Whether the device is still of use: an error once it has gone away, refused a command or stopped answering.
    pub fn check(&self) -> Result<()> {
        let fault = self.fault.lock().ok().and_then(|fault| fault.clone());
        fault.map_or(Ok(()), Err)
    }

    /// Gives the device back to the browser or the driver. Whoever still uses it gets [`Error::DeviceLost`].
    pub fn destroy(&self) {
        self.device.destroy();
        note(&self.fault, Error::DeviceLost("it was given back".into()));
    }

    /// Writes to a buffer from byte `at` on, a multiple of 4. The end is padded to the four bytes that a GPU copies at least.
    pub(super) fn write(&self, buffer: &wgpu::Buffer, at: u64, bytes: &[u8]) {
        let whole = bytes.len() / 4 * 4;
        self.queue.write_buffer(buffer, at, &bytes[..whole]);
        if whole < bytes.len() {
            let mut last = [0u8; 4];
            last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            self.queue.write_buffer(buffer, at + whole as u64, &last);
        }
    }

    /// Why the device refused something: a device that goes away refuses first, and says a moment later that it is gone.
    pub(super) async fn cause_of(&self, refusal: Error) -> Error {
        crate::engine::edge::sleep(FAREWELL_MS).await;
        self.check().err().unwrap_or(refusal)
    }

    /// What to say, now and from now on, of a device that did not answer.
    pub(super) fn stalled(&self) -> Error {
        let error = Error::Stalled { waited_s: self.watchdog_s() };
        note(&self.fault, error.clone());
        error
    }

    /// Seconds after which a submit counts as lost.
    pub(super) fn watchdog_s(&self) -> u64 {
        if self.caps.software { SOFTWARE_WATCHDOG_S } else { WATCHDOG_S }
    }
}

/// Operations of the first submits, before it is known how fast they are.
fn first_flops(caps: &GpuCaps) -> std::cell::Cell<f64> {
    std::cell::Cell::new(if caps.software { 5e7 } else { 5e9 })
}

/// A device that is given back when nobody uses it any more: in a browser a dropped one lives on until it is collected.
#[derive(Debug)]
pub(super) struct OwnDevice(wgpu::Device);

impl std::ops::Deref for OwnDevice {
    type Target = wgpu::Device;

    fn deref(&self) -> &wgpu::Device {
        &self.0
    }
}

impl Drop for OwnDevice {
    fn drop(&mut self) {
        self.0.destroy();
    }
}

/// Notes the first fault of a device; what follows is its consequence.
fn note(fault: &Mutex<Option<Error>>, error: Error) {
    if let Ok(mut fault) = fault.lock() {
        fault.get_or_insert(error);
    }
}

/// Notes when the device goes away, and what it refuses outside of an error scope: neither may pass for a result.
fn watch_for_faults(device: &wgpu::Device, fault: &Arc<Mutex<Option<Error>>>) {
    let noticed = fault.clone();
    device.set_device_lost_callback(move |reason, message| {
        note(&noticed, Error::DeviceLost(format!("{reason:?}: {message}")));
    });
    let noticed = fault.clone();
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        let message = error.to_string();
        note(
            &noticed,
            match error {
                wgpu::Error::OutOfMemory { .. } => out_of_memory(message),
                _ => Error::Gpu { label: "command".into(), message },
            },
        );
    }));
}

/// The GPU's refusal to allocate, in its own words: it names no figures.
pub(super) fn out_of_memory(message: String) -> Error {
    Error::Exhausted { what: "the GPU".into(), reason: message }
}

/// The adapter's own limits where the kernels profit from them, the specification's minimum elsewhere. What is larger than a
/// buffer or a binding may be lies in several ([`super::GpuSession`]): Safari on iOS used to give a tenth of what Metal can,
/// and gives at most 1 GiB since August 2025 (<https://bugs.webkit.org/show_bug.cgi?id=297475>).
fn limits(adapter: &wgpu::Limits) -> wgpu::Limits {
    wgpu::Limits {
        max_buffer_size: adapter.max_buffer_size,
        max_storage_buffer_binding_size: adapter.max_storage_buffer_binding_size,
        max_storage_buffers_per_shader_stage: adapter.max_storage_buffers_per_shader_stage,
        max_compute_workgroup_storage_size: adapter.max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup: adapter.max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x: adapter.max_compute_workgroup_size_x,
        min_storage_buffer_offset_alignment: adapter.min_storage_buffer_offset_alignment,
        min_uniform_buffer_offset_alignment: adapter.min_uniform_buffer_offset_alignment,
        ..wgpu::Limits::default()
    }
}

fn name_of(device: &wgpu::Device, info: &wgpu::AdapterInfo) -> String {
    let names = [info.name.trim().to_string(), name_in_browser(device), info.driver.trim().to_string()];
    let unnamed = match info.device_type {
        wgpu::DeviceType::Cpu => "software adapter",
        _ => "GPU without a name",
    };
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| unnamed.into())
}

/// Threads of a subgroup at least, where the device has operations across them.
fn least_subgroup(device: &wgpu::Device, info: &wgpu::AdapterInfo) -> Option<u32> {
    #[cfg(target_arch = "wasm32")]
    {
        let _ = info;
        super::browser::subgroups_of(device)
    }
    #[cfg(not(target_arch = "wasm32"))]
    device.features().contains(wgpu::Features::SUBGROUP).then_some(info.subgroup_min_size)
}

/// What the browser tells of the adapter and wgpu leaves out: a description, or vendor and architecture.
#[cfg(target_arch = "wasm32")]
fn name_in_browser(device: &wgpu::Device) -> String {
    use js_sys::Reflect;
    let Some(device) = device.as_webgpu() else { return String::new() };
    let info = Reflect::get(device, &"adapterInfo".into()).unwrap_or_default();
    let part = |name: &str| Reflect::get(&info, &name.into()).ok().and_then(|v| v.as_string()).unwrap_or_default();
    let description = part("description");
    if description.is_empty() {
        format!("{} {}", part("vendor"), part("architecture")).trim().into()
    } else {
        description
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn name_in_browser(_device: &wgpu::Device) -> String {
    String::new()
}
