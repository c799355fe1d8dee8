//! A WebNN implementation that runs natively and slowly: it holds graphs and dispatches to the specification's rules, and
//! computes each primitive as the specification defines it, in f64, rounded to the operand's type.
//!
//! What it knows of types comes from `Lowering`, whose rules have tests of their own; what a backend may do, from Chromium's own
//! `opSupportLimits` beside this file.

mod compute;

use compute::Values;
use rill::engine::lowering::{Lowering, Operand, OperandType, Source};
use rill::engine::webnn::api::{Api, BufferId, BuiltId, GraphSpec, Later, TensorId, Weight};
use rill::engine::webnn::limits::{Limits, needed};
use rill::engine::webnn::{Context, DeviceType};
use rill::engine::{Error, Result};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// `opSupportLimits` of Chromium 147 on the processor, as far as the primitives need them.
pub const CHROMIUM_LIMITS: &str = include_str!("chromium-147-cpu.json");

/// A context of the interpreter and a handle to look into it.
pub fn open(limits: &str) -> (Rc<Context>, Rc<Interpreter>) {
    let interpreter = Rc::new(Interpreter::default());
    let limits = Limits::from_json(limits).expect("limits are a dictionary");
    (Context::new(interpreter.clone(), limits, DeviceType::Cpu), interpreter)
}

/// All that was made and not destroyed.
#[derive(Debug, Default)]
pub struct Interpreter {
    next_id: Cell<u32>,
    tensors: RefCell<HashMap<TensorId, (OperandType, Vec<u8>)>>,
    buffers: RefCell<HashMap<BufferId, Vec<u8>>>,
    graphs: RefCell<HashMap<BuiltId, Built>>,
    lost: RefCell<Option<String>>,
    /// Labels of the graphs that were built, in order.
    pub built: RefCell<Vec<String>>,
}

#[derive(Debug)]
struct Built {
    lowering: Lowering,
    weights: HashMap<Operand, Values>,
    outputs: Vec<Operand>,
}

impl Interpreter {
    /// Takes the context away.
    pub fn lose(&self, reason: &str) {
        *self.lost.borrow_mut() = Some(reason.into());
    }

    /// How many tensors, weights and graphs there are.
    pub fn n_objects(&self) -> [usize; 3] {
        [self.tensors.borrow().len(), self.buffers.borrow().len(), self.graphs.borrow().len()]
    }

    fn fresh_id(&self) -> u32 {
        self.next_id.replace(self.next_id.get() + 1)
    }

    /// A weight's values in the type that is wanted.
    fn weight(&self, weight: Weight, ty: &OperandType) -> Result<Values> {
        let (buffers, stored) = (self.buffers.borrow(), OperandType::new(weight.stored, ty.shape.clone()));
        let bytes = buffers.get(&weight.buffer).ok_or_else(|| refused("the weight was let go".into()))?;
        if bytes.len() != stored.n_bytes() {
            return Err(refused(format!("TypeError: {} bytes for a weight {stored:?}", bytes.len())));
        }
        Ok(Values::from_bytes(&stored, bytes).widened_to(ty))
    }

    fn alive(&self) -> Result<()> {
        match &*self.lost.borrow() {
            Some(reason) => Err(refused(format!("InvalidStateError: context is lost ({reason})"))),
            None => Ok(()),
        }
    }
}

fn refused(reason: String) -> Error {
    Error::BackendUnavailable { backend: "webnn", reason }
}

impl Api for Interpreter {
    fn create_tensor<'a>(&'a self, ty: &OperandType) -> Later<'a, TensorId> {
        let ty = ty.clone();
        Box::pin(async move {
            self.alive()?;
            let id = TensorId(self.fresh_id());
            let bytes = vec![0xAA; ty.n_bytes()];
            self.tensors.borrow_mut().insert(id, (ty, bytes));
            Ok(id)
        })
    }

    fn write_tensor(&self, tensor: TensorId, bytes: &[u8]) -> Result<()> {
        self.alive()?;
        let mut tensors = self.tensors.borrow_mut();
        let (ty, to) = tensors.get_mut(&tensor).ok_or_else(|| refused("the tensor was destroyed".into()))?;
        if bytes.len() != to.len() {
            return Err(refused(format!("{} bytes are written into {ty:?}", bytes.len())));
        }
        to.copy_from_slice(bytes);
        Ok(())
    }

    fn write_weight(&self, tensor: TensorId, weight: Weight) -> Result<()> {
        let ty = self.tensors.borrow().get(&tensor).map(|(ty, _)| ty.clone());
        let ty = ty.ok_or_else(|| refused("the tensor was destroyed".into()))?;
        self.write_tensor(tensor, &self.weight(weight, &ty)?.to_bytes())
    }

    fn read_tensor(&self, tensor: TensorId) -> Later<'_, Vec<u8>> {
        Box::pin(async move {
            self.alive()?;
            let tensors = self.tensors.borrow();
            Ok(tensors.get(&tensor).ok_or_else(|| refused("the tensor was destroyed".into()))?.1.clone())
        })
    }

    fn destroy_tensor(&self, tensor: TensorId) {
        self.tensors.borrow_mut().remove(&tensor).expect("a tensor is destroyed once");
    }

    fn create_buffer(&self, n_bytes: usize) -> Result<BufferId> {
        let id = BufferId(self.fresh_id());
        self.buffers.borrow_mut().insert(id, vec![0; n_bytes]);
        Ok(id)
    }

    fn write_buffer(&self, buffer: BufferId, offset: usize, bytes: &[u8]) -> Result<()> {
        let mut buffers = self.buffers.borrow_mut();
        let buffer = buffers.get_mut(&buffer).ok_or_else(|| refused("the weight was let go".into()))?;
        buffer[offset..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn destroy_buffer(&self, buffer: BufferId) {
        self.buffers.borrow_mut().remove(&buffer).expect("a weight is let go once");
    }

    fn build<'a>(&'a self, graph: &'a GraphSpec<'a>) -> Later<'a, BuiltId> {
        Box::pin(async move {
            self.alive()?;
            if graph.outputs.is_empty() {
                return Err(refused("TypeError: a graph has an output".into()));
            }
            let computed = |o: &Operand| matches!(graph.lowering.values()[o.0].source, Source::Step(..));
            if !graph.outputs.iter().all(computed) {
                return Err(refused("TypeError: an output is an input or a constant".into()));
            }
            if graph.outputs.iter().collect::<HashSet<_>>().len() != graph.outputs.len() {
                return Err(refused("an operand goes out twice".into()));
            }
            let weight = |&(operand, weight)| Ok((operand, self.weight(weight, graph.lowering.ty(operand))?));
            let weights = graph.weights.iter().map(weight).collect::<Result<_>>()?;
            let built = Built { lowering: graph.lowering.clone(), weights, outputs: graph.outputs.to_vec() };
            let id = BuiltId(self.fresh_id());
            self.graphs.borrow_mut().insert(id, built);
            self.built.borrow_mut().push(graph.label.into());
            Ok(id)
        })
    }

    fn dispatch(&self, graph: BuiltId, inputs: &[(Operand, TensorId)], outputs: &[(Operand, TensorId)]) -> Result<()> {
        self.alive()?;
        let graphs = self.graphs.borrow();
        let graph = graphs.get(&graph).ok_or_else(|| refused("the graph was destroyed".into()))?;
        let mut tensors = self.tensors.borrow_mut();
        let written: HashSet<TensorId> = outputs.iter().map(|(_, tensor)| *tensor).collect();
        if written.len() != outputs.len() || inputs.iter().any(|(_, tensor)| written.contains(tensor)) {
            return Err(refused("TypeError: a tensor is bound twice".into()));
        }
        if outputs.iter().map(|(operand, _)| *operand).ne(graph.outputs.iter().copied()) {
            return Err(refused("TypeError: the outputs are not those of the graph".into()));
        }
        let needed = needed(&graph.lowering, &graph.outputs);
        let mut values: Vec<Option<Values>> = vec![None; needed.len()];
        for (idx, described) in graph.lowering.values().iter().enumerate().filter(|(idx, _)| needed[*idx]) {
            let operand = Operand(idx);
            values[idx] = Some(match &described.source {
                Source::Constant(bytes) => Values::from_bytes(&described.ty, bytes),
                Source::Input => match graph.weights.get(&operand) {
                    Some(weight) => weight.clone(),
                    None => {
                        let bound = inputs.iter().find(|(input, _)| *input == operand);
                        let bound = bound.and_then(|(_, tensor)| tensors.get(tensor));
                        let (ty, bytes) = bound.ok_or_else(|| refused(format!("TypeError: no input v{idx}")))?;
                        if *ty != described.ty {
                            return Err(refused(format!("TypeError: {ty:?} is bound to {:?}", described.ty)));
                        }
                        Values::from_bytes(ty, bytes)
                    }
                },
                Source::Step(primitive, inputs) => {
                    let inputs: Vec<&Values> =
                        inputs.iter().map(|i| values[i.0].as_ref().expect("inputs come first")).collect();
                    compute::step(primitive, &inputs, &described.ty)
                }
            });
        }
        for (operand, tensor) in outputs {
            let (ty, bytes) = tensors.get_mut(tensor).ok_or_else(|| refused("the tensor was destroyed".into()))?;
            let value = values[operand.0].as_ref().expect("outputs are needed");
            if *ty != value.ty {
                return Err(refused(format!("TypeError: {ty:?} is bound to {:?}", value.ty)));
            }
            *bytes = value.to_bytes();
        }
        Ok(())
    }

    fn destroy_graph(&self, graph: BuiltId) {
        self.graphs.borrow_mut().remove(&graph).expect("a graph is destroyed once");
    }

    fn lost(&self) -> Option<String> {
        self.lost.borrow().clone()
    }

    fn destroy(&self) {
        self.lose("destroyed");
    }
}
