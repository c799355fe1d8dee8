//! What went wrong, each with what to do about it.

use leptos::prelude::*;

use super::icons::{self, Glyph};
use super::route::{self, View};
use super::session::Session;
use super::state::{Alert, Remedy};
use crate::protocol::{FailureKind, Task};

/// The alerts about one task, the newest last.
#[component]
pub fn Alerts(
    /// Which.
    task: Task,
) -> impl IntoView {
    let alerts = expect_context::<Session>().state.alerts;
    let about = move || {
        let mut about = alerts.get();
        about.retain(|alert| alert.task.is_none_or(|about| about == task));
        about
    };
    view! {
        <div class="alerts">
            <For each=about key=|alert| alert.id let(alert)>
                <Item alert />
            </For>
        </div>
    }
}

#[component]
fn Item(alert: Alert) -> impl IntoView {
    let session = expect_context::<Session>();
    let Alert { id, failure, remedy, .. } = alert;
    let mend = move |_| {
        session.state.dismiss(id);
        match remedy {
            Remedy::Nothing => {}
            Remedy::Load(task) => session.load(task),
            Remedy::Transcribe => session.transcribe(),
            Remedy::Run(panel) => session.run(panel),
            Remedy::Open(task) => route::open(View::of_task(task)),
            Remedy::Restart => session.restart(),
        }
    };
    let is_fallback = failure.kind == FailureKind::Fallback || matches!(remedy, Remedy::Open(_));
    let label = match remedy {
        Remedy::Nothing => None,
        Remedy::Load(_) => Some("Load again".to_string()),
        Remedy::Transcribe | Remedy::Run(_) => Some("Try again".into()),
        Remedy::Open(task) => Some(format!("Open {}", View::of_task(task).tab().title())),
        Remedy::Restart => Some("Start the engine again".into()),
    };
    view! {
        <div class="alert" class=("alert--mild", is_fallback) role="alert">
            <Glyph icon=icons::WARNING />
            <div class="alert__words">
                <p class="alert__message">{failure.message}</p>
                {(!failure.hint.is_empty()).then(|| view! { <p class="alert__hint">{failure.hint}</p> })}
                {label.map(|label| view! { <button type="button" class="button" on:click=mend>{label}</button> })}
            </div>
            <button type="button" class="button button--bare" aria-label="Dismiss" on:click=move |_| session.state.dismiss(id)>
                <Glyph icon=icons::CLOSE />
            </button>
        </div>
    }
}
