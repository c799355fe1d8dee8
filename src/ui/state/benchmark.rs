//! The benchmark: where it stands, and the runs that can be compared.

use leptos::prelude::*;

use crate::ui::benchmark::record::BenchmarkRun;
use crate::ui::benchmark::runner::Position;

/// Its signals.
#[derive(Debug, Clone, Copy, Default)]
pub struct Benchmarks {
    /// How far it is, while it runs.
    pub position: RwSignal<Option<Position>>,
    /// What the run under way has found so far, or the last one found.
    pub current: RwSignal<Option<BenchmarkRun>>,
    /// The runs that are here: made here, opened from files or a link; the oldest first.
    pub runs: RwSignal<Vec<BenchmarkRun>>,
    /// The ids of those that are compared, in the order in which they were chosen.
    pub chosen: RwSignal<Vec<String>>,
}

impl Benchmarks {
    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.position.with(Option::is_some)
    }

    /// Put runs beside those that are here, in place of those with the same ids.
    pub fn add(&self, new: Vec<BenchmarkRun>) {
        self.runs.update(|runs| {
            runs.retain(|run| !new.iter().any(|new| new.id == run.id));
            runs.extend(new);
            runs.sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
        });
    }

    /// Compare these too.
    pub fn choose(&self, ids: impl IntoIterator<Item = String>) {
        self.chosen.update(|chosen| {
            for id in ids {
                if !chosen.contains(&id) {
                    chosen.push(id);
                }
            }
        });
    }

    /// Those that are compared.
    pub fn compared(&self) -> Vec<BenchmarkRun> {
        let chosen = self.chosen.get();
        self.runs.with(|runs| chosen.iter().filter_map(|id| runs.iter().find(|run| run.id == *id)).cloned().collect())
    }
}
