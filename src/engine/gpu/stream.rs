//! The window that streamed weights pass through on a GPU.

use super::buffer::Buffer;
use super::device::Gpu;
use crate::engine::backing::Backing;
use crate::engine::graph::{GraphId, SlotId};
use crate::engine::window::{Segment, Streaming};
use crate::engine::{Error, Result};

/// Bytes that are written with one call: the host holds them meanwhile.
const WRITE_BYTES: usize = 4 << 20;

/// Streamed weights: where they are kept, and what of them is in the window.
#[derive(Debug)]
pub(super) struct Stream {
    /// The window among the session's buffers.
    window: usize,
    streaming: Streaming,
    /// Once the model is loaded.
    backing: Option<Backing>,
    /// The segment whose weights are in the window.
    now: Option<(GraphId, usize)>,
}

impl Stream {
    pub fn new(window: usize, streaming: Streaming) -> Self {
        Self { window, streaming, backing: None, now: None }
    }

    /// Whether a slot passes through the window.
    pub fn streams(&self, slot: SlotId) -> bool {
        self.streaming.streams(slot)
    }

    /// Says where the weights are kept.
    pub fn attach(&mut self, backing: Backing) {
        (self.backing, self.now) = (Some(backing), None);
    }

    /// Brings the weights of a segment into the window, unless they are there.
    pub async fn bring(
        &mut self,
        gpu: &Gpu,
        buffers: &[Buffer],
        segment: &Segment,
        name: (GraphId, usize),
    ) -> Result<()> {
        if segment.pieces.is_empty() || self.now == Some(name) {
            return Ok(());
        }
        self.now = None;
        let backing = self.backing.as_mut().ok_or_else(|| Error::Internal("streamed weights have no source".into()))?;
        for (piece, at) in &segment.pieces {
            for from in piece.bytes.clone().step_by(WRITE_BYTES) {
                let to = (from + WRITE_BYTES).min(piece.bytes.end);
                let bytes = backing.read(piece.slot, from..to).await?;
                gpu.write(&buffers[self.window], (at + from - piece.bytes.start) as u64, &bytes);
            }
        }
        self.now = Some(name);
        Ok(())
    }
}
