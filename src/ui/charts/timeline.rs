//! Spans on lanes over time. Those that overlap lie in rows of a lane; those too short to see are told as one.

use plotters::style::RGBColor;

use super::axis::Axis;
use super::rows::Names;
use super::scene::{Anchor, Area, Mark, Sheet};
use super::text::{self, SIZE};
use super::{Span, Unit, noted};

const ROW: f64 = 20.0;
const BETWEEN_ROWS: f64 = 2.0;
const BETWEEN_LANES: f64 = 12.0;
/// Overlapping spans beyond so many rows lie over one another in the last one.
const MOST_ROWS: usize = 5;
/// A block of spans too short to see grows no wider, so that it can be told where time went.
const WIDEST_BLOCK: f64 = 6.0;

/// Lay out what lies in `range`.
pub fn lay_out(sheet: &mut Sheet, unit: Unit, range: (f64, f64), lanes: &[String], spans: &[Span]) {
    let names = Names::new(sheet, lanes.iter().map(String::as_str));
    let left = names.plot_left(sheet);
    let axis = Axis::new(range, (left, sheet.right));
    sheet.plot = (left, sheet.right);
    let (under, top) = (sheet.shapes.len(), sheet.y);
    for (idx, _) in lanes.iter().enumerate() {
        let rows = rows(idx, spans);
        let height = (ROW + BETWEEN_ROWS) * rows.len() as f64 - BETWEEN_ROWS;
        let begin = names.write(sheet, idx, height);
        sheet.rect(Area { left, top: begin, width: sheet.right - left, height }, sheet.colours.sunken);
        let fill = sheet.colours.among(idx, lanes.len());
        for (row, spans) in rows.iter().enumerate() {
            let top = begin + row as f64 * (ROW + BETWEEN_ROWS);
            for block in blocks(spans, range, &axis) {
                draw_block(sheet, unit, &lanes[idx], &block, (top, fill));
            }
        }
        sheet.y += BETWEEN_LANES;
    }
    let bottom = sheet.y - BETWEEN_LANES + 6.0;
    axis.draw_below(sheet, unit, under, (top, bottom));
}

/// The spans of a lane in rows, in each one after the other; one row at least.
fn rows(lane: usize, spans: &[Span]) -> Vec<Vec<&Span>> {
    let is_drawn = |span: &&Span| span.lane == lane && span.start.is_finite() && span.length >= 0.0;
    let mut sorted: Vec<&Span> = spans.iter().filter(is_drawn).collect();
    sorted.sort_by(|one, other| one.start.total_cmp(&other.start).then(other.length.total_cmp(&one.length)));
    let mut rows: Vec<(f64, Vec<&Span>)> = vec![(f64::NEG_INFINITY, Vec::new())];
    for span in sorted {
        // Times were measured: ends may pass the next start by a rounding.
        let late = span.start + 1e-9 * span.start.abs();
        let row = match rows.iter().position(|(end, _)| *end <= late) {
            Some(row) => row,
            None if rows.len() < MOST_ROWS => {
                rows.push((f64::NEG_INFINITY, Vec::new()));
                rows.len() - 1
            }
            None => MOST_ROWS - 1,
        };
        rows[row].0 = rows[row].0.max(span.start + span.length);
        rows[row].1.push(span);
    }
    rows.into_iter().map(|(_, spans)| spans).collect()
}

/// Spans drawn as one: a single one, or several too short to see.
struct Block<'a> {
    from: f64,
    to: f64,
    spans: Vec<&'a Span>,
}

fn blocks<'a>(spans: &[&'a Span], range: (f64, f64), axis: &Axis) -> Vec<Block<'a>> {
    let mut blocks: Vec<Block> = Vec::new();
    let in_range = |span: &&&Span| span.start < range.1 && span.start + span.length > range.0;
    let at_edge = range.1 <= range.0;
    for span in spans.iter().filter(|span| at_edge || in_range(span)) {
        let from = axis.at(span.start.max(range.0));
        let to = axis.at((span.start + span.length).min(range.1.max(range.0)));
        let is_short = |from: f64, to: f64| to - from < 1.5;
        match blocks.last_mut() {
            Some(last)
                if is_short(from, to)
                    && (last.spans.len() > 1 || is_short(last.from, last.to))
                    && from - last.to < 1.0
                    && to - last.from <= WIDEST_BLOCK =>
            {
                last.to = last.to.max(to);
                last.spans.push(span);
            }
            _ => blocks.push(Block { from, to, spans: vec![span] }),
        }
    }
    blocks
}

fn draw_block(sheet: &mut Sheet, unit: Unit, lane: &str, block: &Block, (top, fill): (f64, RGBColor)) {
    let gap = if block.to - block.from > 3.0 { 1.0 } else { 0.0 };
    let shown = Area { left: block.from, top, width: (block.to - block.from - gap).max(1.0), height: ROW };
    sheet.rect(shown, fill);
    let words = match block.spans.as_slice() {
        [span] => {
            if text::width(&span.name, SIZE) + 8.0 <= shown.width {
                let ink = sheet.colours.ink_on(fill);
                sheet.text(&span.name, (shown.middle().0, top + ROW / 2.0), Anchor::Middle, ink);
            }
            let (length, start) = (unit.words(span.length), unit.words(span.start));
            noted(format!("{lane}, {}: {length}, from {start} on", span.name), &span.note)
        }
        spans => {
            let longest = spans.iter().max_by(|one, other| one.length.total_cmp(&other.length));
            let total = unit.words(spans.iter().map(|span| span.length).sum());
            let longest = longest.map_or("", |span| span.name.as_str());
            format!(
                "{lane}, {} short ones: {total} together, the longest {longest}. Zoom in to tell them apart",
                spans.len()
            )
        }
    };
    sheet.marks.push(Mark { area: shown, shown, words });
}
