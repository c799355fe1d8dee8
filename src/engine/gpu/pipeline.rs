//! Pipelines, made once for each variant of a kernel.

use super::device::Gpu;
use crate::engine::op::Kernel;
use crate::engine::shaders::assemble;
use std::collections::HashMap;
use std::rc::Rc;

/// A compiled variant and the layout of its bindings.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

/// Everything that tells one pipeline from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PipelineKey {
    text: String,
    overrides: Vec<(&'static str, u64)>,
    /// For each binding after the uniform: whether it is written.
    written: Vec<bool>,
}

impl PipelineKey {
    pub fn new(kernel: &Kernel, written: Vec<bool>) -> Self {
        let overrides = kernel.overrides.iter().map(|&(name, value)| (name, value.to_bits())).collect();
        Self { text: assemble(kernel), overrides, written }
    }
}

pub(super) type PipelineCache = HashMap<PipelineKey, Rc<Pipeline>>;

impl Gpu {
    /// The pipeline for `key`, made now if it is new. Validation errors go to the error scope of the caller.
    pub(super) fn pipeline(&self, name: &str, key: &PipelineKey) -> Rc<Pipeline> {
        if let Some(known) = self.pipelines.borrow().get(key) {
            return known.clone();
        }
        let pipeline = Rc::new(self.make_pipeline(name, key));
        self.pipelines.borrow_mut().insert(key.clone(), pipeline.clone());
        pipeline
    }

    fn make_pipeline(&self, name: &str, key: &PipelineKey) -> Pipeline {
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(key.text.as_str().into()),
        });
        let storage = key.written.iter().map(|&written| wgpu::BufferBindingType::Storage { read_only: !written });
        let entries: Vec<_> = std::iter::once(wgpu::BufferBindingType::Uniform)
            .chain(storage)
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
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let constants: Vec<(&str, f64)> =
            key.overrides.iter().map(|&(name, bits)| (name, f64::from_bits(bits))).collect();
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
            cache: None,
        });
        Pipeline { pipeline, layout }
    }
}
