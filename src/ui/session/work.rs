//! The work of the panels: what is asked goes to the engine in jobs, two of them under way, so that it never waits for the page. What one
//! input has wrong is that input's own affair; the others go on.

use std::collections::VecDeque;
use std::ops::Range;

use leptos::prelude::*;

use super::Session;
use crate::protocol::{Event, Failure, FailureKind, JobId};
use crate::ui::clock::now_ms;
use crate::ui::jobs::{Queue, Sizes};
use crate::ui::platform::{Pending, Pipeline};
use crate::ui::state::work::{JOBS_AT_ONCE, Panel, Phase, Work};
use crate::ui::state::{Engine, Remedy};

/// So many inputs that fail with the same words, before any other was answered, are no matter of the inputs.
const SAME_FAILURES: usize = 3;

/// Work on several inputs of one kind.
#[derive(Clone, Copy)]
pub(super) struct Batch {
    /// Whose.
    pub panel: Panel,
    /// The number of the run, from [`Session::begin`].
    pub run: u32,
    /// Of its jobs.
    pub sizes: Sizes,
}

impl Session {
    /// Do what this panel asks for, from what its signals hold.
    pub fn run(self, panel: Panel) {
        self.state.alerts.update(|alerts| alerts.retain(|alert| alert.remedy != Remedy::Run(panel)));
        match panel {
            Panel::Rank => self.compare(),
            Panel::Search => self.search(),
            Panel::Gap => self.fill(),
            Panel::Write => self.write(),
            Panel::Pictures => self.name_pictures(),
            Panel::Alike => self.compare_pictures(),
            Panel::Match => self.match_pictures(),
        }
    }

    /// Stop what this panel asked for. What is finished stays.
    pub fn cancel(self, panel: Panel) {
        let work = self.state.work(panel);
        if work.with_untracked(Work::is_busy) {
            self.cancel_jobs(panel);
            work.update(|work| work.end(Phase::Cancelled));
        }
    }

    fn cancel_jobs(self, panel: Panel) {
        let cancellers = std::mem::take(&mut self.inner().work.borrow_mut()[panel as usize]);
        cancellers.iter().for_each(|canceller| canceller.cancel());
    }

    /// The model that this panel asks. Where it is not there it is loaded, and the panel waits for it; where none is chosen
    /// there is nothing to wait for, which the panel's status says.
    pub(super) fn model_for(self, panel: Panel) -> Option<Pipeline> {
        let (state, task, work) = (self.state, panel.task(), self.state.work(panel));
        if let Some(pipeline) = self.loaded_as_chosen(task) {
            return Some(pipeline);
        }
        if untrack(|| state.chosen(task)).is_some() {
            work.update(Work::wait);
            self.load(task);
        } else if state.engine.get_untracked() == Engine::Starting {
            // Which models there are is not known yet.
            work.update(Work::wait);
        } else {
            work.update(|work| work.end(Phase::Idle));
        }
        None
    }

    /// Begin work on so many inputs; gives the number of the run.
    pub(super) fn begin(self, panel: Panel, n_inputs: usize) -> u32 {
        let work = self.state.work(panel);
        work.update(|work| work.begin(n_inputs as u32));
        work.with_untracked(|work| work.run)
    }

    /// Whether no other run has taken the place of this one.
    pub(super) fn is_of_run(self, panel: Panel, run: u32) -> bool {
        self.state.work(panel).with_untracked(|work| work.run == run)
    }

    fn is_current(self, panel: Panel, run: u32) -> bool {
        self.state.work(panel).with_untracked(|work| work.run == run && work.phase == Phase::Working)
    }

    /// Wait for one job of a run, of so many inputs. `None` where it gives nothing, which has been said by then, or where the run has been
    /// cancelled or replaced meanwhile.
    pub(super) async fn follow<T>(
        self,
        panel: Panel,
        run: u32,
        n_inputs: usize,
        pending: Result<Pending<T>, Failure>,
    ) -> Option<T> {
        let pending = self.take_on(panel, pending)?;
        let job = pending.canceller.job;
        // `State::apply` has said why a job failed.
        let result = pending.result().await.ok().filter(|_| self.is_current(panel, run))?;
        self.put_by(panel, job, n_inputs);
        Some(result)
    }

    /// Note a job that was sent, or why it could not be.
    fn take_on<T>(self, panel: Panel, pending: Result<Pending<T>, Failure>) -> Option<Pending<T>> {
        match pending {
            Ok(pending) => {
                self.state.work(panel).update(|work| work.take_on(pending.canceller.job));
                self.inner().work.borrow_mut()[panel as usize].push(pending.canceller.clone());
                Some(pending)
            }
            Err(failure) => {
                self.fail(panel, failure);
                None
            }
        }
    }

    fn fail(self, panel: Panel, failure: Failure) {
        self.cancel_jobs(panel);
        self.state.work(panel).update(|work| work.end(Phase::Failed));
        self.state.alert(panel.task(), failure, Remedy::Run(panel));
    }

    /// `job` is over; so many inputs are done with it.
    fn put_by(self, panel: Panel, job: JobId, n_inputs: usize) {
        self.state.work(panel).update(|work| work.put_by(job, n_inputs));
        self.inner().work.borrow_mut()[panel as usize].retain(|canceller| canceller.job != job);
    }

    /// Ask about all of these inputs in jobs. `ask` sends the job for some of them and hands on what the engine says of it; `take` gets
    /// the answer, or why a single one could not be read. `None` where the run ends before that: cancelled, replaced, or failed, which has
    /// been said by then.
    pub(super) async fn in_jobs<P, T>(
        self,
        batch: Batch,
        inputs: &[P],
        ask: impl Fn(&[P], OnEvent) -> Result<Pending<T>, Failure>,
        mut take: impl FnMut(&[P], Result<T, String>),
    ) -> Option<()> {
        let Batch { panel, run, sizes } = batch;
        let mut queue = Queue::new(inputs.len(), sizes);
        let mut under_way: VecDeque<(Range<usize>, Pending<T>)> = VecDeque::new();
        let mut refusals = Refusals::default();
        let mut last_ms = now_ms();
        loop {
            while under_way.len() < JOBS_AT_ONCE
                && let Some(job) = queue.next()
            {
                let pending = ask(&inputs[job.clone()], self.hearing());
                under_way.push_back((job, self.take_on(panel, pending)?));
            }
            let Some((job, pending)) = under_way.pop_front() else { break };
            let id = pending.canceller.job;
            let answer = pending.result().await;
            if !self.is_current(panel, run) {
                self.leave(panel, run);
                return None;
            }
            match answer {
                Ok(answer) => {
                    refusals.is_any_read = true;
                    queue.learn(job.len(), now_ms() - last_ms);
                    self.put_by(panel, id, job.len());
                    take(&inputs[job], Ok(answer));
                }
                // The model went away under the job: no input is to blame for that.
                Err(failure) if self.loaded_as_chosen(panel.task()).is_none() => {
                    self.fail(panel, failure);
                    return None;
                }
                Err(_) if queue.halve(job.clone()) => self.put_by(panel, id, 0),
                Err(failure) => {
                    self.put_by(panel, id, 1);
                    refusals.all.push((job.start, failure));
                    if let Some(failure) = refusals.is_about_all() {
                        self.fail(panel, failure);
                        return None;
                    }
                }
            }
            last_ms = now_ms();
        }
        self.state.work(panel).update(|work| work.refused += refusals.all.len() as u32);
        for (n, failure) in refusals.all {
            take(&inputs[n..=n], Err(failure.message));
        }
        Some(())
    }

    /// Hands on what the engine says of a job of several inputs: that one of them cannot be read is no failure of the whole.
    fn hearing(self) -> OnEvent {
        let state = self.state;
        Box::new(move |event| {
            if !matches!(event, Event::Failed { failure, .. } if failure.kind == FailureKind::Input) {
                state.apply(event);
            }
        })
    }

    /// A run that is no longer wanted, or that failed, leaves nothing under way.
    fn leave(self, panel: Panel, run: u32) {
        if self.is_of_run(panel, run) {
            self.cancel_jobs(panel);
        }
    }

    /// The run has done all that was asked, in so many milliseconds.
    pub(super) fn finish(self, panel: Panel, total_ms: f64) {
        self.state.work(panel).update(|work| {
            work.end(Phase::Done);
            work.total_ms = total_ms;
        });
    }
}

/// Hears what the engine says of a job.
pub(super) type OnEvent = Box<dyn Fn(&Event)>;

/// The inputs of a run that could not be read.
#[derive(Default)]
struct Refusals {
    all: Vec<(usize, Failure)>,
    /// Whether another one could.
    is_any_read: bool,
}

impl Refusals {
    /// Why nothing can be read at all, where it looks like that.
    fn is_about_all(&self) -> Option<Failure> {
        let (_, first) = self.all.first()?;
        let is_same = self.all.len() >= SAME_FAILURES && self.all.iter().all(|(_, other)| other == first);
        (is_same && !self.is_any_read).then(|| first.clone())
    }
}
