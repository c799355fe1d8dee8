//! Weights that pass through a window: which of a program's weights stay in the device's memory, and in what portions the others
//! come by.
//!
//! A graph's dispatches are cut into consecutive segments whose weights fit the window together. Before a segment runs, its weights
//! are written over those of the one before; where they lie meanwhile is the business of [`super::backing`].

use super::graph::{Program, SlotId, SlotKind, Value};
use super::{Error, Result};
use std::ops::Range;

/// Pieces in the window begin at multiples of this: what any GPU's bindings and any processor's cache lines ask for.
pub const ALIGN: usize = 256;

/// Weights up to this size always stay: norms and biases are many, and together they are little.
const SMALL_BYTES: usize = 64 << 10;

/// How large a piece of a divisible weight may be, the largest first: few pieces are fast, small ones need little memory.
const PIECE_BYTES: [usize; 4] = [16 << 20, 4 << 20, 1 << 20, 256 << 10];

/// Which weights of a program pass through a window of which size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Streaming {
    /// By slot; none where the list is empty.
    pub is_streamed: Vec<bool>,
    /// Size of the window.
    pub window_bytes: usize,
    /// The largest piece of a weight that a device may divide.
    pub piece_bytes: usize,
}

impl Streaming {
    /// Whether a slot passes through the window.
    pub fn streams(&self, slot: SlotId) -> bool {
        self.is_streamed.get(slot.0).copied().unwrap_or(false)
    }

    /// Whether any does.
    pub fn is_on(&self) -> bool {
        self.window_bytes > 0
    }

    /// The streaming that takes at most `budget` bytes, as `total` counts them, and keeps as many weights as fit, those first that are
    /// used most often; without a budget as few as possible stay. `divides` says whether the device takes a divisible weight in
    /// pieces.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] where even the smallest window is too much.
    pub fn within(
        program: &Program,
        divides: bool,
        budget: Option<u64>,
        total: &dyn Fn(&Streaming) -> Result<u64>,
    ) -> Result<Self> {
        let limit = budget.unwrap_or(u64::MAX);
        let mut least = u64::MAX;
        for piece_bytes in PIECE_BYTES {
            let mut streaming = Self::all(program, divides, piece_bytes);
            if !streaming.is_on() {
                return Ok(streaming);
            }
            let bytes = total(&streaming)?;
            least = least.min(bytes);
            if bytes > limit {
                continue;
            }
            if budget.is_some() {
                streaming.keep_most_used(program, limit - bytes);
            }
            return Ok(streaming);
        }
        let label = "streaming the weights through the smallest window".into();
        Err(Error::OutOfMemory { label, needed_bytes: least, limit_bytes: limit })
    }

    /// All but small weights pass through a window that is just large enough.
    fn all(program: &Program, divides: bool, piece_bytes: usize) -> Self {
        let is_large =
            |slot: &super::graph::Slot| matches!(slot.kind, SlotKind::Weight(_)) && slot.ty.n_bytes() > SMALL_BYTES;
        let is_streamed: Vec<bool> = program.slots.iter().map(is_large).collect();
        let mut streaming = Self { is_streamed, window_bytes: 0, piece_bytes };
        let nodes = program.graphs.iter().flat_map(|graph| &graph.nodes);
        streaming.window_bytes = nodes
            .map(|node| {
                let mut slots = Vec::new();
                for value in node.inputs.iter().flatten() {
                    let Value::Slot(id) = value else { continue };
                    if streaming.streams(*id) && !slots.contains(id) {
                        slots.push(*id);
                    }
                }
                let piece = |id: SlotId| {
                    let slot = &program.slots[id.0];
                    let bytes = slot.ty.n_bytes();
                    let most = if divides && program.may_divide(id) { piece_bytes } else { bytes };
                    bytes.min(most).next_multiple_of(ALIGN)
                };
                slots.into_iter().map(piece).sum()
            })
            .max()
            .unwrap_or(0);
        streaming
    }

    /// Lets weights stay for which there is room.
    fn keep_most_used(&mut self, program: &Program, mut spare: u64) {
        let mut uses = vec![0u32; program.slots.len()];
        for value in program.graphs.iter().flat_map(|graph| &graph.nodes).flat_map(|node| &node.inputs) {
            if let Some(Value::Slot(id)) = value {
                uses[id.0] += 1;
            }
        }
        let mut order: Vec<usize> = (0..uses.len()).filter(|&idx| self.is_streamed[idx]).collect();
        order.sort_by_key(|&idx| (std::cmp::Reverse(uses[idx]), program.slots[idx].ty.n_bytes()));
        for idx in order {
            let bytes = program.slots[idx].ty.n_bytes().next_multiple_of(ALIGN) as u64;
            if bytes <= spare {
                spare -= bytes;
                self.is_streamed[idx] = false;
            }
        }
    }
}

/// A piece of a streamed slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Whose.
    pub slot: SlotId,
    /// Which of its bytes.
    pub bytes: Range<usize>,
}

/// Consecutive dispatches whose pieces are in the window together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Which dispatches of the graph.
    pub dispatches: Range<usize>,
    /// What is written before, and to where in the window.
    pub pieces: Vec<(Piece, usize)>,
}

impl Segment {
    /// Where a piece lies in the window.
    pub fn place_of(&self, slot: SlotId, first_byte: usize) -> Option<usize> {
        let found = self.pieces.iter().find(|(piece, _)| piece.slot == slot && piece.bytes.start == first_byte);
        found.map(|(_, at)| *at)
    }
}

/// Cuts a graph, given by the pieces that each of its dispatches needs.
pub fn segments(needs: &[Vec<Piece>], window_bytes: usize) -> Vec<Segment> {
    let mut done: Vec<Segment> = Vec::new();
    let mut now = Segment { dispatches: 0..0, pieces: Vec::new() };
    let mut used = 0;
    for (idx, pieces) in needs.iter().enumerate() {
        let is_new = |now: &Segment, piece: &Piece| now.place_of(piece.slot, piece.bytes.start).is_none();
        let size = |piece: &Piece| piece.bytes.len().next_multiple_of(ALIGN);
        let more: usize = pieces.iter().filter(|piece| is_new(&now, piece)).map(size).sum();
        if used + more > window_bytes && used > 0 {
            let next = Segment { dispatches: idx..idx, pieces: Vec::new() };
            done.push(std::mem::replace(&mut now, next));
            used = 0;
        }
        for piece in pieces {
            if is_new(&now, piece) {
                now.pieces.push((piece.clone(), used));
                used += size(piece);
            }
        }
        now.dispatches.end = idx + 1;
    }
    done.push(now);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(slot: usize, bytes: Range<usize>) -> Piece {
        Piece { slot: SlotId(slot), bytes }
    }

    #[test]
    fn segments_hold_what_fits_and_bring_a_shared_weight_once() {
        let needs = [
            vec![piece(0, 0..1000)],
            vec![],
            vec![piece(0, 0..1000), piece(1, 0..10)],
            vec![piece(2, 0..2000)],
            vec![piece(2, 2000..4000)],
            vec![],
        ];
        let cut = segments(&needs, 2048);
        let ranges: Vec<_> = cut.iter().map(|segment| segment.dispatches.clone()).collect();
        assert_eq!(ranges, [0..3, 3..4, 4..6]);
        assert_eq!(cut[0].pieces, [(piece(0, 0..1000), 0), (piece(1, 0..10), 1024)]);
        assert_eq!(cut[2].place_of(SlotId(2), 2000), Some(0));
        assert_eq!(cut[2].place_of(SlotId(2), 0), None);
        assert_eq!(segments(&needs, 1 << 20).len(), 1, "one segment where everything fits");
    }
}
