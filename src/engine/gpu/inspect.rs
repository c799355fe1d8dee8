//! A graph run node by node on a GPU, and its tensors read between the nodes: what `inspect` holds against the definitions.

use super::session::{GpuSession, take_budget};
use crate::engine::graph::{GraphId, Program, Value};
use crate::engine::inspect::{self, ByNodes, InspectOptions};
use crate::engine::memory::Ledger;
use crate::engine::session::Watch;
use crate::engine::{CancelFlag, Result};
use crate::protocol::TensorCheck;
use std::ops::Range;

impl GpuSession {
    /// Holds nodes of a graph against their definitions. What the graph writes is afterwards as it was before.
    ///
    /// # Errors
    /// [`crate::engine::Error::Input`] where there is no room to put aside what the graph writes.
    pub async fn inspect(&mut self, options: &InspectOptions<'_>, watch: &mut Watch<'_>) -> Result<Vec<TensorCheck>> {
        self.finish_graphs(&[options.graph], &mut |_, _| ()).await?;
        let kept = self.keep(options.graph, options.states, &Ledger::new()).await?;
        let checks = match self.set(options.states) {
            Ok(()) => inspect::by_nodes(self, options, watch).await,
            Err(error) => Err(error),
        };
        self.bring_back(&kept).await?;
        checks
    }
}

impl ByNodes for GpuSession {
    fn program(&self) -> &Program {
        &self.program
    }

    async fn run_nodes(&mut self, graph: GraphId, nodes: Range<usize>, cancel: &CancelFlag) -> Result<()> {
        let plan = &self.plans[graph.0];
        let first = |node: usize| plan.dispatches.partition_point(|dispatch| dispatch.node < node);
        let mut rest = &plan.dispatches[first(nodes.start)..first(nodes.end)];
        while !rest.is_empty() {
            let (n, _) = take_budget(rest, self.gpu.flops_per_submit.get());
            self.submit_pass(&plan.name, &rest[..n], None);
            rest = &rest[n..];
            self.gpu.finish().await?;
            cancel.check()?;
        }
        Ok(())
    }

    async fn read_value(&mut self, graph: GraphId, value: Value) -> Result<Vec<u8>> {
        let recorded = &self.program.graphs[graph.0];
        let places: Vec<(usize, usize)> = match (recorded.slot_of(value), value) {
            (Some(slot), _) => {
                let parts = self.slots[slot.0].1.iter();
                parts.filter_map(|part| Some((part.buffer?, part.bytes.len()))).collect()
            }
            (None, Value::Node(idx)) => {
                let n_bytes = self.program.type_of(recorded, value).n_bytes();
                self.arena[graph.0][idx].output.map(|buffer| (buffer, n_bytes)).into_iter().collect()
            }
            (None, Value::Slot(_)) => unreachable!("a slot is in its place"),
        };
        let mut bytes = Vec::new();
        for (buffer, n_bytes) in places {
            let staging = self.ring.take(&self.gpu, (n_bytes as u64).next_multiple_of(4));
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(&self.buffers[buffer], 0, &staging, 0, staging.size());
            self.gpu.queue.submit([encoder.finish()]);
            bytes.extend_from_slice(&self.gpu.read_mapped(&staging).await?[..n_bytes]);
        }
        Ok(bytes)
    }
}
