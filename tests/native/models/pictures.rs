//! Pictures and goldens of the picture models' tests.

use rill::engine::image::Pixels;
use std::path::{Path, PathBuf};

/// A file or folder of `tests/golden`.
pub fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)
}

/// A PNG's pixels.
pub fn read_png(file: &Path) -> Pixels {
    let opened = std::fs::File::open(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let mut reader = png::Decoder::new(std::io::BufReader::new(opened)).read_info().expect("a PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("a size that fits")];
    let info = reader.next_frame(&mut bytes).expect("a whole PNG");
    let (width, height, bytes) = (info.width as usize, info.height as usize, &bytes[..info.buffer_size()]);
    match info.color_type {
        png::ColorType::Rgb => Pixels::new(width, height, bytes.to_vec()),
        png::ColorType::Rgba => Pixels::from_rgba(width, height, bytes),
        other => panic!("{} is {other:?}", file.display()),
    }
    .expect("a picture")
}

/// A JSON file.
pub fn read_json(file: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// The floats of a `.npy` file, without their shape.
pub fn read_npy(file: &Path) -> Vec<f32> {
    let bytes = std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    // Magic, version, length of the header (u16), header.
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert!(String::from_utf8_lossy(&bytes[10..header]).contains("'<f4'"), "{} has other numbers", file.display());
    bytes[header..].as_chunks::<4>().0.iter().map(|&v| f32::from_le_bytes(v)).collect()
}

/// Numbers of a JSON array.
pub fn numbers(value: &serde_json::Value) -> Vec<f32> {
    value.as_array().expect("an array").iter().map(|v| v.as_f64().expect("a number") as f32).collect()
}

/// The greatest distance between two lists of numbers.
pub fn distance(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    got.iter().zip(expected).map(|(g, e)| (g - e).abs()).fold(0.0, f32::max)
}

/// The cosine of the angle between two vectors.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
