//! The legend: what each colour and pattern means, in the order of what is drawn, in as many lines as it takes.

use super::pattern::Fill;
use super::scene::{Anchor, Area, Sheet};
use super::text::{self, LINE, SIZE};

const SWATCH: f64 = 12.0;
const GAP: f64 = 6.0;
const BETWEEN: f64 = 16.0;

/// Write the legend where there is something to tell apart, and move on below it; `fill` fills a swatch as what is drawn.
pub fn write(sheet: &mut Sheet, names: &[String], fill: Fill) {
    if names.len() < 2 {
        return;
    }
    let mut x = sheet.left;
    for (idx, name) in names.iter().enumerate() {
        let lines = text::wrap(name, SIZE, sheet.right - sheet.left - SWATCH - GAP);
        let width = SWATCH + GAP + lines.iter().map(|line| text::width(line, SIZE)).fold(0.0, f64::max);
        if x > sheet.left && x + width > sheet.right {
            (x, sheet.y) = (sheet.left, sheet.y + LINE + 2.0);
        }
        let swatch = Area { left: x, top: sheet.y + (LINE - SWATCH) / 2.0, width: SWATCH, height: SWATCH };
        fill(sheet, swatch, idx, names.len());
        for (row, line) in lines.iter().enumerate() {
            if row > 0 {
                sheet.y += LINE;
            }
            sheet.text(line, (x + SWATCH + GAP, sheet.y + LINE / 2.0), Anchor::Start, sheet.colours.ink);
        }
        x += width + BETWEEN;
    }
    sheet.y += LINE + 10.0;
}
