//! Where everything of a program lies on a GPU, and what is dispatched, worked out before a single buffer is made: what a program
//! takes is known exactly before its weights have arrived.

use super::buffer::{BufferPlan, PARAMS_USAGE, padded};
use crate::engine::arena::{Arena, Places};
use crate::engine::graph::{Graph, Node, Program, Slot, SlotId, SlotKind, Value};
use crate::engine::memory::{MemoryUse, Purpose};
use crate::engine::op::{GpuCaps, Kernel, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::window::{self, Piece, Segment, Streaming};
use crate::engine::{Error, Result};
use rill_kernels::quantize::PANEL;
use std::ops::Range;

/// Where everything lies.
#[derive(Debug)]
pub(super) struct Layout {
    /// All buffers, to be made in this order.
    pub buffers: Vec<BufferPlan>,
    /// By slot.
    pub slots: Vec<Vec<Part>>,
    /// By graph.
    pub graphs: Vec<GraphLayout>,
    /// The buffer with the parameters of all dispatches.
    pub uniforms: usize,
    /// The buffer that streamed weights pass through.
    pub window: Option<usize>,
    /// The buffers of each graph and node.
    pub arena: Vec<Vec<Places>>,
}

/// Some rows of a slot: all of them, or as many as one binding may hold.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub rows: Range<usize>,
    /// Which of the slot's bytes.
    pub bytes: Range<usize>,
    /// The buffer that holds it and nothing else; `None` where it passes through the window.
    pub buffer: Option<usize>,
}

/// What a graph does.
#[derive(Debug)]
pub(super) struct GraphLayout {
    pub drafts: Vec<Draft>,
    /// One that holds all dispatches where nothing is streamed.
    pub segments: Vec<Segment>,
}

/// A dispatch before its objects are made.
#[derive(Debug)]
pub(super) struct Draft {
    pub node: usize,
    /// Part of the splittable input.
    pub part: usize,
    pub step: Step,
    /// Where its parameters lie among the uniforms.
    pub uniform: u64,
    pub flops: u64,
    /// Read and written.
    pub bytes: u64,
}

/// What is dispatched for a node.
#[derive(Debug)]
pub(super) struct Step {
    pub kernel: Kernel,
    /// What it binds after its parameters.
    pub bound: Vec<Bound>,
    /// Bytes that it leaves for the next step of the node.
    pub left: usize,
}

/// What lies at a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// One of the op's inputs.
    Input(usize),
    /// What this step leaves for the next.
    Left,
    /// What the step before has left.
    Found,
    /// The op's output.
    Output,
}

impl Step {
    /// The one or two steps of a node that runs `kernel`.
    pub fn of(node: &Node, mut kernel: Kernel) -> Vec<Self> {
        let mut bound: Vec<_> = kernel.bound_inputs(node.inputs.len()).into_iter().map(Bound::Input).collect();
        let Some(then) = kernel.then.take() else {
            bound.extend(node.ty.is_some().then_some(Bound::Output));
            return vec![Self { kernel, bound, left: 0 }];
        };
        bound.push(Bound::Left);
        let second = Self { kernel: then.kernel, bound: vec![Bound::Found, Bound::Output], left: 0 };
        vec![Self { kernel, bound, left: then.n_bytes }, second]
    }

    /// For each binding after the uniform: whether it is written.
    pub fn written(&self, node: &Node) -> Vec<bool> {
        let is_written = |bound: &Bound| match bound {
            Bound::Input(input) => node.op.writes().contains(input),
            Bound::Found => false,
            Bound::Left | Bound::Output => true,
        };
        self.bound.iter().map(is_written).collect()
    }
}

/// Where a binding's bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub buffer: usize,
    pub offset: u64,
    pub bytes: u64,
}

impl Layout {
    /// Lays a program out. `uniform_align` is what the adapter asks of the places of parameters.
    pub fn of(
        program: &Program,
        caps: &GpuCaps,
        uniform_align: u64,
        shares: bool,
        streaming: &Streaming,
    ) -> Result<Self> {
        let mut layout = Self {
            buffers: Vec::new(),
            slots: Vec::new(),
            graphs: Vec::new(),
            uniforms: 0,
            window: None,
            arena: Vec::new(),
        };
        for (idx, slot) in program.slots.iter().enumerate() {
            let parts = layout.place_slot(program, SlotId(idx), slot, caps, streaming)?;
            layout.slots.push(parts);
        }
        if streaming.is_on() {
            let window = layout.storage("window", streaming.window_bytes, Purpose::Weights, caps)?;
            layout.window = Some(window);
        }
        let mut uniform_bytes = 0;
        let mut draft = |graph| layout.draft(program, graph, caps, uniform_align, &mut uniform_bytes);
        let drafts: Vec<Vec<Draft>> = program.graphs.iter().map(&mut draft).collect();
        let left = |graph: usize, node: usize| {
            let first = drafts[graph].partition_point(|draft| draft.node < node);
            drafts[graph][first].step.left
        };
        let Arena { buffer_bytes, places } = Arena::of(program, shares, left);
        let mut of_arena = Vec::with_capacity(buffer_bytes.len());
        for (idx, bytes) in buffer_bytes.into_iter().enumerate() {
            of_arena.push(layout.storage(&format!("arena {idx}"), bytes, Purpose::Activations, caps)?);
        }
        let buffer_of = |places: Places| Places {
            output: places.output.map(|idx| of_arena[idx]),
            left: places.left.map(|idx| of_arena[idx]),
        };
        layout.arena = places.into_iter().map(|graph| graph.into_iter().map(buffer_of).collect()).collect();

        for (graph, drafts) in program.graphs.iter().zip(drafts) {
            let needs: Vec<_> = drafts.iter().map(|draft| layout.needs(graph, draft)).collect();
            let segments = window::segments(&needs, streaming.window_bytes);
            layout.graphs.push(GraphLayout { drafts, segments });
        }
        layout.uniforms = layout.buffers.len();
        layout.buffers.push(BufferPlan {
            label: "uniforms".into(),
            bytes: uniform_bytes.max(16),
            purpose: Purpose::Plans,
            usage: PARAMS_USAGE,
        });
        Ok(layout)
    }

    /// What all buffers will take.
    pub fn memory(&self) -> MemoryUse {
        let mut memory = MemoryUse::default();
        self.buffers.iter().for_each(|buffer| memory.add(buffer.purpose, buffer.bytes));
        memory
    }

    /// The parameters of all dispatches, in their places.
    pub fn uniform_image(&self) -> Vec<u8> {
        let mut image = vec![0u8; self.buffers[self.uniforms].bytes as usize];
        for draft in self.graphs.iter().flat_map(|graph| &graph.drafts) {
            let params = &draft.step.kernel.params;
            image[draft.uniform as usize..][..params.len()].copy_from_slice(params);
        }
        image
    }

    /// Where a value lies while `segment` of the graph runs. `part` is that of the splittable input.
    pub fn place(&self, program: &Program, graph: usize, segment: &Segment, value: Value, part: usize) -> Place {
        let slot = |id: SlotId| {
            let part = &self.slots[id.0][part];
            let in_window = || {
                let offset = segment.place_of(id, part.bytes.start);
                let offset = offset.expect("a segment brings every piece that its dispatches need") as u64;
                let buffer = self.window.expect("streamed slots have a window");
                Place { buffer, offset, bytes: padded(part.bytes.len()) }
            };
            part.buffer.map_or_else(in_window, |buffer| self.whole(buffer))
        };
        match value {
            Value::Slot(id) => slot(id),
            Value::Node(idx) => match (program.graphs[graph].nodes[idx].target, self.arena[graph][idx].output) {
                (Some(id), _) => slot(id),
                (None, Some(buffer)) => self.whole(buffer),
                (None, None) => unreachable!("every output has a slot or a place in the arena"),
            },
        }
    }

    /// Where that lies which the first step of a node leaves for the second.
    pub fn left(&self, graph: usize, node: usize) -> Place {
        self.whole(self.arena[graph][node].left.expect("a node of two steps has a place between them"))
    }

    fn whole(&self, buffer: usize) -> Place {
        Place { buffer, offset: 0, bytes: self.buffers[buffer].bytes }
    }

    fn storage(&mut self, label: &str, bytes: usize, purpose: Purpose, caps: &GpuCaps) -> Result<usize> {
        self.buffers.push(BufferPlan::storage(label, bytes, purpose, caps.max_binding_bytes)?);
        Ok(self.buffers.len() - 1)
    }

    /// A slot's parts: one, or one for every so many rows where one binding or the window may not hold it.
    fn place_slot(
        &mut self,
        program: &Program,
        id: SlotId,
        slot: &Slot,
        caps: &GpuCaps,
        streaming: &Streaming,
    ) -> Result<Vec<Part>> {
        let (n_rows, n_bytes) = (slot.ty.n_rows(), slot.ty.n_bytes());
        let is_streamed = streaming.streams(id);
        let mut limit = caps.max_binding_bytes as usize;
        if is_streamed && program.may_divide(id) {
            limit = limit.min(streaming.piece_bytes);
        }
        let purpose = if matches!(slot.kind, SlotKind::State) { Purpose::States } else { Purpose::Weights };
        let mut parts = Vec::new();
        for (rows, bytes) in if n_bytes <= limit {
            vec![(0..n_rows, 0..n_bytes)]
        } else if program.may_divide(id) {
            row_parts(&slot.ty, limit)
        } else {
            let (needed_bytes, limit_bytes) = (n_bytes as u64, limit as u64);
            return Err(Error::OutOfMemory { label: slot.label.clone(), needed_bytes, limit_bytes });
        } {
            let buffer = match is_streamed {
                true => None,
                false => Some(self.storage(&slot.label, bytes.len(), purpose, caps)?),
            };
            parts.push(Part { rows, bytes, buffer });
        }
        Ok(parts)
    }

    /// Describes every dispatch of a graph; `uniform_bytes` grows by their parameters.
    fn draft(
        &self,
        program: &Program,
        graph: &Graph,
        caps: &GpuCaps,
        uniform_align: u64,
        uniform_bytes: &mut u64,
    ) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for (node_idx, node) in graph.nodes.iter().enumerate() {
            for (part, rows) in self.rows_by_part(node).into_iter().enumerate() {
                let signature = Signature { rows, ..program.signature(graph, node) };
                let steps = Step::of(node, caps.kernel_of(node.op.as_ref(), &signature));
                let (left, output) = (steps[0].left as u64, signature.output_bytes());
                let (flops, bytes) = (node.op.flops(&signature), node.op.bytes(&signature));
                // Of all parts together.
                let figures = match (part, steps.len()) {
                    (0, 1) => [(flops, bytes), (0, 0)],
                    (0, _) => [(flops, bytes - output + left), (0, left + output)],
                    _ => [(0, 0); 2],
                };
                for (step, (flops, bytes)) in steps.into_iter().zip(figures) {
                    let uniform = *uniform_bytes;
                    *uniform_bytes += (step.kernel.params.len() as u64).next_multiple_of(uniform_align);
                    drafts.push(Draft { node: node_idx, part, step, uniform, flops, bytes });
                }
            }
        }
        drafts
    }

    /// The rows of each dispatch of a node: more than one where its splittable input is in several parts.
    fn rows_by_part(&self, node: &Node) -> Vec<Range<usize>> {
        match node.op.splittable().and_then(|input| node.inputs[input]) {
            Some(Value::Slot(id)) => self.slots[id.0].iter().map(|part| part.rows.clone()).collect(),
            _ => std::iter::once(0..0).collect(),
        }
    }

    /// The pieces that a dispatch needs in the window.
    fn needs(&self, graph: &Graph, draft: &Draft) -> Vec<Piece> {
        let node = &graph.nodes[draft.node];
        let mut pieces = Vec::new();
        for bound in &draft.step.bound {
            let Bound::Input(input) = *bound else { continue };
            let Some(Value::Slot(slot)) = node.inputs[input] else { continue };
            let part = if node.op.splittable() == Some(input) { draft.part } else { 0 };
            let Part { bytes, buffer, .. } = self.slots[slot.0][part].clone();
            if buffer.is_none() {
                pieces.push(Piece { slot, bytes });
            }
        }
        pieces
    }
}

/// Rows and bytes of each part of a slot that is larger than `limit`.
fn row_parts(ty: &TensorType, limit: usize) -> Vec<(Range<usize>, Range<usize>)> {
    // Parts begin at multiples of eight rows: there a panel of quantised weights begins, and any other row at a byte that a GPU can
    // copy to.
    let n_rows = ty.n_rows();
    let rows_per_part = (limit / ty.bytes_of_rows(PANEL)).max(1) * PANEL;
    let part = |start: usize| {
        let end = (start + rows_per_part).min(n_rows);
        (start..end, ty.bytes_of_rows(start)..ty.bytes_of_rows(end))
    };
    (0..n_rows).step_by(rows_per_part).map(part).collect()
}
