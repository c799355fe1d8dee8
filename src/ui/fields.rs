//! Fields of the forms: a closed choice, a tick, a number. Each shows a part of the settings and keeps what is chosen.

use leptos::prelude::*;

use super::session::Session;
use super::settings::Settings;

/// One closed choice.
#[component]
pub fn Choice(
    /// What is chosen.
    label: &'static str,
    /// Values and the words for them.
    options: &'static [(&'static str, &'static str)],
    /// The present value.
    value: fn(&Settings) -> &'static str,
    /// Take a new one.
    set: fn(&mut Settings, &str),
    /// Whether it has no meaning now.
    #[prop(optional, into)]
    disabled: Signal<bool>,
) -> impl IntoView {
    let settings = expect_context::<Session>().state.settings;
    view! {
        <label class="settings__field">
            <span>{label}</span>
            <select
                prop:value=move || settings.with(value)
                disabled=disabled
                on:change=move |event| settings.update(|settings| set(settings, &event_target_value(&event)))
            >
                {options
                    .iter()
                    .map(|(each, words)| {
                        view! { <option value=*each selected=move || settings.with(value) == *each>{*words}</option> }
                    })
                    .collect_view()}
            </select>
        </label>
    }
}

/// Yes or no.
#[component]
pub fn Check(
    /// What is ticked.
    label: &'static str,
    /// The present value.
    value: fn(&Settings) -> bool,
    /// Take a new one.
    set: fn(&mut Settings, bool),
) -> impl IntoView {
    let settings = expect_context::<Session>().state.settings;
    view! {
        <label class="settings__check">
            <input
                type="checkbox"
                prop:checked=move || settings.with(value)
                on:change=move |event| settings.update(|settings| set(settings, event_target_checked(&event)))
            />
            {label}
        </label>
    }
}

/// A number between two others; empty where that means something.
#[component]
pub fn Number(
    /// What is counted.
    label: &'static str,
    /// One line about it.
    #[prop(optional)]
    hint: &'static str,
    /// The least and the most that is taken.
    between: (f64, f64),
    /// How far apart numbers are.
    #[prop(default = 1.0)]
    step: f64,
    /// What an empty field says; where there is none, it may not be empty.
    #[prop(optional)]
    empty: Option<&'static str>,
    /// The present number.
    value: fn(&Settings) -> Option<f64>,
    /// Take a new one.
    set: fn(&mut Settings, Option<f64>),
) -> impl IntoView {
    let settings = expect_context::<Session>().state.settings;
    let (least, most) = between;
    let wrong = RwSignal::new(false);
    let take = move |event| {
        let typed = event_target_value(&event);
        let number = typed.trim().parse::<f64>().ok().filter(|number| (least..=most).contains(number));
        let is_empty = typed.trim().is_empty() && empty.is_some();
        wrong.set(number.is_none() && !is_empty);
        if !wrong.get_untracked() {
            settings.update(|settings| set(settings, number));
        }
    };
    view! {
        <label class="settings__field">
            <span>{label}</span>
            <input
                type="number"
                min=least
                max=most
                step=step
                placeholder=empty.unwrap_or_default()
                prop:value=move || settings.with(value).map(|number| number.to_string()).unwrap_or_default()
                aria-invalid=move || wrong.get().to_string()
                on:change=take
            />
            <small class="settings__hint" class=("settings__hint--wrong", wrong)>
                {move || if wrong.get() { format!("From {least} to {most}.") } else { hint.to_string() }}
            </small>
        </label>
    }
}
