//! A model that is on no list: by its name on the hub, by an address, or from its files.

use leptos::html;
use leptos::prelude::*;

use super::files_in::picked;
use super::icons::{self, Glyph};
use super::models;
use super::session::Session;
use crate::protocol::Task;

/// The fold.
#[component]
pub fn OtherModel(
    /// For which task.
    task: Task,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let typed = RwSignal::new(String::new());
    let wrong = RwSignal::new(None::<&'static str>);
    let load = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        match models::address(&typed.get_untracked()) {
            Ok(address) => {
                wrong.set(None);
                session.load_address(task, address);
            }
            Err(expected) => wrong.set(Some(expected)),
        }
    };
    let (files, folder) = (NodeRef::<html::Input>::new(), NodeRef::<html::Input>::new());
    let choose = move |input: NodeRef<html::Input>| {
        let files = input.get().map(|input| picked(&input)).unwrap_or_default();
        if !files.is_empty() {
            session.load_files(task, files);
        }
    };
    let hint = format!("other-model-hint-{}", task as usize);
    view! {
        <details class="settings other-model">
            <summary>"Another model"</summary>
            <form class="settings__form" on:submit=load novalidate>
                <label class="settings__field">
                    <span>"From the model hub, or an address"</span>
                    <input
                        type="text"
                        inputmode="url"
                        autocapitalize="off"
                        autocomplete="off"
                        spellcheck="false"
                        placeholder=example(task)
                        prop:value=typed
                        aria-invalid=move || wrong.get().is_some().to_string()
                        aria-describedby=hint.clone()
                        on:input=move |event| typed.set(event_target_value(&event))
                    />
                </label>
                <p id=hint class="settings__hint" class=("settings__hint--wrong", move || wrong.get().is_some()) role="status">
                    {move || wrong.get().unwrap_or("Any repository of Whisper, BERT, T5, ViT, DINOv2 or CLIP loads as it is.")}
                </p>
                <button type="submit" class="button">"Load it"</button>
                <p class="settings__note">"Or from your disk: config.json, tokenizer.json, model.safetensors and what else the model's folder holds. You can also drop them on the page."</p>
                <div class="other-model__files">
                    <label class="button button--small file">
                        <input node_ref=files type="file" class="visually-hidden" multiple on:change=move |_| choose(files) />
                        <Glyph icon=icons::FILE />
                        "Choose its files"
                    </label>
                    <label class="button button--small file">
                        <input node_ref=folder type="file" class="visually-hidden" prop:webkitdirectory=true on:change=move |_| choose(folder) />
                        <Glyph icon=icons::FILE />
                        "Choose its folder"
                    </label>
                </div>
            </form>
        </details>
    }
}

/// A model of this kind, as an example of how to write it.
fn example(task: Task) -> &'static str {
    match task {
        Task::SpeechToText => "openai/whisper-small",
        Task::TextEmbedding => "BAAI/bge-small-en-v1.5",
        Task::FillMask => "distilbert/distilbert-base-uncased",
        Task::TextToText => "google/flan-t5-small",
        Task::ImageClassification => "facebook/deit-tiny-patch16-224",
        Task::ImageFeatures => "facebook/dinov2-small",
        Task::ImageText => "openai/clip-vit-base-patch32@refs/pr/15",
    }
}
