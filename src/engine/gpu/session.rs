//! A program on a GPU: buffers, pipelines and bind groups made once, replayed as one compute pass per submit.

use super::device::Gpu;
use super::pipeline::{Pipeline, PipelineKey};
use super::readback::{Readback, StagingRing};
use crate::engine::graph::{Graph, GraphId, Node, Program, Slot, SlotId, SlotKind, Value};
use crate::engine::op::{Kernel, Signature};
use crate::engine::session::Watch;
use crate::engine::{Error, Result, arena, edge};
use std::ops::Range;
use std::rc::Rc;

/// A submit should take about this long: short enough for the page's own drawing, long enough to hide its cost. It is far from
/// what browsers take for a hang: they may lose the device (<https://github.com/gpuweb/gpuweb/pull/3126>), and WebKit ends its
/// GPU process when Metal gives up on a command buffer (<https://bugs.webkit.org/show_bug.cgi?id=290473>).
pub(super) const SUBMIT_MS: f64 = 80.0;

/// A program on a GPU.
#[derive(Debug)]
pub struct GpuSession {
    gpu: Rc<Gpu>,
    slots: Vec<SlotBuffers>,
    arena: Vec<wgpu::Buffer>,
    uniforms: wgpu::Buffer,
    plans: Vec<Plan>,
    ring: StagingRing,
}

/// A slot, in as many buffers as the binding limit asks for.
#[derive(Debug)]
struct SlotBuffers {
    label: String,
    parts: Vec<SlotPart>,
}

#[derive(Debug)]
struct SlotPart {
    rows: Range<usize>,
    bytes: Range<usize>,
    buffer: wgpu::Buffer,
}

/// What a graph became.
#[derive(Debug)]
struct Plan {
    name: String,
    dispatches: Vec<Dispatch>,
}

#[derive(Debug)]
struct Dispatch {
    pipeline: Rc<Pipeline>,
    bind_group: wgpu::BindGroup,
    workgroups: [u32; 3],
    flops: u64,
}

/// A dispatch before its objects are made.
struct Draft {
    graph: usize,
    node: usize,
    /// Part of the splittable input.
    part: usize,
    kernel: Kernel,
    key: PipelineKey,
    uniform: u64,
    flops: u64,
}

impl GpuSession {
    /// Makes every buffer, pipeline and bind group of `program`.
    pub async fn compile(gpu: &Rc<Gpu>, program: Program, on_pipeline: &mut dyn FnMut(u32, u32)) -> Result<Self> {
        let validation = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let memory = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let compiled = Self::make(gpu, &program, on_pipeline);
        // Both scopes are closed before either answer is awaited: they may not outlive this call out of order.
        let (memory, validation) = (memory.pop(), validation.pop());
        if let Some(error) = memory.await {
            return Err(super::device::out_of_memory(error.to_string()));
        }
        if let Some(error) = validation.await {
            return Err(Error::Gpu { label: "pipelines".into(), message: error.to_string() });
        }
        gpu.check()?;
        compiled
    }

    fn make(gpu: &Rc<Gpu>, program: &Program, on_pipeline: &mut dyn FnMut(u32, u32)) -> Result<Self> {
        let slots = program.slots.iter().map(|slot| make_slot(gpu, program, slot)).collect::<Result<Vec<_>>>()?;
        let mut arena_bytes = Vec::new();
        let places: Vec<_> = program.graphs.iter().map(|graph| arena::plan(graph, &mut arena_bytes)).collect();
        let arena = arena_bytes
            .iter()
            .enumerate()
            .map(|(idx, &bytes)| make_buffer(gpu, &format!("arena {idx}"), bytes, wgpu::BufferUsages::COPY_SRC))
            .collect::<Result<Vec<_>>>()?;

        let (drafts, uniform_bytes) = draft(gpu, program, &slots);
        let uniforms = make_uniforms(gpu, &drafts, uniform_bytes);
        let mut session = Self { gpu: gpu.clone(), slots, arena, uniforms, plans: Vec::new(), ring: Rc::default() };
        session.plans =
            program.graphs.iter().map(|graph| Plan { name: graph.name.clone(), dispatches: Vec::new() }).collect();
        let n_drafts = drafts.len() as u32;
        for (idx, draft) in drafts.into_iter().enumerate() {
            let graph = &program.graphs[draft.graph];
            let dispatch = session.make_dispatch(graph, &places[draft.graph], &draft);
            session.plans[draft.graph].dispatches.push(dispatch);
            on_pipeline(idx as u32 + 1, n_drafts);
        }
        Ok(session)
    }

    fn make_dispatch(&self, graph: &Graph, places: &[Option<usize>], draft: &Draft) -> Dispatch {
        let node = &graph.nodes[draft.node];
        let name = format!("{}/{}", graph.name, node.op.name());
        let pipeline = self.gpu.pipeline(&name, &draft.key);
        let mut buffers: Vec<&wgpu::Buffer> = Vec::new();
        for input in draft.kernel.bound_inputs(node.inputs.len()) {
            let value = node.inputs[input];
            let part = if node.op.splittable() == Some(input) { draft.part } else { 0 };
            buffers.push(value.map_or(&self.gpu.empty, |value| self.buffer_of(graph, places, value, part)));
        }
        if node.ty.is_some() {
            buffers.push(self.buffer_of(graph, places, Value::Node(draft.node), 0));
        }
        let uniform = wgpu::BufferBinding {
            buffer: &self.uniforms,
            offset: draft.uniform,
            size: wgpu::BufferSize::new(draft.kernel.params.len() as u64),
        };
        let entries: Vec<_> = std::iter::once(wgpu::BindingResource::Buffer(uniform))
            .chain(buffers.iter().map(|buffer| buffer.as_entire_binding()))
            .enumerate()
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding: binding as u32, resource })
            .collect();
        let bind_group = self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&name),
            layout: &pipeline.layout,
            entries: &entries,
        });
        Dispatch { pipeline, bind_group, workgroups: draft.kernel.workgroups, flops: draft.flops }
    }

    fn buffer_of<'a>(&'a self, graph: &Graph, places: &[Option<usize>], value: Value, part: usize) -> &'a wgpu::Buffer {
        let slot = |id: SlotId| &self.slots[id.0].parts[part].buffer;
        match value {
            Value::Slot(id) => slot(id),
            Value::Node(idx) => match (graph.nodes[idx].target, places[idx]) {
                (Some(id), _) => slot(id),
                (None, Some(place)) => &self.arena[place],
                (None, None) => unreachable!("every output has a slot or a place in the arena"),
            },
        }
    }

    /// Bytes of all buffers.
    pub fn memory_bytes(&self) -> u64 {
        self.buffers().map(wgpu::Buffer::size).sum()
    }

    fn buffers(&self) -> impl Iterator<Item = &wgpu::Buffer> {
        let slots = self.slots.iter().flat_map(|slot| slot.parts.iter().map(|part| &part.buffer));
        slots.chain(&self.arena).chain([&self.uniforms])
    }

    /// Dispatches of one run of a graph.
    pub fn n_dispatches(&self, graph: GraphId) -> u32 {
        self.plans[graph.0].dispatches.len() as u32
    }

    /// Overwrites part of a slot. Offset and length are padded to the four bytes that a GPU copies at least.
    pub fn write(&self, slot: SlotId, offset_bytes: usize, bytes: &[u8]) -> Result<()> {
        let slot = &self.slots[slot.0];
        let end = offset_bytes + bytes.len();
        for part in slot.parts.iter().filter(|p| p.bytes.start < end && offset_bytes < p.bytes.end) {
            let (from, to) = (offset_bytes.max(part.bytes.start), end.min(part.bytes.end));
            let at = (from - part.bytes.start) as u64;
            let bytes = &bytes[from - offset_bytes..to - offset_bytes];
            if !at.is_multiple_of(4) {
                let message = format!("a write to byte {at}, expected a multiple of 4");
                return Err(Error::Gpu { label: slot.label.clone(), message });
            }
            let whole = bytes.len() / 4 * 4;
            self.gpu.queue.write_buffer(&part.buffer, at, &bytes[..whole]);
            if whole < bytes.len() {
                let mut last = [0u8; 4];
                last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
                self.gpu.queue.write_buffer(&part.buffer, at + whole as u64, &last);
            }
        }
        Ok(())
    }

    /// Runs graphs in order, each as often as said, as one compute pass, and asks for slots as they are afterwards.
    pub fn submit(&self, runs: &[(GraphId, u32)], reads: &[SlotId]) -> Result<Readback> {
        self.gpu.check()?;
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let plans: Vec<_> = runs.iter().map(|&(graph, times)| (&self.plans[graph.0], times)).collect();
        if let Some((first, _)) = plans.first() {
            let mut pass = encoder
                .begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some(&first.name), timestamp_writes: None });
            for (plan, times) in plans {
                for _ in 0..times {
                    encode(&mut pass, &plan.dispatches);
                }
            }
        }
        let parts: Vec<_> = reads.iter().map(|slot| &self.slots[slot.0].parts[0]).collect();
        let mut ranges = Vec::new();
        let mut end = 0;
        for part in &parts {
            ranges.push(end..end + part.bytes.len() as u64);
            end += part.buffer.size();
        }
        let staging = self.staging(end.max(16));
        for (part, range) in parts.iter().zip(&ranges) {
            encoder.copy_buffer_to_buffer(&part.buffer, 0, &staging, range.start, part.buffer.size());
        }
        self.gpu.queue.submit([encoder.finish()]);
        let (done, mapped) = futures_channel::oneshot::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = done.send(result);
        });
        Ok(Readback { gpu: self.gpu.clone(), staging: Some(staging), ranges, mapped, ring: self.ring.clone() })
    }

    /// A free mappable buffer.
    fn staging(&self, bytes: u64) -> wgpu::Buffer {
        let mut ring = self.ring.borrow_mut();
        match ring.iter().position(|buffer| buffer.size() == bytes) {
            Some(idx) => ring.swap_remove(idx),
            None => self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("read-back"),
                size: bytes,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
        }
    }

    /// Runs one large graph and waits for its end, in submits of about [`SUBMIT_MS`]; how much that is, is learned on the way.
    pub async fn run_watched(&self, graph: GraphId, watch: &mut Watch<'_>) -> Result<()> {
        let plan = &self.plans[graph.0];
        let mut rest = &plan.dispatches[..];
        while !rest.is_empty() {
            let budget = self.gpu.flops_per_submit.get();
            let (n, flops) = take_budget(rest, budget);
            let start = edge::Instant::now();
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            encode(
                &mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: Some(&plan.name),
                    timestamp_writes: None,
                }),
                &rest[..n],
            );
            self.gpu.queue.submit([encoder.finish()]);
            rest = &rest[n..];
            self.gpu.finish().await?;
            let rate = flops as f64 / edge::ms_since(start).max(0.05);
            // A first run compiles too, and a slice may hold one small op: no single measurement moves the budget far.
            self.gpu.flops_per_submit.set((rate * SUBMIT_MS).clamp(budget / 2.0, budget * 8.0).max(1e6));
            watch.progress(1.0 - rest.len() as f32 / plan.dispatches.len() as f32)?;
        }
        watch.cancel.check()
    }
}

impl Drop for GpuSession {
    fn drop(&mut self) {
        // In a browser dropping a buffer frees nothing until it is collected.
        self.buffers().for_each(wgpu::Buffer::destroy);
        self.ring.borrow().iter().for_each(wgpu::Buffer::destroy);
    }
}

/// How many dispatches fit into the budget (one at least), and their operations.
fn take_budget(dispatches: &[Dispatch], budget: f64) -> (usize, u64) {
    let mut flops = 0;
    for (n, dispatch) in dispatches.iter().enumerate() {
        if n > 0 && (flops + dispatch.flops) as f64 > budget {
            return (n, flops);
        }
        flops += dispatch.flops;
    }
    (dispatches.len(), flops)
}

fn encode(pass: &mut wgpu::ComputePass, dispatches: &[Dispatch]) {
    for dispatch in dispatches {
        let [x, y, z] = dispatch.workgroups;
        pass.set_pipeline(&dispatch.pipeline.pipeline);
        pass.set_bind_group(0, &dispatch.bind_group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

/// Describes every dispatch of a program, and tells how many bytes their uniforms take.
fn draft(gpu: &Gpu, program: &Program, slots: &[SlotBuffers]) -> (Vec<Draft>, u64) {
    let align = u64::from(gpu.device.limits().min_uniform_buffer_offset_alignment);
    let mut drafts = Vec::new();
    let mut uniform = 0;
    for (graph_idx, graph) in program.graphs.iter().enumerate() {
        for (node_idx, node) in graph.nodes.iter().enumerate() {
            for (part, rows) in row_parts(node, slots).into_iter().enumerate() {
                let signature = Signature { rows, ..program.signature(graph, node) };
                let kernel = node.op.kernel(&signature, &gpu.caps);
                let bound = kernel.bound_inputs(node.inputs.len());
                let mut written: Vec<bool> = bound.iter().map(|input| node.op.writes().contains(input)).collect();
                written.extend(node.ty.is_some().then_some(true));
                let bytes = kernel.params.len() as u64;
                let flops = if part == 0 { node.op.flops(&signature) } else { 0 };
                let key = PipelineKey::new(&kernel, written);
                drafts.push(Draft { graph: graph_idx, node: node_idx, part, kernel, key, uniform, flops });
                uniform += bytes.next_multiple_of(align);
            }
        }
    }
    (drafts, uniform)
}

/// The rows of each dispatch of a node: more than one where its splittable input is in several buffers.
fn row_parts(node: &Node, slots: &[SlotBuffers]) -> Vec<Range<usize>> {
    match node.op.splittable().and_then(|input| node.inputs[input]) {
        Some(Value::Slot(id)) => slots[id.0].parts.iter().map(|part| part.rows.clone()).collect(),
        _ => std::iter::once(0..0).collect(),
    }
}

fn make_uniforms(gpu: &Gpu, drafts: &[Draft], bytes: u64) -> wgpu::Buffer {
    let uniforms = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("uniforms"),
        size: bytes.max(16),
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut image = vec![0u8; bytes as usize];
    for draft in drafts {
        image[draft.uniform as usize..][..draft.kernel.params.len()].copy_from_slice(&draft.kernel.params);
    }
    gpu.queue.write_buffer(&uniforms, 0, &image);
    uniforms
}

/// A slot's buffers: one, or one for every so many rows where one binding may not hold it.
fn make_slot(gpu: &Gpu, program: &Program, slot: &Slot) -> Result<SlotBuffers> {
    let (n_rows, n_bytes) = (slot.ty.n_rows(), slot.ty.n_bytes());
    let limit = gpu.caps.max_binding_bytes as usize;
    let mut parts = Vec::new();
    if n_bytes <= limit {
        parts.push((0..n_rows, 0..n_bytes));
    } else {
        if !may_split(program, slot) {
            let (needed_bytes, limit_bytes) = (n_bytes as u64, limit as u64);
            return Err(Error::OutOfMemory { label: slot.label.clone(), needed_bytes, limit_bytes });
        }
        let row_bytes = n_bytes / n_rows;
        // Parts begin at multiples of four rows, so that their first byte is one that a GPU can copy to.
        let rows_per_part = (limit / row_bytes / 4 * 4).max(1);
        for start in (0..n_rows).step_by(rows_per_part) {
            let end = (start + rows_per_part).min(n_rows);
            parts.push((start..end, start * row_bytes..end * row_bytes));
        }
    }
    let parts = parts
        .into_iter()
        .map(|(rows, bytes)| {
            let buffer = make_buffer(gpu, &slot.label, bytes.len(), wgpu::BufferUsages::COPY_SRC)?;
            if let SlotKind::Constant(data) = &slot.kind {
                let mut data = data[bytes.clone()].to_vec();
                data.resize(data.len().next_multiple_of(4), 0);
                gpu.queue.write_buffer(&buffer, 0, &data);
            }
            Ok(SlotPart { rows, bytes, buffer })
        })
        .collect::<Result<_>>()?;
    Ok(SlotBuffers { label: slot.label.clone(), parts })
}

/// Whether every op that uses the slot can take it in parts.
fn may_split(program: &Program, slot: &Slot) -> bool {
    let id = program.slots.iter().position(|s| s.label == slot.label);
    let nodes = program.graphs.iter().flat_map(|graph| &graph.nodes);
    nodes.into_iter().all(|node| {
        node.inputs.iter().enumerate().all(|(input, value)| match value {
            Some(Value::Slot(used)) if Some(used.0) == id => node.op.splittable() == Some(input),
            _ => true,
        })
    })
}

fn make_buffer(gpu: &Gpu, label: &str, bytes: usize, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
    // Kernels read vectors of 16 bytes; the padding is never looked at.
    let size = (bytes as u64).next_multiple_of(16).max(16);
    if size > gpu.caps.max_binding_bytes.next_multiple_of(16) {
        let limit_bytes = gpu.caps.max_binding_bytes;
        return Err(Error::OutOfMemory { label: label.into(), needed_bytes: size, limit_bytes });
    }
    Ok(gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | usage,
        mapped_at_creation: false,
    }))
}
