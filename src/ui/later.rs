//! Parts of the page that follow its frame, each built in a task of its own: between them the browser draws and answers.

use gloo_timers::callback::Timeout;
use leptos::prelude::*;

/// Builds its children in a later task. Several are built in the order in which they stand in the page.
#[component]
pub fn Later(
    /// What is built.
    children: ChildrenFn,
) -> impl IntoView {
    let is_due = RwSignal::new(false);
    Timeout::new(0, move || is_due.set(true)).forget();
    move || is_due.get().then(|| untrack(|| children()))
}
