//! Files that a visitor gave: which of them a model's file is. Nothing of them is fetched or kept; in a browser they are read in place,
//! by addresses that are good for this worker alone.

#[cfg(target_arch = "wasm32")]
use {
    crate::engine::{Error, Result},
    wasm_bindgen::JsCast,
    web_sys::{Blob, File, Url},
};

/// The file at `name` (`config.json`, `1_Pooling/config.json`) in the folder that holds the model, which is where the `config.json`
/// nearest to the top is. Files may have been dropped with their folder or without.
#[cfg(any(target_arch = "wasm32", test))]
fn find(paths: &[String], name: &str) -> Option<usize> {
    let parts = |path: &str| -> Vec<String> {
        path.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".").map(String::from).collect()
    };
    let all: Vec<Vec<String>> = paths.iter().map(|path| parts(path)).collect();
    let configs = all.iter().filter(|path| path.last().is_some_and(|file| file == "config.json"));
    let folder = configs.min_by_key(|path| path.len()).map_or(&[][..], |path| &path[..path.len() - 1]);
    let wanted: Vec<String> = folder.iter().cloned().chain(parts(name)).collect();
    all.iter().position(|path| *path == wanted)
}

/// Files of a visitor's, open to be read.
#[cfg(target_arch = "wasm32")]
pub(super) struct Dropped {
    paths: Vec<String>,
    files: Vec<DroppedFile>,
}

/// One of them.
#[cfg(target_arch = "wasm32")]
pub(super) struct DroppedFile {
    /// Its address.
    pub url: String,
    /// Its length in bytes.
    pub size: u64,
    /// What tells it from another of the same name: its length, and when it was last changed.
    pub version: String,
}

#[cfg(target_arch = "wasm32")]
impl Dropped {
    /// Takes files with their paths, as far as the page knows them.
    ///
    /// # Errors
    /// [`Error::Input`] where none of them is a `config.json`.
    pub fn new(given: &[(String, Blob)]) -> Result<Self> {
        let mut dropped = Self { paths: Vec::new(), files: Vec::new() };
        for (path, blob) in given {
            dropped.paths.push(path.clone());
            let refused = |_| Error::Input(format!("the browser does not open `{path}`"));
            let url = Url::create_object_url_with_blob(blob).map_err(refused)?;
            let size = blob.size() as u64;
            // What a program made has no date.
            let changed = blob.dyn_ref::<File>().map(File::last_modified).unwrap_or_default();
            let version = format!("{size} bytes of {changed}");
            dropped.files.push(DroppedFile { url, size, version });
        }
        if dropped.get("config.json").is_none() {
            let names = dropped.paths.join(", ");
            return Err(Error::Input(format!(
                "these files are no model: there is no `config.json` among {names}; choose all files of its folder"
            )));
        }
        Ok(dropped)
    }

    /// A file of the model; `None` where there is none of that name.
    pub fn get(&self, name: &str) -> Option<&DroppedFile> {
        find(&self.paths, name).map(|idx| &self.files[idx])
    }
}

#[cfg(target_arch = "wasm32")]
impl Drop for Dropped {
    fn drop(&mut self) {
        for file in &self.files {
            // An address that is gone already is no loss.
            let _ = Url::revoke_object_url(&file.url);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::find;

    fn paths(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| path.to_string()).collect()
    }

    #[test]
    fn dropped_files_are_found_with_their_folder_and_without() {
        let flat = paths(&["model.safetensors", "config.json"]);
        assert_eq!(find(&flat, "config.json"), Some(1));
        assert_eq!(find(&flat, "tokenizer.json"), None);
        assert_eq!(find(&flat, "1_Pooling/config.json"), None, "a model's configuration is not its pooling's");
        let folder = paths(&["m/x/1_Pooling/config.json", "m/x/model.safetensors", "/m/x/config.json"]);
        assert_eq!(find(&folder, "config.json"), Some(2));
        assert_eq!(find(&folder, "1_Pooling/config.json"), Some(0));
        assert_eq!(find(&folder, "model.safetensors"), Some(1));
        assert_eq!(find(&paths(&["a.bin"]), "config.json"), None);
    }
}
