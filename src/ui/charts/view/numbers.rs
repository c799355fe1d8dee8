//! The numbers of a chart as a table, written only while it is open.

use leptos::prelude::*;

use super::super::Chart;
use crate::ui::format;
use crate::ui::loader::is_open_now;

/// More rows than this keep the page busy; the file has them all.
const MOST_ROWS: usize = 200;

/// The disclosure and, while open, its table.
#[component]
pub fn Numbers(chart: Memo<Chart>) -> impl IntoView {
    let is_open = RwSignal::new(false);
    view! {
        <details class="chart__numbers" on:toggle=move |event| is_open.set(is_open_now(&event))>
            <summary>"Numbers as a table"</summary>
            {move || is_open.get().then(|| chart.with(table))}
        </details>
    }
}

fn table(chart: &Chart) -> impl IntoView + use<> {
    let table = chart.table();
    let n_rows = table.rows.len();
    let cut = (n_rows > MOST_ROWS).then(|| {
        let (shown, all) = (format::count(MOST_ROWS as u32), format::count(n_rows as u32));
        view! { <p class="chart__cut">{format!("The first {shown} of {all} rows. The CSV file has all of them.")}</p> }
    });
    let headers = table.headers.into_iter().map(|header| view! { <th scope="col">{header}</th> }).collect_view();
    let rows = table
        .rows
        .into_iter()
        .take(MOST_ROWS)
        .map(|row| {
            let mut cells = row.into_iter();
            let name = cells.next().unwrap_or_default();
            let cells = cells.map(|cell| view! { <td>{cell}</td> }).collect_view();
            view! { <tr><th scope="row">{name}</th>{cells}</tr> }
        })
        .collect_view();
    view! {
        <div class="chart__box" role="region" aria-label=format!("{}: numbers, to be scrolled", chart.title) tabindex="0">
            <table class="chart__table">
                <caption class="visually-hidden">{chart.title.clone()}</caption>
                <thead><tr>{headers}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        {cut}
    }
}
