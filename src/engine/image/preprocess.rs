//! `preprocessor_config.json`: how a repository wants its pictures resized, cropped and normalised, after the image processors of
//! Hugging Face's transformers (`image_processing_{vit,deit,bit,clip}.py`), in their present and older forms.

use super::Pixels;
use super::resize::{Filter, Side, resize};
use crate::engine::model::parse;
use crate::engine::{Error, Result};
use serde_json::Value;

/// The file.
const FILE: &str = "preprocessor_config.json";
/// A side of the prepared picture at most; models have 64 to 1024.
const LONGEST_SIDE: usize = 4096;
/// The longer side at most, of which the middle is kept: a picture a thousand times as long as wide shows nothing there.
const LONGEST_WHOLE: u64 = 1 << 22;

/// Mean and deviation that ImageNet's models used first.
const STANDARD: ([f32; 3], [f32; 3]) = ([0.5; 3], [0.5; 3]);
/// Those of CLIP's training pictures.
const OPENAI_CLIP: ([f32; 3], [f32; 3]) =
    ([0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_55, 0.261_302_6, 0.275_777_1]);

/// What is done to a picture before a model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocessor {
    resize: Option<Resize>,
    /// Height and width of what is cut from the middle.
    crop: Option<[usize; 2]>,
    filter: Filter,
    /// What a byte is multiplied with.
    rescale: f32,
    mean: [f32; 3],
    std: [f32; 3],
}

/// To which size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resize {
    /// Height and width.
    Exact([usize; 2]),
    /// The shorter side; the longer one in proportion.
    ShortestEdge(usize),
}

/// What a processor does where its configuration says nothing.
struct Defaults {
    size: Resize,
    crop: Option<usize>,
    filter: Filter,
    normal: ([f32; 3], [f32; 3]),
    /// Whether a `size` that is one number means the shorter side.
    number_is_shortest: bool,
}

/// By the name of the processor; older files name a feature extractor, newer ones may add `Fast`.
fn defaults(name: &str) -> Result<Defaults> {
    let stem = name.trim_end_matches("Fast").trim_end_matches("ImageProcessor").trim_end_matches("FeatureExtractor");
    let square = |size| Resize::Exact([size, size]);
    Ok(match stem {
        // Configurations older than the names are ViT's.
        "" | "ViT" => Defaults {
            size: square(224),
            crop: None,
            filter: Filter::Bilinear,
            normal: STANDARD,
            number_is_shortest: false,
        },
        "DeiT" => Defaults {
            size: square(256),
            crop: Some(224),
            filter: Filter::Bicubic,
            normal: STANDARD,
            number_is_shortest: false,
        },
        "Bit" | "CLIP" => Defaults {
            size: Resize::ShortestEdge(224),
            crop: Some(224),
            filter: Filter::Bicubic,
            normal: OPENAI_CLIP,
            number_is_shortest: true,
        },
        _ => {
            let known = "ViTImageProcessor, DeiTImageProcessor, BitImageProcessor and CLIPImageProcessor";
            return Err(Error::Unsupported(format!("its pictures are prepared by `{name}`; known are {known}")));
        }
    })
}

impl Preprocessor {
    /// Reads `preprocessor_config.json`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where a value cannot be, [`Error::Unsupported`] for processors and filters that are not known.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let config = parse(FILE, json)?;
        let named = |key: &str| config[key].as_str().filter(|name| !name.is_empty());
        let name = named("image_processor_type").or_else(|| named("feature_extractor_type")).unwrap_or_default();
        let defaults = defaults(name)?;
        let wanted = |key: &str, default: bool| config[key].as_bool().unwrap_or(default);
        let resize = match &config["size"] {
            Value::Null => defaults.size,
            size => read_size("size", size, defaults.number_is_shortest)?,
        };
        let crop = match &config["crop_size"] {
            Value::Null => defaults.crop.map(|side| [side, side]),
            size => match read_size("crop_size", size, false)? {
                Resize::Exact(sides) => Some(sides),
                Resize::ShortestEdge(_) => return Err(corrupt("`crop_size` names no height and width".into())),
            },
        };
        let filter = match &config["resample"] {
            Value::Null => defaults.filter,
            number => number.as_u64().and_then(Filter::from_number).ok_or_else(|| {
                Error::Unsupported(format!(
                    "its pictures are resampled by filter {number}; known are 0 to 5, as in Pillow"
                ))
            })?,
        };
        let rescale =
            if wanted("do_rescale", true) { config["rescale_factor"].as_f64().unwrap_or(1.0 / 255.0) } else { 1.0 };
        let (mean, std) = if wanted("do_normalize", true) {
            let (mean, std) = defaults.normal;
            (
                read_channels("image_mean", &config["image_mean"], mean)?,
                read_channels("image_std", &config["image_std"], std)?,
            )
        } else {
            ([0.0; 3], [1.0; 3])
        };
        if std.contains(&0.0) {
            return Err(corrupt("`image_std` has a zero, by which nothing can be divided".into()));
        }
        let preprocessor = Self {
            resize: wanted("do_resize", true).then_some(resize),
            crop: if wanted("do_center_crop", defaults.crop.is_some()) { crop } else { None },
            filter,
            rescale: rescale as f32,
            mean,
            std,
        };
        preprocessor.size()?;
        Ok(preprocessor)
    }

    /// Height and width of what [`Preprocessor::apply`] gives.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where they would be another for each picture: a model's graphs have one shape.
    pub fn size(&self) -> Result<[usize; 2]> {
        match (self.crop, self.resize) {
            (Some(sides), _) | (None, Some(Resize::Exact(sides))) => Ok(sides),
            _ => Err(Error::Unsupported(format!("by its {FILE}, pictures of every size stay as they are, uncropped"))),
        }
    }

    /// Sides of what [`Preprocessor::apply`] gives, for a model of square pictures.
    ///
    /// # Errors
    /// As [`Preprocessor::size`], and where they differ.
    pub fn side(&self) -> Result<usize> {
        match self.size()? {
            [height, width] if height == width => Ok(width),
            [height, width] => {
                Err(Error::Unsupported(format!("its pictures are {width} x {height}; only square ones are known")))
            }
        }
    }

    /// The prepared picture, channels first: `[3, height, width]`.
    ///
    /// # Errors
    /// [`Error::Input`] where the picture is too long and narrow to be resized.
    pub fn apply(&self, pixels: &Pixels) -> Result<Vec<f32>> {
        let [height, width] = self.size()?;
        let [full_height, full_width] = self.resized(pixels)?;
        // Where the middle begins, before the first pixel where the picture is smaller; what is outside is black.
        let begin = |full: usize, side: usize| (full as isize - side as isize).div_euclid(2);
        let (top, left) = (begin(full_height, height), begin(full_width, width));
        let kept = |begin: isize, side: usize, full: usize| {
            let end = (begin + side as isize).clamp(0, full as isize) as usize;
            (begin.max(0) as usize).min(end)..end
        };
        let across = Side { len: full_width, kept: kept(left, width, full_width) };
        let down = Side { len: full_height, kept: kept(top, height, full_height) };
        let bytes = resize(pixels, self.filter, &across, &down);

        // What each byte becomes, by channel.
        let tables: [[f32; 256]; 3] = std::array::from_fn(|c| {
            std::array::from_fn(|byte| (byte as f32 * self.rescale - self.mean[c]) / self.std[c])
        });
        let mut out: Vec<f32> = tables.iter().flat_map(|table| std::iter::repeat_n(table[0], height * width)).collect();
        let (y0, x0) = ((-top).max(0) as usize, (-left).max(0) as usize);
        for (y, row) in bytes.chunks_exact(3 * across.kept.len()).enumerate() {
            for (x, pixel) in row.as_chunks::<3>().0.iter().enumerate() {
                for (c, &byte) in pixel.iter().enumerate() {
                    out[(c * height + y0 + y) * width + x0 + x] = tables[c][usize::from(byte)];
                }
            }
        }
        Ok(out)
    }

    /// Height and width of the whole picture after resizing.
    fn resized(&self, pixels: &Pixels) -> Result<[usize; 2]> {
        let (height, width) = (pixels.height, pixels.width);
        match self.resize {
            None => Ok([height, width]),
            Some(Resize::Exact(sides)) => Ok(sides),
            Some(Resize::ShortestEdge(side)) => {
                // Rounded down, as `get_resize_output_image_size` does it.
                let longer = side as u64 * height.max(width) as u64 / height.min(width) as u64;
                if longer > LONGEST_WHOLE {
                    let what = format!("the picture is too long and narrow: {width} x {height} pixels");
                    return Err(Error::Input(what));
                }
                let longer = longer as usize;
                Ok(if height < width { [side, longer] } else { [longer, side] })
            }
        }
    }
}

fn corrupt(reason: String) -> Error {
    Error::Corrupt { file: FILE.into(), reason }
}

/// `224`, `{"height": 224, "width": 224}` or `{"shortest_edge": 224}`.
fn read_size(key: &str, size: &Value, number_is_shortest: bool) -> Result<Resize> {
    let side = |value: &Value| {
        let side = value.as_u64().and_then(|side| usize::try_from(side).ok());
        side.filter(|side| (1..=LONGEST_SIDE).contains(side))
            .ok_or_else(|| corrupt(format!("`{key}` is {size}, expected sides of 1 to {LONGEST_SIDE} pixels")))
    };
    if size.is_number() {
        let side = side(size)?;
        return Ok(if number_is_shortest { Resize::ShortestEdge(side) } else { Resize::Exact([side, side]) });
    }
    if !size["shortest_edge"].is_null() {
        return Ok(Resize::ShortestEdge(side(&size["shortest_edge"])?));
    }
    Ok(Resize::Exact([side(&size["height"])?, side(&size["width"])?]))
}

/// A number for each channel.
fn read_channels(key: &str, values: &Value, default: [f32; 3]) -> Result<[f32; 3]> {
    if values.is_null() {
        return Ok(default);
    }
    let numbers: Option<Vec<f32>> =
        values.as_array().and_then(|v| v.iter().map(|v| Some(v.as_f64()? as f32)).collect());
    numbers
        .and_then(|numbers| numbers.try_into().ok())
        .ok_or_else(|| corrupt(format!("`{key}` is {values}, expected three numbers")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Preprocessor {
        Preprocessor::from_json(json.as_bytes()).expect("a preprocessor")
    }

    #[test]
    fn older_and_newer_forms_say_the_same() {
        let old =
            read(r#"{"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224, "resample": 3}"#);
        let new = read(
            r#"{"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 224},
                "crop_size": {"height": 224, "width": 224}, "resample": 3, "do_rescale": true, "rescale_factor": 0.00392156862745098}"#,
        );
        assert_eq!(old, new);
        assert_eq!(old.resize, Some(Resize::ShortestEdge(224)));
        let vit = read(r#"{"feature_extractor_type": "ViTFeatureExtractor", "size": 384, "resample": 2}"#);
        assert_eq!((vit.resize, vit.crop), (Some(Resize::Exact([384, 384])), None));
        let deit = read(r#"{"feature_extractor_type": "DeiTFeatureExtractor", "size": 256, "crop_size": 224}"#);
        assert_eq!((deit.resize, deit.size().ok()), (Some(Resize::Exact([256, 256])), Some([224, 224])));
        assert_eq!(read(r#"{"image_processor_type": "BitImageProcessorFast"}"#).filter, Filter::Bicubic);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_name() {
        for (json, word) in [
            (r#"{"image_processor_type": "OwlViTImageProcessor"}"#, "OwlViT"),
            (r#"{"size": 0}"#, "`size`"),
            (r#"{"size": {"longest_edge": 3}}"#, "`size`"),
            (r#"{"resample": 9}"#, "filter 9"),
            (r#"{"image_mean": [0.5]}"#, "`image_mean`"),
            (r#"{"image_std": [0.5, 0, 1]}"#, "`image_std`"),
            (r#"{"image_processor_type": "CLIPImageProcessor", "do_center_crop": false}"#, "uncropped"),
        ] {
            let refusal = Preprocessor::from_json(json.as_bytes()).expect_err(json).to_string();
            assert!(refusal.contains(word), "{refusal}");
        }
    }

    #[test]
    fn a_picture_smaller_than_the_crop_gets_a_black_frame() {
        let cropped = read(r#"{"do_resize": false, "do_center_crop": true, "crop_size": 4, "do_normalize": false}"#);
        let white = Pixels::new(2, 3, vec![255; 18]).expect("a picture");
        let out = cropped.apply(&white).expect("prepared");
        // As `center_crop` of transformers puts it: of an odd frame, the wider side is above.
        let column = |x: usize| [out[x], out[4 + x], out[8 + x], out[12 + x]];
        assert_eq!(
            [column(0), column(1), column(2), column(3)],
            [[0.0; 4], [0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0], [0.0; 4]]
        );
    }

    #[test]
    fn a_picture_of_one_line_is_an_error_and_not_a_crash() {
        let clip = read(r#"{"image_processor_type": "CLIPImageProcessor"}"#);
        let line = Pixels::new(100_000, 1, vec![7; 300_000]).expect("a picture");
        assert!(clip.apply(&line).expect_err("too long").to_string().contains("100000 x 1"));
        let dot = Pixels::new(1, 1, vec![7, 8, 9]).expect("a picture");
        assert_eq!(clip.apply(&dot).expect("prepared").len(), 3 * 224 * 224);
    }
}
