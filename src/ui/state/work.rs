//! Where the work of a panel stands: one text or picture, or many in pieces, asked of one model.

use leptos::prelude::*;

use crate::protocol::{Event, FailureKind, JobId, LoadPhase, Task};

/// What asks a model something. Speech has its own, richer course: see [`super::speech`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Panel {
    /// Sentences ranked by meaning.
    Rank,
    /// Passages of a long text found by meaning.
    Search,
    /// Words for a gap.
    Gap,
    /// Text to text.
    Write,
    /// Pictures named.
    Pictures,
    /// Pictures compared with each other.
    Alike,
    /// Pictures and texts compared.
    Match,
}

impl Panel {
    /// Every panel.
    pub const ALL: [Panel; 7] =
        [Panel::Rank, Panel::Search, Panel::Gap, Panel::Write, Panel::Pictures, Panel::Alike, Panel::Match];

    /// The task of the model that it asks.
    pub fn task(self) -> Task {
        match self {
            Panel::Rank | Panel::Search => Task::TextEmbedding,
            Panel::Gap => Task::FillMask,
            Panel::Write => Task::TextToText,
            Panel::Pictures => Task::ImageClassification,
            Panel::Alike => Task::ImageFeatures,
            Panel::Match => Task::ImageText,
        }
    }
}

// Their work lies in the order of the list: a panel that it lacks would have none.
const _: () = assert!(Panel::ALL.len() == Panel::Match as usize + 1);

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Nothing was asked yet.
    #[default]
    Idle,
    /// What was asked is kept until the model is ready.
    WaitingForModel,
    /// The engine works on it.
    Working,
    /// All is answered.
    Done,
    /// The visitor stopped it; what was finished stays.
    Cancelled,
    /// It failed; the alerts say why.
    Failed,
}

/// Jobs of a panel that are under way at once: while one is computed, the next waits in the engine.
pub const JOBS_AT_ONCE: usize = 2;

/// A job under way.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Hand {
    job: JobId,
    /// Its inputs that are done.
    done: u32,
}

/// The work of a panel.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Work {
    /// Where it stands.
    pub phase: Phase,
    /// Counts up with each start: work that was begun earlier finds out that it is no longer wanted.
    pub run: u32,
    /// The jobs under way.
    hands: [Option<Hand>; JOBS_AT_ONCE],
    /// Inputs of jobs that are done.
    before: u32,
    /// Inputs among those that the model could not read.
    pub refused: u32,
    /// Inputs in all.
    pub total: u32,
    /// What is being done to bring the model onto another backend, while that goes on.
    pub reload: Option<LoadPhase>,
    /// Milliseconds that all of it took, once it is done.
    pub total_ms: f64,
}

impl Work {
    /// Whether something is under way that can be cancelled.
    pub fn is_busy(&self) -> bool {
        matches!(self.phase, Phase::WaitingForModel | Phase::Working)
    }

    /// Inputs that are done.
    pub fn done(&self) -> u32 {
        let within: u32 = self.hands.iter().flatten().map(|hand| hand.done).sum();
        (self.before + within).min(self.total)
    }

    /// Work on `total` inputs begins.
    pub fn begin(&mut self, total: u32) {
        *self = Work { phase: Phase::Working, run: self.run + 1, total, ..Work::default() };
    }

    /// What was asked waits for the model.
    pub fn wait(&mut self) {
        *self = Work { phase: Phase::WaitingForModel, run: self.run + 1, ..Work::default() };
    }

    /// It ends in `phase`.
    pub fn end(&mut self, phase: Phase) {
        self.before = self.done();
        (self.phase, self.hands, self.reload) = (phase, Default::default(), None);
    }

    /// `job` is under way.
    pub fn take_on(&mut self, job: JobId) {
        if let Some(free) = self.hands.iter_mut().find(|hand| hand.is_none()) {
            *free = Some(Hand { job, done: 0 });
        }
    }

    /// `job` is over; so many inputs are done with it.
    pub fn put_by(&mut self, job: JobId, n_inputs: usize) {
        self.hands.iter_mut().filter(|hand| hand.is_some_and(|hand| hand.job == job)).for_each(|hand| *hand = None);
        self.before += n_inputs as u32;
    }

    /// Whether this job is under way here.
    fn owns(&self, job: JobId) -> bool {
        self.hands.iter().flatten().any(|hand| hand.job == job)
    }

    /// Take in what the engine said of a job under way.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::LoadProgress { progress, .. } => self.reload = Some(progress.phase),
            Event::Moved { .. } => self.reload = None,
            Event::BatchProgress { job, done, .. } => {
                self.reload = None;
                self.hands.iter_mut().flatten().filter(|hand| hand.job == *job).for_each(|hand| hand.done = *done);
            }
            Event::Failed { failure, .. } if failure.kind == FailureKind::Cancelled => self.end(Phase::Cancelled),
            Event::Failed { .. } => self.end(Phase::Failed),
            _ => {}
        }
    }
}

/// The work of every panel.
#[derive(Debug, Clone, Copy)]
pub struct Works([RwSignal<Work>; Panel::ALL.len()]);

impl Default for Works {
    fn default() -> Self {
        Self(Panel::ALL.map(|_| RwSignal::default()))
    }
}

impl Works {
    /// Of this panel.
    pub fn of(&self, panel: Panel) -> RwSignal<Work> {
        self.0[panel as usize]
    }

    /// The panel whose job this is.
    pub fn owner(&self, job: JobId) -> Option<Panel> {
        Panel::ALL.into_iter().find(|panel| self.of(*panel).with_untracked(|work| work.owns(job)))
    }
}
