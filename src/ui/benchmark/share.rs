//! Runs as text that fits into an address: JSON, compressed (RFC 1951), in the letters of base64 for addresses (RFC 4648, section 5).
//! A link holds the result itself, so it needs no server.

use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::record::BenchmarkRun;

/// Longer JSON is not unpacked: a small address must not fill the memory.
const MOST_BYTES: u64 = 4 << 20;

/// Runs as the letters of an address.
///
/// # Errors
/// Where a run cannot be written, which has to do with no run that was measured.
pub fn pack(runs: &[BenchmarkRun]) -> Result<String, String> {
    let json = serde_json::to_vec(runs).map_err(|error| error.to_string())?;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&json).map_err(|error| error.to_string())?;
    Ok(URL_SAFE_NO_PAD.encode(encoder.finish().map_err(|error| error.to_string())?))
}

/// The runs that an address holds.
///
/// # Errors
/// In words what is wrong with it; an address that was cut on its way is the usual reason.
pub fn unpack(letters: &str) -> Result<Vec<BenchmarkRun>, String> {
    let damaged = |what: &str| format!("{what}; perhaps the link was cut on its way");
    let packed = URL_SAFE_NO_PAD.decode(letters).map_err(|_| damaged("its letters are not those of a link"))?;
    let mut json = Vec::new();
    let mut decoder = DeflateDecoder::new(&packed[..]).take(MOST_BYTES + 1);
    decoder.read_to_end(&mut json).map_err(|_| damaged("it cannot be unpacked"))?;
    if json.len() as u64 > MOST_BYTES {
        return Err("it holds more than 4 MB".into());
    }
    let text = String::from_utf8(json).map_err(|_| damaged("it holds no text"))?;
    BenchmarkRun::read(&text)
}

#[cfg(test)]
mod tests {
    use super::super::kernels;
    use super::super::record::tests::run;
    use super::*;
    use crate::protocol::{BackendChoice, BenchKernel};

    #[test]
    fn runs_come_back_from_an_address_as_they_were() {
        let runs = [run("a", "Firefox", &[(BackendChoice::Wasm, 812.345678)]), run("b", "Chrome ü", &[])];
        let letters = pack(&runs).unwrap();
        assert!(letters.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{letters}");
        assert!(letters.len() < serde_json::to_string(&runs).unwrap().len(), "{}", letters.len());
        assert_eq!(unpack(&letters).unwrap(), runs);
    }

    #[test]
    fn a_damaged_address_is_refused_in_words() {
        let letters = pack(&[run("a", "Firefox", &[])]).unwrap();
        assert!(unpack(&letters[..letters.len() / 2]).unwrap_err().contains("link was cut"));
        assert!(unpack("not a link!").unwrap_err().contains("letters"));
        assert!(unpack("").is_err());
    }

    #[test]
    fn kernels_make_a_link_little_longer() {
        let mut all = run("a", "Firefox", &[(BackendChoice::Wasm, 812.345678)]);
        let without = pack(&[all.clone()]).unwrap().len();
        for (idx, kernel) in BenchKernel::ALL.into_iter().enumerate() {
            for (by, backend) in
                [BackendChoice::WebGpu, BackendChoice::WebNn, BackendChoice::Wasm].into_iter().enumerate()
            {
                let us = |sample: usize| 1e3 * (1.0 + (idx * 31 + by * 7 + sample) as f64).sqrt();
                all.kernels.push(kernels::tests::entry(kernel, backend, &[us(0), us(1), us(2)]));
            }
        }
        let letters = pack(&[all.clone()]).unwrap();
        assert_eq!(unpack(&letters).unwrap(), [all]);
        // An address of 8,000 letters passes through anything that people send each other.
        assert!(letters.len() - without < 2_500, "{} of {}", letters.len() - without, letters.len());
    }

    #[test]
    fn an_address_that_unpacks_to_very_much_is_refused() {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![b' '; 5 << 20]).unwrap();
        let letters = URL_SAFE_NO_PAD.encode(encoder.finish().unwrap());
        assert_eq!(unpack(&letters).unwrap_err(), "it holds more than 4 MB");
    }
}
