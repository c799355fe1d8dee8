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

#[cfg(target_arch = "wasm32")]
mod web {
    use super::{BackingKey, CHUNK_BYTES, storage_error};
    use crate::engine::weights::cache::{Kept, Manifest, ModelCache};
    use crate::engine::weights::copies;
    use crate::engine::{Error, Result};
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    thread_local! {
        /// What this worker reads or writes now.
        static IN_USE: RefCell<Vec<Rc<Use>>> = RefCell::default();
    }

    /// A copy that is read or written.
    struct Use {
        name: String,
        model: String,
        /// Whether a session cannot do without.
        is_needed: bool,
        /// Whether it had to go.
        is_gone: Cell<bool>,
    }

    /// Whether one that answers to this is in use.
    fn is_used(wanted: impl Fn(&Use) -> bool) -> bool {
        IN_USE.with_borrow(|all| all.iter().any(|one| wanted(one)))
    }

    /// The time, and a number by which tabs are told apart that ask at the same time.
    pub fn unique() -> (f64, u32) {
        (js_sys::Date::now(), (js_sys::Math::random() * f64::from(u32::MAX)) as u32)
    }

    /// Removes copies that no session needs: those of `model`, or of all models. Whether there were any.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn make_room(cache: &ModelCache, model: Option<&str>) -> Result<bool> {
        let is_meant = |of: &str| model.is_none_or(|model| model == of);
        IN_USE.with_borrow(|all| {
            all.iter().filter(|one| !one.is_needed && is_meant(&one.model)).for_each(|one| one.is_gone.set(true));
        });
        remove(cache, |copy| is_meant(&copy.model)).await
    }

    /// Removes copies whose sessions ended before they could do it themselves.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn remove_what_was_left_behind(cache: &ModelCache) -> Result<()> {
        let now_ms = js_sys::Date::now();
        remove(cache, |copy| copies::is_left_behind(&copy.url, now_ms)).await.map(|_| ())
    }

    /// Removes these copies as far as no session needs them. Whether there were any.
    async fn remove(cache: &ModelCache, is_meant: impl Fn(&Manifest) -> bool) -> Result<bool> {
        let is_free = |copy: &Manifest| !is_used(|one| one.is_needed && one.name == copy.url);
        let copies = cache.manifests().await?.into_iter().filter(|file| copies::is_copy(&file.url));
        let names: Vec<String> = copies.filter(|copy| is_meant(copy) && is_free(copy)).map(|copy| copy.url).collect();
        cache.remove_files(&names).await?;
        Ok(!names.is_empty())
    }

    /// Chunks in the browser's store.
    pub struct Store {
        cache: ModelCache,
        manifest: Manifest,
        /// The chunk that was read last: weights that are used together came together.
        last: Option<(u32, Vec<u8>)>,
        entry: Rc<Use>,
    }

    impl std::fmt::Debug for Store {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Store").field("manifest", &self.manifest).finish_non_exhaustive()
        }
    }

    impl Drop for Store {
        fn drop(&mut self) {
            IN_USE.with_borrow_mut(|all| all.retain(|one| !Rc::ptr_eq(one, &self.entry)));
            let (cache, name) = (self.cache.clone(), self.manifest.url.clone());
            // What never came to its end is of no use to anybody.
            if self.manifest.kept != Kept::Whole && !is_used(|one| one.name == name) {
                wasm_bindgen_futures::spawn_local(async move {
                    // The store's refusal changes nothing: the next copy of that name begins with removing this one.
                    let _ = cache.remove_files(&[name]).await;
                });
            }
        }
    }

    impl Store {
        fn new(cache: ModelCache, manifest: Manifest, is_needed: bool) -> Self {
            let (name, model) = (manifest.url.clone(), manifest.model.clone());
            let entry = Rc::new(Use { name, model, is_needed, is_gone: Cell::new(false) });
            IN_USE.with_borrow_mut(|all| all.push(entry.clone()));
            Self { cache, manifest, last: None, entry }
        }

        pub async fn create(key: &BackingKey, is_needed: bool) -> Result<Self> {
            let cache = ModelCache::open().await?;
            let name = match is_used(|one| one.name == key.name) {
                false => key.name.clone(),
                // Somebody reads or writes the same: what is needed is made beside it.
                true if is_needed => BackingKey::temporary(&key.model, "beside").name,
                true => return Err(storage_error("keep converted weights", "they are being kept already")),
            };
            let mut manifest = Manifest::new(&key.model, name, CHUNK_BYTES as u32);
            manifest.sha256 = Some(key.version.clone());
            let store = Self::new(cache, manifest, is_needed);
            store.cache.remove_files(std::slice::from_ref(&store.manifest.url)).await?;
            Ok(store)
        }

        /// What is kept by that key, and its length; `None` where it is not all there.
        pub async fn open(key: &BackingKey) -> Result<Option<(Self, u64)>> {
            let cache = ModelCache::open().await?;
            let manifest = cache.manifest(&key.name).await?;
            let is_same = |manifest: &Manifest| {
                manifest.kept == Kept::Whole
                    && manifest.chunk_bytes == CHUNK_BYTES as u32
                    && manifest.sha256.as_ref() == Some(&key.version)
            };
            let known = manifest.filter(is_same).and_then(|manifest| manifest.total.map(|total| (manifest, total)));
            Ok(known.map(|(manifest, total)| (Self::new(cache, manifest, true), total)))
        }

        pub async fn append(&mut self, bytes: &[u8]) -> Result<()> {
            if self.entry.is_gone.get() {
                let reason = "the model's own files need the room".to_string();
                return Err(Error::Storage { action: "keep converted weights".into(), reason, full: true });
            }
            let idx = self.manifest.chunks.len();
            self.manifest.chunks.insert(idx);
            match self.cache.put(&self.manifest, Some((idx, bytes))).await {
                // A session that cannot do without comes before others' speed.
                Err(Error::Storage { full: true, .. }) if self.entry.is_needed => {
                    make_room(&self.cache, None).await?;
                    self.cache.put(&self.manifest, Some((idx, bytes))).await
                }
                done => done,
            }
        }

        /// Says that all of it is there. Copies of the same in another form go. A temporary one stays one.
        pub async fn finish(&mut self, total: u64) -> Result<()> {
            let (name, model) = (self.manifest.url.clone(), self.manifest.model.clone());
            if copies::is_temporary(&name) {
                return Ok(());
            }
            (self.manifest.kept, self.manifest.total) = (Kept::Whole, Some(total));
            if let Err(error) = self.cache.put(&self.manifest, None).await {
                self.manifest.kept = Kept::Partly;
                return Err(error);
            }
            // A rival that cannot be removed takes some room, and is no reason to doubt this copy.
            let _ = remove(&self.cache, |copy| copy.model == model && copies::is_rival(&copy.url, &name)).await;
            Ok(())
        }

        pub async fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<()> {
            let mut done = 0;
            while done < bytes.len() {
                let from = at + done as u64;
                let idx = (from / CHUNK_BYTES as u64) as u32;
                if self.last.as_ref().is_none_or(|(last, _)| *last != idx) {
                    self.last = None; // Before the next one comes, so that there is one in memory.
                    let chunk = self.cache.chunk(&self.manifest.url, idx).await?;
                    self.last = Some((idx, chunk.ok_or_else(gone)?));
                }
                let chunk = self.last.as_ref().map_or(&[][..], |(_, chunk)| chunk);
                let rest = chunk.get((from % CHUNK_BYTES as u64) as usize..).filter(|rest| !rest.is_empty());
                let rest = rest.ok_or_else(gone)?;
                let n = rest.len().min(bytes.len() - done);
                bytes[done..done + n].copy_from_slice(&rest[..n]);
                done += n;
            }
            Ok(())
        }
    }

    fn gone() -> Error {
        storage_error("read streamed weights", "they were removed from this browser; load the model again")
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
