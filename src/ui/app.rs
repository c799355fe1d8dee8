//! The page as a whole: starts the engine, provides what the panels share, and lays them out.

use leptos::prelude::*;

use super::alerts::Alerts;
use super::alike::Alike;
use super::benchmark_panel::BenchmarkPanel;
use super::client::{Client, News};
use super::compare_panel::ComparePanel;
use super::help::Help;
use super::ladder_panel::LadderPanel;
use super::later::Later;
use super::loader::Loader;
use super::matching::{Find, Labels};
use super::model_picker::ModelPicker;
use super::monitor_panel::MonitorPanel;
use super::other_model::OtherModel;
use super::pictures::Pictures;
use super::platform::Platform;
use super::recorder::Recorder;
use super::route::{self, Tab, View};
use super::sentences::{gap::Gap, rank::Rank, search::Search};
use super::session::Session;
use super::settings_panel::SettingsPanel;
use super::state::State;
use super::timings::TimingsStrip;
use super::top_bar::{TopBar, Views};
use super::transcript::TranscriptPanel;
use super::write::Write;
use super::{files_in, js_api, leaving, settings, shortcuts};
use crate::protocol::Event;

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

    let view = route::follow_address();
    let help_open = RwSignal::new(false);
    shortcuts::listen(session, view, help_open);
    leaving::listen(session);
    provide_context(files_in::listen(session, view));
    Effect::new(move || document().set_title(&title(view.get())));

    // The address names the tab, so the link moves the focus by itself.
    let work = NodeRef::<leptos::html::Main>::new();
    let skip = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        if let Some(work) = work.get_untracked() {
            // An element that cannot take the focus keeps it where it is.
            let _ = work.focus();
        }
    };
    // Panels are made when they are first shown, and stay with what was typed into them.
    let shown = RwSignal::new(Vec::<View>::new());
    Effect::new(move || {
        let view = view.get();
        shown.update(|shown| {
            if !shown.contains(&view) {
                shown.push(view);
            }
        });
    });
    let task = Memo::new(move |_| view.get().task());
    // What is measured is chosen in the panel itself, and charts want the width.
    let is_measuring = move || view.get().tab() == Tab::Speed;

    view! {
        <a class="skip" href="#work" on:click=skip>"Skip to the work area"</a>
        <TopBar view help_open />
        <main id="work" class="page" tabindex="-1" node_ref=work>
            <div class="panes" class=("panes--wide", is_measuring)>
                <div class="work">
                    <Views view />
                    <Later>
                        <For each=move || shown.get() key=|each| each.href() let(each)>
                            <div class="pane" hidden=move || view.get() != each>
                                {panel(each)}
                            </div>
                        </For>
                    </Later>
                </div>
                <aside class="side" aria-label="Model and settings" hidden=is_measuring>
                    <Later>
                        {move || {
                            let task = task.get();
                            view! {
                                <ModelPicker task />
                                <Loader task />
                                <OtherModel task />
                            }
                        }}
                    </Later>
                    <Later>
                        <SettingsPanel task />
                    </Later>
                </aside>
                <Later>
                    {move || view! { <LadderPanel task=task.get() /> }}
                </Later>
            </div>
        </main>
        <Later>
            <Help open=help_open />
        </Later>
    }
}

/// What stands in the work area.
fn panel(view: View) -> AnyView {
    let alerts = view! { <Alerts task=view.task() /> };
    match view {
        View::Speech => view! { <Recorder /> {alerts} <TranscriptPanel /> <TimingsStrip /> }.into_any(),
        View::Rank => view! { <Rank /> {alerts} }.into_any(),
        View::Search => view! { <Search /> {alerts} }.into_any(),
        View::Gap => view! { <Gap /> {alerts} }.into_any(),
        View::Write => view! { <Write /> {alerts} }.into_any(),
        View::Pictures => view! { <Pictures /> {alerts} }.into_any(),
        View::Alike => view! { <Alike /> {alerts} }.into_any(),
        View::Labels => view! { <Labels /> {alerts} }.into_any(),
        View::Find => view! { <Find /> {alerts} }.into_any(),
        View::Benchmark => view! { <BenchmarkPanel /> {alerts} }.into_any(),
        View::Compare => view! { <ComparePanel /> {alerts} }.into_any(),
        View::Monitor => view! { <MonitorPanel /> {alerts} }.into_any(),
    }
}

/// What the browser writes on its own tab.
fn title(view: View) -> String {
    match view.tab() {
        Tab::Speech => "Rill: speech to text on your own device".into(),
        _ => format!("{} · Rill", view.title()),
    }
}
