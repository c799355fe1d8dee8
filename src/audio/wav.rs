//! Samples to a WAV file and back.
//!
//! Writing is how a recording is saved; reading serves native tests and the bench, in a browser its own decoder reads
//! files. Neither changes the sample rate.

use std::io::Cursor;

use crate::engine::{Error, Result};

/// What a WAV file holds, mixed to one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Wav {
    /// Samples in -1 to 1, one channel: the mean of the file's.
    pub samples: Vec<f32>,
    /// Samples a second.
    pub sample_rate_hz: u32,
    /// Channels in the file before mixing.
    pub channels: u16,
}

/// Samples (one channel, -1 to 1; what lies outside is clipped) as a WAV file with 16-bit PCM.
///
/// # Errors
/// [`Error::Input`] where the recording is longer than the format can say (4 GB).
pub fn encode(samples: &[f32], sample_rate_hz: u32) -> Result<Vec<u8>> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: sample_rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let refused = |error: hound::Error| Error::Input(format!("this recording cannot be saved as WAV: {error}"));
    let mut file = Cursor::new(Vec::with_capacity(44 + 2 * samples.len()));
    let mut writer = hound::WavWriter::new(&mut file, spec).map_err(refused)?;
    for &sample in samples {
        // `as` saturates, and turns NaN into silence.
        writer.write_sample((sample * 32_768.0).round() as i16).map_err(refused)?;
    }
    writer.finalize().map_err(refused)?;
    Ok(file.into_inner())
}

/// Reads a WAV file: PCM of 8 to 32 bits or 32-bit float, any number of channels.
///
/// # Errors
/// [`Error::Input`] where it is none, or is cut off.
pub fn decode(bytes: &[u8]) -> Result<Wav> {
    let refused = |error: hound::Error| Error::Input(format!("this is not a WAV file that can be read: {error}"));
    let mut reader = hound::WavReader::new(Cursor::new(bytes)).map_err(refused)?;
    let spec = reader.spec();
    let interleaved = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect::<std::result::Result<Vec<_>, _>>(),
        hound::SampleFormat::Int => {
            let scale = 1.0 / (1u64 << (spec.bits_per_sample - 1)) as f32;
            reader.samples::<i32>().map(|sample| sample.map(|value| value as f32 * scale)).collect()
        }
    }
    .map_err(refused)?;
    let samples = match spec.channels {
        0 | 1 => interleaved,
        channels => {
            interleaved.chunks(channels.into()).map(|frame| frame.iter().sum::<f32>() / frame.len() as f32).collect()
        }
    };
    Ok(Wav { samples, sample_rate_hz: spec.sample_rate, channels: spec.channels })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wav_keeps_samples_to_half_a_step_of_16_bits() {
        let samples: Vec<f32> = (0..1757).map(|i| (i as f32 * 0.37).sin() * 0.9).collect();
        let wav = decode(&encode(&samples, 16_000).unwrap()).unwrap();
        assert_eq!((wav.sample_rate_hz, wav.channels, wav.samples.len()), (16_000, 1, 1757));
        for (got, expected) in wav.samples.iter().zip(&samples) {
            assert!((got - expected).abs() <= 0.5 / 32_768.0 + 1e-7, "{got} instead of {expected}");
        }
    }

    #[test]
    fn wav_clips_what_is_too_loud_instead_of_wrapping() {
        let wav = decode(&encode(&[2.0, -2.0, 1.0, f32::NAN, f32::INFINITY], 8_000).unwrap()).unwrap();
        let top = 32_767.0 / 32_768.0;
        assert_eq!(wav.samples, [top, -1.0, top, 0.0, top]);
    }

    #[test]
    fn wav_mixes_stereo_by_averaging() {
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 44_100,
            bits_per_sample: 32,
            sample_format: hound::SampleFormat::Float,
        };
        let mut file = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
        for sample in [0.5f32, -0.5, 1.0, 0.0, 0.25, 0.75] {
            writer.write_sample(sample).unwrap();
        }
        writer.finalize().unwrap();
        let wav = decode(file.get_ref()).unwrap();
        assert_eq!(wav, Wav { samples: vec![0.0, 0.5, 0.5], sample_rate_hz: 44_100, channels: 2 });
    }

    #[test]
    fn wav_without_samples_is_empty_and_not_an_error() {
        assert!(decode(&encode(&[], 16_000).unwrap()).unwrap().samples.is_empty());
    }

    #[test]
    fn wav_refuses_other_files_and_cut_ones() {
        let whole = encode(&[0.1; 100], 16_000).unwrap();
        for bytes in [&b""[..], b"ID3 not a wave file at all", &whole[..30], &whole[..whole.len() - 7]] {
            let message = decode(bytes).expect_err("damaged").to_string();
            assert!(message.contains("not a WAV file that can be read"), "{message}");
        }
    }
}
