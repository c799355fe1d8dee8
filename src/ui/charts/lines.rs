//! Lines over time or run number, each named at its end.

use plotters::style::RGBColor;

use super::axis::Axis;
use super::scene::{Anchor, Area, Mark, Shape, Sheet};
use super::text::{self, LINE, SIZE};
use super::{Line, Unit, legend, pattern};

/// What lies across.
pub struct X<'a> {
    /// What it is.
    pub title: &'a str,
    /// Its unit.
    pub unit: Unit,
    /// From and to; nothing where there are no points.
    pub range: Option<(f64, f64)>,
}

/// Between a line's end and its name.
const TO_NAME: f64 = 10.0;
/// Points closer than this share a mark.
const APART: f64 = 3.0;

/// Lay out the lines.
pub fn lay_out(sheet: &mut Sheet, unit: Unit, x: &X, lines: &[Line]) {
    let Some(range) = x.range else { return };
    let names = end_names(sheet, lines);
    let finite = lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y).filter(|y| y.is_finite());
    // Zero belongs to it: a change is judged against the whole.
    let values = finite.fold((0.0, 0.0), |(low, high): (f64, f64), y| (low.min(y), high.max(y)));
    let height = if sheet.is_narrow() { 190.0_f64 } else { 230.0 }.max(LINE * names.len() as f64);

    let top = sheet.y + LINE + 8.0;
    let y_axis = Axis::new(values, (top + height, top));
    let (ticks, y_name) = y_axis.ticks(unit, 6);
    sheet.text(y_name, (sheet.left, sheet.y + LINE / 2.0), Anchor::Start, sheet.colours.ink_soft);
    let tick_width = ticks.iter().map(|tick| text::width(&tick.label, SIZE)).fold(0.0, f64::max);
    let name_width = names.iter().map(|name| text::width(name, SIZE)).fold(0.0, f64::max);
    let left = sheet.left + tick_width + 8.0;
    let right = sheet.right - if name_width > 0.0 { name_width + TO_NAME } else { 6.0 };
    let x_axis = Axis::new(range, (left + 4.0, right));
    sheet.plot = (left + 4.0, right);

    for tick in &ticks {
        let at_zero = (tick.at - y_axis.at(0.0)).abs() < 0.5;
        let stroke = if at_zero { sheet.colours.line_strong } else { sheet.colours.line };
        sheet.path(vec![(left, tick.at), (right, tick.at)], 1.0, stroke);
        sheet.text(&tick.label, (left - 8.0, tick.at), Anchor::End, sheet.colours.ink_soft);
    }
    for (idx, line) in lines.iter().enumerate() {
        draw_line(sheet, line, (&x_axis, &y_axis), (left + 4.0, right), sheet.colours.among(idx, lines.len()));
        mark_points(sheet, unit, x, line, (&x_axis, &y_axis), range);
    }
    write_names(sheet, &names, lines, (&x_axis, &y_axis), (range, right));
    let under = sheet.shapes.len();
    x_axis.draw_below(sheet, x.unit, under, (top + height, top + height));
    if !x.title.is_empty() {
        for line in text::wrap(x.title, SIZE, right - left) {
            sheet.text(line, (right, sheet.y + LINE / 2.0), Anchor::End, sheet.colours.ink_soft);
            sheet.y += LINE;
        }
    }
}

/// What stands at the lines' ends: their names, or letters that a legend explains where names are too long.
fn end_names(sheet: &mut Sheet, lines: &[Line]) -> Vec<String> {
    let names: Vec<String> = lines.iter().map(|line| line.name.clone()).collect();
    let widest = names.iter().map(|name| text::width(name, SIZE)).fold(0.0, f64::max);
    if widest <= 0.28 * (sheet.right - sheet.left) {
        return names;
    }
    let letters: Vec<String> = (0..names.len()).map(|idx| char::from(b'A' + (idx % 26) as u8).to_string()).collect();
    if letters.len() < 2 {
        return vec![String::new(); letters.len()];
    }
    let explained: Vec<String> = letters.iter().zip(&names).map(|(letter, name)| format!("{letter} {name}")).collect();
    legend::write(sheet, &explained, pattern::plain);
    letters
}

/// The line within `left` and `right`: broken where a value is missing, cut where it leaves, few points for each pixel.
fn draw_line(sheet: &mut Sheet, line: &Line, (x, y): (&Axis, &Axis), (left, right): (f64, f64), stroke: RGBColor) {
    let places: Vec<(f64, f64)> = line.points.iter().map(|point| (x.at(point.0), y.at(point.1))).collect();
    let mut path: Vec<(f64, f64)> = Vec::new();
    let mut paths: Vec<Vec<(f64, f64)>> = Vec::new();
    for pair in places.windows(2) {
        match clipped((pair[0], pair[1]), (left, right)) {
            Some((from, to)) if path.last() == Some(&from) => path.push(to),
            Some((from, to)) => paths.push(std::mem::replace(&mut path, vec![from, to])),
            None => {}
        }
    }
    paths.push(path);
    for path in paths.into_iter().filter(|path| path.len() > 1) {
        sheet.path(thinned(path), 2.0, stroke);
    }
    let seen: Vec<(f64, f64)> =
        places.into_iter().filter(|(x, y)| (left - 0.5..=right + 0.5).contains(x) && y.is_finite()).collect();
    // Few points: each was measured, and is shown. Many: only where the line ends.
    let are_few = (seen.len() as f64) < (right - left) / 14.0;
    for (idx, at) in seen.iter().enumerate().filter(|(idx, _)| are_few || idx + 1 == seen.len()) {
        let radius = if idx + 1 == seen.len() { 3.5 } else { 2.5 };
        sheet.shapes.push(Shape::Disc { at: *at, radius, fill: stroke });
    }
}

type Segment = ((f64, f64), (f64, f64));

/// What of a segment lies between `left` and `right`.
fn clipped((from, to): Segment, (left, right): (f64, f64)) -> Option<Segment> {
    let all_known = [from.0, from.1, to.0, to.1].iter().all(|number| number.is_finite());
    if !all_known || to.0 < left || from.0 > right {
        return None;
    }
    let at = |x: f64| (x, from.1 + (to.1 - from.1) * (x - from.0) / (to.0 - from.0));
    let from_seen = if from.0 < left { at(left) } else { from };
    let to_seen = if to.0 > right { at(right) } else { to };
    Some((from_seen, to_seen))
}

/// Of all points in one column of pixels: the first, the lowest, the highest and the last.
fn thinned(path: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let mut kept = Vec::new();
    for column in path.chunk_by(|one, other| one.0.floor() == other.0.floor()) {
        if column.len() < 5 {
            kept.extend_from_slice(column);
            continue;
        }
        let by_y = |one: &&(f64, f64), other: &&(f64, f64)| one.1.total_cmp(&other.1);
        kept.push(column[0]);
        kept.extend(column.iter().min_by(by_y));
        kept.extend(column.iter().max_by(by_y));
        kept.push(column[column.len() - 1]);
    }
    kept
}

fn mark_points(
    sheet: &mut Sheet,
    unit: Unit,
    x: &X,
    line: &Line,
    (x_axis, y_axis): (&Axis, &Axis),
    (from, to): (f64, f64),
) {
    let mut last = f64::NEG_INFINITY;
    for (at, value) in line.points.iter().filter(|(at, value)| (from..=to).contains(at) && value.is_finite()) {
        let place = (x_axis.at(*at), y_axis.at(*value));
        if place.0 - last < APART {
            continue;
        }
        last = place.0;
        let area =
            |half: f64| Area { left: place.0 - half, top: place.1 - half, width: 2.0 * half, height: 2.0 * half };
        let name = if line.name.is_empty() { String::new() } else { format!("{}, ", line.name) };
        let words = format!("{name}{} {}: {}", x.title, x.unit.words(*at), unit.words(*value));
        sheet.marks.push(Mark { area: area(6.0), shown: area(4.0), words });
    }
}

/// The names beside the ends, moved apart where they would touch.
fn write_names(
    sheet: &mut Sheet,
    names: &[String],
    lines: &[Line],
    (x, y): (&Axis, &Axis),
    (range, right): ((f64, f64), f64),
) {
    let in_view = |line: &Line| {
        let known = |(at, value): &&(f64, f64)| (range.0..=range.1).contains(at) && value.is_finite();
        line.points.iter().rev().find(known).copied()
    };
    let mut ends: Vec<(usize, f64)> =
        lines.iter().enumerate().filter_map(|(idx, line)| Some((idx, y.at(in_view(line)?.1)))).collect();
    ends.sort_by(|one, other| one.1.total_cmp(&other.1));
    let middles = apart(&ends.iter().map(|(_, middle)| *middle).collect::<Vec<_>>(), y.at(0.0));
    for ((idx, _), middle) in ends.iter().zip(middles) {
        let colour = sheet.colours.ink;
        sheet.text(&names[*idx], (x.at(range.1).min(right) + TO_NAME, middle), Anchor::Start, colour);
    }
}

/// Rising places, moved so that each has a line's height, none below `lowest`.
fn apart(places: &[f64], lowest: f64) -> Vec<f64> {
    let mut moved: Vec<f64> = Vec::new();
    for place in places {
        moved.push(moved.last().map_or(*place, |above| place.max(above + LINE)));
    }
    let mut limit = lowest.max(places.last().copied().unwrap_or(lowest));
    for place in moved.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - LINE;
    }
    moved
}
