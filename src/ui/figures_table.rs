//! A table of figures in a box that scrolls sideways, and the cells of what was measured, or was not.

use leptos::prelude::*;

use super::benchmark::record::Outcome;

/// The table; `caption` names it and its box for those who do not see them, and is another one for each table of a page.
pub fn figures_table(
    caption: impl Into<String>,
    heads: &'static [&'static str],
    rows: impl IntoView + 'static,
) -> impl IntoView {
    let caption: String = caption.into();
    let label = format!("{caption}, to be scrolled");
    let heads = heads.iter().map(|name| view! { <th scope="col">{*name}</th> }).collect_view();
    view! {
        <div class="stages__box" role="region" aria-label=label tabindex="0">
            <table class="stages__table">
                <caption class="visually-hidden">{caption}</caption>
                <thead><tr>{heads}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

/// The cells of a row of the benchmark: figures for people, and exactly where one points at them; or across all `n_cells` why there are none.
pub fn outcome_cells<T>(
    outcome: &Outcome<T>,
    n_cells: usize,
    cells: impl FnOnce(&T) -> Vec<(String, String)>,
) -> AnyView {
    let instead =
        |words: String| view! { <td colspan=n_cells.to_string() class="benchmark__failed">{words}</td> }.into_any();
    match outcome {
        Outcome::Measured(figures) => {
            let cells = cells(figures).into_iter();
            cells.map(|(words, exact)| view! { <td title=exact>{words}</td> }).collect_view().into_any()
        }
        Outcome::Failed { message } => instead(message.clone()),
        Outcome::Stopped => instead("Stopped before it was measured.".into()),
    }
}
