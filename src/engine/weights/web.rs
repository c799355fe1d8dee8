//! A model's files in a browser: from its own store, otherwise from the first place that has them.
//!
//! Decides where a file comes from; receiving it is left to [`super::download`], keeping it to [`super::cache`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use web_sys::{AbortController, AbortSignal, Blob};

use super::cache::{Kept, Manifest, ModelCache};
use super::download::{ChunkFile, Way};
use super::dropped::Dropped;
use super::fetch::Request;
use super::files::{FileStream, LoadHooks, MAX_SMALL_FILE_BYTES};
use super::list::{FileList, ListedFile};
use super::source::{Place, WebSource};
use crate::engine::backing::make_room;
use crate::engine::{Error, Result};
use crate::protocol::Source;

/// A model's files.
pub struct ModelFiles {
    shared: Rc<Shared>,
    places: Vec<Place>,
    /// The place that had the first file: files of two places are never mixed.
    chosen: Cell<Option<usize>>,
    lists: Vec<RefCell<Option<Rc<Listing>>>>,
    /// Files of the visitor's, in place of all places.
    dropped: Option<Dropped>,
}

/// What one place publishes about its files; `None` where it publishes nothing.
type Listing = Option<FileList>;

/// What all files of a load have in common.
pub(super) struct Shared {
    source: WebSource,
    pub hooks: LoadHooks,
    pub signal: Option<AbortSignal>,
    /// Whether the model is kept so far that it loads without the network. Only then is nothing asked again: a file
    /// that was not there, or was another one, may have come since.
    is_complete: bool,
    /// Gone after its first refusal: a load goes on without it.
    cache: RefCell<Option<ModelCache>>,
}

impl ModelFiles {
    /// The files of a model.
    ///
    /// Where the browser's store cannot be opened, `on_notice` hears of it and the load goes on without.
    ///
    /// # Errors
    /// [`Error::Input`](crate::engine::Error::Input) where the source is not an address.
    pub async fn new(source: WebSource, hooks: LoadHooks) -> Result<Self> {
        let places = source.places()?;
        let signal = abort_signal(&hooks);
        let opened = async {
            let cache = ModelCache::open().await?;
            let is_complete = cache.list().await?.iter().any(|kept| kept.model == source.model && kept.complete);
            Ok((Some(cache), is_complete))
        };
        let (cache, is_complete) = opened.await.unwrap_or_else(|error| {
            (hooks.on_notice)(error);
            (None, false)
        });
        let lists = places.iter().map(|_| RefCell::default()).collect();
        let shared = Rc::new(Shared { source, hooks, signal, is_complete, cache: RefCell::new(cache) });
        Ok(Self { shared, places, chosen: Cell::new(None), lists, dropped: None })
    }

    /// The model's id.
    pub fn model(&self) -> &str {
        &self.shared.source.model
    }

    /// What the load wants to hear.
    pub fn hooks(&self) -> &LoadHooks {
        &self.shared.hooks
    }

    /// Whether what is made of them may be kept beside them: of a visitor's own files nothing is.
    pub fn may_be_kept(&self) -> bool {
        self.dropped.is_none()
    }

    /// Files that a visitor gave. They are read where they are and not kept.
    ///
    /// # Errors
    /// [`Error::Input`](crate::engine::Error::Input) where they are no model's.
    pub fn dropped(files: &[(String, Blob)], model: &str, chunk_bytes: u32, hooks: LoadHooks) -> Result<Self> {
        let dropped = Dropped::new(files)?;
        let (model, source) = (model.to_string(), Source::Files);
        let source = WebSource { model, hub_id: String::new(), source, app_url: String::new(), chunk_bytes };
        let signal = abort_signal(&hooks);
        let shared = Rc::new(Shared { source, hooks, signal, is_complete: false, cache: RefCell::default() });
        let place = Place { folder: String::new(), list: String::new(), is_hub: false };
        let lists = vec![RefCell::default()];
        Ok(Self { shared, places: vec![place], chosen: Cell::new(Some(0)), lists, dropped: Some(dropped) })
    }

    /// Where a file is: at the place that had the first one, otherwise at the last place, which was to have it if no other had.
    pub fn address(&self, name: &str) -> String {
        format!("{}{name}", self.places[self.chosen.get().unwrap_or(self.places.len() - 1)].folder)
    }

    /// A small file, whole; `None` where the model has none of that name.
    ///
    /// # Errors
    /// [`Error::Fetch`](crate::engine::Error::Fetch) where the network or the server fails, [`Error::Corrupt`](crate::engine::Error::Corrupt) where the file is not the one that
    /// its source publishes, [`Error::Cancelled`](crate::engine::Error::Cancelled).
    pub async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.try_open(name, Way::Whole).await? else { return Ok(None) };
        let mut stream = FileStream::new(file.clone());
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next_chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > MAX_SMALL_FILE_BYTES {
                return Err(file.refused("it is too long for a file of this kind"));
            }
        }
        Ok(Some(bytes))
    }

    /// A large file as chunks; `None` where the model has none of that name.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn chunks(&self, name: &str) -> Result<Option<Rc<ChunkFile>>> {
        self.try_open(name, Way::Ranges).await
    }

    async fn try_open(&self, name: &str, way: Way) -> Result<Option<Rc<ChunkFile>>> {
        let candidates = match self.chosen.get() {
            Some(idx) => idx..idx + 1,
            None => 0..self.places.len(),
        };
        for idx in candidates {
            if let Some(file) = self.try_open_at(idx, name, way).await? {
                self.chosen.set(Some(idx));
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    async fn try_open_at(&self, idx: usize, name: &str, way: Way) -> Result<Option<Rc<ChunkFile>>> {
        let shared = &self.shared;
        shared.hooks.cancel.check()?;
        if let Some(dropped) = &self.dropped {
            let Some(given) = dropped.get(name) else { return Ok(None) };
            let mut manifest = shared.new_manifest(given.url.clone(), None);
            (manifest.total, manifest.etag) = (Some(given.size), Some(given.version.clone()));
            return Ok(Some(Rc::new(ChunkFile::new(shared, name, way, manifest))));
        }
        let url = format!("{}{name}", self.places[idx].folder);
        let kept = shared.manifest(&url).await;
        if shared.is_complete {
            match kept {
                Some(kept) if kept.kept == Kept::Whole => {
                    return Ok(Some(Rc::new(ChunkFile::new(shared, name, way, kept))));
                }
                Some(kept) if kept.kept == Kept::Absent => return Ok(None),
                _ => {}
            }
        }

        let listing = self.listing(idx).await?;
        let listed = match listing.as_ref() {
            Some(list) => match list.get(name) {
                Some(file) => Some(file.clone()),
                None => {
                    shared.keep_absence(url).await;
                    return Ok(None);
                }
            },
            None => None,
        };
        let mut manifest = shared.new_manifest(url, listed.as_ref());
        if way == Way::Ranges {
            manifest.file = shared.cache.borrow().as_ref().and_then(ModelCache::new_file);
        }
        match kept {
            Some(kept) if kept.is_usable() && is_same_version(&kept, listed.as_ref()) => manifest = kept,
            Some(_) => shared.forget(&manifest.url).await,
            None => {}
        }
        let file = ChunkFile::new(shared, name, way, manifest);
        // The first answer tells whether the file is there, and its length.
        let is_usable = file.manifest.borrow().is_usable();
        if !is_usable && !file.connect_with_retries().await? {
            shared.keep_absence(file.url()).await;
            return Ok(None);
        }
        Ok(Some(Rc::new(file)))
    }

    /// What a place publishes about its files, asked once a load and only where something is to be fetched.
    async fn listing(&self, idx: usize) -> Result<Rc<Listing>> {
        if let Some(listing) = self.lists[idx].borrow().clone() {
            return Ok(listing);
        }
        let place = &self.places[idx];
        let listing = Rc::new(match self.fetch_list(&place.list).await {
            Some(json) if place.is_hub => FileList::from_hub(&json),
            Some(json) => FileList::from_rill(&json),
            None => None,
        });
        self.shared.hooks.cancel.check()?;
        self.lists[idx].replace(Some(listing.clone()));
        Ok(listing)
    }

    /// A list is a help and no need: any failure means that there is none.
    async fn fetch_list(&self, url: &str) -> Option<Vec<u8>> {
        let mut answer = Request::start(url, None, self.shared.signal.as_ref()).answer().await.ok()?;
        let mut json = Vec::new();
        while answer.body.read(&mut json, usize::MAX).await.ok()? > 0 {}
        Some(json)
    }
}

/// What breaks requests off when a load is cancelled; `None` in a browser without such things.
fn abort_signal(hooks: &LoadHooks) -> Option<AbortSignal> {
    let controller = AbortController::new().ok()?;
    let signal = controller.signal();
    hooks.cancel.on_cancel(move || controller.abort());
    Some(signal)
}

/// Whether what is kept of a file can be continued.
fn is_same_version(kept: &Manifest, listed: Option<&ListedFile>) -> bool {
    listed.is_none_or(|listed| kept.sha256 == listed.sha256 && kept.total.is_none_or(|total| total == listed.size))
}

impl Shared {
    async fn manifest(&self, url: &str) -> Option<Manifest> {
        let cache = self.cache.borrow().clone()?;
        self.or_notice(cache.manifest(url).await).flatten()
    }

    pub async fn chunk(&self, manifest: &Manifest, idx: u32) -> Option<Vec<u8>> {
        let cache = self.cache.borrow().clone()?;
        self.or_notice(cache.chunk(manifest, idx).await).flatten()
    }

    pub async fn put(&self, manifest: &Manifest, chunk: Option<(u32, &[u8])>) {
        let Some(cache) = self.cache.borrow().clone() else { return };
        let mut result = cache.put(manifest, chunk).await;
        // Copies of weights are there for speed alone: they give way, this model's own first.
        for model in [Some(self.source.model.as_str()), None] {
            if !matches!(result, Err(Error::Storage { full: true, .. })) {
                break;
            }
            let made_room = make_room(&cache, model).await.unwrap_or(false);
            // Tried again in any case: another file of this load may have made room meanwhile.
            result = cache.put(manifest, chunk).await;
            if made_room && result.is_ok() {
                (self.hooks.on_notice)(Error::CopyGone);
            }
        }
        self.or_notice(result);
    }

    pub async fn forget(&self, url: &str) {
        let cache = self.cache.borrow().clone();
        if let Some(cache) = cache {
            self.or_notice(cache.remove_files(&[url.to_string()]).await);
        }
    }

    async fn keep_absence(&self, url: String) {
        self.forget(&url).await;
        let mut manifest = self.new_manifest(url, None);
        manifest.kept = Kept::Absent;
        self.put(&manifest, None).await;
    }

    /// The store's first refusal is told, and its last: the load goes on without it.
    fn or_notice<T>(&self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.cache.take().map(|_| (self.hooks.on_notice)(error))).ok()
    }

    fn new_manifest(&self, url: String, listed: Option<&ListedFile>) -> Manifest {
        let mut manifest = Manifest::new(&self.source.model, url, self.source.chunk_bytes);
        manifest.total = listed.map(|listed| listed.size);
        manifest.sha256 = listed.and_then(|listed| listed.sha256.clone());
        manifest
    }
}
