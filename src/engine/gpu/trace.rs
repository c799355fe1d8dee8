//! Where the time of a graph goes: each of its dispatches and the whole, timed, beside what they move and compute.
//!
//! Dispatches that are alike (the same kernel on the same shapes, as in the layers of a model) are timed together, one after the other, in
//! a pass of their own, so that what one of them has left in a cache is used up as little as possible by the next. What fits into caches all the same is read
//! from there: a share of the memory's peak above 1 says so. What the graph writes is put aside and brought back.

use super::clock::{Clock, Patience};
use super::keep::Kept;
use super::session::{Dispatch, GpuSession, encode, take_budget};
use crate::engine::graph::{GraphId, SlotId};
use crate::engine::memory::Ledger;
use crate::engine::{CancelFlag, Error, Result, edge};
use crate::protocol::{DispatchTrace, Roofline, StageTrace};
use std::rc::Rc;

/// A pass over dispatches that are alike takes at least so long, in µs: forty times a browser's step of 0.1 ms.
const LONG_ENOUGH_US: f64 = 4e3;
/// All dispatches of a graph together are repeated no longer than about this.
const MOST_MS: f64 = 3000.0;

/// What a graph is traced with, and by what its figures are judged.
pub struct TraceOptions<'a> {
    /// Slots that are overwritten for as long as it lasts, whole or from their start: a decoder in the middle of a text.
    pub states: &'a [(SlotId, Vec<u8>)],
    /// What the adapter can do.
    pub roofline: &'a Roofline,
    /// Stops it.
    pub cancel: &'a CancelFlag,
}

impl GpuSession {
    /// Times the dispatches of a graph and the graph as a whole. What it writes is afterwards as it was before.
    ///
    /// # Errors
    /// [`Error::Input`] where weights pass through a window, since what a dispatch takes is then the reading of its weights, and where there is
    /// no room to put aside what the graph writes.
    pub async fn trace(&mut self, graph: GraphId, options: &TraceOptions<'_>) -> Result<StageTrace> {
        if self.is_streamed() {
            let reason =
                "the stages of a model whose weights pass through a window (memory level 3) have no times of their own";
            return Err(Error::Input(format!("{reason}; load it at another memory level")));
        }
        self.finish_graphs(&[graph], &mut |_, _| ()).await?;
        let ledger = Ledger::new();
        let kept = self.keep(graph, options.states, &ledger).await?;
        let traced = self.timed(graph, options, &ledger).await;
        self.bring_back(&kept).await?;
        traced
    }

    async fn timed(&self, graph: GraphId, options: &TraceOptions<'_>, ledger: &Rc<Ledger>) -> Result<StageTrace> {
        self.set(options.states)?;
        // As they are to be before each timed pass.
        let set = self.keep(graph, options.states, ledger).await?;
        let plan = &self.plans[graph.0];
        let clock = Clock::start(&self.gpu, ledger).await?;
        let before = |encoder: &mut wgpu::CommandEncoder| {
            for Kept { of, copy } in &set {
                encoder.copy_buffer_to_buffer(copy, 0, &self.buffers[*of], 0, copy.size());
            }
        };
        let whole_us = self.whole_us(graph, &clock, &before, options.cancel).await?;
        let kinds = kinds(&plan.dispatches);
        let mut us = vec![0.0; plan.dispatches.len()];
        let start = edge::Instant::now();
        for (n_done, kind) in kinds.iter().enumerate() {
            options.cancel.check()?;
            let left_ms = (MOST_MS - edge::ms_since(start)).max(0.0) / (kinds.len() - n_done) as f64;
            let patience = Patience { long_enough_us: LONG_ENOUGH_US, most_ms: left_ms };
            let first = &plan.dispatches[kind[0]];
            let alone = clock.time(&before, &|pass| encode(pass, [first])).await?;
            let each = if alone > patience.long_enough_us {
                alone
            } else {
                let alike = || kind.iter().map(|&idx| &plan.dispatches[idx]);
                clock.repeat(patience, kind.len(), &before, &|pass| encode(pass, alike())).await? / kind.len() as f64
            };
            kind.iter().for_each(|&idx| us[idx] = each);
        }
        let dispatches = plan.dispatches.iter().zip(us).map(|(dispatch, us)| DispatchTrace {
            op: dispatch.op.into(),
            shader: dispatch.shader.into(),
            workgroups: dispatch.workgroups,
            us,
            bytes: dispatch.bytes,
            flops: dispatch.flops,
            rate: options.roofline.rate(us, dispatch.bytes, dispatch.flops),
        });
        Ok(StageTrace::new(&plan.name, whole_us, dispatches.collect(), clock.timed_by(), options.roofline))
    }

    /// The graph in one pass, repeated; or, where that would be too long for one submit, in several that are timed once.
    async fn whole_us(
        &self,
        graph: GraphId,
        clock: &Clock<'_>,
        before: &dyn Fn(&mut wgpu::CommandEncoder),
        cancel: &CancelFlag,
    ) -> Result<f64> {
        let mut rest = &self.plans[graph.0].dispatches[..];
        let (n, _) = take_budget(rest, self.gpu.flops_per_submit.get());
        if n == rest.len() {
            return clock.repeat(Patience::FIGURE, n, before, &|pass| encode(pass, rest)).await;
        }
        let mut us = 0.0;
        while !rest.is_empty() {
            cancel.check()?;
            let (n, _) = take_budget(rest, self.gpu.flops_per_submit.get());
            us += clock.time(&|_| (), &|pass| encode(pass, &rest[..n])).await?;
            rest = &rest[n..];
        }
        Ok(us)
    }
}

/// The dispatches by kind: which of them run the same kernel on the same shapes.
fn kinds(dispatches: &[Dispatch]) -> Vec<Vec<usize>> {
    let mut kinds: Vec<Vec<usize>> = Vec::new();
    for (idx, dispatch) in dispatches.iter().enumerate() {
        let is_alike = |other: &Dispatch| {
            Rc::ptr_eq(&other.pipeline, &dispatch.pipeline)
                && other.workgroups == dispatch.workgroups
                && (other.flops, other.bytes) == (dispatch.flops, dispatch.bytes)
        };
        match kinds.iter_mut().find(|kind| is_alike(&dispatches[kind[0]])) {
            Some(kind) => kind.push(idx),
            None => kinds.push(vec![idx]),
        }
    }
    kinds
}
