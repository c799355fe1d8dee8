//! Slots in the browser's own store: who reads or writes which copy now, and which of them give way.

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

/// Removes copies whose sessions ended before they could do it themselves, and what no manifest names.
///
/// # Errors
/// [`Error::Storage`].
pub async fn remove_what_was_left_behind(cache: &ModelCache) -> Result<()> {
    let now_ms = js_sys::Date::now();
    remove(cache, |copy| copies::is_left_behind(&copy.url, now_ms)).await?;
    cache.remove_orphans().await
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
        manifest.file = cache.new_file();
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
                let chunk = self.cache.chunk(&self.manifest, idx).await?;
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
