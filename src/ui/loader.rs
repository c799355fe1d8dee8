//! A model on its way: honest phases, bytes by file, speed, elapsed time, cancel; then what was loaded.

use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::capability::{backend_name, precision_name};
use super::format;
use super::memory_now::MemoryNow;
use super::models::kind;
use super::numbers_panel::NumbersPanel;
use super::precision_cost::PrecisionCost;
use super::session::Session;
use super::settings::memory_words;
use super::stage_table::StageTable;
use super::state::Slot;
use crate::protocol::{BackendChoice, ComponentProgress, FileProgress, LoadPhase, LoadProgress, PipelineInfo, Task};

/// The phases in order, with the words for them.
const PHASES: [(LoadPhase, &str); 5] = [
    (LoadPhase::Prepare, "Prepare"),
    (LoadPhase::Download, "Download"),
    (LoadPhase::Verify, "Check"),
    (LoadPhase::Compile, "Compile"),
    (LoadPhase::WarmUp, "Test"),
];

/// The panel for one task's model.
#[component]
pub fn Loader(
    /// Which.
    task: Task,
) -> impl IntoView {
    let state = expect_context::<Session>().state;
    let slot = state.slot(task);
    // Rebuilt when the kind of state changes, not with each byte: a focused button stays focused.
    let kind = Memo::new(move |_| {
        slot.with(|slot| {
            (std::mem::discriminant(slot), slot.info().map(|info| (info.id, info.backend, info.precision)))
        })
    });
    view! {
        <section class="loader" aria-label="Model status">
            {move || {
                kind.get();
                slot.with_untracked(|present| match present {
                    Slot::Empty | Slot::Failed { .. } => view! { <Absent task /> }.into_any(),
                    Slot::Loading { .. } => view! { <Loading task /> }.into_any(),
                    Slot::Loaded { info, .. } => view! { <Ready info=info.clone() /> }.into_any(),
                })
            }}
        </section>
    }
}

/// Not loaded: what a load would cost, and the button for it.
#[component]
fn Absent(task: Task) -> impl IntoView {
    let session = expect_context::<Session>();
    let state = session.state;
    let when = match task {
        Task::SpeechToText => "when you record or drop a recording",
        Task::TextEmbedding => "when you compare",
        Task::FillMask => "when you fill a gap",
        Task::TextToText => "when you write",
        Task::ImageClassification | Task::ImageFeatures | Task::ImageText => "when you bring a picture",
    };
    let words = move || match state.chosen(task) {
        None if state.models.with(Vec::is_empty) => String::new(),
        None => format!("This needs {}. Name one under \"Another model\".", kind(task)),
        Some(model) if state.slot(task).with(|slot| matches!(slot, Slot::Failed { .. })) => {
            format!("{} could not be loaded.", model.title)
        }
        Some(model) if state.is_cached(&model.id) => {
            format!("{} is kept in this browser and loads {when}.", model.title)
        }
        Some(model) if model.size_bytes == 0 => format!("{} loads {when}.", model.title),
        Some(model) => {
            format!(
                "{} is downloaded once ({}) {when}, then kept in this browser.",
                model.title,
                format::bytes(model.size_bytes)
            )
        }
    };
    view! {
        <p class="loader__words">{words}</p>
        <Show when=move || state.chosen(task).is_some()>
            <button type="button" class="button" on:click=move |_| session.load(task)>"Load now"</button>
        </Show>
    }
}

#[component]
fn Loading(task: Task) -> impl IntoView {
    let session = expect_context::<Session>();
    let slot = session.state.slot(task);
    let progress = Memo::new(move |_| {
        slot.with(|slot| if let Slot::Loading { progress, .. } = slot { progress.clone() } else { None })
    });
    let phase = Memo::new(move |_| {
        progress.with(|progress| progress.as_ref().map_or(LoadPhase::Prepare, |progress| progress.phase))
    });
    let title = move || session.state.chosen(task).map(|model| format!("Loading {}", model.title));
    view! {
        <p class="loader__title" role="status">{title}</p>
        <ol class="phases" aria-label="Phases">
            {PHASES
                .map(|(each, word)| {
                    let place = move || {
                        // The tuner is there only where it is asked for, and has no step of its own.
                        let phase = if phase.get() == LoadPhase::Tune { LoadPhase::Prepare } else { phase.get() };
                        let now = PHASES.iter().position(|(known, _)| *known == phase);
                        PHASES.iter().position(|(known, _)| *known == each).cmp(&now)
                    };
                    view! {
                        <li
                            class="phases__phase"
                            class=("phases__phase--past", move || place().is_lt())
                            aria-current=move || place().is_eq().then_some("step")
                        >
                            {word}
                        </li>
                    }
                })
                .collect_view()}
        </ol>
        <progress
            class="loader__bar"
            aria-label="Loading progress"
            max="1"
            value=move || progress.with(|progress| progress.as_ref().and_then(share))
        ></progress>
        <p class="loader__words">{move || progress.with(|progress| progress.as_ref().map_or_else(|| "Asking for the files…".into(), words))}</p>
        <Components progress />
        <Files progress />
        <button type="button" class="button" on:click=move |_| session.cancel_load(task)>"Cancel loading"</button>
    }
}

/// The parts of a model that are loaded by themselves, where it has several.
#[component]
fn Components(progress: Memo<Option<LoadProgress>>) -> impl IntoView {
    let parts = Memo::new(move |_| {
        progress.with(|progress| progress.as_ref().map(|progress| progress.components.clone()).unwrap_or_default())
    });
    let names = Memo::new(move |_| parts.with(|parts| parts.iter().map(|part| part.name.clone()).collect::<Vec<_>>()));
    let part = move |name: &str| parts.with(|parts| parts.iter().find(|part| part.name == name).cloned());
    view! {
        <ul class="parts" aria-label="Parts of the model" hidden=move || names.with(|names| names.len() < 2)>
            <For each=move || names.get() key=|name| name.clone() let(name)>
                <li class="parts__part">
                    <span class="files__name">{name.clone()}</span>
                    <span class="files__bytes">
                        {
                            let name = name.clone();
                            move || part(&name).map(|part| part_words(&part))
                        }
                    </span>
                    <progress aria-label=name.clone() max="1" value=move || part(&name).and_then(|part| part_share(&part))></progress>
                </li>
            </For>
        </ul>
    }
}

fn part_words(part: &ComponentProgress) -> String {
    match (part.ready, part.total_bytes) {
        (true, _) => "can be used".into(),
        (false, 0) => format::bytes(part.received_bytes),
        (false, total) => format!("{} of {}", format::bytes(part.received_bytes), format::bytes(total)),
    }
}

fn part_share(part: &ComponentProgress) -> Option<f64> {
    (part.total_bytes > 0).then(|| (part.received_bytes as f64 / part.total_bytes as f64).min(1.0))
}

#[component]
fn Files(progress: Memo<Option<LoadProgress>>) -> impl IntoView {
    let names = Memo::new(move |_| {
        progress.with(|progress| {
            progress.iter().flat_map(|progress| &progress.files).map(|file| file.name.clone()).collect::<Vec<_>>()
        })
    });
    let file = move |name: &str| {
        progress.with(|progress| progress.as_ref()?.files.iter().find(|file| file.name == name).cloned())
    };
    view! {
        <ul class="files">
            <For each=move || names.get() key=|name| name.clone() let(name)>
                <li class="files__file">
                    <span class="files__name">{name.clone()}</span>
                    <span class="files__bytes">{move || file(&name).map(|file| file_words(&file))}</span>
                </li>
            </For>
        </ul>
    }
}

fn file_words(file: &FileProgress) -> String {
    let source = if file.cached { " · kept" } else { "" };
    match file.total_bytes {
        0 => format!("{}{source}", format::bytes(file.received_bytes)),
        total if total == file.received_bytes => format!("{}{source}", format::bytes(total)),
        total => format!("{} of {}{source}", format::bytes(file.received_bytes), format::bytes(total)),
    }
}

/// Bytes here and in all: of the model's parts, which are what is waited for, once they are known; until then of the files.
fn totals(progress: &LoadProgress) -> (u64, u64) {
    let parts = &progress.components;
    if parts.iter().any(|part| part.total_bytes > 0) {
        let received = parts.iter().map(|part| part.received_bytes).sum();
        return (received, parts.iter().map(|part| part.total_bytes).sum());
    }
    let received = progress.files.iter().map(|file| file.received_bytes).sum();
    (received, progress.files.iter().map(|file| file.total_bytes).sum())
}

/// The share of this phase that is done, where it is known.
fn share(progress: &LoadProgress) -> Option<f64> {
    let (received, total) = totals(progress);
    let ratio = |done: f64, all: f64| (all > 0.0).then(|| (done / all).min(1.0));
    match progress.phase {
        LoadPhase::Download => ratio(received as f64, total as f64),
        LoadPhase::Tune | LoadPhase::Compile => ratio(f64::from(progress.pipelines.0), f64::from(progress.pipelines.1)),
        LoadPhase::Prepare | LoadPhase::Verify | LoadPhase::WarmUp => None,
    }
}

fn words(progress: &LoadProgress) -> String {
    let elapsed = format!("{:.0} s so far", progress.elapsed_ms / 1e3);
    let (received, total) = totals(progress);
    match progress.phase {
        LoadPhase::Prepare => format!("Finding the files and the device · {elapsed}"),
        LoadPhase::Download if progress.bytes_per_s > 0.0 && total > received => {
            let speed = format::bytes(progress.bytes_per_s as u64);
            let left = progress.time_left_s.map(|s| format!(" · {} left", format::about_s(s))).unwrap_or_default();
            format!("{} of {} · {speed}/s{left} · {elapsed}", format::bytes(received), format::bytes(total))
        }
        LoadPhase::Download if total > 0 => {
            format!("{} of {} · {elapsed}", format::bytes(received), format::bytes(total))
        }
        LoadPhase::Download => format!("{} · {elapsed}", format::bytes(received)),
        LoadPhase::Verify => format!("Checking that the files are whole · {elapsed}"),
        LoadPhase::Tune => {
            format!("{} of {} kernels tried on this GPU · {elapsed}", progress.pipelines.0, progress.pipelines.1)
        }
        LoadPhase::Compile => format!("{} of {} pipelines · {elapsed}", progress.pipelines.0, progress.pipelines.1),
        LoadPhase::WarmUp => format!("A first, untimed run · {elapsed}"),
    }
}

/// Loaded: on what, why, how large, how long it took.
#[component]
fn Ready(info: PipelineInfo) -> impl IntoView {
    let is_open = RwSignal::new(false);
    // Built at the first opening, and then kept: with all of it, the page would stand still when a model arrives.
    let was_opened = RwSignal::new(false);
    let on_toggle = move |event| {
        is_open.set(is_open_now(&event));
        was_opened.set(true); // It is closed only after that.
    };
    let details = info.clone();
    view! {
        <p class="loader__title loader__title--ready" role="status">
            {format!("{} is ready", info.model.title)}
        </p>
        <p class="loader__words">
            {format!(
                "Loaded in {} · {} of memory.",
                format::duration_ms(info.timings.total_ms),
                format::bytes(info.memory_bytes),
            )}
        </p>
        <details class="loader__details" on:toggle=on_toggle>
            <summary>"How it runs"</summary>
            <Show when=move || was_opened.get()>
                <HowItRuns info=details.clone() is_shown=is_open />
            </Show>
        </details>
        <PrecisionCost info />
    }
}

/// On what and why, in figures, with what can be measured of it.
#[component]
fn HowItRuns(info: PipelineInfo, is_shown: RwSignal<bool>) -> impl IntoView {
    let precision = precision_name(info.precision);
    let facts = [
        ("Backend", format!("{} · {precision}", backend_name(info.backend))),
        ("Device", info.adapter.clone()),
        ("Most while loading", if info.peak_bytes > 0 { format::bytes(info.peak_bytes) } else { "0".into() }),
        ("Memory level", format!("{} · {}", u8::from(info.memory_level), memory_words(info.memory_level).0)),
        ("Files", format::duration_ms(info.timings.download_ms)),
        ("Compile", format::duration_ms(info.timings.compile_ms)),
        ("Warm up", format::duration_ms(info.timings.warm_up_ms)),
        ("Dispatches a token", info.dispatches_per_token.to_string()),
    ];
    view! {
        <p class="loader__reason">{info.reason.clone()}</p>
        <dl class="facts">
            {facts
                .into_iter()
                .filter(|(_, value)| value != "0")
                .map(|(name, value)| view! { <div class="facts__fact"><dt>{name}</dt><dd>{value}</dd></div> })
                .collect_view()}
        </dl>
        <MemoryNow pipeline=info.id is_shown />
        {(info.backend == BackendChoice::WebGpu).then(|| view! { <StageTable task=info.model.task /> })}
        {matches!(info.backend, BackendChoice::WebGpu | BackendChoice::Wasm)
            .then(|| view! { <NumbersPanel task=info.model.task /> })}
    }
}

/// Whether the details that fired this event are open.
pub fn is_open_now(event: &web_sys::Event) -> bool {
    event.target().and_then(|target| target.dyn_into::<web_sys::HtmlDetailsElement>().ok()).is_some_and(|it| it.open())
}
