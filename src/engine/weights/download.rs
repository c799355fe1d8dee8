//! One file of a model as it is received: from the browser's store as far as it is kept, then from the network.
//!
//! Large files come by range requests, one chunk each, the next one asked for while the last is worked on; a broken
//! request goes on at the byte it reached. Every chunk is kept as soon as it is here ([`super::cache`]), and what was
//! kept is never asked for again. Single requests are in [`super::fetch`].

use std::rc::Rc;

use gloo_timers::future::TimeoutFuture;
use web_time::Instant;

use super::cache::{Kept, Manifest};
use super::fetch::{Answer, Body, Problem, Request};
use super::list::HashCheck;
use super::web::Shared;
use crate::engine::{Error, Result};
use crate::protocol::FileProgress;

/// Times that a request is repeated without a single new byte before the load gives up.
const MAX_RETRIES: u32 = 4;

/// Wait before the first repetition; doubled each time.
const FIRST_RETRY_MS: u32 = 250;

/// Shortest time between two reports on one file.
const REPORT_EVERY_MS: u128 = 50;

/// How a file is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// With one request, which the server may compress.
    Whole,
    /// Chunk by chunk.
    Ranges,
}

/// A file as chunks.
pub struct FileStream {
    shared: Rc<Shared>,
    name: String,
    way: Way,
    pub(super) manifest: Manifest,
    /// Whether all of it comes from the store.
    is_cached: bool,
    check: Option<HashCheck>,
    /// Bytes handed out.
    position: u64,
    connection: Option<Connection>,
    next: Option<Request>,
    last_report: Option<Instant>,
}

/// An answer that is being read.
struct Connection {
    body: Body,
    is_range: bool,
    /// Where in the file the body stands.
    position: u64,
}

/// What ended an attempt.
enum Failed {
    /// Asking again may help.
    Broken(String),
    Missing(String),
    Refused(String),
    /// The server has another version of the file now.
    Replaced(Error),
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Broken(reason) => Failed::Broken(reason),
            Problem::Missing(reason) => Failed::Missing(reason),
            Problem::Refused(reason) => Failed::Refused(reason),
        }
    }
}

impl FileStream {
    /// A file of which `manifest` tells what is kept. Its hash is compared once, before it counts as whole.
    pub(super) fn new(shared: &Rc<Shared>, name: &str, way: Way, manifest: Manifest) -> Self {
        let is_cached = manifest.kept == Kept::Whole;
        Self {
            shared: shared.clone(),
            name: name.into(),
            way,
            is_cached,
            check: manifest.sha256.clone().filter(|_| !is_cached).map(HashCheck::new),
            manifest,
            position: 0,
            connection: None,
            next: None,
            last_report: None,
        }
    }

    /// Length of the file where it is known, which it nearly always is.
    pub fn total_bytes(&self) -> Option<u64> {
        self.manifest.total
    }

    /// The next bytes, `None` at the end.
    ///
    /// # Errors
    /// [`Error::Fetch`] where the network or the server fails for good, [`Error::Corrupt`] where the file is not the
    /// one that its source publishes (what is kept of it is forgotten then), [`Error::Cancelled`].
    pub async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>> {
        self.shared.hooks.cancel.check()?;
        if self.manifest.total == Some(self.position) {
            if self.position == 0 {
                self.complete(&[]).await?; // An empty file has no last chunk that completes it.
            }
            return Ok(None);
        }
        let chunk = match self.kept_chunk().await {
            Some(chunk) => {
                if let Some(check) = &mut self.check {
                    check.update(&chunk);
                }
                self.position += chunk.len() as u64;
                // The last chunk was kept, but a crash came before its hash was compared.
                if !self.is_cached && self.manifest.total == Some(self.position) {
                    self.complete(&[]).await?;
                }
                chunk
            }
            None => {
                let chunk = self.fetch_chunk().await?;
                if let Some(check) = &mut self.check {
                    check.update(&chunk);
                }
                self.position += chunk.len() as u64;
                if self.manifest.total == Some(self.position) {
                    self.complete(&chunk).await?;
                } else {
                    self.keep(&chunk).await;
                }
                chunk
            }
        };
        self.report(0, true);
        self.shared.hooks.cancel.check()?;
        Ok(if chunk.is_empty() { None } else { Some(chunk) })
    }

    /// The chunk at this position from the store. A damaged one is dropped with all that follow.
    async fn kept_chunk(&mut self) -> Option<Vec<u8>> {
        let idx = self.chunk_idx();
        if idx >= self.manifest.chunks_done {
            return None;
        }
        let chunk = self.shared.chunk(&self.manifest.url, idx).await;
        let chunk = chunk.filter(|chunk| chunk.len() as u64 == self.manifest.chunk_len(idx));
        if chunk.is_none() {
            self.manifest.chunks_done = idx;
            self.manifest.kept = Kept::Partly;
            self.is_cached = false;
        }
        chunk
    }

    /// The chunk at this position from the network; shorter than the others only at the end of the file.
    async fn fetch_chunk(&mut self) -> Result<Vec<u8>> {
        let mut chunk = Vec::new();
        let mut retries = 0;
        loop {
            let before = chunk.len();
            match self.fill(&mut chunk).await {
                Ok(()) => return Ok(chunk),
                Err(failed) => {
                    self.connection = None;
                    self.next = None;
                    retries = if chunk.len() > before { 0 } else { retries };
                    self.wait_or_give_up(failed, &mut retries).await?;
                }
            }
        }
    }

    /// Reads until the chunk is full or the file ends.
    async fn fill(&mut self, chunk: &mut Vec<u8>) -> std::result::Result<(), Failed> {
        let wanted = self.manifest.chunk_len(self.chunk_idx()) as usize;
        while chunk.len() < wanted {
            let position = self.position + chunk.len() as u64;
            let mut connection = match self.connection.take() {
                Some(connection) if connection.position <= position => connection,
                _ => self.connect(position).await?,
            };
            // A server that does not know ranges sends the file from its start: pass over what is here already.
            let to_skip = (position - connection.position) as usize;
            let mut skipped = Vec::new();
            let missing = wanted - chunk.len();
            let (bytes, limit) = if to_skip > 0 { (&mut skipped, to_skip) } else { (&mut *chunk, missing) };
            let received = connection.body.read(bytes, limit).await?;
            if received == 0 {
                return self.end_of_body(position, chunk.len() as u64);
            }
            connection.position += received as u64;
            self.connection = Some(connection);
            self.report(chunk.len() as u64, false);
        }
        if self.connection.as_ref().is_some_and(|connection| connection.is_range) {
            self.connection = None;
            self.ask_ahead(self.position + wanted as u64);
        }
        Ok(())
    }

    /// The body has ended before the chunk was full: the end of the file, or of the connection.
    fn end_of_body(&mut self, position: u64, chunk_len: u64) -> std::result::Result<(), Failed> {
        match self.manifest.total {
            Some(total) if position < total => {
                let reason = format!("the connection ended after {position} of {total} bytes");
                Err(Failed::Broken(reason))
            }
            _ => {
                self.manifest.total = Some(self.position + chunk_len);
                Ok(())
            }
        }
    }

    /// The first connection; `false` where the server has no such file.
    pub(super) async fn connect_with_retries(&mut self) -> Result<bool> {
        let mut retries = 0;
        loop {
            match self.connect(0).await {
                Ok(connection) => {
                    self.connection = Some(connection);
                    return Ok(true);
                }
                Err(Failed::Missing(_)) => return Ok(false),
                Err(failed) => self.wait_or_give_up(failed, &mut retries).await?,
            }
        }
    }

    /// Asks for the rest of the chunk that holds `position`.
    async fn connect(&mut self, position: u64) -> std::result::Result<Connection, Failed> {
        let request = match self.next.take() {
            Some(request) if request.begin() == position => request,
            _ => self.request(position),
        };
        let answer = request.answer().await?;
        self.check_answer(&answer)?;
        Ok(Connection { body: answer.body, is_range: answer.is_range, position: answer.start })
    }

    fn request(&self, position: u64) -> Request {
        let range = match self.way {
            Way::Whole if position == 0 => None,
            _ => {
                let chunk_bytes = u64::from(self.manifest.chunk_bytes);
                let end = (position / chunk_bytes + 1) * chunk_bytes;
                Some((position, self.manifest.total.map_or(end, |total| end.min(total))))
            }
        };
        Request::start(&self.manifest.url, range, self.shared.signal.as_ref())
    }

    /// Starts the request for the next chunk, so that it travels while this one is worked on.
    fn ask_ahead(&mut self, position: u64) {
        let is_more = self.manifest.total.is_some_and(|total| position < total);
        self.next = if is_more { Some(self.request(position)) } else { None };
    }

    /// Compares what the server says of the file with what is known, and learns what is not.
    fn check_answer(&mut self, answer: &Answer) -> std::result::Result<(), Failed> {
        let manifest = &mut self.manifest;
        // Only ranges have comparable names: a compressed answer is another version of the same file.
        match (&manifest.etag, answer.etag.as_ref().filter(|_| answer.is_range)) {
            (Some(known), Some(now)) if known != now => {
                return Err(Failed::Replaced(Error::Corrupt {
                    file: self.name.clone(),
                    reason: "it was replaced on the server while it was being received".into(),
                }));
            }
            (None, Some(now)) => manifest.etag = Some(now.clone()),
            _ => {}
        }
        match (manifest.total, answer.total) {
            (Some(known), Some(now)) if known != now && !answer.total_is_a_hint => {
                let reason = format!("the server's file has {now} bytes, {known} were expected");
                return Err(Failed::Replaced(fetch_error(&manifest.url, &reason)));
            }
            // The length of a whole answer is that of its compressed form where the server compresses.
            (None, Some(now)) if !answer.total_is_a_hint || self.way == Way::Ranges => manifest.total = Some(now),
            _ => {}
        }
        if manifest.sha256.is_none() && self.position == 0 && answer.sha256.is_some() {
            manifest.sha256.clone_from(&answer.sha256);
            self.check = answer.sha256.clone().map(HashCheck::new);
        }
        Ok(())
    }

    /// The last bytes are here: compares the hash, then keeps the file as whole.
    async fn complete(&mut self, chunk: &[u8]) -> Result<()> {
        let checked = self.check.take().map_or(Ok(()), |check| check.finish(&self.name));
        if let Err(error) = checked {
            self.shared.forget(&self.manifest.url).await;
            return Err(error);
        }
        self.manifest.kept = Kept::Whole;
        self.keep(chunk).await;
        Ok(())
    }

    /// Keeps the chunk that was handed out last.
    async fn keep(&mut self, chunk: &[u8]) {
        let idx = self.manifest.chunks_done;
        let chunk = (!chunk.is_empty()).then_some((idx, chunk));
        self.manifest.chunks_done += u32::from(chunk.is_some());
        self.shared.put(&self.manifest, chunk).await;
    }

    async fn wait_or_give_up(&mut self, failed: Failed, retries: &mut u32) -> Result<()> {
        let cancel = &self.shared.hooks.cancel;
        cancel.check()?; // An aborted request looks like a broken one.
        let reason = match failed {
            Failed::Broken(reason) => reason,
            Failed::Missing(reason) | Failed::Refused(reason) => return Err(self.refused(&reason)),
            Failed::Replaced(error) => {
                self.shared.forget(&self.manifest.url).await;
                return Err(error);
            }
        };
        if *retries == MAX_RETRIES {
            return Err(self.refused(&format!("{reason}, {} times in a row", MAX_RETRIES + 1)));
        }
        // In short steps, so that a visitor who cancels is not kept waiting.
        for _ in 0..(FIRST_RETRY_MS << *retries) / 50 {
            TimeoutFuture::new(50).await;
            cancel.check()?;
        }
        *retries += 1;
        Ok(())
    }

    pub(super) fn refused(&self, reason: &str) -> Error {
        fetch_error(&self.manifest.url, reason)
    }

    fn chunk_idx(&self) -> u32 {
        (self.position / u64::from(self.manifest.chunk_bytes)) as u32
    }

    /// Tells how much is here: all that was handed out and `more` bytes of the next chunk.
    fn report(&mut self, more: u64, is_due: bool) {
        let now = Instant::now();
        if !is_due && self.last_report.is_some_and(|last| (now - last).as_millis() < REPORT_EVERY_MS) {
            return;
        }
        self.last_report = Some(now);
        (self.shared.hooks.on_progress)(FileProgress {
            name: self.name.clone(),
            received_bytes: self.position + more,
            total_bytes: self.manifest.total.unwrap_or(0),
            cached: self.is_cached,
        });
    }
}

fn fetch_error(url: &str, reason: &str) -> Error {
    Error::Fetch { url: url.into(), reason: reason.into() }
}
