//! The figures of single kernels, as a table.

use leptos::prelude::*;

use super::benchmark::kernels::{KernelEntry, KernelFigures};
use super::benchmark::record::BenchmarkRun;
use super::capability::{backend_name, precision_name};
use super::figures_table::{figures_table, outcome_cells};
use super::format;
use crate::protocol::TimedBy;

/// Every kernel of a run with its figures, or why there are none; nothing where the run has no kernels.
pub fn kernel_table(run: &BenchmarkRun) -> Option<impl IntoView + use<>> {
    let rows = run.kernels.iter().map(row).collect_view();
    let caption = format!("Kernels in {}, {}, {}", run.browser_name(), run.system, run.minute());
    let heads = &["Kernel", "Shape", "Weights", "Time", "Speed", "Of the peak"];
    (!run.kernels.is_empty()).then(|| figures_table(caption, heads, rows))
}

fn row(entry: &KernelEntry) -> impl IntoView + use<> {
    let cells = outcome_cells(&entry.outcome, 5, |figures| cells(entry, figures).into());
    let name = format!("{} on {}", entry.kernel.title(), backend_name(entry.backend));
    view! { <tr><th scope="row">{name}</th>{cells}</tr> }
}

/// The figures for people, and exactly.
fn cells(entry: &KernelEntry, figures: &KernelFigures) -> [(String, String); 5] {
    let us = figures.us;
    let clock = match figures.timed_by {
        TimedBy::Timestamps => "by the GPU's own clock",
        TimedBy::WallClock => "by this side's clock",
    };
    let work = format!("{} products and sums, {} bytes", figures.flops, figures.bytes);
    let rate = entry.rate_of(figures, us.median);
    [
        (figures.shape.clone(), work),
        match figures.weights {
            Some(weights) => (precision_name(weights).into(), String::new()),
            None => ("–".into(), "it has no matrix of weights".into()),
        },
        (
            format::duration_us(us.median),
            format!(
                "{} µs, the median of {}, half of them between {} and {}; {clock}",
                us.median, us.n, us.low, us.high
            ),
        ),
        (format!("{} {}", format::figure(rate), entry.unit()), format!("{rate} {}", entry.unit())),
        match figures.share {
            Some(share) => (format!("{:.1} %", 100.0 * share), format!("of what {} can do at best", figures.adapter)),
            None => ("–".into(), "the peak of this backend is not measured".into()),
        },
    ]
}
