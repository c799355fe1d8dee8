//! A sentence with a gap, and the words that a model would put there.

use leptos::html;
use leptos::prelude::*;

use crate::ui::bars::Bars;
use crate::ui::format;
use crate::ui::session::{GAP, Session};
use crate::ui::state::work::{Panel, Work};
use crate::ui::work_status::WorkStatus;

const SAMPLES: [&str; 3] = [
    "The capital of France is ___.",
    "She poured the ___ into a ___.",
    "After the long winter, the farmers were glad to see ___.",
];

/// The panel.
#[component]
pub fn Gap() -> impl IntoView {
    let session = expect_context::<Session>();
    let sentences = session.state.sentences;
    let text = sentences.gapped;
    let work = session.state.work(Panel::Gap);
    let field = NodeRef::<html::Textarea>::new();
    if text.with_untracked(String::is_empty) {
        text.set(SAMPLES[0].into());
    }
    let n_gaps = move || text.with(|text| text.matches(GAP).count());
    let idle = move || n_gaps() == 0 || work.with(Work::is_busy);
    let fill = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if !idle() {
            session.run(Panel::Gap);
        }
    };
    let insert = move |_| {
        let Some(field) = field.get() else { return };
        // Where the browser tells no place, the gap comes at the end.
        let end = text.with_untracked(|text| text.encode_utf16().count() as u32);
        let place = |at: Result<Option<u32>, _>| at.ok().flatten().unwrap_or(end);
        let (from, to) = (place(field.selection_start()), place(field.selection_end()));
        if field.set_range_text_with_start_and_end(GAP, from, to).is_ok() {
            text.set(field.value());
        }
        // Focus fails only for elements that were removed meanwhile.
        let _ = field.focus();
    };
    let done = move || format!("Filled in {}", format::duration_ms(work.with(|work| work.total_ms)));
    let filled = move || {
        let mut gaps: Vec<(u32, Vec<(String, f32)>)> = Vec::new();
        for candidate in sentences.candidates.get() {
            let words = (candidate.text.trim().to_string(), candidate.score);
            match gaps.last_mut().filter(|(gap, _)| *gap == candidate.mask) {
                Some((_, all)) => all.push(words),
                None => gaps.push((candidate.mask, vec![words])),
            }
        }
        gaps
    };
    view! {
        <section class="panel" aria-labelledby="gap-title">
            <h1 id="gap-title">"Which word is missing?"</h1>
            <p class="panel__lead">
                "Write a sentence with a gap, as three underscores. The model weighs every word that it knows and shows the likeliest."
            </p>
            <form class="panel__form" on:submit=fill>
                <label class="settings__field">
                    <span>"Sentence with a gap"</span>
                    <textarea
                        node_ref=field
                        rows="3"
                        prop:value=text
                        on:input=move |event| text.set(event_target_value(&event))
                        on:keydown=crate::ui::shortcuts::submit_on_ctrl_enter
                    ></textarea>
                </label>
                <ul class="examples" aria-label="Examples">
                    {SAMPLES
                        .map(|sample| {
                            view! { <li><button type="button" class="example" on:click=move |_| text.set(sample.into())>{sample}</button></li> }
                        })
                        .collect_view()}
                </ul>
                <div class="panel__go">
                    <button type="submit" class="button button--primary" aria-disabled=move || idle().to_string()>"Fill the gap"</button>
                    <button type="button" class="button" on:click=insert>"Insert a gap"</button>
                    <p class="panel__note">{move || (n_gaps() == 0).then_some("There is no gap in it yet.")}</p>
                </div>
            </form>
            <WorkStatus panel=Panel::Gap doing="Looking for words…" done=Signal::derive(done) unit="texts" />
            <div class="gaps">
                {move || {
                    let gaps = filled();
                    let several = gaps.len() > 1;
                    gaps.into_iter()
                        .map(|(gap, words)| {
                            let label = if several { format!("Words for gap {}", gap + 1) } else { "Words for the gap".into() };
                            view! {
                                <div class="gaps__gap">
                                    {several.then(|| view! { <h2>{format!("Gap {}", gap + 1)}</h2> })}
                                    <Bars label scores=Signal::stored(words) />
                                </div>
                            }
                        })
                        .collect_view()
                }}
            </div>
        </section>
    }
}
