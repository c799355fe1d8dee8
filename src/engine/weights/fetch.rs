//! One request to a server, and its answer as a stream of bytes.
//!
//! Says of each failure whether asking again may help; asking again, and going on where a file broke off, is left to
//! [`super::web`].

use js_sys::{Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, ReadableStreamDefaultReader, RequestCache, RequestInit, Response};

use super::list::is_sha256;

/// Why a request gave nothing.
#[derive(Debug)]
pub enum Problem {
    /// The server has no such file.
    Missing(String),
    /// The connection or the server failed; asking again may help.
    Broken(String),
    /// The answer cannot be used, and will be the same again.
    Refused(String),
}

/// What a server answered.
pub struct Answer {
    /// Whether it gives only the range that was asked for (206); otherwise it gives the whole file (200).
    pub is_range: bool,
    /// First byte of what it gives.
    pub start: u64,
    /// Length of the whole file, where it says so.
    pub total: Option<u64>,
    /// Whether `total` may be another length than the file's: other sites' servers hide that they compress.
    pub total_is_a_hint: bool,
    /// Its name for this version of the file.
    pub etag: Option<String>,
    /// The file's hash as the model hub gives it.
    pub sha256: Option<String>,
    /// The bytes.
    pub body: Body,
}

/// A request on its way: it runs even while nobody waits for it.
pub struct Request {
    answer: JsFuture,
    range: Option<(u64, u64)>,
}

impl Request {
    /// Asks for a file, or for its bytes `range.0..range.1`.
    pub fn start(url: &str, range: Option<(u64, u64)>, signal: Option<&AbortSignal>) -> Self {
        let answer = fetch(url, range, signal).unwrap_or_else(|error| Promise::reject(&error));
        Self { answer: JsFuture::from(answer), range }
    }

    /// Waits for the head of the answer.
    pub async fn answer(self) -> Result<Answer, Problem> {
        let response: Response = self.answer.await.map_err(|error| broken(&error))?.unchecked_into();
        let status = response.status();
        let said = format!("the server answered {status} {}", response.status_text()).trim_end().to_string();
        match status {
            200 | 206 => {}
            404 | 410 => return Err(Problem::Missing(said)),
            401 | 403 => return Err(Problem::Refused(format!("{said}: the file is not public"))),
            408 | 425 | 429 | 500..=599 => return Err(Problem::Broken(said)),
            _ => return Err(Problem::Refused(said)),
        }
        let header = |name: &str| response.headers().get(name).ok().flatten();
        // Servers of single-page sites answer every address with the page.
        if header("content-type").is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html")) {
            return Err(Problem::Missing("the server answered with a web page instead of the file".into()));
        }
        let (is_range, start, total) = match (status, self.range) {
            (206, Some((begin, _))) => {
                let (start, total) = content_range(&response.headers()).unwrap_or((begin, None));
                if start != begin {
                    return Err(Problem::Refused(format!("the server sent byte {start}, byte {begin} was asked for")));
                }
                (true, start, total)
            }
            (206, None) => return Err(Problem::Refused(format!("{said}, although the whole file was asked for"))),
            // Compressed content has another length than the file.
            _ if header("content-encoding").is_some() => (false, 0, None),
            _ => (false, 0, header("content-length").and_then(|length| length.parse().ok())),
        };
        let sha256 =
            header("x-linked-etag").map(|tag| tag.trim_matches('"').to_ascii_lowercase()).filter(|tag| is_sha256(tag));
        let stream = response.body().ok_or_else(|| Problem::Broken("the server's answer has no content".into()))?;
        let reader = stream.get_reader().unchecked_into();
        let body = Body { reader, rest: None, is_done: false };
        Ok(Answer { is_range, start, total, total_is_a_hint: !is_range, etag: header("etag"), sha256, body })
    }
}

/// The content of an answer.
pub struct Body {
    reader: ReadableStreamDefaultReader,
    /// Bytes received with the last packet and not taken yet.
    rest: Option<Uint8Array>,
    is_done: bool,
}

impl Body {
    /// Appends what has arrived next to `bytes`, at most `limit` bytes; 0 at the end. Some packets are empty: 0 is
    /// given for the end only.
    pub async fn read(&mut self, bytes: &mut Vec<u8>, limit: usize) -> Result<usize, Problem> {
        let packet = match self.rest.take() {
            Some(rest) => rest,
            None => match self.packet().await? {
                Some(packet) => packet,
                None => return Ok(0),
            },
        };
        let length = packet.length() as usize;
        let taken = length.min(limit);
        let old_len = bytes.len();
        bytes.resize(old_len + taken, 0);
        packet.subarray(0, taken as u32).copy_to(&mut bytes[old_len..]);
        if taken < length {
            self.rest = Some(packet.subarray(taken as u32, length as u32));
        }
        Ok(taken)
    }

    async fn packet(&mut self) -> Result<Option<Uint8Array>, Problem> {
        while !self.is_done {
            let result = JsFuture::from(self.reader.read()).await.map_err(|error| broken(&error))?;
            let field = |name: &str| Reflect::get(&result, &name.into()).unwrap_or(JsValue::UNDEFINED);
            self.is_done = field("done").is_truthy();
            match field("value").dyn_into::<Uint8Array>() {
                Ok(packet) if packet.length() > 0 => return Ok(Some(packet)),
                _ => {}
            }
        }
        Ok(None)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if !self.is_done {
            // Tells the server to stop. The promise is awaited by nobody; a failure to stop changes nothing.
            drop(JsFuture::from(self.reader.cancel()));
        }
    }
}

/// The global `fetch`, which a window and a worker both have. The browser's own HTTP cache is left out: it would keep
/// everything a second time.
fn fetch(url: &str, range: Option<(u64, u64)>, signal: Option<&AbortSignal>) -> Result<Promise, JsValue> {
    let headers = Headers::new()?;
    if let Some((begin, end)) = range {
        headers.set("Range", &format!("bytes={begin}-{}", end.saturating_sub(1)))?;
    }
    let init = RequestInit::new();
    init.set_headers(&headers);
    init.set_cache(RequestCache::NoStore);
    init.set_signal(signal);
    let function: Function = Reflect::get(&js_sys::global(), &"fetch".into())?.dyn_into()?;
    function.call2(&JsValue::UNDEFINED, &url.into(), &init)?.dyn_into()
}

/// First byte and whole length of `Content-Range: bytes 0-99/1000`; other sites' servers may hide the header.
fn content_range(headers: &Headers) -> Option<(u64, Option<u64>)> {
    let value = headers.get("content-range").ok().flatten()?;
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

fn broken(error: &JsValue) -> Problem {
    let message = Reflect::get(error, &"message".into()).ok().and_then(|message| message.as_string());
    Problem::Broken(format!("the connection failed ({})", message.unwrap_or_else(|| format!("{error:?}"))))
}
