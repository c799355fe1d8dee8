//! What a trace shows, in sentences: of each stage the op that takes longest and the one from which most time could be had back, and why.

use super::format;
use crate::protocol::{Bound, OpTotal, PipelineTrace, Roofline, StageTrace};

/// One or two sentences for each stage.
pub fn of(trace: &PipelineTrace) -> Vec<String> {
    trace.stages.iter().filter_map(|stage| of_stage(stage, &trace.roofline)).collect()
}

fn of_stage(stage: &StageTrace, roofline: &Roofline) -> Option<String> {
    let slowest = stage.by_op().into_iter().next()?;
    let wasteful = stage.most_wasteful(roofline)?;
    let share = format::percent((slowest.us / stage.parts_us.max(1e-3)) as f32);
    let longest = format!("{}: {} takes longest, {share} of the time", stage.name, name(&slowest));
    let could = format::duration_us(wasteful.wasted_us(roofline));
    let why = reason(&wasteful, roofline);
    Some(match (wasteful.op, wasteful.shader) == (slowest.op, slowest.shader) {
        true => format!("{longest}, and wastes most: at the GPU's peak it would take {could} less; {why}."),
        false => {
            format!("{longest}. {} wastes most: at the GPU's peak it would take {could} less; {why}.", name(&wasteful))
        }
    })
}

/// An op with its kernel, where that has another name.
pub fn name(total: &OpTotal) -> String {
    if total.op == total.shader { total.op.to_string() } else { format!("{} ({})", total.op, total.shader) }
}

/// Why it takes longer than it has to.
fn reason(total: &OpTotal, roofline: &Roofline) -> String {
    let rate = total.rate(roofline);
    let launches = total.launches_us(roofline) / total.us.max(1e-3);
    if launches > 0.5 {
        let each = format::duration_us(total.us / f64::from(total.n_dispatches.max(1)));
        return format!(
            "its {} dispatches of {each} are hardly longer than the smallest there is, {}",
            format::count(total.n_dispatches),
            format::duration_us(roofline.dispatch_us)
        );
    }
    match rate.bound {
        Bound::Memory => {
            format!("it moves {} of {} GB/s", format::figure(rate.gb_per_s), format::figure(roofline.copy_gb_per_s))
        }
        Bound::Arithmetic => {
            format!("it computes {} of {} TFLOP/s", format::figure(rate.tflops), format::figure(roofline.f32_tflops))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::performance::tests::roofline;
    use crate::protocol::{DispatchTrace, PipelineId, TimedBy};

    fn trace(dispatches: &[(&str, f64, u64)]) -> PipelineTrace {
        let roofline = roofline();
        let dispatch = |&(op, us, bytes): &(&str, f64, u64)| DispatchTrace {
            op: op.into(),
            shader: op.into(),
            workgroups: [1, 1, 1],
            us,
            bytes,
            flops: 0,
            rate: roofline.rate(us, bytes, 0),
        };
        let dispatches: Vec<_> = dispatches.iter().map(dispatch).collect();
        let stage = StageTrace::new("step", 20.0, dispatches, TimedBy::Timestamps, &roofline);
        PipelineTrace { pipeline: PipelineId(1), model: "m".into(), roofline, stages: vec![stage] }
    }

    #[test]
    fn the_slowest_and_the_most_wasteful_are_named_with_a_reason() {
        let found = of(&trace(&[("copy", 60.0, 5_400_000), ("wait", 40.0, 1_000_000)]));
        assert_eq!(
            found,
            [
                "step: copy takes longest, 60 % of the time. wait wastes most: at the GPU's peak it would take 30.0 µs less; it moves 25.0 of 100 GB/s."
            ]
        );
    }

    #[test]
    fn short_dispatches_are_named_as_the_reason() {
        let found = of(&trace(&[("tiny", 4.0, 1000), ("tiny", 4.0, 1000)]));
        assert!(found[0].contains("and wastes most") && found[0].contains("its 2 dispatches of 4"), "{found:?}");
    }

    #[test]
    fn a_stage_without_dispatches_has_nothing_to_say() {
        assert!(of(&trace(&[])).is_empty());
    }
}
