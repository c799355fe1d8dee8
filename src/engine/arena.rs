//! Memory planning by liveness: which intermediate tensors may share a buffer.
//!
//! Whole buffers are shared, not ranges of one: WebGPU forbids a buffer that is read and written by the same dispatch, even
//! where the ranges are apart.

use super::graph::{Graph, Value};

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
