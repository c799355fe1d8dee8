//! The numbers inside a model: what a device computes at a graph's nodes, held against the nodes' definitions.
//!
//! A graph runs on the device up to a node; the node's inputs are read as they are then, the node runs, and what it wrote is read. The definition
//! gets the very inputs that the device had, so an error shows at the node where it arises and at none after it. What is far apart is for the
//! reader to say: here are only figures. How a device runs a part of a graph is its own matter ([`ByNodes`]).

use super::graph::{GraphId, Node, Program, SlotId, Value};
use super::model::Model;
use super::session::Watch;
use super::tensor::{HostData, HostTensor};
use super::{CancelFlag, Error, Result, edge, plain};
use crate::protocol::{Difference, GraphNodes, NodeInfo, TensorCheck, TensorStatistics};
use std::collections::BTreeSet;
use std::ops::Range;

/// What is looked at.
pub struct InspectOptions<'a> {
    /// The graph.
    pub graph: GraphId,
    /// Which of its nodes.
    pub nodes: &'a BTreeSet<usize>,
    /// Slots that are overwritten for as long as it lasts, whole or from their start: a decoder in the middle of a text.
    pub states: &'a [(SlotId, Vec<u8>)],
}

/// A device that runs a part of a graph and tells what is in its memory then.
pub(super) trait ByNodes {
    /// What was compiled.
    fn program(&self) -> &Program;

    /// Runs these nodes, after all before them.
    async fn run_nodes(&mut self, graph: GraphId, nodes: Range<usize>, cancel: &CancelFlag) -> Result<()>;

    /// A value's bytes as they are now.
    async fn read_value(&mut self, graph: GraphId, value: Value) -> Result<Vec<u8>>;
}

/// Runs a graph once, as far as the last chosen node, and holds each chosen node against its definition on the way.
pub(super) async fn by_nodes(
    device: &mut impl ByNodes,
    options: &InspectOptions<'_>,
    watch: &mut Watch<'_>,
) -> Result<Vec<TensorCheck>> {
    let (graph, n_nodes) = (options.graph, options.nodes.len());
    let mut checks = Vec::new();
    let mut next = 0;
    for (n_done, &idx) in options.nodes.iter().enumerate() {
        device.run_nodes(graph, next..idx, watch.cancel).await?;
        checks.extend(check_node(device, graph, idx, watch.cancel).await?);
        next = idx + 1;
        // A definition can take seconds.
        edge::give_way().await;
        watch.progress((n_done + 1) as f32 / n_nodes as f32)?;
    }
    Ok(checks)
}

/// Runs a node and its definition; gives what it wrote, the output first.
async fn check_node(
    device: &mut impl ByNodes,
    graph: GraphId,
    idx: usize,
    cancel: &CancelFlag,
) -> Result<Vec<TensorCheck>> {
    let node = device.program().graphs[graph.0].nodes[idx].clone();
    let written: Vec<Value> = node.op.writes().iter().filter_map(|&input| node.inputs[input]).collect();
    let mut inputs = Vec::with_capacity(node.inputs.len());
    for (input, value) in node.inputs.iter().enumerate() {
        inputs.push(match value {
            Some(value) if !node.op.writes().contains(&input) => Some(held(device, graph, *value).await?),
            _ => None,
        });
    }
    let mut states = Vec::with_capacity(written.len());
    for value in &written {
        states.push(held(device, graph, *value).await?);
    }
    device.run_nodes(graph, idx..idx + 1, cancel).await?;
    let output = plain::define(&node, inputs.iter().map(Option::as_ref).collect(), &mut states);
    let mut checks = Vec::new();
    for (value, definition) in
        output.iter().map(|output| (Value::Node(idx), output)).chain(written.into_iter().zip(&states))
    {
        let mut computed = HostTensor::zeros(definition.ty.clone());
        computed.write_bytes(0, &device.read_value(graph, value).await?);
        let program = device.program();
        let slot = program.graphs[graph.0].slot_of(value);
        checks.push(check(&node, idx, label(program, slot), &computed, definition));
    }
    Ok(checks)
}

/// A value as the device has it now.
async fn held(device: &mut impl ByNodes, graph: GraphId, value: Value) -> Result<HostTensor> {
    let bytes = device.read_value(graph, value).await?;
    let program = device.program();
    let recorded = &program.graphs[graph.0];
    let ty = match recorded.slot_of(value) {
        Some(slot) => &program.slots[slot.0].ty,
        None => program.type_of(recorded, value),
    };
    let mut tensor = HostTensor::zeros(ty.clone());
    tensor.write_bytes(0, &bytes);
    Ok(tensor)
}

fn label(program: &Program, slot: Option<SlotId>) -> String {
    slot.map_or_else(|| "output".into(), |slot| program.slots[slot.0].label.clone())
}

fn sizes(shape: &[usize]) -> Vec<u32> {
    shape.iter().map(|&size| size as u32).collect()
}

fn check(node: &Node, idx: usize, tensor: String, device: &HostTensor, definition: &HostTensor) -> TensorCheck {
    let (n_unlike, difference) = compare(device, definition);
    TensorCheck {
        node: idx as u32,
        op: node.op.name().into(),
        tensor,
        shape: sizes(&definition.ty.shape),
        dtype: definition.ty.dtype.name().into(),
        device: statistics(&device.data),
        definition: statistics(&definition.data),
        n_unlike,
        difference,
    }
}

fn values(data: &HostData) -> impl Iterator<Item = f64> + '_ {
    (0..data.n_elements()).map(|idx| data.at(idx))
}

/// What is in a tensor.
pub fn statistics(data: &HostData) -> TensorStatistics {
    let (mut n_nan, mut n_infinite, mut n_finite) = (0, 0, 0u64);
    let (mut min, mut max, mut sum) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
    for value in values(data) {
        match value {
            value if value.is_nan() => n_nan += 1,
            value if value.is_infinite() => n_infinite += 1,
            value => (n_finite, min, max, sum) = (n_finite + 1, min.min(value), max.max(value), sum + value),
        }
    }
    let known = |figure: f64| (n_finite > 0).then_some(figure);
    TensorStatistics { min: known(min), max: known(max), mean: known(sum / n_finite as f64), n_nan, n_infinite }
}

/// How many elements are NaN or infinite on one side and something else on the other, and where the others are farthest apart.
fn compare(device: &HostTensor, definition: &HostTensor) -> (u32, Option<Difference>) {
    let (mut n_unlike, mut largest, mut magnitude) = (0, None::<(usize, f64)>, 0.0f64);
    for (idx, (got, expected)) in values(&device.data).zip(values(&definition.data)).enumerate() {
        if expected.is_finite() {
            magnitude = magnitude.max(expected.abs());
        }
        let apart = (got - expected).abs();
        match got.is_finite() && expected.is_finite() {
            true if largest.is_none_or(|(_, most)| apart > most) => largest = Some((idx, apart)),
            true => {}
            false => n_unlike += u32::from(got != expected && !(got.is_nan() && expected.is_nan())),
        }
    }
    let difference = largest.map(|(idx, absolute)| Difference {
        place: place(idx, &definition.ty.shape),
        device: device.data.at(idx),
        definition: definition.data.at(idx),
        absolute,
        relative: match magnitude > 0.0 {
            true => Some(absolute / magnitude),
            false => (absolute == 0.0).then_some(0.0),
        },
    });
    (n_unlike, difference)
}

/// An element's index in each dimension.
fn place(mut idx: usize, shape: &[usize]) -> Vec<u32> {
    let mut place = vec![0; shape.len()];
    for (at, &size) in place.iter_mut().zip(shape).rev() {
        (*at, idx) = ((idx % size) as u32, idx / size);
    }
    place
}

fn nodes_of(program: &Program, graph: GraphId) -> GraphNodes {
    let recorded = &program.graphs[graph.0];
    let info = |node: &Node| NodeInfo {
        op: node.op.name().into(),
        shape: node.ty.as_ref().map(|ty| sizes(&ty.shape)).unwrap_or_default(),
        dtype: node.ty.as_ref().map_or("", |ty| ty.dtype.name()).into(),
        states: recorded.written_by(node).into_iter().map(|slot| label(program, Some(slot))).collect(),
    };
    GraphNodes { graph: recorded.name.clone(), nodes: recorded.nodes.iter().map(info).collect() }
}

/// The numbers that are asked for, each once; all where none is named.
fn chosen(asked: Option<&[u32]>, graph: &GraphNodes) -> Result<BTreeSet<usize>> {
    let n_nodes = graph.nodes.len();
    let Some(asked) = asked else { return Ok((0..n_nodes).collect()) };
    if asked.is_empty() {
        return Err(Error::Input(format!("no node of `{}` is named; it has {n_nodes}", graph.graph)));
    }
    match asked.iter().find(|&&node| node as usize >= n_nodes) {
        Some(node) => {
            let last = n_nodes.saturating_sub(1);
            Err(Error::Input(format!("`{}` has no node {node}; its nodes are 0 to {last}", graph.graph)))
        }
        None => Ok(asked.iter().map(|&node| node as usize).collect()),
    }
}

impl Model {
    /// The graphs of its stages and their nodes, in the order in which they run.
    ///
    /// # Errors
    /// Those of [`super::session::Session::inspectable`].
    pub fn nodes(&mut self) -> Result<Vec<GraphNodes>> {
        let mut graphs = Vec::new();
        for (session, stages) in self.stages(false) {
            let program = session.inspectable()?;
            graphs.extend(stages.iter().map(|(graph, _)| nodes_of(program, *graph)));
        }
        Ok(graphs)
    }

    /// Holds nodes of a stage against their definitions, all where none is named. Inputs are what was computed last, zeros before the first run;
    /// a decoder stands in the middle of a text, as when it is timed. The model is afterwards what it was before.
    ///
    /// # Errors
    /// Those of [`super::session::Session::inspectable`]; [`Error::Input`] for a graph or a node that is not there.
    pub async fn inspect(
        &mut self,
        graph: &str,
        nodes: Option<&[u32]>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<TensorCheck>> {
        let mut known = Vec::new();
        for (session, stages) in self.stages(false) {
            for (id, states) in stages {
                let of_graph = nodes_of(session.inspectable()?, id);
                if of_graph.graph == graph {
                    let nodes = chosen(nodes, &of_graph)?;
                    return session.inspect(&InspectOptions { graph: id, nodes: &nodes, states: &states }, watch).await;
                }
                known.push(of_graph.graph);
            }
        }
        Err(Error::Input(format!("this model has no graph `{graph}`; it has {}", known.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tensor::TensorType;

    fn tensor(shape: &[usize], values: &[f32]) -> HostTensor {
        HostTensor { ty: TensorType::f32(shape), data: HostData::F32(values.to_vec()) }
    }

    #[test]
    fn figures_are_of_the_finite_elements_and_the_others_are_counted() {
        let figures = statistics(&HostData::F32(vec![f32::NAN, -3.0, f32::INFINITY, 5.0, f32::NEG_INFINITY, 1.0]));
        let expected = TensorStatistics { min: Some(-3.0), max: Some(5.0), mean: Some(1.0), n_nan: 1, n_infinite: 2 };
        assert_eq!(figures, expected);
        let nothing = statistics(&HostData::F32(vec![f32::NAN]));
        assert_eq!((nothing.min, nothing.max, nothing.mean, nothing.n_nan), (None, None, None, 1));
        // Sums of integers do not wrap.
        assert_eq!(statistics(&HostData::U32(vec![u32::MAX, u32::MAX])).mean, Some(f64::from(u32::MAX)));
    }

    #[test]
    fn the_farthest_element_is_found_with_its_place() {
        let definition = tensor(&[2, 3], &[0.0, 8.0, 1.0, 2.0, 3.0, 4.0]);
        let device = tensor(&[2, 3], &[0.0, 8.5, 1.0, 2.0, 5.0, 4.0]);
        let (n_unlike, difference) = compare(&device, &definition);
        let difference = difference.expect("elements are finite");
        assert_eq!((n_unlike, difference.place), (0, vec![1, 1]));
        assert_eq!((difference.device, difference.definition, difference.absolute), (5.0, 3.0, 2.0));
        assert_eq!(difference.relative, Some(0.25));
    }

    #[test]
    fn what_is_no_number_on_one_side_is_unlike_and_on_both_sides_alike() {
        let (nan, infinite) = (f32::NAN, f32::INFINITY);
        let definition = tensor(&[6], &[nan, infinite, infinite, 1.0, nan, 2.0]);
        let device = tensor(&[6], &[nan, infinite, -infinite, nan, 0.0, 2.0]);
        let (n_unlike, difference) = compare(&device, &definition);
        assert_eq!(n_unlike, 3);
        assert_eq!(difference.map(|difference| (difference.place, difference.absolute)), Some((vec![5], 0.0)));
        assert_eq!(compare(&tensor(&[1], &[nan]), &tensor(&[1], &[nan])), (0, None));
    }

    #[test]
    fn beside_nothing_but_zeros_a_difference_has_no_share() {
        let zeros = tensor(&[2], &[0.0, 0.0]);
        let relative = |values| compare(&tensor(&[2], values), &zeros).1.map(|difference| difference.relative);
        assert_eq!(relative(&[0.0, 0.0]), Some(Some(0.0)));
        assert_eq!(relative(&[0.0, 1.0]), Some(None));
    }
}
