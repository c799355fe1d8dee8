//! The processor as a backend: a program becomes steps over one block of memory, run by the kernels of `rill-kernels`.
//!
//! In a browser the kernels are a wasm module of their own beside the engine's, with a memory of its own that is exactly as large as
//! the program (`web`); natively they run in process (`native`). `layout` says where everything lies.

mod layout;
#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod variant;
#[cfg(target_arch = "wasm32")]
mod web;

#[cfg(not(target_arch = "wasm32"))]
pub use native::Cpu;
#[cfg(not(target_arch = "wasm32"))]
use native::Heap;
#[cfg(target_arch = "wasm32")]
pub use variant::Variant;
#[cfg(target_arch = "wasm32")]
pub use web::Cpu;
#[cfg(target_arch = "wasm32")]
use web::Heap;

use super::graph::{GraphId, Program, SlotId, SlotKind};
use super::session::Watch;
use super::{Result, edge};
use layout::{Layout, Plan};
use rill_kernels::Operand;

/// After so many milliseconds of work messages are let in: a stop, more audio.
const SLICE_MS: f64 = 40.0;

fn count_of_threads(n: usize) -> String {
    if n == 1 { "one thread".into() } else { format!("{n} threads") }
}

/// A program on the processor.
#[derive(Debug)]
pub struct CpuSession {
    heap: Heap,
    slots: Vec<Operand>,
    plans: Vec<Plan>,
    /// As measured while running; decides how much goes into a slice.
    flops_per_ms: f64,
}

impl CpuSession {
    /// Lays `program` out and fills in its constants.
    pub async fn compile(cpu: &Cpu, program: &Program) -> Result<Self> {
        let layout = Layout::of(program, Heap::BASE)?;
        let mut heap = Heap::new(cpu, layout.end).await?;
        for (slot, &operand) in program.slots.iter().zip(&layout.slots) {
            if let SlotKind::Constant(bytes) = &slot.kind {
                heap.write(operand, 0, bytes);
            }
        }
        for (plan, steps) in layout.plans.iter().zip(&layout.steps) {
            heap.write(plan.place, 0, bytemuck::cast_slice(steps));
        }
        Ok(Self { heap, slots: layout.slots, plans: layout.plans, flops_per_ms: 1e6 })
    }

    /// Bytes of the kernels' memory: weights, states, intermediate tensors and the threads' scratch.
    pub fn memory_bytes(&self) -> u64 {
        self.heap.n_bytes()
    }

    /// Steps of one run of a graph.
    pub fn n_steps(&self, graph: GraphId) -> u32 {
        self.plans[graph.0].flops.len() as u32
    }

    /// Overwrites part of a slot.
    pub fn write(&mut self, slot: SlotId, offset_bytes: usize, bytes: &[u8]) {
        self.heap.write(self.slots[slot.0], offset_bytes, bytes);
    }

    /// A slot's bytes.
    pub fn read(&self, slot: SlotId) -> Vec<u8> {
        self.heap.read(self.slots[slot.0])
    }

    /// Runs a graph, in slices between which messages are let in.
    pub async fn run(&mut self, graph: GraphId, watch: &mut Watch<'_>) -> Result<()> {
        let plan = &self.plans[graph.0];
        let total: u64 = plan.flops.iter().sum();
        let (mut first, mut done) = (0, 0);
        let mut since = edge::Instant::now();
        while first < plan.flops.len() {
            let budget = (self.flops_per_ms * SLICE_MS) as u64;
            let slice = plan.slice(first, budget);
            let flops: u64 = plan.flops[slice.clone()].iter().sum();
            let start = edge::Instant::now();
            self.heap.run(plan.part(&slice))?;
            (first, done) = (slice.end, done + flops);
            let ms = edge::ms_since(start);
            if ms > 1.0 && flops > 0 {
                self.flops_per_ms = flops as f64 / ms;
            }
            if edge::ms_since(since) > SLICE_MS {
                edge::give_way().await;
                since = edge::Instant::now();
                watch.progress(done as f32 / total.max(1) as f32)?;
            }
        }
        Ok(())
    }
}
