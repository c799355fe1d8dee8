//! Finding an adapter, asking for what the kernels need, and noticing when the device goes away.

use super::pipeline::PipelineCache;
use crate::engine::op::GpuCaps;
use crate::engine::{Error, Result};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// An adapter and its device.
#[derive(Debug)]
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    /// What kernels may use.
    pub caps: GpuCaps,
    /// The adapter as its driver names it.
    pub name: String,
    /// Whether timestamp queries are there.
    pub has_timestamps: bool,
    /// Bound where an optional input is absent.
    pub(super) empty: wgpu::Buffer,
    pub(super) pipelines: RefCell<PipelineCache>,
    lost: Arc<Mutex<Option<String>>>,
    /// Floating-point operations that take about [`super::session::SUBMIT_MS`]; learned by `run_watched`.
    pub(super) flops_per_submit: std::cell::Cell<f64>,
}

impl Gpu {
    /// The most capable adapter there is.
    pub async fn open() -> Result<Rc<Self>> {
        Self::open_as(|caps| caps).await
    }

    /// The same, used as if it could do what `adjust` makes of its capabilities: how kernels for other adapters are tested.
    pub async fn open_as(adjust: impl FnOnce(GpuCaps) -> GpuCaps) -> Result<Rc<Self>> {
        let unavailable = |reason: String| Error::BackendUnavailable { backend: "webgpu", reason };
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::BROWSER_WEBGPU;
        let instance = wgpu::Instance::new(descriptor);
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = instance.request_adapter(&options).await.map_err(|e| unavailable(format!("no adapter ({e})")))?;
        let features = adapter.features() & (wgpu::Features::SHADER_F16 | wgpu::Features::TIMESTAMP_QUERY);
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("rill"),
                required_features: features,
                required_limits: limits(&adapter.limits()),
                ..Default::default()
            })
            .await
            .map_err(|e| unavailable(format!("the adapter gave no device ({e})")))?;
        let lost = Arc::new(Mutex::new(None));
        let noticed = lost.clone();
        device.set_device_lost_callback(move |reason, message| {
            if let Ok(mut lost) = noticed.lock() {
                *lost = Some(format!("{reason:?}: {message}"));
            }
        });
        let info = adapter.get_info();
        let granted = device.limits();
        let caps = adjust(GpuCaps {
            f16: features.contains(wgpu::Features::SHADER_F16),
            software: info.device_type == wgpu::DeviceType::Cpu,
            max_binding_bytes: granted.max_storage_buffer_binding_size.min(granted.max_buffer_size),
        });
        let empty = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("empty"),
            size: 256, // As large as the largest fixed-size struct that may be absent.
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        let gpu = Rc::new(Self {
            flops_per_submit: std::cell::Cell::new(if caps.software { 5e7 } else { 5e9 }),
            name: name_of(&device, &info),
            has_timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            device,
            queue,
            caps,
            empty,
            pipelines: RefCell::default(),
            lost,
        });
        gpu.learn_to_wait().await;
        Ok(gpu)
    }

    /// [`Error::DeviceLost`] once the device has gone away.
    pub fn check(&self) -> Result<()> {
        let lost = self.lost.lock().ok().and_then(|lost| lost.clone());
        lost.map_or(Ok(()), |reason| Err(Error::DeviceLost(reason)))
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // In a browser a dropped device lives on until it is collected.
        self.device.destroy();
    }
}

/// The adapter's own limits where the kernels profit from them, the specification's minimum elsewhere.
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
