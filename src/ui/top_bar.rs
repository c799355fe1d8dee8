//! The bar on top: name, tasks, what the page runs on, colours, help.

use leptos::prelude::*;

use super::capability::{self, Tone};
use super::icons::{self, Glyph};
use super::route::{Tab, View};
use super::session::Session;
use super::settings::Theme;
use crate::protocol::{BackendChoice, Task};

/// The bar.
#[component]
pub fn TopBar(
    /// What is showing.
    view: Signal<View>,
    /// Whether the help sheet is open.
    help_open: RwSignal<bool>,
) -> impl IntoView {
    view! {
        <header class="top">
            <a class="top__name" href="#/speech">
                <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" class="top__mark">
                    <path d="M5 11c4-4 7 4 11 0s7 4 11 0M5 17c4-4 7 4 11 0s7 4 11 0M5 23c4-4 7 4 11 0s7 4 11 0" />
                </svg>
                "Rill"
            </a>
            <nav class="tabs" aria-label="Tasks">
                {Tab::ALL
                    .map(|each| {
                        view! {
                            <a
                                class="tabs__tab"
                                href=each.views()[0].href()
                                aria-current=move || (view.get().tab() == each).then_some("page")
                            >
                                {each.title()}
                            </a>
                        }
                    })
                    .collect_view()}
            </nav>
            <DeviceBadge view />
            <ThemeToggle />
            <button
                type="button"
                class="button button--bare top__help"
                aria-label="Help and keyboard shortcuts"
                on:click=move |_| help_open.set(true)
            >
                "?"
            </button>
        </header>
    }
}

/// The views of the tab that is showing, where it has several.
#[component]
pub fn Views(
    /// What is showing.
    view: Signal<View>,
) -> impl IntoView {
    let tab = Memo::new(move |_| view.get().tab());
    move || {
        let tab = tab.get();
        (tab.views().len() > 1).then(|| {
            view! {
                <nav class="views" aria-label=tab.title()>
                    {tab.views()
                        .iter()
                        .map(|each| {
                            view! {
                                <a class="views__view" href=each.href() aria-current=move || (view.get() == *each).then_some("page")>
                                    {each.title()}
                                </a>
                            }
                        })
                        .collect_view()}
                </nav>
            }
        })
    }
}

/// What computes: the adapter and backend of the model that is showing, else of another one that is loaded, else the best that
/// the probes found.
#[component]
fn DeviceBadge(view: Signal<View>) -> impl IntoView {
    let state = expect_context::<Session>().state;
    let badge = Memo::new(move |_| {
        let in_use = std::iter::once(view.get().task())
            .chain(Task::ALL)
            .find_map(|task| state.slot(task).with(|slot| slot.info().cloned()));
        match in_use {
            Some(info) => {
                let backend = capability::backend_name(info.backend);
                match (info.software, info.backend) {
                    (false, _) => (Tone::Good, format!("{} · {backend}", info.adapter)),
                    (true, BackendChoice::Wasm) => (Tone::Fair, format!("Processor · {backend}")),
                    (true, _) => (Tone::Fair, format!("Software GPU · {backend}")),
                }
            }
            None => {
                let found = state.backends.with(|backends| capability::judge(backends.as_deref(), None));
                (found.tone, found.badge)
            }
        }
    });
    view! {
        <p class="badge" class=("badge--good", move || badge.get().0 == Tone::Good) class=("badge--bad", move || badge.get().0 == Tone::Bad)>
            <span class="visually-hidden">"Computes on "</span>
            <span class="badge__words" title=move || badge.get().1>{move || badge.get().1}</span>
        </p>
    }
}

#[component]
fn ThemeToggle() -> impl IntoView {
    let settings = expect_context::<Session>().state.settings;
    let theme = Memo::new(move |_| settings.with(|settings| settings.theme));
    Effect::new(move || {
        let Some(root) = document().document_element() else { return };
        // Attributes can always be set on an element that is there.
        let _ = match theme.get() {
            Theme::System => root.remove_attribute("data-theme"),
            Theme::Light => root.set_attribute("data-theme", "light"),
            Theme::Dark => root.set_attribute("data-theme", "dark"),
        };
    });
    let next = move |_| {
        settings.update(|settings| {
            settings.theme = match settings.theme {
                Theme::System => Theme::Light,
                Theme::Light => Theme::Dark,
                Theme::Dark => Theme::System,
            }
        });
    };
    let name = move || match theme.get() {
        Theme::System => "Colours: as the system",
        Theme::Light => "Colours: light",
        Theme::Dark => "Colours: dark",
    };
    view! {
        <button type="button" class="button button--bare" aria-label=name title=name on:click=next>
            {move || {
                let icon = match theme.get() {
                    Theme::System => icons::HALF,
                    Theme::Light => icons::SUN,
                    Theme::Dark => icons::MOON,
                };
                view! { <Glyph icon /> }
            }}
        </button>
    }
}
