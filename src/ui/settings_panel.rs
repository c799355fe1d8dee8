//! The form for the settings. Every choice is kept in this browser and used from the next run on.

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;

use super::capability::precision_name;
use super::fields::{Check, Choice, Number};
use super::session::Session;
use super::settings::{Settings, memory_words};
use crate::protocol::{BackendChoice, LoadRequest, Precision, Source, SpeechTask, Task};

/// Languages on offer before a model has told its own: the twelve with the most speakers among the model's.
const COMMON_LANGUAGES: [&str; 12] = ["en", "zh", "hi", "es", "fr", "ar", "bn", "pt", "ru", "ur", "id", "de"];

/// The panel.
#[component]
pub fn SettingsPanel(
    /// The task that is showing: what belongs to speech alone is shown with it.
    #[prop(into)]
    task: Signal<Task>,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let settings = session.state.settings;
    let stale = move || session.is_stale(task.get());
    view! {
        <details class="settings">
            <summary>"Settings"</summary>
            <form class="settings__form" on:submit=|event| event.prevent_default()>
                <Show when=move || task.get() == Task::SpeechToText>
                    <SpeechSettings />
                </Show>
                <Choice
                    label="Runs on"
                    options=&[
                        ("auto", "The fastest here, measured"),
                        ("webgpu", "GPU (WebGPU)"),
                        ("webnn", "Neural network API (WebNN)"),
                        ("wasm", "Processor (WebAssembly)"),
                    ]
                    value=|settings| match settings.backend {
                        BackendChoice::Auto => "auto",
                        BackendChoice::WebGpu => "webgpu",
                        BackendChoice::WebNn => "webnn",
                        BackendChoice::Wasm => "wasm",
                    }
                    set=|settings, value| {
                        settings.backend = match value {
                            "webgpu" => BackendChoice::WebGpu,
                            "webnn" => BackendChoice::WebNn,
                            "wasm" => BackendChoice::Wasm,
                            _ => BackendChoice::Auto,
                        };
                    }
                />
                <Check
                    label="If a backend fails, go on with the next"
                    value=|settings| settings.fallbacks
                    set=|settings, allowed| settings.fallbacks = allowed
                />
                <Choice
                    label="Precision"
                    options=&[
                        ("f32", "32 bit, exact"),
                        ("f16", "16 bit, for what is computed"),
                        ("int8", "8 bit weights, a quarter of 32"),
                        ("int4", "4 bit weights, tables in 8"),
                    ]
                    value=|settings| precision_name(settings.precision)
                    set=|settings, value| {
                        settings.precision = match value {
                            "f16" => Precision::F16,
                            "int8" => Precision::Int8,
                            "int4" => Precision::Int4,
                            _ => Precision::F32,
                        };
                    }
                />
                <Choice
                    label="Memory"
                    options=&[
                        ("0", "0 · keep everything"),
                        ("1", "1 · share"),
                        ("2", "2 · small weights"),
                        ("3", "3 · layer by layer"),
                    ]
                    value=|settings| LEVELS[usize::from(u8::from(settings.memory_level))]
                    set=|settings, value| settings.memory_level = level(value)
                />
                <p class="settings__hint">{move || memory_words(settings.with(|settings| settings.memory_level)).1}</p>
                <Choice
                    label="Kernels on a GPU"
                    options=&[
                        ("3", "3 · as tuned here"),
                        ("2", "2 · with subgroups"),
                        ("1", "1 · tiled"),
                        ("0", "0 · plain, to compare"),
                    ]
                    value=|settings| LEVELS[usize::from(u8::from(settings.kernel_level))]
                    set=|settings, value| settings.kernel_level = level(value)
                />
                <Number
                    label="Most memory for a model, in MB"
                    between=(1.0, 1_000_000.0)
                    empty="as much as there is"
                    value=|settings| settings.memory_budget_mb.map(f64::from)
                    set=|settings, number| settings.memory_budget_mb = number.map(|number| number as u32)
                />
                <Show when=move || task.get() == Task::SpeechToText>
                    <Number
                        label="Windows at once"
                        hint="More than 1 cuts a file longer than 30 s at its pauses and decodes so many pieces together: faster, more memory, no piece knows the text before it."
                        between=BATCHES
                        value=|settings| Some(f64::from(settings.batch_size))
                        set=|settings, number| settings.batch_size = number.map_or(1, |number| number as u32)
                    />
                </Show>
                <Show when=move || task.get() == Task::TextToText>
                    <Number
                        label="Inputs at once"
                        hint="So many lines are answered together, with the same words as one by one: faster, more memory."
                        between=BATCHES
                        value=|settings| Some(f64::from(settings.batch_size))
                        set=|settings, number| settings.batch_size = number.map_or(1, |number| number as u32)
                    />
                </Show>
                <ModelSource />
                <Choice
                    label="Download in pieces of"
                    options=&[("1", "1 MiB"), ("4", "4 MiB"), ("16", "16 MiB")]
                    value=piece
                    set=set_piece
                />
                <Number
                    label="Pieces at once"
                    hint="More hide a slow server's delay; browsers open at most six connections, and no more than 32 MiB come at once."
                    between=(1.0, f64::from(LoadRequest::MOST_PARALLEL))
                    value=|settings| Some(f64::from(settings.parallel_components))
                    set=|settings, number| settings.parallel_components = number.map_or(LoadRequest::DEFAULT_PARALLEL, |number| number as u32)
                />
                <div class="settings__foot">
                    <Show when=stale>
                        <p class="settings__note" role="status">"The loaded model does not follow these settings yet."</p>
                        <button type="button" class="button" on:click=move |_| session.load(task.get_untracked())>"Load again now"</button>
                    </Show>
                    <button type="button" class="button button--link" on:click=move |_| settings.update(Settings::reset)>
                        "Back to the defaults"
                    </button>
                </div>
            </form>
        </details>
    }
}

/// How many inputs a model may decode at once.
const BATCHES: (f64, f64) = (1.0, LoadRequest::MOST_BATCH as f64);

/// The memory levels as values of a choice.
const LEVELS: [&str; 4] = ["0", "1", "2", "3"];

/// Language, task and times.
#[component]
fn SpeechSettings() -> impl IntoView {
    let state = expect_context::<Session>().state;
    let english_only = move || state.chosen(Task::SpeechToText).is_some_and(|model| !model.multilingual);
    view! {
        <Language english_only=Signal::derive(english_only) />
        <Choice
            label="Task"
            options=&[("transcribe", "Write it down as spoken"), ("translate", "Translate into English")]
            value=move |settings| if settings.task == SpeechTask::Translate { "translate" } else { "transcribe" }
            set=|settings, value| {
                settings.task = if value == "translate" { SpeechTask::Translate } else { SpeechTask::Transcribe };
            }
            disabled=Signal::derive(english_only)
        />
        <Show when=english_only>
            <p class="settings__note">"This model knows English only. Choose a multilingual one for other languages."</p>
        </Show>
        <Check
            label="Times for each segment"
            value=|settings| settings.timestamps
            set=|settings, on| settings.timestamps = on
        />
    }
}

fn piece(settings: &Settings) -> &'static str {
    match settings.chunk_bytes >> 20 {
        0 | 1 => "1",
        2..=4 => "4",
        _ => "16", // What an earlier version offered beyond is taken as this.
    }
}

fn set_piece(settings: &mut Settings, mebibytes: &str) {
    settings.chunk_bytes = mebibytes.parse::<u32>().unwrap_or(4) << 20;
}

#[component]
fn Language(english_only: Signal<bool>) -> impl IntoView {
    let state = expect_context::<Session>().state;
    // Apart, since the slot changes with every piece of a model that arrives, and its languages do not.
    let known = Memo::new(move |_| {
        state.slot(Task::SpeechToText).with(|slot| slot.info().map(|info| info.languages.clone()).unwrap_or_default())
    });
    let chosen = Memo::new(move |_| state.settings.with(|settings| settings.language.clone()));
    let codes = Memo::new(move |_| {
        let known = known.get();
        let mut codes = if known.is_empty() { COMMON_LANGUAGES.map(String::from).to_vec() } else { known };
        codes.extend(chosen.get());
        let mut named = with_names(codes);
        named.sort();
        named.dedup();
        named
    });
    let choose = move |event: ev::Event| {
        let code = event_target_value(&event);
        state.settings.update(|settings| settings.language = (!code.is_empty()).then_some(code));
    };
    view! {
        <label class="settings__field">
            <span>"Language"</span>
            <select disabled=english_only on:change=choose>
                <option value="">"Detect it"</option>
                <For each=move || codes.get() key=|(_, code)| code.clone() let((name, code))>
                    <option
                        value=code.clone()
                        selected=move || state.settings.with(|settings| settings.language.as_ref() == Some(&code))
                    >
                        {name}
                    </option>
                </For>
            </select>
        </label>
    }
}

#[component]
fn ModelSource() -> impl IntoView {
    let settings = expect_context::<Session>().state.settings;
    let is_url = move || settings.with(|settings| matches!(settings.source, Source::Url(_)));
    let url = move || {
        settings.with(|settings| if let Source::Url(url) = &settings.source { url.clone() } else { String::new() })
    };
    view! {
        <Choice
            label="Models come from"
            options=&[
                ("auto", "This site, then the model hub"),
                ("own", "This site only"),
                ("hub", "The model hub only"),
                ("url", "Another address"),
            ]
            value=|settings| match settings.source {
                Source::Auto | Source::Files => "auto",
                Source::Own => "own",
                Source::Hub => "hub",
                Source::Url(_) => "url",
            }
            set=|settings, value| {
                settings.source = match value {
                    "own" => Source::Own,
                    "hub" => Source::Hub,
                    "url" => Source::Url(String::new()),
                    _ => Source::Auto,
                };
            }
        />
        <Show when=is_url>
            <label class="settings__field">
                <span>"Folder that holds the model folders"</span>
                <input
                    type="url"
                    placeholder="https://example.org/models/"
                    prop:value=url
                    on:change=move |event| settings.update(|settings| settings.source = Source::Url(event_target_value(&event)))
                />
            </label>
        </Show>
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = Intl)]
    type DisplayNames;
    #[wasm_bindgen(constructor, js_namespace = Intl, catch)]
    fn new(locales: &str, options: &JsValue) -> Result<DisplayNames, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn of(this: &DisplayNames, code: &str) -> Result<JsValue, JsValue>;
}

/// Languages with their English names from the browser's own tables; the code where it has none.
fn with_names(codes: Vec<String>) -> Vec<(String, String)> {
    let options = js_sys::Object::new();
    let names = js_sys::Reflect::set(&options, &"type".into(), &"language".into())
        .and_then(|_| DisplayNames::new("en", &options))
        .ok();
    let name = |code: &str| names.as_ref().and_then(|names| names.of(code).ok()?.as_string());
    codes.into_iter().map(|code| (name(&code).unwrap_or_else(|| code.clone()), code)).collect()
}

/// The level that is written so.
fn level<Level: TryFrom<u8> + Default>(value: &str) -> Level {
    value.parse().ok().and_then(|level: u8| level.try_into().ok()).unwrap_or_default()
}
