//! Models from the model hub: `<hub>/<repository>/resolve/main/<file>`, resumed where an earlier download stopped and
//! checked against the hash that the hub states for large files.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use ureq::Agent;
use ureq::http::{HeaderMap, Response};

use super::catalogue::Model;
use super::expect_sha256;
use crate::digest;
use crate::report::{self, Progress};

const DEFAULT_HUB: &str = "https://huggingface.co";
const ATTEMPTS: usize = 4;

/// A connection to the hub, or why there is none.
pub struct Hub {
    agent: Agent,
    address: String,
    unreachable: Option<String>,
}

/// What the hub says about a file before it is downloaded.
struct Remote {
    size: Option<u64>,
    /// Only large files carry one.
    sha256: Option<String>,
}

impl Hub {
    /// Finds out, once and within seconds, whether the hub can be reached. `HF_ENDPOINT` names a mirror, as it does for
    /// Hugging Face's own tools; set to nothing it means that the hub is not asked.
    pub fn connect() -> Self {
        let address = env::var("HF_ENDPOINT").unwrap_or_else(|_| DEFAULT_HUB.into());
        Self::at(address.trim_end_matches('/'))
    }

    fn at(address: &str) -> Self {
        let agent = Agent::config_builder()
            .timeout_resolve(Some(Duration::from_secs(3)))
            .timeout_connect(Some(Duration::from_secs(3)))
            .timeout_recv_response(Some(Duration::from_secs(30)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .build()
            .into();
        let mut hub = Self { agent, address: address.into(), unreachable: None };
        hub.unreachable = match address.is_empty() {
            true => Some("HF_ENDPOINT is empty".into()),
            false => hub.agent.head(address).call().err().map(|error| format!("{address}: {error}")),
        };
        hub
    }

    /// Downloads a model's files into `folder`, which may hold parts of an earlier attempt. Gives the manifest's `source`.
    pub fn fetch(&self, model: &Model, folder: &Path) -> Result<String> {
        self.check_has(model)?;
        for file in model.hub_files {
            let target = folder.join(file);
            fs::create_dir_all(target.parent().unwrap_or(folder))
                .with_context(|| format!("cannot make {}", folder.display()))?;
            self.fetch_file(model, file, &target)?;
        }
        Ok(format!("hub {}", model.hub_id))
    }

    /// What `fetch` would download, for people.
    pub fn describe(&self, model: &Model) -> Result<String> {
        self.check_has(model)?;
        let mut bytes = 0;
        for file in model.hub_files {
            bytes += self.remote(model, file)?.size.unwrap_or(0);
        }
        Ok(format!("{}, {} files, {}", model.hub_id, model.hub_files.len(), report::megabytes(bytes)))
    }

    fn check_has(&self, model: &Model) -> Result<()> {
        ensure!(!model.hub_id.is_empty(), "it is made from a package");
        self.check_reachable()
    }

    fn check_reachable(&self) -> Result<()> {
        self.unreachable.as_ref().map_or(Ok(()), |why| Err(anyhow!("{why}")))
    }

    fn url(&self, model: &Model, file: &str) -> String {
        format!("{}/{}/resolve/main/{file}", self.address, model.hub_id)
    }

    /// Asks for a file's size and hash. Not following the redirect: the hash is on the hub's own answer, not on that of
    /// the server which holds the bytes.
    fn remote(&self, model: &Model, file: &str) -> Result<Remote> {
        let url = self.url(model, file);
        let request = self.agent.head(&url).config().max_redirects(0).max_redirects_will_error(false).build();
        let answer = request.call().with_context(|| url.clone())?;
        if !answer.status().is_success() && !answer.status().is_redirection() {
            bail!("{url}: {}", answer.status());
        }
        let headers = answer.headers();
        let size = header(headers, "x-linked-size").or_else(|| {
            // A redirect's own length says nothing about the file.
            header(headers, "content-length").filter(|_| answer.status().is_success())
        });
        let tag = header(headers, "x-linked-etag").map(|tag| tag.trim_matches('"'));
        let sha256 = tag.filter(|tag| tag.len() == 64 && tag.bytes().all(|b| b.is_ascii_hexdigit()));
        Ok(Remote { size: size.and_then(|text| text.parse().ok()), sha256: sha256.map(str::to_owned) })
    }

    fn fetch_file(&self, model: &Model, file: &str, target: &Path) -> Result<()> {
        let remote = self.remote(model, file)?;
        if is_complete(target, &remote)? {
            report::note(format!("{file}: already downloaded"));
            return Ok(());
        }
        let part = target.with_added_extension("part");
        let url = self.url(model, file);
        for attempt in 1.. {
            match self.append_rest(&url, file, &part, &remote) {
                Ok(()) => break,
                Err(error) if attempt < ATTEMPTS => report::note(format!("{file}: {error:#}; trying again")),
                Err(error) => return Err(error.context(format!("{file} could not be downloaded"))),
            }
        }
        if let Some(expected) = &remote.sha256 {
            let got = digest::of_file(&part)?;
            if got != *expected {
                // Nothing of a damaged file is worth resuming.
                fs::remove_file(&part).ok();
                expect_sha256(file, &got, expected)?;
            }
        }
        fs::rename(&part, target).with_context(|| format!("cannot make {}", target.display()))
    }

    /// Downloads what `part` lacks.
    fn append_rest(&self, url: &str, label: &str, part: &Path, remote: &Remote) -> Result<()> {
        let have = part.metadata().map_or(0, |meta| meta.len());
        if have > 0 && Some(have) == remote.size {
            return Ok(());
        }
        let mut request = self.agent.get(url);
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let mut answer = request.call()?;
        let resumed = match answer.status().as_u16() {
            206 if starts_at(&answer, have) => have,
            200 => 0, // The server does not resume: it sends everything again.
            206 | 416 => {
                fs::remove_file(part).ok();
                bail!("the part of an earlier download does not fit");
            }
            status => bail!("the hub answered {status}"),
        };
        let mut file = if resumed > 0 { OpenOptions::new().append(true).open(part) } else { File::create(part) }
            .with_context(|| format!("cannot write {}", part.display()))?;
        let mut progress = Progress::new(label, remote.size, resumed);
        let mut total = resumed;
        let mut block = vec![0; 1 << 16];
        let mut body = answer.body_mut().as_reader();
        loop {
            match body.read(&mut block)? {
                0 => break,
                n => {
                    file.write_all(&block[..n]).with_context(|| format!("cannot write {}", part.display()))?;
                    progress.add(n as u64);
                    total += n as u64;
                }
            }
        }
        progress.finish();
        match remote.size {
            Some(size) if size != total => bail!("the connection ended after {total} of {size} bytes"),
            _ => Ok(()),
        }
    }
}

fn is_complete(target: &Path, remote: &Remote) -> Result<bool> {
    let Ok(meta) = target.metadata() else { return Ok(false) };
    match &remote.sha256 {
        Some(expected) => Ok(digest::of_file(target)? == *expected),
        None => Ok(Some(meta.len()) == remote.size),
    }
}

/// Whether a 206 answer begins with the byte that was asked for.
fn starts_at<B>(answer: &Response<B>, first: u64) -> bool {
    header(answer.headers(), "content-range").is_some_and(|range| range.starts_with(&format!("bytes {first}-")))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::models::package::Format;
    use crate::serve::site::Site;

    /// A hub on this machine, served by our own server, with one file of one model.
    fn hub_with(name: &str, content: &[u8]) -> (Hub, Model, std::path::PathBuf) {
        let dir = env::temp_dir().join(format!("rill-hub-{name}-{}", std::process::id()));
        let files = dir.join("site/org/m/resolve/main");
        fs::create_dir_all(&files).unwrap();
        fs::write(dir.join("site/index.html"), "hub").unwrap();
        fs::write(files.join("weights.bin"), content).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let site = Site { dist: dir.join("site"), models: dir.join("none") };
        thread::spawn(move || crate::serve::answer_all(listener, site));
        let model = Model {
            id: "m",
            hub_id: "org/m",
            hub_files: &["weights.bin"],
            packages: &[],
            format: Format::Repository { folder: "", files: &[] },
            weights_sha256: "",
        };
        (Hub::at(&address), model, dir)
    }

    #[test]
    fn a_download_that_was_cut_goes_on_where_it_stopped() {
        let content: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        let (hub, model, dir) = hub_with("resume", &content);
        let folder = dir.join("out");
        fs::create_dir_all(&folder).unwrap();
        // The first half is marked, so that it shows whether it was kept or fetched again.
        let mut half = content[..content.len() / 2].to_vec();
        half[0] = 0xAA;
        fs::write(folder.join("weights.bin.part"), &half).unwrap();
        hub.fetch(&model, &folder).unwrap();
        let got = fs::read(folder.join("weights.bin")).unwrap();
        assert_eq!(got.len(), content.len());
        assert_eq!(got[0], 0xAA, "the part that was there is kept");
        assert_eq!(got[1..], content[1..]);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_part_longer_than_the_file_is_thrown_away() {
        let (hub, model, dir) = hub_with("overlong", b"short");
        let folder = dir.join("out");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("weights.bin.part"), b"much longer than it should be").unwrap();
        hub.fetch(&model, &folder).unwrap();
        assert_eq!(fs::read(folder.join("weights.bin")).unwrap(), b"short");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_hub_that_is_not_there_is_an_error_at_once() {
        let hub = Hub::at("http://127.0.0.1:9"); // The discard port: nothing listens.
        assert!(hub.check_reachable().unwrap_err().to_string().contains("127.0.0.1:9"));
    }

    #[test]
    fn a_missing_file_names_its_address() {
        let (hub, mut model, dir) = hub_with("missing", b"x");
        model.hub_files = &["other.bin"];
        let error = format!("{:#}", hub.fetch(&model, &dir.join("out")).unwrap_err());
        assert!(error.contains("other.bin") && error.contains("404"), "{error}");
        fs::remove_dir_all(dir).unwrap();
    }
}
