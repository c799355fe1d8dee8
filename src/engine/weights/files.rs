//! A model's files, wherever they are: one interface over a folder (natively) and the network with the browser's own
//! store (in a browser).
//!
//! [`ModelFiles`] and [`ChunkFile`] are the types of `native` or of `web` and `download`; both have
//! - `read(name)`: a small file, whole, `None` where the model has no such file;
//! - `chunks(name)`: a large file as chunks that may be asked for in any order, several at a time.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use crate::engine::{CancelFlag, Error, Result};
use crate::protocol::FileProgress;

#[cfg(not(target_arch = "wasm32"))]
pub use super::native::{ChunkFile, ModelFiles};
#[cfg(target_arch = "wasm32")]
pub use super::{download::ChunkFile, web::ModelFiles};

/// Largest file that [`ModelFiles::read`] takes: a tokenizer has a few megabytes, weights are streamed.
pub const MAX_SMALL_FILE_BYTES: u64 = 64 << 20;

/// What a load wants to hear while its files arrive, and how it is stopped.
#[derive(Clone)]
pub struct LoadHooks {
    /// Stops it.
    pub cancel: CancelFlag,
    /// Called when a file went on, about twenty times a second at most, and when it is complete.
    pub on_progress: Rc<dyn Fn(FileProgress)>,
    /// Called with what goes wrong without ending the load (a store that is full or missing).
    pub on_notice: Rc<dyn Fn(Error)>,
}

impl Default for LoadHooks {
    fn default() -> Self {
        Self { cancel: CancelFlag::default(), on_progress: Rc::new(|_| {}), on_notice: Rc::new(|_| {}) }
    }
}

impl ModelFiles {
    /// A small file that the model cannot do without.
    ///
    /// # Errors
    /// Those of `read`, and [`Error::Fetch`] where there is no such file.
    pub async fn read_required(&self, name: &str) -> Result<Vec<u8>> {
        self.read(name).await?.ok_or_else(|| self.missing(name))
    }

    /// A large file from its start to its end.
    ///
    /// # Errors
    /// Those of `chunks`, and [`Error::Fetch`] where there is no such file.
    pub async fn open(&self, name: &str) -> Result<FileStream> {
        Ok(FileStream::new(self.chunks(name).await?.ok_or_else(|| self.missing(name))?))
    }

    /// What to say of a file that is not there.
    pub(in crate::engine) fn missing(&self, name: &str) -> Error {
        Error::Fetch { url: self.address(name), reason: "there is no such file".into() }
    }
}

type ChunkFuture = Pin<Box<dyn Future<Output = Result<Vec<u8>>>>>;

/// Chunks on their way, given in the order in which they were asked for.
#[derive(Default)]
pub struct InFlight {
    queue: VecDeque<Asked>,
}

/// A chunk that was asked for.
struct Asked {
    file: Rc<ChunkFile>,
    idx: u32,
    future: ChunkFuture,
    /// Once it has come, or failed.
    received: Option<Result<Vec<u8>>>,
}

impl InFlight {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Asks for a chunk.
    pub fn ask(&mut self, file: &Rc<ChunkFile>, idx: u32) {
        let future = Box::pin(file.clone().chunk(idx));
        self.queue.push_back(Asked { file: file.clone(), idx, future, received: None });
    }

    /// Lets all of them go on; waits for none. A request is sent with the first call.
    pub async fn nudge(&mut self) {
        std::future::poll_fn(|context| {
            self.poll(context);
            Poll::Ready(())
        })
        .await;
    }

    /// Waits for the one that was asked for first, while the others go on; `None` where there is none.
    pub async fn next(&mut self) -> Option<Result<(u32, Vec<u8>)>> {
        std::future::poll_fn(|context| {
            self.poll(context);
            match self.queue.front() {
                Some(Asked { received: None, .. }) => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .await;
        let Asked { file, idx, received, .. } = self.queue.pop_front()?;
        let chunk = received?;
        if let Ok(chunk) = &chunk {
            file.used(idx, chunk);
        }
        Some(chunk.map(|chunk| (idx, chunk)))
    }

    fn poll(&mut self, context: &mut std::task::Context<'_>) {
        for asked in &mut self.queue {
            if asked.received.is_none()
                && let Poll::Ready(received) = asked.future.as_mut().poll(context)
            {
                asked.received = Some(received);
            }
        }
    }
}

/// A file from its start to its end, the next chunk on its way while the last one is worked on.
pub struct FileStream {
    file: Rc<ChunkFile>,
    next: u32,
    position: u64,
    is_done: bool,
    in_flight: InFlight,
}

impl FileStream {
    /// A file from its start.
    pub(super) fn new(file: Rc<ChunkFile>) -> Self {
        Self { file, next: 0, position: 0, is_done: false, in_flight: InFlight::default() }
    }

    /// Length of the file where it is known, which it nearly always is.
    pub fn total_bytes(&self) -> Option<u64> {
        self.file.total_bytes()
    }

    /// The next bytes, `None` at the end.
    ///
    /// # Errors
    /// Those of [`ChunkFile::chunk`] and [`ChunkFile::finish`].
    pub async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>> {
        if self.is_done {
            return Ok(None);
        }
        if self.in_flight.is_empty() {
            self.ask();
        }
        let Some(received) = self.in_flight.next().await else { return Ok(None) };
        let (_, chunk) = received?;
        self.position += chunk.len() as u64;
        if self.file.total_bytes() == Some(self.position) {
            self.is_done = true;
            self.file.clone().finish().await?;
        } else {
            self.ask();
            self.in_flight.nudge().await;
        }
        Ok(if chunk.is_empty() { None } else { Some(chunk) })
    }

    fn ask(&mut self) {
        self.in_flight.ask(&self.file, self.next);
        self.next += 1;
    }
}
