//! Axes: from values to pixels, round ticks from plotters, and their labels.

use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;
use plotters::style::RGBColor;

use super::Unit;
use super::scene::{Anchor, Shape, Sheet};
use super::text;
use crate::ui::format;

/// Values from `from` to `to`, over pixels from `start` to `end`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Axis {
    values: (f64, f64),
    pixels: (f64, f64),
}

/// Where a tick is, and what it says.
#[derive(Clone, PartialEq, Debug)]
pub struct Tick {
    /// Its pixel.
    pub at: f64,
    /// Its number, without unit.
    pub label: String,
}

impl Axis {
    /// An axis; where all values are one, it reaches a little further.
    pub fn new((from, to): (f64, f64), pixels: (f64, f64)) -> Self {
        let is_range = from.is_finite() && to.is_finite() && to - from > 1e-9 * from.abs().max(to.abs());
        let values = match is_range {
            true => (from, to),
            false if from.is_finite() => (from, from + from.abs().max(1.0)),
            false => (0.0, 1.0),
        };
        Self { values, pixels }
    }

    /// The pixel of a value.
    pub fn at(&self, value: f64) -> f64 {
        let share = (value - self.values.0) / (self.values.1 - self.values.0);
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }

    /// At most `n_most` ticks at round values, and the name of what they count in.
    pub fn ticks(&self, unit: Unit, n_most: usize) -> (Vec<Tick>, &'static str) {
        let (scale, name) = unit.of_axis(self.values.1.abs().max(self.values.0.abs()));
        let (from, to) = (self.values.0 / scale, self.values.1 / scale);
        let mut points = RangedCoordf64::from(from..to).key_points(n_most);
        if unit == Unit::Count {
            points.retain(|point| (point - point.round()).abs() < 1e-9);
        }
        let step = points.windows(2).map(|pair| pair[1] - pair[0]).next().unwrap_or(to - from);
        let decimals = (-(step * 1.000_001).log10().floor()).clamp(0.0, 12.0) as usize;
        let tick = |point: &f64| Tick { at: self.at(point * scale), label: grouped(*point, decimals) };
        (points.iter().map(tick).collect(), name)
    }

    /// Grid lines from `top` to `bottom` and labels below, with the unit beside the last one. The lines go under all
    /// shapes from number `under` on.
    pub fn draw_below(&self, sheet: &mut Sheet, unit: Unit, under: usize, (top, bottom): (f64, f64)) {
        let (ticks, places) = self.fitting_ticks(sheet, unit);
        let mut shapes: Vec<Shape> = Vec::new();
        for (tick, (label, middle)) in ticks.iter().zip(places) {
            shapes.push(line(tick.at, (top, bottom + 4.0), sheet.colours.line));
            sheet.text(label, (middle, bottom + 13.0), Anchor::Middle, sheet.colours.ink_soft);
        }
        sheet.shapes.splice(under..under, shapes);
        sheet.y = bottom + 22.0;
    }

    /// As many ticks as can be labelled, and for each its label and the label's middle.
    fn fitting_ticks(&self, sheet: &Sheet, unit: Unit) -> (Vec<Tick>, Vec<(String, f64)>) {
        let most = (((self.pixels.1 - self.pixels.0) / 64.0) as usize).clamp(2, 9);
        for n_most in (1..=most).rev() {
            let (ticks, name) = self.ticks(unit, n_most);
            let places: Vec<(String, f64)> = ticks
                .iter()
                .enumerate()
                .map(|(idx, tick)| {
                    let space = if name.is_empty() || name.starts_with(['×', '/']) { "" } else { " " };
                    let is_last = idx + 1 == ticks.len();
                    let label = if is_last { format!("{}{space}{name}", tick.label) } else { tick.label.clone() };
                    let half = text::width(&label, text::SIZE) / 2.0;
                    let middle = tick.at.max(sheet.left + half).min(sheet.right - half);
                    (label, middle)
                })
                .collect();
            let half = |place: &(String, f64)| text::width(&place.0, text::SIZE) / 2.0;
            let apart = |pair: &[(String, f64)]| pair[1].1 - half(&pair[1]) >= pair[0].1 + half(&pair[0]) + 8.0;
            if places.windows(2).all(apart) {
                return (ticks, places);
            }
        }
        (Vec::new(), Vec::new())
    }
}

/// A vertical line, one pixel wide.
pub fn line(x: f64, (top, bottom): (f64, f64), stroke: RGBColor) -> Shape {
    Shape::Path { points: vec![(x, top), (x, bottom)], thickness: 1.0, stroke }
}

/// A number with so many decimals and its thousands apart.
fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let is_zero = text.chars().all(|letter| matches!(letter, '0' | '.'));
    let sign = if value < 0.0 && !is_zero { "−" } else { "" };
    if is_zero { "0".into() } else { format!("{sign}{}{fraction}", format::thousands_apart(whole)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(range: (f64, f64), unit: Unit) -> (Vec<String>, &'static str) {
        let (ticks, name) = Axis::new(range, (0.0, 600.0)).ticks(unit, 6);
        (ticks.into_iter().map(|tick| tick.label).collect(), name)
    }

    #[test]
    fn ticks_are_round_and_count_in_a_fitting_unit() {
        assert_eq!(labels((0.0, 430.0), Unit::Milliseconds).0, ["0", "100", "200", "300", "400"]);
        assert_eq!(
            labels((0.0, 2.5e9), Unit::Bytes),
            (vec!["0", "0.5", "1.0", "1.5", "2.0", "2.5"].into_iter().map(String::from).collect(), "GB")
        );
        assert_eq!(labels((0.0, 6000.0), Unit::Count).0[1], "2,000");
        assert_eq!(labels((1.0, 3.0), Unit::Count).0, ["1", "2", "3"]);
        assert_eq!(labels((1000.0, 1000.004), Unit::Milliseconds).0[1], "1,000.001");
    }

    #[test]
    fn an_axis_of_one_value_still_maps_it() {
        assert_eq!(Axis::new((0.0, 0.0), (10.0, 60.0)).at(0.0), 10.0);
        assert!(Axis::new((7.0, 7.0), (10.0, 60.0)).at(7.0).is_finite());
        assert!(Axis::new((f64::NAN, 7.0), (10.0, 60.0)).at(0.5).is_finite());
    }
}
