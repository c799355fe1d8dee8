//! Measures single kernels on this browser's backends, one after the other. It comes after the models: pipelines that a kernel has made
//! would be known to a model's first load.

use super::kernels::{KernelEntry, KernelFigures};
use super::record::{BenchmarkRun, Outcome};
use super::runner::{Stopper, outcome_of, trouble};
use crate::protocol::{BackendChoice, BenchKernel};
use crate::ui::capability::backend_name;
use crate::ui::platform::Platform;

/// Measures these kernels. `on_news` hears how many are done, what is done now, and what was found until then.
pub async fn run(
    platform: &Platform,
    plan: Vec<(BenchKernel, BackendChoice)>,
    stopper: &Stopper,
    found: &mut BenchmarkRun,
    on_news: impl Fn(u32, String, &BenchmarkRun),
) {
    for (idx, (kernel, backend)) in plan.into_iter().enumerate() {
        on_news(idx as u32, format!("{} on {}", kernel.title(), backend_name(backend)), found);
        let outcome = match stopper.is_stopped() {
            true => Outcome::Stopped,
            false => outcome_of(stopper.wait(platform.kernel(backend, kernel)).await.and_then(|figure| {
                KernelFigures::of(figure).ok_or_else(|| trouble("It gave no time that could be measured."))
            })),
        };
        found.kernels.push(KernelEntry { kernel, backend, outcome });
        if platform.is_crashed() {
            platform.restart();
        }
    }
}
