//! Rows with names: beside what they name where there is room, else above it. Names are wrapped, never cut.

use super::scene::{Anchor, Area, Sheet};
use super::text::{self, LINE, SIZE};

const GAP: f64 = 10.0;

/// The names of a chart's rows.
pub struct Names {
    lines: Vec<Vec<String>>,
    /// Where the names end; nothing where they go above.
    column: Option<f64>,
}

impl Names {
    /// Names for `sheet`.
    pub fn new<'a>(sheet: &Sheet, names: impl Iterator<Item = &'a str> + Clone) -> Self {
        let whole = sheet.right - sheet.left;
        let widest = names.clone().map(|name| text::width(name, SIZE)).fold(0.0, f64::max);
        let most = if sheet.is_narrow() { whole } else { widest.min(0.32 * whole).max(0.0) };
        let lines: Vec<Vec<String>> = names.map(|name| text::wrap(name, SIZE, most + 0.01)).collect();
        let column = (!sheet.is_narrow()).then_some(sheet.left + most);
        Self { lines, column }
    }

    /// Where the rows begin, across.
    pub fn plot_left(&self, sheet: &Sheet) -> f64 {
        self.column.map_or(sheet.left, |column| if column > sheet.left { column + GAP } else { column })
    }

    /// Write name number `idx` of a row that is `height` high; say where the row begins, and move on below both.
    pub fn write(&self, sheet: &mut Sheet, idx: usize, height: f64) -> f64 {
        let lines = self.lines.get(idx).map_or(&[][..], Vec::as_slice);
        let needed = LINE * lines.len() as f64;
        let (x, top, anchor) = match self.column {
            Some(column) => (column, sheet.y + (height - needed).max(0.0) / 2.0, Anchor::End),
            None => (sheet.left, sheet.y, Anchor::Start),
        };
        for (row, line) in lines.iter().enumerate() {
            if self.column.is_none() {
                // Grid lines pass behind a name.
                let area =
                    Area { left: x - 2.0, top: top + LINE * row as f64, width: text::width(line, SIZE), height: LINE };
                sheet.rect(area, sheet.colours.ground);
            }
            sheet.text(line, (x, top + LINE * (row as f64 + 0.5)), anchor, sheet.colours.ink);
        }
        let begin = match self.column {
            Some(_) => sheet.y + (needed - height).max(0.0) / 2.0,
            None if lines.is_empty() => sheet.y,
            None => sheet.y + needed + 2.0,
        };
        sheet.y = (begin + height).max(if self.column.is_some() { sheet.y + needed } else { 0.0 });
        begin
    }
}
