//! The processor as a backend: a program becomes steps over one block of memory, run by the kernels of `rill-kernels`.
//!
//! In a browser the kernels are a wasm module of their own beside the engine's, with a memory of its own that is exactly as large as
//! the program (`web`); natively they run in process (`native`). `layout` says where everything lies.

mod inspect;
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

pub use layout::MOST_BYTES;

use super::backing::Backing;
use super::graph::{GraphId, Program, SlotId, SlotKind};
use super::memory::{Booking, Ledger, MemoryOptions, MemoryUse, Purpose};
use super::session::Watch;
use super::window::{Segment, Streaming};
use super::{Error, Result, edge};
use crate::protocol::MemoryLevel;
use layout::{Layout, Plan};
use rill_kernels::Operand;
use std::rc::Rc;

/// After so many milliseconds of work messages are let in: a stop, more audio.
const SLICE_MS: f64 = 40.0;

/// Bytes that are brought into the window with one call: the engine's own heap holds them meanwhile.
const WRITE_BYTES: usize = 4 << 20;

fn count_of_threads(n: usize) -> String {
    if n == 1 { "one thread".into() } else { format!("{n} threads") }
}

/// A program on the processor.
#[derive(Debug)]
pub struct CpuSession {
    heap: Heap,
    /// Those that pass through the window have no place.
    slots: Vec<Option<Operand>>,
    plans: Vec<Plan>,
    /// What was compiled.
    program: Program,
    /// For each graph and node where its output lies, where no slot holds it.
    arena: Vec<Vec<Option<Operand>>>,
    stream: Option<Stream>,
    ledger: Rc<Ledger>,
    _bookings: Vec<Booking>,
    /// As measured while running; decides how much goes into a slice.
    flops_per_ms: f64,
}

/// Weights that pass through a window: where they are kept, and which graph's segment is in the window.
#[derive(Debug)]
struct Stream {
    window: Operand,
    /// Once the model is loaded.
    backing: Option<Backing>,
    now: Option<(GraphId, usize)>,
}

impl CpuSession {
    /// What a program takes on this processor, exactly, before anything is made.
    pub fn footprint(cpu: &Cpu, program: &Program, memory: &MemoryOptions) -> Result<MemoryUse> {
        Ok(with_scratch(cpu, &lay_out(cpu, program, memory)?))
    }

    /// Lays `program` out and fills in its constants.
    pub async fn compile(cpu: &Cpu, program: Program, memory: &MemoryOptions) -> Result<Self> {
        let layout = lay_out(cpu, &program, memory)?;
        let mut heap = Heap::new(cpu, layout.end).await?;
        for (slot, operand) in program.slots.iter().zip(&layout.slots) {
            if let (SlotKind::Constant(bytes), Some(operand)) = (&slot.kind, operand) {
                heap.write(*operand, 0, bytes);
            }
        }
        for (plan, steps) in layout.plans.iter().zip(&layout.steps) {
            heap.write(plan.place, 0, bytemuck::cast_slice(steps));
        }
        let is_streamed = layout.window.len > 0;
        let stream = is_streamed.then_some(Stream { window: layout.window, backing: None, now: None });
        let ledger = Ledger::new();
        let memory = with_scratch(cpu, &layout);
        Ok(Self {
            _bookings: memory.by_purpose().map(|(purpose, bytes)| ledger.book(purpose, bytes)).collect(),
            ledger,
            heap,
            slots: layout.slots,
            plans: layout.plans,
            program: program.without_constants(),
            arena: layout.arena,
            stream,
            flops_per_ms: 1e6,
        })
    }

    /// Bytes of the kernels' memory: weights, states, intermediate tensors and the threads' scratch.
    pub fn memory(&self) -> MemoryUse {
        self.ledger.now()
    }

    /// The books that say so, now and later.
    pub fn ledger(&self) -> Rc<Ledger> {
        self.ledger.clone()
    }

    /// Steps of one run of a graph.
    pub fn n_steps(&self, graph: GraphId) -> u32 {
        self.plans[graph.0].flops.len() as u32
    }

    /// Overwrites part of a slot.
    ///
    /// # Errors
    /// [`Error::Internal`] for one that passes through the window.
    pub fn write(&mut self, slot: SlotId, offset_bytes: usize, bytes: &[u8]) -> Result<()> {
        self.heap.write(self.place(slot)?, offset_bytes, bytes);
        Ok(())
    }

    /// Whether weights pass through a window.
    pub fn is_streamed(&self) -> bool {
        self.stream.is_some()
    }

    /// Whether a slot passes through the window: it is read from what [`CpuSession::attach`] gives.
    pub fn streams(&self, slot: SlotId) -> bool {
        self.slots[slot.0].is_none()
    }

    /// Says where streamed weights are kept.
    pub fn attach(&mut self, backing: Backing) {
        if let Some(stream) = &mut self.stream {
            (stream.backing, stream.now) = (Some(backing), None);
        }
    }

    fn place(&self, slot: SlotId) -> Result<Operand> {
        let in_window = || Error::Internal("a slot is read or written that passes through a window".into());
        self.slots[slot.0].ok_or_else(in_window)
    }

    /// A slot's bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] for one that passes through the window.
    pub fn read(&self, slot: SlotId) -> Result<Vec<u8>> {
        Ok(self.heap.read(self.place(slot)?))
    }

    /// Runs a graph, in slices between which messages are let in.
    pub async fn run(&mut self, graph: GraphId, watch: &mut Watch<'_>) -> Result<()> {
        let plan = &self.plans[graph.0];
        let total: u64 = plan.flops.iter().sum();
        let mut done = 0;
        let mut since = edge::Instant::now();
        for (idx, segment) in plan.segments.iter().enumerate() {
            if let Some(stream) = &mut self.stream {
                stream.bring(&mut self.heap, segment, (graph, idx)).await?;
            }
            let mut steps = segment.dispatches.clone();
            while !steps.is_empty() {
                let budget = (self.flops_per_ms * SLICE_MS) as u64;
                let slice = plan.slice(steps.clone(), budget);
                let flops: u64 = plan.flops[slice.clone()].iter().sum();
                let start = edge::Instant::now();
                self.heap.run(plan.part(&slice))?;
                (steps.start, done) = (slice.end, done + flops);
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
        }
        Ok(())
    }
}

impl Stream {
    /// Brings the weights of a segment into the window, unless they are there.
    async fn bring(&mut self, heap: &mut Heap, segment: &Segment, name: (GraphId, usize)) -> Result<()> {
        if segment.pieces.is_empty() || self.now == Some(name) {
            return Ok(());
        }
        self.now = None;
        let backing = self.backing.as_mut().ok_or_else(|| Error::Internal("streamed weights have no source".into()))?;
        for (piece, at) in &segment.pieces {
            for from in piece.bytes.clone().step_by(WRITE_BYTES) {
                let to = (from + WRITE_BYTES).min(piece.bytes.end);
                let bytes = backing.read(piece.slot, from..to).await?;
                heap.write(self.window, at + from - piece.bytes.start, &bytes);
            }
        }
        self.now = Some(name);
        Ok(())
    }
}

fn lay_out(cpu: &Cpu, program: &Program, memory: &MemoryOptions) -> Result<Layout> {
    let shares = memory.level > MemoryLevel::KeepAll;
    let with = |streaming: &Streaming| Layout::of(program, Heap::BASE, shares, streaming);
    let streaming = match memory.level {
        MemoryLevel::Stream => Streaming::within(program, false, memory.budget_bytes, &|streaming| {
            Ok(with_scratch(cpu, &with(streaming)?).total())
        })?,
        _ => Streaming::default(),
    };
    let layout = with(&streaming)?;
    // The threads' scratch lies behind it, in the same memory.
    layout::addressable(with_scratch(cpu, &layout).total())?;
    Ok(layout)
}

/// What a layout takes together with the scratch of the threads.
fn with_scratch(cpu: &Cpu, layout: &Layout) -> MemoryUse {
    let mut memory = layout.memory;
    memory.add(Purpose::Plans, Heap::size(cpu, layout.end) - memory.total());
    memory
}
