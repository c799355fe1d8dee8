//! Memory planning by liveness: which intermediate tensors may share a buffer.
//!
//! Whole buffers are shared, not ranges of one: WebGPU forbids a buffer that is read and written by the same dispatch, even
//! where the ranges are apart.

use super::graph::{Graph, Node, Program, Value};
use super::tensor::TensorType;

/// Where the intermediate tensors of a program lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arena {
    /// Sizes of the buffers in bytes.
    pub buffer_bytes: Vec<usize>,
    /// By graph and node.
    pub places: Vec<Vec<Places>>,
}

/// The buffers of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places {
    /// That with its output, `None` where a slot holds it or there is none.
    pub output: Option<usize>,
    /// That with what its first dispatch leaves for a second, where it takes two.
    pub left: Option<usize>,
}

impl Arena {
    /// Plans for all graphs of a program. `is_shared`: tensors that do not live at the same time share a buffer. `left`: bytes that the
    /// first dispatch of a graph's node leaves for a second.
    pub fn of(program: &Program, is_shared: bool, left: impl Fn(usize, usize) -> usize) -> Self {
        let mut buffer_bytes = Vec::new();
        let plan_of = |(idx, graph)| match is_shared {
            true => plan(graph, |node| left(idx, node), &mut buffer_bytes),
            false => plan_apart(graph, |node| left(idx, node), &mut buffer_bytes),
        };
        let places = program.graphs.iter().enumerate().map(plan_of).collect();
        Self { buffer_bytes, places }
    }
}

/// The buffers of each node of `graph`. Uses and grows the buffers of the graphs planned before, given by their sizes in bytes: only one
/// graph runs at a time.
fn plan(graph: &Graph, left: impl Fn(usize) -> usize, buffer_bytes: &mut Vec<usize>) -> Vec<Places> {
    let last_use = last_uses(graph);
    let mut free: Vec<bool> = vec![true; buffer_bytes.len()];
    let mut of_node = vec![Places::default(); graph.nodes.len()];
    for (idx, node) in graph.nodes.iter().enumerate() {
        let mut place = |bytes| take(bytes, buffer_bytes, &mut free);
        let output = arena_bytes(node).map(&mut place);
        let left = Some(left(idx)).filter(|&bytes| bytes > 0).map(place);
        of_node[idx] = Places { output, left };
        // Only now, so that an output never shares a buffer with an input of the same dispatch.
        if let Some(buffer) = left {
            free[buffer] = true;
        }
        for (earlier, places) in of_node.iter().enumerate().take(idx + 1) {
            if let Some(buffer) = places.output
                && last_use[earlier] == idx
            {
                free[buffer] = true;
            }
        }
    }
    of_node
}

/// A buffer of its own for each output, in this graph and all others: what sharing is compared with.
fn plan_apart(graph: &Graph, left: impl Fn(usize) -> usize, buffer_bytes: &mut Vec<usize>) -> Vec<Places> {
    let mut own = |bytes| {
        buffer_bytes.push(bytes);
        buffer_bytes.len() - 1
    };
    let mut places = |(idx, node)| Places {
        output: arena_bytes(node).map(&mut own),
        left: Some(left(idx)).filter(|&bytes| bytes > 0).map(&mut own),
    };
    graph.nodes.iter().enumerate().map(&mut places).collect()
}

/// Bytes of a node's output, unless a slot holds it or there is none.
fn arena_bytes(node: &Node) -> Option<usize> {
    node.ty.as_ref().filter(|_| node.target.is_none()).map(TensorType::n_bytes)
}

/// The smallest free buffer that is large enough, else the largest free one grown, else a new one.
fn take(bytes: usize, buffer_bytes: &mut Vec<usize>, free: &mut Vec<bool>) -> usize {
    let candidates = || (0..free.len()).filter(|&b| free[b]);
    let fitting = candidates().filter(|&b| buffer_bytes[b] >= bytes).min_by_key(|&b| buffer_bytes[b]);
    let chosen = fitting.or_else(|| candidates().max_by_key(|&b| buffer_bytes[b])).unwrap_or_else(|| {
        buffer_bytes.push(0);
        buffer_bytes.len() - 1
    });
    free.resize(buffer_bytes.len(), true);
    free[chosen] = false;
    buffer_bytes[chosen] = buffer_bytes[chosen].max(bytes);
    chosen
}

/// For each node the node that uses its output last (itself where none does).
pub fn last_uses(graph: &Graph) -> Vec<usize> {
    let mut last: Vec<usize> = (0..graph.nodes.len()).collect();
    for (idx, node) in graph.nodes.iter().enumerate() {
        for value in node.inputs.iter().flatten() {
            if let Value::Node(earlier) = value {
                last[*earlier] = idx;
            }
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::check::{floats, recorder};
    use crate::engine::tensor::DType;

    /// x -> norm -> norm -> norm -> norm, and the first norm used once more at the end.
    fn chain() -> Graph {
        let recorder = recorder().expect("an empty checkpoint");
        recorder.begin("chain");
        let x = floats(&recorder, "x", DType::F32, &[4, 8], &[0.5; 32]);
        let w = floats(&recorder, "w", DType::F32, &[8], &[1.0; 8]);
        let norm = |x: &crate::engine::graph::Tensor| x.layer_norm(&w, Some(&w), 1e-5, DType::F32).expect("shapes fit");
        let first = norm(&x);
        let last = norm(&norm(&norm(&first)));
        let square = floats(&recorder, "square", DType::F32, &[8, 8], &[0.1; 64]);
        let residual = crate::engine::ops::linear::LinearOptions { residual: Some(&first), ..Default::default() };
        last.linear(&square, residual).expect("shapes fit");
        recorder.finish().graphs.remove(0)
    }

    #[test]
    fn arena_shares_buffers_but_never_between_an_output_and_what_is_still_needed() {
        let graph = chain();
        let mut bytes = Vec::new();
        let places = plan(&graph, |_| 0, &mut bytes);
        assert_eq!(bytes.len(), 3, "five outputs, three of which live at once");
        let last_use = last_uses(&graph);
        for later in 0..places.len() {
            for earlier in (0..later).filter(|&earlier| last_use[earlier] >= later) {
                assert_ne!(places[earlier], places[later], "node {later} overwrites node {earlier}");
            }
        }
    }

    #[test]
    fn arena_keeps_what_a_first_dispatch_leaves_apart_from_the_node_and_no_longer_than_that() {
        let graph = chain();
        let mut bytes = Vec::new();
        let places = plan(&graph, |node| if node == 1 { 999 } else { 0 }, &mut bytes);
        let left = places[1].left.expect("the second node leaves something");
        assert!(bytes[left] >= 999);
        assert!(places[..2].iter().all(|places| places.output != Some(left)), "{places:?}");
        assert_eq!((bytes.len(), places[2].output), (3, Some(left)), "the third node's output is where it was");
        assert!(places.iter().enumerate().all(|(idx, places)| places.left.is_some() == (idx == 1)), "{places:?}");
        let apart = plan_apart(&graph, |node| if node == 1 { 999 } else { 0 }, &mut Vec::new());
        assert_eq!(apart[1], Places { output: Some(1), left: Some(2) });
    }

    #[test]
    fn arena_uses_the_buffers_of_earlier_graphs_again() {
        let graph = chain();
        let mut bytes = Vec::new();
        plan(&graph, |_| 0, &mut bytes);
        let before = bytes.clone();
        plan(&graph, |_| 0, &mut bytes);
        assert_eq!(bytes, before);
    }
}
