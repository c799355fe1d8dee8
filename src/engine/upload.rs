//! From the checkpoint's tensors to the slots of a session: each tensor goes to its places as soon as it arrives.

use super::backing::Backing;
use super::graph::{Layout, Program, SlotId, SlotKind};
use super::session::Session;
use super::tensor::DType;
use super::weights::checkpoint::{CheckpointDType, TensorEntry};
use super::weights::stream::TensorPart;
use super::{Error, Result};
use half::{bf16, f16};
use rill_kernels::quantize::{Narrow, PANEL};
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
    /// Grows by the bytes that the session takes.
    pub written_bytes: &'a mut u64,
}

impl SlotSink for Kept<'_> {
    fn write(&mut self, slot: SlotId, offset_bytes: usize, bytes: &[u8]) -> Result<()> {
        let is_streamed = self.session.streams(slot);
        if let Some(backing) = self.backing.as_mut().filter(|_| is_streamed || self.keeps_all) {
            backing.append(slot, offset_bytes, bytes);
        }
        if is_streamed {
            return Ok(());
        }
        *self.written_bytes += bytes.len() as u64;
        self.session.write(slot, offset_bytes, bytes)
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
    /// Bytes of a tensor that are still too few to be written: to be reordered it has to be complete, quantised are whole panels.
    gathered: Vec<u8>,
    /// The tensor's element that they begin with.
    first: usize,
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
        Self { places, gathered: Vec::new(), first: 0 }
    }

    /// The tensors that are wanted and have not come.
    pub fn wanted(&self) -> std::collections::BTreeSet<String> {
        self.places.keys().cloned().collect()
    }

    /// Writes a part of a tensor wherever it belongs; tensors that nobody wants are passed over.
    pub fn part(&mut self, part: &TensorPart, to: &mut impl SlotSink) -> Result<()> {
        let Some(places) = self.places.get(&part.entry.name) else { return Ok(()) };
        let (entry, size) = (part.entry, part.entry.dtype.bytes());
        let unit = places.iter().map(|place| place.unit(entry)).max().unwrap_or(1);
        if unit == 1 {
            for place in places {
                place.write(entry, part.offset as usize / size, part.bytes, to)?;
            }
        } else {
            self.gathered.extend_from_slice(part.bytes);
            let whole = match part.is_last() {
                true => self.gathered.len(),
                false => self.gathered.len() / (unit * size) * (unit * size),
            };
            if whole > 0 {
                for place in places {
                    place.write(entry, self.first, &self.gathered[..whole], to)?;
                }
                self.gathered.drain(..whole);
                self.first += whole / size;
            }
        }
        if part.is_last() {
            self.first = 0;
            self.places.remove(&entry.name);
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

impl Place {
    /// Elements of the tensor of which whole multiples can be written.
    fn unit(&self, entry: &TensorEntry) -> usize {
        match (self.layout, self.dtype.narrow()) {
            (Layout::ChannelsLast { .. } | Layout::Resampled(_), _) => entry.elements(),
            (Layout::AsStored, Some(_)) => PANEL * n_cols(entry),
            (Layout::AsStored, None) => 1,
        }
    }

    /// Writes the tensor's elements from `first` on.
    fn write(&self, entry: &TensorEntry, first: usize, bytes: &[u8], to: &mut impl SlotSink) -> Result<()> {
        let first = self.first + first;
        if let Layout::Resampled(grid) = self.layout {
            let table: Vec<f32> = bytemuck::pod_collect_to_vec(&converted(entry, bytes, DType::F32)?);
            let resampled = grid.resample(&table, n_cols(entry));
            return to.write(self.slot, first * DType::F32.size(), bytemuck::cast_slice(&resampled));
        }
        if let Some(form) = self.dtype.narrow() {
            let offset = first / (PANEL * n_cols(entry)) * form.panel_bytes(n_cols(entry));
            return to.write(self.slot, offset, &quantized(entry, bytes, form)?);
        }
        let wanted = self.n_elements.saturating_sub(first) * entry.dtype.bytes();
        let bytes = reordered(entry, bytes, self.layout);
        let bytes = converted(entry, &bytes[..wanted.min(bytes.len())], self.dtype)?;
        to.write(self.slot, first * self.dtype.size(), &bytes)
    }
}

fn n_cols(entry: &TensorEntry) -> usize {
    entry.shape.last().copied().unwrap_or(1)
}

/// Rows of a tensor as every device holds them in a narrow form: `bytes` are some of its rows as the checkpoint has them, a multiple
/// of eight unless they are its last.
pub fn quantized(entry: &TensorEntry, bytes: &[u8], form: Narrow) -> Result<Vec<u8>> {
    let n_cols = n_cols(entry);
    let mut narrow = Vec::new();
    // A panel at a time: widened, a large matrix would take more memory than the rest of the load.
    let (mut wide, mut panel) = (Vec::new(), vec![0; form.panel_bytes(n_cols)]);
    for rows in bytes.chunks(PANEL * n_cols * entry.dtype.bytes()) {
        wide.clear();
        let floats = converted(entry, rows, DType::F32)?;
        wide.extend(floats.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        form.quantize(&wide, n_cols, &mut panel);
        narrow.extend_from_slice(&panel);
    }
    Ok(narrow)
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
        (CheckpointDType::F32, DType::F16) => bytes
            .chunks_exact(4)
            .flat_map(|b| halved(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
            .collect::<Vec<u8>>()
            .into(),
        (CheckpointDType::BF16, DType::F16) => {
            pairs().flat_map(|b| halved(bf16::from_le_bytes(b).to_f32())).collect::<Vec<u8>>().into()
        }
        (from, to) => return Err(Error::Internal(format!("`{}` is {from:?}, its slot {to:?}", entry.name))),
    })
}

/// Rounded to f16; what is too large becomes its largest number.
fn halved(v: f32) -> [u8; 2] {
    f16::from_f32(v.clamp(f16::MIN.to_f32(), f16::MAX.to_f32())).to_le_bytes()
}
