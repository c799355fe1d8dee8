//! Texts compared: a query and sentences, ranked by how alike they mean.

use leptos::prelude::*;

use super::format;
use super::session::Session;
use super::state::Slot;
use crate::protocol::Task;

const SAMPLE_QUERY: &str = "How do I get my money back?";
const SAMPLE_SENTENCES: &str = "Refunds are paid within five working days.
Our office is closed on public holidays.
You can return any item in its original box.
The river rises in the northern hills.
Please keep the receipt for your records.";

/// The panel.
#[component]
pub fn Similarity() -> impl IntoView {
    let session = expect_context::<Session>();
    let comparison = session.state.comparison;
    let query = RwSignal::new(SAMPLE_QUERY.to_string());
    let sentences = RwSignal::new(SAMPLE_SENTENCES.to_string());
    let lines = move || {
        sentences.with(|text| {
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect::<Vec<_>>()
        })
    };
    let incomplete = move || query.with(|query| query.trim().is_empty()) || lines().is_empty();
    let busy = move || comparison.with(|comparison| comparison.job.is_some() || comparison.waiting);
    let compare = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if incomplete() || busy() {
            return;
        }
        comparison.update(|comparison| {
            comparison.query = query.get_untracked().trim().to_string();
            comparison.sentences = untrack(lines);
        });
        session.compare();
    };
    let status = move || {
        if comparison.with(|comparison| comparison.waiting) {
            "Waiting for the model…".into()
        } else if busy() {
            "Comparing…".into()
        } else if session.state.slot(Task::TextEmbedding).with(|slot| matches!(slot, Slot::Failed { .. })) {
            "The model could not be loaded.".into()
        } else {
            comparison.with(|comparison| match comparison.ranked.len() {
                0 => String::new(),
                count => format!("{count} sentences compared in {}", format::duration_ms(comparison.total_ms)),
            })
        }
    };
    let model =
        move || session.state.chosen(Task::TextEmbedding).map_or_else(|| "a small model".into(), |model| model.title);
    view! {
        <section class="similarity" aria-labelledby="text-title">
            <h1 id="text-title">"Which sentence means the same?"</h1>
            <p class="similarity__lead">
                {move || format!("Sentences are ranked by meaning, not by shared words, with {}, on your own device.", model())}
            </p>
            <form class="similarity__form" on:submit=compare>
                <label class="settings__field">
                    <span>"Query"</span>
                    <input type="text" prop:value=query on:input=move |event| query.set(event_target_value(&event)) />
                </label>
                <label class="settings__field">
                    <span>"Sentences, one a line"</span>
                    <textarea rows="6" prop:value=sentences on:input=move |event| sentences.set(event_target_value(&event))></textarea>
                </label>
                <div class="similarity__go">
                    <button type="submit" class="button button--primary" aria-disabled=move || (incomplete() || busy()).to_string()>
                        "Compare"
                    </button>
                    <p role="status">{status}</p>
                </div>
            </form>
            <ol class="ranking" aria-label="Ranking">
                {move || {
                    comparison.with(|comparison| {
                        comparison
                            .ranked
                            .iter()
                            .map(|(sentence, score)| {
                                view! {
                                    <li class="ranking__one">
                                        <span class="ranking__sentence">{sentence.clone()}</span>
                                        <span class="ranking__score" title=format!("cosine {score:.4}")>{format!("{score:.2}")}</span>
                                        <span class="ranking__bar" aria-hidden="true" style=format!("--share: {:.3}", score.clamp(0.0, 1.0))></span>
                                    </li>
                                }
                            })
                            .collect_view()
                    })
                }}
            </ol>
        </section>
    }
}
