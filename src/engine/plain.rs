//! The definitions as a device: walks the graph and calls each op's plain definition. Exact and slow; every other device is
//! compared with it.

use super::graph::{Graph, GraphId, Node, Program, SlotId, SlotKind, Value};
use super::memory::{MemoryUse, Purpose};
use super::op::Operands;
use super::session::Watch;
use super::tensor::HostTensor;
use super::{Result, edge};

/// A program run by its definitions.
#[derive(Debug)]
pub struct PlainSession {
    program: Program,
    slots: Vec<HostTensor>,
}

impl PlainSession {
    /// Allocates the slots and fills in the constants.
    pub fn new(program: Program) -> Self {
        let mut slots: Vec<_> = program.slots.iter().map(|slot| HostTensor::zeros(slot.ty.clone())).collect();
        for (slot, tensor) in program.slots.iter().zip(&mut slots) {
            if let SlotKind::Constant(bytes) = &slot.kind {
                tensor.write_bytes(0, bytes);
            }
        }
        Self { program, slots }
    }

    /// Bytes of all slots; intermediate tensors come and go.
    pub fn memory(&self) -> MemoryUse {
        let mut memory = MemoryUse::default();
        for (slot, tensor) in self.program.slots.iter().zip(&self.slots) {
            let purpose = if matches!(slot.kind, SlotKind::State) { Purpose::States } else { Purpose::Weights };
            memory.add(purpose, 4 * tensor.ty.n_elements() as u64);
        }
        memory
    }

    /// Overwrites part of a slot.
    pub fn write(&mut self, slot: SlotId, offset_bytes: usize, bytes: &[u8]) {
        self.slots[slot.0].write_bytes(offset_bytes, bytes);
    }

    /// A slot's bytes, as a GPU would hold them.
    pub fn read(&self, slot: SlotId) -> Vec<u8> {
        self.slots[slot.0].to_bytes()
    }

    /// Runs a graph; gives way after every node that took its time.
    pub async fn run(&mut self, graph: GraphId, watch: &mut Watch<'_>) -> Result<()> {
        let graph = &self.program.graphs[graph.0];
        let n_nodes = graph.nodes.len();
        let last_use = super::arena::last_uses(graph);
        let mut values: Vec<Option<HostTensor>> = vec![None; n_nodes];
        let mut since = edge::Instant::now();
        for idx in 0..n_nodes {
            run_node(graph, idx, &mut self.slots, &mut values);
            for (earlier, value) in values.iter_mut().enumerate().take(idx + 1) {
                if last_use[earlier] == idx {
                    *value = None;
                }
            }
            if edge::ms_since(since) > 30.0 {
                edge::give_way().await;
                since = edge::Instant::now();
                watch.progress((idx + 1) as f32 / n_nodes as f32)?;
            }
        }
        Ok(())
    }
}

/// What a node's definition makes of its inputs: its output, where it has one. The inputs that the op writes are left out; they are the
/// `states`, as they were before and are to be after.
pub fn define(node: &Node, inputs: Vec<Option<&HostTensor>>, states: &mut [HostTensor]) -> Option<HostTensor> {
    let mut output = node.ty.clone().map(HostTensor::zeros);
    node.op.define(Operands { inputs, states, output: output.as_mut() });
    output
}

fn run_node(graph: &Graph, idx: usize, slots: &mut [HostTensor], values: &mut [Option<HostTensor>]) {
    let node = &graph.nodes[idx];
    // What the op writes is taken out of its place for the call, so that everything else can be lent to it.
    let place = |value: Value| graph.slot_of(value).map(|slot| slot.0);
    let written: Vec<usize> = node.op.writes().iter().filter_map(|&input| node.inputs[input].and_then(place)).collect();
    let empty = || HostTensor::zeros(super::tensor::TensorType::f32([0]));
    let mut states: Vec<_> = written.iter().map(|&slot| std::mem::replace(&mut slots[slot], empty())).collect();
    let inputs = (0..node.inputs.len())
        .map(|input| {
            let value = node.inputs[input].filter(|_| !node.op.writes().contains(&input))?;
            match (value, place(value)) {
                (_, Some(slot)) => Some(&slots[slot]),
                (Value::Node(earlier), None) => values[earlier].as_ref(),
                (Value::Slot(_), None) => None,
            }
        })
        .collect();
    let output = define(node, inputs, &mut states);
    for (slot, state) in written.into_iter().zip(states) {
        slots[slot] = state;
    }
    match node.target {
        Some(slot) => {
            if let Some(output) = output {
                slots[slot.0].data = output.data;
            }
        }
        None => values[idx] = output,
    }
}
