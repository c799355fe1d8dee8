//! Files kept in the browser, so that a second visit loads without the network and a broken download goes on.
//!
//! One IndexedDB database: a manifest for each file, and the chunks of small files, or of all where there is no better place for large
//! ones ([`super::chunk_files`]), as ArrayBuffers: WebKit refuses Blobs in private windows. A chunk is written with the manifest that counts
//! it or before, so a crash leaves fewer chunks and never a damaged one. What is fetched, and when, is the business of [`super::web`].

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

use futures_channel::oneshot;
use idb::{Database, DatabaseEvent, Factory, KeyRange, ObjectStoreParams, Query, Transaction, TransactionMode};
use js_sys::{Array, Uint8Array};
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;

use super::chunk_files::ChunkFiles;
use super::chunks::ChunkSet;
use super::copies;
use crate::engine::{Error, Result};
use crate::protocol::CachedModel;

const DATABASE: &str = "rill-models";
const VERSION: u32 = 1;
const MANIFESTS: &str = "manifests";
const CHUNKS: &str = "chunks";

/// How much of a file is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// Some of its chunks.
    Partly,
    /// All of it, checked.
    Whole,
    /// Nothing: the source has no such file, and need not be asked again.
    Absent,
}

/// What is known of a file in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Model id.
    pub model: String,
    /// Where the file comes from; its key.
    pub url: String,
    /// How much of it is kept.
    pub kept: Kept,
    /// Its length in bytes, where it is known.
    pub total: Option<u64>,
    /// Length of each chunk but the last.
    pub chunk_bytes: u32,
    /// Which chunks are kept.
    #[serde(default)]
    pub chunks: ChunkSet,
    /// Chunks kept from the first on, as versions before [`Manifest::chunks`] wrote it.
    #[serde(default, skip_serializing)]
    chunks_done: u32,
    /// The server's name for this version of the file.
    pub etag: Option<String>,
    /// Its published hash.
    pub sha256: Option<String>,
    /// The file of [`super::chunk_files`] that holds its chunks; `None` where they lie in the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl Manifest {
    /// Nothing is kept yet.
    pub fn new(model: &str, url: String, chunk_bytes: u32) -> Self {
        Self {
            model: model.into(),
            url,
            kept: Kept::Partly,
            total: None,
            chunk_bytes: chunk_bytes.max(1),
            chunks: ChunkSet::default(),
            chunks_done: 0,
            etag: None,
            sha256: None,
            file: None,
        }
    }

    /// Whether something is kept that a load can begin with.
    pub fn is_usable(&self) -> bool {
        self.kept == Kept::Whole || (self.kept == Kept::Partly && !self.chunks.is_empty())
    }

    /// Where a chunk begins in the file.
    fn chunk_at(&self, idx: u32) -> u64 {
        u64::from(idx) * u64::from(self.chunk_bytes)
    }

    /// Bytes of the file that are kept.
    pub fn kept_bytes(&self) -> u64 {
        self.chunks.iter().map(|idx| self.chunk_len(idx)).sum()
    }

    /// Length that a chunk must have.
    pub fn chunk_len(&self, idx: u32) -> u64 {
        let rest = self.total.map_or(u64::MAX, |total| total.saturating_sub(self.chunk_at(idx)));
        rest.min(self.chunk_bytes.into())
    }
}

/// The store. Cloning is cheap.
#[derive(Clone)]
pub struct ModelCache {
    database: Rc<Database>,
    files: Option<ChunkFiles>,
}

impl ModelCache {
    /// Opens the store, and makes it on the first visit.
    ///
    /// # Errors
    /// [`Error::Storage`] where this browser, or this kind of window, has none.
    pub async fn open() -> Result<Self> {
        let failed = |error: idb::Error| storage_error("open the model store", error.to_string());
        let mut request = Factory::new().and_then(|factory| factory.open(DATABASE, Some(VERSION))).map_err(failed)?;
        request.on_upgrade_needed(|event| {
            // A failure here makes the open request fail, which is where it is reported.
            if let Ok(database) = event.database() {
                let _ = database.create_object_store(MANIFESTS, ObjectStoreParams::new());
                let _ = database.create_object_store(CHUNKS, ObjectStoreParams::new());
            }
        });
        let database = carried_through(async move { request.await.map_err(failed) }).await?;
        Ok(Self { database: Rc::new(database), files: ChunkFiles::open().await })
    }

    /// Where the chunks of a large file are best kept: [`Manifest::file`] of a new manifest.
    pub fn new_file(&self) -> Option<String> {
        self.files.as_ref().map(|_| ChunkFiles::new_name())
    }

    /// What is known of a file.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn manifest(&self, url: &str) -> Result<Option<Manifest>> {
        let value = self.get(MANIFESTS, url.into()).await?;
        Ok(value.and_then(|value| self.manifest_from_js(&value)))
    }

    /// A kept chunk.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn chunk(&self, manifest: &Manifest, idx: u32) -> Result<Option<Vec<u8>>> {
        if let (Some(name), Some(files)) = (&manifest.file, &self.files) {
            return files.read(name, manifest.chunk_at(idx), manifest.chunk_len(idx) as usize).await;
        }
        let value = self.get(CHUNKS, chunk_key(&manifest.url, idx.into())).await?;
        let buffer = value.and_then(|value| value.dyn_into::<js_sys::ArrayBuffer>().ok());
        Ok(buffer.map(|buffer| Uint8Array::new(&buffer).to_vec()))
    }

    /// Writes a manifest, and with it or before it a chunk that it counts.
    ///
    /// # Errors
    /// [`Error::Storage`], `full` where the browser allows no more; nothing is written then.
    pub async fn put(&self, manifest: &Manifest, chunk: Option<(u32, &[u8])>) -> Result<()> {
        let action = format!("keep `{}`", manifest.url);
        let json = serde_json::to_string(manifest).map_err(|error| Error::Internal(error.to_string()))?;
        let in_database = match (&manifest.file, &self.files, chunk) {
            (Some(name), Some(files), Some((idx, bytes))) => {
                let begin = manifest.chunks.len() <= 1;
                files.write(name, begin, manifest.chunk_at(idx), bytes).await?;
                None
            }
            _ => chunk,
        };
        self.write(&action, |transaction| {
            if let Some((idx, bytes)) = in_database {
                let buffer = Uint8Array::from(bytes).buffer();
                transaction.object_store(CHUNKS)?.put(&buffer, Some(&chunk_key(&manifest.url, idx.into())))?;
            }
            let key = JsValue::from_str(&manifest.url);
            transaction.object_store(MANIFESTS)?.put(&JsValue::from_str(&json), Some(&key))?;
            Ok(())
        })
        .await
    }

    /// Forgets files.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn remove_files(&self, urls: &[String]) -> Result<()> {
        let mut names = Vec::new();
        if self.files.is_some() {
            for url in urls {
                names.extend(self.manifest(url).await?.and_then(|manifest| manifest.file));
            }
        }
        self.write("remove files", |transaction| {
            for url in urls {
                transaction.object_store(MANIFESTS)?.delete(JsValue::from_str(url))?;
                let all = KeyRange::bound(&chunk_key(url, 0.0), &chunk_key(url, f64::INFINITY), None, None)?;
                transaction.object_store(CHUNKS)?.delete(all)?;
            }
            Ok(())
        })
        .await?;
        if let Some(files) = &self.files {
            files.remove(&names).await;
        }
        Ok(())
    }

    /// Removes what no manifest names any more: a page was closed between two steps.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn remove_orphans(&self) -> Result<()> {
        if let Some(files) = &self.files {
            let named = self.manifests().await?.into_iter().filter_map(|manifest| manifest.file).collect();
            files.remove_orphans(&named).await;
        }
        Ok(())
    }

    /// Forgets a model.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn remove(&self, model: &str) -> Result<()> {
        let manifests = self.manifests().await?;
        let urls: Vec<String> =
            manifests.into_iter().filter(|manifest| manifest.model == model).map(|manifest| manifest.url).collect();
        self.remove_files(&urls).await
    }

    /// What is kept, by model. A model counts as complete where from one source its weights and all other files that
    /// were asked for are whole.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn list(&self) -> Result<Vec<CachedModel>> {
        let mut sources: BTreeMap<(String, String), (u64, bool, bool)> = BTreeMap::new();
        for manifest in self.manifests().await? {
            let folder = manifest.url.rsplit_once('/').map_or("", |(folder, _)| folder).to_string();
            let (bytes, has_weights, is_whole) =
                sources.entry((manifest.model.clone(), folder)).or_insert((0, false, true));
            *bytes += manifest.kept_bytes();
            *has_weights |= manifest.kept == Kept::Whole && manifest.url.ends_with(".safetensors");
            // What was made of a file, named behind its address, is there for speed alone.
            *is_whole &= manifest.kept != Kept::Partly || copies::is_copy(&manifest.url);
        }
        let mut models: BTreeMap<String, CachedModel> = BTreeMap::new();
        for ((model, _), (bytes, has_weights, is_whole)) in sources {
            let entry = models.entry(model.clone()).or_insert(CachedModel { model, complete: false, bytes: 0 });
            entry.bytes += bytes;
            entry.complete |= has_weights && is_whole;
        }
        // Absent files alone keep nothing.
        Ok(models.into_values().filter(|model| model.bytes > 0).collect())
    }

    /// What is known of every file.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn manifests(&self) -> Result<Vec<Manifest>> {
        let database = self.database.clone();
        let read = async move {
            let transaction = database.transaction(&[MANIFESTS], TransactionMode::ReadOnly)?;
            transaction.object_store(MANIFESTS)?.get_all(None, None)?.await
        };
        let read = async { read.await.map_err(|error| storage_error("list the models", error.to_string())) };
        Ok(carried_through(read).await?.iter().filter_map(|value| self.manifest_from_js(value)).collect())
    }

    /// A manifest of another form is from another version of the program, and one whose chunks lie where this window cannot read is from
    /// another kind of window: as good as none.
    fn manifest_from_js(&self, value: &JsValue) -> Option<Manifest> {
        let mut manifest: Manifest = serde_json::from_str(&value.as_string()?).ok()?;
        manifest.chunks.extend_to(manifest.chunks_done);
        Some(manifest).filter(|manifest| manifest.file.is_none() || self.files.is_some())
    }

    async fn get(&self, store: &'static str, key: JsValue) -> Result<Option<JsValue>> {
        let database = self.database.clone();
        let read = async move {
            let transaction = database.transaction(&[store], TransactionMode::ReadOnly)?;
            transaction.object_store(store)?.get(Query::Key(key))?.await
        };
        carried_through(async { read.await.map_err(|error| storage_error("read a file", error.to_string())) }).await
    }

    /// One transaction over both stores, done when all of it is on disk.
    async fn write(
        &self,
        action: &str,
        requests: impl FnOnce(&Transaction) -> std::result::Result<(), idb::Error>,
    ) -> Result<()> {
        let action = action.to_string();
        let failed = |error: idb::Error| storage_error(&action, error.to_string());
        let mut transaction =
            self.database.transaction(&[MANIFESTS, CHUNKS], TransactionMode::ReadWrite).map_err(failed)?;
        // The crate's own future does not tell why a transaction was aborted, and a full disk is worth knowing.
        let (sender, receiver) = oneshot::channel();
        let sender = Rc::new(Cell::new(Some(sender)));
        let tell = move |is_committed: bool| {
            if let Some(sender) = sender.take() {
                let _ = sender.send(is_committed); // Whoever waits is carried through.
            }
        };
        let tell_abort = tell.clone();
        transaction.on_complete(move |_| tell(true));
        transaction.on_abort(move |_| tell_abort(false));
        if let Err(error) = requests(&transaction) {
            transaction.forget_callbacks(); // The browser calls them after this function has returned.
            let _ = transaction.abort(); // It may have been aborted by what failed.
            return Err(failed(error));
        }
        carried_through(async move {
            if let Ok(true) = receiver.await {
                return Ok(());
            }
            let reason = transaction.error().map(|error| format!("{}: {}", error.name(), error.message()));
            Err(storage_error(&action, reason.unwrap_or_else(|| "it was aborted without a reason".into())))
        })
        .await
    }
}

/// Waits for the browser's answer to a request, which comes also where nobody waits any more: a load may be dropped in the middle, and a
/// callback that is gone by then would be an error that stops the engine.
pub(super) async fn carried_through<T: 'static>(request: impl Future<Output = Result<T>> + 'static) -> Result<T> {
    let (sender, receiver) = oneshot::channel();
    spawn_local(async move {
        let _ = sender.send(request.await); // Nobody waits any more: the load was dropped.
    });
    receiver.await.unwrap_or_else(|_| Err(Error::Internal("a request to the browser's store was dropped".into())))
}

fn chunk_key(url: &str, idx: f64) -> JsValue {
    Array::of2(&url.into(), &idx.into()).into()
}

/// The browser's words for a refusal; a full quota is told apart by its name.
pub(super) fn storage_error(action: &str, reason: String) -> Error {
    let full = reason.contains("QuotaExceededError");
    Error::Storage { action: action.into(), reason, full }
}
