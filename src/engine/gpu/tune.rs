//! The tuner: which version of a kernel is the fastest on this adapter, by trying them. What a program needs is sorted into classes (an op
//! with the types that it is used with); each version of a class runs many times in one pass, on zeros, and the best is noted by the class.

use super::buffer::{Buffer, BufferPlan};
use super::clock::{Clock, Patience};
use super::device::Gpu;
use super::layout::{Bound, Step};
use super::pipeline::{Pipeline, PipelineKey};
use super::probe_kernel::Ready;
use crate::engine::graph::Program;
use crate::engine::memory::{Ledger, Purpose};
use crate::engine::op::{Kernel, class_of};
use crate::engine::tensor::TensorType;
use crate::engine::{CancelFlag, Result, edge};
use crate::protocol::{TunedKernel, TunedVersion};
use std::rc::Rc;

/// All versions together are tried no longer than this, in ms; what has not had its turn then stays as it is.
const MOST_MS: f64 = 10_000.0;
/// A pass over one version takes at least so long, in µs: forty times a browser's step of 0.1 ms.
const LONG_ENOUGH_US: f64 = 4e3;
/// Another version has to be better by so much, or it is chance that chooses.
const MARGIN: f64 = 0.97;

/// What a class is tried with.
struct Contest {
    class: String,
    versions: Vec<Version>,
    /// Bytes of each of the op's inputs, `None` where it is absent or not bound.
    inputs: Vec<Option<usize>>,
    /// Bytes of the output.
    output: Option<usize>,
}

/// One or two steps, with their pipelines.
struct Version {
    steps: Vec<(Step, Rc<Pipeline>)>,
}

impl Version {
    /// The kernel by which it is told from others.
    fn kernel(&self) -> &Kernel {
        &self.steps[0].0.kernel
    }

    /// Bytes between its steps.
    fn left(&self) -> usize {
        self.steps[0].0.left
    }
}

impl Gpu {
    /// Tries the versions of every kernel that `programs` need and that was not tried before. `on_progress` hears how many classes are
    /// done, of how many.
    ///
    /// # Errors
    /// Where a version does not compile or the device goes away; [`crate::engine::Error::Cancelled`].
    pub async fn tune(
        &self,
        programs: &[&Program],
        cancel: &CancelFlag,
        on_progress: &mut dyn FnMut(u32, u32),
    ) -> Result<()> {
        let contests = self.contests(programs);
        if contests.is_empty() {
            return Ok(());
        }
        let all = contests.len() as u32;
        on_progress(0, all);
        // Begun all at once, so that the browser makes them side by side.
        let steps = contests.iter().flat_map(|contest| &contest.versions).flat_map(|version| &version.steps);
        let pipelines: Vec<_> = steps.map(|(_, pipeline)| pipeline.clone()).collect();
        self.finish_pipelines(&pipelines, &mut |_| ()).await?;
        let ledger = Ledger::new();
        let clock = Clock::start(self, &ledger).await?;
        let start = edge::Instant::now();
        for (n_done, contest) in contests.into_iter().enumerate() {
            cancel.check()?;
            let left_ms = MOST_MS - edge::ms_since(start);
            if left_ms <= 0.0 {
                break;
            }
            let patience = Patience {
                long_enough_us: LONG_ENOUGH_US,
                most_ms: left_ms / f64::from(all - n_done as u32) / contest.versions.len() as f64,
            };
            let tuned = self.try_versions(&contest, &clock, patience, &ledger).await?;
            self.tuned.borrow_mut().insert(contest.class, tuned);
            on_progress(n_done as u32 + 1, all);
        }
        Ok(())
    }

    fn contests(&self, programs: &[&Program]) -> Vec<Contest> {
        let mut contests: Vec<Contest> = Vec::new();
        let known = self.tuned.borrow();
        for program in programs {
            let caps = self.caps_for(program);
            for (node, signature) in program.nodes() {
                let others = node.op.alternatives(&signature, &caps);
                let class = class_of(node.op.as_ref(), &signature);
                let sizes = signature.inputs.iter().flatten().chain(signature.output.as_ref()).map(|ty| ty.n_bytes());
                if others.is_empty()
                    || sizes.max().is_some_and(|bytes| bytes as u64 > caps.max_binding_bytes)
                    || known.contains_key(&class)
                    || contests.iter().any(|contest| contest.class == class)
                {
                    continue;
                }
                let first = node.op.kernel(&signature, &caps);
                let bound = first.bound_inputs(node.inputs.len());
                let n_bytes = |(idx, ty): (usize, &Option<&TensorType>)| {
                    ty.filter(|_| bound.contains(&idx)).map(TensorType::n_bytes)
                };
                let inputs = signature.inputs.iter().enumerate().map(n_bytes).collect();
                let with_pipeline = |step: Step| {
                    let key = PipelineKey::new(self, &step.kernel, step.written(node));
                    let pipeline = self.pipeline(&format!("tuner/{}", node.op.name()), key);
                    (step, pipeline)
                };
                let version =
                    |kernel| Version { steps: Step::of(node, kernel).into_iter().map(with_pipeline).collect() };
                let versions = std::iter::once(first).chain(others).map(version).collect();
                contests.push(Contest { class, versions, inputs, output: signature.output.map(TensorType::n_bytes) });
            }
        }
        contests
    }

    async fn try_versions(
        &self,
        contest: &Contest,
        clock: &Clock<'_>,
        patience: Patience,
        ledger: &Rc<Ledger>,
    ) -> Result<TunedKernel> {
        let buffer = |bytes: Option<usize>| -> Result<Option<Buffer>> {
            let plan = |bytes| BufferPlan::storage("tuner", bytes, Purpose::Activations, self.caps.max_binding_bytes);
            Ok(bytes.map(plan).transpose()?.map(|plan| plan.make(self, ledger)))
        };
        let inputs = contest.inputs.iter().map(|&bytes| buffer(bytes)).collect::<Result<Vec<_>>>()?;
        let output = buffer(contest.output)?;
        let left = buffer(contest.versions.iter().map(Version::left).max().filter(|&bytes| bytes > 0))?;
        let at = |bound: &Bound| match *bound {
            Bound::Input(input) => inputs[input].as_deref(),
            Bound::Left | Bound::Found => left.as_deref(),
            Bound::Output => output.as_deref(),
        };
        let ready = |(step, pipeline): &(Step, Rc<Pipeline>)| {
            let storage: Vec<_> = step.bound.iter().map(|bound| at(bound).unwrap_or(&self.empty)).collect();
            Ready::new(self, ledger, &step.kernel, pipeline.clone(), &storage)
        };
        let mut versions = Vec::with_capacity(contest.versions.len());
        for version in &contest.versions {
            let steps: Vec<_> = version.steps.iter().map(ready).collect();
            let us =
                clock.repeat(patience, 1, &|_| (), &|pass| steps.iter().for_each(|step| step.encode(pass))).await?;
            versions.push(TunedVersion { name: name_of(version.kernel(), &contest.versions), us });
        }
        Ok(TunedKernel { class: contest.class.clone(), chosen: best(&versions) as u32, versions })
    }
}

/// The fastest, unless the first is as good.
fn best(versions: &[TunedVersion]) -> usize {
    let fastest = versions.iter().enumerate().min_by(|(_, a), (_, b)| a.us.total_cmp(&b.us));
    match (fastest, versions.first()) {
        (Some((idx, fastest)), Some(first)) if fastest.us < MARGIN * first.us => idx,
        _ => 0,
    }
}

/// A version's shader, and the constants by which it differs from the others.
fn name_of(kernel: &Kernel, among: &[Version]) -> String {
    let constants = |kernel: &Kernel| -> Vec<(&'static str, f64)> {
        let consts = kernel.consts.iter().map(|&(name, value)| (name, f64::from(value)));
        consts.chain(kernel.overrides.iter().copied()).collect()
    };
    let mut name = kernel.shader.to_string();
    for (constant, value) in constants(kernel) {
        let differs = |other: &Version| {
            constants(other.kernel()).iter().any(|&(other, other_value)| other == constant && other_value != value)
        };
        if among.iter().any(differs) {
            name += &format!(" {constant} {value}");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(us: f64) -> TunedVersion {
        TunedVersion { name: String::new(), us }
    }

    #[test]
    fn another_version_is_chosen_only_where_it_is_clearly_better() {
        assert_eq!(best(&[version(10.0), version(9.9), version(12.0)]), 0);
        assert_eq!(best(&[version(10.0), version(9.0), version(8.0)]), 2);
        assert_eq!(best(&[version(10.0)]), 0);
    }
}
