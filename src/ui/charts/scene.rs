//! A chart laid out: shapes to draw, and marks to point at. Needs no browser.

use plotters::style::RGBColor;

use super::theme::{Colours, Theme};
use super::zoom::View;
use super::{Chart, Kind, bars, lines, stack, text, timeline};

/// What a chart is laid out for.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Frame {
    /// How wide, in pixels.
    pub width: f64,
    /// In which colours.
    pub theme: Theme,
    /// Whether it stands alone, with its title in it and room around it.
    pub titled: bool,
}

/// A chart laid out.
#[derive(Clone, PartialEq, Debug)]
pub struct Scene {
    /// How wide, in pixels.
    pub width: f64,
    /// How high it became.
    pub height: f64,
    /// From where to where x goes, across; all of it where there is no x.
    pub plot: (f64, f64),
    /// What it lies on.
    pub ground: RGBColor,
    /// What to draw, in this order.
    pub shapes: Vec<Shape>,
    /// What can be pointed at, in the order of reading.
    pub marks: Vec<Mark>,
}

/// A rectangle, in pixels.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Area {
    /// Its left edge.
    pub left: f64,
    /// Its upper edge.
    pub top: f64,
    /// How wide.
    pub width: f64,
    /// How high.
    pub height: f64,
}

/// Which end of a text is at its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Anchor {
    /// Its left end.
    Start,
    /// Its middle.
    Middle,
    /// Its right end.
    End,
}

/// Something to draw.
#[derive(Clone, PartialEq, Debug)]
pub enum Shape {
    /// A filled rectangle.
    Rect(Area, RGBColor),
    /// A line through points.
    Path {
        /// The points.
        points: Vec<(f64, f64)>,
        /// How thick.
        thickness: f64,
        /// In which colour.
        stroke: RGBColor,
    },
    /// A filled circle.
    Disc {
        /// Its middle.
        at: (f64, f64),
        /// Its radius.
        radius: f64,
        /// In which colour.
        fill: RGBColor,
    },
    /// One line of text.
    Text {
        /// The words.
        words: String,
        /// Where: `anchor` across, the middle of the line down.
        at: (f64, f64),
        /// What of it is there.
        anchor: Anchor,
        /// The size of the font.
        size: f64,
        /// Whether bold.
        bold: bool,
        /// In which colour.
        fill: RGBColor,
    },
}

/// Something that can be pointed at, by mouse, finger or key.
#[derive(Clone, PartialEq, Debug)]
pub struct Mark {
    /// Where pointing means it.
    pub area: Area,
    /// What to outline while it is meant.
    pub shown: Area,
    /// What it says.
    pub words: String,
}

impl Area {
    /// How far a point is from it: zero inside.
    fn distance(&self, (x, y): (f64, f64)) -> f64 {
        let across = (self.left - x).max(x - self.left - self.width).max(0.0);
        let down = (self.top - y).max(y - self.top - self.height).max(0.0);
        across.hypot(down)
    }

    /// Its middle.
    pub fn middle(&self) -> (f64, f64) {
        (self.left + self.width / 2.0, self.top + self.height / 2.0)
    }
}

impl Scene {
    /// The mark that is meant by pointing there.
    pub fn mark_at(&self, at: (f64, f64)) -> Option<usize> {
        let from = |mark: &Mark| {
            let middle = mark.area.middle();
            (mark.area.distance(at), (middle.0 - at.0).hypot(middle.1 - at.1))
        };
        let near = self.marks.iter().map(from).enumerate().filter(|(_, (distance, _))| *distance <= 12.0);
        let nearest = near.min_by(|(_, one), (_, other)| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
        nearest.map(|(idx, _)| idx)
    }
}

/// Lay out `chart`: the part that `view` looks at, with mark number `focus` outlined.
pub fn scene(chart: &Chart, frame: Frame, view: View, focus: Option<usize>) -> Scene {
    let mut sheet = Sheet::new(frame);
    if frame.titled {
        sheet.title(&chart.title);
    }
    match &chart.kind {
        Kind::Bars { series, groups } => bars::lay_out(&mut sheet, chart.unit, series, groups),
        Kind::Stack { parts, rows } => stack::lay_out(&mut sheet, chart.unit, parts, rows),
        Kind::Lines { x_title, x_unit, lines } => {
            let x = lines::X { title: x_title, unit: *x_unit, range: chart.extent().map(|extent| view.of(extent)) };
            lines::lay_out(&mut sheet, chart.unit, &x, lines);
        }
        Kind::Timeline { lanes, spans } => {
            let range = chart.extent().map(|extent| view.of(extent)).unwrap_or_default();
            timeline::lay_out(&mut sheet, chart.unit, range, lanes, spans);
        }
    }
    sheet.finish(focus)
}

/// A scene in the making: layouts write on it from top to bottom.
pub(super) struct Sheet {
    pub shapes: Vec<Shape>,
    pub marks: Vec<Mark>,
    pub colours: &'static Colours,
    /// Where layouts may begin and must end, across.
    pub left: f64,
    pub right: f64,
    /// How far it is filled, down.
    pub y: f64,
    /// From where to where x goes, across.
    pub plot: (f64, f64),
    frame: Frame,
    margin: f64,
}

impl Sheet {
    pub(super) fn new(frame: Frame) -> Self {
        // Enough for an outline; more where the picture stands alone.
        let margin = if frame.titled { 16.0 } else { 3.0 };
        let (left, right) = (margin, (frame.width - margin).max(margin + 60.0));
        let colours = frame.theme.colours();
        Self {
            shapes: Vec::new(),
            marks: Vec::new(),
            colours,
            left,
            right,
            y: margin,
            plot: (left, right),
            frame,
            margin,
        }
    }

    /// Whether names go above what they name.
    pub fn is_narrow(&self) -> bool {
        self.right - self.left < 460.0
    }

    fn title(&mut self, title: &str) {
        const TITLE: f64 = 15.0;
        // Bold letters are wider.
        for line in text::wrap(title, TITLE * 1.1, self.right - self.left) {
            let at = (self.left, self.y + 10.0);
            let fill = self.colours.ink;
            self.shapes.push(Shape::Text { words: line, at, anchor: Anchor::Start, size: TITLE, bold: true, fill });
            self.y += 20.0;
        }
        self.y += 8.0;
    }

    /// Write a label.
    pub fn text(&mut self, words: impl Into<String>, at: (f64, f64), anchor: Anchor, fill: RGBColor) {
        self.shapes.push(Shape::Text { words: words.into(), at, anchor, size: text::SIZE, bold: false, fill });
    }

    /// Fill a rectangle.
    pub fn rect(&mut self, area: Area, fill: RGBColor) {
        self.shapes.push(Shape::Rect(area, fill));
    }

    /// Draw a line.
    pub fn path(&mut self, points: Vec<(f64, f64)>, thickness: f64, stroke: RGBColor) {
        self.shapes.push(Shape::Path { points, thickness, stroke });
    }

    fn finish(mut self, focus: Option<usize>) -> Scene {
        if let Some(mark) = focus.and_then(|idx| self.marks.get(idx)) {
            let Area { left, top, width, height } = mark.shown;
            let (left, top, right, bottom) = (left - 1.0, top - 1.0, left + width + 1.0, top + height + 1.0);
            let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
            // A line in the ground's colour first, so that the outline shows on bars of any colour.
            self.path(corners.clone(), 5.0, self.colours.ground);
            self.path(corners, 2.0, self.colours.ink);
        }
        let height = (self.y + self.margin).ceil();
        let Self { shapes, marks, colours, frame, plot, .. } = self;
        Scene { width: frame.width, height, plot, ground: colours.ground, shapes, marks }
    }
}
