//! The thin edge to whatever runs the engine: the clock, and giving way to others.

pub use web_time::Instant;

/// Milliseconds since `start`.
pub fn ms_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// The browser with its version as it names itself: what was measured in one says nothing of another. Empty natively.
pub fn user_agent() -> String {
    #[cfg(target_arch = "wasm32")]
    {
        let part = |object: &wasm_bindgen::JsValue, name: &str| js_sys::Reflect::get(object, &name.into());
        let agent = part(&js_sys::global(), "navigator").and_then(|navigator| part(&navigator, "userAgent"));
        agent.ok().and_then(|agent| agent.as_string()).unwrap_or_default()
    }
    #[cfg(not(target_arch = "wasm32"))]
    String::new()
}

/// Lets waiting messages in (a cancel, more audio).
pub async fn give_way() {
    sleep(0).await;
}

/// Waits, and lets messages in meanwhile.
pub async fn sleep(ms: u32) {
    #[cfg(target_arch = "wasm32")]
    gloo_timers::future::TimeoutFuture::new(ms).await;
    #[cfg(not(target_arch = "wasm32"))]
    {
        std::thread::sleep(std::time::Duration::from_millis(ms.into()));
        // Whoever waits beside this one has a turn.
        let mut is_first = true;
        std::future::poll_fn(|context| {
            if std::mem::take(&mut is_first) {
                context.waker().wake_by_ref();
                return std::task::Poll::Pending;
            }
            std::task::Poll::Ready(())
        })
        .await;
    }
}
