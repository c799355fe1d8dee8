//! From the checkpoint's tensors to the slots of a session: each tensor goes to its places as soon as it arrives.

use super::backing::Backing;
use super::graph::{Layout, Program, SlotId, SlotKind};
use super::session::Session;
use super::tensor::DType;
use super::weights::checkpoint::{CheckpointDType, TensorEntry};
use super::weights::stream::TensorPart;
use super::{Error, Result};
use half::{bf16, f16};
use rill_kernels::linear_weight::{GROUP, i8_bytes, quantize};
use std::collections::HashMap;

/// What takes the bytes of slots.
pub trait SlotSink {
    /// Overwrites part of a slot.
    ///
    /// # Errors
    /// Those of what takes them.
    fn write(&mut self, slot: SlotId, offset_bytes: usize, bytes: &[u8]) -> Result<()>;
}

impl SlotSink for Session {
    fn write(&mut self, slot: SlotId, offset_bytes: usize, bytes: &[u8]) -> Result<()> {
        Session::write(self, slot, offset_bytes, bytes)
    }
}

/// A session and what keeps the bytes beside it: all of them where they are kept for the next load, else those that the session
/// streams.
#[derive(Debug)]
pub struct Kept<'a> {
    /// Takes what it does not stream.
    pub session: &'a mut Session,
    /// Keeps bytes.
    pub backing: Option<&'a mut Backing>,
    /// Whether it keeps all of them.
    pub keeps_all: bool,
}

impl SlotSink for Kept<'_> {
    fn write(&mut self, slot: SlotId, offset_bytes: usize, bytes: &[u8]) -> Result<()> {
        let is_streamed = self.session.streams(slot);
        if let Some(backing) = self.backing.as_mut().filter(|_| is_streamed || self.keeps_all) {
            backing.append(slot, offset_bytes, bytes);
        }
        if is_streamed { Ok(()) } else { self.session.write(slot, offset_bytes, bytes) }
    }
}

/// Where a tensor goes.
#[derive(Debug, Clone)]
struct Place {
    slot: SlotId,
    dtype: DType,
    first: usize,
    /// Elements of the slot; more than that of a tensor is not wanted.
    n_elements: usize,
    layout: Layout,
}

/// Carries tensors to their slots.
#[derive(Debug)]
pub struct Uploader {
    places: HashMap<String, Vec<Place>>,
    /// Bytes of a tensor that has to be reordered or quantised and is not complete yet.
    gathered: Vec<u8>,
}

impl Uploader {
    /// Everything that `program` wants.
    pub fn new(program: &Program) -> Self {
        let mut places: HashMap<String, Vec<Place>> = HashMap::new();
        for (idx, slot) in program.slots.iter().enumerate() {
            let SlotKind::Weight(parts) = &slot.kind else { continue };
            for part in parts {
                let (dtype, n_elements) = (slot.ty.dtype, slot.ty.n_elements());
                let place = Place { slot: SlotId(idx), dtype, first: part.first, n_elements, layout: part.layout };
                places.entry(part.tensor.clone()).or_default().push(place);
            }
        }
        Self { places, gathered: Vec::new() }
    }

    /// The tensors that are wanted and have not come.
    pub fn wanted(&self) -> std::collections::BTreeSet<String> {
        self.places.keys().cloned().collect()
    }

    /// Writes a part of a tensor wherever it belongs; tensors that nobody wants are passed over.
    pub fn part(&mut self, part: &TensorPart, to: &mut impl SlotSink) -> Result<()> {
        let Some(places) = self.places.get(&part.entry.name) else { return Ok(()) };
        // What is reordered or quantised is so as a whole.
        let is_gathered = places.iter().any(|place| place.layout != Layout::AsStored || place.dtype == DType::Q8);
        let (first, bytes) = if is_gathered {
            self.gathered.extend_from_slice(part.bytes);
            if !part.is_last() {
                return Ok(());
            }
            (0, self.gathered.as_slice())
        } else {
            (part.offset as usize / part.entry.dtype.bytes(), part.bytes)
        };
        for place in places {
            if let Layout::Resampled(grid) = place.layout {
                let table: Vec<f32> = bytemuck::pod_collect_to_vec(&converted(part.entry, bytes, DType::F32)?);
                let resampled = grid.resample(&table, part.entry.shape.last().copied().unwrap_or(1));
                to.write(place.slot, place.first * DType::F32.size(), bytemuck::cast_slice(&resampled))?;
                continue;
            }
            let bytes = reordered(part.entry, bytes, place.layout);
            let wanted = place.n_elements.saturating_sub(place.first + first) * part.entry.dtype.bytes();
            let bytes = &bytes[..wanted.min(bytes.len())];
            if place.dtype == DType::Q8 {
                write_quantized(part.entry, bytes, place, to)?;
                continue;
            }
            let bytes = converted(part.entry, bytes, place.dtype)?;
            to.write(place.slot, (place.first + first) * place.dtype.size(), &bytes)?;
        }
        self.gathered.clear();
        if part.is_last() {
            self.places.remove(&part.entry.name);
        }
        Ok(())
    }

    /// Says that the checkpoint has ended: everything must have arrived.
    pub fn finish(&self) -> Result<()> {
        match self.places.keys().next() {
            Some(name) => Err(Error::MissingTensor { name: name.clone() }),
            None => Ok(()),
        }
    }
}

/// Writes a whole tensor as int8: its quants among the slot's quants, its scales among the scales behind them.
fn write_quantized(entry: &TensorEntry, bytes: &[u8], place: &Place, to: &mut impl SlotSink) -> Result<()> {
    let wide: Vec<f32> = bytemuck::pod_collect_to_vec(&converted(entry, bytes, DType::F32)?);
    let n_cols = entry.shape.last().copied().unwrap_or(GROUP);
    let mut quantized = vec![0; i8_bytes(wide.len() / n_cols, n_cols)];
    quantize(&wide, n_cols, &mut quantized);
    let (quants, scales) = quantized.split_at(wide.len());
    to.write(place.slot, place.first, quants)?;
    to.write(place.slot, place.n_elements + place.first / GROUP * 2, scales)
}

/// The bytes in the slot's order of elements.
fn reordered<'a>(entry: &TensorEntry, bytes: &'a [u8], layout: Layout) -> std::borrow::Cow<'a, [u8]> {
    let Layout::ChannelsLast { n_in, width } = layout else { return bytes.into() };
    let size = entry.dtype.bytes();
    let mut out = Vec::with_capacity(bytes.len());
    for filter in bytes.chunks_exact(n_in * width * size) {
        for j in 0..width {
            for c in 0..n_in {
                out.extend_from_slice(&filter[(c * width + j) * size..][..size]);
            }
        }
    }
    out.into()
}

/// The bytes in the slot's type.
fn converted<'a>(entry: &TensorEntry, bytes: &'a [u8], dtype: DType) -> Result<std::borrow::Cow<'a, [u8]>> {
    let pairs = || bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
    Ok(match (entry.dtype, dtype) {
        (CheckpointDType::F32, DType::F32) | (CheckpointDType::F16, DType::F16) => bytes.into(),
        (CheckpointDType::F16, DType::F32) => {
            pairs().flat_map(|b| f16::from_le_bytes(b).to_f32().to_le_bytes()).collect::<Vec<u8>>().into()
        }
        (CheckpointDType::BF16, DType::F32) => {
            pairs().flat_map(|b| bf16::from_le_bytes(b).to_f32().to_le_bytes()).collect::<Vec<u8>>().into()
        }
        (from, to) => return Err(Error::Internal(format!("`{}` is {from:?}, its slot {to:?}", entry.name))),
    })
}
