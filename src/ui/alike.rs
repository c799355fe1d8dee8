//! Pictures ordered by a vector: those that look like one of them, or those that words describe.

use leptos::prelude::*;

use super::icons::{self, Glyph};
use super::pictures::{Gathered, done_words};
use super::session::Session;
use super::state::pictures::{Picture, Vector};
use super::state::work::Panel;
use super::tray::Tray;
use super::vectors;
use super::work_status::WorkStatus;

/// Pictures that look like one of them.
#[component]
pub fn Alike() -> impl IntoView {
    let state = expect_context::<Session>().state;
    let work = state.work(Panel::Alike);
    let chosen = Signal::derive(move || {
        let id = state.like.get()?;
        state.album.pictures.with(|pictures| pictures.iter().find(|picture| picture.id == id)?.vector.get())
    });
    let hint = move || {
        let several = state.album.pictures.with(|pictures| pictures.len() > 1);
        (several && chosen.get().is_none()).then_some("Press a picture to see which are most like it.")
    };
    view! {
        <section class="panel" aria-labelledby="alike-title">
            <h1 id="alike-title">"Which pictures are alike?"</h1>
            <p class="panel__lead">
                "A model without any names looks at your pictures and orders them by how much they look like the one that you press."
            </p>
            <Tray panel=Panel::Alike />
            <WorkStatus panel=Panel::Alike doing="Looking…" done=Signal::derive(move || done_words(&work.get())) unit="pictures" />
            <Gathered panel=Panel::Alike />
            <p class="panel__note">{hint}</p>
            <Ranked panel=Panel::Alike with=chosen label="Pictures, the most alike first" on_press=Callback::new(move |id| state.like.set(Some(id))) />
        </section>
    }
}

/// The pictures of a panel, those nearest to a vector first; in their own order where there is none.
#[component]
pub fn Ranked(
    /// Whose.
    panel: Panel,
    /// What they are held against.
    #[prop(into)]
    with: Signal<Option<Vector>>,
    /// The list, for those who do not see it.
    label: &'static str,
    /// What a press on a picture does; nothing where it is missing.
    #[prop(optional)]
    on_press: Option<Callback<u32>>,
) -> impl IntoView {
    let album = expect_context::<Session>().album(panel);
    let ranked = Memo::new(move |_| {
        let with = with.get();
        let cosine = |picture: &Picture| Some(vectors::cosine(picture.vector.get()?.as_slice(), with.as_ref()?));
        let mut ranked: Vec<(u32, Option<f32>)> =
            album.pictures.with(|pictures| pictures.iter().map(|picture| (picture.id, cosine(picture))).collect());
        ranked.sort_by(|a, b| b.1.unwrap_or(f32::NEG_INFINITY).total_cmp(&a.1.unwrap_or(f32::NEG_INFINITY)));
        ranked
    });
    let picture =
        move |id: u32| album.pictures.with(|pictures| pictures.iter().find(|picture| picture.id == id).cloned());
    view! {
        <ol class="finds" aria-label=label>
            {move || {
                ranked
                    .get()
                    .into_iter()
                    .enumerate()
                    .filter_map(|(rank, (id, cosine))| {
                        let picture = picture(id)?;
                        let is_best = rank == 0 && cosine.is_some();
                        Some(view! { <One panel picture cosine is_best on_press /> })
                    })
                    .collect_view()
            }}
        </ol>
    }
}

#[component]
fn One(
    panel: Panel,
    picture: Picture,
    cosine: Option<f32>,
    is_best: bool,
    on_press: Option<Callback<u32>>,
) -> impl IntoView {
    let album = expect_context::<Session>().album(panel);
    let Picture { id, name, url, size: (width, height), trouble, .. } = picture;
    let drawn =
        |alt: String| view! { <img src=url alt=alt width=width height=height decoding="async" loading="lazy" /> };
    let shown = match on_press {
        Some(on_press) => {
            let what = format!("Order by likeness to {name}");
            view! {
                <button type="button" class="find__press" aria-label=what on:click=move |_| on_press.run(id)>{drawn(String::new())}</button>
            }
            .into_any()
        }
        None => drawn(name.clone()).into_any(),
    };
    view! {
        <li class="find" class=("find--best", is_best)>
            {shown}
            <p class="find__name">
                <span title=name.clone()>{name.clone()}</span>
                {cosine.map(|cosine| view! { <span class="ranking__score" title=format!("cosine {cosine:.4}")>{format!("{cosine:.2}")}</span> })}
            </p>
            <p class="card__trouble">{move || trouble.get()}</p>
            <button
                type="button"
                class="button button--bare find__remove"
                aria-label=format!("Remove {name}")
                on:click=move |_| album.remove(id)
            >
                <Glyph icon=icons::CLOSE />
            </button>
        </li>
    }
}
