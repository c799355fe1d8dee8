//! Which files a model has, how long they are, and their hashes: what a source publishes beside the files.
//!
//! Our own server writes `rill.json`; the model hub answers the same by its interface for programs. Any other server
//! publishes nothing, and its files are taken as they come.

use std::collections::HashMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::engine::{Error, Result};

/// Name of the list that our own server keeps beside a model's files.
pub const LIST_NAME: &str = "rill.json";

/// What is known of a file before it is fetched.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListedFile {
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256 in lower-case hexadecimal digits, where it is published.
    pub sha256: Option<String>,
}

/// A model's files by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileList {
    files: HashMap<String, ListedFile>,
}

impl FileList {
    /// Reads `rill.json`: `{"files": [{"name": "config.json", "size": 1893, "sha256": "..."}]}`. `None` where it is
    /// something else; such a server publishes no list.
    pub fn from_rill(json: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct List {
            files: Vec<Named>,
        }
        #[derive(Deserialize)]
        struct Named {
            name: String,
            #[serde(flatten)]
            file: ListedFile,
        }
        let list: List = serde_json::from_slice(json).ok()?;
        Some(Self { files: list.files.into_iter().map(|entry| (entry.name, checked(entry.file))).collect() })
    }

    /// Reads the hub's answer to `/api/models/<id>/tree/<revision>?recursive=true`: folders and files with their whole paths. It gives the SHA-256 of large files only.
    pub fn from_hub(json: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Item {
            path: String,
            size: u64,
            lfs: Option<Lfs>,
        }
        #[derive(Deserialize)]
        struct Lfs {
            oid: String,
        }
        let items: Vec<Item> = serde_json::from_slice(json).ok()?;
        let files = items.into_iter().map(|item| {
            let file = ListedFile { size: item.size, sha256: item.lfs.map(|lfs| lfs.oid) };
            (item.path, checked(file))
        });
        Some(Self { files: files.collect() })
    }

    /// What is known of a file; `None` where the model has none of that name.
    pub fn get(&self, name: &str) -> Option<&ListedFile> {
        self.files.get(name)
    }
}

/// A hash that cannot be one is no hash.
fn checked(mut file: ListedFile) -> ListedFile {
    file.sha256 = file.sha256.filter(|hash| is_sha256(hash)).map(|hash| hash.to_ascii_lowercase());
    file
}

/// Whether a text is a SHA-256 in hexadecimal digits.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Compares a file's hash with the published one while the file streams by.
pub struct HashCheck {
    expected: String,
    hasher: Sha256,
}

impl HashCheck {
    /// Expects that SHA-256 (lower-case hexadecimal digits).
    pub fn new(expected: String) -> Self {
        Self { expected, hasher: Sha256::new() }
    }

    /// Takes the next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Says that the file has ended.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it is another file than the one published.
    pub fn finish(self, file: &str) -> Result<()> {
        let got: String = self.hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if got == self.expected {
            return Ok(());
        }
        let reason = format!("its SHA-256 is {got}, its source publishes {}", self.expected);
        Err(Error::Corrupt { file: file.into(), reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn list_reads_our_own_form_and_the_hubs() {
        let own = format!(
            r#"{{"files":[{{"name":"a","size":3,"sha256":"{}"}},{{"name":"b","size":1}}]}}"#,
            ABC.to_uppercase()
        );
        let list = FileList::from_rill(own.as_bytes()).unwrap();
        assert_eq!(list.get("a"), Some(&ListedFile { size: 3, sha256: Some(ABC.into()) }));
        assert_eq!(list.get("b"), Some(&ListedFile { size: 1, sha256: None }));
        assert_eq!(list.get("c"), None);
        let hub = format!(
            r#"[{{"type":"directory","oid":"1","size":0,"path":"onnx"}},
                {{"type":"file","oid":"0123","size":9,"path":"config.json"}},
                {{"type":"file","oid":"x","size":3,"path":"a","lfs":{{"oid":"{ABC}","size":3,"pointerSize":134}}}}]"#
        );
        let list = FileList::from_hub(hub.as_bytes()).unwrap();
        assert_eq!(list.get("config.json"), Some(&ListedFile { size: 9, sha256: None }));
        assert_eq!(list.get("a").unwrap().sha256.as_deref(), Some(ABC));
    }

    #[test]
    fn list_takes_a_page_or_another_json_for_no_list() {
        for json in ["<!doctype html>", "{}", "[1]", r#"{"error":"Repository not found"}"#] {
            assert_eq!(
                (FileList::from_rill(json.as_bytes()), FileList::from_hub(json.as_bytes())),
                (None, None),
                "{json}"
            );
        }
    }

    #[test]
    fn hash_check_knows_the_standards_example_and_a_wrong_byte() {
        let check = |bytes: &[u8]| {
            let mut check = HashCheck::new(ABC.into());
            bytes.chunks(2).for_each(|chunk| check.update(chunk));
            check.finish("a")
        };
        assert!(check(b"abc").is_ok());
        let message = check(b"abd").unwrap_err().to_string();
        assert!(message.contains("`a` is damaged") && message.contains(ABC), "{message}");
    }
}
