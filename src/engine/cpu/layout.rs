//! Where everything of a program lies in the kernels' memory: slots, intermediate tensors, steps.

use crate::engine::graph::{Graph, Program, Value};
use crate::engine::tensor::DType;
use crate::engine::{Error, Result, arena};
use rill_kernels::memory::ALIGN;
use rill_kernels::step::MOST_OPERANDS;
use rill_kernels::{Operand, Step};
use std::ops::Range;

/// A wasm memory has addresses of 32 bits; the last page is left out so that its size is one, too.
const MOST_BYTES: u64 = (1 << 32) - (1 << 16);

/// A graph as steps.
#[derive(Debug)]
pub struct Plan {
    /// Where its steps lie.
    pub place: Operand,
    /// Multiplications and additions of each step.
    pub flops: Vec<u64>,
}

impl Plan {
    /// The steps from `first` on that cost about `budget` flops; at least one.
    pub fn slice(&self, first: usize, budget: u64) -> Range<usize> {
        let mut spent = 0;
        let within = self.flops[first..].iter().take_while(|&&flops| {
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
    /// Of each slot of the program.
    pub slots: Vec<Operand>,
    /// Of each graph.
    pub plans: Vec<Plan>,
    /// The steps of each graph, to be written to their place.
    pub steps: Vec<Vec<Step>>,
    /// The first byte behind all of it.
    pub end: usize,
}

impl Layout {
    /// Lays `program` out from address `base` on.
    pub fn of(program: &Program, base: usize) -> Result<Self> {
        let mut end = base as u64;
        let mut place = |len: usize| {
            let offset = end.next_multiple_of(ALIGN as u64);
            end = offset + len as u64;
            Operand { offset: offset as u32, len: len as u32 }
        };
        let slots: Vec<_> = program.slots.iter().map(|slot| place(slot.ty.n_bytes())).collect();
        let mut arena_bytes = Vec::new();
        let places: Vec<_> = program.graphs.iter().map(|graph| arena::plan(graph, &mut arena_bytes)).collect();
        let arena: Vec<_> = arena_bytes.into_iter().map(&mut place).collect();
        let (mut plans, mut all_steps) = (Vec::new(), Vec::new());
        for (graph, places) in program.graphs.iter().zip(&places) {
            let steps = (0..graph.nodes.len())
                .map(|idx| step(program, graph, idx, &slots, &arena, places))
                .collect::<Result<Vec<_>>>()?;
            let flops = graph.nodes.iter().map(|node| node.op.flops(&program.signature(graph, node))).collect();
            let place = place(size_of_val(steps.as_slice()));
            plans.push(Plan { place, flops });
            all_steps.push(steps);
        }
        if end > MOST_BYTES {
            let label = "the model on the processor".into();
            return Err(Error::OutOfMemory { label, needed_bytes: end, limit_bytes: MOST_BYTES });
        }
        Ok(Self { slots, plans, steps: all_steps, end: end as usize })
    }
}

/// A node as a step: its inputs, then its output.
fn step(
    program: &Program,
    graph: &Graph,
    idx: usize,
    slots: &[Operand],
    arena: &[Operand],
    places: &[Option<usize>],
) -> Result<Step> {
    let node = &graph.nodes[idx];
    let operand_of = |value: Value| {
        let (place, ty) = match value {
            Value::Slot(id) => return slots[id.0],
            Value::Node(node) => (graph.nodes[node].target.map(|slot| slots[slot.0]), &graph.nodes[node].ty),
        };
        let Value::Node(node) = value else { unreachable!("slots have returned") };
        // A buffer of the arena is as long as its longest tensor.
        let len = ty.as_ref().map_or(0, |ty| ty.n_bytes()) as u32;
        place.or_else(|| places[node].map(|buffer| Operand { len, ..arena[buffer] })).unwrap_or_default()
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
