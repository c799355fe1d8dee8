//! The tasks as addresses (`#/speech`, `#/sentences/search`, …), so that a link opens the right one and the back button works.

use leptos::ev;
use leptos::prelude::*;

use super::state::work::Panel;
use crate::protocol::Task;

/// A tab of the bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// Speech to text.
    Speech,
    /// Sentences compared, searched, filled.
    Sentences,
    /// Text to text.
    Write,
    /// Pictures named.
    Pictures,
    /// Pictures and words.
    Match,
    /// How fast all of this is.
    Speed,
}

impl Tab {
    /// In the order of the bar.
    pub const ALL: [Tab; 6] = [Tab::Speech, Tab::Sentences, Tab::Write, Tab::Pictures, Tab::Match, Tab::Speed];

    /// The word on the tab.
    pub fn title(self) -> &'static str {
        match self {
            Tab::Speech => "Speech",
            Tab::Sentences => "Sentences",
            Tab::Write => "Write",
            Tab::Pictures => "Pictures",
            Tab::Match => "Match",
            Tab::Speed => "Speed",
        }
    }

    /// What can be done in it, in the order in which it is offered; the first is shown at first.
    pub fn views(self) -> &'static [View] {
        match self {
            Tab::Speech => &[View::Speech],
            Tab::Sentences => &[View::Rank, View::Search, View::Gap],
            Tab::Write => &[View::Write],
            Tab::Pictures => &[View::Pictures, View::Alike],
            Tab::Match => &[View::Labels, View::Find],
            Tab::Speed => &[View::Benchmark, View::Compare, View::Monitor],
        }
    }
}

/// What the page is showing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Speech to text.
    Speech,
    /// Sentences ranked.
    Rank,
    /// Passages of a text found.
    Search,
    /// Gaps filled.
    Gap,
    /// Text to text.
    Write,
    /// Pictures named.
    Pictures,
    /// Pictures compared with each other.
    Alike,
    /// Labels held against pictures.
    Labels,
    /// Pictures found by words.
    Find,
    /// This browser measured.
    Benchmark,
    /// Measurements compared.
    Compare,
    /// What happens now.
    Monitor,
}

impl View {
    /// Every view.
    pub const ALL: [View; 12] = [
        View::Speech,
        View::Rank,
        View::Search,
        View::Gap,
        View::Write,
        View::Pictures,
        View::Alike,
        View::Labels,
        View::Find,
        View::Benchmark,
        View::Compare,
        View::Monitor,
    ];

    /// The address.
    pub fn href(self) -> &'static str {
        match self {
            View::Speech => "#/speech",
            View::Rank => "#/sentences",
            View::Search => "#/sentences/search",
            View::Gap => "#/sentences/gap",
            View::Write => "#/write",
            View::Pictures => "#/pictures",
            View::Alike => "#/pictures/alike",
            View::Labels => "#/match",
            View::Find => "#/match/search",
            View::Benchmark => "#/speed",
            View::Compare => "#/speed/compare",
            View::Monitor => "#/speed/monitor",
        }
    }

    /// The words on its link inside the tab.
    pub fn title(self) -> &'static str {
        match self {
            View::Speech => "Speech to text",
            View::Rank => "Compare",
            View::Search => "Search a text",
            View::Gap => "Fill a gap",
            View::Write => "Text to text",
            View::Pictures => "Name",
            View::Alike => "Find alike",
            View::Labels => "Labels",
            View::Find => "Picture search",
            View::Benchmark => "Benchmark",
            View::Compare => "Compare",
            View::Monitor => "Monitor",
        }
    }

    /// The tab that it belongs to.
    pub fn tab(self) -> Tab {
        Tab::ALL.into_iter().find(|tab| tab.views().contains(&self)).unwrap_or(Tab::Speech)
    }

    /// The panel whose work it shows; speech has its own course, and measuring is no panel's.
    pub fn panel(self) -> Option<Panel> {
        match self {
            View::Speech | View::Benchmark | View::Compare | View::Monitor => None,
            View::Rank => Some(Panel::Rank),
            View::Search => Some(Panel::Search),
            View::Gap => Some(Panel::Gap),
            View::Write => Some(Panel::Write),
            View::Pictures => Some(Panel::Pictures),
            View::Alike => Some(Panel::Alike),
            View::Labels | View::Find => Some(Panel::Match),
        }
    }

    /// The task of the model that it uses.
    pub fn task(self) -> Task {
        self.panel().map_or(Task::SpeechToText, Panel::task)
    }

    /// Where a task's models are used.
    pub fn of_task(task: Task) -> View {
        View::ALL.into_iter().find(|view| view.task() == task).unwrap_or(View::Speech)
    }
}

/// The view that the address names; an address that names none is the first one's.
pub fn follow_address() -> Signal<View> {
    let view = RwSignal::new(from_address());
    let listening = window_event_listener(ev::hashchange, move |_| view.set(from_address()));
    on_cleanup(move || listening.remove());
    view.into()
}

/// Show this view.
pub fn open(view: View) {
    // A hash that is well formed is never refused.
    let _ = window().location().set_hash(view.href());
}

/// What the address names now.
pub fn from_address() -> View {
    let hash = window().location().hash().unwrap_or_default();
    // Links to the page as it once was.
    let hash = if hash == "#/text" { View::Rank.href() } else { hash.as_str() };
    // What follows is for the view that is named.
    let name = hash.split('?').next().unwrap_or_default();
    View::ALL.into_iter().find(|view| view.href() == name).unwrap_or(View::Speech)
}

/// What the address holds for its view: the part after `?NAME=`.
pub fn parameter(name: &str) -> Option<String> {
    let hash = window().location().hash().unwrap_or_default();
    let (_, rest) = hash.split_once('?')?;
    rest.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(String::from)
}
