//! What the visitor asks about pictures alone: what is on them, and which are alike.

use std::sync::Arc;

use js_sys::Array;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Session;
use super::work::Batch;
use crate::ui::clock::now_ms;
use crate::ui::jobs::PICTURES;
use crate::ui::platform::Pipeline;
use crate::ui::state::pictures::Picture;
use crate::ui::state::work::Panel;

/// Labels for each picture.
const N_LABELS: u32 = 5;

impl Session {
    /// Name what is on every picture that has no labels yet, as soon as the model is there.
    pub(super) fn name_pictures(self) {
        let (state, album) = (self.state, self.state.album);
        let Some(pipeline) = self.model_for(Panel::Pictures) else { return };
        album.name_by(pipeline.info().id);
        let batch = Batch { panel: Panel::Pictures, run: self.begin(Panel::Pictures, 0), sizes: PICTURES };
        spawn_local(async move {
            let start = now_ms();
            loop {
                // Others may have been dropped while some were looked at.
                let waiting =
                    album.which(|picture| picture.is_readable() && picture.labels.with_untracked(Vec::is_empty));
                if waiting.is_empty() {
                    break;
                }
                state.work(Panel::Pictures).update(|work| work.total += waiting.len() as u32);
                let named = self.in_jobs(
                    batch,
                    &waiting,
                    |pictures, on_event| pipeline.classify(files(pictures), N_LABELS, None, on_event),
                    |pictures, results| match results {
                        Ok(results) => {
                            pictures.iter().zip(results).for_each(|(picture, labels)| picture.labels.set(labels))
                        }
                        Err(why) => pictures.iter().for_each(|picture| picture.trouble.set(Some(why.clone()))),
                    },
                );
                if named.await.is_none() {
                    return;
                }
            }
            self.finish(Panel::Pictures, now_ms() - start);
        });
    }

    /// Make a vector of every picture that has none yet, as soon as the model is there.
    pub(super) fn compare_pictures(self) {
        let album = self.state.album;
        let Some(pipeline) = self.model_for(Panel::Alike) else { return };
        album.see_by(pipeline.info().id);
        let batch = Batch { panel: Panel::Alike, run: self.begin(Panel::Alike, 0), sizes: PICTURES };
        spawn_local(async move {
            let start = now_ms();
            loop {
                let waiting = album.which(Picture::is_unseen);
                if waiting.is_empty() {
                    break;
                }
                if self.see(batch, &pipeline, &waiting).await.is_none() {
                    return;
                }
            }
            self.finish(Panel::Alike, now_ms() - start);
        });
    }

    /// Make a vector of each picture.
    async fn see(self, batch: Batch, pipeline: &Pipeline, pictures: &[Picture]) -> Option<()> {
        self.state.work(batch.panel).update(|work| work.total += pictures.len() as u32);
        self.in_jobs(
            batch,
            pictures,
            |pictures, on_event| pipeline.embed_pictures(files(pictures), None, on_event),
            |pictures, made| take_vectors(pictures, made.map(|made| made.embeddings)),
        )
        .await
    }
}

/// Keep the pictures' vectors, or why a picture has none.
pub(super) fn take_vectors(pictures: &[Picture], made: Result<Vec<Vec<f32>>, String>) {
    match made {
        Ok(made) => pictures.iter().zip(made).for_each(|(picture, vector)| picture.vector.set(Some(Arc::new(vector)))),
        Err(why) => pictures.iter().for_each(|picture| picture.trouble.set(Some(why.clone()))),
    }
}

/// Their files, as they travel to the engine.
pub(super) fn files(pictures: &[Picture]) -> Array {
    pictures.iter().map(|picture| (*picture.file).clone()).collect()
}
