//! Components whose weights are on their way: each one's tensors go to its session as they come, the component that is needed first
//! before the others; and what was converted is kept, so that the next load has less to read.
//!
//! Kept are quantised weights, a quarter of the checkpoint's bytes, and those that a session streams. The checkpoint stays beside them:
//! it has the header, another precision or another backend starts from it, and it would have to cross the network again.

use super::backing::{Backing, BackingKey};
use super::graph::{Program, SlotKind};
use super::memory::MemoryOptions;
use super::session::{Device, Session};
use super::upload::{Kept, Uploader};
use super::weights::{ModelFiles, Parcel, Weights, copies};
use super::{CancelFlag, Error, Result, edge};
use crate::protocol::{ComponentProgress, Precision};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::rc::Rc;

/// The form in which slots are kept; another number makes those of before worthless. It goes up with [`super::upload::quantized`] and with
/// the order in which a [`Backing`] keeps things.
const FORMAT: u32 = 3;

/// Bytes that are read from what is kept with one call.
const READ_BYTES: usize = 4 << 20;

/// A component on its way.
pub struct Arrival {
    name: &'static str,
    session: Session,
    uploader: Uploader,
    n_slots: usize,
    backing: Option<Backing>,
    /// What is kept, or is to be kept, under which name.
    key: BackingKey,
    /// Whether all slots go into the backing, and not only those that are streamed.
    keeps_all: bool,
    /// Whether the backing has everything from an earlier load.
    is_kept: bool,
    /// Told when the store is too full for what is to be kept.
    on_notice: Rc<dyn Fn(Error)>,
    received_bytes: u64,
    total_bytes: u64,
    /// Bytes that its session took.
    written_bytes: u64,
    is_ready: bool,
}

/// Under which name the slots of a component are kept: that of its file, and behind it what was made of it ([`copies`]); a name of its own
/// each time where they are not `kept` for the next load.
pub fn key(
    files: &ModelFiles,
    weights: &Weights,
    component: &str,
    precision: Precision,
    program: &Program,
    kept: bool,
) -> BackingKey {
    if !kept || !files.may_be_kept() {
        return BackingKey::temporary(files.model(), component);
    }
    let mut hash = Sha256::new();
    for slot in program.slots.iter().filter(|slot| matches!(slot.kind, SlotKind::Weight(_))) {
        hash.update(format!("{}{:?}{:?}", slot.label, slot.ty, slot.kind));
    }
    let shapes: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let address = files.address(weights.checkpoint().file());
    BackingKey {
        model: files.model().into(),
        name: copies::name(&address, component, &format!("{precision:?}"), &shapes),
        version: format!("{FORMAT} {}", weights.version()),
    }
}

impl Arrival {
    /// Compiles a component, and looks for what is kept of it.
    pub async fn new(
        device: &Device,
        name: &'static str,
        program: Program,
        memory: &MemoryOptions,
        key: BackingKey,
        on_notice: Rc<dyn Fn(Error)>,
    ) -> Result<Self> {
        let uploader = Uploader::new(&program);
        let n_slots = program.slots.len();
        let weights = program.slots.iter().filter(|slot| matches!(slot.kind, SlotKind::Weight(_)));
        let is_quantized = weights.clone().any(|slot| slot.ty.dtype.is_quantized());
        let session = Session::compile_within(device, program, memory).await?;
        let is_worth_it = is_quantized || session.is_streamed();
        let keeps_all = cfg!(target_arch = "wasm32") && is_worth_it && !key.is_temporary();
        let mut arrival = Self {
            name,
            session,
            uploader,
            n_slots,
            backing: None,
            key,
            keeps_all,
            is_kept: false,
            on_notice,
            received_bytes: 0,
            total_bytes: 0,
            written_bytes: 0,
            is_ready: false,
        };
        if keeps_all && let Ok(Some(kept)) = Backing::open(&arrival.key, n_slots).await {
            (arrival.backing, arrival.is_kept) = (Some(kept), true);
        }
        Ok(arrival)
    }

    fn progress(&self) -> ComponentProgress {
        ComponentProgress {
            name: self.name.into(),
            received_bytes: self.received_bytes,
            total_bytes: self.total_bytes,
            ready: self.is_ready,
        }
    }

    /// Makes place for what is to be kept. Only a session that streams cannot do without.
    async fn make_backing(&mut self) -> Result<()> {
        if self.keeps_all || self.session.is_streamed() {
            match Backing::create(&self.key, self.n_slots, self.session.is_streamed()).await {
                Ok(backing) => self.backing = Some(backing),
                Err(error) if self.session.is_streamed() => return Err(Error::NoStore { reason: error.to_string() }),
                // The next load will convert again; that the store refuses was told when the files were opened.
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Takes the tensors that have come.
    async fn take(&mut self, parcel: &mut Parcel) -> Result<()> {
        let is_streamed = self.session.is_streamed();
        let mut to = Kept {
            session: &mut self.session,
            backing: self.backing.as_mut(),
            keeps_all: self.keeps_all,
            written_bytes: &mut self.written_bytes,
        };
        while let Some(part) = parcel.next_part() {
            self.uploader.part(&part, &mut to)?;
        }
        self.received_bytes = parcel.received_bytes;
        let flushed = match &mut self.backing {
            Some(backing) => backing.flush().await,
            None => Ok(()),
        };
        match flushed {
            Err(error) if is_streamed => return Err(Error::NoStore { reason: error.to_string() }),
            Err(error) => self.keep_no_copy(&error),
            Ok(()) => {}
        }
        Ok(())
    }

    /// Goes on without keeping what was converted; what is there of it is removed.
    fn keep_no_copy(&mut self, error: &Error) {
        self.backing = None;
        if let Error::Storage { full: true, .. } = error {
            (self.on_notice)(Error::CopyGone);
        }
    }

    /// Says that all tensors have come.
    async fn complete(&mut self) -> Result<()> {
        self.uploader.finish()?;
        if let Some(mut backing) = self.backing.take() {
            let finished = match self.keeps_all {
                true => backing.finish().await,
                false => Ok(()),
            };
            match finished {
                Err(error) if !self.session.is_streamed() => self.keep_no_copy(&error),
                Err(error) => return Err(Error::NoStore { reason: error.to_string() }),
                Ok(()) => {}
            }
            if self.session.is_streamed() {
                self.session.attach(backing);
            }
        }
        self.is_ready = true;
        Ok(())
    }

    /// Fills the session from what an earlier load has kept; `false` where that cannot be read any more.
    async fn read_kept(&mut self, cancel: &CancelFlag, on_progress: &mut dyn FnMut(&Self)) -> Result<bool> {
        let Some(mut backing) = self.backing.take() else { return Ok(false) };
        let slots: Vec<_> = backing.slots().filter(|(slot, _)| !self.session.streams(*slot)).collect();
        self.total_bytes = slots.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        (self.received_bytes, self.written_bytes) = (0, 0);
        for (slot, bytes) in slots {
            for from in bytes.clone().step_by(READ_BYTES) {
                cancel.check()?;
                let to = (from + READ_BYTES).min(bytes.end);
                match backing.read(slot, from..to).await {
                    Ok(read) => self.session.write(slot, from, &read)?,
                    Err(Error::Storage { .. }) => return Ok(false),
                    Err(other) => return Err(other),
                }
                self.received_bytes += (to - from) as u64;
                self.written_bytes += (to - from) as u64;
                on_progress(self);
            }
        }
        self.session.attach(backing);
        self.is_ready = true;
        Ok(true)
    }
}

/// Where the components of a model stand.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Of all, in their order.
    pub components: Vec<ComponentProgress>,
    /// Bytes that the session of each took.
    written_bytes: Vec<u64>,
}

impl Standing {
    /// Of all components.
    fn of(arrivals: &[Arrival]) -> Self {
        Self {
            components: arrivals.iter().map(Arrival::progress).collect(),
            written_bytes: arrivals.iter().map(|arrival| arrival.written_bytes).collect(),
        }
    }

    /// Notes how far one of them is.
    fn note(&mut self, idx: usize, arrival: &Arrival) {
        self.components[idx] = arrival.progress();
        self.written_bytes[idx] = arrival.written_bytes;
    }

    /// Bytes of weights that are on the device.
    pub fn uploaded_bytes(&self) -> u64 {
        self.written_bytes.iter().sum()
    }
}

/// Components of a model that come one after the other.
pub struct Arrivals {
    /// Not complete yet, with what the files hold for each.
    coming: VecDeque<(Arrival, Parcel)>,
    standing: Standing,
    /// Whether nothing of the files but their header is read, since all was kept.
    pub is_all_kept: bool,
}

impl Arrivals {
    /// Reads what is kept, and asks for the rest.
    pub async fn begin(
        weights: &mut Weights,
        mut arrivals: Vec<Arrival>,
        cancel: &CancelFlag,
        on_progress: &mut dyn FnMut(&Standing),
    ) -> Result<Self> {
        let mut standing = Standing::of(&arrivals);
        for (idx, arrival) in arrivals.iter_mut().enumerate() {
            let mut on_own = |own: &Arrival| {
                standing.note(idx, own);
                on_progress(&standing);
            };
            arrival.is_kept = arrival.read_kept(cancel, &mut on_own).await?;
        }
        let wanted: Vec<_> = arrivals
            .iter()
            .map(|arrival| if arrival.is_kept { Default::default() } else { arrival.uploader.wanted() })
            .collect();
        let parcels = weights.parcels(&wanted);
        for (arrival, parcel) in arrivals.iter_mut().zip(&parcels).filter(|(arrival, _)| !arrival.is_kept) {
            (arrival.total_bytes, arrival.received_bytes, arrival.written_bytes) = (parcel.total_bytes, 0, 0);
            arrival.make_backing().await?;
        }
        let is_all_kept = arrivals.iter().all(|arrival| arrival.is_kept);
        let standing = Standing::of(&arrivals);
        Ok(Self { coming: arrivals.into_iter().zip(parcels).collect(), standing, is_all_kept })
    }

    /// Whether no component is to come any more.
    pub fn is_complete(&self) -> bool {
        self.coming.is_empty()
    }

    /// Receives the next component: its name, and its session with all weights.
    pub async fn next(
        &mut self,
        weights: &mut Weights,
        cancel: &CancelFlag,
        on_progress: &mut dyn FnMut(&Standing),
    ) -> Result<(&'static str, Session)> {
        let next = self.coming.pop_front();
        let (mut arrival, mut parcel) = next.ok_or_else(|| Error::Internal("no component is to come".into()))?;
        let idx = self.standing.components.len() - 1 - self.coming.len();
        let mut tell = |arrival: &Arrival| {
            self.standing.note(idx, arrival);
            on_progress(&self.standing);
        };
        if !arrival.is_kept {
            while weights.next(&mut parcel).await? {
                arrival.take(&mut parcel).await?;
                // Chunks may come without a pause, and what is said meanwhile has to be heard.
                edge::give_way().await;
                cancel.check()?;
                tell(&arrival);
            }
            arrival.complete().await?;
        }
        tell(&arrival);
        Ok((arrival.name, arrival.session))
    }
}

#[cfg(test)]
mod tests {
    use super::FORMAT;
    use crate::engine::check::noise;
    use crate::engine::upload::quantized;
    use crate::engine::weights::{CheckpointDType, TensorEntry};
    use rill_kernels::quantize::Narrow;
    use sha2::{Digest, Sha256};

    /// Copies of an earlier version are read as they are: what makes them may not change under the same number.
    #[test]
    fn weights_that_are_quantised_differently_get_another_number() {
        let values = noise(12 * 64, 5);
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let entry = TensorEntry {
            name: "w".into(),
            dtype: CheckpointDType::F32,
            shape: vec![12, 64],
            offset: 0,
            bytes: bytes.len() as u64,
        };
        let hash = |form| {
            let narrow = quantized(&entry, &bytes, form).expect("whole rows of whole groups");
            Sha256::digest(narrow).iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let now = (FORMAT, hash(Narrow::Int8), hash(Narrow::Int4));
        assert_eq!(
            now,
            (3, "68760f5efc858957".into(), "cc5b046d69d608b5".into()),
            "another form: count FORMAT up, then note it here"
        );
    }
}
