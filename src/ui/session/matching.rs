//! What the visitor does with pictures and words: labels held against pictures, pictures found by words. Each picture and each
//! text is a vector that is made once; what follows from them is arithmetic.

use std::collections::HashSet;
use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::Deserialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::Response;

use super::Session;
use super::pictures::files;
use super::sentences::TEXTS_AT_ONCE;
use crate::protocol::{Failure, FailureKind};
use crate::ui::platform::Pipeline;
use crate::ui::state::pictures::{Labels, Picture};
use crate::ui::state::work::Panel;
use crate::ui::state::{Remedy, now_ms};
use crate::ui::vectors;

/// The names that came with the embedded model.
const NAMES: &str = "models/clip-emoji/labels.json";

/// Texts that are held against one picture to learn how strongly they compete.
const N_COMPETING: usize = 8;

#[derive(Deserialize)]
struct Name {
    name: String,
}

impl Session {
    /// Make every vector that is missing, as soon as the model is there: of pictures first, then of labels and of the query.
    pub(super) fn match_pictures(self) {
        let (state, matching) = (self.state, self.state.matching);
        let Some(pipeline) = self.model_for(Panel::Match) else { return };
        matching.follow_model(pipeline.info().id);
        let run = self.begin(Panel::Match, 0);
        spawn_local(async move {
            let start = now_ms();
            let mut asked = HashSet::new();
            loop {
                let pictures = matching
                    .album
                    .which(|picture| picture.vector.with_untracked(Option::is_none) && !asked.contains(&picture.id));
                let texts = self.texts_without_vector();
                if pictures.is_empty() && texts.is_empty() {
                    if self.learn_scale(run, &pipeline).await.is_none() {
                        return;
                    }
                    // Something may have been typed or dropped meanwhile.
                    let is_new = |picture: &Picture| {
                        picture.vector.with_untracked(Option::is_none) && !asked.contains(&picture.id)
                    };
                    if self.texts_without_vector().is_empty() && matching.album.which(is_new).is_empty() {
                        break;
                    }
                    continue;
                }
                asked.extend(pictures.iter().map(|picture| picture.id));
                state.work(Panel::Match).update(|work| work.total += (pictures.len() + texts.len()) as u32);
                if self.see(Panel::Match, run, &pipeline, &pictures).await.is_none()
                    || self.read_texts(run, &pipeline, &texts).await.is_none()
                {
                    return;
                }
            }
            self.finish(Panel::Match, now_ms() - start);
        });
    }

    /// Make the vectors of the labels while the pictures' part of the model still arrives. What fails here is tried again, and told, once
    /// the model is whole.
    pub(super) fn read_ahead(self, pipeline: Pipeline) {
        let matching = self.state.matching;
        let model = pipeline.info().id;
        matching.follow_model(model);
        let texts: Vec<String> = self.texts_without_vector().into_iter().take(TEXTS_AT_ONCE).collect();
        if texts.is_empty() {
            return;
        }
        spawn_local(async move {
            let Ok(pending) = pipeline.embed(texts.clone(), None, |_| {}) else { return };
            let Ok(made) = pending.result().await else { return };
            if matching.album.is_seen_by(model) {
                let vectors = made.embeddings.into_iter().map(Arc::new);
                matching.texts.update(|known| known.extend(texts.into_iter().zip(vectors)));
            }
        });
    }

    /// The texts that count now and have no vector yet.
    fn texts_without_vector(self) -> Vec<String> {
        let matching = self.state.matching;
        let query = matching.query.get_untracked().trim().to_string();
        let wanted = untrack(|| matching.wanted());
        matching.texts.with_untracked(|known| {
            let mut new = HashSet::new();
            let texts = wanted.iter().chain(Some(&query)).filter(|text| !text.is_empty() && !known.contains_key(*text));
            texts.filter(|text| new.insert(text.as_str())).cloned().collect()
        })
    }

    async fn read_texts(self, run: u32, pipeline: &Pipeline, texts: &[String]) -> Option<()> {
        for texts in texts.chunks(TEXTS_AT_ONCE) {
            let (vectors, _) = self.embed(Panel::Match, run, pipeline, texts.to_vec()).await?;
            self.state.matching.texts.update(|known| {
                known.extend(texts.iter().cloned().zip(vectors.into_iter().map(Arc::new)));
            });
        }
        Some(())
    }

    /// How strongly texts compete is the model's own; one picture held against a few texts by the model itself tells it.
    async fn learn_scale(self, run: u32, pipeline: &Pipeline) -> Option<()> {
        let (state, matching) = (self.state, self.state.matching);
        let pictures = matching.album.which(|_| true);
        let texts: Vec<String> = untrack(|| matching.wanted()).iter().take(N_COMPETING).cloned().collect();
        let [first, ..] = pictures.as_slice() else { return Some(()) };
        if matching.scale.with_untracked(Option::is_some) || texts.len() < 2 {
            return Some(());
        }
        let one = std::slice::from_ref(first);
        let pending = pipeline.match_pictures(files(one), texts, None, move |event| state.apply(event));
        let matches = self.follow(Panel::Match, run, 0, pending).await?;
        if let (Some(scores), Some(picture)) = (matches.scores.first(), matches.image_embeddings.first()) {
            let cosines: Vec<f32> = matches.text_embeddings.iter().map(|text| vectors::dot(picture, text)).collect();
            matching.scale.set(vectors::scale_of(scores, &cosines));
        }
        Some(())
    }

    /// Choose which labels count. The names that came with the model are fetched when they are first wanted.
    pub fn use_labels(self, labels: Labels) {
        let (state, matching) = (self.state, self.state.matching);
        matching.labels.set(labels);
        if labels == Labels::Typed || matching.names.with_untracked(|names| !names.is_empty()) {
            return self.labels_changed();
        }
        spawn_local(async move {
            match fetch_names().await {
                Ok(names) => {
                    matching.names.set(Arc::new(names));
                    self.labels_changed();
                }
                Err(_) => {
                    matching.labels.set(Labels::Typed);
                    let failure = Failure {
                        kind: FailureKind::Network,
                        message: "The list of names could not be fetched from this site.".into(),
                        hint: "Type the labels, or try again.".into(),
                    };
                    state.alert(Panel::Match.task(), failure, Remedy::Nothing);
                }
            }
        });
    }

    /// Labels or the query are others now. Where the model is there and there are pictures, the answer follows by itself.
    pub fn labels_changed(self) {
        let has_pictures = self.state.matching.album.pictures.with_untracked(|pictures| !pictures.is_empty());
        let is_busy = self.state.work(Panel::Match).with_untracked(|work| work.is_busy());
        if has_pictures && !is_busy && self.loaded_as_chosen(Panel::Match.task()).is_some() {
            self.run(Panel::Match);
        }
    }
}

async fn fetch_names() -> Result<Vec<String>, JsValue> {
    let window = web_sys::window().ok_or("there is no page")?;
    let answer: Response = JsFuture::from(window.fetch_with_str(NAMES)).await?.unchecked_into();
    let text = JsFuture::from(answer.text()?).await?.as_string().unwrap_or_default();
    let names: Vec<Name> = serde_json::from_str(&text).map_err(|error| JsValue::from(error.to_string()))?;
    Ok(names.into_iter().map(|name| name.name).collect())
}
