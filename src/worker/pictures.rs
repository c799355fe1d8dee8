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
        OffscreenCanvasRenderingContext2d, PremultiplyAlpha, WorkerGlobalScope,
    };

    /// Pixels of a side that are never needed: models look at a few hundred, and four times the memory would be held.
    const MOST_SIDE: u32 = 4096;

    /// The picture in a file, upright as its EXIF says, in sRGB.
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
        let bitmap = bitmap(file, None).await.map_err(refused)?;
        let (width, height) = (bitmap.width(), bitmap.height());
        let longest = width.max(height);
        if longest <= MOST_SIDE {
            return pixels(&bitmap).map_err(refused)?;
        }
        bitmap.close();
        let scaled = (f64::from(width) * f64::from(MOST_SIDE) / f64::from(longest)).round().max(1.0);
        pixels(&self::bitmap(file, Some(scaled as u32)).await.map_err(refused)?).map_err(refused)?
    }

    /// The decoded file, `width` pixels wide where that is given.
    async fn bitmap(file: &Blob, width: Option<u32>) -> std::result::Result<ImageBitmap, JsValue> {
        let scope: WorkerGlobalScope = js_sys::global().dyn_into()?;
        let options = ImageBitmapOptions::new();
        options.set_premultiply_alpha(PremultiplyAlpha::None);
        options.set_color_space_conversion(ColorSpaceConversion::Default);
        if let Some(width) = width {
            options.set_resize_width(width);
        }
        let promise = scope.create_image_bitmap_with_blob_and_image_bitmap_options(file, &options)?;
        JsFuture::from(promise).await?.dyn_into()
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
