//! The numbers inside a loaded model, held against the definitions of its ops.

use super::Worker;
use super::parts::Part;
use crate::engine::{CancelFlag, Result};
use crate::protocol::{Event, Inspection, JobId, PipelineId};

impl Worker {
    /// The nodes of a loaded model's graphs.
    pub(super) async fn nodes(&self, job: JobId, pipeline: PipelineId, cancel: &CancelFlag) -> Result<Event> {
        let graphs = self.on_model(job, pipeline, Part::All, cancel, async |model| model.nodes()).await?;
        Ok(Event::Nodes { job, graphs })
    }

    /// Nodes of one graph beside their definitions: all, or those that are named.
    pub(super) async fn inspect(
        &self,
        job: JobId,
        pipeline: PipelineId,
        (graph, nodes): (String, Option<Vec<u32>>),
        cancel: &CancelFlag,
    ) -> Result<Event> {
        let checks = self
            .on_batch(job, pipeline, Part::All, 100, cancel, async |model, watch| {
                model.inspect(&graph, nodes.as_deref(), watch).await
            })
            .await?;
        let model = self.model(pipeline)?.info.borrow().model.id.clone();
        Ok(Event::Inspected { job, inspection: Inspection { pipeline, model, graph, checks } })
    }
}
