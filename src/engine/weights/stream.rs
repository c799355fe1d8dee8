//! A safetensors file as a stream: chunks go in, tensors come out as soon as their bytes are there.
//!
//! No file is ever whole in memory: at most one part ([`PART_BYTES`]) and one chunk are. Where the chunks come from is
//! the business of [`super::files`], where the tensors go that of a backend.

use std::rc::Rc;

use super::checkpoint::{Checkpoint, PREFIX_BYTES, TensorEntry, header_len};
use crate::engine::{Error, Result};

/// Tensors up to this size come in one part, larger ones in parts of exactly this size and a shorter last one. A
/// multiple of 16, so that every part begins where a GPU buffer may be written.
pub const PART_BYTES: usize = 1 << 20;

/// Consecutive bytes of one tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorPart<'a> {
    /// The tensor.
    pub entry: &'a TensorEntry,
    /// Where in the tensor the bytes belong; a multiple of 16.
    pub offset: u64,
    /// The bytes; empty only for a tensor without elements.
    pub bytes: &'a [u8],
}

impl TensorPart<'_> {
    /// Whether the tensor is complete with this part.
    pub fn is_last(&self) -> bool {
        self.offset + self.bytes.len() as u64 == self.entry.bytes
    }
}

/// Turns the chunks of a file into its header and then its tensors, in file order; or chunks of a file whose header is known into
/// some of its tensors ([`TensorStream::of`]).
///
/// ```
/// # fn load(chunks: Vec<Vec<u8>>) -> rill::engine::Result<()> {
/// use rill::engine::weights::TensorStream;
/// let mut stream = TensorStream::new("model.safetensors", None);
/// for chunk in chunks {
///     stream.push(chunk)?;
///     // From the first chunks on, `stream.checkpoint()` tells names and shapes.
///     while let Some(part) = stream.next_part() {
///         println!("{} at {}: {} bytes", part.entry.name, part.offset, part.bytes.len());
///     }
/// }
/// stream.finish()
/// # }
/// ```
#[derive(Debug)]
pub struct TensorStream {
    file: String,
    file_len: Option<u64>,
    received: u64,
    checkpoint: Option<Rc<Checkpoint>>,
    /// Which entries of the checkpoint are wanted, in file order; once it is known.
    wanted: Vec<usize>,
    /// Bytes received last, and where in the file they begin.
    chunk: Vec<u8>,
    chunk_at: u64,
    /// Bytes of the next part from earlier chunks.
    carry: Vec<u8>,
    /// Whether `carry` was handed out and is to be emptied.
    carry_lent: bool,
    /// Which of the wanted entries is next.
    next: usize,
    /// Bytes of the current tensor already handed out.
    entry_done: u64,
}

impl TensorStream {
    /// A stream of the file of that name; `file_len` is its length in bytes where it is known, so that a file that was
    /// cut off is refused with its header already.
    pub fn new(file: &str, file_len: Option<u64>) -> Self {
        Self {
            file: file.to_string(),
            file_len,
            received: 0,
            checkpoint: None,
            wanted: Vec::new(),
            chunk: Vec::new(),
            chunk_at: 0,
            carry: Vec::new(),
            carry_lent: false,
            next: 0,
            entry_done: 0,
        }
    }

    /// A stream of some tensors of a file whose header is known: their places in [`Checkpoint::iter`], in order.
    pub fn of(checkpoint: &Rc<Checkpoint>, wanted: Vec<usize>) -> Self {
        let file_len = Some(checkpoint.file_len());
        Self { checkpoint: Some(checkpoint.clone()), wanted, ..Self::new(checkpoint.file(), file_len) }
    }

    /// Takes the next bytes of the file. Call [`Self::next_part`] until it has nothing more before the next push.
    ///
    /// # Errors
    /// [`Error::Corrupt`] or [`Error::Unsupported`] where the header is wrong or the file longer than it says.
    pub fn push(&mut self, chunk: Vec<u8>) -> Result<()> {
        self.push_at(self.received, chunk)
    }

    /// The same for bytes that begin at `at`: nothing that is wanted may lie between them and those before.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_at(&mut self, at: u64, chunk: Vec<u8>) -> Result<()> {
        self.received = at + chunk.len() as u64;
        (self.chunk, self.chunk_at) = (chunk, at);
        if self.checkpoint.is_none() {
            self.read_header()?;
        }
        match &self.checkpoint {
            Some(checkpoint) if self.received > checkpoint.file_len() => checkpoint.check_file_len(self.received),
            _ => Ok(()),
        }
    }

    /// The header, as soon as it is complete.
    pub fn checkpoint(&self) -> Option<&Rc<Checkpoint>> {
        self.checkpoint.as_ref()
    }

    /// The next part that is complete, or `None` until more is pushed.
    pub fn next_part(&mut self) -> Option<TensorPart<'_>> {
        if std::mem::take(&mut self.carry_lent) {
            self.carry.clear();
        }
        let checkpoint = self.checkpoint.as_deref()?;
        let entry = &checkpoint.iter().as_slice()[*self.wanted.get(self.next)?];
        let offset = self.entry_done;
        let part_len = (entry.bytes - offset).min(PART_BYTES as u64) as usize;
        let missing = part_len - self.carry.len();
        // What lies before it in the chunk is not wanted, or was handed out.
        let begin = entry.offset + offset + self.carry.len() as u64;
        let skipped = begin.saturating_sub(self.chunk_at).min(self.chunk.len() as u64) as usize;
        let fresh = &self.chunk[skipped..];
        if fresh.len() < missing {
            self.carry.reserve_exact(missing);
            self.carry.extend_from_slice(fresh);
            return None;
        }
        let fresh = &fresh[..missing];
        self.entry_done += part_len as u64;
        if self.entry_done == entry.bytes {
            self.next += 1;
            self.entry_done = 0;
        }
        // Most parts lie inside one chunk and need no copy.
        let bytes = if self.carry.is_empty() {
            fresh
        } else {
            self.carry.extend_from_slice(fresh);
            self.carry_lent = true;
            &self.carry
        };
        Some(TensorPart { entry, offset, bytes })
    }

    /// Where the bytes received so far end.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether every tensor that is wanted was handed out.
    pub fn is_done(&self) -> bool {
        self.checkpoint.is_some() && self.next == self.wanted.len()
    }

    /// Says that the file has ended.
    ///
    /// # Errors
    /// [`Error::Corrupt`] that says how many bytes are missing.
    pub fn finish(&self) -> Result<()> {
        match &self.checkpoint {
            Some(checkpoint) => checkpoint.check_file_len(self.received),
            None => Err(Error::Corrupt {
                file: self.file.clone(),
                reason: format!("it ends after {} bytes, inside its header", self.received),
            }),
        }
    }

    /// Collects the header in `carry` and parses it once it is whole.
    fn read_header(&mut self) -> Result<()> {
        self.carry.append(&mut self.chunk);
        let Some(prefix) = self.carry.first_chunk::<PREFIX_BYTES>() else { return Ok(()) };
        let end = PREFIX_BYTES + header_len(&self.file, *prefix, self.file_len)?;
        if self.carry.len() < end {
            return Ok(());
        }
        let checkpoint = Checkpoint::parse_header(&self.file, &self.carry[PREFIX_BYTES..end], self.file_len)?;
        self.wanted = (0..checkpoint.len()).collect();
        self.checkpoint = Some(Rc::new(checkpoint));
        // The file is here from its start.
        (self.chunk, self.chunk_at) = (std::mem::take(&mut self.carry), 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// A file written by the format's own crate: the oracle is not the code under test.
    fn file_of(tensors: &[(&str, usize)]) -> (Vec<u8>, HashMap<String, Vec<u8>>) {
        let data: HashMap<String, Vec<u8>> = tensors
            .iter()
            .enumerate()
            .map(|(seed, &(name, len))| {
                let bytes = (0..len).map(|i| (i.wrapping_mul(31) ^ (i >> 8) ^ (seed * 77)) as u8).collect();
                (name.to_string(), bytes)
            })
            .collect();
        let views = data.iter().map(|(name, bytes)| {
            (name, safetensors::tensor::TensorView::new(safetensors::Dtype::U8, vec![bytes.len()], bytes).unwrap())
        });
        (safetensors::serialize(views, None).unwrap(), data)
    }

    fn gather(file: &[u8], mut chunk_len: impl FnMut() -> usize) -> Result<HashMap<String, Vec<u8>>> {
        let mut stream = TensorStream::new("test.safetensors", Some(file.len() as u64));
        let mut got: HashMap<String, Vec<u8>> = HashMap::new();
        let mut rest = file;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(chunk_len().min(rest.len()));
            rest = after;
            stream.push(chunk.to_vec())?;
            while let Some(part) = stream.next_part() {
                let bytes = got.entry(part.entry.name.clone()).or_default();
                assert_eq!(part.offset, bytes.len() as u64);
                assert_eq!(part.offset % 16, 0);
                bytes.extend_from_slice(part.bytes);
                assert_eq!(part.is_last(), bytes.len() as u64 == part.entry.bytes);
            }
        }
        stream.finish()?;
        Ok(got)
    }

    #[test]
    fn stream_gives_every_byte_once_whatever_the_chunks() {
        let (file, data) = file_of(&[("a", 1000), ("empty", 0), ("b", 1), ("c", 70_001), ("d", 16)]);
        for chunk_len in [1, 7, 8, 9, 333, 65_536, usize::MAX] {
            assert_eq!(gather(&file, || chunk_len).unwrap(), data, "chunks of {chunk_len}");
        }
        let mut state = 1u32; // A small congruential generator: the same sizes in each run.
        for _ in 0..50 {
            let got = gather(&file, || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 18) as usize
            });
            assert_eq!(got.unwrap(), data);
        }
    }

    #[test]
    fn stream_splits_a_large_tensor_and_never_holds_it() {
        let len = 2 * PART_BYTES + 12_345;
        let (file, data) = file_of(&[("large", len), ("small", 3)]);
        let mut stream = TensorStream::new("large.safetensors", None);
        let mut parts = Vec::new();
        let mut large = Vec::new();
        for chunk in file.chunks(1 << 20) {
            stream.push(chunk.to_vec()).unwrap();
            while let Some(part) = stream.next_part() {
                parts.push((part.entry.name.clone(), part.offset, part.bytes.len()));
                if part.entry.name == "large" {
                    large.extend_from_slice(part.bytes);
                }
            }
            assert!(stream.carry.capacity() <= 2 * PART_BYTES, "{} bytes kept", stream.carry.capacity());
        }
        stream.finish().unwrap();
        assert_eq!(large, data["large"]);
        let part = PART_BYTES as u64;
        assert!(parts.contains(&("large".into(), 0, PART_BYTES)));
        assert!(parts.contains(&("large".into(), part, PART_BYTES)));
        assert!(parts.contains(&("large".into(), 2 * part, 12_345)));
        assert_eq!(parts.len(), 4);
    }

    #[test]
    fn stream_knows_the_header_before_the_first_tensor() {
        let (file, _) = file_of(&[("a", 64)]);
        let mut stream = TensorStream::new("m", None);
        stream.push(file[..7].to_vec()).unwrap();
        assert!(stream.checkpoint().is_none());
        stream.push(file[7..file.len() - 60].to_vec()).unwrap();
        assert_eq!(stream.checkpoint().unwrap().get("a").unwrap().shape, [64]);
        assert!(stream.next_part().is_none());
    }

    #[test]
    fn stream_refuses_files_that_are_cut_or_too_long() {
        let (file, _) = file_of(&[("a", 100), ("b", 200)]);
        let len = file.len();
        let finish = |bytes: &[u8], known: Option<u64>| -> String {
            let mut stream = TensorStream::new("m", known);
            let pushed = bytes.chunks(50).try_for_each(|chunk| {
                stream.push(chunk.to_vec())?;
                while stream.next_part().is_some() {}
                Ok(())
            });
            pushed.and_then(|()| stream.finish()).expect_err("a damaged file").to_string()
        };
        let cut = finish(&file[..len - 17], None);
        assert!(cut.contains("17 of") && cut.contains("missing"), "{cut}");
        // With a known length the header alone gives it away.
        let known = finish(&file[..len - 300], Some(len as u64 - 17));
        assert!(known.contains("17 of"), "{known}");
        let mut long = file.clone();
        long.extend_from_slice(b"extra");
        assert!(finish(&long, None).contains("5 bytes more"));
        assert!(finish(&file[..5], None).contains("inside its header"));
        assert!(finish(&file[..20], None).contains("inside its header"));
        assert!(finish(b"<!doctype html><html>not found</html>", None).contains("does not begin like"));
    }
}
