//! How fast a backend runs a model, from a piece of it: a layer at a time with the model's own shapes and weights of zero, timed
//! warm and multiplied up. It takes a fraction of a second; which backend is tried and what follows from the figures is the
//! business of [`super::ladder`].

use super::graph::{GraphId, RecordOptions, Recorder, SlotId};
use super::session::{Device, Session, Watch};
use super::{CancelFlag, Result, edge};

/// A model that says what of it stands for the whole.
pub trait Representative {
    /// The work that estimates are for, as people say it.
    fn work(&self) -> &'static str;

    /// How much of the work one run of the piece may do, the least first: a slow device stops at the first.
    fn sizes(&self) -> Vec<usize>;

    /// Records the piece of that size.
    fn record_piece(&self, recorder: &Recorder, size: usize) -> Result<Vec<Part>>;
}

/// A graph of a piece.
#[derive(Debug, Clone)]
pub struct Part {
    /// What is run.
    pub graph: GraphId,
    /// How often the whole work does it.
    pub times: f64,
    /// What it writes: read back to know that it is done.
    pub result: SlotId,
    /// What has to be written before it runs.
    pub input: Option<(SlotId, Vec<u8>)>,
}

/// A run that took this long is not repeated for a better figure.
const LONG_RUN_MS: f64 = 60.0;
/// A larger piece is worth its figures where one run of it takes no longer than this.
const LARGER_MS: f64 = 150.0;
/// A backend that will take so many times as long as the best so far is not measured to the end.
const FAR_BEHIND: f64 = 4.0;
/// Runs in one submit of a short part: what a submit costs by itself is subtracted.
const REPEATS: u32 = 8;

/// What the piece came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Milliseconds of the whole work.
    pub ms: f64,
    /// Whether measuring was broken off because the backend is far behind `best_ms`; the figure is then a lower bound.
    pub is_early: bool,
}

/// Estimates how long the model's work takes on a device. `best_ms` is the estimate to beat.
pub async fn estimate(
    device: &Device,
    options: RecordOptions,
    model: &dyn Representative,
    best_ms: Option<f64>,
) -> Result<Estimate> {
    let limit_ms = best_ms.map_or(f64::INFINITY, |best| best * FAR_BEHIND);
    let sizes = model.sizes();
    let mut last = None;
    for (idx, &size) in sizes.iter().enumerate() {
        let (estimate, run_ms) = piece(device, options, model, size, limit_ms).await?;
        last = Some(estimate);
        let next = sizes.get(idx + 1).map(|&next| run_ms * next as f64 / size as f64);
        if estimate.is_early || next.is_none_or(|ms| ms > LARGER_MS) {
            break;
        }
    }
    last.ok_or_else(|| super::Error::Internal("a model names no piece to measure".into()))
}

/// The estimate from a piece of one size, and the milliseconds that its parts took once.
async fn piece(
    device: &Device,
    options: RecordOptions,
    model: &dyn Representative,
    size: usize,
    limit_ms: f64,
) -> Result<(Estimate, f64)> {
    let recorder = Recorder::without_checkpoint(options);
    let parts = model.record_piece(&recorder, size)?;
    let mut session = Session::compile(device, recorder.finish()).await?;
    let (mut ms, mut run_ms) = (0.0, 0.0);
    for part in &parts {
        if let Some((slot, bytes)) = &part.input {
            session.write(*slot, 0, bytes)?;
        }
        // The first run makes the pipelines, or touches the memory for the first time.
        run(&mut session, part, 1).await?;
        let once = run(&mut session, part, 1).await?;
        let each = if once > LONG_RUN_MS {
            once
        } else {
            let several = run(&mut session, part, 1 + REPEATS).await?;
            let rest = several - once;
            // Where the clock is too coarse for the difference, the whole is an upper bound.
            if rest > 0.0 { rest / f64::from(REPEATS) } else { several / f64::from(1 + REPEATS) }
        };
        run_ms += each;
        ms += each * part.times;
        if ms > limit_ms {
            return Ok((Estimate { ms, is_early: true }, run_ms));
        }
    }
    Ok((Estimate { ms, is_early: false }, run_ms))
}

/// Milliseconds of `times` runs in one submit.
async fn run(session: &mut Session, part: &Part, times: u32) -> Result<f64> {
    let mut watch = Watch { cancel: &CancelFlag::default(), on_progress: &mut |_| () };
    let start = edge::Instant::now();
    session.submit(&[(part.graph, times)], &[part.result], &mut watch).await?.wait().await?;
    Ok(edge::ms_since(start))
}
