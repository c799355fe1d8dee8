//! What a graph writes, put aside and brought back: for whoever runs a graph only to look at it.

use super::buffer::{Buffer, BufferPlan};
use super::session::GpuSession;
use crate::engine::graph::{GraphId, SlotId};
use crate::engine::memory::{Ledger, Purpose};
use crate::engine::{Error, Result};
use std::rc::Rc;

/// A slot's buffer and a copy of what it held.
pub(super) struct Kept {
    pub of: usize,
    pub copy: Buffer,
}

impl GpuSession {
    /// Copies on the GPU of the slots that a graph writes and of those that are set for it. Intermediate tensors need none: they do not outlive
    /// a run.
    ///
    /// # Errors
    /// [`Error::Input`] where there is no room for them.
    pub(super) async fn keep(
        &self,
        graph: GraphId,
        states: &[(SlotId, Vec<u8>)],
        ledger: &Rc<Ledger>,
    ) -> Result<Vec<Kept>> {
        let mut changed = self.program.graphs[graph.0].written();
        changed.extend(states.iter().map(|(slot, _)| *slot));
        let out_of_memory = self.gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let copy = |of: usize| {
            let (usage, bytes) = (wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST, self.buffers[of].size());
            BufferPlan { label: "kept".into(), bytes, purpose: Purpose::States, usage }.make(&self.gpu, ledger)
        };
        let buffers = changed.into_iter().flat_map(|slot| self.slot_buffers(slot));
        let kept: Vec<Kept> = buffers.map(|of| Kept { of, copy: copy(of) }).collect();
        if let Some(error) = out_of_memory.pop().await {
            // No reason to move the model: it does without.
            return Err(Error::Input(format!("there is no room to put aside what this stage writes ({error})")));
        }
        self.copy_kept(&kept, false);
        Ok(kept)
    }

    /// Overwrites slots for as long as a graph is looked at.
    pub(super) fn set(&self, states: &[(SlotId, Vec<u8>)]) -> Result<()> {
        states.iter().try_for_each(|(slot, bytes)| self.write(*slot, 0, bytes))
    }

    /// Makes the buffers what they were, and waits until they are.
    pub(super) async fn bring_back(&self, kept: &[Kept]) -> Result<()> {
        self.copy_kept(kept, true);
        self.gpu.finish().await
    }

    /// The buffers that hold a slot and nothing else.
    fn slot_buffers(&self, slot: SlotId) -> impl Iterator<Item = usize> + use<'_> {
        self.slots[slot.0].1.iter().filter_map(|part| part.buffer)
    }

    /// Copies from the slots, or `back` to them.
    fn copy_kept(&self, kept: &[Kept], back: bool) {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        for Kept { of, copy } in kept {
            let slot: &wgpu::Buffer = &self.buffers[*of];
            let (from, to): (&wgpu::Buffer, &wgpu::Buffer) = if back { (copy, slot) } else { (slot, copy) };
            encoder.copy_buffer_to_buffer(from, 0, to, 0, copy.size());
        }
        self.gpu.queue.submit([encoder.finish()]);
    }
}
