//! What the driver's allocator holds, where it tells: the oracle that the books of [`crate::engine::memory`] are tested against.

use super::device::Gpu;

impl Gpu {
    /// How many allocations there are and what they take, once all work is done; `None` where the driver does not tell.
    pub fn allocations(&self) -> Option<(usize, u64)> {
        // What was dropped is freed when the device has caught up.
        let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
        let report = self.device.generate_allocator_report()?;
        Some((report.allocations.len(), report.allocations.iter().map(|allocation| allocation.size).sum()))
    }
}
