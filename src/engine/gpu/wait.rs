//! Waiting until the GPU has done something: natively by polling; in a browser by its own events, which one of them is slow
//! to send.
//!
//! Firefox looks for finished work on a timer of 100 ms, and whenever something is submitted ("Don't poll WebGPU from a timer",
//! <https://bugzilla.mozilla.org/show_bug.cgi?id=1870699>; `POLL_TIME_MS` in its `dom/webgpu/ipc/WebGPUParent.cpp`). Submitting
//! nothing now and then makes it look. Whether a browser needs that is measured once, on an idle queue, and not told from its
//! name: the limit will go, and others may have it.

use super::device::Gpu;
use crate::engine::{Error, Result};
use futures_channel::oneshot;

impl Gpu {
    /// Waits until everything submitted is done.
    pub(super) async fn finish(&self) -> Result<()> {
        self.wait(self.is_idle()).await.map_err(|_| Error::DeviceLost("the queue was dropped".into()))?;
        self.check()
    }

    /// Comes when everything submitted so far is done.
    fn is_idle(&self) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        self.queue.on_submitted_work_done(move || {
            let _ = done.send(());
        });
        is_done
    }

    /// Waits for a callback of the device. Natively callbacks come only while somebody polls.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) async fn wait<F: Future>(&self, callback: F) -> F::Output {
        let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
        crate::engine::edge::give_way().await;
        callback.await
    }

    /// Waits for a callback of the device, in the way that was measured to be faster here.
    #[cfg(target_arch = "wasm32")]
    pub(super) async fn wait<F: Future>(&self, callback: F) -> F::Output {
        if web::IS_REMINDED.get() == Some(true) { self.wait_reminding(callback).await } else { callback.await }
    }

    /// Natively there is nothing to learn.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) async fn learn_to_wait(&self) {}
}

#[cfg(target_arch = "wasm32")]
mod web {
    use super::Gpu;
    use crate::engine::edge;
    use std::cell::Cell;
    use std::task::Poll;

    /// An answer about an idle queue that takes longer than this comes from a timer.
    const SLOW_MS: f64 = 20.0;
    /// Between two reminders.
    const REMIND_MS: u32 = 4;

    thread_local! {
        /// Whether the browser has to be reminded; what one device showed holds for every device of this worker.
        pub(super) static IS_REMINDED: Cell<Option<bool>> = const { Cell::new(None) };
    }

    impl Gpu {
        /// Finds out whether this browser answers faster when it is reminded. Takes 1 ms where it answers by itself, 200 ms in
        /// Firefox.
        pub(crate) async fn learn_to_wait(&self) {
            if IS_REMINDED.get().is_none() {
                // The first answer only brings us in step with a timer, wherever in its period we came.
                let _ = self.is_idle().await;
                let start = edge::Instant::now();
                let _ = self.is_idle().await;
                let alone_ms = edge::ms_since(start);
                let start = edge::Instant::now();
                if alone_ms > SLOW_MS {
                    let _ = self.wait_reminding(self.is_idle()).await;
                }
                IS_REMINDED.set(Some(alone_ms > SLOW_MS && edge::ms_since(start) < alone_ms / 2.0));
            }
        }

        /// Waits for a callback, and submits nothing at all again and again until it comes.
        pub(super) async fn wait_reminding<F: Future>(&self, callback: F) -> F::Output {
            let mut callback = std::pin::pin!(callback);
            loop {
                let mut pause = std::pin::pin!(edge::sleep(REMIND_MS));
                let finished = std::future::poll_fn(|context| match callback.as_mut().poll(context) {
                    Poll::Ready(output) => Poll::Ready(Some(output)),
                    Poll::Pending => pause.as_mut().poll(context).map(|()| None),
                });
                if let Some(output) = finished.await {
                    return output;
                }
                self.queue.submit([]);
            }
        }
    }
}
