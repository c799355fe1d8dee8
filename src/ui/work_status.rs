//! Where a panel's work stands: a bar, a line that is announced, a position that is not, and the button that stops it.

use leptos::prelude::*;

use super::format;
use super::icons::{self, Glyph};
use super::models;
use super::session::Session;
use super::state::work::{Panel, Phase, Work};
use super::state::{Engine, Slot};

/// The line. Its space is kept while there is nothing to say.
#[component]
pub fn WorkStatus(
    /// Whose.
    panel: Panel,
    /// What happens while it works: `Comparing…`.
    doing: &'static str,
    /// What was done, once it is.
    #[prop(into)]
    done: Signal<String>,
    /// What is counted: `pictures`.
    unit: &'static str,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let work = session.state.work(panel);
    let slot = session.state.slot(panel.task());
    let busy = Memo::new(move |_| work.with(Work::is_busy));
    // Announced, so it changes only when what happens changes.
    let words = Memo::new(move |_| match work.with(|work| (work.phase, work.reload)) {
        (Phase::Idle, _) => needed(session, panel).or_else(|| cost(session, panel)).unwrap_or_default(),
        (Phase::WaitingForModel, _) => "Waiting for the model…".into(),
        (Phase::Working, Some(_)) => "Its backend failed: the model is being loaded on the next one.".into(),
        (Phase::Working, None) => doing.into(),
        (Phase::Done, _) => done.get(),
        (Phase::Cancelled, _) => "Stopped. What is finished stays.".into(),
        (Phase::Failed, _) if slot.with(|slot| matches!(slot, Slot::Failed { .. })) => {
            "The model could not be loaded.".into()
        }
        (Phase::Failed, _) => "Stopped by an error.".into(),
    });
    let share = move || {
        work.with(|work| (work.total > 1).then(|| f64::from(work.done()) / f64::from(work.total)))
            .filter(|_| work.with(|work| work.phase == Phase::Working))
    };
    let position = move || {
        work.with(|work| {
            (work.phase == Phase::Working && work.total > 1)
                .then(|| format!("{} of {} {unit}", format::count(work.done()), format::count(work.total)))
        })
    };
    view! {
        <div class="work-status">
            <div class="status__track">
                <Show when=move || busy.get()>
                    <progress aria-label="Progress" max="1" value=share></progress>
                </Show>
            </div>
            <div class="work-status__line">
                <p class="work-status__words" role="status">{words}</p>
                <span class="work-status__position">{position}</span>
                <Show when=move || busy.get()>
                    <button type="button" class="button button--small" on:click=move |_| session.cancel(panel)>
                        <Glyph icon=icons::STOP />
                        "Stop"
                    </button>
                </Show>
            </div>
        </div>
    }
}

/// What has to be there first: a model, where none of this kind is on the list.
fn needed(session: Session, panel: Panel) -> Option<String> {
    let (state, task) = (session.state, panel.task());
    let none = state.engine.get() == Engine::Ready && state.chosen(task).is_none();
    none.then(|| {
        format!(
            "This needs {}: name one under \u{201c}Another model\u{201d}, or drop its files on the page.",
            models::kind(task)
        )
    })
}

/// What a first use costs, said before it is asked for.
fn cost(session: Session, panel: Panel) -> Option<String> {
    let (state, task) = (session.state, panel.task());
    let model = state.chosen(task)?;
    let is_absent = state.slot(task).with(|slot| matches!(slot, Slot::Empty | Slot::Failed { .. }));
    let needed = is_absent && model.size_bytes > 0 && !state.is_cached(&model.id);
    needed.then(|| format!("The first use downloads {} once.", format::bytes(model.size_bytes)))
}
