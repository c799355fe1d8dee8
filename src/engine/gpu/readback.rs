//! Bytes on their way from the GPU, and the ring of buffers that carries them.

use super::device::Gpu;
use crate::engine::{Error, Result};
use futures_channel::oneshot;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// Mappable buffers that are free; steady state makes no new ones.
pub(super) type StagingRing = Rc<RefCell<Vec<wgpu::Buffer>>>;

/// Bytes on their way from the GPU.
#[derive(Debug)]
pub struct Readback {
    pub(super) gpu: Rc<Gpu>,
    /// Taken when the bytes are here.
    pub(super) staging: Option<wgpu::Buffer>,
    pub(super) ranges: Vec<Range<u64>>,
    pub(super) mapped: oneshot::Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
    pub(super) ring: StagingRing,
}

impl Readback {
    /// The bytes of each slot asked for.
    pub async fn wait(mut self) -> Result<Vec<Vec<u8>>> {
        let failed = |message: String| Error::Gpu { label: "read-back".into(), message };
        let mapped = self.gpu.wait(&mut self.mapped).await?.map_err(|_| failed("the buffer was dropped".into()))?;
        self.gpu.check()?;
        if let Err(e) = mapped {
            return Err(self.gpu.cause_of(failed(e.to_string())).await);
        }
        let staging = self.staging.take().ok_or_else(|| failed("the bytes were taken before".into()))?;
        let mut parts = Vec::with_capacity(self.ranges.len());
        for range in self.ranges.iter().filter(|range| !range.is_empty()) {
            let view = staging.get_mapped_range(range.clone()).map_err(|e| failed(e.to_string()))?;
            parts.push(view.to_vec());
        }
        staging.unmap();
        self.ring.borrow_mut().push(staging);
        Ok(parts)
    }
}

impl Drop for Readback {
    fn drop(&mut self) {
        // A cancelled job leaves its read-back behind; in a browser nothing else would free the buffer.
        if let Some(staging) = &self.staging {
            staging.destroy();
        }
    }
}
