//! Hands a file to the visitor: as a download, or words to the clipboard.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, Url};

use crate::protocol::{Failure, FailureKind};

/// Offer `bytes` as a download called `name`.
///
/// # Errors
/// What to say where the browser refused.
pub fn download(name: &str, mime: &str, bytes: &[u8]) -> Result<(), Failure> {
    offer(name, mime, bytes).map_err(|_| not_saved("The browser did not let the page save a file."))
}

fn offer(name: &str, mime: &str, bytes: &[u8]) -> Result<(), JsValue> {
    let options = BlobPropertyBag::new();
    options.set_type(mime);
    let parts = Array::of1(&Uint8Array::from(bytes));
    let blob = Blob::new_with_u8_array_sequence_and_options(&parts, &options)?;
    let url = Url::create_object_url_with_blob(&blob)?;
    let document = web_sys::window().and_then(|window| window.document()).ok_or("there is no page")?;
    let link: HtmlAnchorElement = document.create_element("a")?.unchecked_into();
    link.set_href(&url);
    link.set_download(name);
    link.click();
    // The browser reads the address after this task: free it only once it has surely begun.
    gloo_timers::callback::Timeout::new(60_000, move || drop(Url::revoke_object_url(&url))).forget();
    Ok(())
}

/// Put `text` on the clipboard.
pub async fn copy(text: &str) -> Result<(), JsValue> {
    let window = web_sys::window().ok_or("there is no page")?;
    let clipboard = window.navigator().clipboard();
    if clipboard.is_undefined() {
        return Err("this page may not use the clipboard".into());
    }
    JsFuture::from(clipboard.write_text(text)).await.map(drop)
}

/// What to say where the browser refused.
pub fn not_saved(message: &str) -> Failure {
    let hint = "Allow it in the browser's settings for this page, or select the text and copy it by hand.";
    Failure { kind: FailureKind::Storage, message: message.into(), hint: hint.into() }
}
