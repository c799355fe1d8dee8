//! Recording: running a model's code computes nothing, it writes down a [`Program`].
//!
//! A program holds graphs (encoder, decoder step, ...) and the slots that outlive a run: weights, constants, states. Names and
//! shapes are checked here against the checkpoint's header, so a wrong checkpoint fails before its weights arrive.

use super::op::Op;
use super::tensor::{DType, TensorType};
use super::weight_form::Role;
use super::weights::PositionGrid;
use super::weights::checkpoint::{Checkpoint, CheckpointDType};
use super::{Error, Result};
use crate::protocol::KernelLevel;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

pub use super::weight_form::WeightForm;

/// Names a slot of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub usize);

/// Names a graph of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GraphId(pub usize);

/// A tensor that outlives a run.
#[derive(Debug, Clone)]
pub struct Slot {
    /// For error messages and GPU labels.
    pub label: String,
    /// Its type.
    pub ty: TensorType,
    /// What fills it.
    pub kind: SlotKind,
}

/// What fills a slot.
#[derive(Debug, Clone)]
pub enum SlotKind {
    /// Tensors of the checkpoint, one below the other.
    Weight(Vec<WeightPart>),
    /// Bytes known while recording.
    Constant(Vec<u8>),
    /// Written by the host or by ops; zero at first.
    State,
}

/// A checkpoint tensor's place in a weight slot.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightPart {
    /// The checkpoint's name.
    pub tensor: String,
    /// First element in the slot.
    pub first: usize,
    /// How its elements are ordered there.
    pub layout: Layout,
}

/// Order of a weight's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As in the checkpoint.
    AsStored,
    /// A 1-D convolution's `[out, in, kernel]` as `[out, kernel, in]`, so that a window of a time-major input is one row.
    ChannelsLast {
        /// Input channels.
        n_in: usize,
        /// Kernel width.
        width: usize,
    },
    /// A table of places, for pictures of another size; in f32.
    Resampled(PositionGrid),
}

/// A tensor of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// One that outlives the run.
    Slot(SlotId),
    /// The output of a node of the same graph.
    Node(usize),
}

/// One use of an op.
#[derive(Debug, Clone)]
pub struct Node {
    /// The op.
    pub op: Rc<dyn Op>,
    /// Its inputs; `None` where optional and absent.
    pub inputs: Vec<Option<Value>>,
    /// The type of its output.
    pub ty: Option<TensorType>,
    /// Where the output goes: a slot, or the arena.
    pub target: Option<SlotId>,
}

/// A straight list of ops.
#[derive(Debug, Clone)]
pub struct Graph {
    /// For labels and reports.
    pub name: String,
    /// In order of execution.
    pub nodes: Vec<Node>,
}

impl Graph {
    /// The slot that holds a value; `None` for what lies between its ops.
    pub fn slot_of(&self, value: Value) -> Option<SlotId> {
        match value {
            Value::Slot(id) => Some(id),
            Value::Node(idx) => self.nodes[idx].target,
        }
    }

    /// The slots that a node writes: that of its output, then those of its states.
    pub fn written_by(&self, node: &Node) -> Vec<SlotId> {
        let states = node.op.writes().iter().filter_map(|&input| self.slot_of(node.inputs[input]?));
        node.target.into_iter().chain(states).collect()
    }

    /// The slots that a run of it writes.
    pub fn written(&self) -> BTreeSet<SlotId> {
        self.nodes.iter().flat_map(|node| self.written_by(node)).collect()
    }
}

/// All that a model needs to run.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// What outlives a run.
    pub slots: Vec<Slot>,
    /// What can be run.
    pub graphs: Vec<Graph>,
    /// How far a GPU's kernels go.
    pub kernels: KernelLevel,
}

impl Program {
    /// The same without the bytes of its constants: what a session keeps once they are on its device.
    pub fn without_constants(mut self) -> Self {
        for slot in &mut self.slots {
            if let SlotKind::Constant(bytes) = &mut slot.kind {
                *bytes = Vec::new();
            }
        }
        self
    }

    /// Type of a value in a graph.
    pub fn type_of<'a>(&'a self, graph: &'a Graph, value: Value) -> &'a TensorType {
        match value {
            Value::Slot(id) => &self.slots[id.0].ty,
            Value::Node(idx) => graph.nodes[idx].ty.as_ref().expect("only ops with an output are used as inputs"),
        }
    }

    /// The types a node is used with.
    pub fn signature<'a>(&'a self, graph: &'a Graph, node: &'a Node) -> super::op::Signature<'a> {
        let inputs: Vec<_> = node.inputs.iter().map(|v| v.map(|v| self.type_of(graph, v))).collect();
        let rows = node.op.splittable().map_or(0..0, |idx| 0..inputs[idx].map_or(0, |ty| ty.n_rows()));
        super::op::Signature { inputs, output: node.ty.as_ref(), rows }
    }

    /// Every node with the types that it is used with.
    pub fn nodes(&self) -> impl Iterator<Item = (&Node, super::op::Signature<'_>)> {
        let nodes = self.graphs.iter().flat_map(|graph| graph.nodes.iter().map(move |node| (graph, node)));
        nodes.map(|(graph, node)| (node, self.signature(graph, node)))
    }

    /// Whether every op that uses the slot can take it in parts of some rows.
    pub fn may_divide(&self, id: SlotId) -> bool {
        let nodes = self.graphs.iter().flat_map(|graph| &graph.nodes);
        nodes.into_iter().all(|node| {
            let mut inputs = node.inputs.iter().enumerate();
            inputs.all(|(input, value)| *value != Some(Value::Slot(id)) || node.op.splittable() == Some(input))
        })
    }

    /// Multiplications and additions of a graph.
    pub fn flops(&self, graph: GraphId) -> u64 {
        let graph = &self.graphs[graph.0];
        graph.nodes.iter().map(|node| node.op.flops(&self.signature(graph, node))).sum()
    }

    /// Bytes that a graph has to read and write, node by node.
    pub fn bytes(&self, graph: GraphId) -> u64 {
        let graph = &self.graphs[graph.0];
        graph.nodes.iter().map(|node| node.op.bytes(&self.signature(graph, node))).sum()
    }
}

/// How a model is recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecordOptions {
    /// Type of intermediate tensors off the residual stream.
    pub activation: DType,
    /// In what form weights are held.
    pub weights: WeightForm,
    /// How far a GPU's kernels go.
    pub kernels: KernelLevel,
}

/// Writes a [`Program`] down.
#[derive(Debug, Clone)]
pub struct Recorder {
    program: Rc<RefCell<Program>>,
    /// `None` for a piece that is only measured: its weights may have any name and shape.
    checkpoint: Option<Rc<Checkpoint>>,
    /// How.
    pub options: RecordOptions,
}

impl Recorder {
    /// Nothing recorded yet.
    pub fn new(checkpoint: Rc<Checkpoint>, options: RecordOptions) -> Self {
        Self { program: Self::nothing(options), checkpoint: Some(checkpoint), options }
    }

    /// Nothing recorded yet, and every weight that the model names is taken to be there: for measuring a piece of a model before
    /// its files have arrived.
    pub fn without_checkpoint(options: RecordOptions) -> Self {
        Self { program: Self::nothing(options), checkpoint: None, options }
    }

    fn nothing(options: RecordOptions) -> Rc<RefCell<Program>> {
        Rc::new(RefCell::new(Program { kernels: options.kernels, ..Program::default() }))
    }

    /// Nothing recorded yet, over the same checkpoint: another component of the same model.
    pub fn beside(&self) -> Self {
        Self { program: Self::nothing(self.options), ..self.clone() }
    }

    /// The ops that follow belong to a new graph.
    pub fn begin(&self, name: impl Into<String>) -> GraphId {
        let graphs = &mut self.program.borrow_mut().graphs;
        graphs.push(Graph { name: name.into(), nodes: Vec::new() });
        GraphId(graphs.len() - 1)
    }

    /// A state, zero at first.
    pub fn state(&self, label: impl Into<String>, ty: TensorType) -> Tensor {
        self.slot(label.into(), ty, SlotKind::State)
    }

    /// A constant.
    pub fn constant<T: bytemuck::NoUninit>(&self, label: &str, ty: TensorType, values: &[T]) -> Tensor {
        let bytes = bytemuck::cast_slice::<T, u8>(values).to_vec();
        assert_eq!(bytes.len(), ty.n_bytes(), "constant `{label}` has as many bytes as its type says");
        self.slot(label.into(), ty, SlotKind::Constant(bytes))
    }

    /// The checkpoint from its root.
    pub fn weights(&self) -> Scope {
        Scope { recorder: self.clone(), path: String::new() }
    }

    /// The finished program.
    pub fn finish(&self) -> Program {
        self.program.borrow().clone()
    }

    /// A slot; one that has been recorded with the same label is used again.
    fn slot(&self, label: String, ty: TensorType, kind: SlotKind) -> Tensor {
        let mut program = self.program.borrow_mut();
        let known = program.slots.iter().position(|s| s.label == label);
        let idx = known.unwrap_or_else(|| {
            program.slots.push(Slot { label, ty: ty.clone(), kind });
            program.slots.len() - 1
        });
        assert_eq!(program.slots[idx].ty, ty, "slot `{}` keeps its type", program.slots[idx].label);
        Tensor { recorder: self.clone(), value: Value::Slot(SlotId(idx)), ty }
    }
}

/// A place in the checkpoint's tree of names.
#[derive(Debug, Clone)]
pub struct Scope {
    recorder: Recorder,
    path: String,
}

impl Scope {
    /// A place below this one.
    pub fn scope(&self, name: impl std::fmt::Display) -> Scope {
        Scope { recorder: self.recorder.clone(), path: self.name(name) }
    }

    /// The recorder behind it.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Whether the checkpoint has this tensor.
    pub fn has(&self, name: &str) -> bool {
        self.recorder.checkpoint.as_ref().is_none_or(|checkpoint| checkpoint.get(&self.name(name)).is_some())
    }

    /// The shape of a tensor, where the checkpoint has it.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let checkpoint = self.recorder.checkpoint.as_ref()?;
        checkpoint.get(&self.name(name)).map(|entry| entry.shape.clone())
    }

    /// A table of which single rows are looked up.
    pub fn matrix(&self, name: &str, n_rows: usize, n_cols: usize) -> Result<Tensor> {
        self.rows(&[name], n_rows, n_cols, Role::Lookup)
    }

    /// A table that is looked up and, as a linear map, also gives the logits.
    pub fn tied_table(&self, name: &str, n_rows: usize, n_cols: usize) -> Result<Tensor> {
        self.rows(&[name], n_rows, n_cols, Role::Tied)
    }

    /// Matrices of a linear map, of `n_rows` rows each, one below the other.
    pub fn stacked(&self, names: &[impl AsRef<str>], n_rows: usize, n_cols: usize) -> Result<Tensor> {
        self.rows(names, n_rows, n_cols, Role::Inner)
    }

    fn rows(&self, names: &[impl AsRef<str>], n_rows: usize, n_cols: usize, role: Role) -> Result<Tensor> {
        let mut parts = Vec::new();
        for (idx, name) in names.iter().enumerate() {
            let tensor = self.check(name.as_ref(), &[n_rows, n_cols])?;
            parts.push(WeightPart { tensor, first: idx * n_rows * n_cols, layout: Layout::AsStored });
        }
        let dtype = self.held(role, &parts, n_rows, n_cols);
        let ty = TensorType::new(dtype, [names.len() * n_rows, n_cols]);
        Ok(self.recorder.slot(self.label(names), ty, SlotKind::Weight(parts)))
    }

    /// A matrix, in f32 whatever the checkpoint has: for tables that are added to the residual stream.
    pub fn matrix_f32(&self, name: &str, n_rows: usize, n_cols: usize) -> Result<Tensor> {
        self.widened(name, &[n_rows, n_cols], self.label(&[name]), TensorType::f32([n_rows, n_cols]))
    }

    /// The first row of a matrix, in f32.
    pub fn first_row(&self, name: &str, n_rows: usize, n_cols: usize) -> Result<Tensor> {
        let label = format!("{}[0]", self.label(&[name]));
        self.widened(name, &[n_rows, n_cols], label, TensorType::f32([n_cols]))
    }

    /// A vector, in f32.
    pub fn vector(&self, name: &str, n: usize) -> Result<Tensor> {
        self.widened(name, &[n], self.label(&[name]), TensorType::f32([n]))
    }

    /// Vectors of `n` elements each, one behind the other, in f32; zeros where the checkpoint has none.
    pub fn stacked_vectors(&self, names: &[impl AsRef<str>], n: usize) -> Result<Tensor> {
        let mut parts = Vec::new();
        for (idx, name) in names.iter().enumerate().filter(|(_, name)| self.has(name.as_ref())) {
            let tensor = self.check(name.as_ref(), &[n])?;
            parts.push(WeightPart { tensor, first: idx * n, layout: Layout::AsStored });
        }
        Ok(self.recorder.slot(self.label(names), TensorType::f32([names.len() * n]), SlotKind::Weight(parts)))
    }

    /// A 1-D convolution's kernel `[n_out, n_in, width]` as a matrix `[n_out, width * n_in]`.
    pub fn conv_matrix(&self, name: &str, n_out: usize, n_in: usize, width: usize) -> Result<Tensor> {
        let tensor = self.check(name, &[n_out, n_in, width])?;
        let parts = vec![WeightPart { tensor, first: 0, layout: Layout::ChannelsLast { n_in, width } }];
        let ty = TensorType::new(self.held(Role::Filters, &parts, n_out, width * n_in), [n_out, width * n_in]);
        Ok(self.recorder.slot(self.label(&[name]), ty, SlotKind::Weight(parts)))
    }

    /// A tensor of several dimensions as a matrix with a row for each of the first: a patch convolution's kernel `[n, c, p, p]` as
    /// `[n, c * p * p]`.
    pub fn flattened(&self, name: &str, stored: &[usize]) -> Result<Tensor> {
        let tensor = self.check(name, stored)?;
        let parts = vec![WeightPart { tensor, first: 0, layout: Layout::AsStored }];
        let (n_rows, n_cols) = (stored[0], stored[1..].iter().product());
        let ty = TensorType::new(self.held(Role::Filters, &parts, n_rows, n_cols), [n_rows, n_cols]);
        Ok(self.recorder.slot(self.label(&[name]), ty, SlotKind::Weight(parts)))
    }

    /// Tensors whose last dimension is `n_cols` as rows, one below the other, in f32: class tokens `[1, 1, d]` and their like.
    pub fn rows_f32(&self, named: &[(&str, &[usize])], n_cols: usize) -> Result<Tensor> {
        let mut parts = Vec::new();
        let mut first = 0;
        for (name, stored) in named {
            let tensor = self.check(name, stored)?;
            parts.push(WeightPart { tensor, first, layout: Layout::AsStored });
            first += stored.iter().product::<usize>();
        }
        let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
        let ty = TensorType::f32([first / n_cols, n_cols]);
        Ok(self.recorder.slot(self.label(&names), ty, SlotKind::Weight(parts)))
    }

    /// A table of places, stored in the shape `stored` with `n_cols` elements a place, for pictures of another size.
    pub fn resampled(&self, name: &str, stored: &[usize], n_cols: usize, grid: PositionGrid) -> Result<Tensor> {
        let tensor = self.check(name, stored)?;
        let parts = vec![WeightPart { tensor, first: 0, layout: Layout::Resampled(grid) }];
        let ty = TensorType::f32([grid.n_before + grid.to * grid.to, n_cols]);
        Ok(self.recorder.slot(self.label(&[name]), ty, SlotKind::Weight(parts)))
    }

    /// A slot of f32 filled from the start of one tensor of shape `stored`.
    fn widened(&self, name: &str, stored: &[usize], label: String, ty: TensorType) -> Result<Tensor> {
        let tensor = self.check(name, stored)?;
        let parts = vec![WeightPart { tensor, first: 0, layout: Layout::AsStored }];
        Ok(self.recorder.slot(label, ty, SlotKind::Weight(parts)))
    }

    fn name(&self, name: impl std::fmt::Display) -> String {
        if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) }
    }

    fn label(&self, names: &[impl AsRef<str>]) -> String {
        self.name(names.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("+"))
    }

    /// The full name of a tensor that is there in the expected shape.
    fn check(&self, name: &str, expected: &[usize]) -> Result<String> {
        let name = self.name(name);
        let Some(checkpoint) = &self.recorder.checkpoint else { return Ok(name) };
        let entry = checkpoint.get(&name).ok_or_else(|| Error::MissingTensor { name: name.clone() })?;
        if entry.shape != expected {
            return Err(Error::Shape { name, expected: expected.to_vec(), got: entry.shape.clone() });
        }
        match entry.dtype {
            CheckpointDType::F32 | CheckpointDType::F16 | CheckpointDType::BF16 => Ok(name),
            other => Err(Error::Unsupported(format!("tensor `{name}` has type {other:?}, expected f32, f16 or bf16"))),
        }
    }

    /// The type in which a matrix of these parts is held.
    fn held(&self, role: Role, parts: &[WeightPart], n_rows: usize, n_cols: usize) -> DType {
        // Published checkpoints are f16 where they can be.
        let f16 = |p: &WeightPart| {
            let entry = self.recorder.checkpoint.as_ref().map(|checkpoint| checkpoint.get(&p.tensor));
            entry.is_none_or(|entry| entry.is_some_and(|e| e.dtype == CheckpointDType::F16))
        };
        let stored = if parts.iter().all(f16) { DType::F16 } else { DType::F32 };
        let name = parts.first().map_or("", |part| &part.tensor);
        self.recorder.options.weights.holds(role, name, stored, n_rows, n_cols, parts.len())
    }
}

/// A tensor while recording. The ops add their own methods in their files.
#[derive(Debug, Clone)]
pub struct Tensor {
    recorder: Recorder,
    /// What it is in the graph.
    pub value: Value,
    /// Its type.
    pub ty: TensorType,
}

impl Tensor {
    /// The recorder behind it.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The slot behind it. Panics on an intermediate tensor, which has none.
    pub fn slot(&self) -> SlotId {
        match self.value {
            Value::Slot(id) => id,
            Value::Node(_) => panic!("an intermediate tensor has no slot"),
        }
    }

    /// Makes the op that computed this tensor write it into `state` instead of the arena.
    pub fn store_in(&self, state: &Tensor) -> Result<()> {
        let Value::Node(idx) = self.value else {
            return Err(Error::Internal("only an op's output can be stored".into()));
        };
        if self.ty.n_elements() != state.ty.n_elements() || self.ty.dtype != state.ty.dtype {
            return Err(Error::Shape {
                name: "store".into(),
                expected: state.ty.shape.clone(),
                got: self.ty.shape.clone(),
            });
        }
        let mut program = self.recorder.program.borrow_mut();
        let graph = program.graphs.last_mut().expect("a graph was begun");
        graph.nodes[idx].target = Some(state.slot());
        Ok(())
    }
}

/// Adds an op to the current graph; `None` where it has no output.
pub fn record(op: impl Op + 'static, recorder: &Recorder, inputs: &[Option<&Tensor>]) -> Result<Option<Tensor>> {
    let types: Vec<_> = inputs.iter().map(|t| t.map(|t| &t.ty)).collect();
    let ty = op.output(&types)?;
    let mut program = recorder.program.borrow_mut();
    let graph = program.graphs.last_mut().ok_or_else(|| Error::Internal("no graph was begun".into()))?;
    let inputs = inputs.iter().map(|t| t.map(|t| t.value)).collect();
    graph.nodes.push(Node { op: Rc::new(op), inputs, ty: ty.clone(), target: None });
    let value = Value::Node(graph.nodes.len() - 1);
    Ok(ty.map(|ty| Tensor { recorder: recorder.clone(), value, ty }))
}

/// Adds an op that has an output.
pub fn record_one(op: impl Op + 'static, recorder: &Recorder, inputs: &[Option<&Tensor>]) -> Result<Tensor> {
    record(op, recorder, inputs)?.ok_or_else(|| Error::Internal("an op without an output was used as a value".into()))
}
