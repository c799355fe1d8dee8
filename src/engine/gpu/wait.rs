//! Waiting until the GPU has done something, not for ever: natively by polling; in a browser by its own events, which one of
//! them is slow to send.
//!
//! Firefox looks for finished work on a timer of 100 ms, and whenever something is submitted ("Don't poll WebGPU from a timer",
//! <https://bugzilla.mozilla.org/show_bug.cgi?id=1870699>; `POLL_TIME_MS` in its `dom/webgpu/ipc/WebGPUParent.cpp`). Submitting
//! nothing now and then reminds it to look. Whether a browser needs that is measured once, on an idle queue, and not told from
//! its name: the limit will go, and others may have it.

use super::device::Gpu;
use crate::engine::{Error, Result};
use futures_channel::oneshot;

impl Gpu {
    /// Waits until everything submitted is done.
    pub(super) async fn finish(&self) -> Result<()> {
        self.wait(self.is_idle()).await?.map_err(|_| Error::DeviceLost("the queue was dropped".into()))?;
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
}

#[cfg(not(target_arch = "wasm32"))]
impl Gpu {
    /// Waits for a callback of the device. Natively callbacks come only while somebody polls.
    pub(super) async fn wait<F: Future>(&self, callback: F) -> Result<F::Output> {
        let timeout = Some(std::time::Duration::from_secs(self.watchdog_s()));
        if let Err(wgpu::PollError::Timeout) =
            self.device.poll(wgpu::PollType::Wait { submission_index: None, timeout })
        {
            return Err(self.stalled());
        }
        crate::engine::edge::give_way().await;
        Ok(callback.await)
    }

    /// Natively there is nothing to learn.
    pub(super) async fn learn_to_wait(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(target_arch = "wasm32")]
mod web {
    use super::Gpu;
    use crate::engine::{Result, edge};
    use std::cell::Cell;
    use std::task::Poll;

    /// An answer about an idle queue that takes longer than this comes from a timer.
    const SLOW_MS: f64 = 20.0;
    /// Between two reminders. On Firefox with lavapipe, 4 ms gave an embedding in half of the time that pauses growing to
    /// 16 ms took.
    const REMIND_MS: u32 = 4;
    /// Between two looks at a device that needs no reminder and may have gone away.
    const LOOK_MS: u32 = 250;

    thread_local! {
        /// Whether this browser is reminded; what one device showed holds for every device of this worker.
        static IS_REMINDED: Cell<Option<bool>> = const { Cell::new(None) };
    }

    impl Gpu {
        /// Waits for a callback of the device, in the way that was measured to be faster here.
        pub(in super::super) async fn wait<F: Future>(&self, callback: F) -> Result<F::Output> {
            self.wait_as(IS_REMINDED.get() == Some(true), callback).await
        }

        /// Finds out whether this browser answers faster when it is reminded. Takes 1 ms where it answers by itself, 200 ms in
        /// Firefox.
        pub(in super::super) async fn learn_to_wait(&self) -> Result<()> {
            if IS_REMINDED.get().is_none() {
                // The first answer only brings us in step with a timer, wherever in its period we came.
                let _ = self.wait_as(false, self.is_idle()).await?;
                let alone_ms = self.idle_ms(false).await?;
                let pays = alone_ms > SLOW_MS && self.idle_ms(true).await? < alone_ms / 2.0;
                IS_REMINDED.set(Some(pays));
            }
            Ok(())
        }

        /// How long the browser takes to tell that nothing is left to do.
        async fn idle_ms(&self, is_reminded: bool) -> Result<f64> {
            let start = edge::Instant::now();
            let _ = self.wait_as(is_reminded, self.is_idle()).await?;
            Ok(edge::ms_since(start))
        }

        async fn wait_as<F: Future>(&self, is_reminded: bool, callback: F) -> Result<F::Output> {
            let start = edge::Instant::now();
            let mut callback = std::pin::pin!(callback);
            loop {
                let mut pause = std::pin::pin!(edge::sleep(if is_reminded { REMIND_MS } else { LOOK_MS }));
                let finished = std::future::poll_fn(|context| match callback.as_mut().poll(context) {
                    Poll::Ready(output) => Poll::Ready(Some(output)),
                    Poll::Pending => pause.as_mut().poll(context).map(|()| None),
                });
                if let Some(output) = finished.await {
                    return Ok(output);
                }
                // A device that went away need not call back.
                self.check()?;
                if start.elapsed().as_secs() >= self.watchdog_s() {
                    return Err(self.stalled());
                }
                if is_reminded {
                    self.queue.submit([]);
                }
            }
        }
    }
}
