//! What is in memory now. It is read from the sessions' books, so that no running job is waited for.

use super::Worker;
use crate::engine::memory::{host_bytes, of_all_sessions, sum};
use crate::protocol::{MemoryReport, PipelineMemory};

impl Worker {
    /// Bytes of each model and of the engine.
    pub(super) fn memory(&self) -> MemoryReport {
        let models = self.models.borrow();
        let each = models.iter().map(|(&pipeline, loaded)| {
            let info = loaded.info.borrow();
            let bytes = sum(&*loaded.ledgers.borrow()).into();
            PipelineMemory { pipeline, model: info.model.id.clone(), backend: info.backend, bytes }
        });
        let mut pipelines: Vec<_> = each.collect();
        pipelines.sort_by_key(|each| each.pipeline);
        MemoryReport { pipelines, all: of_all_sessions().into(), engine_bytes: host_bytes() }
    }
}
