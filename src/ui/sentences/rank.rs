//! Texts compared: a query and sentences, ranked by how alike they mean.

use leptos::prelude::*;

use crate::ui::format;
use crate::ui::passages;
use crate::ui::session::Session;
use crate::ui::state::work::{Panel, Work};
use crate::ui::work_status::WorkStatus;

const SAMPLE_QUERY: &str = "How do I get my money back?";
const SAMPLE_SENTENCES: &str = "Refunds are paid within five working days.
Our office is closed on public holidays.
You can return any item in its original box.
The river rises in the northern hills.
Please keep the receipt for your records.";

/// The panel.
#[component]
pub fn Rank() -> impl IntoView {
    let session = expect_context::<Session>();
    let comparison = session.state.sentences.comparison;
    let work = session.state.work(Panel::Rank);
    let query = RwSignal::new(SAMPLE_QUERY.to_string());
    let sentences = RwSignal::new(SAMPLE_SENTENCES.to_string());
    let lines = move || sentences.with(|text| passages::lines(text));
    let incomplete = move || query.with(|query| query.trim().is_empty()) || lines().is_empty();
    let busy = move || work.with(Work::is_busy);
    let compare = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if incomplete() || busy() {
            return;
        }
        comparison.update(|comparison| {
            comparison.query = query.get_untracked().trim().to_string();
            comparison.sentences = untrack(lines);
        });
        session.run(Panel::Rank);
    };
    let done = move || {
        let (count, n_cut) = comparison.with(|comparison| (comparison.ranked.len(), comparison.n_cut));
        let (took, refused) = work.with(|work| (format::duration_ms(work.total_ms), work.refused));
        format!("{count} sentences compared in {took}{}{}", format::cut(n_cut), format::refused(refused))
    };
    let model =
        move || session.state.chosen(Panel::Rank.task()).map_or_else(|| "a small model".into(), |model| model.title);
    view! {
        <section class="panel" aria-labelledby="rank-title">
            <h1 id="rank-title">"Which sentence means the same?"</h1>
            <p class="panel__lead">
                {move || format!("Sentences are ranked by meaning, not by shared words, with {}, on your own device.", model())}
            </p>
            <form class="panel__form" on:submit=compare>
                <label class="settings__field">
                    <span>"Query"</span>
                    <input type="text" prop:value=query on:input=move |event| query.set(event_target_value(&event)) />
                </label>
                <label class="settings__field">
                    <span>"Sentences, one a line"</span>
                    <textarea
                        rows="6"
                        prop:value=sentences
                        on:input=move |event| sentences.set(event_target_value(&event))
                        on:keydown=crate::ui::shortcuts::submit_on_ctrl_enter
                    ></textarea>
                </label>
                <div class="panel__go">
                    <button type="submit" class="button button--primary" aria-disabled=move || (incomplete() || busy()).to_string()>
                        "Compare"
                    </button>
                </div>
            </form>
            <WorkStatus panel=Panel::Rank doing="Comparing…" done=Signal::derive(done) unit="texts" />
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
            {move || {
                comparison.with(|comparison| {
                    let words = |(text, why): &(String, String)| format!("\u{201c}{text}\u{201d} could not be read: {why}");
                    comparison.unread.iter().map(|unread| view! { <p class="panel__wrong">{words(unread)}</p> }).collect_view()
                })
            }}
        </section>
    }
}
