//! The ways in which kernels are chosen, and the checks of those ops that have several versions.

use super::checks;
use rill::engine::Result;
use rill::engine::op::{Choices, GpuCaps, KernelLevel};
use rill::engine::session::Device;

/// Changes what an adapter is said to be capable of.
pub type Adjust = fn(GpuCaps) -> GpuCaps;

/// How kernels for an adapter are chosen, with a name: those for software, and each level of those for GPUs.
pub const LEVELS: [(&str, Adjust); 3] = [
    ("for software", |caps| GpuCaps { software: true, ..caps }),
    ("tiled", |caps| GpuCaps { software: false, level: KernelLevel::Tiled, ..caps }),
    ("with subgroups", |caps| GpuCaps { software: false, level: KernelLevel::Subgroups, ..caps }),
];

/// Every version of a kernel that the tuner may choose.
pub const EACH: Adjust = |caps| GpuCaps { software: false, choices: Choices::Each, ..caps };

/// Of the ops with most versions and the largest kernels one check each: enough to see that another compiler understands them.
#[allow(dead_code, reason = "native tests have time for all of them")]
pub async fn agree_in_brief(device: &Device) -> Result<()> {
    checks::linear_agrees_for_awkward_sizes(device).await?;
    checks::attention_sees_what_is_before_and_how_far_it_is(device).await
}

/// Every op that has versions, and a weight that no version may take for right.
#[allow(dead_code, reason = "in a browser their compilation takes minutes")]
pub async fn agree(device: &Device) -> Result<()> {
    checks::linear_agrees_for_awkward_sizes(device).await?;
    checks::linear_normalises_rows_with_outliers(device).await?;
    checks::linear_reads_weights_of_eight_and_four_bits(device).await?;
    checks::a_wrong_scale_is_noticed(device).await?;
    checks::conv1d_pads_and_strides(device).await?;
    checks::f16_agrees_where_there_is_f16(device).await?;
    checks::attention_ignores_what_is_padding(device).await?;
    checks::attention_sees_what_is_before_and_how_far_it_is(device).await
}
