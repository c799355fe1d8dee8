//! Many pictures through a model: a batch is asked for, prepared and computed at a time, so that a folder of photographs is never decoded
//! as a whole; where the device runs ahead, the next batch is decoded meanwhile.

use super::error::which;
use super::graph::{GraphId, SlotId};
use super::image::{self, Pixels, Preprocessor};
use super::session::{Pending, Session, Watch};
use super::{Error, Result, edge};
use std::collections::VecDeque;
use std::ops::Range;

/// A run that may take longer than this goes in slices, so that the page's own drawing and a stop get through.
const LONG_RUN_MS: f64 = 100.0;
/// Runs under way at once, where a device runs ahead: one computes while the next is decoded.
const IN_FLIGHT: usize = 2;

/// How many pictures there are, and how many are computed at once at most.
#[derive(Debug, Clone, Copy)]
pub struct PictureCount {
    /// How many.
    pub total: usize,
    /// At once; `None` for what suits the device.
    pub at_once: Option<usize>,
}

impl PictureCount {
    /// A single picture.
    pub const ONE: Self = Self { total: 1, at_once: Some(1) };
}

/// A small picture for a first run.
pub(super) fn sample() -> Result<Pixels> {
    Pixels::new(2, 2, (0..12).map(|v| 16 * v).collect())
}

/// A graph over some pictures.
#[derive(Debug, Clone, Copy)]
pub(super) struct PictureGraph {
    /// B
    pub n_pictures: usize,
    /// What is run.
    pub graph: GraphId,
    /// `[B * P, 3 * patch * patch]`, f32.
    pub patches: SlotId,
    /// `[B, ...]`, f32.
    pub result: SlotId,
}

/// What pictures are run through.
pub(super) struct PictureRuns<'a> {
    pub session: &'a mut Session,
    pub preprocessor: &'a Preprocessor,
    /// Pixels along each side of a patch.
    pub patch: usize,
    /// The same graph for different numbers of pictures, one of them for a single one.
    pub graphs: Vec<PictureGraph>,
    /// What a picture took at last, kept from one call to the next.
    pub ms_per_picture: &'a mut Option<f64>,
}

impl PictureRuns<'_> {
    /// A row of results for each picture; `picture` gives number 0, 1, ... when its turn comes.
    pub async fn run(
        &mut self,
        count: PictureCount,
        mut picture: impl AsyncFnMut(usize) -> Result<Pixels>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Vec<f32>>> {
        let in_flight = if self.session.runs_ahead() { IN_FLIGHT } else { 1 };
        let mut flights: VecDeque<(Pending, PictureGraph, usize)> = VecDeque::new();
        let mut rows = Vec::with_capacity(count.total);
        let mut begun = 0;
        watch.progress(0.0)?;
        while rows.len() < count.total {
            if flights.len() < in_flight && begun < count.total {
                let wanted = (count.total - begun).min(count.at_once.unwrap_or(usize::MAX).max(1));
                let graph = self.graph_for(wanted)?;
                let n = wanted.min(graph.n_pictures);
                let patches = self.prepare(begun..begun + n, count.total, &mut picture, watch).await?;
                flights.push_back((self.start(graph, &patches, watch).await?, graph, n));
                begun += n;
                continue;
            }
            let Some((pending, graph, n)) = flights.pop_front() else { break };
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(&pending.wait().await?.remove(0));
            check_numbers(&values)?;
            rows.extend(values.chunks_exact(values.len() / graph.n_pictures).take(n).map(<[f32]>::to_vec));
            watch.progress(rows.len() as f32 / count.total as f32)?;
        }
        Ok(rows)
    }

    /// The graph for the next `wanted` pictures: the largest that is more than half full.
    fn graph_for(&self, wanted: usize) -> Result<PictureGraph> {
        let useful = self.graphs.iter().filter(|graph| graph.n_pictures == 1 || 2 * wanted > graph.n_pictures);
        let largest = useful.max_by_key(|graph| graph.n_pictures);
        largest.copied().ok_or_else(|| Error::Internal("a model of pictures has no graph for one".into()))
    }

    /// The patches of some pictures, one picture after the other.
    async fn prepare(
        &self,
        pictures: Range<usize>,
        total: usize,
        picture: &mut impl AsyncFnMut(usize) -> Result<Pixels>,
        watch: &Watch<'_>,
    ) -> Result<Vec<f32>> {
        let side = self.preprocessor.side()?;
        let mut rows = Vec::with_capacity(pictures.len() * 3 * side * side);
        for idx in pictures {
            watch.cancel.check()?;
            let prepared = self.preprocessor.apply(&picture(idx).await?).map_err(|error| match error {
                Error::Input(what) if total > 1 => Error::Input(format!("{}: {what}", which("picture", idx, total))),
                other => other,
            })?;
            image::patches(&prepared, side, self.patch, &mut rows);
        }
        Ok(rows)
    }

    /// Sets a run going.
    async fn start(&mut self, graph: PictureGraph, patches: &[f32], watch: &Watch<'_>) -> Result<Pending> {
        // A run's own progress is none of the pictures'.
        let mut quiet = Watch { cancel: watch.cancel, on_progress: &mut |_| () };
        self.session.write(graph.patches, 0, bytemuck::cast_slice(patches))?;
        let expected_ms = self.ms_per_picture.map_or(f64::INFINITY, |ms| ms * graph.n_pictures as f64);
        if expected_ms <= LONG_RUN_MS {
            return self.session.submit(&[(graph.graph, 1)], &[graph.result], &mut quiet).await;
        }
        let start = edge::Instant::now();
        self.session.run_watched(graph.graph, &mut quiet).await?;
        *self.ms_per_picture = Some(edge::ms_since(start) / graph.n_pictures as f64);
        self.session.submit(&[], &[graph.result], &mut quiet).await
    }
}

/// Results that are no numbers come from a device that does not compute.
pub(super) fn check_numbers(values: &[f32]) -> Result<()> {
    match values.iter().find(|v| !v.is_finite()) {
        None => Ok(()),
        Some(bad) => Err(Error::Numerics { what: "pictures".into(), reason: format!("one value is {bad}") }),
    }
}
