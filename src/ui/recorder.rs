//! The first thing to do: the record button, the place to drop a file, the microphone and its level, and what this
//! browser can do.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;

use super::capability::{self, Tone};
use super::files_in::{Dragging, picked};
use super::format;
use super::icons::{self, Glyph};
use super::session::Session;
use super::state::Slot;
use super::state::speech::{self, Run};
use crate::protocol::Task;

/// The panel.
#[component]
pub fn Recorder() -> impl IntoView {
    let Dragging(dragging) = expect_context();
    view! {
        <section class="recorder" aria-labelledby="speech-title">
            <h1 id="speech-title">"Speech to text"</h1>
            <p class="recorder__lead">
                "Press Record and speak. The words appear while you talk, computed on your own device: no sound leaves it."
            </p>
            <div class="recorder__stage" class=("recorder__stage--drop", dragging)>
                <RecordButton />
                <Level />
                <div class="recorder__file">
                    <p>"or drop a recording here"</p>
                    <FilePicker />
                </div>
            </div>
            <div class="recorder__foot">
                <CapabilityLine />
                <MicrophoneChoice />
            </div>
        </section>
    }
}

#[component]
fn RecordButton() -> impl IntoView {
    let session = expect_context::<Session>();
    let on = move || session.state.speech.recorder.get() == speech::Recorder::On;
    // It keeps the focus while it is of no use for a moment, so it is never `disabled`.
    let idle = move || {
        let waiting =
            matches!(session.state.speech.recorder.get(), speech::Recorder::Starting | speech::Recorder::Stopping);
        waiting || (!on() && session.state.speech.run.with(Run::is_busy))
    };
    view! {
        <button
            type="button"
            class="record"
            class=("record--on", on)
            style=move || format!("--level: {:.2}", session.state.speech.level.get())
            aria-disabled=move || idle().to_string()
            on:click=move |_| session.record_or_stop()
        >
            <span class="record__disc">
                {move || view! { <Glyph icon=if on() { icons::STOP } else { icons::MICROPHONE } /> }}
            </span>
            <span class="record__word">{move || if on() { "Stop" } else { "Record" }}</span>
        </button>
    }
}

/// How loud it is and for how long it has been recording. The space is there before it is needed.
#[component]
fn Level() -> impl IntoView {
    let state = expect_context::<Session>().state;
    let hint = move || match state.speech.recorder.get() {
        speech::Recorder::Off if state.speech.recording.with(Option::is_some) => "",
        speech::Recorder::Off => "",
        speech::Recorder::Starting => "Waiting for the microphone…",
        speech::Recorder::On if state.speech.elapsed_s.get() > 2.0 && state.speech.level.get() == 0.0 => {
            "No sound from the microphone"
        }
        speech::Recorder::On => "Recording",
        speech::Recorder::Stopping => "Stopping…",
    };
    let length = move || match state.speech.recorder.get() {
        speech::Recorder::Off => state.speech.recording.with(|recording| {
            recording
                .as_ref()
                .map_or(0.0, |recording| recording.samples.len() as f64 / f64::from(crate::audio::SAMPLE_RATE_HZ))
        }),
        _ => state.speech.elapsed_s.get(),
    };
    view! {
        <div class="level">
            <span class="level__clock">
                <span class="visually-hidden">"Length of the recording "</span>
                {move || format::clock(length())}
            </span>
            <div
                class="level__track"
                role="meter"
                aria-label="Microphone level"
                aria-valuemin="0"
                aria-valuemax="100"
                aria-valuenow=move || (state.speech.level.get() * 100.0).round()
            >
                <div class="level__bar" style=move || format!("--level: {:.2}", state.speech.level.get())></div>
            </div>
            <span class="level__hint">{hint}</span>
        </div>
    }
}

#[component]
fn FilePicker() -> impl IntoView {
    let session = expect_context::<Session>();
    let input = NodeRef::<html::Input>::new();
    let choose = move |_| {
        if let Some(file) = input.get().and_then(|input| picked(&input).into_iter().next()) {
            session.open(file.file);
        }
    };
    view! {
        <label class="button file">
            <input
                node_ref=input
                type="file"
                class="visually-hidden"
                accept="audio/*,video/mp4,video/webm,.wav,.mp3,.ogg,.flac,.m4a"
                on:change=choose
            />
            <Glyph icon=icons::FILE />
            "Choose a file"
        </label>
    }
}

/// Which microphone, once the browser tells their names. Its place is kept until then.
#[component]
fn MicrophoneChoice() -> impl IntoView {
    let state = expect_context::<Session>().state;
    let named = move || {
        state.speech.microphones.with(|all| all.iter().filter(|one| !one.label.is_empty()).cloned().collect::<Vec<_>>())
    };
    let choose = move |event: ev::Event| {
        let id = event_target_value(&event);
        state.settings.update(|settings| settings.microphone = (!id.is_empty()).then_some(id));
    };
    view! {
        <label class="recorder__microphone" class=("recorder__microphone--none", move || named().len() < 2)>
            <span>"Microphone"</span>
            <select on:change=choose disabled=move || state.speech.recorder.get() != speech::Recorder::Off>
                <option value="">"The browser's choice"</option>
                <For each=named key=|one| one.id.clone() let(one)>
                    <option
                        value=one.id.clone()
                        selected={
                            let id = one.id.clone();
                            move || state.settings.with(|settings| settings.microphone.as_ref() == Some(&id))
                        }
                    >
                        {one.label.clone()}
                    </option>
                </For>
            </select>
        </label>
    }
}

/// What this browser can do, in one honest line.
#[component]
fn CapabilityLine() -> impl IntoView {
    let state = expect_context::<Session>().state;
    let found = Memo::new(move |_| {
        let measured = state.settings.with(|settings| settings.measured.clone());
        state.backends.with(|backends| capability::judge(backends.as_deref(), measured.as_ref()))
    });
    // What a first press costs is said before it is pressed.
    let cost = move || {
        let model = state.chosen(Task::SpeechToText)?;
        let absent = state.slot(Task::SpeechToText).with(|slot| matches!(slot, Slot::Empty | Slot::Failed { .. }));
        let needed = absent && !state.is_cached(&model.id);
        needed.then(|| format!("The first use downloads {} once.", format::bytes(model.size_bytes)))
    };
    view! {
        <p class="capability" class=("capability--good", move || found.get().tone == Tone::Good) class=("capability--bad", move || found.get().tone == Tone::Bad)>
            <span class="capability__line">{move || found.get().line}</span>
            " "
            <span class="capability__cost">{cost}</span>
        </p>
    }
}
