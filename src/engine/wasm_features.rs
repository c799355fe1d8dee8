//! What this browser's WebAssembly can do, each proven by running a small module and checking what it returns: SIMD, relaxed
//! SIMD, and memory that workers share. The processor's backend chooses its variant by [`available`].

use super::check::Finding;

/// What the processor's kernels may use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WasmFeatures {
    /// 128-bit vectors.
    pub simd: bool,
    /// Vector operations whose rounding is the processor's own (a fused multiply-add).
    pub relaxed_simd: bool,
    /// Memory shared between workers, with atomics.
    pub threads: bool,
}

/// Tries all three; a few milliseconds.
pub async fn available() -> WasmFeatures {
    WasmFeatures {
        simd: simd().await.is_ok(),
        relaxed_simd: relaxed_simd().await.is_ok(),
        threads: threads().await.is_ok(),
    }
}

#[cfg(target_arch = "wasm32")]
pub use in_browser::{n_processors, relaxed_simd, simd, threads, words};
#[cfg(not(target_arch = "wasm32"))]
pub use natively::{relaxed_simd, simd, threads};

/// Natively there is no WebAssembly to try.
#[cfg(not(target_arch = "wasm32"))]
mod natively {
    use super::Finding;

    const NO_BROWSER: &str = "this is no browser";

    /// A vector multiplication.
    pub async fn simd() -> Finding {
        Err(NO_BROWSER.into())
    }

    /// A relaxed multiply-add.
    pub async fn relaxed_simd() -> Finding {
        Err(NO_BROWSER.into())
    }

    /// An atomic addition by two workers.
    pub async fn threads() -> Finding {
        Err(NO_BROWSER.into())
    }
}

#[cfg(target_arch = "wasm32")]
mod in_browser {
    use super::Finding;
    use crate::engine::edge;
    use futures_channel::oneshot;
    use js_sys::{Array, Int32Array, Object, Reflect, Uint8Array, WebAssembly};
    use std::cell::Cell;
    use wasm_bindgen::prelude::*;
    use wasm_bindgen_futures::JsFuture;
    use web_sys::{Blob, MessageEvent, Url, Worker};

    /// `(func (export "f") (result i32) ...)`: 6 and 7 in every lane, `i32x4.mul`, lane 2.
    const SIMD: &[u8] = &[
        0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 18, 1, 16, 0, 65,
        6, 253, 17, 65, 7, 253, 17, 253, 181, 1, 253, 27, 2, 11,
    ];
    /// The same with three times 6.0, `f32x4.relaxed_madd`, and `f32x4.relaxed_max` with 6.0, lane 2 as an integer: WebKitGTK 2.50 has, behind
    /// a switch, the first of them and not the second, and compilers make use of both.
    const RELAXED_SIMD: &[u8] = &[
        0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 42, 1, 40, 0, 67,
        0, 0, 192, 64, 253, 19, 67, 0, 0, 192, 64, 253, 19, 67, 0, 0, 192, 64, 253, 19, 253, 133, 2, 67, 0, 0, 192, 64,
        253, 19, 253, 142, 2, 253, 31, 2, 168, 11,
    ];
    /// `(import "e" "m" (memory 1 1 shared))`; `f` adds 21 to its first word by `i32.atomic.rmw.add`.
    const ATOMIC: &[u8] = &[
        0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 2, 9, 1, 1, 101, 1, 109, 2, 3, 1, 1, 3, 2, 1, 0, 7, 5, 1,
        1, 102, 0, 0, 10, 12, 1, 10, 0, 65, 0, 65, 21, 254, 30, 2, 0, 11,
    ];
    /// What each computation comes to.
    const ANSWER: i32 = 42;
    /// The nested worker of the test for threads: calls `f` over the memory that it is sent.
    const WORKER: &str = "onmessage = async ({ data: [bytes, memory] }) => {
        const { instance } = await WebAssembly.instantiate(bytes, { e: { m: memory } });
        instance.exports.f();
        postMessage('added');
    };";
    /// A nested worker that has not answered by then is not coming.
    const PATIENCE_MS: u32 = 5000;

    /// A vector multiplication.
    pub async fn simd() -> Finding {
        calculate("SIMD", SIMD).await
    }

    /// A relaxed multiply-add.
    pub async fn relaxed_simd() -> Finding {
        calculate("relaxed SIMD", RELAXED_SIMD).await
    }

    async fn calculate(what: &str, module: &[u8]) -> Finding {
        match run(module, &Object::new()).await {
            Ok(ANSWER) => Ok(format!("a module with {what} computed the right answer")),
            Ok(other) => Err(format!("a module with {what} computed {other}, expected {ANSWER}")),
            Err(error) => Err(format!("a module with {what} was refused: {}", words(&error))),
        }
    }

    /// An atomic addition by two workers: this one and a nested one add to the same word of one shared memory.
    pub async fn threads() -> Finding {
        let truthy = |key: &str| Reflect::get(&js_sys::global(), &key.into()).is_ok_and(|value| value.is_truthy());
        if !truthy("crossOriginIsolated") {
            return Err("the page is not cross-origin isolated: its server has to send COOP and COEP headers".into());
        }
        if !truthy("SharedArrayBuffer") {
            return Err("this browser has no SharedArrayBuffer".into());
        }
        add_together().await.unwrap_or_else(|error| Err(format!("shared memory was refused: {}", words(&error))))
    }

    async fn add_together() -> Result<Finding, JsValue> {
        let pages = Object::new();
        for (name, value) in [("initial", 1.into()), ("maximum", 1.into()), ("shared", true.into())] {
            Reflect::set(&pages, &name.into(), &value)?;
        }
        let memory = WebAssembly::Memory::new(&pages)?;
        let (environment, imports) = (Object::new(), Object::new());
        Reflect::set(&environment, &"m".into(), &memory)?;
        Reflect::set(&imports, &"e".into(), &environment)?;
        run(ATOMIC, &imports).await?;

        let blob = Blob::new_with_str_sequence(&Array::of1(&WORKER.into()))?;
        let url = Url::create_object_url_with_blob(&blob)?;
        let worker = Worker::new(&url);
        let said = match &worker {
            Ok(worker) => listen(worker, &Array::of2(&Uint8Array::from(ATOMIC), &memory)).await,
            Err(error) => Err(error.clone()),
        };
        if let Ok(worker) = worker {
            worker.terminate();
        }
        Url::revoke_object_url(&url)?;
        if !said? {
            return Ok(Err(format!("a nested worker did not answer within {} s", PATIENCE_MS / 1000)));
        }
        let sum = js_sys::Atomics::load(&Int32Array::new(&memory.buffer()), 0)?;
        Ok(match sum {
            ANSWER => Ok(format!("two workers added to one shared memory; {} may run at a time", n_processors())),
            other => Err(format!("two workers added to one shared memory and it holds {other}, expected {ANSWER}")),
        })
    }

    /// Sends the nested worker its task; whether it answered in time.
    async fn listen(worker: &Worker, task: &JsValue) -> Result<bool, JsValue> {
        let (sender, receiver) = oneshot::channel();
        let sender = Cell::new(Some(sender));
        let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |_| {
            if let Some(sender) = sender.take() {
                let _ = sender.send(()); // Too late is the same as never.
            }
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.post_message(task)?;
        let answered = is_in_time(receiver, edge::sleep(PATIENCE_MS)).await;
        worker.set_onmessage(None);
        Ok(answered)
    }

    /// Whether the answer comes before the time is over.
    async fn is_in_time(answer: oneshot::Receiver<()>, time: impl Future<Output = ()>) -> bool {
        use std::task::Poll;
        let (mut answer, mut time) = (std::pin::pin!(answer), std::pin::pin!(time));
        std::future::poll_fn(|context| match (answer.as_mut().poll(context), time.as_mut().poll(context)) {
            (Poll::Ready(answer), _) => Poll::Ready(answer.is_ok()),
            (_, Poll::Ready(())) => Poll::Ready(false),
            _ => Poll::Pending,
        })
        .await
    }

    /// Instantiates a module and calls its `f`.
    async fn run(module: &[u8], imports: &Object) -> Result<i32, JsValue> {
        let made = JsFuture::from(WebAssembly::instantiate_buffer(module, imports)).await?;
        let instance = Reflect::get(&made, &"instance".into())?;
        let exports = Reflect::get(&instance, &"exports".into())?;
        let f: js_sys::Function = Reflect::get(&exports, &"f".into())?.dyn_into()?;
        let answer = f.call0(&JsValue::UNDEFINED)?;
        answer.as_f64().map(|answer| answer as i32).ok_or(answer)
    }

    /// Threads that the processor runs at a time, as the browser says.
    pub fn n_processors() -> u32 {
        let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).unwrap_or_default();
        let n = Reflect::get(&navigator, &"hardwareConcurrency".into()).ok().and_then(|n| n.as_f64());
        n.map_or(1, |n| n as u32)
    }

    /// What an exception says.
    pub fn words(error: &JsValue) -> String {
        error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
    }
}
