//! A program on a WebNN context: tensors for what changes, constants for what does not, pieces dispatched in order.
//!
//! A place's newest contents are on the host, in a tensor, or in both; they move only when somebody asks. A state that a piece both
//! reads and writes has two tensors that take turns, since the API allows none to be both in one dispatch. Graphs are built when they
//! first run (or by [`WebNnSession::prepare`]), and a weight's bytes are let go once every graph that holds it is built.

use super::api::{BufferId, BuiltId, GraphSpec, TensorId, Weight};
use super::context::Context;
use super::plan::{Place, Plan, Work, is_constant};
use crate::engine::graph::{GraphId, Program, SlotId, SlotKind};
use crate::engine::lowering::{Element, OperandType};
use crate::engine::memory::{Booking, Ledger, MemoryUse, Purpose};
use crate::engine::op::Operands;
use crate::engine::session::Watch;
use crate::engine::tensor::{HostData, HostTensor, TensorType};
use crate::engine::{Error, Result};
use std::rc::Rc;

/// A program on a WebNN context.
#[derive(Debug)]
pub struct WebNnSession {
    context: Rc<Context>,
    program: Program,
    plan: Plan,
    contents: Vec<Contents>,
    /// By piece, once it is built.
    built: Vec<Option<BuiltId>>,
    ledger: Rc<Ledger>,
    /// What [`WebNnSession::count`] found last.
    bookings: Vec<Booking>,
}

/// What a place holds, and where.
#[derive(Debug)]
struct Contents {
    label: String,
    ty: TensorType,
    /// The host's copy, once it had one.
    host: Option<HostTensor>,
    host_is_fresh: bool,
    /// The tensor, once there was one, and the one that takes turns with it.
    tensors: [Option<TensorId>; 2],
    tensor_is_fresh: bool,
    /// Whether it is a weight, or a constant that no op writes.
    never_changes: bool,
    /// A weight's bytes, until every graph that needs them is built.
    buffer: Option<BufferId>,
}

impl WebNnSession {
    /// What is known of what a program will take: its slots, and what its pieces hand on. Intermediate tensors inside the browser's
    /// graphs are not counted: it does not tell.
    ///
    /// # Errors
    /// Those of [`WebNnSession::compile`].
    pub fn footprint(context: &Rc<Context>, program: &Program) -> Result<MemoryUse> {
        let mut memory = MemoryUse::default();
        for slot in &program.slots {
            let purpose = if matches!(slot.kind, SlotKind::State) { Purpose::States } else { Purpose::Weights };
            memory.add(purpose, slot.ty.n_bytes() as u64);
        }
        for handed_on in &Plan::new(program, &context.limits)?.handed_on {
            memory.add(Purpose::Activations, handed_on.n_bytes() as u64);
        }
        Ok(memory)
    }

    /// Cuts the program into pieces; errors where the context cannot do one of them. Nothing is built yet, since the
    /// weights are still to come.
    pub fn compile(context: &Rc<Context>, program: Program) -> Result<Self> {
        context.check()?;
        let plan = Plan::new(&program, &context.limits)?;
        let handed_on = plan.handed_on.iter().map(|ty| ("handed on", ty));
        let places = program.slots.iter().map(|slot| (slot.label.as_str(), &slot.ty)).chain(handed_on);
        let mut contents: Vec<Contents> = places.map(|(label, ty)| Contents::new(label, ty)).collect();
        for (place, slot) in program.slots.iter().enumerate() {
            contents[place].never_changes = is_constant(&program, place);
            contents[place].host_is_fresh = !matches!(slot.kind, SlotKind::Weight(_));
        }
        let built = vec![None; plan.pieces.len()];
        let (ledger, bookings) = (Ledger::new(), Vec::new());
        let mut session = Self { context: context.clone(), program, plan, contents, built, ledger, bookings };
        session.fill_constants()?;
        session.book();
        Ok(session)
    }

    fn fill_constants(&mut self) -> Result<()> {
        for place in 0..self.program.slots.len() {
            if let SlotKind::Constant(bytes) = &self.program.slots[place].kind {
                let bytes = bytes.clone();
                if self.is_weight(place) {
                    self.write_weight(place, 0, &bytes)?;
                }
                self.contents[place].host_mut().write_bytes(0, &bytes);
            }
        }
        Ok(())
    }

    /// Bytes of tensors, of constants in built graphs, and of weights that wait for graphs; what the API keeps beside them, and
    /// intermediate tensors inside its graphs, it does not tell.
    pub fn memory(&self) -> MemoryUse {
        self.ledger.now()
    }

    /// The books that say so, now and later.
    pub fn ledger(&self) -> Rc<Ledger> {
        self.ledger.clone()
    }

    /// Brings the books up to date.
    fn book(&mut self) {
        // Struck off first, so that nothing is in the books twice.
        self.bookings.clear();
        let ledger = &self.ledger;
        self.bookings = self.count().by_purpose().map(|(purpose, bytes)| ledger.book(purpose, bytes)).collect();
    }

    fn count(&self) -> MemoryUse {
        let mut memory = MemoryUse::default();
        for (place, contents) in self.contents.iter().enumerate() {
            let purpose = match self.program.slots.get(place).map(|slot| &slot.kind) {
                Some(SlotKind::State) => Purpose::States,
                Some(_) => Purpose::Weights,
                None => Purpose::Activations,
            };
            let n_tensors = contents.tensors.iter().flatten().count();
            memory.add(purpose, (contents.tensor_type().n_bytes() * n_tensors) as u64);
            if contents.buffer.is_some() {
                memory.add(Purpose::Weights, contents.ty.n_bytes() as u64);
            }
        }
        let built = self.plan.pieces.iter().zip(&self.built).filter(|(_, built)| built.is_some());
        for &(_, place) in built.flat_map(|(piece, _)| &piece.weights) {
            memory.add(Purpose::Weights, self.contents[place].ty.n_bytes() as u64);
        }
        memory
    }

    /// Dispatches of one run of a graph.
    pub fn n_dispatches(&self, graph: GraphId) -> u32 {
        self.plan.graphs[graph.0].iter().filter(|work| matches!(work, Work::Piece { .. })).count() as u32
    }

    /// Overwrites part of a slot.
    pub fn write(&mut self, slot: SlotId, offset_bytes: usize, bytes: &[u8]) -> Result<()> {
        let place = slot.0;
        if matches!(self.program.slots[place].kind, SlotKind::Weight(_)) {
            return self.write_weight(place, offset_bytes, bytes);
        }
        let contents = &mut self.contents[place];
        let is_whole = offset_bytes == 0 && bytes.len() == contents.ty.n_bytes();
        if !contents.host_is_fresh && !is_whole {
            return Err(Error::Internal(format!("part of `{}` is written, the rest is on the device", contents.label)));
        }
        contents.host_mut().write_bytes(offset_bytes, bytes);
        (contents.host_is_fresh, contents.tensor_is_fresh) = (true, false);
        Ok(())
    }

    /// A slot's bytes.
    pub async fn read(&mut self, slot: SlotId) -> Result<Vec<u8>> {
        self.bring_to_host(slot.0).await?;
        Ok(self.contents[slot.0].host_mut().to_bytes())
    }

    /// Builds what a graph needs.
    pub async fn prepare(&mut self, graph: GraphId) -> Result<()> {
        for step in 0..self.plan.graphs[graph.0].len() {
            if let Work::Piece { piece, .. } = self.plan.graphs[graph.0][step] {
                self.build(piece).await?;
            }
        }
        self.book();
        Ok(())
    }

    /// Runs a graph. Its last dispatch may still be under way when this returns.
    pub async fn run(&mut self, graph: GraphId) -> Result<()> {
        self.context.check()?;
        for step in 0..self.plan.graphs[graph.0].len() {
            match &self.plan.graphs[graph.0][step] {
                Work::Piece { piece, inputs, outputs } => {
                    let (piece, inputs, outputs) = (*piece, inputs.clone(), outputs.clone());
                    self.dispatch(piece, &inputs, &outputs).await?;
                }
                Work::Define { node, inputs, output } => {
                    let (node, inputs, output) = (*node, inputs.clone(), *output);
                    self.define(graph, node, &inputs, output).await?;
                }
            }
        }
        self.book();
        Ok(())
    }

    /// Runs a graph and waits for its end. A graph of the API cannot be stopped on its way.
    pub async fn run_watched(&mut self, graph: GraphId, watch: &mut Watch<'_>) -> Result<()> {
        watch.cancel.check()?;
        self.run(graph).await?;
        // The API does not say when a dispatch is done; a tensor that it wrote can be read only then.
        let written = self.plan.graphs[graph.0].iter().rev().find_map(|work| match work {
            Work::Piece { outputs, .. } => {
                outputs.iter().copied().min_by_key(|&place| self.contents[place].ty.n_bytes())
            }
            Work::Define { .. } => None,
        });
        if let Some(tensor) = written.and_then(|place| self.contents[place].tensors[0]) {
            let read = self.context.api.read_tensor(tensor).await;
            self.context.judged(read).await?;
        }
        watch.progress(1.0)
    }

    /// Whether graphs hold the slot as a constant.
    fn is_weight(&self, place: Place) -> bool {
        self.plan.pieces.iter().any(|piece| piece.weights.iter().any(|&(_, weight)| weight == place))
    }

    fn write_weight(&mut self, place: Place, offset_bytes: usize, bytes: &[u8]) -> Result<()> {
        let contents = &mut self.contents[place];
        let buffer = match contents.buffer {
            Some(buffer) => buffer,
            None => {
                let buffer = *contents.buffer.insert(self.context.api.create_buffer(contents.ty.n_bytes())?);
                self.book();
                buffer
            }
        };
        self.context.api.write_buffer(buffer, offset_bytes, bytes)
    }

    /// Builds a piece that is not built yet.
    async fn build(&mut self, idx: usize) -> Result<BuiltId> {
        if let Some(built) = self.built[idx] {
            return Ok(built);
        }
        let piece = &self.plan.pieces[idx];
        let weight = |&(operand, place): &(_, Place)| {
            let contents = &self.contents[place];
            Ok((operand, contents.weight()?))
        };
        let weights = piece.weights.iter().map(weight).collect::<Result<_>>()?;
        let spec = GraphSpec { label: &piece.label, lowering: &piece.lowering, weights, outputs: &piece.outputs };
        let built = self.context.api.build(&spec).await;
        let built = self.context.judged(built).await?;
        self.built[idx] = Some(built);
        for place in 0..self.program.slots.len() {
            self.release(place);
        }
        Ok(built)
    }

    /// Lets a weight's bytes go if nobody will ask for them.
    fn release(&mut self, place: Place) {
        let waits = self
            .plan
            .pieces
            .iter()
            .zip(&self.built)
            .any(|(piece, built)| built.is_none() && piece.weights.iter().any(|&(_, weight)| weight == place));
        let is_read = self.contents[place].tensors[0].is_none() && self.is_input(place);
        if !waits
            && !is_read
            && let Some(buffer) = self.contents[place].buffer.take()
        {
            self.context.api.destroy_buffer(buffer);
        }
    }

    /// Whether a piece or a definition takes the place as a tensor.
    fn is_input(&self, place: Place) -> bool {
        self.plan.graphs.iter().flatten().any(|work| match work {
            Work::Piece { inputs, .. } => inputs.contains(&place),
            Work::Define { inputs, .. } => inputs.contains(&Some(place)),
        })
    }

    async fn dispatch(&mut self, piece: usize, inputs: &[Place], outputs: &[Place]) -> Result<()> {
        let built = self.build(piece).await?;
        let mut read = Vec::with_capacity(inputs.len());
        for (&operand, &place) in self.plan.pieces[piece].inputs.clone().iter().zip(inputs) {
            read.push((operand, self.bring_to_tensor(place).await?));
        }
        let mut written = Vec::with_capacity(outputs.len());
        for (&operand, &place) in self.plan.pieces[piece].outputs.clone().iter().zip(outputs) {
            if inputs.contains(&place) {
                self.contents[place].tensors.swap(0, 1);
            }
            written.push((operand, self.tensor(place).await?));
            let contents = &mut self.contents[place];
            (contents.tensor_is_fresh, contents.host_is_fresh) = (true, false);
        }
        let dispatched = self.context.api.dispatch(built, &read, &written);
        self.context.judged(dispatched).await
    }

    /// The tensor of a place, whatever it holds.
    async fn tensor(&mut self, place: Place) -> Result<TensorId> {
        if let Some(tensor) = self.contents[place].tensors[0] {
            return Ok(tensor);
        }
        let ty = self.contents[place].tensor_type();
        let tensor = self.context.api.create_tensor(&ty).await;
        let tensor = self.context.judged(tensor).await?;
        self.contents[place].tensors[0] = Some(tensor);
        Ok(tensor)
    }

    /// The tensor of a place with its newest contents.
    async fn bring_to_tensor(&mut self, place: Place) -> Result<TensorId> {
        let tensor = self.tensor(place).await?;
        let contents = &mut self.contents[place];
        if !contents.tensor_is_fresh {
            contents.tensor_is_fresh = true;
            let written = match contents.host_is_fresh {
                true => self.context.api.write_tensor(tensor, &contents.bytes()),
                false => self.context.api.write_weight(tensor, contents.weight()?),
            };
            self.context.judged(written).await?;
            self.release(place);
        }
        Ok(tensor)
    }

    /// Brings a place's newest contents to the host.
    async fn bring_to_host(&mut self, place: Place) -> Result<()> {
        let contents = &self.contents[place];
        if contents.host_is_fresh {
            return Ok(());
        }
        let tensor = contents.tensors[0].ok_or_else(|| Error::Internal(format!("`{}` is nowhere", contents.label)))?;
        let bytes = self.context.api.read_tensor(tensor).await;
        let bytes = self.context.judged(bytes).await?;
        let contents = &mut self.contents[place];
        contents.host_mut().write_bytes(0, &bytes);
        contents.host_is_fresh = true;
        Ok(())
    }

    /// Runs a node by its definition, as the plain device does.
    async fn define(
        &mut self,
        graph: GraphId,
        node: usize,
        inputs: &[Option<Place>],
        output: Option<Place>,
    ) -> Result<()> {
        for &place in inputs.iter().flatten() {
            self.bring_to_host(place).await?;
            self.contents[place].host_mut();
        }
        let node = &self.program.graphs[graph.0].nodes[node];
        let written: Vec<Place> = node.op.writes().iter().filter_map(|&input| inputs[input]).collect();
        // What the op writes is taken out of its place for the call, so that everything else can be lent to it.
        let mut take = |place: Place| {
            let contents = &mut self.contents[place];
            (contents.host_is_fresh, contents.tensor_is_fresh) = (true, false);
            contents.host.take().unwrap_or_else(|| HostTensor::zeros(contents.ty.clone()))
        };
        let mut states: Vec<HostTensor> = written.iter().map(|&place| take(place)).collect();
        let mut result = output.map(|place| HostTensor::zeros(take(place).ty));
        let lent = |(input, place): (usize, &Option<Place>)| {
            place.filter(|_| !node.op.writes().contains(&input)).and_then(|place| self.contents[place].host.as_ref())
        };
        let inputs = inputs.iter().enumerate().map(lent).collect();
        node.op.define(Operands { inputs, states: &mut states, output: result.as_mut() });
        for (place, tensor) in written.into_iter().zip(states).chain(output.zip(result)) {
            self.contents[place].host = Some(tensor);
        }
        Ok(())
    }
}

impl Contents {
    /// Zero, on the host.
    fn new(label: &str, ty: &TensorType) -> Self {
        Self {
            label: label.into(),
            ty: ty.clone(),
            host: None,
            host_is_fresh: true,
            tensors: [None; 2],
            tensor_is_fresh: false,
            never_changes: false,
            buffer: None,
        }
    }

    fn host_mut(&mut self) -> &mut HostTensor {
        let ty = &self.ty;
        self.host.get_or_insert_with(|| HostTensor::zeros(ty.clone()))
    }

    /// The type of its tensors. Weights are wide there.
    fn tensor_type(&self) -> OperandType {
        let ty = OperandType::from(&self.ty);
        match self.never_changes && ty.element == Element::F16 {
            true => OperandType::new(Element::F32, ty.shape),
            false => ty,
        }
    }

    fn weight(&self) -> Result<Weight> {
        let missing = || Error::Internal(format!("`{}` is needed and was not written", self.label));
        Ok(Weight { buffer: self.buffer.ok_or_else(missing)?, stored: OperandType::from(&self.ty).element })
    }

    /// The host's bytes as its tensors hold them; zeros where it never had any.
    fn bytes(&self) -> Vec<u8> {
        match &self.host {
            // The host holds floats of every width as f32.
            Some(HostTensor { data: HostData::F32(values), .. }) if self.tensor_type().element == Element::F32 => {
                bytemuck::cast_slice(values).to_vec()
            }
            Some(host) => host.to_bytes(),
            None => vec![0; self.tensor_type().n_bytes()],
        }
    }
}

impl Drop for WebNnSession {
    fn drop(&mut self) {
        // In a browser they would live on until they are collected.
        let api = &self.context.api;
        for contents in &self.contents {
            contents.tensors.iter().flatten().for_each(|&tensor| api.destroy_tensor(tensor));
            contents.buffer.iter().for_each(|&buffer| api.destroy_buffer(buffer));
        }
        self.built.iter().flatten().for_each(|&graph| api.destroy_graph(graph));
    }
}
