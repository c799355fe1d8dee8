//! Pictures on their way to a model: decoded pixels, and the repository's own way to prepare them.
//!
//! Decoding files is the browser's business (`worker/pictures.rs`); what is here begins with bytes of red, green and blue and is the
//! same everywhere.

mod preprocess;
mod resize;

pub use preprocess::Preprocessor;
pub use resize::Filter;

use super::{Error, Result};

/// More than this many pixels are refused: three bytes each would fill a quarter of a browser's module.
const MOST_PIXELS: usize = 1 << 28;

/// A decoded picture: three bytes (red, green, blue; sRGB) a pixel, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Pixels {
    /// A picture of `3 * width * height` bytes.
    ///
    /// # Errors
    /// [`Error::Input`] where a side is zero, the picture is too large, or there are more or fewer bytes than that.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Result<Self> {
        let n_pixels = checked_size(width, height)?;
        if rgb.len() != 3 * n_pixels {
            let got = rgb.len();
            let expected = 3 * n_pixels;
            return Err(Error::Input(format!("a picture of {width} x {height} has {got} bytes, expected {expected}")));
        }
        Ok(Self { width, height, rgb })
    }

    /// A picture with an alpha channel, which is dropped as Pillow's `convert("RGB")` drops it: what a transparent pixel hides is seen, as
    /// far as the bytes still have it (a browser's canvas has black there).
    ///
    /// # Errors
    /// As [`Pixels::new`], with four bytes a pixel.
    pub fn from_rgba(width: usize, height: usize, rgba: &[u8]) -> Result<Self> {
        let n_pixels = checked_size(width, height)?;
        let (pixels, rest) = rgba.as_chunks::<4>();
        if pixels.len() != n_pixels || !rest.is_empty() {
            let got = rgba.len();
            let expected = 4 * n_pixels;
            return Err(Error::Input(format!("a picture of {width} x {height} has {got} bytes, expected {expected}")));
        }
        Ok(Self { width, height, rgb: pixels.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect() })
    }

    /// Pixels of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The bytes.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}

/// How many pixels a picture of this size has.
fn checked_size(width: usize, height: usize) -> Result<usize> {
    if width == 0 || height == 0 {
        return Err(Error::Input(format!("the picture is empty: it is {width} x {height} pixels")));
    }
    let n_pixels = width.checked_mul(height).filter(|&n| n <= MOST_PIXELS);
    n_pixels.ok_or_else(|| {
        let most = MOST_PIXELS / 1_000_000;
        Error::Input(format!("the picture is too large: {width} x {height} pixels, {most} million are allowed"))
    })
}

/// Pixels of one size, channels first (`[3, size, size]`), as rows of a patch each: `[(size / patch)^2, 3 * patch * patch]`, in the order
/// that a patch convolution's kernel `[d, 3, patch, patch]` has, so that the convolution is a linear map. Written behind `rows`.
pub fn patches(pixels: &[f32], size: usize, patch: usize, rows: &mut Vec<f32>) {
    let n = size / patch;
    for (py, px) in (0..n).flat_map(|py| (0..n).map(move |px| (py, px))) {
        for channel in pixels.chunks_exact(size * size) {
            for line in channel.chunks_exact(size).skip(py * patch).take(patch) {
                rows.extend_from_slice(&line[px * patch..][..patch]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_that_cannot_be_are_refused() {
        let message =
            |width, height, bytes| Pixels::new(width, height, vec![0; bytes]).expect_err("refused").to_string();
        assert!(message(0, 5, 0).contains("empty"));
        assert!(message(2, 2, 11).contains("expected 12"));
        assert!(message(usize::MAX, 2, 0).contains("too large"));
        assert!(Pixels::from_rgba(1, 1, &[1, 2, 3]).is_err());
        assert!(Pixels::from_rgba(1, 1, &[1, 2, 3, 4, 5]).is_err());
    }

    #[test]
    fn a_transparent_pixel_keeps_its_colour() {
        let pixels = Pixels::from_rgba(2, 1, &[1, 2, 3, 0, 4, 5, 6, 255]).expect("two pixels");
        assert_eq!(pixels.rgb(), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_patch_is_a_row_channel_by_channel() {
        let pixels: Vec<f32> = (0..3 * 16).map(|v| v as f32).collect();
        let mut rows = Vec::new();
        patches(&pixels, 4, 2, &mut rows);
        assert_eq!(rows[..12], [0.0, 1.0, 4.0, 5.0, 16.0, 17.0, 20.0, 21.0, 32.0, 33.0, 36.0, 37.0]);
        assert_eq!(rows[12..16], [2.0, 3.0, 6.0, 7.0]);
        assert_eq!(rows.len(), 48);
    }
}
