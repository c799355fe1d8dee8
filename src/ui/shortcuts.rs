//! Keys: R record, Space stop, / model, Escape stop the work, ? help.

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::route::View;
use super::session::Session;
use super::state::speech;

/// The keys and what they do, for the help sheet.
pub const KEYS: [(&str, &str); 6] = [
    ("R", "Record"),
    ("Space", "Stop recording"),
    ("Ctrl Enter", "Do what the form asks, from its large field"),
    ("Esc", "Stop what is being computed"),
    ("/", "Choose a model"),
    ("?", "This help"),
];

/// Listen for as long as the page is there.
pub fn listen(session: Session, view: Signal<View>, help_open: RwSignal<bool>) {
    let listening = window_event_listener(ev::keydown, move |event| {
        let modified = event.ctrl_key() || event.meta_key() || event.alt_key();
        let focus = focus_of(event.target());
        let in_dialog = || document().query_selector("dialog[open]").ok().flatten().is_some();
        if event.key() == "Escape" && !event.default_prevented() && !in_dialog() {
            return stop(session, view.get_untracked());
        }
        if modified || event.repeat() || focus == Focus::Entry || in_dialog() {
            return;
        }
        let recorder = session.state.speech.recorder.get_untracked();
        let speech = view.get_untracked() == View::Speech;
        match event.key().as_str() {
            "r" | "R" if speech && recorder == speech::Recorder::Off => session.record_or_stop(),
            " " if recorder == speech::Recorder::On && focus == Focus::Page => session.record_or_stop(),
            "/" => focus_model(),
            "?" => help_open.set(true),
            _ => return,
        }
        event.prevent_default();
    });
    on_cleanup(move || listening.remove());
}

/// Stop the work of what is showing.
fn stop(session: Session, view: View) {
    if view == View::Speech && session.state.speech.recorder.get_untracked() == speech::Recorder::Off {
        session.cancel_speech();
    }
    if let Some(panel) = view.panel() {
        session.cancel(panel);
    }
}

/// For the large field of a form: Ctrl and Enter do what its button does.
pub fn submit_on_ctrl_enter(event: ev::KeyboardEvent) {
    if event.key() == "Enter"
        && (event.ctrl_key() || event.meta_key())
        && let Some(form) = event_target::<web_sys::Element>(&event).closest("form").ok().flatten()
        && let Ok(form) = form.dyn_into::<web_sys::HtmlFormElement>()
    {
        event.prevent_default();
        // A form that asks nothing of its fields refuses nothing.
        let _ = form.request_submit();
    }
}

/// Who else may want a key press.
#[derive(PartialEq)]
enum Focus {
    /// Nobody.
    Page,
    /// A button, link, radio or checkbox, which Space acts on.
    Control,
    /// A text field or list, which every key goes to.
    Entry,
}

fn focus_of(target: Option<web_sys::EventTarget>) -> Focus {
    let Some(element) = target.and_then(|target| target.dyn_into::<web_sys::Element>().ok()) else {
        return Focus::Page;
    };
    let kind = element.get_attribute("type");
    match (element.tag_name().as_str(), kind.as_deref()) {
        ("BUTTON" | "A" | "SUMMARY", _) | ("INPUT", Some("radio" | "checkbox" | "file")) => Focus::Control,
        ("INPUT" | "TEXTAREA" | "SELECT", _) => Focus::Entry,
        _ => Focus::Page,
    }
}

fn focus_model() {
    let chosen = document().query_selector(".models input:checked, .models input").ok().flatten();
    if let Some(input) = chosen.and_then(|input| input.dyn_into::<web_sys::HtmlElement>().ok()) {
        // Focus fails only for elements that were removed meanwhile.
        let _ = input.focus();
    }
}
