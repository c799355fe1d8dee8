//! Which model is used: size, licence, whether this browser keeps it.

use leptos::prelude::*;

use super::format;
use super::session::Session;
use super::state::speech::{Recorder, Run};
use crate::protocol::{ModelInfo, Task};

/// The models on offer for one task.
#[component]
pub fn ModelPicker(
    /// Which.
    task: Task,
) -> impl IntoView {
    let state = expect_context::<Session>().state;
    let offered = Memo::new(move |_| state.offered(task));
    let in_use = move || {
        task == Task::SpeechToText
            && (state.speech.run.with(Run::is_busy) || state.speech.recorder.get() != Recorder::Off)
    };
    view! {
        <fieldset class="models" disabled=in_use>
            <legend>"Model"</legend>
            <Show when=move || offered.with(Vec::is_empty)>
                <p class="models__none">
                    {move || match state.models.with(Vec::is_empty) {
                        true => "The engine is starting…",
                        false => "None comes with the page: name one below.",
                    }}
                </p>
            </Show>
            <For each=move || offered.get() key=|model| model.id.clone() let(model)>
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
    let task = model.task;
    let chosen = Memo::new(move |_| state.chosen(task).is_some_and(|model| id.with_value(|id| *id == model.id)));
    let kept = Memo::new(move |_| {
        state.cached.with(|cached| cached.iter().find(|kept| id.with_value(|id| *id == kept.model)).cloned())
    });
    let choose = move |_| session.choose_model(task, id.get_value());
    let languages = match (task, model.multilingual) {
        (Task::SpeechToText, true) => "about 100 languages",
        (Task::SpeechToText, false) => "English",
        _ => "",
    };
    let size = if model.size_bytes > 0 { format::bytes(model.size_bytes) } else { String::new() };
    let facts: Vec<&str> = [languages, &size, &model.licence].into_iter().filter(|fact| !fact.is_empty()).collect();
    let facts = facts.join(" · ");
    view! {
        <div class="model" class=("model--chosen", chosen)>
            <label class="model__label">
                <input type="radio" name="model" value=model.id.clone() prop:checked=chosen on:change=choose />
                <span class="model__title">{model.title.clone()}</span>
                <span class="model__facts">
                    {facts}
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
                                on:click=move |_| session.remove_cached(task, id.get_value())
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
