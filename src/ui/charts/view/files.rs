//! A chart as a file: PNG and SVG as it is seen, CSV with all its numbers.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::super::scene::{Frame, Scene, scene};
use super::super::{Chart, Theme, draw};
use super::{State, canvas};
use crate::ui::save;

/// How wide pictures are saved, in pixels.
const WIDTH: f64 = 720.0;

/// The buttons that save, and words where the browser refused.
#[component]
pub fn Files(state: State, theme: Memo<Theme>) -> impl IntoView {
    let refused = RwSignal::new(false);
    let picture = move || {
        let frame = Frame { width: WIDTH, theme: theme.get_untracked(), titled: true };
        state.chart.with_untracked(|chart| scene(chart, frame, state.view.get_untracked(), None))
    };
    let name = move |extension| state.chart.with_untracked(|chart| file_name(&chart.title, extension));
    let save_text = move |extension, mime, text: String| {
        refused.set(save::download(&name(extension), mime, text.as_bytes()).is_err());
    };
    let save_svg = move |_| save_text("svg", "image/svg+xml", draw::svg(&picture()));
    let save_csv = move |_| save_text("csv", "text/csv", state.chart.with_untracked(Chart::csv));
    let save_png = move |_| spawn_local(save_png(picture(), name("png"), refused));
    view! {
        <div class="chart__group" role="group" aria-label="Save the chart">
            <button type="button" class="button button--small" on:click=save_png>"PNG"</button>
            <button type="button" class="button button--small" on:click=save_svg>"SVG"</button>
            <button type="button" class="button button--small" on:click=save_csv>"CSV"</button>
        </div>
        <p class="chart__refused" role="status">
            {move || refused.get().then_some("The browser did not let the page save a file. Allow it in its settings.")}
        </p>
    }
}

async fn save_png(scene: Scene, name: String, refused: RwSignal<bool>) {
    let is_saved = match canvas::png(&scene).await {
        Ok(bytes) => save::download(&name, "image/png", &bytes).is_ok(),
        Err(_) => false,
    };
    // The chart may be gone meanwhile.
    let _ = refused.try_set(!is_saved);
}

/// The title in letters that any system takes: `time-per-stage.svg`.
fn file_name(title: &str, extension: &str) -> String {
    let words: Vec<String> = title
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let stem = if words.is_empty() { "chart".into() } else { words.join("-") };
    format!("{stem}.{extension}")
}
