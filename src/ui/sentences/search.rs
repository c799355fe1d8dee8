//! A long text, pasted or dropped, searched by meaning: the best passages, each in its place.

use std::sync::Arc;

use leptos::html;
use leptos::prelude::*;

use crate::ui::files_in::{Dragging, picked};
use crate::ui::format;
use crate::ui::icons::{self, Glyph};
use crate::ui::passages::Cut;
use crate::ui::session::Session;
use crate::ui::state::sentences::{Document, Hits, Index};
use crate::ui::state::work::{Panel, Work};
use crate::ui::work_status::WorkStatus;

const SAMPLE: &str = include_str!("sample.txt");
const SAMPLE_QUESTION: &str = "What happens when there is too much rain?";

/// Letters of the neighbours that are shown around what was found.
const AROUND: usize = 160;

/// The panel.
#[component]
pub fn Search() -> impl IntoView {
    let session = expect_context::<Session>();
    let sentences = session.state.sentences;
    let work = session.state.work(Panel::Search);
    if sentences.document.with_untracked(Option::is_none) {
        sentences.document.set(Some(Document { file: None, text: SAMPLE.into() }));
        sentences.question.set(SAMPLE_QUESTION.into());
    }
    let no_text = move || {
        sentences.document.with(|document| document.as_ref().is_none_or(|document| document.text.trim().is_empty()))
    };
    let no_question = move || sentences.question.with(|question| question.trim().is_empty());
    let busy = move || work.with(Work::is_busy);
    let idle = move || no_text() || no_question() || busy();
    let search = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if !idle() {
            session.run(Panel::Search);
        }
    };
    let done = move || {
        let n_cut = sentences.index.with(|index| index.as_ref().map_or(0, |index| index.n_cut));
        let found = sentences.hits.with(|hits| {
            let hits = hits.as_ref()?;
            let count = format::count(hits.passages.len() as u32);
            Some(format!("{count} passages searched in {}", format::duration_ms(hits.took_ms)))
        });
        let refused = work.with(|work| work.refused);
        format!("{}{}{}", found.unwrap_or_default(), format::cut(n_cut), format::refused(refused))
    };
    view! {
        <section class="panel" aria-labelledby="search-title">
            <h1 id="search-title">"Search a text by meaning"</h1>
            <p class="panel__lead">
                "Paste a text or drop a file, and ask it something. The text is read once; each further question takes a moment. Nothing leaves your device."
            </p>
            <form class="panel__form" on:submit=search>
                <Text />
                <label class="settings__field">
                    <span>"What are you looking for?"</span>
                    <input
                        type="search"
                        prop:value=sentences.question
                        on:input=move |event| sentences.question.set(event_target_value(&event))
                    />
                </label>
                <div class="panel__go">
                    <button type="submit" class="button button--primary" aria-disabled=move || idle().to_string()>"Search"</button>
                    <Read />
                </div>
            </form>
            <WorkStatus panel=Panel::Search doing="Reading the text…" done=Signal::derive(done) unit="passages" />
            <Results />
        </section>
    }
}

/// The text: a field, or the file that took its place.
#[component]
fn Text() -> impl IntoView {
    let session = expect_context::<Session>();
    let Dragging(dragging) = expect_context();
    let sentences = session.state.sentences;
    let input = NodeRef::<html::Input>::new();
    let file = Memo::new(move |_| {
        sentences.document.with(|document| {
            let document = document.as_ref()?;
            Some((document.file.clone()?, document.text.len() as u64))
        })
    });
    let typed = move || {
        sentences
            .document
            .with(|document| document.as_ref().map(|document| document.text.to_string()).unwrap_or_default())
    };
    let set = move |text: String| sentences.document.set(Some(Document { file: None, text: text.into() }));
    let choose = move |_| {
        if let Some(file) = input.get().and_then(|input| picked(&input).into_iter().next()) {
            session.open_text(file.file);
        }
    };
    let cut = move |event| {
        sentences.cut.set(if event_target_value(&event) == "paragraphs" { Cut::Paragraphs } else { Cut::Sentences });
    };
    view! {
        <div class="search__text" class=("search__text--drop", dragging)>
            <Show
                when=move || file.with(Option::is_some)
                fallback=move || {
                    view! {
                        <label class="settings__field">
                            <span>"Text"</span>
                            <textarea rows="9" prop:value=typed on:input=move |event| set(event_target_value(&event))></textarea>
                        </label>
                    }
                }
            >
                <p class="search__file">
                    <Glyph icon=icons::TEXT />
                    <span class="search__name">{move || file.get().map(|(name, _)| name)}</span>
                    <span class="search__size">{move || file.get().map(|(_, size)| format::bytes(size))}</span>
                    <button type="button" class="button button--small" on:click=move |_| set(String::new())>"Remove"</button>
                </p>
            </Show>
            <div class="search__tools">
                <label class="button button--small file">
                    <input
                        node_ref=input
                        type="file"
                        class="visually-hidden"
                        accept=".txt,.md,.markdown,.csv,.log,.srt,.vtt,text/*"
                        on:change=choose
                    />
                    <Glyph icon=icons::FILE />
                    "Choose a text file"
                </label>
                <label class="search__cut">
                    <span>"Find"</span>
                    <select on:change=cut>
                        <option value="sentences">"sentences"</option>
                        <option value="paragraphs">"paragraphs"</option>
                    </select>
                </label>
            </div>
        </div>
    }
}

/// How much of the text is read.
#[component]
fn Read() -> impl IntoView {
    let sentences = expect_context::<Session>().state.sentences;
    let words = move || {
        let is_same = |index: &&Index| {
            index.cut == sentences.cut.get()
                && sentences.document.with(|document| {
                    document
                        .as_ref()
                        .is_some_and(|document| Arc::ptr_eq(&document.text, &index.text) || document.text == index.text)
                })
        };
        sentences.index.with(|index| {
            let index = index.as_ref().filter(is_same).filter(|index| index.is_complete())?;
            Some(format!(
                "{} passages are read: questions are answered at once.",
                format::count(index.passages.len() as u32)
            ))
        })
    };
    view! { <p class="panel__note">{words}</p> }
}

#[component]
fn Results() -> impl IntoView {
    let hits = expect_context::<Session>().state.sentences.hits;
    view! {
        <ol class="hits" aria-label="Passages found">
            {move || {
                hits.with(|hits| {
                    hits.iter()
                        .flat_map(|hits| hits.best.iter().map(|(n, score)| view! { <Hit hits=hits.clone() n=*n score=*score /> }))
                        .collect_view()
                })
            }}
        </ol>
    }
}

/// One passage between its neighbours.
#[component]
fn Hit(hits: Hits, n: usize, score: f32) -> impl IntoView {
    let Some(passage) = hits.passages.get(n).cloned() else { return ().into_any() };
    let text = &hits.text;
    let before = shortened_front(&text[hits.passages[..n].last().map_or(0, |last| last.start)..passage.start]);
    let after = shortened_back(&text[passage.end..hits.passages.get(n + 1).map_or(text.len(), |next| next.end)]);
    let place = 100.0 * passage.start as f64 / text.len().max(1) as f64;
    view! {
        <li class="hit">
            <p class="hit__words">
                <span class="hit__around">{before}</span>
                <mark>{text[passage].to_string()}</mark>
                <span class="hit__around">{after}</span>
            </p>
            <p class="hit__facts">
                <span class="ranking__score" title=format!("cosine {score:.4}")>{format!("{score:.2}")}</span>
                <span>{format!("passage {} of {} · {place:.0} % into the text", n + 1, hits.passages.len())}</span>
            </p>
        </li>
    }
    .into_any()
}

/// The end of a neighbour.
fn shortened_front(words: &str) -> String {
    match words.char_indices().rev().nth(AROUND) {
        Some((at, _)) => format!("… {}", words[at..].split_once(' ').map_or(&words[at..], |(_, rest)| rest)),
        None => words.into(),
    }
}

/// The beginning of a neighbour.
fn shortened_back(words: &str) -> String {
    match words.char_indices().nth(AROUND) {
        Some((at, _)) => format!("{} …", words[..at].rsplit_once(' ').map_or(&words[..at], |(rest, _)| rest)),
        None => words.into(),
    }
}
