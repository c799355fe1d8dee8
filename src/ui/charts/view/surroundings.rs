//! What the page around a chart decides: its width, the density of the display, the colours.

use leptos::html;
use leptos::prelude::*;
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use web_sys::ResizeObserver;

use super::super::Theme;
use crate::ui::session::Session;
use crate::ui::settings;

/// Signals of what is around a chart.
#[derive(Clone, Copy)]
pub struct Surroundings {
    /// The room across, in pixels of the page.
    pub width: RwSignal<f64>,
    /// The display's pixels for one of the page's.
    pub ratio: RwSignal<f64>,
    /// The page's colours.
    pub theme: Memo<Theme>,
}

/// Follow them for as long as the component is there.
pub fn follow(around: NodeRef<html::Div>) -> Surroundings {
    let width = RwSignal::new(0.0);
    follow_width(around, width);
    let ratio = RwSignal::new(window().device_pixel_ratio());
    // The query asks for the ratio as it is, so that it hears of one change: each change asks anew.
    Effect::new(move || {
        let query = format!("(resolution: {}dppx)", ratio.get());
        listen(&query, move |_| ratio.set(window().device_pixel_ratio()));
    });
    Surroundings { width, ratio, theme: follow_theme() }
}

fn follow_width(around: NodeRef<html::Div>, width: RwSignal<f64>) {
    Effect::new(move || {
        let Some(element) = around.get() else { return };
        width.set(f64::from(element.client_width()));
        let observed = element.clone();
        let resized = Closure::<dyn FnMut()>::new(move || {
            let now = f64::from(observed.client_width());
            if now != width.get_untracked() {
                width.set(now);
            }
        });
        let Ok(observer) = ResizeObserver::new(resized.as_ref().unchecked_ref()) else { return };
        observer.observe(&element);
        let held = SendWrapper::new((observer, resized));
        on_cleanup(move || held.0.disconnect());
    });
}

/// The visitor's choice, else the system's, as `data-theme` and the style sheets have it.
fn follow_theme() -> Memo<Theme> {
    let is_dark = RwSignal::new(false);
    is_dark.set(listen("(prefers-color-scheme: dark)", move |matches| is_dark.set(matches)));
    let chosen = use_context::<Session>().map(|session| session.state.settings);
    Memo::new(move |_| match chosen.map(|settings| settings.with(|settings| settings.theme)).unwrap_or_default() {
        settings::Theme::Light => Theme::Light,
        settings::Theme::Dark => Theme::Dark,
        settings::Theme::System if is_dark.get() => Theme::Dark,
        settings::Theme::System => Theme::Light,
    })
}

/// Whether a media query holds now; `heard` is told when that changes, until the owner is cleaned up.
fn listen(query: &str, mut heard: impl FnMut(bool) + 'static) -> bool {
    let Ok(Some(list)) = window().match_media(query) else { return false };
    let matches = list.matches();
    let now = list.clone();
    let changed = Closure::<dyn FnMut()>::new(move || heard(now.matches()));
    // Browsers take any listener of a known event.
    let _ = list.add_event_listener_with_callback("change", changed.as_ref().unchecked_ref());
    let held = SendWrapper::new((list, changed));
    on_cleanup(move || {
        let (list, changed) = &*held;
        let _ = list.remove_event_listener_with_callback("change", changed.as_ref().unchecked_ref());
    });
    matches
}
