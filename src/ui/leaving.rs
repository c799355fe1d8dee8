//! The page is left, and comes back out of the browser's memory as it was (its back/forward cache).
//!
//! There its worker would keep what it has open. WebKit lets a load that was under way hold the model store, and no page can read it
//! until the browser ends. So the engine ends when the page goes, and another starts when it is back.

use leptos::ev;
use leptos::prelude::*;

use super::session::Session;

/// Listen for as long as the page is there.
pub fn listen(session: Session) {
    let leaving = window_event_listener(ev::pagehide, move |event| {
        if event.persisted() {
            session.end_engine();
        }
    });
    let returning = window_event_listener(ev::pageshow, move |event| {
        if event.persisted() {
            session.restart();
        }
    });
    on_cleanup(move || {
        leaving.remove();
        returning.remove();
    });
}
