//! A model's files in a folder, for native tests and the bench.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::files::{LoadHooks, MAX_SMALL_FILE_BYTES};
use crate::engine::{Error, Result};
use crate::protocol::FileProgress;

/// Bytes of a chunk: as much as a browser receives with one request.
const CHUNK_BYTES: usize = crate::protocol::LoadRequest::DEFAULT_CHUNK_BYTES as usize;

/// A model's folder.
pub struct ModelFiles {
    folder: PathBuf,
    hooks: LoadHooks,
}

impl ModelFiles {
    /// The files of that folder.
    pub fn folder(folder: impl Into<PathBuf>, hooks: LoadHooks) -> Self {
        Self { folder: folder.into(), hooks }
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
        let Some(mut stream) = self.try_open(name)? else { return Ok(None) };
        if stream.total > MAX_SMALL_FILE_BYTES {
            return Err(stream.refused(&format!("{} bytes are too many for a file of this kind", stream.total)));
        }
        let mut bytes = Vec::with_capacity(stream.total as usize);
        while let Some(chunk) = stream.next_chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes))
    }

    /// A large file as a stream.
    ///
    /// # Errors
    /// [`Error::Fetch`] where there is none or it cannot be read.
    pub async fn open(&self, name: &str) -> Result<FileStream> {
        self.try_open(name)?.ok_or_else(|| self.missing(name))
    }

    fn try_open(&self, name: &str) -> Result<Option<FileStream>> {
        let path = self.folder.join(name);
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            Ok((total, file)) => {
                Ok(Some(FileStream { file, path, name: name.into(), total, received: 0, hooks: self.hooks.clone() }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fetch_error(&path, &error.to_string())),
        }
    }
}

/// A file as chunks.
pub struct FileStream {
    file: File,
    path: PathBuf,
    name: String,
    total: u64,
    received: u64,
    hooks: LoadHooks,
}

impl FileStream {
    /// Length of the file; natively always known.
    pub fn total_bytes(&self) -> Option<u64> {
        Some(self.total)
    }

    /// The next bytes, `None` at the end.
    ///
    /// # Errors
    /// [`Error::Fetch`] where the file cannot be read, [`Error::Cancelled`].
    pub async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>> {
        self.hooks.cancel.check()?;
        let mut chunk = Vec::new();
        let read = (&mut self.file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
        read.map_err(|error| self.refused(&error.to_string()))?;
        self.received += chunk.len() as u64;
        (self.hooks.on_progress)(FileProgress {
            name: self.name.clone(),
            received_bytes: self.received,
            total_bytes: self.total,
            cached: false,
        });
        Ok(if chunk.is_empty() { None } else { Some(chunk) })
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
    use std::cell::RefCell;
    use std::rc::Rc;

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
        let files = ModelFiles::folder(&folder, hooks.clone());
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
