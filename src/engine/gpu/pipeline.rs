//! Pipelines, made once for each variant of a kernel; in a browser side by side and while other things happen.

use super::device::Gpu;
use crate::engine::edge::{Instant, ms_since};
use crate::engine::op::Kernel;
use crate::engine::shaders::assemble;
use crate::engine::{Error, Result};
use crate::protocol::Making;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::rc::Rc;

/// A variant and the layout of its bindings; compiled when [`Gpu::finish_pipelines`] has been there.
#[derive(Debug)]
pub(super) struct Pipeline {
    name: String,
    pub key: PipelineKey,
    pub layout: wgpu::BindGroupLayout,
    made: OnceCell<wgpu::ComputePipeline>,
    /// Its place in the order in which pipelines were begun.
    order: u32,
    /// How it was made.
    making: Cell<Option<Making>>,
    /// Whether the list that outlives a visit has heard of that.
    pub is_listed: Cell<bool>,
    /// Until it is made; shared by all who wait for it.
    #[cfg(target_arch = "wasm32")]
    coming: std::cell::RefCell<Option<Rc<super::browser::Coming>>>,
}

/// Everything that tells one pipeline from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct PipelineKey {
    /// The kernel, a file of `shaders/`.
    pub shader: String,
    /// The types of its elements and its constants, as words.
    pub variant: String,
    pub text: String,
    overrides: Vec<(String, u64)>,
    /// Whether binding 0, the parameters, is a uniform; otherwise it is storage.
    has_uniform: bool,
    /// For each binding after it: whether it is written.
    written: Vec<bool>,
}

/// Binding 0 as the kernels have it.
const PARAMS: &str = "var<uniform> params";

impl PipelineKey {
    /// A kernel as `gpu` runs it. Lavapipe rewrites a shader anew whenever a uniform that bounds a loop changes, which is at every dispatch and
    /// takes longer than the loop: software gets its parameters as storage.
    pub fn new(gpu: &Gpu, kernel: &Kernel, written: Vec<bool>) -> Self {
        let text = assemble(kernel);
        let text = if gpu.is_software { text.replace(PARAMS, "var<storage, read> params") } else { text };
        let types = kernel.types.iter().map(|(name, dtype)| format!("{name} {}", dtype.wgsl()));
        let consts = kernel.consts.iter().map(|(name, value)| format!("{name} {value}"));
        let overrides = kernel.overrides.iter().map(|(name, value)| format!("{name} {value}"));
        let words: Vec<String> = types.chain(consts).chain(overrides).collect();
        Self {
            shader: kernel.shader.into(),
            variant: words.join(", "),
            text,
            overrides: kernel.overrides.iter().map(|&(name, value)| (name.into(), value.to_bits())).collect(),
            has_uniform: !gpu.is_software,
            written,
        }
    }

    /// The overridable constants.
    pub fn constants(&self) -> impl Iterator<Item = (&str, f64)> + '_ {
        self.overrides.iter().map(|(name, bits)| (name.as_str(), f64::from_bits(*bits)))
    }

    fn bindings(&self) -> impl Iterator<Item = wgpu::BufferBindingType> + '_ {
        let params = match self.has_uniform {
            true => wgpu::BufferBindingType::Uniform,
            false => wgpu::BufferBindingType::Storage { read_only: true },
        };
        let storage = self.written.iter().map(|&written| wgpu::BufferBindingType::Storage { read_only: !written });
        std::iter::once(params).chain(storage)
    }

    /// `GPUBufferBindingType` of each binding, by the specification's names.
    #[cfg(target_arch = "wasm32")]
    pub fn binding_types(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.bindings().map(|ty| match ty {
            wgpu::BufferBindingType::Uniform => "uniform",
            wgpu::BufferBindingType::Storage { read_only: true } => "read-only-storage",
            wgpu::BufferBindingType::Storage { read_only: false } => "storage",
        })
    }
}

/// The pipelines of a device.
#[derive(Debug, Default)]
pub(super) struct PipelineCache {
    known: HashMap<PipelineKey, Rc<Pipeline>>,
    n_begun: u32,
}

impl PipelineCache {
    /// The one for `key`.
    pub fn get(&self, key: &PipelineKey) -> Option<&Rc<Pipeline>> {
        self.known.get(key)
    }

    /// All.
    pub fn iter(&self) -> impl Iterator<Item = &Rc<Pipeline>> {
        self.known.values()
    }
}

impl Pipeline {
    /// What it is for: the op, where it was begun for one.
    pub fn op(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }

    /// How it was made, if it is.
    pub fn making(&self) -> Option<Making> {
        self.making.get()
    }

    /// Milliseconds that it took the browser, where that made it meanwhile.
    fn ahead_ms(&self) -> Option<f64> {
        #[cfg(target_arch = "wasm32")]
        return self.coming.borrow().as_ref().and_then(|coming| coming.ms());
        #[cfg(not(target_arch = "wasm32"))]
        None
    }

    /// Notes that it is there, made by wgpu within `ms` or by the browser before.
    fn note_made(&self, ms: f64) {
        let ahead_ms = self.ahead_ms();
        let making = Making { ms: ahead_ms.unwrap_or(ms), ahead: ahead_ms.is_some(), order: self.order };
        self.making.set(Some(making));
        #[cfg(target_arch = "wasm32")]
        self.coming.take();
    }

    /// What [`Gpu::finish_pipelines`] has made.
    pub fn compiled(&self) -> &wgpu::ComputePipeline {
        self.made.get().expect("pipelines are finished before they are used")
    }
}

#[cfg(target_arch = "wasm32")]
use web::Meanwhile;

/// Natively nothing is made meanwhile.
#[cfg(not(target_arch = "wasm32"))]
struct Meanwhile;

#[cfg(not(target_arch = "wasm32"))]
impl Meanwhile {
    async fn wait(_pipelines: &[Rc<Pipeline>], _on_made: &mut dyn FnMut(u32)) -> Self {
        Self
    }

    fn end(&self, _begun: Instant) -> Instant {
        Instant::now()
    }
}

#[cfg(target_arch = "wasm32")]
mod web {
    use super::super::browser::Coming;
    use super::{Instant, Pipeline, PipelineKey};
    use crate::engine::edge::ms_since;
    use std::cell::Cell;
    use std::rc::Rc;
    use wasm_bindgen::JsValue;

    thread_local! {
        /// Whether this browser knows a pipeline again that it has made, so that wgpu gets what was made side by side.
        static KNOWS_AGAIN: Cell<bool> = const { Cell::new(true) };
    }

    /// Making known pipelines again takes less than this; only the answer has to come from the GPU's process.
    const AGAIN_MS: f64 = 50.0;

    /// Begins to make a pipeline where that is of use.
    pub fn begin(device: &wgpu::Device, key: &PipelineKey) -> Option<Rc<Coming>> {
        KNOWS_AGAIN.get().then(|| Coming::begin(device, key)).flatten().map(Rc::new)
    }

    /// Pipelines that the browser has made.
    pub struct Meanwhile {
        known: Vec<Option<JsValue>>,
        last: Option<Instant>,
        waited_ms: f64,
    }

    impl Meanwhile {
        /// Waits for those that were begun.
        pub async fn wait(pipelines: &[Rc<Pipeline>], on_made: &mut dyn FnMut(u32)) -> Self {
            let (start, mut known, mut last) = (Instant::now(), Vec::new(), None);
            for (idx, pipeline) in pipelines.iter().enumerate() {
                let coming = pipeline.coming.borrow().clone();
                if let Some(coming) = coming {
                    known.push(coming.wait().await);
                    last = last.max(coming.done());
                }
                on_made(idx as u32 + 1);
            }
            Self { known, last, waited_ms: ms_since(start) }
        }

        /// When the last was made, wgpu having made all of them from `begun` on; learns whether that was for nothing.
        pub fn end(&self, begun: Instant) -> Instant {
            if ms_since(begun) > AGAIN_MS.max(self.waited_ms / 2.0) && !self.known.is_empty() {
                KNOWS_AGAIN.set(false);
                return Instant::now();
            }
            self.last.unwrap_or_else(Instant::now)
        }
    }
}

impl Gpu {
    /// The pipeline for `key`, begun now if it is new. Validation errors go to the error scope of the caller.
    pub(super) fn pipeline(&self, name: &str, key: PipelineKey) -> Rc<Pipeline> {
        if let Some(known) = self.pipelines.borrow().get(&key) {
            return known.clone();
        }
        let entries: Vec<_> = key
            .bindings()
            .enumerate()
            .map(|(binding, ty)| wgpu::BindGroupLayoutEntry {
                binding: binding as u32,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
                count: None,
            })
            .collect();
        let layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(name), entries: &entries });
        let mut cache = self.pipelines.borrow_mut();
        cache.n_begun += 1;
        let pipeline = Rc::new(Pipeline {
            name: name.into(),
            layout,
            made: OnceCell::new(),
            order: cache.n_begun,
            making: Cell::new(None),
            is_listed: Cell::new(false),
            #[cfg(target_arch = "wasm32")]
            coming: std::cell::RefCell::new(web::begin(&self.device, &key)),
            key: key.clone(),
        });
        cache.known.insert(key, pipeline.clone());
        pipeline
    }

    /// Waits until pipelines are made; gives when the last one was, if any was not before. `on_made` hears how many are.
    ///
    /// # Errors
    /// [`Error::Gpu`] with the compiler's message where one is refused.
    pub(super) async fn finish_pipelines(
        &self,
        pipelines: &[Rc<Pipeline>],
        on_made: &mut dyn FnMut(u32),
    ) -> Result<Option<Instant>> {
        if pipelines.iter().all(|pipeline| pipeline.made.get().is_some()) {
            return Ok(None);
        }
        let meanwhile = Meanwhile::wait(pipelines, on_made).await;
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let begun = Instant::now();
        let mut new = Vec::new();
        for pipeline in pipelines.iter().filter(|pipeline| pipeline.made.get().is_none()) {
            let start = Instant::now();
            let (module, made) = self.make_pipeline(pipeline);
            let _ = pipeline.made.set(made); // It was empty a moment ago.
            new.push((pipeline, module, ms_since(start)));
        }
        let refused = scope.pop().await.map(|error| error.to_string());
        let answered_ms = ms_since(begun);
        let last = refused.is_none().then(|| meanwhile.end(begun));
        let modules = new.iter().map(|(pipeline, module, _)| (&pipeline.key, module));
        self.note_messages(modules, refused.as_deref()).await;
        if let Some(message) = refused {
            let mut cache = self.pipelines.borrow_mut();
            cache.known.retain(|_, known| !pipelines.iter().any(|one| Rc::ptr_eq(known, one)));
            return Err(Error::Gpu { label: "pipelines".into(), message });
        }
        self.check()?;
        for (pipeline, _, own_ms) in new {
            // A browser makes them behind the call, and tells when all are there.
            pipeline.note_made(if cfg!(target_arch = "wasm32") { answered_ms } else { own_ms });
        }
        on_made(pipelines.len() as u32);
        Ok(last)
    }

    fn make_pipeline(&self, pipeline: &Pipeline) -> (wgpu::ShaderModule, wgpu::ComputePipeline) {
        let Pipeline { name, key, layout, .. } = pipeline;
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(key.text.as_str().into()),
        });
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(name),
            bind_group_layouts: &[Some(layout)],
            immediate_size: 0,
        });
        let constants: Vec<(&str, f64)> = key.constants().collect();
        let made = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
            cache: None,
        });
        (module, made)
    }
}
