//! The header of a safetensors file: which tensors it holds, and where.
//!
//! A file is an 8-byte little-endian length, a JSON header of that length, and the tensors' bytes without holes. The
//! `safetensors` crate reads a header only together with the whole file in memory and does not name the tensor that is
//! wrong, so the header is read here, before the weights arrive. Bytes belong to [`super::stream`].

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use crate::engine::{Error, Result};

/// Bytes in front of the header: its length.
pub const PREFIX_BYTES: usize = 8;

/// Longest header that is believed, as in the format's reference implementation.
pub const MAX_HEADER_BYTES: u64 = 100_000_000;

/// How a checkpoint stores the elements of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are the format's own and say it all")]
pub enum CheckpointDType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

impl CheckpointDType {
    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// One tensor of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorEntry {
    /// The checkpoint's name, for example `model.encoder.conv1.weight`.
    pub name: String,
    /// How its elements are stored.
    pub dtype: CheckpointDType,
    /// Its shape, slowest dimension first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Where its bytes begin, counted from the start of the file.
    pub offset: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

impl TensorEntry {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// What a safetensors file holds, known from its header alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    file: String,
    entries: Vec<TensorEntry>,
    by_name: HashMap<String, usize>,
    end: u64,
}

/// A tensor as the header writes it; offsets count from the end of the header.
#[derive(Deserialize)]
struct HeaderEntry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl Checkpoint {
    /// Reads and checks a header.
    ///
    /// `header_json` is exactly the header (without the 8-byte length before it), `file_len` the length of the whole
    /// file where it is known. Everything is checked that can be without the weights: each tensor's byte count against
    /// its shape, no overlap and no hole between tensors, and the file's length.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the name of the tensor that is wrong or the number of bytes that are missing,
    /// [`Error::Unsupported`] for element types that this engine does not know.
    pub fn parse_header(file: &str, header_json: &[u8], file_len: Option<u64>) -> Result<Self> {
        let corrupt = |reason: String| Error::Corrupt { file: file.to_string(), reason };
        let mut header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header_json)
            .map_err(|error| corrupt(format!("its safetensors header is not a JSON object ({error})")))?;
        header.remove("__metadata__"); // Free text of the program that wrote the file.

        let data_start = PREFIX_BYTES as u64 + header_json.len() as u64;
        let mut entries = Vec::with_capacity(header.len());
        for (name, value) in header {
            let entry: HeaderEntry = serde_json::from_value(value)
                .map_err(|error| corrupt(format!("the header's entry for `{name}` cannot be read ({error})")))?;
            entries.push(checked_entry(name, entry, data_start).map_err(|problem| match problem {
                EntryProblem::Corrupt(reason) => corrupt(reason),
                EntryProblem::Unsupported(reason) => Error::Unsupported(format!("in `{file}`, {reason}")),
            })?);
        }
        // Empty tensors share their offset with the next one and have to come before it.
        entries.sort_by_key(|entry| (entry.offset, entry.bytes));

        let mut end = data_start;
        for entry in &entries {
            if entry.offset != end {
                let what = if entry.offset < end { "overlaps the tensor before it" } else { "leaves a hole before it" };
                return Err(corrupt(format!(
                    "`{}` {what}: it begins at byte {}, byte {end} was expected",
                    entry.name, entry.offset
                )));
            }
            end = entry.offset.saturating_add(entry.bytes);
        }
        let by_name = entries.iter().enumerate().map(|(idx, entry)| (entry.name.clone(), idx)).collect();
        let checkpoint = Self { file: file.to_string(), entries, by_name, end };
        if let Some(len) = file_len {
            checkpoint.check_file_len(len)?;
        }
        Ok(checkpoint)
    }

    /// The tensors of several files as one checkpoint; `file` is the name of the list that ties them together. Offsets stay those in
    /// each tensor's own file.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where two files hold a tensor of the same name.
    pub fn join(file: &str, parts: &[std::rc::Rc<Checkpoint>]) -> Result<Self> {
        let entries: Vec<TensorEntry> = parts.iter().flat_map(|part| part.entries.iter().cloned()).collect();
        let by_name: HashMap<String, usize> =
            entries.iter().enumerate().map(|(idx, entry)| (entry.name.clone(), idx)).collect();
        if by_name.len() < entries.len() {
            let twice = entries.iter().enumerate().find(|(idx, entry)| by_name[&entry.name] != *idx);
            let name = twice.map_or("", |(_, entry)| &entry.name);
            return Err(Error::Corrupt { file: file.into(), reason: format!("`{name}` is in two of its files") });
        }
        let end = parts.iter().map(|part| part.end).sum();
        Ok(Self { file: file.into(), entries, by_name, end })
    }

    /// Checks the length of the file against what the header demands.
    ///
    /// # Errors
    /// [`Error::Corrupt`] that says how many bytes are missing or too many.
    pub fn check_file_len(&self, file_len: u64) -> Result<()> {
        let reason = if file_len < self.end {
            format!("it is cut off: {} of {} bytes are missing", self.end - file_len, self.end)
        } else if file_len > self.end {
            format!("it has {} bytes more than the {} its header describes", file_len - self.end, self.end)
        } else {
            return Ok(());
        };
        Err(Error::Corrupt { file: self.file.clone(), reason })
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&TensorEntry> {
        self.by_name.get(name).map(|&idx| &self.entries[idx])
    }

    /// All tensors, in the order of their bytes in the file.
    pub fn iter(&self) -> std::slice::Iter<'_, TensorEntry> {
        self.entries.iter()
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the file holds no tensor at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Name of the file, as given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Length of the whole file in bytes, as the header demands it.
    pub fn file_len(&self) -> u64 {
        self.end
    }
}

/// Length of the header, from the first 8 bytes of a file.
///
/// # Errors
/// [`Error::Corrupt`] where that length cannot be true; this is also what another kind of file looks like.
pub fn header_len(file: &str, prefix: [u8; PREFIX_BYTES], file_len: Option<u64>) -> Result<usize> {
    let corrupt = |reason: String| Err(Error::Corrupt { file: file.to_string(), reason });
    let len = u64::from_le_bytes(prefix);
    if !(2..=MAX_HEADER_BYTES).contains(&len) {
        return corrupt(format!(
            "it does not begin like a safetensors file: a header of {len} bytes, 2 to {MAX_HEADER_BYTES} were expected"
        ));
    }
    match file_len {
        Some(file_len) if len + PREFIX_BYTES as u64 > file_len => corrupt(format!(
            "it is cut off inside its header: {} of {} header bytes are missing",
            len + PREFIX_BYTES as u64 - file_len,
            len
        )),
        _ => Ok(len as usize),
    }
}

enum EntryProblem {
    Corrupt(String),
    Unsupported(String),
}

/// One entry of the header with its numbers checked against each other.
fn checked_entry(name: String, entry: HeaderEntry, data_start: u64) -> std::result::Result<TensorEntry, EntryProblem> {
    let dtype =
        CheckpointDType::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(&entry.dtype))
            .map_err(|_| EntryProblem::Unsupported(format!("`{name}` has elements of type {}", entry.dtype)))?;
    let (begin, end) = entry.data_offsets;
    let expected_bytes = entry
        .shape
        .iter()
        .try_fold(dtype.bytes() as u64, |product, &size| product.checked_mul(size))
        .ok_or_else(|| EntryProblem::Corrupt(format!("`{name}` has the impossible shape {:?}", entry.shape)))?;
    let bytes = end.checked_sub(begin).ok_or_else(|| {
        EntryProblem::Corrupt(format!("`{name}` ends at byte {end} of the data, before it begins at {begin}"))
    })?;
    if bytes != expected_bytes {
        return Err(EntryProblem::Corrupt(format!(
            "`{name}` has {bytes} bytes, its shape {:?} of {} needs {expected_bytes}",
            entry.shape, entry.dtype
        )));
    }
    let shape =
        entry.shape.iter().map(|&size| usize::try_from(size)).collect::<std::result::Result<Vec<_>, _>>().map_err(
            |_| EntryProblem::Unsupported(format!("`{name}` is too large for this machine: {:?}", entry.shape)),
        )?;
    let offset = data_start
        .checked_add(begin)
        .ok_or_else(|| EntryProblem::Corrupt(format!("`{name}` begins at the impossible byte {begin}")))?;
    Ok(TensorEntry { name, dtype, shape, offset, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(header: &str, file_len: Option<u64>) -> Result<Checkpoint> {
        Checkpoint::parse_header("model.safetensors", header.as_bytes(), file_len)
    }

    fn message(header: &str) -> String {
        parse(header, None).expect_err("this header is damaged").to_string()
    }

    const GOOD: &str = r#"{"__metadata__":{"format":"pt"},
        "b":{"dtype":"F16","shape":[2,3],"data_offsets":[8,20]},
        "a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}, "c":{"dtype":"I64","shape":[],"data_offsets":[20,28]}}"#;

    #[test]
    fn checkpoint_lists_tensors_in_file_order_with_absolute_offsets() {
        let data_start = 8 + GOOD.len() as u64;
        let checkpoint = parse(GOOD, Some(data_start + 28)).unwrap();
        let names: Vec<_> = checkpoint.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        let b = checkpoint.get("b").unwrap();
        assert_eq!(
            (b.dtype, b.shape.as_slice(), b.offset, b.bytes),
            (CheckpointDType::F16, &[2, 3][..], data_start + 8, 12)
        );
        assert_eq!(checkpoint.get("c").unwrap().elements(), 1);
        assert!(checkpoint.get("d").is_none());
        assert_eq!(checkpoint.file_len(), data_start + 28);
    }

    #[test]
    fn checkpoint_says_how_many_bytes_a_cut_file_lacks() {
        let whole = 8 + GOOD.len() as u64 + 28;
        let cut = parse(GOOD, Some(whole - 5)).unwrap_err().to_string();
        assert!(cut.contains("5 of") && cut.contains("missing"), "{cut}");
        let long = parse(GOOD, Some(whole + 3)).unwrap_err().to_string();
        assert!(long.contains("3 bytes more"), "{long}");
    }

    #[test]
    fn checkpoint_names_the_damaged_tensor() {
        for (header, words) in [
            (
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}}"#,
                "`a` has 9 bytes, its shape [2] of F32 needs 8",
            ),
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, "before it begins"),
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, "leaves a hole"),
            (
                r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#,
                "`b` overlaps",
            ),
            (
                r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8]}}"#,
                "`a` has the impossible shape",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[18446744073709551615,18446744073709551615]}}"#,
                "impossible byte",
            ),
            (r#"{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}"#, "elements of type F4"),
            (r#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, "entry for `a`"),
            (r#"{"a":{"dtype":"F32","shape":[2]}}"#, "data_offsets"),
            (r#"{"a":7}"#, "entry for `a`"),
            ("[1, 2]", "not a JSON object"),
            ("<!doctype html>", "not a JSON object"),
            ("{\"a\":", "not a JSON object"),
        ] {
            let message = message(header);
            assert!(message.contains(words), "{header}\n gave {message}\n without {words}");
        }
    }

    #[test]
    fn checkpoint_accepts_an_empty_tensor_between_two_others() {
        let header = r#"{"z":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"y":{"dtype":"F32","shape":[0,4],"data_offsets":[3,3]},
            "a":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}"#;
        let names: Vec<_> = parse(header, None).unwrap().iter().map(|entry| entry.name.clone()).collect();
        assert_eq!(names, ["z", "y", "a"]);
    }

    #[test]
    fn checkpoint_refuses_header_lengths_that_cannot_be_true() {
        let len = |n: u64, file: Option<u64>| header_len("m", n.to_le_bytes(), file).map_err(|error| error.to_string());
        assert_eq!(len(100, Some(108)), Ok(100));
        assert!(len(100, Some(90)).unwrap_err().contains("18 of 100 header bytes are missing"));
        assert!(len(u64::MAX, None).unwrap_err().contains("does not begin like"));
        assert!(len(MAX_HEADER_BYTES + 1, Some(1 << 40)).is_err());
        assert!(len(0, None).is_err());
        assert!(header_len("m", *b"<!doctyp", None).is_err());
    }
}
