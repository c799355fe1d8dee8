//! Grouped horizontal bars, each with its value at its end and its quartiles as a whisker.

use super::axis::{self, Axis};
use super::rows::Names;
use super::scene::{Anchor, Area, Mark, Sheet};
use super::text::{self, SIZE};
use super::{Bar, BarGroup, Unit, legend, noted, pattern};

/// Between a bar's end and its value.
const TO_LABEL: f64 = 6.0;

/// Lay out the bars.
pub fn lay_out(sheet: &mut Sheet, unit: Unit, series: &[String], groups: &[BarGroup]) {
    legend::write(sheet, series, pattern::fill);
    let names = Names::new(sheet, groups.iter().map(|group| group.name.as_str()));
    let left = names.plot_left(sheet);
    let bars = || groups.iter().flat_map(|group| &group.bars);
    let widest = bars().map(|bar| text::width(&unit.label(bar.value), SIZE)).fold(0.0, f64::max);
    let most = bars().map(end).fold(0.0, f64::max);
    let axis = Axis::new((0.0, most), (left, (sheet.right - widest - TO_LABEL).max(left + 20.0)));
    let is_grouped = groups.iter().any(|group| group.bars.len() > 1);
    let (thick, between) = if is_grouped { (16.0, 16.0) } else { (20.0, 10.0) };

    let (under, top) = (sheet.shapes.len(), sheet.y);
    for (idx, group) in groups.iter().enumerate() {
        let height = (thick + 2.0) * group.bars.len().max(1) as f64 - 2.0;
        let begin = names.write(sheet, idx, height);
        for (row, bar) in group.bars.iter().enumerate() {
            let of_series = if series.len() > 1 { series.get(bar.series).map(String::as_str) } else { None };
            let name = match of_series {
                Some(of_series) if group.name.is_empty() => of_series.to_string(),
                Some(of_series) => format!("{}, {of_series}", group.name),
                None => group.name.clone(),
            };
            let top = begin + row as f64 * (thick + 2.0);
            draw_bar(sheet, unit, &axis, bar, &name, (top, thick, series.len()));
        }
        sheet.y += between;
    }
    let bottom = sheet.y - between + 6.0;
    sheet.shapes.insert(under, axis::line(left, (top - 4.0, bottom), sheet.colours.line_strong));
    axis.draw_below(sheet, unit, under, (top - 4.0, bottom));
}

fn draw_bar(
    sheet: &mut Sheet,
    unit: Unit,
    axis: &Axis,
    bar: &Bar,
    name: &str,
    (top, thick, n_series): (f64, f64, usize),
) {
    let left = axis.at(0.0);
    let length = if bar.value.is_finite() { axis.at(bar.value.max(0.0)) - left } else { 0.0 };
    let shown = Area { left, top, width: length, height: thick };
    pattern::fill(sheet, shown, bar.series, n_series);
    let middle = top + thick / 2.0;
    if let Some((low, high)) = bar.spread.filter(|(low, high)| low.is_finite() && high.is_finite()) {
        whisker(sheet, (axis.at(low.max(0.0)), axis.at(high.max(0.0))), middle);
    }
    let x = axis.at(end(bar)) + TO_LABEL;
    sheet.text(unit.label(bar.value), (x, middle), Anchor::Start, sheet.colours.ink);
    let spread = bar.spread.map_or_else(String::new, |(low, high)| {
        format!(", half of all between {} and {}", unit.words(low), unit.words(high))
    });
    let words = noted(format!("{name}: {}{spread}", unit.words(bar.value)), &bar.note);
    let area = Area { left: sheet.left, top: top - 1.0, width: sheet.right - sheet.left, height: thick + 2.0 };
    sheet.marks.push(Mark { area, shown, words });
}

/// From the lower to the upper quartile, with ends; edged in the ground's colour, so that it shows on the bar as well.
fn whisker(sheet: &mut Sheet, (low, high): (f64, f64), middle: f64) {
    let ends = [
        vec![(low, middle), (high, middle)],
        vec![(low, middle - 3.0), (low, middle + 3.0)],
        vec![(high, middle - 3.0), (high, middle + 3.0)],
    ];
    for (thickness, stroke) in [(3.0, sheet.colours.ground), (1.0, sheet.colours.ink)] {
        ends.iter().for_each(|points| sheet.path(points.clone(), thickness, stroke));
    }
}

/// How far a bar and its whisker reach.
fn end(bar: &Bar) -> f64 {
    let upper = bar.spread.map_or(0.0, |(_, high)| high);
    [bar.value, upper].into_iter().filter(|value| value.is_finite()).fold(0.0, f64::max)
}
