//! Fill patterns: what is told apart by colour is told apart by hatching too, for eyes and printers that see no colours.

use plotters::style::RGBColor;

use super::scene::{Area, Shape, Sheet};

/// From one line to the next, across or down.
const STEP: f64 = 7.0;
/// From one dot to the next.
const DOT_STEP: f64 = 5.0;
/// Of a dot.
const RADIUS: f64 = 1.0;

/// Which lines or dots lie on a fill.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pattern {
    Plain,
    Rising,
    Dots,
    Falling,
    Level,
    Crossed,
    Upright,
}

/// One fewer than there are colours: both together come back only after the product of both.
const PATTERNS: [Pattern; 7] = [
    Pattern::Plain,
    Pattern::Rising,
    Pattern::Dots,
    Pattern::Falling,
    Pattern::Level,
    Pattern::Crossed,
    Pattern::Upright,
];

/// Fills an area as number `idx` of `n`.
pub type Fill = fn(&mut Sheet, Area, usize, usize);

/// With its colour alone.
pub fn plain(sheet: &mut Sheet, area: Area, idx: usize, n: usize) {
    sheet.rect(area, sheet.colours.among(idx, n));
}

/// With its colour, and thin lines or dots in a shade of it. The first is plain.
pub fn fill(sheet: &mut Sheet, area: Area, idx: usize, n: usize) {
    let colour = sheet.colours.among(idx, n);
    sheet.rect(area, colour);
    let shade = sheet.colours.shade_of(colour);
    match PATTERNS[idx % PATTERNS.len()] {
        Pattern::Plain => {}
        Pattern::Dots => dots(sheet, area, shade),
        Pattern::Rising => lines(sheet, area, shade, rising),
        Pattern::Falling => lines(sheet, area, shade, falling),
        Pattern::Level => lines(sheet, area, shade, level),
        Pattern::Upright => lines(sheet, area, shade, upright),
        Pattern::Crossed => {
            lines(sheet, area, shade, rising);
            lines(sheet, area, shade, falling);
        }
    }
}

/// Ends of a line, from the area's left upper corner.
type Line = [(f64, f64); 2];

/// Every line of a family that crosses the area. They are counted from its corner, so that areas of one series look alike.
fn lines(sheet: &mut Sheet, area: Area, stroke: RGBColor, family: fn(Area, f64) -> Option<Line>) {
    let reach = area.width + area.height;
    for k in (-reach / STEP).floor() as i64..=(reach / STEP).ceil() as i64 {
        if let Some(line) = family(area, (k as f64 + 0.5) * STEP) {
            sheet.path(line.map(|(x, y)| (area.left + x, area.top + y)).to_vec(), 1.0, stroke);
        }
    }
}

/// `x + y = at`
fn rising(area: Area, at: f64) -> Option<Line> {
    let (from, to) = ((at - area.height).max(0.0), at.min(area.width));
    (to - from > 0.5).then_some([(from, at - from), (to, at - to)])
}

/// `x - y = at`
fn falling(area: Area, at: f64) -> Option<Line> {
    let (from, to) = (at.max(0.0), (at + area.height).min(area.width));
    (to - from > 0.5).then_some([(from, from - at), (to, to - at)])
}

/// `y = at`
fn level(area: Area, at: f64) -> Option<Line> {
    let is_inside = at > 1.0 && at < area.height - 1.0 && area.width > 0.5;
    is_inside.then_some([(0.0, at), (area.width, at)])
}

/// `x = at`
fn upright(area: Area, at: f64) -> Option<Line> {
    let is_inside = at > 1.0 && at < area.width - 1.0;
    is_inside.then_some([(at, 0.0), (at, area.height)])
}

/// Dots in rows, every second one moved by half a step.
fn dots(sheet: &mut Sheet, area: Area, fill: RGBColor) {
    let places = |length: f64, first: f64| {
        let n = ((length - RADIUS - first) / DOT_STEP + 1.0).max(0.0) as usize;
        (0..n).map(move |k| first + k as f64 * DOT_STEP)
    };
    for (row, y) in places(area.height, DOT_STEP / 2.0).enumerate() {
        let first = if row % 2 == 0 { DOT_STEP / 2.0 } else { DOT_STEP };
        for x in places(area.width, first) {
            sheet.shapes.push(Shape::Disc { at: (area.left + x, area.top + y), radius: RADIUS, fill });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scene::Frame;
    use super::*;

    const AREA: Area = Area { left: 13.0, top: 27.5, width: 41.0, height: 16.0 };

    fn drawn(idx: usize, area: Area) -> Vec<Shape> {
        let mut sheet = Sheet::new(Frame { width: 400.0, ..Frame::default() });
        fill(&mut sheet, area, idx, 8);
        sheet.shapes
    }

    /// Everything that a shape touches.
    fn points(shape: &Shape) -> Vec<(f64, f64)> {
        match shape {
            Shape::Path { points, .. } => points.clone(),
            Shape::Disc { at, radius, .. } => vec![(at.0 - radius, at.1 - radius), (at.0 + radius, at.1 + radius)],
            Shape::Rect(area, _) => vec![(area.left, area.top), (area.left + area.width, area.top + area.height)],
            Shape::Text { .. } => Vec::new(),
        }
    }

    #[test]
    fn the_first_is_plain_and_the_others_differ() {
        let all: Vec<Vec<Shape>> = (0..PATTERNS.len()).map(|idx| drawn(idx, AREA)).collect();
        assert_eq!(all[0].len(), 1);
        let lines = |shapes: &[Shape]| shapes[1..].iter().map(points).collect::<Vec<_>>();
        for (idx, one) in all.iter().enumerate().skip(1) {
            assert!(one.len() > 2, "{:?} has {} shapes", PATTERNS[idx], one.len());
            assert!(all[idx + 1..].iter().all(|other| lines(one) != lines(other)), "{:?}", PATTERNS[idx]);
        }
    }

    #[test]
    fn patterns_stay_within_what_they_fill() {
        for (idx, pattern) in PATTERNS.iter().enumerate() {
            for area in [AREA, Area { width: 0.0, ..AREA }, Area { width: 1.0, ..AREA }] {
                let (right, bottom) = (area.left + area.width, area.top + area.height);
                for (x, y) in drawn(idx, area).iter().flat_map(points) {
                    let is_inside = (area.left - 1e-9..=right + 1e-9).contains(&x)
                        && (area.top - 1e-9..=bottom + 1e-9).contains(&y);
                    assert!(is_inside, "{pattern:?}: ({x}, {y}) is outside of {area:?}");
                }
            }
        }
    }
}
