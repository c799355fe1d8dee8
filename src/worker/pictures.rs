//! Files to pictures, by the browser's own decoders. How a picture is prepared for a model is [`crate::engine::image`]'s business.

use super::File;
use crate::engine::image::Pixels;
use crate::engine::{Error, Result};

#[cfg(target_arch = "wasm32")]
pub(super) use web::decode;

/// Natively there is no decoder: tests and the bench give pixels to the models themselves.
#[cfg(not(target_arch = "wasm32"))]
pub(super) async fn decode(file: &File) -> Result<Pixels> {
    Err(Error::Unsupported(format!("`{}` cannot be decoded here: pictures are decoded by a browser", file.0)))
}

#[cfg(target_arch = "wasm32")]
mod web {
    use super::{Error, File, Pixels, Result};
    use crate::engine::wasm_features::words;
    use js_sys::{Object, Reflect};
    use wasm_bindgen::prelude::*;
    use wasm_bindgen_futures::JsFuture;
    use web_sys::{
        Blob, ColorSpaceConversion, ImageBitmap, ImageBitmapOptions, OffscreenCanvas,
        OffscreenCanvasRenderingContext2d, PremultiplyAlpha, ResizeQuality, WorkerGlobalScope,
    };

    /// Pixels of a side that are never needed: models look at a few hundred, and the canvas and its copy would each be as large.
    const MOST_SIDE: u32 = 4096;

    /// The picture in a file, upright as its EXIF says, in sRGB. What is transparent comes by way of a canvas, which keeps a colour only as
    /// finely as its opacity: half transparent it is off by one of 255 levels, wholly transparent it is black, whatever the file hides
    /// there.
    ///
    /// # Errors
    /// [`Error::Input`] that names the file where the browser cannot decode it.
    pub async fn decode(file: &File) -> Result<Pixels> {
        let (name, file) = file;
        let name = if name.is_empty() { "the picture".into() } else { format!("`{name}`") };
        let refused = |error: JsValue| {
            let why = words(&error);
            Error::Input(format!(
                "{name} could not be decoded ({why}); pictures may be PNG, JPEG, WebP, GIF and what else this browser knows"
            ))
        };
        let bitmap = bitmap(file).await.map_err(refused)?;
        let (width, height) = (bitmap.width(), bitmap.height());
        let longest = width.max(height);
        if longest <= MOST_SIDE {
            return pixels(&bitmap).map_err(refused)?;
        }
        let scaled = |side: u32| (u64::from(side) * u64::from(MOST_SIDE) / u64::from(longest)).max(1) as u32;
        let small = resized(&bitmap, scaled(width), scaled(height)).await;
        bitmap.close();
        pixels(&small.map_err(refused)?).map_err(refused)?
    }

    /// The decoded file.
    async fn bitmap(file: &Blob) -> std::result::Result<ImageBitmap, JsValue> {
        let scope: WorkerGlobalScope = js_sys::global().dyn_into()?;
        JsFuture::from(scope.create_image_bitmap_with_blob_and_image_bitmap_options(file, &options())?)
            .await?
            .dyn_into()
    }

    /// The same picture in another size; the file is not decoded again.
    async fn resized(bitmap: &ImageBitmap, width: u32, height: u32) -> std::result::Result<ImageBitmap, JsValue> {
        let scope: WorkerGlobalScope = js_sys::global().dyn_into()?;
        let options = options();
        options.set_resize_width(width);
        options.set_resize_height(height);
        options.set_resize_quality(ResizeQuality::High);
        let promise = scope.create_image_bitmap_with_image_bitmap_and_image_bitmap_options(bitmap, &options)?;
        JsFuture::from(promise).await?.dyn_into()
    }

    fn options() -> ImageBitmapOptions {
        let options = ImageBitmapOptions::new();
        options.set_premultiply_alpha(PremultiplyAlpha::None);
        options.set_color_space_conversion(ColorSpaceConversion::Default);
        options
    }

    /// The bitmap's pixels; it is let go.
    fn pixels(bitmap: &ImageBitmap) -> std::result::Result<Result<Pixels>, JsValue> {
        let (width, height) = (bitmap.width(), bitmap.height());
        let canvas = OffscreenCanvas::new(width, height)?;
        // Kept in main memory, where it is read: what a GPU draws may be rounded otherwise.
        let options = Object::new();
        Reflect::set(&options, &"willReadFrequently".into(), &true.into())?;
        let context = canvas.get_context_with_context_options("2d", &options)?;
        let context = context.ok_or("the browser gives no canvas to a worker")?;
        let context: OffscreenCanvasRenderingContext2d = context.unchecked_into();
        context.draw_image_with_image_bitmap(bitmap, 0.0, 0.0)?;
        bitmap.close();
        let data = context.get_image_data(0.0, 0.0, f64::from(width), f64::from(height))?;
        Ok(Pixels::from_rgba(width as usize, height as usize, &data.data()))
    }
}
