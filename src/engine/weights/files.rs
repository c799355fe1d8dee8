//! A model's files, wherever they are: one interface over a folder (natively) and the network with the browser's own
//! store (in a browser).
//!
//! [`ModelFiles`] and [`FileStream`] are the types of `native` or of `web` and `download`; both have
//! - `read(name)`: a small file, whole, `None` where the model has no such file;
//! - `open(name)`: a large file as a stream of chunks.

use std::rc::Rc;

use crate::engine::{CancelFlag, Error, Result};
use crate::protocol::FileProgress;

#[cfg(not(target_arch = "wasm32"))]
pub use super::native::{FileStream, ModelFiles};
#[cfg(target_arch = "wasm32")]
pub use super::{download::FileStream, web::ModelFiles};

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

    /// What to say of a file that is not there.
    pub(super) fn missing(&self, name: &str) -> Error {
        Error::Fetch { url: self.address(name), reason: "there is no such file".into() }
    }
}
