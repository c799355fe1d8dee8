//! Saves a report that helps to find a fault.

use leptos::prelude::*;

use super::debug_report::ReportKind;
use super::session::Session;

/// What is in it, and the buttons.
#[component]
pub fn FaultReport() -> impl IntoView {
    let session = expect_context::<Session>();
    let with_words = RwSignal::new(false);
    let status = RwSignal::new(String::new());
    let is_busy = RwSignal::new(false);
    let save = move |kind| {
        if !is_busy.get_untracked() {
            session.save_report(kind, with_words.get_untracked(), is_busy, status);
        }
    };
    view! {
        <div class="measured">
            <h2>"A report for finding a fault"</h2>
            <p class="ladder__words">
                "Browser, adapters, what was tried and found, loaded models, what was measured and what went wrong, as one file on this device. Nothing that you said or typed is in it."
            </p>
            <label class="settings__check">
                <input
                    type="checkbox"
                    prop:checked=move || with_words.get()
                    on:change=move |event| with_words.set(event_target_checked(&event))
                />
                <span>"With the words of refusals, which can quote what was typed or name a file"</span>
            </label>
            <p>
                <button type="button" class="button button--small" aria-disabled=move || is_busy.get().to_string() on:click=move |_| save(ReportKind::Html)>
                    "Save report"
                </button>
                " "
                <button type="button" class="button button--small" aria-disabled=move || is_busy.get().to_string() on:click=move |_| save(ReportKind::Json)>
                    "Save report as JSON"
                </button>
            </p>
            <p class="ladder__words" role="status">{move || status.get()}</p>
        </div>
    }
}
