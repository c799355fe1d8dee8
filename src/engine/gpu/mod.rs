//! The GPU as a backend: the only place that knows wgpu.
//!
//! [`Gpu`] is an adapter and its device, [`GpuSession`] a program on it: buffers (`layout` says which, `buffer` makes them), pipelines
//! and bind groups made once, replayed as one compute pass per submit.

#[cfg(target_arch = "wasm32")]
mod browser;
mod buffer;
mod calibration;
mod clock;
mod compiler_log;
mod device;
#[cfg(not(target_arch = "wasm32"))]
mod driver;
mod inspect;
mod keep;
mod layout;
mod manifest;
mod pipeline;
mod probe;
mod probe_kernel;
mod readback;
mod roofline;
mod session;
mod spans;
mod stream;
mod trace;
mod tune;
mod wait;

pub use device::Gpu;
pub use manifest::Manifest;
pub use readback::Readback;
pub use session::GpuSession;
pub use trace::TraceOptions;
