//! Where a model's files may be found: the app's own folder, the model hub, or an address of the visitor's.

use web_sys::Url;

use super::list::LIST_NAME;
use crate::engine::{Error, Result};
use crate::protocol::Source;
use crate::protocol::reference::{HubRepository, Reference};

/// Which model's files, and where to look for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSource {
    /// Model id: the folder's name, or the address of the folder itself.
    pub model: String,
    /// `owner/name` on the model hub, also with `@revision`; empty for a model that is not there.
    pub hub_id: String,
    /// Where to look.
    pub source: Source,
    /// Address of the app, which its own `models/` folder and relative addresses are relative to.
    pub app_url: String,
    /// Bytes asked for with one request.
    pub chunk_bytes: u32,
}

/// A place that may have the model's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Address of the model's folder, with a slash at its end.
    pub folder: String,
    /// Address of the list of its files.
    pub list: String,
    pub is_hub: bool,
}

impl WebSource {
    /// The places in the order in which they are tried.
    pub(super) fn places(&self) -> Result<Vec<Place>> {
        if let Ok(Reference::Address(address)) = Reference::parse(&self.model) {
            return Ok(vec![place(&format!("{address}/"))]);
        }
        let own = || self.folder_in("models/");
        let hub = HubRepository::parse(&self.hub_id).map(|repository| Place {
            folder: repository.folder(),
            list: repository.list(),
            is_hub: true,
        });
        Ok(match &self.source {
            Source::Own => vec![own()?],
            Source::Hub => vec![hub.ok_or_else(|| Error::Input(format!("`{}` is not on the model hub", self.model)))?],
            Source::Auto => std::iter::once(own()?).chain(hub).collect(),
            Source::Files => return Err(Error::Input("no files came with the request".into())),
            Source::Url(base) => vec![self.folder_in(&format!("{}/", base.trim().trim_end_matches('/')))?],
        })
    }

    fn folder_in(&self, base: &str) -> Result<Place> {
        let url = Url::new_with_base(base, &self.app_url)
            .map_err(|_| Error::Input(format!("`{base}` is not an address that models can be loaded from")))?;
        Ok(place(&format!("{}{}/", url.href(), self.model)))
    }
}

/// A model's folder on a server that is not the hub.
fn place(folder: &str) -> Place {
    Place { folder: folder.into(), list: format!("{folder}{LIST_NAME}"), is_hub: false }
}
