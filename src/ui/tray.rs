//! Where pictures come in: dropped, pasted, picked, taken, or from the page's own; and what was refused.

use leptos::html;
use leptos::prelude::*;

use super::camera::Camera;
use super::files_in::{Dragging, picked};
use super::icons::{self, Glyph};
use super::session::{SAMPLES, Session, sample_url};
use super::state::work::Panel;

/// The place.
#[component]
pub fn Tray(
    /// Whose pictures.
    panel: Panel,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let Dragging(dragging) = expect_context();
    let album = session.album(panel);
    let input = NodeRef::<html::Input>::new();
    let camera_open = RwSignal::new(false);
    let choose = move |_| {
        let files = input.get().map(|input| picked(&input)).unwrap_or_default();
        if !files.is_empty() {
            session.add_pictures(panel, files);
        }
    };
    let n_unread = move || album.n_unread.get();
    view! {
        <div class="tray" class=("tray--drop", dragging)>
            <p class="tray__words">
                <Glyph icon=icons::PICTURE />
                <span>"Drop pictures anywhere on this page, or paste them."</span>
            </p>
            <div class="tray__ways">
                <label class="button button--primary file">
                    <input node_ref=input type="file" class="visually-hidden" accept="image/*" multiple on:change=choose />
                    "Choose pictures"
                </label>
                <button type="button" class="button" on:click=move |_| camera_open.set(true)>
                    <Glyph icon=icons::CAMERA />
                    "Take a picture"
                </button>
            </div>
            <div class="tray__samples" role="group" aria-label="Pictures to try">
                <span>"Or try one:"</span>
                {SAMPLES
                    .map(|(name, what)| {
                        view! {
                            <button
                                type="button"
                                class="sample"
                                aria-label=format!("Try the picture of {what}")
                                on:click=move |_| session.add_sample(panel, name)
                            >
                                <img src=sample_url(name) alt="" width="32" height="32" />
                            </button>
                        }
                    })
                    .collect_view()}
            </div>
            <p class="tray__reading" role="status">
                {move || (n_unread() > 1).then(|| format!("Opening {} pictures…", n_unread()))}
            </p>
        </div>
        <ul class="refused" aria-label="Files that were not taken" aria-live="polite">
            <For each=move || album.refused.get().into_iter().enumerate() key=|(n, (name, _))| format!("{n} {name}") let((_, (name, reason)))>
                <li><strong>{name}</strong>": " {reason}</li>
            </For>
        </ul>
        <Camera panel open=camera_open />
    }
}
