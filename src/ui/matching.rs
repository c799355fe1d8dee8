//! Pictures and words in one space: labels held against pictures, and pictures found by words.

use leptos::prelude::*;

use super::alike::Ranked;
use super::bars::Kind;
use super::pictures::{Card, Gathered, done_words};
use super::session::Session;
use super::shortcuts;
use super::state::pictures::{self, Matching, Picture};
use super::state::work::{Panel, Work};
use super::tray::Tray;
use super::vectors;
use super::work_status::WorkStatus;

const SAMPLE_LABELS: &str = "dog face\nred apple\nautomobile\nguitar\nhouse\ngrinning face";

/// Labels shown for a picture.
const N_SHOWN: usize = 5;

/// The embedded model, which brings its own list of names.
const EMBEDDED: &str = "clip-emoji";

/// Labels against pictures.
#[component]
pub fn Labels() -> impl IntoView {
    let session = expect_context::<Session>();
    let state = session.state;
    let matching = state.matching;
    let album = matching.album;
    if matching.typed.with_untracked(String::is_empty) {
        matching.typed.set(SAMPLE_LABELS.into());
    }
    view! {
        <section class="panel" aria-labelledby="labels-title">
            <h1 id="labels-title">"Which words fit the picture?"</h1>
            <Lead />
            <Tray panel=Panel::Match />
            <TypedLabels />
            <WorkStatus panel=Panel::Match doing="Comparing…" done=Signal::derive(move || done_words(&state.work(Panel::Match).get())) unit="pictures and texts" />
            <Gathered panel=Panel::Match />
            <Unread />
            <ul class="cards" class=("cards--one", move || album.pictures.with(|pictures| pictures.len() == 1)) aria-label="Pictures">
                <For each=move || album.pictures.get() key=|picture| picture.id let(picture)>
                    <Labelled picture />
                </For>
            </ul>
        </section>
    }
}

/// Labels that could not be read, and what the number of a single one means.
#[component]
fn Unread() -> impl IntoView {
    let matching = expect_context::<Session>().state.matching;
    let unread = move || {
        let unread = matching.unread();
        unread
            .into_iter()
            .map(|(label, why)| format!("\u{201c}{label}\u{201d} could not be read: {why}"))
            .collect::<Vec<_>>()
    };
    let alone = move || {
        (is_alone(&matching) && !matching.album.pictures.with(Vec::is_empty)).then_some(
            "One label has nothing to compete with: the number says how alike picture and label are to the model, from -1 to 1. Add a label to see which fits better.",
        )
    };
    view! {
        <p class="panel__note" role="status">{alone}</p>
        {move || unread().into_iter().map(|words| view! { <p class="panel__wrong">{words}</p> }).collect_view()}
    }
}

/// What the chosen model can do, in its own card's words.
#[component]
fn Lead() -> impl IntoView {
    let state = expect_context::<Session>().state;
    let words = move || {
        let model = state.chosen(Panel::Match.task())?;
        Some(format!("{}: {}", model.title, model.summary))
    };
    view! { <p class="panel__lead">{words}</p> }
}

/// The visitor's own labels, or all names that came with the model.
#[component]
fn TypedLabels() -> impl IntoView {
    let session = expect_context::<Session>();
    let state = session.state;
    let matching = state.matching;
    let work = state.work(Panel::Match);
    let is_embedded = move || state.chosen(Panel::Match.task()).is_some_and(|model| model.id == EMBEDDED);
    let by_names = move || matching.labels.get() == pictures::Labels::Names;
    // Another model did not bring these names.
    Effect::new(move || {
        if !is_embedded() && by_names() {
            session.use_labels(pictures::Labels::Typed);
        }
    });
    let n_labels = move || matching.wanted().len();
    let idle = move || n_labels() == 0 || matching.album.pictures.with(Vec::is_empty) || work.with(Work::is_busy);
    let compare = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if !idle() {
            session.run(Panel::Match);
        }
    };
    // What is typed is compared when the hand rests.
    let resting = StoredValue::new_local(None::<gloo_timers::callback::Timeout>);
    let type_label = move |event| {
        matching.typed.set(event_target_value(&event));
        resting.set_value(Some(gloo_timers::callback::Timeout::new(500, move || session.labels_changed())));
    };
    let choose = move |event| {
        let all = event_target_value(&event) == "names";
        session.use_labels(if all { pictures::Labels::Names } else { pictures::Labels::Typed });
    };
    view! {
        <form class="panel__form" on:submit=compare>
            <Show when=is_embedded>
                <label class="settings__field">
                    <span>"Compare with"</span>
                    <select on:change=choose prop:value=move || if by_names() { "names" } else { "typed" }>
                        <option value="typed">"My own labels"</option>
                        <option value="names">"All 1,652 names of emoji that it learned"</option>
                    </select>
                </label>
            </Show>
            <label class="settings__field" hidden=by_names>
                <span>"Labels, one a line"</span>
                <textarea rows="6" prop:value=matching.typed on:input=type_label on:keydown=shortcuts::submit_on_ctrl_enter></textarea>
            </label>
            <div class="panel__go">
                <button type="submit" class="button button--primary" aria-disabled=move || idle().to_string()>"Compare"</button>
                <p class="panel__note">
                    {move || matching.album.pictures.with(Vec::is_empty).then_some("Bring a picture first: drop, paste, choose or take one.")}
                </p>
            </div>
        </form>
    }
}

#[component]
fn Labelled(picture: Picture) -> impl IntoView {
    let matching = expect_context::<Session>().state.matching;
    let vector = picture.vector.clone();
    let scores = Memo::new(move |_| {
        let (Some(vector), Some(scale)) = (vector.get(), matching.scale.get()) else { return Vec::new() };
        compete(&matching, &vector, scale)
    });
    let kind = move || if is_alone(&matching) { Kind::Cosine } else { Kind::Probability };
    view! {
        <Card
            panel=Panel::Match
            picture
            scores=Signal::derive(move || scores.get())
            kind=Signal::derive(kind)
        />
    }
}

/// Whether there is a single label: with nothing to compete with, its probability would be 1, whatever the picture shows.
fn is_alone(matching: &Matching) -> bool {
    matching.wanted().len() == 1
}

/// The labels that fit best, a single one with its cosine; empty until each of them was read.
fn compete(matching: &Matching, picture: &[f32], scale: f32) -> Vec<(String, f32)> {
    let wanted = matching.wanted();
    let is_read = matching.texts.with(|texts| wanted.iter().all(|text| texts.contains_key(text)));
    if !is_read {
        return Vec::new();
    }
    let known = wanted.iter().filter_map(|text| Some((text, vectors::cosine(picture, &matching.vector(text)?))));
    let (texts, cosines): (Vec<&String>, Vec<f32>) = known.unzip();
    let scores = match wanted.len() {
        1 => cosines,
        _ => vectors::softmax(&cosines.iter().map(|cosine| scale * cosine).collect::<Vec<_>>()),
    };
    let best = vectors::best(scores, N_SHOWN);
    best.into_iter().map(|(n, score)| (texts[n].clone(), score)).collect()
}

/// Pictures found by words.
#[component]
pub fn Find() -> impl IntoView {
    let session = expect_context::<Session>();
    let state = session.state;
    let matching = state.matching;
    let work = state.work(Panel::Match);
    let query = RwSignal::new(matching.query.get_untracked());
    let no_pictures = move || matching.album.pictures.with(Vec::is_empty);
    let idle = move || query.with(|query| query.trim().is_empty()) || no_pictures();
    let search = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if !idle() {
            // Work that goes on takes the question up by itself.
            matching.query.set(query.get_untracked().trim().to_string());
            if !work.with_untracked(Work::is_busy) {
                session.run(Panel::Match);
            }
        }
    };
    view! {
        <section class="panel" aria-labelledby="find-title">
            <h1 id="find-title">"Find pictures by words"</h1>
            <Lead />
            <Tray panel=Panel::Match />
            <form class="panel__form" on:submit=search>
                <label class="settings__field">
                    <span>"What are you looking for?"</span>
                    <input type="search" placeholder="something to eat" prop:value=query on:input=move |event| query.set(event_target_value(&event)) />
                </label>
                <div class="panel__go">
                    <button type="submit" class="button button--primary" aria-disabled=move || idle().to_string()>"Search"</button>
                    <p class="panel__note">
                        {move || no_pictures().then_some("Bring pictures first. Each is read once; then a question costs one short text.")}
                    </p>
                </div>
            </form>
            <WorkStatus panel=Panel::Match doing="Looking…" done=Signal::derive(move || done_words(&work.get())) unit="pictures and texts" />
            <Gathered panel=Panel::Match />
            <Found />
        </section>
    }
}

/// The pictures, the best first once there is a question.
#[component]
fn Found() -> impl IntoView {
    let matching = expect_context::<Session>().state.matching;
    let text = Signal::derive(move || {
        let query = matching.query.get();
        matching.vector(query.trim())
    });
    view! { <Ranked panel=Panel::Match with=text label="Pictures, the best first" /> }
}
