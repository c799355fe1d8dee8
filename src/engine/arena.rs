//! Memory planning by liveness: which intermediate tensors may share a buffer.
//!
//! Whole buffers are shared, not ranges of one: WebGPU forbids a buffer that is read and written by the same dispatch, even
//! where the ranges are apart.

use super::graph::{Graph, Node, Program, Value};

/// Where the intermediate tensors of a program lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arena {
    /// Sizes of the buffers in bytes.
    pub buffer_bytes: Vec<usize>,
    /// For each graph and node the buffer that holds its output, `None` where a slot does or there is none.
    pub places: Vec<Vec<Option<usize>>>,
}

impl Arena {
    /// Plans for all graphs of a program. `is_shared`: tensors that do not live at the same time share a buffer.
    pub fn of(program: &Program, is_shared: bool) -> Self {
        let mut buffer_bytes = Vec::new();
        let plan = if is_shared { plan } else { plan_apart };
        let places = program.graphs.iter().map(|graph| plan(graph, &mut buffer_bytes)).collect();
        Self { buffer_bytes, places }
    }
}

/// For each node of `graph` the buffer that holds its output, `None` where a slot does or there is none. Uses and grows the
/// buffers of the graphs planned before, given by their sizes in bytes: only one graph runs at a time.
pub fn plan(graph: &Graph, buffer_bytes: &mut Vec<usize>) -> Vec<Option<usize>> {
    let last_use = last_uses(graph);
    let mut free: Vec<bool> = vec![true; buffer_bytes.len()];
    let mut of_node: Vec<Option<usize>> = vec![None; graph.nodes.len()];
    for (idx, node) in graph.nodes.iter().enumerate() {
        if let (Some(ty), None) = (&node.ty, node.target) {
            of_node[idx] = Some(take(ty.n_bytes(), buffer_bytes, &mut free));
        }
        // Only now, so that an output never shares a buffer with an input of the same dispatch.
        for (earlier, buffer) in of_node.iter().enumerate().take(idx + 1) {
            if let Some(buffer) = buffer
                && last_use[earlier] == idx
            {
                free[*buffer] = true;
            }
        }
    }
    of_node
}

/// A buffer of its own for each output, in this graph and all others: what sharing is compared with.
fn plan_apart(graph: &Graph, buffer_bytes: &mut Vec<usize>) -> Vec<Option<usize>> {
    let own = |node: &Node| match (&node.ty, node.target) {
        (Some(ty), None) => {
            buffer_bytes.push(ty.n_bytes());
            Some(buffer_bytes.len() - 1)
        }
        _ => None,
    };
    graph.nodes.iter().map(own).collect()
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
        let places = plan(&graph, &mut bytes);
        assert_eq!(bytes.len(), 3, "five outputs, three of which live at once");
        let last_use = last_uses(&graph);
        for later in 0..places.len() {
            for earlier in (0..later).filter(|&earlier| last_use[earlier] >= later) {
                assert_ne!(places[earlier], places[later], "node {later} overwrites node {earlier}");
            }
        }
    }

    #[test]
    fn arena_uses_the_buffers_of_earlier_graphs_again() {
        let graph = chain();
        let mut bytes = Vec::new();
        plan(&graph, &mut bytes);
        let before = bytes.clone();
        plan(&graph, &mut bytes);
        assert_eq!(bytes, before);
    }
}
