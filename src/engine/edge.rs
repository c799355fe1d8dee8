//! The thin edge to whatever runs the engine: the clock, and giving way to others.

pub use web_time::Instant;

/// Milliseconds since `start`.
pub fn ms_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// Milliseconds since 1970. In a browser by the clock that the page and its worker share, to a fraction of one.
pub fn epoch_ms() -> f64 {
    #[cfg(target_arch = "wasm32")]
    {
        use wasm_bindgen::JsCast;
        let clock = js_sys::Reflect::get(&js_sys::global(), &"performance".into()).unwrap_or_default();
        let clock: web_sys::Performance = clock.unchecked_into();
        clock.time_origin() + clock.now()
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0.0, |since| since.as_secs_f64() * 1e3)
    }
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
#[cfg(not(target_arch = "wasm32"))]
pub async fn give_way() {
    sleep(0).await;
}

/// Lets waiting messages in (a cancel, more audio). A message to oneself waits its turn behind them and no longer; a timer of zero
/// waits for 4 ms, and for far longer where the system's timers are coarse.
#[cfg(target_arch = "wasm32")]
pub async fn give_way() {
    use wasm_bindgen::prelude::*;
    /// Closed also where the wait is dropped in the middle: a message must find its listener or no open port.
    struct Listening(web_sys::MessagePort, #[expect(dead_code, reason = "kept for the browser")] Closure<dyn FnMut()>);
    impl Drop for Listening {
        fn drop(&mut self) {
            self.0.close();
        }
    }
    let Ok(channel) = web_sys::MessageChannel::new() else { return sleep(0).await };
    let (say, heard) = futures_channel::oneshot::channel();
    let on_message = Closure::once(move || {
        let _ = say.send(()); // Nobody waits any more: the run was dropped.
    });
    channel.port1().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    let listening = Listening(channel.port1(), on_message);
    if channel.port2().post_message(&JsValue::NULL).is_ok() {
        let _ = heard.await;
    }
    drop(listening);
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
