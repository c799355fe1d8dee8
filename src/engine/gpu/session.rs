//! A program on a GPU: buffers, pipelines and bind groups made once, replayed as one compute pass per submit, or, where runs are timed, per graph.

use super::buffer::Buffer;
use super::device::Gpu;
use super::layout::{Bound, Draft, Layout, Part, Place};
use super::manifest::Manifest;
use super::pipeline::{Pipeline, PipelineKey};
use super::readback::{self, Readback, StagingRing};
use super::spans::TimedSubmit;
use super::stream::Stream;
use crate::engine::arena::Places;
use crate::engine::backing::Backing;
use crate::engine::graph::{GraphId, Program, SlotId, SlotKind, Value};
use crate::engine::memory::{Ledger, MemoryOptions, MemoryUse};
use crate::engine::session::Watch;
use crate::engine::window::{Segment, Streaming};
use crate::engine::{Error, Result, edge};
use crate::protocol::MemoryLevel;
use std::rc::Rc;

/// A submit should take about this long: short enough for the page's own drawing, long enough to hide its cost. It is far from
/// what browsers take for a hang: they may lose the device (<https://github.com/gpuweb/gpuweb/pull/3126>), and WebKit ends its
/// GPU process when Metal gives up on a command buffer (<https://bugs.webkit.org/show_bug.cgi?id=290473>).
pub(super) const SUBMIT_MS: f64 = 80.0;

/// A program on a GPU.
#[derive(Debug)]
pub struct GpuSession {
    pub(super) gpu: Rc<Gpu>,
    pub(super) ledger: Rc<Ledger>,
    pub(super) buffers: Vec<Buffer>,
    pub(super) slots: Vec<(String, Vec<Part>)>,
    pub(super) plans: Vec<Plan>,
    /// What was compiled.
    pub(super) program: Program,
    /// The buffers of each graph and node.
    pub(super) arena: Vec<Vec<Places>>,
    pub(super) ring: StagingRing,
    stream: Option<Stream>,
    begun: edge::Instant,
    /// Milliseconds from the beginning until all pipelines were made; grows until they are.
    compile_ms: f64,
}

/// What a graph became.
#[derive(Debug)]
pub(super) struct Plan {
    pub name: String,
    pub dispatches: Vec<Dispatch>,
    /// One that holds all dispatches where nothing is streamed.
    segments: Vec<Segment>,
    /// Whether its pipelines are made.
    is_ready: bool,
    /// Whether it was run.
    has_run: bool,
}

#[derive(Debug)]
pub(super) struct Dispatch {
    /// Which of the graph's.
    pub node: usize,
    pub op: &'static str,
    pub shader: &'static str,
    pub pipeline: Rc<Pipeline>,
    bind_group: wgpu::BindGroup,
    pub workgroups: [u32; 3],
    pub flops: u64,
    /// Read and written.
    pub bytes: u64,
}

impl GpuSession {
    /// What a program takes on this GPU, exactly, before anything is made. Reads-back come on top.
    pub fn footprint(gpu: &Gpu, program: &Program, memory: &MemoryOptions) -> Result<MemoryUse> {
        Ok(Self::lay_out(gpu, program, memory)?.0.memory())
    }

    fn lay_out(gpu: &Gpu, program: &Program, memory: &MemoryOptions) -> Result<(Layout, Streaming)> {
        let limits = gpu.device.limits();
        let align = limits.min_uniform_buffer_offset_alignment.max(limits.min_storage_buffer_offset_alignment).into();
        let shares = memory.level > MemoryLevel::KeepAll;
        let caps = gpu.caps_for(program);
        let with = |streaming: &Streaming| Layout::of(program, &caps, align, shares, streaming);
        let streaming = match memory.level {
            MemoryLevel::Stream => Streaming::within(program, true, memory.budget_bytes, &|streaming| {
                Ok(with(streaming)?.memory().total())
            })?,
            _ => Streaming::default(),
        };
        Ok((with(&streaming)?, streaming))
    }

    /// Makes every buffer and bind group of `program`, and begins its pipelines, in the order in which they are needed. In a browser they
    /// are made while other things happen, and waited for where they are first used or by [`GpuSession::finish`].
    pub async fn compile(gpu: &Rc<Gpu>, program: Program, memory: &MemoryOptions) -> Result<Self> {
        let (layout, streaming) = Self::lay_out(gpu, &program, memory)?;
        let stream = layout.window.map(|window| Stream::new(window, streaming));
        let validation = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let out_of_memory = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let mut session = Self::make(gpu, program, layout, stream, memory.level);
        // Both scopes are closed before either answer is awaited: they may not outlive this call out of order.
        let (out_of_memory, validation) = (out_of_memory.pop(), validation.pop());
        if let Some(error) = out_of_memory.await {
            return Err(super::device::out_of_memory(error.to_string()));
        }
        if let Some(error) = validation.await {
            // A pipeline that was refused is refused again, and the compiler's words are noted.
            session.finish(&mut |_, _| ()).await?;
            return Err(Error::Gpu { label: "pipelines".into(), message: error.to_string() });
        }
        gpu.check()?;
        Ok(session)
    }

    /// Waits until all pipelines are made. `on_pipeline` hears how many are, of how many.
    pub async fn finish(&mut self, on_pipeline: &mut dyn FnMut(u32, u32)) -> Result<()> {
        let all: Vec<GraphId> = (0..self.plans.len()).map(GraphId).collect();
        self.finish_graphs(&all, on_pipeline).await
    }

    pub(super) async fn finish_graphs(
        &mut self,
        graphs: &[GraphId],
        on_pipeline: &mut dyn FnMut(u32, u32),
    ) -> Result<()> {
        if graphs.iter().all(|graph| self.plans[graph.0].is_ready) {
            return Ok(());
        }
        let mut pipelines: Vec<Rc<Pipeline>> = Vec::new();
        for dispatch in graphs.iter().flat_map(|graph| &self.plans[graph.0].dispatches) {
            if !pipelines.iter().any(|known| Rc::ptr_eq(known, &dispatch.pipeline)) {
                pipelines.push(dispatch.pipeline.clone());
            }
        }
        let all = pipelines.len() as u32;
        let last = self.gpu.finish_pipelines(&pipelines, &mut |made| on_pipeline(made, all)).await?;
        if let Some(last) = last {
            self.compile_ms = self.compile_ms.max(last.duration_since(self.begun).as_secs_f64() * 1e3);
        }
        graphs.iter().for_each(|graph| self.plans[graph.0].is_ready = true);
        Ok(())
    }

    /// Writes its pipelines into the list that outlives a visit, under a model's name. Essential are those of graphs that have run: after a
    /// load, what the model's first run needs.
    pub fn list_pipelines(&self, model: &str, manifest: &mut Manifest) {
        for plan in &self.plans {
            plan.dispatches.iter().for_each(|dispatch| manifest.note(model, dispatch, plan.has_run));
        }
    }

    /// Milliseconds from the beginning until the last pipeline was made.
    pub fn compile_ms(&self) -> f64 {
        self.compile_ms
    }

    fn make(gpu: &Rc<Gpu>, program: Program, layout: Layout, stream: Option<Stream>, level: MemoryLevel) -> Self {
        let begun = edge::Instant::now();
        let ledger = Ledger::new();
        let buffers: Vec<Buffer> = layout.buffers.iter().map(|plan| plan.make(gpu, &ledger)).collect();
        gpu.queue.write_buffer(&buffers[layout.uniforms], 0, &layout.uniform_image());
        let labels = program.slots.iter().map(|slot| slot.label.clone());
        let mut session = Self {
            gpu: gpu.clone(),
            buffers,
            slots: labels.zip(layout.slots.iter().cloned()).collect(),
            plans: Vec::new(),
            program: Program::default(),
            arena: Vec::new(),
            ring: StagingRing::new(&ledger, level < MemoryLevel::Quantize),
            ledger,
            stream,
            begun,
            compile_ms: 0.0,
        };
        for (slot, parts) in program.slots.iter().zip(&layout.slots) {
            let SlotKind::Constant(data) = &slot.kind else { continue };
            for part in parts {
                let Some(buffer) = part.buffer else { continue };
                let mut data = data[part.bytes.clone()].to_vec();
                data.resize(data.len().next_multiple_of(4), 0);
                gpu.queue.write_buffer(&session.buffers[buffer], 0, &data);
            }
        }
        for (idx, graph) in program.graphs.iter().enumerate() {
            let mut plan = Plan {
                name: graph.name.clone(),
                dispatches: Vec::new(),
                segments: layout.graphs[idx].segments.clone(),
                is_ready: false,
                has_run: false,
            };
            for segment in &layout.graphs[idx].segments {
                for draft in &layout.graphs[idx].drafts[segment.dispatches.clone()] {
                    plan.dispatches.push(session.make_dispatch(&program, &layout, idx, segment, draft));
                }
            }
            session.plans.push(plan);
        }
        (session.program, session.arena) = (program.without_constants(), layout.arena);
        session
    }

    fn make_dispatch(
        &self,
        program: &Program,
        layout: &Layout,
        graph: usize,
        segment: &Segment,
        draft: &Draft,
    ) -> Dispatch {
        let node = &program.graphs[graph].nodes[draft.node];
        let name = format!("{}/{}", program.graphs[graph].name, node.op.name());
        let kernel = &draft.step.kernel;
        let pipeline = self.gpu.pipeline(&name, PipelineKey::new(&self.gpu, kernel, draft.step.written(node)));
        let binding = |place: Place| {
            let size = wgpu::BufferSize::new(place.bytes);
            wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &self.buffers[place.buffer],
                offset: place.offset,
                size,
            })
        };
        let bytes = kernel.params.len() as u64;
        let mut resources = vec![binding(Place { buffer: layout.uniforms, offset: draft.uniform, bytes })];
        let places = draft.step.bound.iter().map(|bound| match *bound {
            Bound::Input(input) => {
                let part = if node.op.splittable() == Some(input) { draft.part } else { 0 };
                node.inputs[input].map(|value| layout.place(program, graph, segment, value, part))
            }
            Bound::Left | Bound::Found => Some(layout.left(graph, draft.node)),
            Bound::Output => Some(layout.place(program, graph, segment, Value::Node(draft.node), 0)),
        });
        resources.extend(places.map(|place| place.map_or(self.gpu.empty.as_entire_binding(), binding)));
        let entries: Vec<_> = resources
            .into_iter()
            .enumerate()
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding: binding as u32, resource })
            .collect();
        let bind_group = self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&name),
            layout: &pipeline.layout,
            entries: &entries,
        });
        Dispatch {
            node: draft.node,
            op: node.op.name(),
            shader: kernel.shader,
            pipeline,
            bind_group,
            workgroups: kernel.workgroups,
            flops: draft.flops,
            bytes: draft.bytes,
        }
    }

    /// Bytes of all buffers, by purpose.
    pub fn memory(&self) -> MemoryUse {
        self.ledger.now()
    }

    /// The books that say so, now and later.
    pub fn ledger(&self) -> Rc<Ledger> {
        self.ledger.clone()
    }

    /// Dispatches of one run of a graph.
    pub fn n_dispatches(&self, graph: GraphId) -> u32 {
        self.plans[graph.0].dispatches.len() as u32
    }

    /// Whether weights pass through a window, so that a submit takes its time.
    pub fn is_streamed(&self) -> bool {
        self.stream.is_some()
    }

    /// Overwrites part of a slot. Offset and length are padded to the four bytes that a GPU copies at least.
    pub fn write(&self, slot: SlotId, offset_bytes: usize, bytes: &[u8]) -> Result<()> {
        if self.streams(slot) {
            return Err(Error::Internal(format!("`{}` is written, but passes through a window", self.slots[slot.0].0)));
        }
        let (label, parts) = &self.slots[slot.0];
        let end = offset_bytes + bytes.len();
        for part in parts.iter().filter(|p| p.bytes.start < end && offset_bytes < p.bytes.end) {
            let Some(buffer) = part.buffer else { continue };
            let (from, to) = (offset_bytes.max(part.bytes.start), end.min(part.bytes.end));
            let at = (from - part.bytes.start) as u64;
            if !at.is_multiple_of(4) {
                let message = format!("a write to byte {at}, expected a multiple of 4");
                return Err(Error::Gpu { label: label.clone(), message });
            }
            self.gpu.write(&self.buffers[buffer], at, &bytes[from - offset_bytes..to - offset_bytes]);
        }
        Ok(())
    }

    /// Whether a slot passes through the window: it is read from what [`GpuSession::attach`] gives.
    pub fn streams(&self, slot: SlotId) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.streams(slot))
    }

    /// Says where streamed weights are kept.
    pub fn attach(&mut self, backing: Backing) {
        if let Some(stream) = &mut self.stream {
            stream.attach(backing);
        }
    }

    /// Runs graphs in order, each as often as said, and asks for slots as they are afterwards: as one compute pass and at once, or,
    /// where weights are streamed, segment by segment.
    pub async fn submit(
        &mut self,
        runs: &[(GraphId, u32)],
        reads: &[SlotId],
        watch: &mut Watch<'_>,
    ) -> Result<Readback> {
        self.gpu.check()?;
        let graphs: Vec<GraphId> = runs.iter().map(|(graph, _)| *graph).collect();
        self.finish_graphs(&graphs, &mut |_, _| ()).await?;
        graphs.iter().for_each(|graph| self.plans[graph.0].has_run = true);
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        if self.stream.is_some() {
            for &(graph, times) in runs {
                for _ in 0..times {
                    self.run_segments(graph, &mut |_| watch.cancel.check()).await?;
                }
            }
            return self.read_back(encoder, reads, None);
        }
        let mut timed = self.gpu.begin_timed();
        // To be timed, each graph needs a pass of its own.
        let n_together = if timed.is_some() { 1 } else { runs.len().max(1) };
        for together in runs.chunks(n_together) {
            let (first, n_times) = together[0];
            let label = self.plans[first.0].name.as_str();
            let timestamp_writes = timed.as_mut().and_then(|timed| timed.pass(label, n_times));
            let descriptor = wgpu::ComputePassDescriptor { label: Some(label), timestamp_writes };
            let mut pass = encoder.begin_compute_pass(&descriptor);
            for &(graph, times) in together {
                for _ in 0..times {
                    encode(&mut pass, &self.plans[graph.0].dispatches);
                }
            }
        }
        self.read_back(encoder, reads, timed)
    }

    /// Whether these graphs together take no longer than a submit should.
    pub fn fit_a_submit(&self, graphs: &[GraphId]) -> bool {
        let dispatches = graphs.iter().flat_map(|graph| &self.plans[graph.0].dispatches);
        let flops: u64 = dispatches.map(|dispatch| dispatch.flops).sum();
        self.stream.is_none() && flops as f64 <= self.gpu.flops_per_submit.get()
    }

    /// Submits what is encoded, and asks for slots as they are then.
    fn read_back(
        &self,
        mut encoder: wgpu::CommandEncoder,
        reads: &[SlotId],
        timed: Option<TimedSubmit>,
    ) -> Result<Readback> {
        let mut ranges = Vec::new();
        let mut copies = Vec::new();
        let mut end = 0;
        for slot in reads {
            let (label, parts) = &self.slots[slot.0];
            let Some(buffer) = parts[0].buffer else {
                return Err(Error::Internal(format!("`{label}` is read, but passes through a window")));
            };
            ranges.push(end..end + parts[0].bytes.len() as u64);
            copies.push((buffer, end));
            end += self.buffers[buffer].size();
        }
        let staging = self.ring.take(&self.gpu, end.max(16));
        for (buffer, at) in copies {
            let buffer = &self.buffers[buffer];
            encoder.copy_buffer_to_buffer(buffer, 0, &staging, at, buffer.size());
        }
        self.gpu.submit(encoder, timed);
        let mapped = readback::map(&staging);
        Ok(Readback { gpu: self.gpu.clone(), staging: Some(staging), ranges, mapped, ring: self.ring.clone() })
    }

    /// Runs one large graph and waits for its end, in submits of about [`SUBMIT_MS`]; how much that is, is learned on the way.
    pub async fn run_watched(&mut self, graph: GraphId, watch: &mut Watch<'_>) -> Result<()> {
        self.finish_graphs(&[graph], &mut |_, _| ()).await?;
        self.plans[graph.0].has_run = true;
        self.run_segments(graph, &mut |done| watch.progress(done)).await?;
        watch.cancel.check()
    }

    /// Runs a graph segment by segment, and waits for each: what it needs next takes the place of what it has.
    async fn run_segments(&mut self, graph: GraphId, on_progress: &mut dyn FnMut(f32) -> Result<()>) -> Result<()> {
        let plan = &self.plans[graph.0];
        for (idx, segment) in plan.segments.iter().enumerate() {
            if let Some(stream) = &mut self.stream {
                stream.bring(&self.gpu, &self.buffers, segment, (graph, idx)).await?;
            }
            let mut rest = &plan.dispatches[segment.dispatches.clone()];
            while !rest.is_empty() {
                let budget = self.gpu.flops_per_submit.get();
                let (n, flops) = take_budget(rest, budget);
                let start = edge::Instant::now();
                let begins = u32::from(idx == 0 && rest.len() == segment.dispatches.len());
                self.submit_pass(&plan.name, &rest[..n], Some(begins));
                rest = &rest[n..];
                self.gpu.finish().await?;
                let rate = flops as f64 / edge::ms_since(start).max(0.05);
                // A first run compiles too, and a slice may hold one small op: no single measurement moves the budget far.
                self.gpu.flops_per_submit.set((rate * SUBMIT_MS).clamp(budget / 2.0, budget * 8.0).max(1e6));
                let done = segment.dispatches.end - rest.len();
                on_progress(done as f32 / plan.dispatches.len() as f32)?;
            }
        }
        Ok(())
    }

    /// Submits dispatches as one compute pass. One that belongs to a run is timed while the GPU is watched, and `begins` says how many
    /// runs begin with it.
    pub(super) fn submit_pass(&self, label: &str, dispatches: &[Dispatch], begins: Option<u32>) {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut timed = begins.and_then(|_| self.gpu.begin_timed());
        let timestamp_writes = timed.as_mut().and_then(|timed| timed.pass(label, begins.unwrap_or(0)));
        let descriptor = wgpu::ComputePassDescriptor { label: Some(label), timestamp_writes };
        encode(&mut encoder.begin_compute_pass(&descriptor), dispatches);
        self.gpu.submit(encoder, timed);
    }
}

/// How many dispatches fit into the budget (one at least), and their operations.
pub(super) fn take_budget(dispatches: &[Dispatch], budget: f64) -> (usize, u64) {
    let mut flops = 0;
    for (n, dispatch) in dispatches.iter().enumerate() {
        if n > 0 && (flops + dispatch.flops) as f64 > budget {
            return (n, flops);
        }
        flops += dispatch.flops;
    }
    (dispatches.len(), flops)
}

pub(super) fn encode<'a>(pass: &mut wgpu::ComputePass, dispatches: impl IntoIterator<Item = &'a Dispatch>) {
    for dispatch in dispatches {
        let [x, y, z] = dispatch.workgroups;
        pass.set_pipeline(dispatch.pipeline.compiled());
        pass.set_bind_group(0, &dispatch.bind_group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}
