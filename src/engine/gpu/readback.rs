//! Bytes on their way from the GPU, and the ring of buffers that carries them.

use super::buffer::{Buffer, BufferPlan};
use super::device::Gpu;
use crate::engine::memory::{Ledger, Purpose};
use crate::engine::{Error, Result};
use futures_channel::oneshot;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// Mappable buffers that are free; steady state makes no new ones. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct StagingRing {
    free: Rc<RefCell<Vec<Buffer>>>,
    ledger: Rc<Ledger>,
    /// Whether buffers are kept for the next time: they save a little time and take a little memory.
    keeps: bool,
}

impl StagingRing {
    pub fn new(ledger: &Rc<Ledger>, keeps: bool) -> Self {
        Self { free: Rc::default(), ledger: ledger.clone(), keeps }
    }

    /// A buffer of that size.
    pub fn take(&self, gpu: &Gpu, bytes: u64) -> Buffer {
        let mut free = self.free.borrow_mut();
        match free.iter().position(|buffer| buffer.size() == bytes) {
            Some(idx) => free.swap_remove(idx),
            None => {
                let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
                let plan = BufferPlan { label: "read-back".into(), bytes, purpose: Purpose::Staging, usage };
                plan.make(gpu, &self.ledger)
            }
        }
    }

    fn give_back(&self, buffer: Buffer) {
        if self.keeps {
            self.free.borrow_mut().push(buffer);
        }
    }
}

/// Tells when a buffer is mapped, or why it cannot be.
pub(super) type Mapped = oneshot::Receiver<std::result::Result<(), wgpu::BufferAsyncError>>;

/// Asks for a buffer to be mapped for reading.
pub(super) fn map(staging: &wgpu::Buffer) -> Mapped {
    let (done, mapped) = oneshot::channel();
    staging.map_async(wgpu::MapMode::Read, .., move |result| {
        let _ = done.send(result); // Nobody waits any more: the job was stopped.
    });
    mapped
}

fn failed(message: String) -> Error {
    Error::Gpu { label: "read-back".into(), message }
}

impl Gpu {
    async fn until_mapped(&self, mapped: &mut Mapped) -> Result<()> {
        let mapped = self.wait(mapped).await?.map_err(|_| failed("the buffer was dropped".into()))?;
        self.check()?;
        match mapped {
            Ok(()) => Ok(()),
            Err(error) => Err(self.cause_of(failed(error.to_string())).await),
        }
    }

    /// What a mappable buffer holds when everything submitted so far is done.
    pub(super) async fn read_mapped(&self, staging: &wgpu::Buffer) -> Result<Vec<u8>> {
        self.until_mapped(&mut map(staging)).await?;
        let bytes = staging.get_mapped_range(..).map_err(|e| failed(e.to_string()))?.to_vec();
        staging.unmap();
        Ok(bytes)
    }
}

/// Bytes on their way from the GPU.
#[derive(Debug)]
pub struct Readback {
    pub(super) gpu: Rc<Gpu>,
    /// Taken when the bytes are here. A cancelled job leaves its read-back behind, and the buffer goes with it.
    pub(super) staging: Option<Buffer>,
    pub(super) ranges: Vec<Range<u64>>,
    pub(super) mapped: Mapped,
    pub(super) ring: StagingRing,
}

impl Readback {
    /// The bytes of each slot asked for.
    pub async fn wait(mut self) -> Result<Vec<Vec<u8>>> {
        self.gpu.until_mapped(&mut self.mapped).await?;
        let staging = self.staging.take().ok_or_else(|| failed("the bytes were taken before".into()))?;
        let mut parts = Vec::with_capacity(self.ranges.len());
        for range in self.ranges.iter().filter(|range| !range.is_empty()) {
            let view = staging.get_mapped_range(range.clone()).map_err(|e| failed(e.to_string()))?;
            parts.push(view.to_vec());
        }
        staging.unmap();
        self.ring.give_back(staging);
        Ok(parts)
    }
}
