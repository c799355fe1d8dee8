//! Which model listens: task, size, licence, whether this browser keeps it.

use leptos::prelude::*;

use super::format;
use super::session::Session;
use super::state::{Recorder, Run};
use crate::protocol::{ModelInfo, Task};

/// The panel.
#[component]
pub fn ModelPicker() -> impl IntoView {
    let state = expect_context::<Session>().state;
    let offered = move || {
        state
            .models
            .with(|models| models.iter().filter(|model| model.task == Task::SpeechToText).cloned().collect::<Vec<_>>())
    };
    view! {
        <fieldset class="models" disabled=move || state.run.with(Run::is_busy) || state.recorder.get() != Recorder::Off>
            <legend>"Model"</legend>
            <Show when=move || state.models.with(Vec::is_empty)>
                <p class="models__none">"The engine is starting…"</p>
            </Show>
            <For each=offered key=|model| model.id.clone() let(model)>
                <Choice model />
            </For>
        </fieldset>
    }
}

#[component]
fn Choice(model: ModelInfo) -> impl IntoView {
    let session = expect_context::<Session>();
    let state = session.state;
    let id = StoredValue::new(model.id.clone());
    let chosen =
        Memo::new(move |_| state.chosen(Task::SpeechToText).is_some_and(|model| id.with_value(|id| *id == model.id)));
    let kept = Memo::new(move |_| {
        state.cached.with(|cached| cached.iter().find(|kept| id.with_value(|id| *id == kept.model)).cloned())
    });
    let choose = move |_| {
        state.settings.update(|settings| settings.speech_model = Some(id.get_value()));
        // What is kept costs nothing to load; what is not waits for its first use or the button.
        if state.is_cached(&id.get_value()) {
            session.load(Task::SpeechToText);
        }
    };
    let languages = if model.multilingual { "about 100 languages" } else { "English" };
    view! {
        <div class="model" class=("model--chosen", chosen)>
            <label class="model__label">
                <input type="radio" name="model" value=model.id.clone() prop:checked=chosen on:change=choose />
                <span class="model__title">{model.title.clone()}</span>
                <span class="model__facts">
                    {format!("{} · {} · {}", languages, format::bytes(model.size_bytes), model.licence)}
                </span>
            </label>
            <p class="model__summary" hidden=move || !chosen.get()>{model.summary.clone()}</p>
            {move || {
                kept.get().map(|kept| {
                    let words = match kept.complete {
                        true => "Kept in this browser".to_string(),
                        false => format!("Partly kept in this browser ({})", format::bytes(kept.bytes)),
                    };
                    view! {
                        <p class="model__kept">
                            <span>{words}</span>
                            <button
                                type="button"
                                class="button button--link"
                                aria-label=format!("Remove {} from this browser", kept.model)
                                on:click=move |_| session.remove_cached(id.get_value())
                            >
                                "Remove"
                            </button>
                        </p>
                    }
                })
            }}
        </div>
    }
}
