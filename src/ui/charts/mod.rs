//! Charts as data: bars, stacks, lines and timelines, drawn on canvas, as SVG and as a table.
//!
//! A panel fills a [`Chart`]. [`scene`] lays it out as shapes and marks, without a browser; [`draw`] paints these on
//! any backend of plotters; `view` shows them in the page with tooltip, keyboard, zoom and downloads.

mod axis;
mod bars;
pub mod draw;
mod legend;
mod lines;
mod pattern;
mod rows;
pub mod scene;
mod stack;
mod table;
mod text;
pub mod theme;
mod timeline;
mod unit;
#[cfg(target_arch = "wasm32")]
mod view;
pub mod zoom;

pub use table::Table;
pub use theme::Theme;
pub use unit::Unit;
#[cfg(target_arch = "wasm32")]
pub use view::ChartView;

/// What is shown, and what its numbers are.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Chart {
    /// What it says, as a headline.
    pub title: String,
    /// The unit of its values.
    pub unit: Unit,
    /// The numbers, in the form that suits them.
    pub kind: Kind,
}

/// The forms of a chart.
#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    /// Grouped horizontal bars: in each group one bar for each series that has a value.
    Bars {
        /// The names of the series, for the legend.
        series: Vec<String>,
        /// The groups, from top to bottom.
        groups: Vec<BarGroup>,
    },
    /// Stacked horizontal bars: the parts of each row one after the other.
    Stack {
        /// The names of the parts, for the legend.
        parts: Vec<String>,
        /// The rows, from top to bottom.
        rows: Vec<StackRow>,
    },
    /// Values over x (time or run number).
    Lines {
        /// What x is.
        x_title: String,
        /// The unit of x.
        x_unit: Unit,
        /// The lines.
        lines: Vec<Line>,
    },
    /// Spans on lanes over time, that can be zoomed: dispatches, phases of a load.
    Timeline {
        /// The names of the lanes, from top to bottom.
        lanes: Vec<String>,
        /// The spans, in any order.
        spans: Vec<Span>,
    },
}

impl Default for Kind {
    fn default() -> Self {
        Self::Bars { series: Vec::new(), groups: Vec::new() }
    }
}

/// Bars that belong together.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct BarGroup {
    /// What they have in common.
    pub name: String,
    /// One for each series that has a value.
    pub bars: Vec<Bar>,
}

/// One measured value.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Bar {
    /// Which series it belongs to.
    pub series: usize,
    /// The value, in the unit of the chart.
    pub value: f64,
    /// Its lower and upper quartile, where it is the median of several.
    pub spread: Option<(f64, f64)>,
    /// What else there is to say; may be empty.
    pub note: String,
}

/// A whole and its parts.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct StackRow {
    /// What the whole is.
    pub name: String,
    /// One value for each part of the chart.
    pub values: Vec<f64>,
    /// What else there is to say; may be empty.
    pub note: String,
}

/// One line.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Line {
    /// What it follows.
    pub name: String,
    /// Pairs of x and value, x rising.
    pub points: Vec<(f64, f64)>,
}

/// Something that takes time. Start and length are in the unit of the chart.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Span {
    /// Which lane it lies on.
    pub lane: usize,
    /// What it is.
    pub name: String,
    /// When it begins.
    pub start: f64,
    /// How long it takes.
    pub length: f64,
    /// What else there is to say; may be empty.
    pub note: String,
}

impl Chart {
    /// Its exact numbers, for people.
    pub fn table(&self) -> Table {
        Table::of(self, table::readable)
    }

    /// Its exact numbers, for programs.
    pub fn csv(&self) -> String {
        Table::of(self, |value| value.to_string()).csv()
    }

    /// The picture as a file of its own, with its title, `width` pixels wide.
    pub fn svg(&self, width: u32, theme: Theme) -> String {
        let frame = scene::Frame { width: f64::from(width), theme, titled: true };
        draw::svg(&scene::scene(self, frame, zoom::View::default(), None))
    }

    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.n_values() == 0
    }

    /// Whether it is worth looking at a part of it.
    pub fn zooms(&self) -> bool {
        match &self.kind {
            Kind::Timeline { .. } => true,
            Kind::Lines { lines, .. } => lines.iter().any(|line| line.points.len() > 40),
            Kind::Bars { .. } | Kind::Stack { .. } => false,
        }
    }

    /// What it is, in a sentence for those who do not see it.
    pub fn described(&self) -> String {
        let form = match &self.kind {
            Kind::Bars { .. } => "Bar chart",
            Kind::Stack { .. } => "Stacked bars",
            Kind::Lines { .. } => "Line chart",
            Kind::Timeline { .. } => "Timeline",
        };
        let n_values = crate::ui::format::count(self.n_values().min(u32::MAX as usize) as u32);
        let values = if self.n_values() == 1 { "value" } else { "values" };
        format!("{}. {form}, {n_values} {values}. Arrow keys go through them.", self.title)
    }

    /// What x, or time, extends over.
    pub fn extent(&self) -> Option<(f64, f64)> {
        let ends: Vec<(f64, f64)> = match &self.kind {
            Kind::Timeline { spans, .. } => spans.iter().map(|span| (span.start, span.start + span.length)).collect(),
            Kind::Lines { lines, .. } => lines.iter().flat_map(|line| &line.points).map(|(x, _)| (*x, *x)).collect(),
            Kind::Bars { .. } | Kind::Stack { .. } => Vec::new(),
        };
        let finite = ends.into_iter().filter(|(from, to)| from.is_finite() && to.is_finite());
        finite.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
    }

    /// The unit of x, or of time.
    pub fn x_unit(&self) -> Unit {
        match &self.kind {
            Kind::Lines { x_unit, .. } => *x_unit,
            Kind::Bars { .. } | Kind::Stack { .. } | Kind::Timeline { .. } => self.unit,
        }
    }

    fn n_values(&self) -> usize {
        match &self.kind {
            Kind::Bars { groups, .. } => groups.iter().map(|group| group.bars.len()).sum(),
            Kind::Stack { rows, .. } => rows.iter().map(|row| row.values.len()).sum(),
            Kind::Lines { lines, .. } => lines.iter().map(|line| line.points.len()).sum(),
            Kind::Timeline { spans, .. } => spans.len(),
        }
    }
}

/// `words` and, after a full stop, `note` where there is one.
fn noted(words: String, note: &str) -> String {
    if note.is_empty() { words } else { format!("{words}. {note}") }
}

#[cfg(test)]
mod tests;
