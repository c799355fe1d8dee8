//! The list of kernels: their numbers in a plan, how many tasks a step has, and how a task is run.

use crate::step::Io;
use crate::{
    attention, attention_cached, attention_combine, attention_cross, class_mean, conv1d, distance_bias, embed, gated,
    gather, layer_norm, layer_scale, linear, log_mel, max_parts, mel_scale, picture_tokens, pool, row_at,
    sample_cutoff, sample_pick, sample_scan, scale, sot_stats, store_rows, top_tokens,
};

macro_rules! kernels {
    ($($(#[$doc:meta])* $name:ident = $module:ident),* $(,)?) => {
        /// Which kernel a step runs; one module each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Kernel { $($(#[$doc])* $name),* }

        impl Kernel {
            /// Every kernel, at the place of its number.
            pub const ALL: &[Kernel] = &[$(Kernel::$name),*];

            /// How many tasks a step of this kernel has for a team of `n_threads`.
            pub fn n_tasks(self, io: &Io, n_threads: usize) -> usize {
                match self { $(Kernel::$name => $module::n_tasks(io, n_threads)),* }
            }

            /// Runs one task. `scratch` is the thread's own, its contents are left over from earlier tasks.
            pub fn run(self, io: &Io, task: usize, n_threads: usize, scratch: &mut [f32]) {
                match self {
                    $(Kernel::$name => {
                        // A function of its own, for browsers translate by the function, and replace a slow first translation only
                        // at the next call.
                        #[inline(never)]
                        fn apart(io: &Io, task: usize, n_threads: usize, scratch: &mut [f32]) {
                            $module::run(io, task, n_threads, scratch);
                        }
                        apart(io, task, n_threads, scratch);
                    }),*
                }
            }
        }
    };
}

kernels! {
    /// Layer normalisation.
    LayerNorm = layer_norm,
    /// Linear map.
    Linear = linear,
    /// Convolution over time.
    Conv1d = conv1d,
    /// Attention over whole sequences.
    Attention = attention,
    /// Log-mel spectrogram.
    LogMel = log_mel,
    /// Causal attention with a cache.
    AttentionCached = attention_cached,
    /// Attention over the encoder's output, in parts.
    AttentionCross = attention_cross,
    /// The parts put together.
    AttentionCombine = attention_combine,
    /// Tokens to rows.
    Embed = embed,
    /// One row of a prompt.
    RowAt = row_at,
    /// Greatest elements.
    MaxParts = max_parts,
    /// Features scaled.
    MelScale = mel_scale,
    /// A sentence's vector.
    Pool = pool,
    /// No speech, and the language.
    SotStats = sot_stats,
    /// Candidates for the next token.
    SampleScan = sample_scan,
    /// The next token.
    SamplePick = sample_pick,
    /// Rows chosen by their numbers.
    Gather = gather,
    /// A gated activation.
    Gated = gated,
    /// A product with a number.
    Scale = scale,
    /// Biases by distance.
    DistanceBias = distance_bias,
    /// The first rows of a state.
    StoreRows = store_rows,
    /// The least logit that may be drawn.
    SampleCutoff = sample_cutoff,
    /// The most probable tokens.
    TopTokens = top_tokens,
    /// Patches and a model's own tokens, in their places.
    PictureTokens = picture_tokens,
    /// A scale for each column.
    LayerScale = layer_scale,
    /// The class token beside the mean of the patches.
    ClassMean = class_mean,
}
