//! What the server answers, without the network: which file a path means, its headers, and which part of it is sent.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::range::{self, Range};
use crate::models;

/// The folders that are served: `dist` at `/`, `models` at `/models/` before the models that ship with the page.
#[derive(Clone, Debug)]
pub struct Site {
    pub dist: PathBuf,
    pub models: PathBuf,
}

/// The parts of a request that matter here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// Path and query, as on the wire.
    pub url: &'a str,
    pub range: Option<&'a str>,
    pub if_range: Option<&'a str>,
    pub if_none_match: Option<&'a str>,
}

/// An answer. `body` has exactly `length` bytes.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub length: u64,
    pub body: Box<dyn Read + Send>,
}

/// On every answer. The first two isolate the page (threads, precise clocks), the third lets an isolated page of
/// another port use our files.
const ALWAYS: [(&str, &str); 4] = [
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Embedder-Policy", "require-corp"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
];

impl Site {
    /// Answers a GET. For HEAD the same answer is sent without its body.
    pub fn answer(&self, ask: &Ask) -> Reply {
        let Some(path) = clean_path(ask.url) else {
            return Reply::text(400, "text/plain; charset=utf-8", "This path is not served.\n");
        };
        if path == "models/index.json" {
            let index = serde_json::json!({ "models": self.model_ids() });
            return Reply::text(200, mime("index.json"), &index.to_string());
        }
        let file = match path.strip_prefix("models/") {
            Some(rest) if self.is_fetched(rest) => self.models.join(rest),
            None if path.is_empty() || path.ends_with('/') => self.dist.join(&path).join("index.html"),
            _ => self.dist.join(&path),
        };
        send_file(&file, ask).unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                Reply::text(403, "text/plain; charset=utf-8", "This file is not readable.\n")
            }
            _ => Reply::text(404, "text/plain; charset=utf-8", "There is no such file.\n"),
        })
    }

    /// Whether a path below `models/` is taken from the fetched ones. A whole folder is: files of two copies never mix.
    fn is_fetched(&self, path: &str) -> bool {
        self.models.join(path.split('/').next().unwrap_or(path)).exists()
    }

    /// Every model that is served, by name: the fetched ones and those that ship with the page.
    pub fn model_ids(&self) -> Vec<String> {
        let mut ids = models::present(&self.models);
        ids.extend(models::present(&self.dist.join("models")));
        ids.sort();
        ids.dedup();
        ids
    }
}

impl Reply {
    /// A short answer from memory.
    pub fn text(status: u16, content_type: &str, text: &str) -> Self {
        let bytes = text.as_bytes().to_vec();
        let mut reply = Self::empty(status);
        reply.headers.push(("Content-Type", content_type.into()));
        reply.headers.push(("Cache-Control", "no-cache".into()));
        reply.length = bytes.len() as u64;
        reply.body = Box::new(io::Cursor::new(bytes));
        reply
    }

    fn empty(status: u16) -> Self {
        let headers = ALWAYS.map(|(name, value)| (name, value.to_owned())).to_vec();
        Self { status, headers, length: 0, body: Box::new(io::empty()) }
    }
}

/// The path below the site: decoded, without query. None for paths that could leave it, or that name hidden files
/// (unfinished downloads are hidden).
fn clean_path(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?.strip_prefix('/')?;
    let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    let (folders, name) = path.rsplit_once('/').map_or((None, &*path), |(folders, name)| (Some(folders), name));
    // An empty folder name would make the rest an absolute path, which replaces the folder it is joined to.
    let folders_fit = folders.is_none_or(|folders| folders.split('/').all(|f| !f.is_empty() && !f.starts_with('.')));
    (folders_fit && !name.starts_with('.') && !path.contains(['\\', '\0', ':'])).then(|| path.into_owned())
}

fn send_file(path: &Path, ask: &Ask) -> io::Result<Reply> {
    let mut file = File::open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let size = meta.len();
    let modified = meta.modified().unwrap_or(UNIX_EPOCH);
    let tag = entity_tag(size, modified);
    let mut reply = Reply::empty(200);
    reply.headers.extend([
        ("ETag", tag.clone()),
        ("Last-Modified", httpdate::fmt_http_date(modified)),
        // Always ask again: worker files have no hash in their name, and asking costs nothing on this machine.
        ("Cache-Control", "no-cache".into()),
        ("Accept-Ranges", "bytes".into()),
        ("Content-Type", mime(&path.to_string_lossy()).into()),
    ]);
    if ask.if_none_match.is_some_and(|tags| tags.split(',').any(|t| t.trim() == tag || t.trim() == "*")) {
        reply.status = 304;
        return Ok(reply);
    }
    // A part of a file that has changed since must not be glued to the old beginning.
    let range = ask.range.filter(|_| ask.if_range.is_none_or(|known| known == tag));
    match range::parse(range, size) {
        Range::Whole => {
            reply.length = size;
            reply.body = Box::new(file.take(size));
        }
        Range::Part { first, last } => {
            file.seek(SeekFrom::Start(first))?;
            reply.status = 206;
            reply.headers.push(("Content-Range", format!("bytes {first}-{last}/{size}")));
            reply.length = last - first + 1;
            reply.body = Box::new(file.take(reply.length));
        }
        Range::Unsatisfiable => {
            reply.status = 416;
            reply.headers.push(("Content-Range", format!("bytes */{size}")));
        }
    }
    Ok(reply)
}

fn entity_tag(size: u64, modified: SystemTime) -> String {
    let nanos = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("\"{size:x}-{nanos:x}\"")
}

/// The type by the file name's extension. WebAssembly streams only as application/wasm, module scripts only as
/// JavaScript.
fn mime(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    match extension.as_str() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" | "ts" | "md" | "wgsl" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        "ogg" | "oga" => "audio/ogg",
        "flac" => "audio/flac",
        "m4a" => "audio/mp4",
        _ => "application/octet-stream",
    }
}

/// Whether there is a page to serve.
pub fn has_page(dist: &Path) -> bool {
    fs::metadata(dist.join("index.html")).is_ok_and(|meta| meta.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(name: &str) -> (Site, PathBuf) {
        let dir = std::env::temp_dir().join(format!("rill-site-{name}-{}", std::process::id()));
        let site = Site { dist: dir.join("dist"), models: dir.join("models") };
        fs::create_dir_all(&site.dist).unwrap();
        fs::create_dir_all(site.models.join("m")).unwrap();
        fs::create_dir_all(site.models.join("unfinished")).unwrap();
        fs::write(dir.join("secret.txt"), "secret").unwrap();
        fs::write(site.dist.join("index.html"), "<p>page").unwrap();
        fs::write(site.dist.join("a file.wasm"), "0123456789").unwrap();
        fs::write(site.models.join("m/rill.json"), "{}").unwrap();
        fs::write(site.models.join("m/model.safetensors"), "weights").unwrap();
        fs::write(site.models.join(".hidden"), "part").unwrap();
        fs::create_dir_all(site.dist.join("models/own")).unwrap();
        fs::write(site.dist.join("models/own/rill.json"), "own").unwrap();
        (site, dir)
    }

    fn body(mut reply: Reply) -> String {
        let mut text = String::new();
        reply.body.read_to_string(&mut text).unwrap();
        assert_eq!(text.len() as u64, reply.length);
        text
    }

    fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
        reply.headers.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
    }

    #[test]
    fn the_root_is_the_page_and_models_lie_beside_it() {
        let (site, dir) = site("root");
        let get = |url| site.answer(&Ask { url, ..Ask::default() });
        assert_eq!(body(get("/")), "<p>page");
        assert_eq!(body(get("/?model=x#y")), "<p>page");
        assert_eq!(body(get("/models/m/model.safetensors")), "weights");
        assert_eq!(body(get("/models/index.json")), r#"{"models":["m","own"]}"#);
        assert_eq!(body(get("/models/own/rill.json")), "own");
        assert_eq!(get("/models/own/config.json").status, 404);
        assert_eq!(get("/nothing.js").status, 404);
        assert_eq!(get("/models/m").status, 404);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn every_answer_isolates_the_page() {
        let (site, dir) = site("headers");
        for url in ["/", "/nothing", "/../x", "/models/index.json"] {
            let reply = site.answer(&Ask { url, ..Ask::default() });
            assert_eq!(header(&reply, "Cross-Origin-Opener-Policy"), "same-origin", "{url}");
            assert_eq!(header(&reply, "Cross-Origin-Embedder-Policy"), "require-corp", "{url}");
            assert_eq!(header(&reply, "Cross-Origin-Resource-Policy"), "same-origin", "{url}");
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn no_path_leaves_the_site_or_shows_hidden_files() {
        let (site, dir) = site("traversal");
        for url in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/models/../../secret.txt",
            "/models/%2E%2E%2F%2E%2E%2Fsecret.txt",
            "/..\\secret.txt",
            "/%5c..%5csecret.txt",
            "//etc/passwd",
            "/%2fetc/passwd",
            "/models//etc/passwd",
            "/models/.hidden",
            "/index.html%00.js",
            "/%ff",
            "etc/passwd",
            "",
        ] {
            let reply = site.answer(&Ask { url, ..Ask::default() });
            assert!(matches!(reply.status, 400 | 404), "{url}: {}", reply.status);
            assert!(!body(reply).contains("secret"), "{url}");
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn ranges_are_sent_with_their_place_in_the_file() {
        let (site, dir) = site("range");
        let get = |range| site.answer(&Ask { url: "/a%20file.wasm", range: Some(range), ..Ask::default() });
        let part = get("bytes=2-4");
        assert_eq!((part.status, header(&part, "Content-Range")), (206, "bytes 2-4/10"));
        assert_eq!(header(&part, "Content-Type"), "application/wasm");
        assert_eq!(body(part), "234");
        assert_eq!(body(get("bytes=7-")), "789");
        assert_eq!(body(get("bytes=-3")), "789");
        let outside = get("bytes=10-");
        assert_eq!((outside.status, header(&outside, "Content-Range")), (416, "bytes */10"));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_the_browser_has_is_not_sent_again_and_a_changed_one_not_in_part() {
        let (site, dir) = site("etag");
        let ask = Ask { url: "/a%20file.wasm", ..Ask::default() };
        let tag = header(&site.answer(&ask), "ETag").to_owned();
        let again = site.answer(&Ask { if_none_match: Some(&tag), ..ask });
        assert_eq!((again.status, again.length), (304, 0));
        let range = Some("bytes=1-2");
        assert_eq!(site.answer(&Ask { range, if_range: Some(&tag), ..ask }).status, 206);
        assert_eq!(site.answer(&Ask { range, if_range: Some("\"old\""), ..ask }).status, 200);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn types_by_extension() {
        for (name, expected) in [
            ("a.js", "text/javascript; charset=utf-8"),
            ("a_bg.wasm", "application/wasm"),
            ("a.JSON", "application/json"),
            ("icon.svg", "image/svg+xml"),
            ("app.webmanifest", "application/manifest+json"),
            ("clip.wav", "audio/wav"),
            ("model.safetensors", "application/octet-stream"),
            ("LICENSE", "application/octet-stream"),
        ] {
            assert_eq!(mime(name), expected, "{name}");
        }
    }
}
