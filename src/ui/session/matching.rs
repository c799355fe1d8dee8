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
use super::pictures::{files, take_vectors};
use super::work::Batch;
use crate::protocol::{Failure, FailureKind};
use crate::ui::clock::now_ms;
use crate::ui::jobs::{PICTURES, TEXTS};
use crate::ui::platform::Pipeline;
use crate::ui::state::Remedy;
use crate::ui::state::pictures::{Labels, Picture};
use crate::ui::state::work::Panel;

/// The names that came with the embedded model.
const NAMES: &str = "models/clip-emoji/labels.json";

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
            loop {
                // Something may have been typed or dropped while others were looked at.
                let pictures = matching.album.which(Picture::is_unseen);
                let texts = self.texts_without_vector();
                if pictures.is_empty() && texts.is_empty() {
                    break;
                }
                state.work(Panel::Match).update(|work| work.total += (pictures.len() + texts.len()) as u32);
                if self.look_at(run, &pipeline, &pictures).await.is_none()
                    || self.read_texts(run, &pipeline, &texts).await.is_none()
                {
                    return;
                }
            }
            self.finish(Panel::Match, now_ms() - start);
        });
    }

    /// Make the pictures' vectors; how strongly texts compete is told along with them.
    async fn look_at(self, run: u32, pipeline: &Pipeline, pictures: &[Picture]) -> Option<()> {
        let scale = self.state.matching.scale;
        self.in_jobs(
            Batch { panel: Panel::Match, run, sizes: PICTURES },
            pictures,
            |pictures, on_event| pipeline.match_pictures(files(pictures), Vec::new(), None, on_event),
            |pictures, matches| {
                if let Ok(matches) = &matches {
                    scale.set(Some(matches.logit_scale));
                }
                take_vectors(pictures, matches.map(|matches| matches.image_embeddings));
            },
        )
        .await
    }

    /// Make the vectors of the labels while the pictures' part of the model still arrives. What fails here is tried again, and told, once
    /// the model is whole.
    pub(super) fn read_ahead(self, pipeline: Pipeline) {
        let matching = self.state.matching;
        let model = pipeline.info().id;
        matching.follow_model(model);
        let texts: Vec<String> = self.texts_without_vector().into_iter().take(TEXTS.least).collect();
        if texts.is_empty() {
            return;
        }
        spawn_local(async move {
            let Ok(pending) = pipeline.embed(texts.clone(), None, |_| {}) else { return };
            let Ok(made) = pending.result().await else { return };
            if matching.album.is_seen_by(model) {
                let vectors = made.embeddings.into_iter().map(|vector| Ok(Arc::new(vector)));
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
        let known = self.state.matching.texts;
        self.in_jobs(
            Batch { panel: Panel::Match, run, sizes: TEXTS },
            texts,
            |texts, on_event| pipeline.embed(texts.to_vec(), None, on_event),
            |texts, made| {
                let vectors = match made {
                    Ok(made) => made.embeddings.into_iter().map(|vector| Ok(Arc::new(vector))).collect(),
                    Err(why) => vec![Err(why); texts.len()],
                };
                known.update(|known| known.extend(texts.iter().cloned().zip(vectors)));
            },
        )
        .await
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
