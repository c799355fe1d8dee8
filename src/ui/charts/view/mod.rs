//! A chart in the page: a canvas with tooltip, keyboard and zoom, its numbers as a table, and files to save.

mod canvas;
mod files;
mod numbers;
mod pointing;
mod surroundings;

use leptos::either::Either;
use leptos::html;
use leptos::prelude::*;

use self::files::Files;
use self::numbers::Numbers;
use super::scene::{Frame, Scene, scene};
use super::zoom::View;
use super::{Chart, Unit};

/// The chart with its title, or words where it is empty.
#[component]
pub fn ChartView(
    /// What to show; drawn again whenever it changes.
    #[prop(into)]
    chart: Signal<Chart>,
) -> impl IntoView {
    let chart = Memo::new(move |_| chart.get());
    let is_empty = Memo::new(move |_| chart.with(Chart::is_empty));
    view! {
        <figure class="chart">
            <figcaption class="chart__title">{move || chart.with(|chart| chart.title.clone())}</figcaption>
            {move || {
                if is_empty.get() {
                    Either::Left(view! { <p class="chart__nothing">"Nothing to show yet."</p> })
                } else {
                    Either::Right(view! { <Plot chart /> })
                }
            }}
        </figure>
    }
}

/// What the parts of a shown chart share.
#[derive(Clone, Copy)]
struct State {
    chart: Memo<Chart>,
    canvas: NodeRef<html::Canvas>,
    /// What is drawn.
    scene: RwSignal<Option<Scene>>,
    /// The part that is looked at.
    view: RwSignal<View>,
    /// The mark under the pointer.
    hovered: RwSignal<Option<usize>>,
    /// The mark that keys went to.
    focused: RwSignal<Option<usize>>,
}

impl State {
    fn shown(self) -> Option<usize> {
        self.hovered.get().or(self.focused.get())
    }

    /// What a mark says.
    fn words(self, idx: Option<usize>) -> Option<String> {
        self.scene.with(|scene| Some(scene.as_ref()?.marks.get(idx?)?.words.clone()))
    }
}

#[component]
fn Plot(chart: Memo<Chart>) -> impl IntoView {
    let state = State {
        chart,
        canvas: NodeRef::new(),
        scene: RwSignal::new(None),
        view: RwSignal::new(View::default()),
        hovered: RwSignal::new(None),
        focused: RwSignal::new(None),
    };
    let around = NodeRef::<html::Div>::new();
    let surroundings = surroundings::follow(around);
    draw_when_changed(state, surroundings);
    let zooms = Memo::new(move |_| chart.with(Chart::zooms));
    // Only what keys went to is said: a mouse that passes over marks would talk without end.
    let said =
        Memo::new(move |_| state.words(state.focused.get()).or_else(|| range_in_words(state)).unwrap_or_default());
    view! {
        <div class="chart__plot" node_ref=around>
            <canvas
                class="chart__canvas"
                class=("chart__canvas--zooms", zooms)
                node_ref=state.canvas
                role="img"
                tabindex="0"
                aria-label=move || chart.with(Chart::described)
                on:pointermove=move |event| pointing::moved(state, &event)
                on:pointerdown=move |event| pointing::pressed(state, &event)
                on:pointerleave=move |event| pointing::left(state, &event)
                on:wheel=move |event| pointing::turned(state, &event)
                on:keydown=move |event| pointing::key(state, &event)
                on:blur=move |_| state.focused.set(None)
            ></canvas>
            <Tooltip state />
        </div>
        <p class="visually-hidden" aria-live="polite">{said}</p>
        <div class="chart__tools">
            <Show when=move || zooms.get()>
                <div class="chart__group" role="group" aria-label="Zoom">
                    <button type="button" class="button button--small" on:click=move |_| pointing::closer(state, 2.0)>
                        "Zoom in"
                    </button>
                    <button type="button" class="button button--small" on:click=move |_| pointing::closer(state, 0.5)>
                        "Zoom out"
                    </button>
                    <button type="button" class="button button--small" on:click=move |_| pointing::all(state)>
                        "All"
                    </button>
                </div>
            </Show>
            <Files state theme=surroundings.theme />
        </div>
        <Numbers chart />
    }
}

/// Lay out and paint at most once a frame, whatever changed since the last one.
fn draw_when_changed(state: State, surroundings: surroundings::Surroundings) {
    let waiting = StoredValue::new(None::<AnimationFrameRequestHandle>);
    let draw = move || {
        waiting.set_value(None);
        let Some(canvas) = state.canvas.get_untracked() else { return };
        let focus = state.hovered.get_untracked().or(state.focused.get_untracked());
        let width = surroundings.width.get_untracked();
        let frame = Frame { width, theme: surroundings.theme.get_untracked(), titled: false };
        let laid_out = state.chart.with_untracked(|chart| scene(chart, frame, state.view.get_untracked(), focus));
        // A canvas that cannot be drawn on is left blank: the table has the numbers.
        let _ = canvas::paint(&canvas, &laid_out, surroundings.ratio.get_untracked());
        state.scene.set(Some(laid_out));
    };
    Effect::new(move || {
        state.chart.track();
        state.view.track();
        state.shown();
        surroundings.theme.track();
        surroundings.ratio.track();
        let has_room = surroundings.width.get() > 0.0;
        if has_room && waiting.get_value().is_none() {
            waiting.set_value(request_animation_frame_with_handle(draw).ok());
        }
    });
    on_cleanup(move || {
        if let Some(handle) = waiting.try_get_value().flatten() {
            handle.cancel();
        }
    });
}

/// The words of the mark that is meant, above it where there is room, within the chart's width.
#[component]
fn Tooltip(state: State) -> impl IntoView {
    let place = move || {
        let idx = state.shown()?;
        state.scene.with(|scene| {
            let scene = scene.as_ref()?;
            let mark = scene.marks.get(idx)?;
            let x = mark.shown.middle().0;
            // Moved by the same share of its own width, it leaves neither side.
            let share = 100.0 * (x / scene.width).clamp(0.0, 1.0);
            let is_above = mark.shown.top > 56.0;
            let (y, up) =
                if is_above { (mark.shown.top - 8.0, 100) } else { (mark.shown.top + mark.shown.height + 8.0, 0) };
            let style = format!("left: {x:.0}px; top: {y:.0}px; transform: translate(-{share:.1}%, -{up}%)");
            Some((style, mark.words.clone()))
        })
    };
    move || place().map(|(style, words)| view! { <div class="chart__tip" aria-hidden="true" style=style>{words}</div> })
}

/// Which part is looked at, where it is not all.
fn range_in_words(state: State) -> Option<String> {
    let (from, to) = state.view.get().range?;
    let unit: Unit = state.chart.with(Chart::x_unit);
    Some(format!("Showing {} to {}", unit.words(from), unit.words(to)))
}
