//! What the picture panels know: the pictures that were brought in, what they are named, and how texts fit them.

use std::collections::HashMap;
use std::sync::Arc;

use leptos::prelude::*;
use send_wrapper::SendWrapper;
use web_sys::{Blob, Url};

use crate::protocol::{LabelScore, PipelineId};
use crate::ui::passages;

/// A unit vector.
pub type Vector = Arc<Vec<f32>>;

/// A picture that this browser can read.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Tells pictures apart.
    pub id: u32,
    /// The file's name, or what else it can be called.
    pub name: String,
    /// An address of this page for the file: the browser draws it without a copy.
    pub url: String,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// The file itself.
    pub file: SendWrapper<Blob>,
    /// What the classifier said, the most probable first; empty until then.
    pub labels: ArcRwSignal<Vec<LabelScore>>,
    /// The picture as a vector, once that is made.
    pub vector: ArcRwSignal<Option<Vector>>,
    /// Why the model could not look at it.
    pub trouble: ArcRwSignal<Option<String>>,
}

impl Picture {
    /// Whether nothing is known to be wrong with it: what could not be read once is not asked about again.
    pub fn is_readable(&self) -> bool {
        self.trouble.with_untracked(Option::is_none)
    }

    /// Whether its vector is still to be made.
    pub fn is_unseen(&self) -> bool {
        self.is_readable() && self.vector.with_untracked(Option::is_none)
    }

    /// Another model has its own view of it.
    fn forget_trouble(&self) {
        self.trouble.set(None);
    }
}

/// Pictures that were brought in, and the files that were refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Album {
    /// In the order in which they came.
    pub pictures: RwSignal<Vec<Picture>>,
    /// Files that were refused, each with the reason.
    pub refused: RwSignal<Vec<(String, String)>>,
    /// Files that are still being read.
    pub n_unread: RwSignal<usize>,
    /// The model that named them.
    named_by: RwSignal<Option<PipelineId>>,
    /// The model that their vectors are from.
    seen_by: RwSignal<Option<PipelineId>>,
}

impl Album {
    /// Take in a file that this browser can read.
    pub fn add(&self, name: String, file: Blob, size: (u32, u32)) {
        let Ok(url) = Url::create_object_url_with_blob(&file) else {
            return self.refuse(name, "this browser gave no address for it".into());
        };
        self.pictures.update(|pictures| {
            let id = pictures.iter().map(|picture| picture.id).max().unwrap_or(0) + 1;
            let file = SendWrapper::new(file);
            let (labels, vector, trouble) = Default::default();
            pictures.push(Picture { id, name, url, size, file, labels, vector, trouble });
        });
    }

    /// Note that a file was refused.
    pub fn refuse(&self, name: String, reason: String) {
        self.refused.update(|refused| refused.push((name, reason)));
    }

    /// Away with one picture.
    pub fn remove(&self, id: u32) {
        self.pictures.update(|pictures| {
            pictures.retain(|picture| {
                if picture.id == id {
                    free(&picture.url);
                }
                picture.id != id
            });
        });
    }

    /// Away with all.
    pub fn clear(&self) {
        self.pictures.update(|pictures| pictures.drain(..).for_each(|picture| free(&picture.url)));
        self.refused.update(Vec::clear);
    }

    /// The pictures of which this holds.
    pub fn which(&self, holds: impl Fn(&Picture) -> bool) -> Vec<Picture> {
        self.pictures.with_untracked(|pictures| pictures.iter().filter(|picture| holds(picture)).cloned().collect())
    }

    /// Labels are from this model now: those of another are forgotten.
    pub fn name_by(&self, model: PipelineId) {
        if self.named_by.get_untracked() != Some(model) {
            self.named_by.set(Some(model));
            for picture in self.which(|_| true) {
                picture.labels.set(Vec::new());
                picture.forget_trouble();
            }
        }
    }

    /// Whether the vectors are this model's.
    pub fn is_seen_by(&self, model: PipelineId) -> bool {
        self.seen_by.get_untracked() == Some(model)
    }

    /// Vectors are from this model now: those of another mean nothing to it, and are forgotten. Says whether there was another.
    pub fn see_by(&self, model: PipelineId) -> bool {
        let is_new = self.seen_by.get_untracked() != Some(model);
        if is_new {
            self.seen_by.set(Some(model));
            for picture in self.which(|_| true) {
                picture.vector.set(None);
                picture.forget_trouble();
            }
        }
        is_new
    }
}

fn free(url: &str) {
    // An address that is gone already is as good as freed.
    let _ = Url::revoke_object_url(url);
}

/// Which texts pictures are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Labels {
    /// The visitor's own, one a line.
    #[default]
    Typed,
    /// Every name that came with the model.
    Names,
}

/// The signals of pictures against texts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Matching {
    /// The pictures.
    pub album: Album,
    /// The visitor's labels, one a line.
    pub typed: RwSignal<String>,
    /// Which labels count.
    pub labels: RwSignal<Labels>,
    /// The names that came with the model, once they were asked for.
    pub names: RwSignal<Arc<Vec<String>>>,
    /// What pictures are searched for.
    pub query: RwSignal<String>,
    /// Vectors of texts, or why a text has none.
    pub texts: RwSignal<HashMap<String, Result<Vector, String>>>,
    /// What the model multiplies a cosine with before texts compete; `None` until it is known.
    pub scale: RwSignal<Option<f32>>,
}

impl Matching {
    /// The texts that pictures are held against now, each once: a label that is there twice would halve its own chance.
    pub fn wanted(&self) -> Arc<Vec<String>> {
        match self.labels.get() {
            Labels::Names => self.names.get(),
            Labels::Typed => Arc::new(self.typed.with(|typed| passages::distinct_lines(typed))),
        }
    }

    /// The vector of a text.
    pub fn vector(&self, text: &str) -> Option<Vector> {
        self.texts.with(|texts| texts.get(text).and_then(|vector| vector.as_ref().ok().cloned()))
    }

    /// The labels that the model could not read, with the reason.
    pub fn unread(&self) -> Vec<(String, String)> {
        let wanted = self.wanted();
        let why = |text: &String| self.texts.with(|texts| texts.get(text)?.as_ref().err().cloned());
        wanted.iter().filter_map(|text| Some((text.clone(), why(text)?))).collect()
    }

    /// Vectors of another model mean nothing to this one.
    pub fn follow_model(&self, model: PipelineId) {
        if self.album.see_by(model) {
            self.texts.update(HashMap::clear);
            self.scale.set(None);
        }
    }
}
