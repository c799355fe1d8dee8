//! Which models lie in the app's own folder: `models/index.json` names them. The page ships with one; `cargo xtask serve` answers with what
//! it serves.

use serde::Deserialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, DedicatedWorkerGlobalScope, RequestInit, Response};

/// The list may not keep the page waiting for longer.
const TIMEOUT_MS: u32 = 2000;

#[derive(Deserialize)]
struct Index {
    models: Vec<String>,
}

/// Their ids; none where the list is not to be had.
pub async fn own_models(scope: &DedicatedWorkerGlobalScope, app_url: &str) -> Vec<String> {
    read(scope, &format!("{app_url}models/index.json")).await.unwrap_or_default()
}

async fn read(scope: &DedicatedWorkerGlobalScope, url: &str) -> Result<Vec<String>, JsValue> {
    let init = RequestInit::new();
    init.set_signal(Some(&AbortSignal::timeout_with_u32(TIMEOUT_MS)));
    let response: Response = JsFuture::from(scope.fetch_with_str_and_init(url, &init)).await?.dyn_into()?;
    let index: Index = serde_wasm_bindgen::from_value(JsFuture::from(response.json()?).await?)?;
    Ok(index.models)
}
