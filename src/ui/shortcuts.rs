//! Keys: R record, Space stop, / model, ? help.

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::route::Tab;
use super::session::Session;
use super::state;

/// The keys and what they do, for the help sheet.
pub const KEYS: [(&str, &str); 4] =
    [("R", "Record"), ("Space", "Stop recording"), ("/", "Choose a model"), ("?", "This help")];

/// Listen for as long as the page is there.
pub fn listen(session: Session, tab: Signal<Tab>, help_open: RwSignal<bool>) {
    let listening = window_event_listener(ev::keydown, move |event| {
        let modified = event.ctrl_key() || event.meta_key() || event.alt_key();
        let focus = focus_of(event.target());
        if modified || event.repeat() || help_open.get_untracked() || focus == Focus::Entry {
            return;
        }
        let recorder = session.state.recorder.get_untracked();
        let speech = tab.get_untracked() == Tab::Speech;
        match event.key().as_str() {
            "r" | "R" if speech && recorder == state::Recorder::Off => session.record_or_stop(),
            " " if recorder == state::Recorder::On && focus == Focus::Page => session.record_or_stop(),
            "/" if speech => focus_model(),
            "?" => help_open.set(true),
            _ => return,
        }
        event.prevent_default();
    });
    on_cleanup(move || listening.remove());
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
