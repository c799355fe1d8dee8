//! A model's files in a folder, for native tests and the bench.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::files::{FileStream, LoadHooks, MAX_SMALL_FILE_BYTES};
use crate::engine::{Error, Result};
use crate::protocol::{FileProgress, LoadRequest};

/// A model's folder.
pub struct ModelFiles {
    folder: PathBuf,
    hooks: LoadHooks,
    /// Bytes of a chunk.
    chunk_bytes: u32,
}

impl ModelFiles {
    /// The files of that folder.
    pub fn folder(folder: impl Into<PathBuf>, hooks: LoadHooks) -> Self {
        Self { folder: folder.into(), hooks, chunk_bytes: LoadRequest::DEFAULT_CHUNK_BYTES }
    }

    /// The same, read in chunks of so many bytes: a browser receives as much with one request.
    pub fn in_chunks(self, chunk_bytes: u32) -> Self {
        Self { chunk_bytes: chunk_bytes.max(1), ..self }
    }

    /// The model's id.
    pub fn model(&self) -> &str {
        self.folder.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// What the load wants to hear.
    pub fn hooks(&self) -> &LoadHooks {
        &self.hooks
    }

    /// Whether what is made of them may be kept beside them: natively nothing is, and nothing speaks against it.
    pub fn may_be_kept(&self) -> bool {
        true
    }

    /// Where a file is.
    pub fn address(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// A small file, whole; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Fetch`] where it cannot be read, [`Error::Cancelled`].
    pub async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.chunks(name).await? else { return Ok(None) };
        if file.total > MAX_SMALL_FILE_BYTES {
            return Err(file.refused(&format!("{} bytes are too many for a file of this kind", file.total)));
        }
        let mut bytes = Vec::with_capacity(file.total as usize);
        let mut stream = FileStream::new(file);
        while let Some(chunk) = stream.next_chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes))
    }

    /// A large file as chunks; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Fetch`] where it cannot be read.
    pub async fn chunks(&self, name: &str) -> Result<Option<Rc<ChunkFile>>> {
        let path = self.folder.join(name);
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            Ok((total, file)) => Ok(Some(Rc::new(ChunkFile {
                file: file.into(),
                path,
                name: name.into(),
                total,
                chunk_bytes: self.chunk_bytes.into(),
                received: Cell::new(0),
                hooks: self.hooks.clone(),
            }))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fetch_error(&path, &error.to_string())),
        }
    }
}

/// A file as chunks, in any order.
pub struct ChunkFile {
    file: RefCell<File>,
    path: PathBuf,
    name: String,
    total: u64,
    chunk_bytes: u64,
    received: Cell<u64>,
    hooks: LoadHooks,
}

impl ChunkFile {
    /// Length of the file; natively always known.
    pub fn total_bytes(&self) -> Option<u64> {
        Some(self.total)
    }

    /// Length of each chunk but the last.
    pub fn chunk_bytes(&self) -> u64 {
        self.chunk_bytes
    }

    /// Whether all of it is here, checked: natively files are taken as they are.
    pub fn is_kept(&self) -> bool {
        true
    }

    /// Whether chunks may be asked for in any order: of a file on the disk always.
    pub fn gives_ranges(&self) -> bool {
        true
    }

    /// What tells this version of the file from others.
    pub fn version(&self) -> String {
        format!("{} bytes", self.total)
    }

    /// A chunk; empty behind the end of the file.
    ///
    /// # Errors
    /// [`Error::Fetch`] where the file cannot be read, [`Error::Cancelled`].
    pub async fn chunk(self: Rc<Self>, idx: u32) -> Result<Vec<u8>> {
        self.hooks.cancel.check()?;
        let first = u64::from(idx) * self.chunk_bytes;
        // A vector that grows by itself ends up with twice the room.
        let mut chunk = Vec::with_capacity(self.total.saturating_sub(first).min(self.chunk_bytes) as usize);
        let mut file = self.file.borrow_mut();
        let at = SeekFrom::Start(first);
        let read = file.seek(at).and_then(|_| (&mut *file).take(self.chunk_bytes).read_to_end(&mut chunk));
        read.map_err(|error| self.refused(&error.to_string()))?;
        self.received.set((self.received.get() + chunk.len() as u64).min(self.total));
        (self.hooks.on_progress)(FileProgress {
            name: self.name.clone(),
            received_bytes: self.received.get(),
            fetched_bytes: self.received.get(),
            to_fetch_bytes: self.total - self.received.get(),
            total_bytes: self.total,
            cached: false,
        });
        Ok(chunk)
    }

    /// Says that a chunk is used: natively files are taken as they are.
    pub fn used(&self, _idx: u32, _chunk: &[u8]) {}

    /// Says that all chunks have been received.
    ///
    /// # Errors
    /// Natively none.
    pub async fn finish(self: Rc<Self>) -> Result<()> {
        Ok(())
    }

    fn refused(&self, reason: &str) -> Error {
        fetch_error(&self.path, reason)
    }
}

fn fetch_error(path: &Path, reason: &str) -> Error {
    Error::Fetch { url: path.display().to_string(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK_BYTES: usize = 100_000;

    #[test]
    fn native_files_come_whole_in_chunks_or_say_that_they_are_missing() {
        let folder = std::env::temp_dir().join(format!("rill-native-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let bytes: Vec<u8> = (0..CHUNK_BYTES + 17).map(|i| (i * 7) as u8).collect();
        std::fs::write(folder.join("model.safetensors"), &bytes).unwrap();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let log = seen.clone();
        let hooks = LoadHooks {
            on_progress: Rc::new(move |p| log.borrow_mut().push(p.received_bytes)),
            ..LoadHooks::default()
        };
        let files = ModelFiles::folder(&folder, hooks.clone()).in_chunks(CHUNK_BYTES as u32);
        pollster::block_on(async {
            let mut stream = files.open("model.safetensors").await.unwrap();
            assert_eq!(stream.total_bytes(), Some(bytes.len() as u64));
            assert_eq!(stream.next_chunk().await.unwrap().unwrap(), bytes[..CHUNK_BYTES]);
            assert_eq!(stream.next_chunk().await.unwrap().unwrap(), bytes[CHUNK_BYTES..]);
            assert_eq!(stream.next_chunk().await.unwrap(), None);
            assert_eq!(files.read("config.json").await.unwrap(), None);
            let message = files.read_required("config.json").await.unwrap_err().to_string();
            assert!(message.contains("config.json") && message.contains("no such file"), "{message}");
            hooks.cancel.cancel();
            assert!(matches!(files.read("model.safetensors").await, Err(Error::Cancelled)));
        });
        assert_eq!(seen.borrow()[..2], [CHUNK_BYTES as u64, bytes.len() as u64]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
