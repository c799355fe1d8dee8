//! One file of a model as it is received: each chunk from the browser's store where it is kept, else from the network.
//!
//! Large files come by range requests, one chunk each, several at a time and in any order; a broken request goes on at the byte it
//! reached. Every chunk is kept as soon as it is here ([`super::cache`]), and what was kept is never asked for again. Which chunks are
//! asked for when is the business of [`super::files`], single requests are in [`super::fetch`].

use std::cell::{Cell, RefCell};
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

/// A file as chunks, in any order.
pub struct ChunkFile {
    shared: Rc<Shared>,
    name: String,
    way: Way,
    pub(super) manifest: RefCell<Manifest>,
    /// Whether all of it comes from the store.
    is_cached: Cell<bool>,
    /// What is to be compared before the file counts as whole, and how many chunks it has taken.
    check: RefCell<(Option<HashCheck>, u32)>,
    /// A connection that gives more than the chunk it was made for, or was made before its chunk was asked for.
    running: RefCell<Option<Connection>>,
    /// Whether the server gives ranges, as far as it has answered.
    gives_ranges: Cell<bool>,
    received: Cell<u64>,
    /// Those that came over the network.
    fetched: Cell<u64>,
    /// Bytes that were in the store at the beginning.
    kept_before: u64,
    last_report: Cell<Option<Instant>>,
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

impl ChunkFile {
    /// A file of which `manifest` tells what is kept. Its hash is compared once, before it counts as whole.
    pub(super) fn new(shared: &Rc<Shared>, name: &str, way: Way, manifest: Manifest) -> Self {
        let is_cached = manifest.kept == Kept::Whole;
        let kept_before = manifest.kept_bytes();
        Self {
            shared: shared.clone(),
            name: name.into(),
            way,
            is_cached: is_cached.into(),
            check: RefCell::new((manifest.sha256.clone().filter(|_| !is_cached).map(HashCheck::new), 0)),
            manifest: manifest.into(),
            running: RefCell::default(),
            gives_ranges: true.into(),
            received: Cell::new(0),
            fetched: Cell::new(0),
            kept_before,
            last_report: Cell::new(None),
        }
    }

    /// Length of the file where it is known, which it nearly always is.
    pub fn total_bytes(&self) -> Option<u64> {
        self.manifest.borrow().total
    }

    /// Length of each chunk but the last.
    pub fn chunk_bytes(&self) -> u64 {
        self.manifest.borrow().chunk_bytes.into()
    }

    /// Whether all of it is kept in the store, checked.
    pub fn is_kept(&self) -> bool {
        self.is_cached.get()
    }

    /// Whether chunks may be asked for in any order without making the server send the file from its start.
    pub fn gives_ranges(&self) -> bool {
        self.gives_ranges.get()
    }

    /// What tells this version of the file from others.
    pub fn version(&self) -> String {
        let manifest = self.manifest.borrow();
        let name = manifest.sha256.clone().or_else(|| manifest.etag.clone());
        name.unwrap_or_else(|| format!("{:?} bytes", manifest.total))
    }

    /// A chunk; empty behind the end of the file.
    ///
    /// # Errors
    /// [`Error::Fetch`] where the network or the server fails for good, [`Error::Corrupt`] where the file is not the
    /// one that its source publishes (what is kept of it is forgotten then), [`Error::Cancelled`].
    pub async fn chunk(self: Rc<Self>, idx: u32) -> Result<Vec<u8>> {
        self.shared.hooks.cancel.check()?;
        if self.manifest.borrow().chunk_len(idx) == 0 {
            return Ok(Vec::new());
        }
        let chunk = match self.kept_chunk(idx).await {
            Some(chunk) => {
                self.received.set(self.received.get() + chunk.len() as u64);
                chunk
            }
            None => {
                let chunk = self.fetch_chunk(idx).await?;
                if !chunk.is_empty() {
                    self.manifest.borrow_mut().chunks.insert(idx);
                    let manifest = self.manifest.borrow().clone();
                    self.shared.put(&manifest, Some((idx, &chunk))).await;
                }
                chunk
            }
        };
        self.report(true);
        self.shared.hooks.cancel.check()?;
        Ok(chunk)
    }

    /// Says that a chunk is used: the hash takes those that come in order on the way.
    pub fn used(&self, idx: u32, chunk: &[u8]) {
        if let (Some(check), next) = &mut *self.check.borrow_mut()
            && *next == idx
        {
            check.update(chunk);
            *next += 1;
        }
    }

    /// Says that all chunks have been received: compares the hash, then keeps the file as whole.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it is another file than its source publishes.
    pub async fn finish(self: Rc<Self>) -> Result<()> {
        if self.is_cached.get() {
            return Ok(());
        }
        let (check, mut next) = self.check.take();
        if let Some(mut check) = check {
            // Chunks that came out of order; those that are kept nowhere come once more.
            while self.manifest.borrow().chunk_len(next) > 0 {
                let chunk = match self.kept_chunk(next).await {
                    Some(chunk) => chunk,
                    None => self.fetch_chunk(next).await?,
                };
                check.update(&chunk);
                next += 1;
            }
            if let Err(error) = check.finish(&self.name) {
                self.forget().await;
                return Err(error);
            }
        }
        self.manifest.borrow_mut().kept = Kept::Whole;
        let manifest = self.manifest.borrow().clone();
        self.shared.put(&manifest, None).await;
        Ok(())
    }

    /// A chunk from the store. A damaged one counts as not kept.
    async fn kept_chunk(&self, idx: u32) -> Option<Vec<u8>> {
        if !self.manifest.borrow().chunks.has(idx) {
            return None;
        }
        let manifest = self.manifest.borrow().clone();
        let len = manifest.chunk_len(idx);
        let chunk = self.shared.chunk(&manifest, idx).await.filter(|chunk| chunk.len() as u64 == len);
        if chunk.is_none() {
            let mut manifest = self.manifest.borrow_mut();
            manifest.chunks.remove(idx);
            manifest.kept = Kept::Partly;
            if self.is_cached.replace(false) {
                self.check.replace((manifest.sha256.clone().map(HashCheck::new), 0));
            }
        }
        chunk
    }

    /// A chunk from the network; shorter than the others only at the end of the file.
    async fn fetch_chunk(&self, idx: u32) -> Result<Vec<u8>> {
        // A vector that grows by itself ends up with twice the room.
        let mut chunk = Vec::with_capacity(self.manifest.borrow().chunk_len(idx) as usize);
        let mut retries = 0;
        loop {
            let before = chunk.len();
            match self.fill(idx, &mut chunk).await {
                Ok(()) => return Ok(chunk),
                Err(failed) => {
                    retries = if chunk.len() > before { 0 } else { retries };
                    self.wait_or_give_up(failed, &mut retries).await?;
                }
            }
        }
    }

    /// Reads until the chunk is full or the file ends.
    async fn fill(&self, idx: u32, chunk: &mut Vec<u8>) -> std::result::Result<(), Failed> {
        let first = u64::from(idx) * self.chunk_bytes();
        let mut connection = None;
        loop {
            let wanted = self.manifest.borrow().chunk_len(idx) as usize;
            if chunk.len() >= wanted {
                break;
            }
            let position = first + chunk.len() as u64;
            let mut open = match connection.take().or_else(|| self.take_running(position)) {
                Some(open) => open,
                None => self.connect(position).await?,
            };
            // A server that does not know ranges sends the file from its start: pass over what is here already.
            let to_skip = (position - open.position) as usize;
            let mut skipped = Vec::new();
            let missing = wanted - chunk.len();
            let (bytes, limit) = if to_skip > 0 { (&mut skipped, to_skip) } else { (&mut *chunk, missing) };
            let received = open.body.read(bytes, limit).await?;
            if received == 0 {
                return self.end_of_body(position, first + chunk.len() as u64);
            }
            open.position += received as u64;
            if to_skip == 0 {
                self.received.set(self.received.get() + received as u64);
                self.fetched.set(self.fetched.get() + received as u64);
            }
            connection = Some(open);
            self.report(false);
        }
        if let Some(open) = connection.filter(|open| !open.is_range) {
            self.running.replace(Some(open));
        }
        Ok(())
    }

    /// A connection that is open already and comes to `position`.
    fn take_running(&self, position: u64) -> Option<Connection> {
        let comes_by = |open: &Connection| match open.is_range {
            true => open.position == position,
            false => open.position <= position,
        };
        self.running.borrow_mut().take_if(|open| comes_by(open))
    }

    /// The body has ended before the chunk was full: the end of the file, or of the connection.
    fn end_of_body(&self, position: u64, end: u64) -> std::result::Result<(), Failed> {
        let mut manifest = self.manifest.borrow_mut();
        match manifest.total {
            Some(total) if position < total => {
                let reason = format!("the connection ended after {position} of {total} bytes");
                Err(Failed::Broken(reason))
            }
            _ => {
                manifest.total = Some(end);
                Ok(())
            }
        }
    }

    /// The first connection; `false` where the server has no such file.
    pub(super) async fn connect_with_retries(&self) -> Result<bool> {
        let mut retries = 0;
        loop {
            match self.connect(0).await {
                Ok(connection) => {
                    self.running.replace(Some(connection));
                    return Ok(true);
                }
                Err(Failed::Missing(_)) => return Ok(false),
                Err(failed) => self.wait_or_give_up(failed, &mut retries).await?,
            }
        }
    }

    /// Asks for the rest of the chunk that holds `position`.
    async fn connect(&self, position: u64) -> std::result::Result<Connection, Failed> {
        let answer = self.request(position).answer().await?;
        self.check_answer(&answer)?;
        self.gives_ranges.set(answer.is_range);
        Ok(Connection { body: answer.body, is_range: answer.is_range, position: answer.start })
    }

    fn request(&self, position: u64) -> Request {
        let manifest = self.manifest.borrow();
        let range = match self.way {
            Way::Whole if position == 0 => None,
            _ => {
                let chunk_bytes = u64::from(manifest.chunk_bytes);
                let end = (position / chunk_bytes + 1) * chunk_bytes;
                Some((position, manifest.total.map_or(end, |total| end.min(total))))
            }
        };
        Request::start(&manifest.url, range, self.shared.signal.as_ref())
    }

    /// Compares what the server says of the file with what is known, and learns what is not.
    fn check_answer(&self, answer: &Answer) -> std::result::Result<(), Failed> {
        let mut manifest = self.manifest.borrow_mut();
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
        if manifest.sha256.is_none() && manifest.chunks.is_empty() && answer.sha256.is_some() {
            manifest.sha256.clone_from(&answer.sha256);
            self.check.replace((answer.sha256.clone().map(HashCheck::new), 0));
        }
        Ok(())
    }

    async fn wait_or_give_up(&self, failed: Failed, retries: &mut u32) -> Result<()> {
        let cancel = &self.shared.hooks.cancel;
        cancel.check()?; // An aborted request looks like a broken one.
        let reason = match failed {
            Failed::Broken(reason) => reason,
            Failed::Missing(reason) | Failed::Refused(reason) => return Err(self.refused(&reason)),
            Failed::Replaced(error) => {
                self.forget().await;
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

    async fn forget(&self) {
        self.manifest.borrow_mut().chunks = Default::default();
        self.shared.forget(&self.url()).await;
    }

    pub(super) fn url(&self) -> String {
        self.manifest.borrow().url.clone()
    }

    pub(super) fn refused(&self, reason: &str) -> Error {
        fetch_error(&self.url(), reason)
    }

    /// Tells how much is here.
    fn report(&self, is_due: bool) {
        let now = Instant::now();
        if !is_due && self.last_report.get().is_some_and(|last| (now - last).as_millis() < REPORT_EVERY_MS) {
            return;
        }
        self.last_report.set(Some(now));
        let total = self.manifest.borrow().total;
        (self.shared.hooks.on_progress)(FileProgress {
            name: self.name.clone(),
            received_bytes: total.map_or(self.received.get(), |total| self.received.get().min(total)),
            fetched_bytes: self.fetched.get(),
            to_fetch_bytes: total.unwrap_or(0).saturating_sub(self.kept_before + self.fetched.get()),
            total_bytes: total.unwrap_or(0),
            cached: self.is_cached.get(),
        });
    }
}

fn fetch_error(url: &str, reason: &str) -> Error {
    Error::Fetch { url: url.into(), reason: reason.into() }
}
