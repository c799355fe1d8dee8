//! The page as a whole: starts the engine, provides what the panels share, and lays them out.

use leptos::prelude::*;

use super::alerts::Alerts;
use super::client::{Client, News};
use super::help::Help;
use super::ladder_panel::LadderPanel;
use super::loader::Loader;
use super::model_picker::ModelPicker;
use super::platform::Platform;
use super::recorder::Recorder;
use super::route::{self, Tab};
use super::session::Session;
use super::settings_panel::SettingsPanel;
use super::similarity::Similarity;
use super::state::State;
use super::timings::TimingsStrip;
use super::top_bar::TopBar;
use super::transcript::TranscriptPanel;
use super::{js_api, settings, shortcuts};
use crate::protocol::{Event, Task};

/// Put the page into the document.
pub fn mount() {
    console_error_panic_hook::set_once();
    mount_to_body(App);
}

#[component]
fn App() -> impl IntoView {
    let state = State::new(settings::load());
    let hands = StoredValue::new_local(None::<Session>);
    let client = Client::start(move |news| {
        // The worker answers no sooner than in a later task, when the session below is in place.
        let Some(session) = hands.get_value() else { return };
        match news {
            News::Event(event) => {
                state.apply(&event);
                match *event {
                    Event::Ready { .. } => session.greet(),
                    Event::DeviceLost { .. } => session.forget_pipelines(),
                    _ => {}
                }
            }
            News::Crashed(failure) => {
                session.forget_pipelines();
                state.crash(failure);
            }
        }
    });
    let platform = Platform::new(client);
    js_api::install(platform.clone());
    let session = Session::new(state, platform);
    hands.set_value(Some(session));
    session.keep_settings();
    provide_context(session);

    let tab = route::follow_address();
    let help_open = RwSignal::new(false);
    shortcuts::listen(session, tab, help_open);

    // The address names the tab, so the link moves the focus by itself.
    let work = NodeRef::<leptos::html::Main>::new();
    let skip = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        if let Some(work) = work.get_untracked() {
            // An element that cannot take the focus keeps it where it is.
            let _ = work.focus();
        }
    };

    view! {
        <a class="skip" href="#work" on:click=skip>"Skip to the work area"</a>
        <TopBar tab help_open />
        <main id="work" class="page" tabindex="-1" node_ref=work>
            <div hidden=move || tab.get() != Tab::Speech class="panes">
                <div class="work">
                    <Recorder />
                    <Alerts task=Task::SpeechToText />
                    <TranscriptPanel />
                    <TimingsStrip />
                </div>
                <aside class="side" aria-label="Model and settings">
                    <ModelPicker />
                    <Loader task=Task::SpeechToText />
                    <SettingsPanel />
                </aside>
                <LadderPanel task=Task::SpeechToText />
            </div>
            <div hidden=move || tab.get() != Tab::Text class="panes">
                <div class="work">
                    <Similarity />
                    <Alerts task=Task::TextEmbedding />
                </div>
                <aside class="side" aria-label="Text model">
                    <Loader task=Task::TextEmbedding />
                </aside>
                <LadderPanel task=Task::TextEmbedding />
            </div>
        </main>
        <Help open=help_open />
    }
}
