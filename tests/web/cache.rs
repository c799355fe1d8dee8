//! The loader in a real browser: its IndexedDB and its private files, and a server that breaks in every way a server can.
//!
//! The browser is real, the server is a few lines of JavaScript in place of `fetch`: it answers by a plan and writes
//! down what it was asked. Run with `cargo test --target wasm32-unknown-unknown --test web cache::`.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Waker};

use rill::engine::backing::{Backing, BackingKey};
use rill::engine::graph::SlotId;
use rill::engine::weights::cache::{Kept, Manifest, ModelCache};
use rill::engine::weights::copies;
use rill::engine::weights::files::InFlight;
use rill::engine::weights::{FileStream, LoadHooks, ModelFiles, WebSource};
use rill::engine::{CancelFlag, Error, Result, edge};
use rill::protocol::{FileProgress, Source};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::Blob;

const APP: &str = "http://app.test/sub/";
const CHUNK: usize = 10_000;
const WEIGHTS: &str = "model.safetensors";

/// `server.plan` holds what the next requests for weights get; an empty plan means `ok`. Other files are always `ok`.
const SERVER: &str = r#"
globalThis.server = { files: {}, etags: {}, plan: [], log: [], ignoresRanges: false, offline: false };
globalThis.browsersFetch ??= globalThis.fetch;
globalThis.fetch = async (url, init) => {
  if (url.startsWith('blob:')) return browsersFetch(url, init); // Files of the visitor's are on no server.
  const range = new Headers(init.headers).get('range');
  const short = url.replace(/^.*\/(?=[^/]*$)/, '');
  server.log.push(short + (range ? ' ' + range.slice(6) : ''));
  if (server.offline) throw new TypeError('Failed to fetch');
  if (init.signal.aborted) throw new DOMException('aborted', 'AbortError');
  const step = short.endsWith('.safetensors') ? server.plan.shift() ?? 'ok' : 'ok';
  if (step === 'hang') return new Promise((_, reject) =>
    init.signal.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError'))));
  if (step === 'drop') throw new TypeError('Failed to fetch');
  if (/^\d+$/.test(step)) return new Response('sorry', { status: Number(step) });
  const file = server.files[url];
  if (file === 'html') return new Response('<!doctype html>', { headers: { 'content-type': 'text/html; charset=utf-8' } });
  if (file === undefined) return new Response('', { status: 404 });
  let [begin, end] = [0, file.length];
  const headers = { etag: server.etags[url] ?? '"1"', 'content-type': 'application/octet-stream' };
  if (range && !server.ignoresRanges) {
    const [first, last] = range.slice(6).split('-').map(Number);
    [begin, end] = [first, Math.min(last + 1, file.length)];
    headers['content-range'] = `bytes ${begin}-${end - 1}/${file.length}`;
  }
  headers['content-length'] = String(end - begin);
  const [kind, after] = step.split(':');
  const stop = kind === 'ok' ? end : begin + Number(after);
  let at = begin;
  const body = new ReadableStream({ pull(controller) {
    if (at >= stop) return kind === 'break' ? controller.error(new TypeError('network error')) : controller.close();
    const next = Math.min(at + 1700, stop);
    controller.enqueue(file.slice(at, next));
    at = next;
  } });
  return new Response(body, { status: headers['content-range'] ? 206 : 200, headers });
};
"#;

fn js(code: &str) -> JsValue {
    js_sys::eval(code).unwrap_or_else(|error| panic!("{code}: {error:?}"))
}

/// The value of a promise; `code` is the body of an asynchronous function that has the folder of kept files as `folder`.
async fn in_folder(code: &str) -> JsValue {
    let folder = "const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('rill-models');";
    let promise = js(&format!("(async () => {{ {folder} {code} }})()"));
    JsFuture::from(js_sys::Promise::from(promise)).await.unwrap_or_else(|error| panic!("{code}: {error:?}"))
}

/// Where browsers' windows keep large files.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Window {
    WithFiles,
    /// As WebKit's private windows.
    WithoutFiles,
}

const WINDOWS: [Window; 2] = [Window::WithFiles, Window::WithoutFiles];

impl Window {
    /// The browser is one of these until this is dropped.
    fn open(self) -> impl Drop {
        struct Closed;
        impl Drop for Closed {
            fn drop(&mut self) {
                js("StorageManager.prototype.getDirectory = trueDirectory");
            }
        }
        js("globalThis.trueDirectory ??= StorageManager.prototype.getDirectory");
        if self == Window::WithoutFiles {
            js(
                "StorageManager.prototype.getDirectory = async () => { throw new DOMException('not here', 'SecurityError') }",
            );
        }
        Closed
    }
}

fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 7) as u8 ^ seed as u8).collect()
}

/// Puts a file on the server.
fn serve(url: &str, content: &[u8]) {
    let array = js_sys::Uint8Array::from(content);
    let files = js("server.files");
    js_sys::Reflect::set(&files, &url.into(), &array).expect("an object");
}

fn serve_weights(model: &str, content: &[u8]) {
    serve(&format!("{APP}models/{model}/{WEIGHTS}"), content);
}

fn serve_list(model: &str, content: &[u8], sha256: &str) {
    let list = format!(r#"{{"files":[{{"name":"{WEIGHTS}","size":{},"sha256":"{sha256}"}}]}}"#, content.len());
    serve(&format!("{APP}models/{model}/rill.json"), list.as_bytes());
}

fn sha256(content: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the server was asked since the last call.
fn asked() -> Vec<String> {
    let log = js("server.log.splice(0).join('\\n')").as_string().expect("a string");
    log.lines().map(String::from).collect()
}

#[derive(Default)]
struct Heard {
    progress: RefCell<Vec<FileProgress>>,
    notices: RefCell<Vec<Error>>,
}

async fn files(model: &str, source: Source) -> (ModelFiles, Rc<Heard>, CancelFlag) {
    let heard = Rc::new(Heard::default());
    let cancel = CancelFlag::default();
    let (progress, notices) = (heard.clone(), heard.clone());
    let hooks = LoadHooks {
        cancel: cancel.clone(),
        on_progress: Rc::new(move |report| progress.progress.borrow_mut().push(report)),
        on_notice: Rc::new(move |notice| notices.notices.borrow_mut().push(notice)),
    };
    let source = WebSource {
        model: model.into(),
        hub_id: format!("someone/{model}"),
        source,
        app_url: APP.into(),
        chunk_bytes: CHUNK as u32,
    };
    (ModelFiles::new(source, hooks).await.expect("a good address"), heard, cancel)
}

async fn own(model: &str) -> ModelFiles {
    files(model, Source::Own).await.0
}

async fn drain(stream: &mut FileStream) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    while let Some(chunk) = stream.next_chunk().await? {
        content.extend_from_slice(&chunk);
    }
    Ok(content)
}

async fn weights(files: &ModelFiles) -> Result<Vec<u8>> {
    drain(&mut files.open(WEIGHTS).await?).await
}

/// A fresh server and an empty store for a model.
async fn start(model: &str) {
    js(SERVER);
    ModelCache::open().await.expect("IndexedDB").remove(model).await.expect("removed");
}

fn fetch_reason(error: &Error) -> String {
    assert!(matches!(error, Error::Fetch { .. }), "{error}");
    error.to_string()
}

#[wasm_bindgen_test]
async fn second_visit_loads_without_a_single_request() {
    for window in WINDOWS {
        let _open = window.open();
        second_visit(window, "second-visit").await;
    }
}

async fn second_visit(window: Window, model: &str) {
    start(model).await;
    let content = bytes(3 * CHUNK + 123, 1);
    serve_weights(model, &content);
    serve(&format!("{APP}models/{model}/config.json"), b"{}");
    let (first, heard, _) = files(model, Source::Own).await;
    assert_eq!(first.read("config.json").await.unwrap().unwrap(), b"{}");
    assert_eq!(first.read("generation_config.json").await.unwrap(), None);
    let mut stream = first.open(WEIGHTS).await.unwrap();
    assert_eq!(stream.total_bytes(), Some(content.len() as u64));
    assert_eq!(drain(&mut stream).await.unwrap(), content);
    let weights_requests: Vec<String> = asked().into_iter().filter(|line| line.starts_with(WEIGHTS)).collect();
    assert_eq!(
        weights_requests,
        ["0-9999", "10000-19999", "20000-29999", "30000-30122"].map(|range| format!("{WEIGHTS} {range}"))
    );
    let last = heard.progress.borrow().last().cloned().unwrap();
    assert_eq!((last.received_bytes, last.total_bytes, last.cached), (30_123, 30_123, false));

    js("server.offline = true");
    let (second, heard, _) = files(model, Source::Own).await;
    assert_eq!(second.read("config.json").await.unwrap().unwrap(), b"{}");
    assert_eq!(second.read("generation_config.json").await.unwrap(), None);
    assert_eq!(weights(&second).await.unwrap(), content);
    assert_eq!(asked(), [""; 0]);
    assert!(heard.progress.borrow().iter().all(|report| report.cached));
    assert!(heard.notices.borrow().is_empty());

    let cache = ModelCache::open().await.unwrap();
    let in_file = |manifest: &Manifest| (manifest.url.ends_with(WEIGHTS), manifest.file.is_some());
    let of_model = cache.manifests().await.unwrap().into_iter().filter(|manifest| manifest.model == model);
    let is_large_alone = |(is_large, is_in_file)| is_in_file == (is_large && window == Window::WithFiles);
    assert!(of_model.map(|manifest| in_file(&manifest)).all(is_large_alone), "{window:?}");
    let listed = cache.list().await.unwrap().into_iter().find(|kept| kept.model == model).unwrap();
    assert_eq!((listed.complete, listed.bytes), (true, 30_125));
    cache.remove(model).await.unwrap();
    assert!(cache.list().await.unwrap().iter().all(|kept| kept.model != model));
    assert!(weights(&own(model).await).await.is_err());
}

#[wasm_bindgen_test]
async fn server_without_ranges_is_read_in_one_go_and_kept_in_chunks() {
    let model = "no-ranges";
    start(model).await;
    js("server.ignoresRanges = true");
    let content = bytes(2 * CHUNK + 5_000, 2);
    serve_weights(model, &content);
    assert_eq!(weights(&own(model).await).await.unwrap(), content);
    assert_eq!(asked(), ["rill.json".to_string(), format!("{WEIGHTS} 0-9999")]);
    js("server.offline = true");
    assert_eq!(weights(&own(model).await).await.unwrap(), content);
}

#[wasm_bindgen_test]
async fn broken_requests_go_on_at_the_byte_they_reached() {
    let model = "broken";
    start(model).await;
    let content = bytes(2 * CHUNK, 3);
    serve_weights(model, &content);
    js("server.plan = ['503', 'break:4000', 'drop', 'close:1000', 'ok', '500', 'ok']");
    assert_eq!(weights(&own(model).await).await.unwrap(), content);
    let ranges = ["0-9999", "0-9999", "4000-9999", "4000-9999", "5000-9999", "10000-19999", "10000-19999"];
    assert_eq!(asked()[1..], ranges.map(|range| format!("{WEIGHTS} {range}")));

    // A server without ranges gives the file from its start; what is here already is passed over.
    start(model).await;
    serve_weights(model, &content);
    js("server.ignoresRanges = true; server.plan = ['break:12345']");
    assert_eq!(weights(&own(model).await).await.unwrap(), content);
}

#[wasm_bindgen_test]
async fn interrupted_download_resumes_at_the_first_missing_chunk() {
    let model = "interrupted";
    start(model).await;
    let content = bytes(4 * CHUNK, 4);
    serve_weights(model, &content);
    serve_list(model, &content, &sha256(&content));
    let first = own(model).await;
    let mut stream = first.open(WEIGHTS).await.unwrap();
    stream.next_chunk().await.unwrap();
    stream.next_chunk().await.unwrap();
    drop(stream);
    let listed = ModelCache::open().await.unwrap().list().await.unwrap();
    let kept = listed.iter().find(|kept| kept.model == model).unwrap();
    assert_eq!((kept.complete, kept.bytes), (false, 20_000));
    asked();

    assert_eq!(weights(&own(model).await).await.unwrap(), content);
    assert_eq!(asked()[1..], ["20000-29999", "30000-39999"].map(|range| format!("{WEIGHTS} {range}")));

    // A published hash that changed in between makes what is kept worthless.
    start(model).await;
    serve_weights(model, &content);
    let mut stream = own(model).await.open(WEIGHTS).await.unwrap();
    stream.next_chunk().await.unwrap();
    drop(stream);
    let other = bytes(4 * CHUNK, 44);
    serve_weights(model, &other);
    serve_list(model, &other, &sha256(&other));
    assert_eq!(weights(&own(model).await).await.unwrap(), other);
}

#[wasm_bindgen_test]
async fn server_that_keeps_failing_ends_the_load_with_its_words() {
    let model = "failing";
    start(model).await;
    serve_weights(model, &bytes(CHUNK, 5));
    js("server.plan = Array(9).fill('500')");
    let message = fetch_reason(&weights(&own(model).await).await.unwrap_err());
    assert!(message.contains("500") && message.contains("5 times in a row"), "{message}");
    js("server.plan = ['403']");
    let message = fetch_reason(&weights(&own(model).await).await.unwrap_err());
    assert!(message.contains("not public"), "{message}");
    js("server.plan = []");
    assert!(weights(&own(model).await).await.is_ok());
}

#[wasm_bindgen_test]
async fn wrong_hash_is_an_error_and_is_not_kept() {
    let model = "hash";
    start(model).await;
    let content = bytes(2 * CHUNK + 1, 6);
    let mut damaged = content.clone();
    damaged[15_000] ^= 1;
    serve_weights(model, &damaged);
    serve_list(model, &content, &sha256(&content));
    let error = weights(&own(model).await).await.unwrap_err();
    assert!(matches!(&error, Error::Corrupt { file, .. } if file == WEIGHTS), "{error}");
    assert!(ModelCache::open().await.unwrap().list().await.unwrap().iter().all(|kept| kept.model != model));
    serve_weights(model, &content);
    assert_eq!(weights(&own(model).await).await.unwrap(), content);

    // A list with another length than the server's file.
    start(model).await;
    serve_weights(model, &content);
    serve_list(model, &content[1..], &sha256(&content));
    let message = fetch_reason(&weights(&own(model).await).await.unwrap_err());
    assert!(message.contains("20001 bytes, 20000 were expected"), "{message}");
}

#[wasm_bindgen_test]
async fn damaged_chunk_in_the_store_is_fetched_again() {
    for window in WINDOWS {
        let _open = window.open();
        damaged_chunk(window, "damaged").await;
    }
}

async fn damaged_chunk(window: Window, model: &str) {
    start(model).await;
    let content = bytes(3 * CHUNK, 7);
    serve_weights(model, &content);
    weights(&own(model).await).await.unwrap();
    let cache = ModelCache::open().await.unwrap();
    let url = format!("{APP}models/{model}/{WEIGHTS}");
    let manifest = cache.manifest(&url).await.unwrap().unwrap();
    assert_eq!((manifest.kept, manifest.chunks.len()), (Kept::Whole, 3));
    match (window, &manifest.file) {
        (Window::WithFiles, Some(name)) => {
            let cut = "const handle = await (await folder.getFileHandle(name)).createSyncAccessHandle({ mode: 'readwrite-unsafe' });
                handle.truncate(20012); handle.close();";
            in_folder(&format!("const name = '{name}'; {cut}")).await;
        }
        (Window::WithoutFiles, None) => cache.put(&manifest, Some((2, b"half written"))).await.unwrap(),
        other => panic!("{other:?}"),
    }
    asked();
    assert_eq!(weights(&own(model).await).await.unwrap(), content);
    assert_eq!(asked(), [format!("{WEIGHTS} 20000-29999")]);
    js("server.offline = true");
    assert_eq!(weights(&own(model).await).await.unwrap(), content);
}

#[wasm_bindgen_test]
async fn file_that_another_page_holds_is_read_and_one_that_is_gone_comes_again() {
    let model = "held";
    start(model).await;
    let content = bytes(3 * CHUNK + 5, 17);
    serve_weights(model, &content);
    weights(&own(model).await).await.unwrap();
    let url = format!("{APP}models/{model}/{WEIGHTS}");
    let cache = ModelCache::open().await.unwrap();
    let name = cache.manifest(&url).await.unwrap().unwrap().file.expect("a file");
    // As browsers do that give one handle for each file.
    in_folder(&format!("globalThis.lock = await (await folder.getFileHandle('{name}')).createSyncAccessHandle();"))
        .await;
    js("server.offline = true");
    let held = weights(&own(model).await).await;
    js("lock.close()");
    assert_eq!(held.unwrap(), content);

    js("server.offline = false");
    in_folder(&format!("await folder.removeEntry('{name}')")).await;
    asked();
    assert_eq!(weights(&own(model).await).await.unwrap(), content);
    assert_eq!(asked().len(), 4, "nothing of it was left");
    // What is there no more is not written to: the rest of it would be a hole.
    let mut manifest = Manifest::new(model, url.clone(), CHUNK as u32);
    manifest.file = cache.new_file();
    manifest.chunks.extend_to(2);
    assert!(matches!(
        cache.put(&manifest, Some((1, &content[..CHUNK]))).await,
        Err(Error::Storage { full: false, .. })
    ));
}

#[wasm_bindgen_test]
async fn files_go_with_their_models_and_orphans_when_they_are_old() {
    let model = "gone-with-it";
    start(model).await;
    serve_weights(model, &bytes(3 * CHUNK, 18));
    weights(&own(model).await).await.unwrap();
    let cache = ModelCache::open().await.unwrap();
    let url = format!("{APP}models/{model}/{WEIGHTS}");
    let name = cache.manifest(&url).await.unwrap().unwrap().file.expect("a file");
    let begun = cache.new_file().expect("a name");
    let orphans =
        format!("for (const name of ['1000-7', '{begun}']) await folder.getFileHandle(name, {{ create: true }})");
    in_folder(&orphans).await;
    cache.remove_orphans().await.unwrap();
    let there = "const names = []; for await (const name of folder.keys()) names.push(name); return names.join(' ')";
    let names = in_folder(there).await.as_string().unwrap();
    let has = |names: &str, one: &str| names.split(' ').any(|name| name == one);
    assert!(has(&names, &name) && has(&names, &begun) && !has(&names, "1000-7"), "{names}");
    cache.remove(model).await.unwrap();
    let names = in_folder(there).await.as_string().unwrap();
    assert!(!has(&names, &name), "{names}");
    in_folder(&format!("await folder.removeEntry('{begun}')")).await;
}

#[wasm_bindgen_test]
async fn file_replaced_on_the_server_is_never_mixed_with_the_old_one() {
    let model = "replaced";
    start(model).await;
    let url = format!("{APP}models/{model}/{WEIGHTS}");
    serve_weights(model, &bytes(3 * CHUNK, 8));
    let mut stream = own(model).await.open(WEIGHTS).await.unwrap();
    stream.next_chunk().await.unwrap();
    drop(stream);
    let new = bytes(3 * CHUNK, 88);
    serve_weights(model, &new);
    js(&format!("server.etags['{url}'] = '\"2\"'"));
    let error = weights(&own(model).await).await.unwrap_err();
    assert!(error.to_string().contains("replaced on the server"), "{error}");
    assert_eq!(weights(&own(model).await).await.unwrap(), new);
}

#[wasm_bindgen_test]
async fn auto_takes_the_hub_where_the_own_folder_answers_with_a_page() {
    let model = "auto";
    start(model).await;
    for name in ["rill.json", "config.json", WEIGHTS] {
        js(&format!("server.files['{APP}models/{model}/{name}'] = 'html'"));
    }
    let hub = format!("https://huggingface.co/someone/{model}/resolve/main");
    let content = bytes(CHUNK + 9, 9);
    serve(&format!("{hub}/config.json"), b"{\"hub\":1}");
    serve(&format!("{hub}/{WEIGHTS}"), &content);
    let (auto, _, _) = files(model, Source::Auto).await;
    assert_eq!(auto.read_required("config.json").await.unwrap(), b"{\"hub\":1}");
    assert_eq!(weights(&auto).await.unwrap(), content);
    assert!(auto.address(WEIGHTS).starts_with("https://huggingface.co/someone/auto/resolve/main/"));
    js("server.offline = true");
    asked();
    let (again, _, _) = files(model, Source::Auto).await;
    assert_eq!(again.read_required("config.json").await.unwrap(), b"{\"hub\":1}");
    assert_eq!(weights(&again).await.unwrap(), content);
    assert_eq!(asked(), [""; 0]);
    // The own folder alone has nothing, and says so.
    let message = fetch_reason(&own(model).await.read_required("config.json").await.unwrap_err());
    assert!(message.contains("no such file") && message.contains("http://app.test/sub/models/auto/"), "{message}");
}

fn at(model: &str, hub_id: &str) -> WebSource {
    let (app_url, source) = (APP.into(), Source::Auto);
    WebSource { model: model.into(), hub_id: hub_id.into(), source, app_url, chunk_bytes: CHUNK as u32 }
}

#[wasm_bindgen_test]
async fn a_model_may_be_an_address_or_a_revision_on_the_hub() {
    let address = "http://other.test/m/by-address";
    start(address).await;
    serve(&format!("{address}/1_Pooling/config.json"), b"3");
    let by_address = ModelFiles::new(at(address, ""), LoadHooks::default()).await.unwrap();
    assert_eq!(by_address.read_required("1_Pooling/config.json").await.unwrap(), b"3");
    let at_revision = "someone/revised@refs/pr/7";
    start(at_revision).await;
    serve("https://huggingface.co/someone/revised/resolve/refs%2Fpr%2F7/config.json", b"4");
    let revised = ModelFiles::new(at(at_revision, at_revision), LoadHooks::default()).await.unwrap();
    assert_eq!(revised.read_required("config.json").await.unwrap(), b"4");
    assert!(asked().iter().any(|name| name == "refs%2Fpr%2F7?recursive=true"), "the list has sub-folders too");
    // A model that is nowhere else is not looked for on the hub.
    start("shipped").await;
    let shipped = ModelFiles::new(at("shipped", ""), LoadHooks::default()).await.unwrap();
    assert_eq!(shipped.read("config.json").await.unwrap(), None);
    assert_eq!(asked(), ["rill.json", "config.json"]);
}

#[wasm_bindgen_test]
async fn dropped_files_are_read_in_place_and_nothing_of_them_is_kept() {
    start("mine").await;
    let content = bytes(2 * CHUNK + 77, 5);
    js_sys::Reflect::set(&js("server.files"), &"mine".into(), &js_sys::Uint8Array::from(&content[..])).expect("set");
    // Each with its path, which is its name where it was dropped without a folder.
    let named = |file: web_sys::File| (file.name(), Blob::from(file));
    let dropped = |code: &str| -> Vec<(String, Blob)> {
        js_sys::Array::from(&js(code)).iter().map(|file| named(file.unchecked_into())).collect()
    };
    let files = dropped("[new File(['{}'], 'config.json'), new File([server.files.mine], 'model.safetensors')]");
    let files = ModelFiles::dropped(&files, "mine", CHUNK as u32, LoadHooks::default()).unwrap();
    assert_eq!(files.read_required("config.json").await.unwrap(), b"{}");
    assert_eq!(files.read("tokenizer.json").await.unwrap(), None);
    assert_eq!(weights(&files).await.unwrap(), content);
    let message = files.read_required("tokenizer.json").await.unwrap_err().to_string();
    assert!(message.contains("tokenizer.json"), "{message}");
    let kept = ModelCache::open().await.unwrap().list().await.unwrap();
    assert!(kept.iter().all(|kept| kept.model != "mine"), "{kept:?}");
    assert_eq!(asked(), [""; 0], "no server hears of it");
    let pictures = dropped("[new File(['x'], 'cat.png')]");
    let refused = ModelFiles::dropped(&pictures, "mine", 1, LoadHooks::default()).err().expect("no model").to_string();
    assert!(refused.contains("no `config.json` among cat.png"), "{refused}");
}

#[wasm_bindgen_test]
async fn url_source_is_relative_to_the_app_or_absolute() {
    let model = "elsewhere";
    start(model).await;
    serve(&format!("http://other.test/m/{model}/config.json"), b"1");
    serve(&format!("http://app.test/mine/{model}/config.json"), b"2");
    let (absolute, ..) = files(model, Source::Url("http://other.test/m".into())).await;
    assert_eq!(absolute.read_required("config.json").await.unwrap(), b"1");
    let (relative, ..) = files(model, Source::Url("../mine/".into())).await;
    assert_eq!(relative.read_required("config.json").await.unwrap(), b"2");
    let source = WebSource {
        model: model.into(),
        hub_id: String::new(),
        source: Source::Url("http://[".into()),
        app_url: APP.into(),
        chunk_bytes: 1,
    };
    assert!(matches!(ModelFiles::new(source, LoadHooks::default()).await, Err(Error::Input(_))));
}

#[wasm_bindgen_test]
async fn cancel_breaks_off_a_request_that_hangs_and_keeps_what_is_there() {
    let model = "cancelled";
    start(model).await;
    let content = bytes(2 * CHUNK, 10);
    serve_weights(model, &content);
    js("server.plan = ['ok', 'hang']");
    let (files, _, cancel) = files(model, Source::Own).await;
    let mut stream = files.open(WEIGHTS).await.unwrap();
    assert_eq!(stream.next_chunk().await.unwrap().unwrap(), content[..CHUNK]);
    gloo_timers::callback::Timeout::new(50, move || cancel.cancel()).forget();
    assert!(matches!(stream.next_chunk().await, Err(Error::Cancelled)));
    assert!(matches!(files.read("config.json").await, Err(Error::Cancelled)));
    asked();
    assert_eq!(weights(&own(model).await).await.unwrap(), content);
    assert_eq!(asked().last().unwrap(), &format!("{WEIGHTS} 10000-19999"));
}

/// Begins something, and drops it while it waits for the browser.
fn begin_and_drop(work: impl Future) {
    assert!(std::pin::pin!(work).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[wasm_bindgen_test]
async fn whatever_is_dropped_while_the_browser_works_leaves_no_call_into_nothing() {
    js("globalThis.uncaught = [];
        addEventListener('error', (event) => { uncaught.push(event.message); event.preventDefault(); })");
    let cache = ModelCache::open().await.unwrap();
    let url = "http://app.test/dropped-midway";
    let manifest = Manifest::new("dropped-midway", url.into(), CHUNK as u32);
    begin_and_drop(ModelCache::open());
    begin_and_drop(cache.put(&manifest, Some((0, &[1, 2, 3]))));
    begin_and_drop(cache.manifest(url));
    begin_and_drop(cache.chunk(&manifest, 0));
    let mut in_file = Manifest::new("dropped-midway", format!("{url}/file"), CHUNK as u32);
    in_file.file = cache.new_file();
    begin_and_drop(cache.put(&in_file, Some((0, &[1, 2, 3]))));
    begin_and_drop(cache.list());
    begin_and_drop(edge::give_way());
    // Requests are answered in their order.
    assert!(cache.manifest(url).await.unwrap().is_some(), "what was begun is done");
    gloo_timers::future::TimeoutFuture::new(50).await;
    assert_eq!(js("uncaught.join(', ')").as_string().unwrap(), "");
    cache.remove("dropped-midway").await.unwrap();
}

#[wasm_bindgen_test]
async fn load_goes_on_without_a_store_and_says_so_once() {
    let content = bytes(3 * CHUNK, 11);
    let cases = [
        ("no-store", "Object.defineProperty(globalThis, 'indexedDB', { value: undefined, configurable: true })", false),
        (
            "full-store",
            "IDBObjectStore.prototype.put = () => { throw new DOMException('no room', 'QuotaExceededError'); }",
            true,
        ),
        (
            "aborting-store",
            "IDBObjectStore.prototype.put = function (...a) { const r = truePut.apply(this, a); this.transaction.abort(); return r; }",
            false,
        ),
    ];
    js("globalThis.truePut = IDBObjectStore.prototype.put");
    for (model, sabotage, is_full) in cases {
        start(model).await;
        serve_weights(model, &content);
        js(sabotage);
        let (files, heard, _) = files(model, Source::Own).await;
        let loaded = weights(&files).await;
        js("delete globalThis.indexedDB; IDBObjectStore.prototype.put = truePut");
        assert_eq!(loaded.unwrap(), content, "{model}");
        let notices = heard.notices.take();
        assert_eq!(notices.len(), 1, "{model}: {notices:?}");
        assert!(matches!(&notices[0], Error::Storage { full, .. } if *full == is_full), "{model}: {notices:?}");
        let kept = ModelCache::open().await.unwrap().list().await.unwrap();
        assert!(kept.iter().all(|kept| kept.model != model));
    }
}

#[wasm_bindgen_test]
async fn file_that_came_later_or_changed_is_seen_as_long_as_the_model_is_incomplete() {
    let model = "later";
    start(model).await;
    assert_eq!(own(model).await.read("config.json").await.unwrap(), None);
    serve(&format!("{APP}models/{model}/config.json"), b"old");
    assert_eq!(own(model).await.read("config.json").await.unwrap().unwrap(), b"old");
    serve(&format!("{APP}models/{model}/config.json"), b"newer");
    let list = r#"{"files":[{"name":"config.json","size":5}]}"#;
    serve(&format!("{APP}models/{model}/rill.json"), list.as_bytes());
    assert_eq!(own(model).await.read("config.json").await.unwrap().unwrap(), b"newer");
}

#[wasm_bindgen_test]
async fn empty_file_is_a_file() {
    let model = "empty";
    start(model).await;
    js("server.ignoresRanges = true");
    serve(&format!("{APP}models/{model}/empty.json"), b"");
    assert_eq!(own(model).await.read("empty.json").await.unwrap().unwrap(), b"");
    js("server.offline = true");
    assert_eq!(own(model).await.read("empty.json").await.unwrap().unwrap(), b"");
}

#[wasm_bindgen_test]
async fn chunks_come_in_any_order_several_at_a_time_and_the_rest_on_the_next_visit() {
    let model = "any-order";
    start(model).await;
    let content = bytes(5 * CHUNK + 77, 12);
    serve_weights(model, &content);
    serve_list(model, &content, &sha256(&content));
    let file = own(model).await.chunks(WEIGHTS).await.unwrap().unwrap();
    let mut in_flight = InFlight::default();
    for idx in [4, 1, 5] {
        in_flight.ask(&file, idx);
    }
    for idx in [4, 1, 5] {
        let (got, chunk) = in_flight.next().await.unwrap().unwrap();
        let begin = idx as usize * CHUNK;
        assert_eq!((got, &chunk[..]), (idx, &content[begin..(begin + CHUNK).min(content.len())]));
    }
    let listed = ModelCache::open().await.unwrap().list().await.unwrap();
    let kept = listed.iter().find(|kept| kept.model == model).unwrap();
    assert_eq!((kept.complete, kept.bytes), (false, 2 * CHUNK as u64 + 77));
    asked();

    // What is kept is not asked for again, and the hash is that of the whole file.
    let file = own(model).await.chunks(WEIGHTS).await.unwrap().unwrap();
    let mut in_flight = InFlight::default();
    for idx in [5, 4, 3, 2, 1, 0] {
        in_flight.ask(&file, idx);
    }
    while let Some(received) = in_flight.next().await {
        received.unwrap();
    }
    file.clone().finish().await.unwrap();
    let mut ranges = asked();
    ranges.sort();
    assert_eq!(ranges[..3], ["0-9999", "20000-29999", "30000-39999"].map(|range| format!("{WEIGHTS} {range}")));
    js("server.offline = true");
    assert_eq!(weights(&own(model).await).await.unwrap(), content);

    // A wrong byte is found however its chunk came.
    start(model).await;
    let mut damaged = content.clone();
    damaged[4 * CHUNK] ^= 1;
    serve_weights(model, &damaged);
    serve_list(model, &content, &sha256(&content));
    let file = own(model).await.chunks(WEIGHTS).await.unwrap().unwrap();
    let mut in_flight = InFlight::default();
    for idx in [4, 0, 1, 2, 3, 5] {
        in_flight.ask(&file, idx);
    }
    while let Some(received) = in_flight.next().await {
        received.unwrap();
    }
    assert!(matches!(file.finish().await, Err(Error::Corrupt { .. })));
    assert!(ModelCache::open().await.unwrap().list().await.unwrap().iter().all(|kept| kept.model != model));
}

#[wasm_bindgen_test]
async fn converted_weights_are_kept_beside_the_model_and_go_with_it() {
    let model = "converted";
    start(model).await;
    let content = bytes(CHUNK, 13);
    serve_weights(model, &content);
    weights(&own(model).await).await.unwrap();
    let name = copy_of(model, "Int8");
    let key = BackingKey { model: model.into(), name, version: "1".into() };
    let large = bytes((9 << 20) + 5, 14);
    let mut backing = Backing::create(&key, 3, false).await.unwrap();
    for (idx, part) in large.chunks(1 << 20).enumerate() {
        backing.append(SlotId(2), idx << 20, part);
        backing.flush().await.unwrap();
    }
    backing.append(SlotId(0), 0, b"small");
    assert_eq!(backing.read(SlotId(0), 0..5).await.unwrap(), b"small");
    assert!(Backing::open(&key, 3).await.unwrap().is_none(), "it is not all there");
    // A load that was broken off here leaves the model as it was: complete.
    let listed = |kept: Vec<rill::protocol::CachedModel>| kept.into_iter().find(|kept| kept.model == model);
    let cache = ModelCache::open().await.unwrap();
    assert!(listed(cache.list().await.unwrap()).unwrap().complete);
    backing.finish().await.unwrap();
    drop(backing);

    let mut backing = Backing::open(&key, 3).await.unwrap().expect("it is kept");
    let slots: Vec<_> = backing.slots().collect();
    assert_eq!(slots, [(SlotId(0), 0..5), (SlotId(2), 0..large.len())]);
    assert_eq!(backing.read(SlotId(2), 3..large.len()).await.unwrap(), large[3..]);
    assert_eq!(backing.read(SlotId(0), 1..3).await.unwrap(), b"ma");
    let kept = listed(cache.list().await.unwrap()).unwrap();
    assert!(kept.complete && kept.bytes > (CHUNK + large.len()) as u64, "{kept:?}");
    assert!(Backing::open(&key, 4).await.unwrap().is_none(), "another program's slots");
    let newer = BackingKey { version: "2".into(), ..key.clone() };
    assert!(Backing::open(&newer, 3).await.unwrap().is_none(), "another version of the checkpoint");
    cache.remove(model).await.unwrap();
    assert!(listed(cache.list().await.unwrap()).is_none());
    let error = backing.read(SlotId(2), 0..1).await.unwrap_err();
    assert!(error.to_string().contains("load the model again"), "{error}");
}

/// The name of a copy of a model's weights.
fn copy_of(model: &str, form: &str) -> String {
    copies::name(&format!("{APP}models/{model}/{WEIGHTS}"), "model", form, "00")
}

fn key_of(model: &str, form: &str) -> BackingKey {
    BackingKey { model: model.into(), name: copy_of(model, form), version: "1".into() }
}

/// A copy with something in the store already.
async fn written(key: &BackingKey, is_needed: bool) -> Backing {
    let mut backing = Backing::create(key, 1, is_needed).await.unwrap();
    backing.append(SlotId(0), 0, &bytes(5 << 20, 3));
    backing.flush().await.unwrap();
    backing
}

/// The names of what is kept of a model, once what was dropped is removed.
async fn names_kept(model: &str) -> Vec<String> {
    gloo_timers::future::TimeoutFuture::new(100).await;
    let all = ModelCache::open().await.unwrap().manifests().await.unwrap();
    all.into_iter().filter(|file| file.model == model).map(|file| file.url).collect()
}

#[wasm_bindgen_test]
async fn a_copy_that_is_broken_off_or_goes_with_its_session_leaves_nothing_behind() {
    let model = "broken-off";
    start(model).await;
    let broken_off = written(&key_of(model, "Int8"), false).await;
    assert_eq!(names_kept(model).await, [copy_of(model, "Int8")]);
    drop(broken_off);
    assert_eq!(names_kept(model).await, [""; 0]);

    // Two sessions over files of the same name: neither reads what is the other's.
    let keys = [BackingKey::temporary(model, "model"), BackingKey::temporary(model, "model")];
    let mut one = written(&keys[0], true).await;
    let mut other = written(&keys[1], true).await;
    other.append(SlotId(0), 0, b"other");
    one.finish().await.unwrap();
    assert_eq!(names_kept(model).await.len(), 2);
    drop(other);
    assert_eq!(one.read(SlotId(0), 0..4).await.unwrap(), bytes(4, 3));
    assert!(Backing::open(&keys[0], 1).await.unwrap().is_none(), "it is no other load's");
    drop(one);
    assert_eq!(names_kept(model).await, [""; 0]);
}

#[wasm_bindgen_test]
async fn one_copy_of_a_model_takes_the_place_of_another_unless_a_session_needs_that() {
    let model = "two-forms";
    start(model).await;
    written(&key_of(model, "Int8"), false).await.finish().await.unwrap();
    written(&key_of(model, "Int4"), false).await.finish().await.unwrap();
    assert_eq!(names_kept(model).await, [copy_of(model, "Int4")]);
    let mut streamed = Backing::open(&key_of(model, "Int4"), 1).await.unwrap().expect("it is kept");
    written(&key_of(model, "F32"), false).await.finish().await.unwrap();
    assert_eq!(names_kept(model).await.len(), 2);
    assert_eq!(streamed.read(SlotId(0), 0..4).await.unwrap(), bytes(4, 3));
    ModelCache::open().await.unwrap().remove(model).await.unwrap();
}

/// A store of so many bytes for chunks, as far as the page can tell.
const SMALL_STORE: &str = r#"
globalThis.truePut ??= IDBObjectStore.prototype.put;
IDBObjectStore.prototype.put = function (value, key) {
  if (value.byteLength > server.room) throw new DOMException('no room', 'QuotaExceededError');
  return truePut.call(this, value, key);
};
globalThis.trueWrite ??= FileSystemSyncAccessHandle.prototype.write;
FileSystemSyncAccessHandle.prototype.write = function (bytes, options) {
  if (bytes.byteLength > server.room) throw new DOMException('no room', 'QuotaExceededError');
  return trueWrite.call(this, bytes, options);
};
globalThis.trueDelete ??= IDBObjectStore.prototype.delete;
IDBObjectStore.prototype.delete = function (what) {
  if (what instanceof IDBKeyRange && what.lower[0].includes('#')) server.room = Infinity;
  return trueDelete.call(this, what);
};
"#;

#[wasm_bindgen_test]
async fn copies_give_way_to_the_files_in_a_full_store_and_the_visitor_is_told() {
    let model = "no-room";
    start(model).await;
    let content = bytes(3 * CHUNK, 21);
    serve_weights(model, &content);
    written(&key_of(model, "Int8"), false).await.finish().await.unwrap();
    let mut on_its_way = written(&key_of(model, "Int4"), false).await;
    js("server.room = 1000");
    js(SMALL_STORE);
    let (files, heard, _) = files(model, Source::Own).await;
    let loaded = weights(&files).await;
    js("IDBObjectStore.prototype.put = truePut; IDBObjectStore.prototype.delete = trueDelete;
        FileSystemSyncAccessHandle.prototype.write = trueWrite");
    assert_eq!(loaded.unwrap(), content);
    let notices = heard.notices.take();
    assert!(matches!(notices[..], [Error::CopyGone]), "{notices:?}");
    on_its_way.append(SlotId(0), 5 << 20, &bytes(5 << 20, 4));
    let refused = on_its_way.flush().await.unwrap_err();
    assert!(matches!(refused, Error::Storage { full: true, .. }), "{refused}");
    drop(on_its_way);
    let kept = names_kept(model).await;
    assert!(kept.iter().all(|name| !copies::is_copy(name)), "{kept:?}");
    let complete = ModelCache::open().await.unwrap().list().await.unwrap();
    assert!(complete.iter().any(|kept| kept.model == model && kept.complete), "the model itself is kept");
}
