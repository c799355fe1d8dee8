//! What the visitor asks about pictures alone: what is on them, and which are alike.

use std::collections::HashSet;
use std::sync::Arc;

use js_sys::Array;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Session;
use crate::ui::platform::Pipeline;
use crate::ui::state::now_ms;
use crate::ui::state::pictures::Picture;
use crate::ui::state::work::Panel;

/// Pictures that are asked about at once: answers come in as they are made, and a stop loses little.
const PICTURES_AT_ONCE: usize = 8;

/// Labels for each picture.
const N_LABELS: u32 = 5;

impl Session {
    /// Name what is on every picture that has no labels yet, as soon as the model is there.
    pub(super) fn name_pictures(self) {
        let (state, album) = (self.state, self.state.album);
        let Some(pipeline) = self.model_for(Panel::Pictures) else { return };
        album.name_by(pipeline.info().id);
        let unnamed = |picture: &Picture| picture.labels.with_untracked(Vec::is_empty);
        let waiting = album.which(unnamed);
        let run = self.begin(Panel::Pictures, waiting.len());
        spawn_local(async move {
            let start = now_ms();
            let mut waiting = waiting;
            while !waiting.is_empty() {
                for pictures in waiting.chunks(PICTURES_AT_ONCE) {
                    let pending = pipeline.classify(files(pictures), N_LABELS, None, move |event| state.apply(event));
                    let named = self.follow(Panel::Pictures, run, pictures.len(), pending).await;
                    let Some(results) = named else { return };
                    for (picture, labels) in pictures.iter().zip(results) {
                        picture.labels.set(labels);
                    }
                }
                // Others may have been dropped meanwhile. One that stays without an answer is not asked about for ever.
                let asked: HashSet<u32> = waiting.iter().map(|picture| picture.id).collect();
                waiting = album.which(|picture| unnamed(picture) && !asked.contains(&picture.id));
                state.work(Panel::Pictures).update(|work| work.total += waiting.len() as u32);
            }
            self.finish(Panel::Pictures, now_ms() - start);
        });
    }

    /// Make a vector of every picture that has none yet, as soon as the model is there.
    pub(super) fn compare_pictures(self) {
        let (state, album) = (self.state, self.state.album);
        let Some(pipeline) = self.model_for(Panel::Alike) else { return };
        album.see_by(pipeline.info().id);
        let run = self.begin(Panel::Alike, 0);
        spawn_local(async move {
            let start = now_ms();
            let mut asked = HashSet::new();
            loop {
                let unseen = |picture: &Picture| picture.vector.with_untracked(Option::is_none);
                let pictures = album.which(|picture| unseen(picture) && !asked.contains(&picture.id));
                if pictures.is_empty() {
                    break;
                }
                asked.extend(pictures.iter().map(|picture| picture.id));
                state.work(Panel::Alike).update(|work| work.total += pictures.len() as u32);
                if self.see(Panel::Alike, run, &pipeline, &pictures).await.is_none() {
                    return;
                }
            }
            self.finish(Panel::Alike, now_ms() - start);
        });
    }

    /// Make a vector of each picture.
    pub(super) async fn see(self, panel: Panel, run: u32, pipeline: &Pipeline, pictures: &[Picture]) -> Option<()> {
        let state = self.state;
        for pictures in pictures.chunks(PICTURES_AT_ONCE) {
            let pending = pipeline.embed_pictures(files(pictures), None, move |event| state.apply(event));
            let embedded = self.follow(panel, run, pictures.len(), pending).await?;
            for (picture, vector) in pictures.iter().zip(embedded.embeddings) {
                picture.vector.set(Some(Arc::new(vector)));
            }
        }
        Some(())
    }
}

/// Their files, as they travel to the engine.
pub(super) fn files(pictures: &[Picture]) -> Array {
    pictures.iter().map(|picture| (*picture.file).clone()).collect()
}
