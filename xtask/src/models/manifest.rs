//! `rill.json` in a model's folder: its files with size and hash. Written when the folder is finished, read by later
//! runs and by the page's loader to check what it downloads.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::expect_sha256;
use crate::digest;

/// The manifest's name. A folder without it is not finished.
pub const FILE_NAME: &str = "rill.json";

/// What a model's folder holds.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The model's name, the same as its folder's.
    pub id: String,
    /// Where it came from, for people.
    pub source: String,
    /// Every file but this one, by name.
    pub files: Vec<FileEntry>,
}

/// One file of a model.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path below the model's folder, with `/`.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Describes the files that lie in `folder`, sub-folders included.
    pub fn of_folder(id: &str, source: String, folder: &Path) -> Result<Self> {
        let mut files = Vec::new();
        collect(folder, "", &mut files)?;
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { id: id.into(), source, files })
    }

    /// Reads a folder's manifest and checks every file it names.
    pub fn check_folder(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE_NAME);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let manifest: Self =
            serde_json::from_str(&text).with_context(|| format!("{} is not a manifest", path.display()))?;
        if manifest.files.is_empty() {
            bail!("{} names no files", path.display());
        }
        for file in &manifest.files {
            let path = folder.join(&file.name);
            let size = path.metadata().with_context(|| format!("cannot read {}", path.display()))?.len();
            if size != file.size {
                bail!("{} has {size} bytes, expected {}", path.display(), file.size);
            }
            expect_sha256(&path.display().to_string(), &digest::of_file(&path)?, &file.sha256)?;
        }
        Ok(manifest)
    }

    /// Writes the manifest into the folder it describes.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE_NAME);
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The size of all files together.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<FileEntry>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), files)?;
        } else if name != FILE_NAME {
            let (size, sha256) = (path.metadata()?.len(), digest::of_file(&path)?);
            files.push(FileEntry { name: format!("{prefix}{name}"), size, sha256 });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("rill-manifest-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::write(folder.join("a.json"), "{}").unwrap();
        fs::write(folder.join("sub/b.bin"), [1, 2, 3]).unwrap();
        Manifest::of_folder("m", "a test".into(), &folder).unwrap().write(&folder).unwrap();
        folder
    }

    #[test]
    fn a_finished_folder_is_accepted_with_its_sub_folders() {
        let folder = folder("good");
        let manifest = Manifest::check_folder(&folder).unwrap();
        let names: Vec<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.json", "sub/b.bin"]);
        assert_eq!(manifest.bytes(), 5);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_changed_byte_a_short_file_and_a_lost_file_are_noticed() {
        let folder = folder("bad");
        let b = folder.join("sub/b.bin");
        fs::write(&b, [1, 2, 4]).unwrap();
        assert!(Manifest::check_folder(&folder).unwrap_err().to_string().contains("sha256"));
        fs::write(&b, [1, 2]).unwrap();
        assert!(Manifest::check_folder(&folder).unwrap_err().to_string().contains("has 2 bytes, expected 3"));
        fs::remove_file(&b).unwrap();
        assert!(Manifest::check_folder(&folder).is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
