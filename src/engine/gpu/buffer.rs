//! Buffers that are in the books: the one way in which a session makes them.

use super::device::Gpu;
use crate::engine::memory::{Booking, Ledger, Purpose};
use crate::engine::{Error, Result};
use std::ops::Deref;
use std::rc::Rc;

/// A buffer of a session. It is destroyed when it is dropped: in a browser dropping alone frees nothing until it is collected.
#[derive(Debug)]
pub(super) struct Buffer {
    buffer: wgpu::Buffer,
    _booking: Booking,
}

impl Deref for Buffer {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.buffer.destroy();
    }
}

/// How a buffer of dispatches' parameters is used: see [`super::pipeline::PipelineKey`] for which of the two.
pub(super) const PARAMS_USAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::UNIFORM.union(wgpu::BufferUsages::STORAGE).union(wgpu::BufferUsages::COPY_DST);

/// A buffer that is going to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BufferPlan {
    pub label: String,
    /// A multiple of what its use demands.
    pub bytes: u64,
    pub purpose: Purpose,
    pub usage: wgpu::BufferUsages,
}

impl BufferPlan {
    /// A buffer that kernels read and write, for `bytes` bytes; an error where one may not be so large.
    pub fn storage(label: impl Into<String>, bytes: usize, purpose: Purpose, limit_bytes: u64) -> Result<Self> {
        use wgpu::BufferUsages;
        let (label, size) = (label.into(), padded(bytes));
        if size > limit_bytes.next_multiple_of(16) {
            return Err(Error::OutOfMemory { label, needed_bytes: size, limit_bytes });
        }
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
        Ok(Self { label, bytes: size, purpose, usage })
    }

    /// Makes it.
    pub fn make(&self, gpu: &Gpu, ledger: &Rc<Ledger>) -> Buffer {
        let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(&self.label),
            size: self.bytes,
            usage: self.usage,
            mapped_at_creation: false,
        });
        Buffer { buffer, _booking: ledger.book(self.purpose, self.bytes) }
    }
}

/// Kernels read vectors of 16 bytes; the padding is never looked at.
pub(super) fn padded(bytes: usize) -> u64 {
    (bytes as u64).next_multiple_of(16).max(16)
}
