//! The tasks as addresses (`#/speech`, `#/text`), so that a link opens the right one and the back button works.

use leptos::ev;
use leptos::prelude::*;

/// What the page is showing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// Speech to text.
    Speech,
    /// Sentences compared.
    Text,
}

impl Tab {
    /// In the order of the bar.
    pub const ALL: [Tab; 2] = [Tab::Speech, Tab::Text];

    /// The address.
    pub fn href(self) -> &'static str {
        match self {
            Tab::Speech => "#/speech",
            Tab::Text => "#/text",
        }
    }

    /// The word on the tab.
    pub fn title(self) -> &'static str {
        match self {
            Tab::Speech => "Speech",
            Tab::Text => "Text",
        }
    }
}

/// The tab that the address names; an address that names none is the first tab's.
pub fn follow_address() -> Signal<Tab> {
    let tab = RwSignal::new(from_address());
    let listening = window_event_listener(ev::hashchange, move |_| tab.set(from_address()));
    on_cleanup(move || listening.remove());
    tab.into()
}

fn from_address() -> Tab {
    let hash = window().location().hash().unwrap_or_default();
    Tab::ALL.into_iter().find(|tab| tab.href() == hash).unwrap_or(Tab::Speech)
}
