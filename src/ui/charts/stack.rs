//! Stacked horizontal bars: the parts of a whole one after the other, with their values in them where there is room.

use super::axis::{self, Axis};
use super::rows::Names;
use super::scene::{Anchor, Area, Mark, Sheet};
use super::text::{self, SIZE};
use super::{StackRow, Unit, legend, noted, pattern};

const THICK: f64 = 24.0;
const BETWEEN: f64 = 12.0;
const TO_LABEL: f64 = 6.0;

/// Lay out the rows.
pub fn lay_out(sheet: &mut Sheet, unit: Unit, parts: &[String], rows: &[StackRow]) {
    legend::write(sheet, parts, pattern::fill);
    let names = Names::new(sheet, rows.iter().map(|row| row.name.as_str()));
    let left = names.plot_left(sheet);
    let widest = rows.iter().map(|row| text::width(&unit.label(total(row)), SIZE)).fold(0.0, f64::max);
    let most = rows.iter().map(total).fold(0.0, f64::max);
    let axis = Axis::new((0.0, most), (left, (sheet.right - widest - TO_LABEL).max(left + 20.0)));

    let (under, top) = (sheet.shapes.len(), sheet.y);
    for (idx, row) in rows.iter().enumerate() {
        let begin = names.write(sheet, idx, THICK);
        draw_row(sheet, unit, &axis, (parts, row), begin);
        sheet.y += BETWEEN;
    }
    let bottom = sheet.y - BETWEEN + 6.0;
    sheet.shapes.insert(under, axis::line(left, (top - 4.0, bottom), sheet.colours.line_strong));
    axis.draw_below(sheet, unit, under, (top - 4.0, bottom));
}

fn draw_row(sheet: &mut Sheet, unit: Unit, axis: &Axis, (parts, row): (&[String], &StackRow), top: f64) {
    let whole = total(row);
    let middle = top + THICK / 2.0;
    let mut before = 0.0;
    for (idx, value) in row.values.iter().copied().enumerate().filter(|(_, value)| counts(*value)) {
        let (from, to) = (axis.at(before), axis.at(before + value));
        before += value;
        // A gap of a pixel keeps neighbours apart, whatever their colours.
        let gap = if to - from > 3.0 { 1.0 } else { 0.0 };
        let shown = Area { left: from, top, width: to - from - gap, height: THICK };
        pattern::fill(sheet, shown, idx, parts.len());
        let label = unit.label(value);
        if text::width(&label, SIZE) + 8.0 <= shown.width && row.values.len() > 1 {
            let ink = sheet.colours.ink_on(sheet.colours.among(idx, parts.len()));
            sheet.text(label, (shown.middle().0, middle), Anchor::Middle, ink);
        }
        let part = parts.get(idx).map_or("", String::as_str);
        let share = Unit::Percent.words(100.0 * value / whole);
        let words = noted(format!("{}, {part}: {}, {share} of the whole", row.name, unit.words(value)), &row.note);
        let area = Area { top: top - BETWEEN / 2.0, height: THICK + BETWEEN, ..shown };
        sheet.marks.push(Mark { area, shown, words });
    }
    sheet.text(unit.label(whole), (axis.at(whole) + TO_LABEL, middle), Anchor::Start, sheet.colours.ink);
}

fn counts(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

fn total(row: &StackRow) -> f64 {
    row.values.iter().filter(|value| counts(**value)).sum()
}
