//! The help sheet: keys, privacy, and the few terms that need a line.

use leptos::html;
use leptos::prelude::*;

use super::icons::{self, Glyph};
use super::shortcuts::KEYS;

const NOTES: [(&str, &str); 6] = [
    (
        "Privacy",
        "Recordings, texts and pictures never leave this device. Once a model is loaded the page makes no request and keeps working offline.",
    ),
    (
        "WebGPU",
        "The browser's way to compute on your graphics card. Without it the page uses the processor and says so.",
    ),
    (
        "Which backend",
        "Before a model is loaded for the first time, a piece of it is run on every backend that works here, and the fastest gets it. If that fails later, the next one goes on from the last finished window.",
    ),
    (
        "Another model",
        "Any repository of Whisper, BERT, T5, ViT, DINOv2 or CLIP loads as it is: by its name on the model hub, by an address, or by dropping its files on the page.",
    ),
    (
        "f16 and f32",
        "Numbers of 16 or 32 bits. 16 bits need half the memory for what is computed; the text is almost always the same.",
    ),
    ("For programs", "window.rill offers the same models to scripts: see rill.d.ts beside this page."),
];

/// The sheet.
#[component]
pub fn Help(
    /// Whether it is open.
    open: RwSignal<bool>,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move || {
        let Some(dialog) = dialog.get() else { return };
        if !open.get() {
            dialog.close();
        } else if !dialog.open() {
            // It fails only for a dialog that is open already.
            let _ = dialog.show_modal();
        }
    });
    view! {
        <dialog class="help" node_ref=dialog aria-labelledby="help-title" on:close=move |_| open.set(false)>
            <header class="help__head">
                <h2 id="help-title">"Help"</h2>
                <button type="button" class="button button--bare" aria-label="Close" on:click=move |_| open.set(false)>
                    <Glyph icon=icons::CLOSE />
                </button>
            </header>
            <h3>"Keys"</h3>
            <dl class="keys">
                {KEYS.map(|(key, what)| view! { <div class="keys__key"><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div> }).collect_view()}
            </dl>
            {NOTES.map(|(title, words)| view! { <h3>{title}</h3><p>{words}</p> }).collect_view()}
        </dialog>
    }
}
