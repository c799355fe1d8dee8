//! The words: finished segments with their times in full ink, the rest tentative; what happens now; copy and save.

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos::{ev, html};
use wasm_bindgen::JsCast;

use super::export::Format;
use super::format;
use super::icons::{self, Glyph};
use super::save;
use super::session::Session;
use super::state::speech::{Recorder, Run, RunPhase};
use super::state::{Remedy, State};
use crate::audio::{SAMPLE_RATE_HZ, wav};
use crate::protocol::{RunStage, Task};

/// The panel.
#[component]
pub fn TranscriptPanel() -> impl IntoView {
    let state = expect_context::<Session>().state;
    let empty = move || state.speech.segments.with(Vec::is_empty) && state.speech.tentative.with(String::is_empty);
    view! {
        <section class="transcript" aria-labelledby="transcript-title">
            <header class="transcript__head">
                <h2 id="transcript-title">"Transcript"</h2>
                <Tools />
            </header>
            <Status />
            <div class="transcript__text" class=("transcript__text--empty", empty)>
                <ol class="segments" aria-live="polite" aria-relevant="additions">
                    <For
                        each=move || state.speech.segments.get().into_iter().enumerate()
                        key=|(i, segment)| (*i, segment.text.clone())
                        let((_, segment))
                    >
                        <li class="segment">
                            <span class="segment__time" title=format!("{:.2} s to {:.2} s", segment.start, segment.end)>
                                {format::clock(segment.start)}
                            </span>
                            <span class="segment__text">{segment.text.trim().to_string()}</span>
                        </li>
                    </For>
                </ol>
                <p class="tentative" hidden=move || state.speech.tentative.with(String::is_empty)>
                    {move || state.speech.tentative.with(|text| text.trim().to_string())}
                </p>
                <Show when=empty>
                    <p class="transcript__placeholder">{move || placeholder(state)}</p>
                </Show>
            </div>
        </section>
    }
}

/// What stands in the empty space.
fn placeholder(state: State) -> &'static str {
    match (state.speech.recorder.get(), state.speech.run.with(|run| run.phase)) {
        (Recorder::On, RunPhase::Working) => "Listening…",
        (Recorder::On, _) => "Recording. The words follow as soon as the model is ready.",
        (_, RunPhase::Done) => "No speech was found. If there was some, record again closer to the microphone.",
        (_, RunPhase::Working | RunPhase::WaitingForModel | RunPhase::Reading) => "",
        _ => "Your words appear here.",
    }
}

/// What happens now and how far it is.
#[component]
fn Status() -> impl IntoView {
    let state = expect_context::<Session>().state;
    // Announced, so it changes only when what happens changes; the position beside it is not announced.
    let phase = Memo::new(move |_| phase_words(state));
    let position = move || {
        let progress = state.speech.run.with(|run| run.progress.filter(|_| run.phase == RunPhase::Working))?;
        (progress.total_s > 0.0)
            .then(|| format!("{} of {}", format::clock(progress.done_s), format::clock(progress.total_s)))
    };
    let recording = move || state.speech.recorder.get() != Recorder::Off;
    // Before the first window is through, the share of its stage is the best that is known.
    let done = move || {
        let progress = state.speech.run.with(|run| run.progress)?;
        let in_windows = (progress.done_s > 0.0 && progress.total_s > 0.0).then(|| progress.done_s / progress.total_s);
        in_windows.or(progress.stage_done.map(f64::from))
    };
    let busy = move || state.speech.run.with(Run::is_busy) && !recording();
    view! {
        <div class="status__track">
            <Show when=busy>
                <progress aria-label="Transcription" max="1" value=done></progress>
            </Show>
        </div>
        <div class="status">
            <p class="status__words" role="status">{phase}</p>
            <span class="status__position">{position}</span>
        </div>
    }
}

fn phase_words(state: State) -> String {
    let run = state.speech.run.get();
    if run.phase == RunPhase::Working && run.reload.is_some() {
        return "Its backend failed: the model is being loaded on the next one. The text so far is kept.".into();
    }
    if state.speech.recorder.get() == Recorder::On {
        return String::new();
    }
    match run.phase {
        RunPhase::Idle => String::new(),
        RunPhase::Reading => "Reading the file…".into(),
        RunPhase::WaitingForModel => "The recording is kept; its words follow as soon as the model is ready.".into(),
        RunPhase::Working => match run.progress.map(|progress| progress.stage) {
            Some(RunStage::Queued) => "Waiting for the work before it…".into(),
            Some(RunStage::Mel | RunStage::Encode) => "Listening to the recording…".into(),
            Some(RunStage::Decode) => "Writing the words…".into(),
            None => "Starting…".into(),
        },
        RunPhase::Done => state.speech.transcript.with(|transcript| match transcript {
            Some(transcript) => {
                let timings = &transcript.timings;
                format!("Done in {} · {}", format::duration_ms(timings.total_ms), format::speed(timings.rtf))
            }
            None => "Done".into(),
        }),
        RunPhase::Cancelled => "Stopped. What is finished stays.".into(),
        RunPhase::Failed => "Stopped by an error. The recording is kept.".into(),
    }
}

/// Copy, save, once more.
#[component]
fn Tools() -> impl IntoView {
    let session = expect_context::<Session>();
    let state = session.state;
    let copied = RwSignal::new(false);
    let no_text = move || state.speech.segments.with(Vec::is_empty);
    let no_recording = move || state.speech.recording.with(Option::is_none);
    let recording = move || state.speech.recorder.get() != Recorder::Off;
    let running = move || state.speech.run.with(Run::is_busy) && !recording();
    let nothing = move || no_text() && no_recording() && !running();
    let again = move |_| session.transcribe();
    let copy = move |_| {
        let text = Format::Txt.write(&state.speech.segments.get_untracked(), None);
        spawn_local(async move {
            match save::copy(&text).await {
                Ok(()) => {
                    copied.set(true);
                    gloo_timers::future::TimeoutFuture::new(2_000).await;
                    copied.set(false);
                }
                Err(_) => state.alert(
                    Task::SpeechToText,
                    save::not_saved("The browser did not let the page copy."),
                    Remedy::Nothing,
                ),
            }
        });
    };
    view! {
        <div class="tools" class=("tools--none", nothing)>
            <Show
                when=running
                fallback=move || {
                    view! {
                        <button type="button" class="button button--small" on:click=again disabled=move || no_recording() || recording()>
                            <Glyph icon=icons::AGAIN />
                            "Transcribe again"
                        </button>
                    }
                }
            >
                <button type="button" class="button button--small" on:click=move |_| session.cancel_speech()>
                    <Glyph icon=icons::CLOSE />
                    "Cancel"
                </button>
            </Show>
            <button type="button" class="button button--small" on:click=copy disabled=no_text>
                <Glyph icon=icons::COPY />
                <span aria-live="polite">{move || if copied.get() { "Copied" } else { "Copy" }}</span>
            </button>
            <SaveMenu no_text=Signal::derive(no_text) no_recording=Signal::derive(no_recording) />
        </div>
    }
}

/// The kinds of file, in a list that closes like a menu: by a choice, by Escape, by a press elsewhere.
#[component]
fn SaveMenu(no_text: Signal<bool>, no_recording: Signal<bool>) -> impl IntoView {
    let state = expect_context::<Session>().state;
    let menu = NodeRef::<html::Details>::new();
    let close = move || {
        if let Some(menu) = menu.get_untracked() {
            menu.set_open(false);
        }
    };
    let outside = move |event: &web_sys::Event| {
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Node>().ok());
        menu.get_untracked().is_some_and(|menu| !menu.contains(target.as_ref()))
    };
    let pressing = window_event_listener(ev::pointerdown, move |event| {
        if outside(&event) {
            close();
        }
    });
    let focusing = window_event_listener(ev::focusin, move |event| {
        if outside(&event) {
            close();
        }
    });
    on_cleanup(move || {
        pressing.remove();
        focusing.remove();
    });
    let escape = move |event: ev::KeyboardEvent| {
        if event.key() == "Escape" && menu.get_untracked().is_some_and(|menu| menu.open()) {
            // This press is for the menu, not for the work.
            event.prevent_default();
            close();
            let summary = menu.get_untracked().and_then(|menu| menu.query_selector("summary").ok().flatten());
            if let Some(summary) = summary.and_then(|summary| summary.dyn_into::<web_sys::HtmlElement>().ok()) {
                // Focus fails only for elements that were removed meanwhile.
                let _ = summary.focus();
            }
        }
    };
    let choose = move |save: &dyn Fn()| {
        close();
        save();
    };
    view! {
        <details class="menu" node_ref=menu on:keydown=escape>
            <summary class="button button--small">
                <Glyph icon=icons::SAVE />
                "Save"
            </summary>
            <div class="menu__items">
                {Format::ALL
                    .map(|kind| {
                        let save = move |_| choose(&|| save_text(state, kind));
                        view! {
                            <button type="button" class="menu__item" disabled=no_text on:click=save>
                                {format!("Save as {}", kind.extension().to_uppercase())}
                            </button>
                        }
                    })
                    .collect_view()}
                <button type="button" class="menu__item" disabled=no_recording on:click=move |_| choose(&|| save_recording(state))>
                    "Save recording as WAV"
                </button>
            </div>
        </details>
    }
}

fn save_text(state: State, kind: Format) {
    let contents = state
        .speech
        .transcript
        .with_untracked(|whole| state.speech.segments.with_untracked(|segments| kind.write(segments, whole.as_ref())));
    let name =
        state.speech.recording.with_untracked(|recording| recording.as_ref().map(|recording| recording.name.clone()));
    let file = format!("{}.{}", name.unwrap_or_else(|| "transcript".into()), kind.extension());
    if let Err(failure) = save::download(&file, kind.mime(), contents.as_bytes()) {
        state.alert(Task::SpeechToText, failure, Remedy::Nothing);
    }
}

fn save_recording(state: State) {
    let Some(recording) = state.speech.recording.get_untracked() else { return };
    let name = format!("{}.wav", recording.name);
    let file = match wav::encode(&recording.samples, SAMPLE_RATE_HZ) {
        Ok(file) => file,
        Err(error) => return state.alert(Task::SpeechToText, error.to_failure(), Remedy::Nothing),
    };
    if let Err(failure) = save::download(&name, "audio/wav", &file) {
        state.alert(Task::SpeechToText, failure, Remedy::Nothing);
    }
}
