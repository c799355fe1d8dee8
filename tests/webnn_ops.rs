//! Every op against its definition on a real WebNN context: the same checks as `native/ops.rs` and `native/webnn.rs`.
//!
//! The browsers that ChromeDriver drives have no such context, so this is opened by hand in one that has:
//! `NO_HEADLESS=1 cargo test --release --target wasm32-unknown-unknown --test webnn_ops` serves a page, to be opened with
//! `chromium --enable-features=WebMachineLearningNeuralNetwork` (see `xtask/src/webnn_browser.rs` for which).
#![cfg(target_arch = "wasm32")]

mod checks;

use rill::engine::session::Device;
use rill::engine::webnn::{Context, DeviceType};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

macro_rules! on_a_real_context {
    ($name:ident) => {
        #[wasm_bindgen_test]
        async fn $name() {
            for device_type in DeviceType::ALL {
                let context = Context::open(device_type).await.expect("this browser has WebNN");
                checks::$name(&Device::WebNn(context)).await.unwrap_or_else(|e| panic!("{}: {e}", device_type.name()));
            }
        }
    };
}
checks::every_check!(on_a_real_context);
on_a_real_context!(split_weights_agree);
