//! Pictures named: for each the likeliest labels as bars.

use leptos::prelude::*;

use super::bars::{Bars, Kind};
use super::format;
use super::icons::{self, Glyph};
use super::session::Session;
use super::state::pictures::Picture;
use super::state::work::{Panel, Phase};
use super::tray::Tray;
use super::work_status::WorkStatus;

/// The panel.
#[component]
pub fn Pictures() -> impl IntoView {
    let session = expect_context::<Session>();
    let album = session.state.album;
    let work = session.state.work(Panel::Pictures);
    let done = move || done_words(&work.get());
    view! {
        <section class="panel" aria-labelledby="pictures-title">
            <h1 id="pictures-title">"What is on the picture?"</h1>
            <p class="panel__lead">
                "Each picture is looked at on your own device and given the likeliest of the names that the model knows. No picture leaves it."
            </p>
            <Tray panel=Panel::Pictures />
            <WorkStatus panel=Panel::Pictures doing="Looking…" done=Signal::derive(done) unit="pictures" />
            <Gathered panel=Panel::Pictures />
            <ul class="cards" class=("cards--one", move || album.pictures.with(|pictures| pictures.len() == 1)) aria-label="Pictures">
                <For each=move || album.pictures.get() key=|picture| picture.id let(picture)>
                    <Named picture />
                </For>
            </ul>
        </section>
    }
}

#[component]
fn Named(picture: Picture) -> impl IntoView {
    let labels = picture.labels.clone();
    let scores = Signal::derive(move || {
        labels.with(|labels| labels.iter().map(|label| (label.label.clone(), label.score)).collect::<Vec<_>>())
    });
    view! { <Card panel=Panel::Pictures picture scores /> }
}

/// What finished work on pictures took.
pub fn done_words(work: &super::state::work::Work) -> String {
    let took = format::duration_ms(work.total_ms);
    let words = match work.total {
        0 => "Done".into(),
        1 => format!("Done in {took}"),
        n => format!("{} in {took} · {:.1} a second", format::count(n), f64::from(n) / work.total_ms * 1e3),
    };
    format!("{words}{}", format::refused(work.refused))
}

/// How many there are, the buttons for all of them.
#[component]
pub fn Gathered(
    /// Whose.
    panel: Panel,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let album = session.album(panel);
    let count = Memo::new(move |_| album.pictures.with(Vec::len));
    let stopped = move || session.state.work(panel).with(|work| matches!(work.phase, Phase::Cancelled | Phase::Failed));
    view! {
        <div class="gathered" hidden=move || count.get() == 0>
            <p>{move || if count.get() == 1 { "1 picture".into() } else { format!("{} pictures", format::count(count.get() as u32)) }}</p>
            <Show when=stopped>
                <button type="button" class="button button--small" on:click=move |_| session.run(panel)>
                    <Glyph icon=icons::AGAIN />
                    "Go on"
                </button>
            </Show>
            <button
                type="button"
                class="button button--small"
                on:click=move |_| {
                    session.cancel(panel);
                    album.clear();
                }
            >
                "Remove all"
            </button>
        </div>
    }
}

/// A picture with what was found.
#[component]
pub fn Card(
    /// Whose.
    panel: Panel,
    /// Which.
    picture: Picture,
    /// What was found, the likeliest first.
    #[prop(into)]
    scores: Signal<Vec<(String, f32)>>,
    /// What is said of each.
    #[prop(optional, into)]
    kind: Signal<Kind>,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let (id, name, trouble) = (picture.id, picture.name.clone(), picture.trouble.clone());
    let (width, height) = picture.size;
    view! {
        <li class="card">
            <div class="card__picture">
                <img src=picture.url.clone() alt=name.clone() width=width height=height decoding="async" loading="lazy" />
            </div>
            <div class="card__found">
                <p class="card__name">
                    <span title=format!("{name}, {width} by {height} pixels")>{name.clone()}</span>
                    <button
                        type="button"
                        class="button button--bare"
                        aria-label=format!("Remove {name}")
                        on:click=move |_| session.album(panel).remove(id)
                    >
                        <Glyph icon=icons::CLOSE />
                    </button>
                </p>
                <p class="card__trouble">{move || trouble.get()}</p>
                <Bars label=format!("What is on {name}") scores kind />
            </div>
        </li>
    }
}
