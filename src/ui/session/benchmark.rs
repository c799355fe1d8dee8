//! The benchmark: run it, keep what it found, bring in what others found.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;
use web_sys::File;

use super::Session;
use crate::protocol::{Failure, FailureKind, ModelInfo};
use crate::ui::benchmark::record::{BenchmarkRun, Scope};
use crate::ui::benchmark::runner::{self, Plan, Position, Stopper};
use crate::ui::benchmark::{share, store};
use crate::ui::route::{self, View};
use crate::ui::state::Remedy;

/// A comparison that was made with `cargo xtask bench --browsers` and ships with the app.
const EXAMPLE: &str = "benchmarks/example.json";

impl Session {
    /// Measure these models; without effect while that is under way.
    pub fn run_benchmark(self, scope: Scope, models: Vec<ModelInfo>, machine: String) {
        let (state, inner) = (self.state, self.inner());
        let benchmarks = state.benchmarks;
        if benchmarks.position.with_untracked(Option::is_some) {
            return;
        }
        let stopper = Stopper::default();
        *inner.benchmark.borrow_mut() = stopper.clone();
        let doing = "What this browser has".into();
        benchmarks.position.set(Some(Position { done: 0, total: 1, doing }));
        benchmarks.current.set(None);
        spawn_local(async move {
            let backends = match inner.platform.backends(|_| {}).await {
                Ok(backends) => backends,
                Err(failure) => {
                    benchmarks.position.set(None);
                    return state.alert(None, failure, Remedy::Nothing);
                }
            };
            let plan = Plan { scope, models, backends, machine };
            let run = runner::run(&inner.platform, &plan, &stopper, move |position, found| {
                benchmarks.position.set(Some(position));
                benchmarks.current.set(Some(found.clone()));
            });
            let run = run.await;
            benchmarks.position.set(None);
            benchmarks.current.set(Some(run.clone()));
            // What was stopped before anything was measured is no result.
            if run.entries.iter().any(|entry| entry.figures().is_some()) || run.roofline.is_some() {
                self.keep_benchmarks(vec![run]).await;
            }
        });
    }

    /// Stop measuring. What is measured stays.
    pub fn stop_benchmark(self) {
        self.inner().benchmark.borrow().stop();
    }

    /// Bring in the runs that this browser keeps, once.
    pub fn recall_benchmarks(self) {
        let benchmarks = self.state.benchmarks;
        if benchmarks.runs.with_untracked(|runs| !runs.is_empty()) {
            return;
        }
        spawn_local(async move {
            // A browser that keeps nothing has nothing to recall.
            let Ok(runs) = store::all().await else { return };
            let latest = runs.last().map(|run| run.id.clone());
            benchmarks.add(runs);
            if benchmarks.chosen.with_untracked(Vec::is_empty) {
                benchmarks.choose(latest);
            }
        });
    }

    async fn keep_benchmarks(self, runs: Vec<BenchmarkRun>) {
        let benchmarks = self.state.benchmarks;
        benchmarks.choose(runs.iter().map(|run| run.id.clone()));
        benchmarks.add(runs.clone());
        for run in &runs {
            if let Err(reason) = store::keep(run).await {
                let failure = Failure {
                    kind: FailureKind::Storage,
                    message: format!("This browser does not keep the benchmark ({reason})."),
                    hint: "It is here until the page is closed: save it as a file.".into(),
                };
                return self.state.alert(None, failure, Remedy::Nothing);
            }
        }
    }

    /// Throw a run away.
    pub fn forget_benchmark(self, id: String) {
        let benchmarks = self.state.benchmarks;
        benchmarks.chosen.update(|chosen| chosen.retain(|one| *one != id));
        benchmarks.runs.update(|runs| runs.retain(|run| run.id != id));
        spawn_local(async move {
            // What cannot be removed could not be kept either.
            let _ = store::forget(&id).await;
        });
    }

    /// Bring in runs from files, each by itself.
    pub fn open_benchmarks(self, files: Vec<File>) {
        route::open(View::Compare);
        spawn_local(async move {
            for file in files {
                let text = JsFuture::from(file.text()).await.ok().and_then(|text| text.as_string());
                let read = text.ok_or_else(|| "the browser could not read it".into());
                match read.and_then(|text| BenchmarkRun::read(&text)) {
                    Ok(runs) => self.keep_benchmarks(runs).await,
                    Err(reason) => self.refuse_benchmark(&file.name(), &reason),
                }
            }
        });
    }

    /// Bring in the runs that the address holds, which are not kept.
    pub fn open_benchmark_link(self, letters: &str) {
        match share::unpack(letters) {
            Ok(runs) => {
                self.state.benchmarks.chosen.set(Vec::new());
                self.state.benchmarks.choose(runs.iter().map(|run| run.id.clone()));
                self.state.benchmarks.add(runs);
            }
            Err(reason) => self.refuse_benchmark("The link", &reason),
        }
    }

    /// Bring in the comparison that ships with the app, which is not kept.
    pub fn open_benchmark_example(self) {
        let benchmarks = self.state.benchmarks;
        spawn_local(async move {
            let answer = gloo_net::http::Request::get(EXAMPLE).send().await.ok().filter(gloo_net::http::Response::ok);
            let text = match answer {
                Some(answer) => answer.text().await.map_err(|error| error.to_string()),
                None => Err("this site does not serve it".into()),
            };
            match text.and_then(|text| BenchmarkRun::read(&text)) {
                Ok(runs) => {
                    benchmarks.choose(runs.iter().map(|run| run.id.clone()));
                    benchmarks.add(runs);
                }
                Err(reason) => self.refuse_benchmark("The example", &reason),
            }
        });
    }

    fn refuse_benchmark(self, name: &str, reason: &str) {
        let failure = Failure {
            kind: FailureKind::Input,
            message: format!("{name} holds no benchmark: {reason}."),
            hint: "Choose a file that was saved here with \"Save as JSON\", or by `cargo xtask bench --browsers`."
                .into(),
        };
        self.state.alert(None, failure, Remedy::Nothing);
    }
}
