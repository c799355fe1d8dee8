//! Paints a laid-out chart on any backend of plotters: as SVG here, on a canvas in the page.

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::drawing::DrawingAreaErrorKind;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontDesc, FontFamily, FontStyle, RGBColor, ShapeStyle, TextStyle};

use super::scene::{Anchor, Scene, Shape};

const FONTS: &str = "system-ui, sans-serif";

/// How a backend's pixels relate to those of the scene.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pen {
    /// Backend's pixels for one of the scene's.
    pub scale: f64,
    /// What to ask for so that a font comes out as large as meant.
    pub font: f64,
}

/// Backends count in whole pixels: files are drawn on a finer grid, and shown at the size meant.
const SVG: Pen = Pen { scale: 4.0, font: 1.24 };

/// `scene` as the text of an SVG file.
pub fn svg(scene: &Scene) -> String {
    let fine = |length: f64| (SVG.scale * length).round() as u32;
    let size = (fine(scene.width), fine(scene.height));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = paint(scene, &mut SVGBackend::with_string(&mut text, size), SVG);
    let drawn = format!("<svg width=\"{}\" height=\"{}\"", size.0, size.1);
    text.replacen(&drawn, &format!("<svg width=\"{}\" height=\"{}\"", scene.width, scene.height), 1)
}

/// Paint `scene`, ground first.
pub fn paint<B: DrawingBackend>(
    scene: &Scene,
    backend: &mut B,
    pen: Pen,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let all = (pen.pixel(scene.width), pen.pixel(scene.height));
    backend.draw_rect((0, 0), all, &filled(scene.ground), true).map_err(DrawingAreaErrorKind::BackendError)?;
    scene.shapes.iter().try_for_each(|shape| pen.shape(shape, backend))?;
    backend.present().map_err(DrawingAreaErrorKind::BackendError)
}

impl Pen {
    fn shape<B: DrawingBackend>(self, shape: &Shape, to: &mut B) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let drawn = match shape {
            Shape::Rect(area, fill) => {
                let corners = [(area.left, area.top), (area.left + area.width, area.top + area.height)];
                let [start, end] = corners.map(|corner| self.point(corner));
                to.draw_rect(start, end, &filled(*fill), true)
            }
            Shape::Path { points, thickness, stroke } => {
                let style =
                    ShapeStyle { color: (*stroke).into(), filled: false, stroke_width: self.thickness(*thickness) };
                match points.as_slice() {
                    // Two points: backends draw level and upright lines sharp.
                    [from, end] => to.draw_line(self.point(*from), self.point(*end), &style),
                    points => to.draw_path(points.iter().map(|point| self.point(*point)), &style),
                }
            }
            Shape::Disc { at, radius, fill } => {
                to.draw_circle(self.point(*at), self.thickness(*radius), &filled(*fill), true)
            }
            Shape::Text { words, at, anchor, size, bold, fill } => {
                let weight = if *bold { FontStyle::Bold } else { FontStyle::Normal };
                let font = FontDesc::new(FontFamily::Name(FONTS), self.scale * self.font * size, weight);
                let across = match anchor {
                    Anchor::Start => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::End => HPos::Right,
                };
                let style = TextStyle::from(font).color(fill).pos(Pos::new(across, VPos::Center));
                to.draw_text(words, &style, self.point(*at))
            }
        };
        drawn.map_err(DrawingAreaErrorKind::BackendError)
    }

    fn point(self, (x, y): (f64, f64)) -> (i32, i32) {
        (self.pixel(x), self.pixel(y))
    }

    fn pixel(self, length: f64) -> i32 {
        (self.scale * length).round() as i32
    }

    fn thickness(self, thickness: f64) -> u32 {
        (self.scale * thickness).round().max(1.0) as u32
    }
}

fn filled(colour: RGBColor) -> ShapeStyle {
    ShapeStyle { color: colour.into(), filled: true, stroke_width: 0 }
}
