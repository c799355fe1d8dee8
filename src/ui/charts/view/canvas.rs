//! Scenes on a canvas, and as a PNG.

use js_sys::{Promise, Uint8Array};
use leptos::prelude::document;
use plotters_canvas::CanvasBackend;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, HtmlCanvasElement};

use super::super::draw::{self, Pen};
use super::super::scene::Scene;

/// Paint `scene` with `ratio` pixels of the canvas for one of the page, so that it is sharp on dense displays.
pub fn paint(canvas: &HtmlCanvasElement, scene: &Scene, ratio: f64) -> Result<(), JsValue> {
    let size = ((ratio * scene.width).round() as u32, (ratio * scene.height).round() as u32);
    // Setting a size clears the canvas and its memory, even where it stays the same.
    if (canvas.width(), canvas.height()) != size {
        canvas.set_width(size.0);
        canvas.set_height(size.1);
        canvas.set_attribute("style", &format!("block-size: {}px", scene.height))?;
    }
    let mut backend = CanvasBackend::with_canvas_object(canvas.clone()).ok_or("this canvas cannot be drawn on")?;
    let pen = Pen { scale: ratio, font: 1.0 };
    draw::paint(scene, &mut backend, pen).map_err(|error| error.to_string().into())
}

/// `scene` as a PNG file, twice as fine as the page.
pub async fn png(scene: &Scene) -> Result<Vec<u8>, JsValue> {
    let canvas: HtmlCanvasElement = document().create_element("canvas")?.unchecked_into();
    paint(&canvas, scene, 2.0)?;
    let mut asked = Ok(());
    let made = Promise::new(&mut |made, _| asked = canvas.to_blob(&made));
    asked?;
    let blob: Blob = JsFuture::from(made).await?.dyn_into()?;
    let bytes = JsFuture::from(blob.array_buffer()).await?;
    Ok(Uint8Array::new(&bytes).to_vec())
}
