//! Text to text: a prompt or several lines of them, the words as they are written, and how they are chosen.

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::fields::{Check, Number};
use super::files_in::{Dragging, picked};
use super::format;
use super::icons::{self, Glyph};
use super::save;
use super::session::{Session, contradiction};
use super::shortcuts;
use super::state::work::{Panel, Phase, Work};
use super::state::writing::Piece;
use super::work_status::WorkStatus;
use crate::protocol::{FinishReason, MOST_BEAMS, MOST_NEW_TOKENS};

/// What the embedded model was made for.
const NUMBERS: [&str; 5] = [
    "number to German: 1984",
    "ordinal in French: 23",
    "year in English: 1815",
    "currency in Spanish: 12.50 USD",
    "translate English to French: two hundred and six",
];

/// What the general models of this family were trained on.
const GENERAL: [&str; 4] = [
    "translate English to German: The house is wonderful.",
    "translate English to French: We walk to the sea in the morning.",
    "summarize: The mill stands where the brook leaves the wood. In a dry August it is worked for three hours at dawn and then left to fill again. Farmers who come in those weeks leave their sacks and fetch the flour when the bell is rung.",
    "cola sentence: The course is jumping well.",
];

/// The embedded model.
const EMBEDDED: &str = "t5-numbers";

/// The panel.
#[component]
pub fn Write() -> impl IntoView {
    let session = expect_context::<Session>();
    let state = session.state;
    let writing = state.writing;
    let work = state.work(Panel::Write);
    let model = Memo::new(move |_| state.chosen(Panel::Write.task()));
    let is_embedded = move || model.with(|model| model.as_ref().is_none_or(|model| model.id == EMBEDDED));
    if writing.prompt.with_untracked(String::is_empty) {
        writing.prompt.set(NUMBERS[0].into());
    }
    let Dragging(dragging) = expect_context();
    let input = NodeRef::<html::Input>::new();
    let choose = move |_| {
        if let Some(file) = input.get().and_then(|input| picked(&input).into_iter().next()) {
            session.open_prompt(file.file);
        }
    };
    let by_line = move || match state.settings.with(|settings| settings.line_by_line) {
        true => "Or drop one. Each line is a text of its own.",
        false => "Or drop one. It is taken as one text.",
    };
    let busy = move || work.with(Work::is_busy);
    let wrong = move || state.settings.with(|settings| contradiction(&settings.generate));
    let idle = move || session.prompts().is_empty() || busy() || wrong().is_some();
    let write = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if !idle() {
            session.run(Panel::Write);
        }
    };
    let count = move || match session.prompts().len() {
        0 | 1 => String::new(),
        n => format!("{n} lines, {n} texts"),
    };
    let examples = move || if is_embedded() { NUMBERS.to_vec() } else { GENERAL.to_vec() };
    let lead = move || {
        model
            .get()
            .map_or_else(|| "The engine is starting…".into(), |model| format!("{}: {}", model.title, model.summary))
    };
    view! {
        <section class="panel" aria-labelledby="write-title">
            <h1 id="write-title">"Text to text"</h1>
            <p class="panel__lead">{lead}</p>
            <form class="panel__form" on:submit=write novalidate>
                <div class="search__text" class=("search__text--drop", dragging)>
                    <label class="settings__field">
                        <span>"Your text"</span>
                        <textarea
                            rows="4"
                            prop:value=writing.prompt
                            on:input=move |event| writing.prompt.set(event_target_value(&event))
                            on:keydown=shortcuts::submit_on_ctrl_enter
                        ></textarea>
                    </label>
                    <div class="search__tools">
                        <label class="button button--small file">
                            <input node_ref=input type="file" class="visually-hidden" accept=".txt,.md,.csv,.tsv,text/*" on:change=choose />
                            <Glyph icon=icons::FILE />
                            "Choose a text file"
                        </label>
                        <p class="panel__note">{by_line}</p>
                    </div>
                </div>
                <ul class="examples" aria-label="Examples">
                    {move || {
                        examples()
                            .into_iter()
                            .map(|example| {
                                view! {
                                    <li>
                                        <button type="button" class="example" on:click=move |_| writing.prompt.set(example.into())>
                                            {example}
                                        </button>
                                    </li>
                                }
                            })
                            .collect_view()
                    }}
                </ul>
                <div class="panel__go">
                    <button type="submit" class="button button--primary" aria-disabled=move || idle().to_string()>"Write"</button>
                    <p class="panel__note">{count}</p>
                </div>
                <p class="panel__wrong" role="alert">{wrong}</p>
                <Options />
            </form>
            <Status />
            <Output />
        </section>
    }
}

/// Where the work stands, with the speed while it goes on.
#[component]
fn Status() -> impl IntoView {
    let state = expect_context::<Session>().state;
    let writing = state.writing;
    let done = move || {
        let timings = writing.timings.get()?;
        let n_tokens = writing.pulse.with(|pulse| pulse.n_tokens);
        let speed = (timings.tokens_per_s > 0.0).then(|| format!(" · {:.0} tokens a second", timings.tokens_per_s));
        let first = format::duration_ms(timings.first_token_ms);
        let total = format::duration_ms(timings.total_ms);
        Some(format!("Written in {total} · first word after {first} · {n_tokens} tokens{}", speed.unwrap_or_default()))
    };
    let live = move || {
        let is_working = state.work(Panel::Write).with(|work| work.phase == Phase::Working);
        let pulse = writing.pulse.get();
        let speed = pulse.tokens_per_s().map(|speed| format!(" · {speed:.0} a second")).unwrap_or_default();
        (is_working && pulse.n_tokens > 0).then(|| format!("{} tokens{speed}", pulse.n_tokens))
    };
    view! {
        <WorkStatus panel=Panel::Write doing="Writing…" done=Signal::derive(move || done().unwrap_or_default()) unit="texts" />
        <p class="write__live">{live}</p>
    }
}

#[component]
fn Output() -> impl IntoView {
    let state = expect_context::<Session>().state;
    let writing = state.writing;
    let empty = move || writing.pieces.with(Vec::is_empty);
    // What is finished is said once, as a whole; words that are still coming are not read out.
    let spoken = move || {
        let is_done = state.work(Panel::Write).with(|work| work.phase == Phase::Done);
        let all =
            writing.pieces.with(|pieces| pieces.iter().map(|piece| piece.text.get()).collect::<Vec<_>>().join(". "));
        is_done.then_some(all)
    };
    let copied = RwSignal::new(false);
    let copy = move |_| {
        let texts = writing.pieces.with_untracked(|pieces| {
            pieces.iter().map(|piece| piece.text.get_untracked()).collect::<Vec<_>>().join("\n")
        });
        spawn_local(async move {
            // A browser that refuses the clipboard leaves the text to be selected by hand.
            if save::copy(&texts).await.is_ok() {
                copied.set(true);
                gloo_timers::future::TimeoutFuture::new(2_000).await;
                copied.set(false);
            }
        });
    };
    view! {
        <div class="output" class=("output--empty", empty)>
            <div class="output__head" hidden=empty>
                <h2>"Written"</h2>
                <button type="button" class="button button--small" on:click=copy>
                    <Glyph icon=icons::COPY />
                    <span aria-live="polite">{move || if copied.get() { "Copied" } else { "Copy" }}</span>
                </button>
            </div>
            <ol class="pieces" aria-label="Written texts">
                {move || {
                    writing.pieces.with(|pieces| {
                        let several = pieces.len() > 1;
                        pieces.iter().map(|piece| view! { <Text piece=piece.clone() several /> }).collect_view()
                    })
                }}
            </ol>
            <p class="visually-hidden" aria-live="polite">{spoken}</p>
            <Show when=empty>
                <p class="output__placeholder">"What the model writes appears here."</p>
            </Show>
        </div>
    }
}

#[component]
fn Text(piece: Piece, several: bool) -> impl IntoView {
    let state = expect_context::<Session>().state;
    let (text, finish) = (piece.text.clone(), piece.finish.clone());
    let is_growing = {
        let (text, finish) = (text.clone(), finish.clone());
        // Of several, those whose turn has come.
        move || {
            finish.with(Option::is_none)
                && (!several || !text.with(String::is_empty))
                && state.work(Panel::Write).with(|work| work.phase == Phase::Working)
        }
    };
    let end = move || {
        (finish.get() == Some(FinishReason::MaxTokens))
            .then_some("Ended because it reached the most tokens that are allowed.")
    };
    let nothing = {
        let (text, finish) = (piece.text.clone(), piece.finish.clone());
        move || (text.with(String::is_empty) && finish.with(Option::is_some)).then_some("The model wrote nothing.")
    };
    view! {
        <li class="piece">
            {several.then(|| view! { <p class="piece__prompt">{piece.prompt.clone()}</p> })}
            <p class="piece__text" class=("piece__text--growing", is_growing)>{move || text.get()}</p>
            <p class="piece__note">{nothing}{end}</p>
            <p class="panel__wrong">{move || piece.trouble.get().map(|why| format!("This could not be written: {why}"))}</p>
        </li>
    }
}

/// How words are chosen.
#[component]
fn Options() -> impl IntoView {
    view! {
        <details class="settings options">
            <summary>"How it writes"</summary>
            <div class="options__fields">
                <Check label="Each line is a text of its own" value=|settings| settings.line_by_line set=|settings, on| settings.line_by_line = on />
                <Number
                    label="Most tokens"
                    hint="A token is about three quarters of a word."
                    between=(1.0, f64::from(MOST_NEW_TOKENS))
                    empty="what the model says"
                    value=|settings| settings.generate.max_tokens.map(f64::from)
                    set=|settings, number| settings.generate.max_tokens = number.map(|number| number as u32)
                />
                <Number
                    label="Temperature"
                    hint="0 always takes the likeliest word; higher dares more."
                    between=(0.0, 2.0)
                    step=0.1
                    value=|settings| Some((f64::from(settings.generate.temperature) * 100.0).round() / 100.0)
                    set=|settings, number| settings.generate.temperature = number.unwrap_or(0.0) as f32
                />
                <Number
                    label="Among the best (top-k)"
                    hint="Words are drawn among so many of the likeliest."
                    between=(1.0, 1000.0)
                    empty="all"
                    value=|settings| settings.generate.top_k.map(f64::from)
                    set=|settings, number| settings.generate.top_k = number.map(|number| number as u32)
                />
                <Number
                    label="Probability together (top-p)"
                    hint="Words are drawn among the likeliest that reach it."
                    between=(0.05, 1.0)
                    step=0.05
                    value=|settings| Some((f64::from(settings.generate.top_p) * 100.0).round() / 100.0)
                    set=|settings, number| settings.generate.top_p = number.unwrap_or(1.0) as f32
                />
                <Number
                    label="Beams"
                    hint="Texts that are weighed side by side; 1 for none."
                    between=(1.0, f64::from(MOST_BEAMS))
                    value=|settings| Some(f64::from(settings.generate.num_beams))
                    set=|settings, number| settings.generate.num_beams = number.unwrap_or(1.0) as u32
                />
                <Number
                    label="Seed"
                    hint="The same seed draws the same words."
                    between=(0.0, 4_294_967_295.0)
                    value=|settings| Some(f64::from(settings.generate.seed))
                    set=|settings, number| settings.generate.seed = number.unwrap_or(0.0) as u32
                />
                <Number
                    label="Tokens shown at once"
                    hint="1 shows each as it comes; more disturbs the work less."
                    between=(1.0, 64.0)
                    value=|settings| Some(f64::from(settings.generate.stream_buffer_size))
                    set=|settings, number| settings.generate.stream_buffer_size = number.unwrap_or(1.0) as u32
                />
            </div>
        </details>
    }
}
