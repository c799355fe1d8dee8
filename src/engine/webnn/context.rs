//! A context of a device type: what it can do, and whether it is still there.

use super::api::Api;
use super::limits::Limits;
use crate::engine::check::probe;
use crate::engine::session::Device;
use crate::engine::{Error, Result, edge};
use std::rc::Rc;

/// Which device the browser is asked for. It is a wish: browsers may compute elsewhere, and none says where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceType {
    /// The processor.
    Cpu,
    /// The graphics processor.
    Gpu,
    /// A neural-network accelerator.
    Npu,
}

impl DeviceType {
    /// All of them, the ones that are made for it first.
    pub const ALL: [DeviceType; 3] = [DeviceType::Gpu, DeviceType::Npu, DeviceType::Cpu];

    /// The API's name.
    pub fn name(self) -> &'static str {
        match self {
            DeviceType::Cpu => "cpu",
            DeviceType::Gpu => "gpu",
            DeviceType::Npu => "npu",
        }
    }
}

/// An open context.
#[derive(Debug)]
pub struct Context {
    pub(super) api: Rc<dyn Api>,
    pub(super) limits: Limits,
    /// What was asked for.
    pub device_type: DeviceType,
}

impl Context {
    /// A context over an implementation.
    pub fn new(api: Rc<dyn Api>, limits: Limits, device_type: DeviceType) -> Rc<Self> {
        Rc::new(Self { api, limits, device_type })
    }

    /// Asks the browser for a context.
    #[cfg(target_arch = "wasm32")]
    pub async fn open(device_type: DeviceType) -> Result<Rc<Self>> {
        let (api, limits) = super::browser::open(device_type).await?;
        Ok(Self::new(api, limits, device_type))
    }

    /// Outside of a browser there is none.
    #[cfg(not(target_arch = "wasm32"))]
    pub async fn open(device_type: DeviceType) -> Result<Rc<Self>> {
        Err(unavailable(device_type, "this is no browser"))
    }

    /// Opens a device type and has it prove itself by a checked computation.
    pub async fn open_probed(device_type: DeviceType) -> Result<Rc<Self>> {
        let context = Self::open(device_type).await?;
        let probed = probe(&Device::WebNn(context.clone())).await;
        probed.map_err(|e| unavailable(device_type, format!("a test computation failed on it: {e}")))?;
        Ok(context)
    }

    /// What the page may call it. The API does not tell what computes, so this does not either.
    pub fn name(&self) -> String {
        format!("WebNN, device type {}", self.device_type.name())
    }

    /// Whether f16 weights can stay f16 until they are used.
    pub fn keeps_f16(&self) -> bool {
        self.limits.widens_f16()
    }

    /// [`Error::DeviceLost`] once the context has gone away.
    pub fn check(&self) -> Result<()> {
        self.api.lost().map_or(Ok(()), |reason| Err(Error::DeviceLost(format!("{}: {reason}", self.name()))))
    }

    /// Gives the context up, as if the browser had taken it away: how the way back is tested.
    pub fn destroy(&self) {
        self.api.destroy();
    }

    /// What became of something that was asked for: where the context is gone, that is the reason.
    pub(super) async fn judged<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            // The browser may say what failed before it says why.
            edge::sleep(20).await;
            self.check()?;
        }
        result
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.api.destroy();
    }
}

/// The error of a device type that cannot be had.
pub(super) fn unavailable(device_type: DeviceType, reason: impl std::fmt::Display) -> Error {
    Error::BackendUnavailable { backend: "webnn", reason: format!("device type {}: {reason}", device_type.name()) }
}
