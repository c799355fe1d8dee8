//! The GPU's pipelines: what making each took, which are made before a model needs them, and what the shader compiler says.

use leptos::prelude::*;

use super::fields::Check;
use super::format;
use super::session::Session;
use super::session::pipelines::Making;
use crate::protocol::{CompilerMessage, MessageKind, PipelineEntry, PipelineManifest, Precompile};

/// Buttons, the list, and the compiler's messages.
#[component]
pub fn Pipelines() -> impl IntoView {
    let session = expect_context::<Session>();
    let manifest = RwSignal::new(None::<PipelineManifest>);
    let making = RwSignal::new_local(None::<Making>);
    let which = RwSignal::new("essential".to_string());
    let is_making = move || making.with(Option::is_some);
    let make = move |_| {
        if !making.with_untracked(Option::is_some) {
            session.precompile(chosen(&which.get_untracked()), making, manifest);
        }
    };
    let stop = move |_| making.with_untracked(|making| making.iter().for_each(|making| making.canceller.cancel()));
    let has_any = move || manifest.with(|manifest| manifest.as_ref().is_some_and(|it| !it.pipelines.is_empty()));
    let status = move || match making.get() {
        Some(Making { done, total, .. }) => format!("{} of {} are made", format::count(done), format::count(total)),
        None if manifest.with(|manifest| manifest.as_ref().is_some_and(|it| it.pipelines.is_empty())) => {
            "No model was loaded on this GPU yet.".into()
        }
        None => String::new(),
    };
    view! {
        <div class="measured">
            <h2>"Shader pipelines"</h2>
            <p class="ladder__words">
                "The programs that a model runs on the GPU. The browser keeps compiled ones by itself, as long as it likes, and gives no page a way to store them; kept here are the list of what models needed and the times."
            </p>
            <Check
                label="Compile the kernels of models used here before when the page opens"
                value=|settings| settings.precompile
                set=|settings, precompile| settings.precompile = precompile
            />
            <p>
                <button type="button" class="button button--small" on:click=move |_| session.pipelines(false, manifest)>
                    "List the pipelines"
                </button>
                <Show when=has_any>
                    " "
                    <button type="button" class="button button--small" on:click=move |_| session.pipelines(true, manifest)>
                        "Forget the list"
                    </button>
                </Show>
            </p>
            <p class="pipelines__make">
                <label class="settings__field">
                    <span>"Which"</span>
                    <select on:change=move |event| which.set(event_target_value(&event))>
                        <option value="essential">"Essential"</option>
                        <option value="all">"All"</option>
                        {move || {
                            let option = |op: String| {
                                let (value, is_chosen) = (op.clone(), which.with_untracked(|which| *which == op));
                                view! { <option value=value selected=is_chosen>{op}</option> }
                            };
                            manifest.with(|manifest| ops(manifest.as_ref())).into_iter().map(option).collect_view()
                        }}
                    </select>
                </label>
                <button type="button" class="button button--small" aria-disabled=move || is_making().to_string() on:click=make>
                    "Compile now"
                </button>
                <Show when=is_making>
                    <button type="button" class="button button--small" on:click=stop>"Stop compiling"</button>
                </Show>
            </p>
            <p class="ladder__words" role="status">{status}</p>
            {move || {
                manifest.with(|manifest| {
                    let some = manifest.as_ref().filter(|it| !it.pipelines.is_empty());
                    some.map(|it| table(&it.pipelines, format!("Pipelines of {}", it.adapter)))
                })
            }}
            <label class="settings__check">
                <input
                    type="checkbox"
                    prop:checked=move || manifest.with(|manifest| manifest.as_ref().is_some_and(|it| it.logging))
                    on:change=move |event| {
                        session.log_compilation(event_target_checked(&event));
                        session.pipelines(false, manifest);
                    }
                />
                "Log the shader compiler's messages"
            </label>
            {move || manifest.with(|manifest| manifest.as_ref().map(messages))}
        </div>
    }
}

fn chosen(which: &str) -> Precompile {
    match which {
        "essential" => Precompile::Essential,
        "all" => Precompile::All,
        op => Precompile::Operation(op.into()),
    }
}

/// The ops of models, each once.
fn ops(manifest: Option<&PipelineManifest>) -> Vec<String> {
    let listed = manifest.into_iter().flat_map(|manifest| &manifest.pipelines).filter(|it| !it.models.is_empty());
    let mut ops: Vec<String> = listed.map(|entry| entry.op.clone()).collect();
    ops.sort();
    ops.dedup();
    ops
}

/// Pipelines with their times.
pub fn table(pipelines: &[PipelineEntry], caption: String) -> impl IntoView + use<> {
    let rows = pipelines.iter().map(row).collect_view();
    view! {
        <div class="stages__box" role="region" aria-label="Shader pipelines, to be scrolled" tabindex="0">
            <table class="stages__table stages__table--long">
                <caption class="visually-hidden">{caption}</caption>
                <thead>
                    <tr>
                        {["Pipeline", "Variant", "Priority", "First time (cold)", "Last time", "In this visit"]
                            .map(|name| view! { <th scope="col">{name}</th> })
                            .collect_view()}
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

fn row(entry: &PipelineEntry) -> impl IntoView + use<> {
    let ms = |ms: Option<f64>| ms.map_or_else(|| "none yet".into(), format::duration_ms);
    let made = match entry.made {
        Some(making) if making.ahead => format!("{}, beside others", format::duration_ms(making.ms)),
        Some(making) => format::duration_ms(making.ms),
        None => "not made".into(),
    };
    view! {
        <tr>
            <th scope="row">{format!("{} ({})", entry.op, entry.shader)}</th>
            <td>{entry.variant.clone()}</td>
            <td>{entry.priority()}</td>
            <td>{ms(entry.cold_ms)}</td>
            <td>{ms(entry.warm_ms)}</td>
            <td>{made}</td>
        </tr>
    }
}

fn messages(manifest: &PipelineManifest) -> impl IntoView + use<> {
    let nothing = (manifest.logging && manifest.messages.is_empty())
        .then(|| view! { <p class="ladder__words">"The compiler has said nothing of the pipelines made since."</p> });
    let list = (!manifest.messages.is_empty()).then(|| {
        let items = manifest.messages.iter().map(message).collect_view();
        view! { <ul class="stages__found" aria-label="Messages of the shader compiler">{items}</ul> }
    });
    (nothing, list)
}

fn message(message: &CompilerMessage) -> impl IntoView + use<> {
    let kind = match message.kind {
        MessageKind::Error => "Error",
        MessageKind::Warning => "Warning",
        MessageKind::Info => "Note",
    };
    let source = (!message.source.is_empty()).then(|| view! { <br /><code>{message.source.clone()}</code> });
    view! { <li>{format!("{kind}{}: {}", message.place(), message.message)} {source}</li> }
}
