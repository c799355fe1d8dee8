//! Where everything of a program lies in the kernels' memory: slots, intermediate tensors, steps.

use crate::engine::arena::{Arena, Places};
use crate::engine::graph::{Graph, Program, SlotId, SlotKind, Value};
use crate::engine::memory::{MemoryUse, Purpose};
use crate::engine::tensor::DType;
use crate::engine::window::{self, Piece, Segment, Streaming};
use crate::engine::{Error, Result};
use rill_kernels::memory::ALIGN;
use rill_kernels::step::MOST_OPERANDS;
use rill_kernels::{Operand, Step};
use std::ops::Range;

/// A wasm memory has addresses of 32 bits; the last page is left out so that its size is one, too.
pub const MOST_BYTES: u64 = (1 << 32) - (1 << 16);

/// A graph as steps.
#[derive(Debug)]
pub struct Plan {
    /// Where its steps lie.
    pub place: Operand,
    /// Multiplications and additions of each step.
    pub flops: Vec<u64>,
    /// One that holds all steps where nothing is streamed.
    pub segments: Vec<Segment>,
}

impl Plan {
    /// The first of these steps that cost about `budget` flops; at least one.
    pub fn slice(&self, steps: Range<usize>, budget: u64) -> Range<usize> {
        let first = steps.start;
        let mut spent = 0;
        let within = self.flops[steps].iter().take_while(|&&flops| {
            spent += flops;
            spent <= budget
        });
        first..first + within.count().max(1)
    }

    /// Where some of its steps lie.
    pub fn part(&self, steps: &Range<usize>) -> Operand {
        let size = size_of::<Step>() as u32;
        Operand { offset: self.place.offset + steps.start as u32 * size, len: steps.len() as u32 * size }
    }
}

/// Where everything lies.
#[derive(Debug)]
pub struct Layout {
    /// Of each slot of the program; those that pass through the window have none.
    pub slots: Vec<Option<Operand>>,
    /// What streamed weights pass through.
    pub window: Operand,
    /// Of each graph.
    pub plans: Vec<Plan>,
    /// For each graph and node where its output lies, where no slot holds it.
    pub arena: Vec<Vec<Option<Operand>>>,
    /// The steps of each graph, to be written to their place.
    pub steps: Vec<Vec<Step>>,
    /// The first byte behind all of it.
    pub end: usize,
    /// What it is used for; the threads' scratch comes on top.
    pub memory: MemoryUse,
}

impl Layout {
    /// Lays `program` out from address `base` on.
    pub fn of(program: &Program, base: usize, shares: bool, streaming: &Streaming) -> Result<Self> {
        let mut end = base as u64;
        let mut memory = MemoryUse::default();
        // What lies before the program is the module's own.
        memory.add(Purpose::Plans, end);
        let mut place = |len: usize, purpose: Purpose| {
            let offset = end.next_multiple_of(ALIGN as u64);
            memory.add(purpose, offset + len as u64 - end);
            end = offset + len as u64;
            Operand { offset: offset as u32, len: len as u32 }
        };
        let mut place_slot = |(idx, slot): (usize, &crate::engine::graph::Slot)| {
            let purpose = if matches!(slot.kind, SlotKind::State) { Purpose::States } else { Purpose::Weights };
            (!streaming.streams(SlotId(idx))).then(|| place(slot.ty.n_bytes(), purpose))
        };
        let slots: Vec<_> = program.slots.iter().enumerate().map(&mut place_slot).collect();
        let window = place(streaming.window_bytes, Purpose::Weights);
        let Arena { buffer_bytes, places } = Arena::of(program, shares, |_, _| 0);
        let buffers: Vec<_> = buffer_bytes.into_iter().map(|bytes| place(bytes, Purpose::Activations)).collect();
        let arena: Vec<_> =
            program.graphs.iter().zip(&places).map(|(graph, places)| outputs(graph, places, &buffers)).collect();
        let (mut plans, mut all_steps) = (Vec::new(), Vec::new());
        for (graph, outputs) in program.graphs.iter().zip(&arena) {
            let needs: Vec<_> = (0..graph.nodes.len()).map(|idx| needs(program, graph, idx, streaming)).collect();
            let segments = window::segments(&needs, streaming.window_bytes);
            let mut steps = Vec::with_capacity(graph.nodes.len());
            for segment in &segments {
                let of_slot = |id: SlotId| {
                    let in_window = || {
                        let at = segment.place_of(id, 0).expect("a segment brings all that its steps need");
                        Operand { offset: window.offset + at as u32, len: program.slots[id.0].ty.n_bytes() as u32 }
                    };
                    slots[id.0].unwrap_or_else(in_window)
                };
                for idx in segment.dispatches.clone() {
                    steps.push(step(program, graph, idx, &of_slot, outputs)?);
                }
            }
            let flops = graph.nodes.iter().map(|node| node.op.flops(&program.signature(graph, node))).collect();
            let place = place(size_of_val(steps.as_slice()), Purpose::Plans);
            plans.push(Plan { place, flops, segments });
            all_steps.push(steps);
        }
        addressable(end)?;
        Ok(Self { slots, window, plans, arena, steps: all_steps, end: end as usize, memory })
    }
}

/// An error for more bytes than the kernels' memory can have.
pub fn addressable(bytes: u64) -> Result<()> {
    match bytes > MOST_BYTES {
        true => {
            let label = "the model on the processor".into();
            Err(Error::OutOfMemory { label, needed_bytes: bytes, limit_bytes: MOST_BYTES })
        }
        false => Ok(()),
    }
}

/// The streamed slots that a node needs, each as a whole.
fn needs(program: &Program, graph: &Graph, idx: usize, streaming: &Streaming) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for value in graph.nodes[idx].inputs.iter().flatten() {
        let Value::Slot(slot) = *value else { continue };
        if streaming.streams(slot) && pieces.iter().all(|piece| piece.slot != slot) {
            pieces.push(Piece { slot, bytes: 0..program.slots[slot.0].ty.n_bytes() });
        }
    }
    pieces
}

/// Where each output lies that is in a buffer of the arena, which is as long as its longest tensor.
fn outputs(graph: &Graph, places: &[Places], buffers: &[Operand]) -> Vec<Option<Operand>> {
    let operand = |(idx, places): (usize, &Places)| {
        let len = graph.nodes[idx].ty.as_ref().map_or(0, |ty| ty.n_bytes()) as u32;
        places.output.map(|buffer| Operand { len, ..buffers[buffer] })
    };
    places.iter().enumerate().map(operand).collect()
}

/// A node as a step: its inputs, then its output.
fn step(
    program: &Program,
    graph: &Graph,
    idx: usize,
    of_slot: &dyn Fn(SlotId) -> Operand,
    outputs: &[Option<Operand>],
) -> Result<Step> {
    let node = &graph.nodes[idx];
    let operand_of = |value: Value| match value {
        Value::Slot(id) => of_slot(id),
        Value::Node(node) => graph.nodes[node].target.map(of_slot).or(outputs[node]).unwrap_or_default(),
    };
    if node.ty.as_ref().is_some_and(|ty| ty.dtype == DType::F16) {
        return Err(Error::Unsupported("the processor's kernels compute in f32; load it with precision f32".into()));
    }
    let values = node.inputs.iter().copied().chain(node.ty.as_ref().map(|_| Some(Value::Node(idx))));
    let mut operands = [Operand::default(); MOST_OPERANDS];
    for (operand, value) in operands.iter_mut().zip(values) {
        *operand = value.map(operand_of).unwrap_or_default();
    }
    Ok(Step::new(&node.op.cpu(&program.signature(graph, node)), operands))
}
