//! A graph run node by node on the processor, and its tensors read between the nodes: what `inspect` holds against the definitions.

use super::{CpuSession, SLICE_MS};
use crate::engine::graph::{GraphId, Program, SlotId, Value};
use crate::engine::inspect::{self, ByNodes, InspectOptions};
use crate::engine::session::Watch;
use crate::engine::{CancelFlag, Result, edge};
use crate::protocol::TensorCheck;
use std::ops::Range;

impl CpuSession {
    /// Holds nodes of a graph against their definitions. What the graph writes is afterwards as it was before.
    pub async fn inspect(&mut self, options: &InspectOptions<'_>, watch: &mut Watch<'_>) -> Result<Vec<TensorCheck>> {
        let mut changed = self.program.graphs[options.graph.0].written();
        changed.extend(options.states.iter().map(|(slot, _)| *slot));
        let kept = changed.into_iter().map(|slot| Ok((slot, self.read(slot)?))).collect::<Result<Vec<_>>>()?;
        let checks = match self.write_all(options.states) {
            Ok(()) => inspect::by_nodes(self, options, watch).await,
            Err(error) => Err(error),
        };
        self.write_all(&kept)?;
        checks
    }

    fn write_all(&mut self, slots: &[(SlotId, Vec<u8>)]) -> Result<()> {
        slots.iter().try_for_each(|(slot, bytes)| self.write(*slot, 0, bytes))
    }
}

impl ByNodes for CpuSession {
    fn program(&self) -> &Program {
        &self.program
    }

    async fn run_nodes(&mut self, graph: GraphId, nodes: Range<usize>, cancel: &CancelFlag) -> Result<()> {
        let plan = &self.plans[graph.0];
        // A step for each node.
        let mut steps = nodes;
        while !steps.is_empty() {
            let slice = plan.slice(steps.clone(), (self.flops_per_ms * SLICE_MS) as u64);
            self.heap.run(plan.part(&slice))?;
            steps.start = slice.end;
            edge::give_way().await;
            cancel.check()?;
        }
        Ok(())
    }

    async fn read_value(&mut self, graph: GraphId, value: Value) -> Result<Vec<u8>> {
        match (self.program.graphs[graph.0].slot_of(value), value) {
            (Some(slot), _) => self.read(slot),
            (None, Value::Node(idx)) => {
                Ok(self.arena[graph.0][idx].map(|place| self.heap.read(place)).unwrap_or_default())
            }
            (None, Value::Slot(_)) => unreachable!("a slot is in its place"),
        }
    }
}
