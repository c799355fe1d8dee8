//! A model's weights as its slots hold them, outside of memory: written once while the model loads, and read for every segment where
//! they are streamed, or by the next load, which has nothing to convert then.
//!
//! Bytes are kept in the order in which they came, behind them records of what belongs where: natively in a file that is gone when the
//! session is, in a browser in its own store beside the model's files, until the model is removed, another form of it is kept
//! ([`super::weights::copies`]), or the store is full.

use super::graph::SlotId;
use super::weights::copies;
use super::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops::Range;

#[cfg(not(target_arch = "wasm32"))]
use native::{Store, unique};
#[cfg(target_arch = "wasm32")]
use web::{Store, unique};
#[cfg(target_arch = "wasm32")]
mod web;

#[cfg(target_arch = "wasm32")]
pub use web::{make_room, remove_what_was_left_behind};

/// Bytes that are stored with one call: those before have to be in memory.
const CHUNK_BYTES: usize = 4 << 20;

/// Bytes behind the records: how many bytes they are.
const TRAILER_BYTES: usize = 8;

/// Bytes of a slot that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// First byte in the slot.
    offset: u64,
    bytes: u64,
    /// First byte in the store.
    at: u64,
}

/// Which model's slots these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackingKey {
    /// Model id.
    pub model: String,
    /// Where the checkpoint comes from, and in what form the slots hold it.
    pub name: String,
    /// Tells versions of the checkpoint apart.
    pub version: String,
}

impl BackingKey {
    /// For slots that are kept no longer than the session that needs them: a name that nothing else has.
    pub fn temporary(model: &str, component: &str) -> Self {
        let (now_ms, random) = unique();
        let name = copies::temporary_name(component, now_ms, random);
        Self { model: model.into(), name, version: String::new() }
    }

    /// Whether the slots are kept no longer than a session needs them.
    pub fn is_temporary(&self) -> bool {
        copies::is_temporary(&self.name)
    }
}

/// Slots' bytes outside of memory.
#[derive(Debug)]
pub struct Backing {
    /// By slot, in the order in which they came: a later one replaces what it covers.
    records: Vec<Vec<Record>>,
    /// Bytes that are not stored yet.
    pending: Vec<u8>,
    stored: u64,
    store: Store,
}

impl Backing {
    /// An empty one for the slots of a program. What was kept by that key is replaced; unless this one comes to its end
    /// ([`Backing::finish`]), nothing of it stays. `is_needed` says whether a session cannot do without it; one that can is given up where
    /// the store is full.
    ///
    /// # Errors
    /// [`Error::Storage`] where this browser, or this machine's temporary folder, keeps nothing.
    pub async fn create(key: &BackingKey, n_slots: usize, is_needed: bool) -> Result<Self> {
        let store = Store::create(key, is_needed).await?;
        Ok(Self { records: vec![Vec::new(); n_slots], pending: Vec::new(), stored: 0, store })
    }

    /// What is kept by that key for as many slots; `None` where it is not all there.
    ///
    /// # Errors
    /// [`Error::Storage`] where the store cannot be read.
    pub async fn open(key: &BackingKey, n_slots: usize) -> Result<Option<Self>> {
        let Some((mut store, total)) = Store::open(key).await? else { return Ok(None) };
        let mut trailer = [0; TRAILER_BYTES];
        let Some(end) = total.checked_sub(TRAILER_BYTES as u64) else { return Ok(None) };
        store.read(end, &mut trailer).await?;
        let Some(stored) = end.checked_sub(u64::from_le_bytes(trailer)) else { return Ok(None) };
        let mut json = vec![0; (end - stored) as usize];
        store.read(stored, &mut json).await?;
        let records: Option<Vec<Vec<Record>>> = serde_json::from_slice(&json).ok();
        let records = records.filter(|records| records.len() == n_slots);
        Ok(records.map(|records| Self { records, pending: Vec::new(), stored, store }))
    }

    /// Stores the rest and the records behind it: from now on [`Backing::open`] finds it.
    ///
    /// # Errors
    /// [`Error::Storage`], `full` where the browser allows no more.
    pub async fn finish(&mut self) -> Result<()> {
        let end = self.stored + self.pending.len() as u64;
        let json = serde_json::to_vec(&self.records).map_err(|e| Error::Internal(e.to_string()))?;
        self.pending.extend_from_slice(&json);
        self.pending.extend_from_slice(&(json.len() as u64).to_le_bytes());
        self.flush().await?;
        let rest = std::mem::take(&mut self.pending);
        self.store.append(&rest).await?;
        self.store.finish(self.stored + rest.len() as u64).await?;
        self.stored = end;
        Ok(())
    }

    /// The slots that something was written to.
    pub fn slots(&self) -> impl Iterator<Item = (SlotId, Range<usize>)> {
        let extent = |(idx, records): (usize, &Vec<Record>)| {
            let start = records.iter().map(|record| record.offset).min()?;
            let end = records.iter().map(|record| record.offset + record.bytes).max()?;
            Some((SlotId(idx), start as usize..end as usize))
        };
        self.records.iter().enumerate().filter_map(extent)
    }

    /// Takes bytes of a slot; they stay in memory until [`Backing::flush`].
    pub fn append(&mut self, slot: SlotId, offset: usize, bytes: &[u8]) {
        let at = self.stored + self.pending.len() as u64;
        let record = Record { offset: offset as u64, bytes: bytes.len() as u64, at };
        let records = &mut self.records[slot.0];
        match records.last_mut() {
            Some(last) if last.offset + last.bytes == record.offset && last.at + last.bytes == at => {
                last.bytes += record.bytes;
            }
            _ => records.push(record),
        }
        self.pending.extend_from_slice(bytes);
    }

    /// Stores what is in memory, as far as it fills chunks.
    pub async fn flush(&mut self) -> Result<()> {
        while self.pending.len() >= CHUNK_BYTES {
            self.store.append(&self.pending[..CHUNK_BYTES]).await?;
            self.pending.drain(..CHUNK_BYTES);
            self.stored += CHUNK_BYTES as u64;
        }
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        Ok(())
    }

    /// Bytes `range` of a slot; zeros where none were written.
    pub async fn read(&mut self, slot: SlotId, range: Range<usize>) -> Result<Vec<u8>> {
        let mut bytes = vec![0; range.len()];
        for record in self.records[slot.0].clone() {
            let from = record.offset.max(range.start as u64);
            let to = (record.offset + record.bytes).min(range.end as u64);
            if from < to {
                let here = (from - range.start as u64) as usize..(to - range.start as u64) as usize;
                self.read_at(record.at + from - record.offset, &mut bytes[here]).await?;
            }
        }
        Ok(bytes)
    }

    async fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> Result<()> {
        let n_stored = self.stored.saturating_sub(at).min(bytes.len() as u64) as usize;
        let (stored, pending) = bytes.split_at_mut(n_stored);
        if !stored.is_empty() {
            self.store.read(at, stored).await?;
        }
        if !pending.is_empty() {
            let first = (at + n_stored as u64 - self.stored) as usize;
            pending.copy_from_slice(&self.pending[first..first + pending.len()]);
        }
        Ok(())
    }
}

fn storage_error(action: &str, reason: impl std::fmt::Display) -> Error {
    Error::Storage { action: action.into(), reason: reason.to_string(), full: false }
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use super::{BackingKey, Result, storage_error};
    use std::fs::File;
    use std::io::{Read, Seek, SeekFrom, Write};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    static NEXT: AtomicU32 = AtomicU32::new(0);

    /// What tells one store of this program from another: no time, and a number.
    pub fn unique() -> (f64, u32) {
        (0.0, NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// A file in the folder for temporary files.
    #[derive(Debug)]
    pub struct Store {
        file: File,
        path: PathBuf,
    }

    impl Store {
        pub async fn create(_key: &BackingKey, _is_needed: bool) -> Result<Self> {
            let name = format!("rill-{}-{}.slots", std::process::id(), unique().1);
            let path = std::env::temp_dir().join(name);
            let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
            let file = file.map_err(|e| storage_error("keep streamed weights", e))?;
            Ok(Self { file, path })
        }

        pub async fn append(&mut self, bytes: &[u8]) -> Result<()> {
            let written = self.file.seek(SeekFrom::End(0)).and_then(|_| self.file.write_all(bytes));
            written.map_err(|e| storage_error("keep streamed weights", e))
        }

        /// Natively nothing is kept for the next load: the checkpoint is where it is.
        pub async fn open(_key: &BackingKey) -> Result<Option<(Self, u64)>> {
            Ok(None)
        }

        /// Natively a file is as long as it is.
        pub async fn finish(&mut self, _total: u64) -> Result<()> {
            Ok(())
        }

        pub async fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<()> {
            let read = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.read_exact(bytes));
            read.map_err(|e| storage_error("read streamed weights", e))
        }
    }

    impl Drop for Store {
        fn drop(&mut self) {
            // A file that cannot be removed is the temporary folder's to clean.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backing_gives_back_what_came_in_any_order() {
        let large: Vec<u8> = (0..2 * CHUNK_BYTES + 12_345).map(|i| (i * 31 + (i >> 8)) as u8).collect();
        let key = BackingKey { model: "test".into(), name: "test".into(), version: String::new() };
        pollster::block_on(async {
            let mut backing = Backing::create(&key, 2, true).await.unwrap();
            backing.append(SlotId(1), 4, &[5, 6, 7, 8]);
            for (idx, part) in large.chunks(1 << 20).enumerate() {
                backing.append(SlotId(0), idx << 20, part);
                backing.flush().await.unwrap();
                assert!(backing.pending.len() < CHUNK_BYTES);
            }
            backing.append(SlotId(1), 0, &[1, 2, 3, 4]);
            assert_eq!(backing.read(SlotId(1), 0..10).await.unwrap(), [1, 2, 3, 4, 5, 6, 7, 8, 0, 0]);
            assert_eq!(backing.read(SlotId(1), 3..5).await.unwrap(), [4, 5]);
            assert_eq!(backing.read(SlotId(0), 0..large.len()).await.unwrap(), large);
            let across = CHUNK_BYTES - 3..CHUNK_BYTES + 3;
            assert_eq!(backing.read(SlotId(0), across.clone()).await.unwrap(), large[across]);
            backing.append(SlotId(1), 0, &[9]);
            assert_eq!(backing.read(SlotId(1), 0..2).await.unwrap(), [9, 2], "what came later counts");
        });
    }
}
