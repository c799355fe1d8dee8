//! From a program to pieces: stretches of ops that lower become graphs of the API, ops that do not run by their definitions in
//! between.
//!
//! Values that one piece makes and another needs get a place, like the program's slots. A large matrix that is multiplied with has a
//! piece of its own, which graphs share: a Whisper's projection onto the vocabulary is needed after every prompt and every step, and
//! holds half of its weights.

use super::limits::{Limits, needed};
use crate::engine::graph::{Graph, Node, Program, SlotKind, Value};
use crate::engine::lowering::{Element, Lowering, Operand, OperandType, Primitive, Source};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use std::collections::BTreeMap;

/// Where a value lives between pieces: slots first, then what pieces hand on.
pub(super) type Place = usize;

/// A matrix of more elements than this has a piece of its own.
const LARGE: usize = 4 << 20;

/// A stretch of ops as one graph of the API.
#[derive(Debug)]
pub(super) struct Piece {
    /// For error messages.
    pub label: String,
    pub lowering: Lowering,
    /// Constants of the graph that are weights: their slots.
    pub weights: Vec<(Operand, Place)>,
    /// What comes in as tensors, in the order of a [`Work::Piece`]'s inputs.
    pub inputs: Vec<Operand>,
    /// What goes out as tensors, in the order of its outputs.
    pub outputs: Vec<Operand>,
    /// What it does and with which weights, of a piece that may be shared.
    key: Option<String>,
}

/// One step of a graph's run.
#[derive(Debug)]
pub(super) enum Work {
    /// Dispatch a piece.
    Piece { piece: usize, inputs: Vec<Place>, outputs: Vec<Place> },
    /// Run a node by its definition: its inputs' places, and that of its output.
    Define { node: usize, inputs: Vec<Option<Place>>, output: Option<Place> },
}

/// A program in pieces.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub pieces: Vec<Piece>,
    /// What each graph does.
    pub graphs: Vec<Vec<Work>>,
    /// Types of the places behind the slots.
    pub handed_on: Vec<TensorType>,
}

impl Plan {
    /// Cuts every graph. Errors with the reason where `limits` do not allow a piece.
    pub fn new(program: &Program, limits: &Limits) -> Result<Self> {
        let mut plan = Plan::default();
        for graph in &program.graphs {
            let cut = Cut { program, graph, plan: &mut plan, places: BTreeMap::new(), work: Vec::new() };
            let work = cut.run()?;
            plan.graphs.push(work);
        }
        for piece in &plan.pieces {
            if let Some(reason) = limits.refusal(&piece.lowering, &piece.outputs) {
                let reason = format!("`{}` cannot be built on this device: {reason}", piece.label);
                return Err(Error::BackendUnavailable { backend: "webnn", reason });
            }
        }
        Ok(plan)
    }
}

/// A piece in the making.
#[derive(Default)]
struct Draft {
    nodes: Vec<usize>,
    lowering: Lowering,
    /// Places as far as they were read or written.
    of_place: BTreeMap<Place, Operand>,
    /// Outputs of its own nodes.
    of_node: BTreeMap<usize, Operand>,
    /// Operands that came in, with their places.
    read: Vec<(Operand, Place)>,
    /// Places that have new contents.
    written: Vec<Place>,
}

/// Cuts one graph.
struct Cut<'a> {
    program: &'a Program,
    graph: &'a Graph,
    plan: &'a mut Plan,
    /// Places of values that leave their piece, by node.
    places: BTreeMap<usize, Place>,
    work: Vec<Work>,
}

impl Cut<'_> {
    fn run(mut self) -> Result<Vec<Work>> {
        let graph = self.graph;
        let mut draft = Draft::default();
        for (idx, node) in graph.nodes.iter().enumerate() {
            if self.has_large_weight(node) {
                let mut alone = Draft::default();
                if self.lower(&mut alone, idx, node)? && self.multiplies_a_large_weight(&alone) {
                    self.close(std::mem::take(&mut draft), false)?;
                    self.close(alone, true)?;
                    continue;
                }
            }
            if !self.lower(&mut draft, idx, node)? {
                self.close(std::mem::take(&mut draft), false)?;
                let inputs = node.inputs.iter().map(|value| value.map(|value| self.place_of(value))).collect();
                let output = node.ty.as_ref().map(|_| self.place_of(Value::Node(idx)));
                self.work.push(Work::Define { node: idx, inputs, output });
            }
        }
        self.close(draft, false)?;
        Ok(self.work)
    }

    fn has_large_weight(&self, node: &Node) -> bool {
        node.inputs.iter().flatten().any(|value| matches!(value, Value::Slot(id) if self.is_large_weight(id.0)))
    }

    fn is_large_weight(&self, place: Place) -> bool {
        let slot = self.program.slots.get(place);
        slot.is_some_and(|slot| matches!(slot.kind, SlotKind::Weight(_)) && slot.ty.n_elements() > LARGE)
    }

    fn multiplies_a_large_weight(&self, draft: &Draft) -> bool {
        let mut read = draft.read.iter();
        read.any(|&(operand, place)| self.is_large_weight(place) && !is_looked_up(&draft.lowering, operand))
    }

    /// Adds the node's primitives to the draft; `false` where it has none.
    fn lower(&mut self, draft: &mut Draft, idx: usize, node: &Node) -> Result<bool> {
        let inputs: Vec<_> = node.inputs.iter().map(|value| value.map(|value| self.operand_of(draft, value))).collect();
        let Some(lowered) = node.op.lower(&mut draft.lowering, &inputs)? else { return Ok(false) };
        draft.nodes.push(idx);
        for (&input, operand) in node.op.writes().iter().zip(lowered.states) {
            if let Some(value) = node.inputs[input] {
                self.write(draft, value, operand)?;
            }
        }
        if let Some(operand) = lowered.output {
            draft.of_node.insert(idx, operand);
            if node.target.is_some() {
                self.write(draft, Value::Node(idx), operand)?;
            }
        }
        Ok(true)
    }

    /// The operand of a value; one that was not seen before comes from its place.
    fn operand_of(&mut self, draft: &mut Draft, value: Value) -> Operand {
        if let Value::Node(idx) = value
            && self.graph.nodes[idx].target.is_none()
            && let Some(&operand) = draft.of_node.get(&idx)
        {
            return operand;
        }
        let place = self.place_of(value);
        if let Some(&operand) = draft.of_place.get(&place) {
            return operand;
        }
        let mut ty = OperandType::from(self.type_of(place));
        if is_constant(self.program, place) && ty.element == Element::F16 {
            // Kept narrow, used wide: see `Weight::stored`.
            ty.element = Element::F32;
        }
        let operand = draft.lowering.input(ty);
        draft.of_place.insert(place, operand);
        draft.read.push((operand, place));
        operand
    }

    /// The new contents of a value's place.
    fn write(&mut self, draft: &mut Draft, value: Value, operand: Operand) -> Result<()> {
        let place = self.place_of(value);
        let ty = OperandType::from(self.type_of(place));
        if draft.lowering.ty(operand).element != ty.element {
            return Err(Error::Internal(format!("{:?} is stored as {ty:?}", draft.lowering.ty(operand))));
        }
        let operand = draft.lowering.reshape(operand, &ty.shape)?;
        draft.of_place.insert(place, operand);
        if !draft.written.contains(&place) {
            draft.written.push(place);
        }
        Ok(())
    }

    fn place_of(&mut self, value: Value) -> Place {
        let idx = match value {
            Value::Slot(id) => return id.0,
            Value::Node(idx) => idx,
        };
        let node = &self.graph.nodes[idx];
        if let Some(slot) = node.target {
            return slot.0;
        }
        let (n_slots, handed_on) = (self.program.slots.len(), &mut self.plan.handed_on);
        *self.places.entry(idx).or_insert_with(|| {
            handed_on.push(node.ty.clone().expect("only ops with an output are used as inputs"));
            n_slots + handed_on.len() - 1
        })
    }

    fn type_of(&self, place: Place) -> &TensorType {
        let slot = self.program.slots.get(place).map(|slot| &slot.ty);
        slot.unwrap_or_else(|| &self.plan.handed_on[place - self.program.slots.len()])
    }

    /// Makes a piece of the draft, or finds the one that does the same.
    fn close(&mut self, mut draft: Draft, may_be_shared: bool) -> Result<()> {
        for idx in draft.nodes.clone() {
            let is_handed_on = self.graph.nodes[idx].target.is_none() && self.is_used_outside(idx, &draft.nodes);
            if let (true, Some(&operand)) = (is_handed_on, draft.of_node.get(&idx)) {
                self.write(&mut draft, Value::Node(idx), operand)?;
            }
        }
        let outputs: Vec<Operand> = draft.written.iter().map(|place| draft.of_place[place]).collect();
        if outputs.is_empty() {
            return Ok(());
        }
        let needed = needed(&draft.lowering, &outputs);
        let (mut weights, mut inputs, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for &(operand, place) in draft.read.iter().filter(|(operand, _)| needed[operand.0]) {
            if is_constant(self.program, place) && !is_looked_up(&draft.lowering, operand) {
                weights.push((operand, place));
            } else {
                inputs.push(operand);
                places.push(place);
            }
        }
        let key = may_be_shared.then(|| format!("{weights:?} {:?}", draft.lowering.values()));
        let known = self.plan.pieces.iter().position(|piece| key.is_some() && piece.key == key);
        let piece = known.unwrap_or_else(|| {
            let ops: Vec<&str> = draft.nodes.iter().map(|&idx| self.graph.nodes[idx].op.name()).collect();
            let label = match ops[..] {
                [only] => format!("{}/{only}", self.graph.name),
                _ => format!("{}/{} to {}", self.graph.name, ops[0], ops[ops.len() - 1]),
            };
            self.plan.pieces.push(Piece { label, lowering: draft.lowering, weights, inputs, outputs, key });
            self.plan.pieces.len() - 1
        });
        self.work.push(Work::Piece { piece, inputs: places, outputs: draft.written });
        Ok(())
    }

    fn is_used_outside(&self, idx: usize, nodes: &[usize]) -> bool {
        let last = nodes.last().copied().unwrap_or(0);
        let mut later = self.graph.nodes.iter().skip(last + 1);
        later.any(|node| node.inputs.contains(&Some(Value::Node(idx))))
    }
}

/// Whether a place never changes once the model is loaded.
pub(super) fn is_constant(program: &Program, place: Place) -> bool {
    let Some(slot) = program.slots.get(place) else { return false };
    let nodes = program.graphs.iter().flat_map(|graph| &graph.nodes);
    let is_written = |node: &Node| {
        let mut written = node.op.writes().iter().filter_map(|&input| node.inputs[input]);
        node.target.is_some_and(|target| target.0 == place)
            || written.any(|value| matches!(value, Value::Slot(id) if id.0 == place))
    };
    !matches!(slot.kind, SlotKind::State) && !nodes.into_iter().any(is_written)
}

/// Whether rows of the operand are looked up. Then it stays a tensor that graphs share, in f32 (Chromium 147 widens the whole of an
/// f16 table for each row: 20 ms for that of whisper-tiny.en). What is multiplied with is a constant:
/// backends bring constants into the order that they multiply fastest in (a row of 384 with 51,864 of them on two cores: 2.6 ms as a
/// constant, 9.2 ms as a tensor).
fn is_looked_up(lowering: &Lowering, operand: Operand) -> bool {
    lowering.values().iter().any(
        |value| matches!(&value.source, Source::Step(Primitive::Gather, inputs) if inputs.first() == Some(&operand)),
    )
}
