//! What the visitor asks the classifier: what is on these pictures.

use std::collections::HashMap;

use js_sys::Array;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Session;
use crate::ui::state::now_ms;
use crate::ui::state::pictures::Picture;
use crate::ui::state::work::Panel;

/// Pictures that are asked about at once: answers come in as they are made, and a stop loses little.
pub(super) const PICTURES_AT_ONCE: usize = 8;

/// Labels for each picture.
const N_LABELS: u32 = 5;

impl Session {
    /// Name what is on every picture that has no labels yet, as soon as the model is there.
    pub(super) fn name_pictures(self) {
        let (state, album) = (self.state, self.state.album);
        let Some(pipeline) = self.model_for(Panel::Pictures) else { return };
        let model = pipeline.info().id;
        if state.named_by.get_untracked() != Some(model) {
            state.named_by.set(Some(model));
            album.forget_answers();
        }
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
                let asked: HashMap<u32, ()> = waiting.iter().map(|picture| (picture.id, ())).collect();
                waiting = album.which(|picture| unnamed(picture) && !asked.contains_key(&picture.id));
                state.work(Panel::Pictures).update(|work| work.total += waiting.len() as u32);
            }
            self.finish(Panel::Pictures, now_ms() - start);
        });
    }
}

/// Their files, as they travel to the engine.
pub(super) fn files(pictures: &[Picture]) -> Array {
    pictures.iter().map(|picture| (*picture.file).clone()).collect()
}
