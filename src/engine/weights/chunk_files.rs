//! Chunks of large files in the origin private file system, where the browser has it in workers: a handle reads them into the engine's
//! memory without a copy in between, ten times as fast as IndexedDB gives them back.
//!
//! Each kept file is one file here, chunk by chunk at its place, under a name that no other has; which chunks are in it is told by its
//! manifest in the database ([`super::cache`]), written after them. A file whose manifest is gone is nobody's.

use super::cache::{carried_through, storage_error};
use crate::engine::{Error, Result};
use async_lock::Mutex;
use js_sys::{AsyncIterator, Function, IteratorNext, Object, Reflect, Uint8Array};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DomException, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemReadWriteOptions, FileSystemSyncAccessHandle, WorkerGlobalScope,
};

const FOLDER: &str = "rill-models";

/// A file without a manifest may be one that another page has just begun, for as long as this.
const ORPHAN_MS: f64 = 24.0 * 3600e3;

/// Handles of this worker by file: most browsers give one for each file.
type Handles = Rc<Mutex<HashMap<String, Weak<Handle>>>>;

thread_local! {
    static HANDLES: Handles = Handles::default();
}

/// The folder with the files. Clones share the handles that they have opened; the last one closes them.
#[derive(Debug, Clone)]
pub(super) struct ChunkFiles {
    folder: FileSystemDirectoryHandle,
    held: Rc<RefCell<HashMap<String, Rc<Handle>>>>,
}

#[derive(Debug)]
struct Handle(FileSystemSyncAccessHandle);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl ChunkFiles {
    /// The folder; `None` where this browser, or this kind of window, has none.
    pub async fn open() -> Option<Self> {
        let scope = js_sys::global().dyn_into::<WorkerGlobalScope>().ok()?;
        // Older browsers lack one or the other.
        let storage = Reflect::get(&scope.navigator(), &"storage".into()).ok().filter(JsValue::is_truthy)?;
        Reflect::get(&storage, &"getDirectory".into()).ok().filter(JsValue::is_function)?;
        Reflect::get(&scope, &"FileSystemSyncAccessHandle".into()).ok().filter(JsValue::is_truthy)?;
        let root = JsFuture::from(scope.navigator().storage().get_directory()).await.ok()?;
        let options = FileSystemGetDirectoryOptions::new();
        options.set_create(true);
        let root: FileSystemDirectoryHandle = root.unchecked_into();
        let folder = JsFuture::from(root.get_directory_handle_with_options(FOLDER, &options)).await.ok()?;
        Some(Self { folder: folder.unchecked_into(), held: Rc::default() })
    }

    /// A name that no other file has.
    pub fn new_name() -> String {
        format!("{:.0}-{:.0}", js_sys::Date::now(), js_sys::Math::random() * 1e15)
    }

    /// Writes a chunk from byte `at` on. Only the first of a file may `begin` it: where the file is gone, so is what was in it.
    ///
    /// # Errors
    /// [`Error::Storage`], `full` where the browser allows no more.
    pub async fn write(&self, name: &str, begin: bool, at: u64, bytes: &[u8]) -> Result<()> {
        let failed = |error: JsValue| refused("keep a part of a file", &error);
        let handle = self.handle(name, begin).await.map_err(failed)?;
        let options = at_byte(at);
        let written = handle.0.write_with_u8_array_and_options(bytes, &options).map_err(failed)?;
        if written < bytes.len() as f64 {
            let reason = format!("{written} of {} bytes were written", bytes.len());
            return Err(Error::Storage { action: "keep a part of a file".into(), reason, full: true });
        }
        // The manifest that counts the chunk may not be on disk before it.
        handle.0.flush().map_err(failed)
    }

    /// `len` bytes from `at` on; fewer where the file ends before, `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Storage`] where the file is there and cannot be read.
    pub async fn read(&self, name: &str, at: u64, len: usize) -> Result<Option<Vec<u8>>> {
        let failed = |error: JsValue| refused("read a kept file", &error);
        match self.handle(name, false).await {
            Ok(handle) => {
                let mut bytes = vec![0; len];
                match handle.0.read_with_u8_array_and_options(&mut bytes, &at_byte(at)) {
                    Ok(read) => bytes.truncate(read as usize),
                    // Closed by whoever removed the file.
                    Err(error) if is_named(&error, "InvalidStateError") => return Ok(None),
                    Err(error) => return Err(failed(error)),
                }
                Ok(Some(bytes))
            }
            Err(error) if is_named(&error, "NotFoundError") => Ok(None),
            // Another page has the only handle that this browser gives.
            Err(_) => self.read_shared(name, at, len).await.map(Some).map_err(failed),
        }
    }

    /// The same without a handle, as slowly as from the database.
    async fn read_shared(&self, name: &str, at: u64, len: usize) -> std::result::Result<Vec<u8>, JsValue> {
        let file: FileSystemFileHandle = JsFuture::from(self.folder.get_file_handle(name)).await?.unchecked_into();
        let file: web_sys::File = JsFuture::from(file.get_file()).await?.unchecked_into();
        let slice = file.slice_with_f64_and_f64(at as f64, at as f64 + len as f64)?;
        let buffer = JsFuture::from(slice.array_buffer()).await?;
        Ok(Uint8Array::new(&buffer).to_vec())
    }

    /// Removes files. One that another page reads stays until nobody does ([`Self::remove_orphans`]).
    pub async fn remove(&self, names: &[String]) {
        for name in names {
            self.held.borrow_mut().remove(name);
            let handles = HANDLES.with(Handles::clone);
            let known = handles.lock().await.remove(name).and_then(|handle| handle.upgrade());
            // Whoever in this worker still reads it is refused from now on.
            known.inspect(|handle| handle.0.close());
            let _ = JsFuture::from(self.folder.remove_entry(name)).await;
        }
    }

    /// Removes files that no manifest names and that nobody can be about to write.
    pub async fn remove_orphans(&self, named: &HashSet<String>) {
        let now_ms = js_sys::Date::now();
        let is_old = |name: &str| match name.split('-').next().and_then(|made_ms| made_ms.parse::<f64>().ok()) {
            Some(made_ms) => now_ms - made_ms > ORPHAN_MS,
            None => true,
        };
        let orphans: Vec<String> =
            self.names().await.into_iter().filter(|name| !named.contains(name) && is_old(name)).collect();
        self.remove(&orphans).await;
    }

    /// The files that are there, as far as the browser tells.
    async fn names(&self) -> Vec<String> {
        let keys: AsyncIterator = self.folder.keys();
        let mut names = Vec::new();
        while let Ok(next) = keys.next()
            && let Ok(next) = JsFuture::from(next).await
        {
            let next: IteratorNext = next.unchecked_into();
            match next.value().as_string() {
                Some(name) if !next.done() => names.push(name),
                _ => break,
            }
        }
        names
    }

    /// The handle of a file, opened if it is not. It stays open as long as this folder is used.
    async fn handle(&self, name: &str, create: bool) -> std::result::Result<Rc<Handle>, JsValue> {
        let held = self.held.borrow().get(name).cloned();
        if let Some(handle) = held {
            return Ok(handle);
        }
        let (folder, name) = (self.folder.clone(), name.to_string());
        let opened = {
            let name = name.clone();
            // Carried through: a handle that nobody waits for any more would keep the file locked.
            carried_through(async move { Ok(opened(&folder, &name, create).await) }).await
        };
        let handle = opened.map_err(|error| JsValue::from_str(&error.to_string()))??;
        self.held.borrow_mut().insert(name, handle.clone());
        Ok(handle)
    }
}

/// This worker's handle of a file.
async fn opened(
    folder: &FileSystemDirectoryHandle,
    name: &str,
    create: bool,
) -> std::result::Result<Rc<Handle>, JsValue> {
    let handles = HANDLES.with(Handles::clone);
    // Held meanwhile: two who ask at once get the same one.
    let mut handles = handles.lock().await;
    if let Some(handle) = handles.get(name).and_then(Weak::upgrade) {
        return Ok(handle);
    }
    let options = FileSystemGetFileOptions::new();
    options.set_create(create);
    let file = JsFuture::from(folder.get_file_handle_with_options(name, &options)).await?;
    // Several pages may then have the file open; browsers that do not know the option give one handle at a time.
    let shared = Object::new();
    Reflect::set(&shared, &"mode".into(), &"readwrite-unsafe".into())?;
    let open: Function = Reflect::get(&file, &"createSyncAccessHandle".into())?.dyn_into()?;
    let handle = JsFuture::from(js_sys::Promise::resolve(&open.call1(&file, &shared)?)).await?;
    let handle = Rc::new(Handle(handle.unchecked_into()));
    handles.retain(|_, known| known.strong_count() > 0);
    handles.insert(name.into(), Rc::downgrade(&handle));
    Ok(handle)
}

fn at_byte(at: u64) -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at_f64(at as f64);
    options
}

fn is_named(error: &JsValue, name: &str) -> bool {
    error.dyn_ref::<DomException>().is_some_and(|error| error.name() == name)
}

fn refused(action: &str, error: &JsValue) -> Error {
    let reason = match error.dyn_ref::<DomException>() {
        Some(error) => format!("{}: {}", error.name(), error.message()),
        None => error.as_string().unwrap_or_else(|| format!("{error:?}")),
    };
    storage_error(action, reason)
}
