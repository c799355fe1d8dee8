//! Whether a model fits into the memory that it may take, known from its recorded programs before its weights arrive; and what gives
//! way where it does not: memory level by memory level, the fastest first.

use super::graph::Program;
use super::memory::{MemoryOptions, MemoryUse};
use super::session::{Device, Session};
use super::{Error, Result};
use crate::protocol::{MemoryLevel, Precision};

/// What results take on their way back: small buffers that come and go, and that no plan knows.
const READ_BACK_BYTES: u64 = 1 << 20;

/// All levels, the fastest first.
pub const LEVELS: [MemoryLevel; 4] =
    [MemoryLevel::KeepAll, MemoryLevel::Share, MemoryLevel::Quantize, MemoryLevel::Stream];

/// The levels to try one after the other, from the one that was asked for on. Where weights cannot be narrowed,
/// [`MemoryLevel::Quantize`] is no other than the one before it.
pub fn levels(asked: MemoryLevel, narrows: bool) -> Vec<MemoryLevel> {
    let first = if asked == MemoryLevel::Quantize && !narrows { MemoryLevel::Share } else { asked };
    LEVELS.into_iter().filter(|&level| level >= first && (narrows || level != MemoryLevel::Quantize)).collect()
}

/// The level that takes less where memory ran out at `failed`; `None` where there is none on this device.
pub fn less_than(failed: MemoryLevel, device: &Device, narrows: bool) -> Option<MemoryLevel> {
    if !device.streams() {
        return None;
    }
    levels(failed, narrows).into_iter().find(|&level| level > failed)
}

/// The precision of weights that a level gives: int8 from [`MemoryLevel::Quantize`] on unless something smaller was asked for; streamed
/// weights stay as they were asked for, since what is not there takes no room.
pub fn precision_at(level: MemoryLevel, asked: Precision) -> Precision {
    match (level, asked) {
        (MemoryLevel::Quantize, Precision::F32 | Precision::F16) => Precision::Int8,
        _ => asked,
    }
}

/// The parts of a model on one device.
#[derive(Debug)]
pub struct Tried {
    /// The level.
    pub level: MemoryLevel,
    /// What all parts take, or why they cannot be laid out.
    pub takes: Result<u64>,
}

/// How each of the programs is to lie in memory at a level, and what they take together. What is left of the budget goes to the last
/// one that streams.
///
/// # Errors
/// Those of [`Session::footprint`].
pub fn lay_out(
    device: &Device,
    programs: &[&Program],
    level: MemoryLevel,
    budget_bytes: Option<u64>,
) -> Result<(Vec<MemoryOptions>, MemoryUse)> {
    let mut options = vec![MemoryOptions { level, budget_bytes: None }; programs.len()];
    let mut each = Vec::with_capacity(programs.len());
    for (program, options) in programs.iter().zip(&options) {
        each.push(Session::footprint(device, program, options)?);
    }
    if let (MemoryLevel::Stream, Some(budget)) = (level, budget_bytes) {
        for idx in 0..programs.len() {
            let others: u64 = each.iter().enumerate().filter(|(other, _)| *other != idx).map(|(_, m)| m.total()).sum();
            options[idx].budget_bytes = Some(budget.saturating_sub(others + READ_BACK_BYTES));
            each[idx] = Session::footprint(device, programs[idx], &options[idx])?;
        }
    }
    let mut all = MemoryUse::default();
    for (purpose, bytes) in each.iter().flat_map(MemoryUse::by_purpose) {
        all.add(purpose, bytes);
    }
    Ok((options, all))
}

/// Whether that much is within the budget, with room for results on their way back.
pub fn is_within(takes: u64, budget_bytes: Option<u64>) -> bool {
    budget_bytes.is_none_or(|budget| takes + READ_BACK_BYTES <= budget)
}

/// Why level or precision are others than those asked for, in a sentence that follows another; empty where they are not.
pub fn note(
    asked: MemoryLevel,
    level: MemoryLevel,
    asked_precision: Precision,
    precision: Precision,
    tried: &[Tried],
    budget_bytes: Option<u64>,
) -> String {
    let mut words = Vec::new();
    if level != asked {
        let limit = budget_bytes.map_or("what the device gives".into(), megabytes);
        let first = match tried.first().map(|tried| &tried.takes) {
            Some(Ok(bytes)) => format!("level {} takes {}", u8::from(asked), megabytes(*bytes + READ_BACK_BYTES)),
            _ => format!("level {} does not fit", u8::from(asked)),
        };
        words.push(format!("at memory level {}, since {first} and {limit} are allowed", u8::from(level)));
    }
    if precision != asked_precision {
        words.push("with weights in int8, since the memory level asks for it".into());
    }
    if level == MemoryLevel::Stream {
        words.push("weights are streamed through a small window of memory, which is slow".into());
    }
    words.iter().map(|words: &String| format!("; {words}")).collect()
}

/// What else is to be known of a device that was asked for this, in a sentence that follows another: what it cannot give, and what of
/// the budget it does not count.
pub fn note_of_device(device: &Device, asked: &MemoryOptions) -> String {
    let mut words = String::new();
    if asked.level == MemoryLevel::Quantize && !device.quantizes() {
        words += "; at memory level 1, since this backend takes no weights in int8";
    }
    if let (Some(budget), Some(most)) = (asked.budget_bytes, device.most_bytes())
        && budget > most
    {
        let (budget, most) = (megabytes(budget), megabytes(most));
        words += &format!("; within {most}, since the backend cannot address the {budget} of the budget");
    }
    if let (Some(_), Device::WebNn(_)) = (asked.budget_bytes, device) {
        words += "; intermediate tensors inside WebNN's graphs are not counted, since the browser does not tell them";
    }
    words
}

/// The budget, as far as the device can use it.
pub fn usable_budget(device: &Device, budget_bytes: Option<u64>) -> Option<u64> {
    budget_bytes.map(|budget| budget.min(device.most_bytes().unwrap_or(u64::MAX)))
}

/// What to say of a model that fits at none of the levels that were tried.
pub fn refusal(tried: &[Tried], budget_bytes: Option<u64>, smaller: Option<(Precision, u64)>) -> Error {
    // Where the device itself refused every level, its words are the answer.
    if let ([.., Tried { takes: Err(error), .. }], None) = (tried, budget_bytes) {
        return error.clone();
    }
    let figures = tried.iter().map(|Tried { level, takes }| match takes {
        Ok(bytes) => format!("{} at level {}", megabytes(*bytes + READ_BACK_BYTES), u8::from(*level)),
        Err(Error::OutOfMemory { needed_bytes, .. }) => {
            format!("at least {} at level {}", megabytes(*needed_bytes + READ_BACK_BYTES), u8::from(*level))
        }
        Err(error) => format!("level {} is not to be had: {error}", u8::from(*level)),
    });
    Error::Budget {
        budget_mb: budget_bytes.unwrap_or(0) / 1_000_000,
        figures: figures.collect::<Vec<_>>().join("; "),
        hint: match smaller {
            Some((precision, bytes)) => {
                format!("With weights in {precision:?} it takes {} and would fit", megabytes(bytes + READ_BACK_BYTES))
                    .replace("Int8", "int8")
                    .replace("Int4", "int4")
            }
            None => "No level and no precision makes it fit".into(),
        },
    }
}

/// Bytes for people.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_memory_is_tried_level_by_level_and_where_weights_stay_as_they_are_without_int8() {
        use MemoryLevel::{KeepAll, Quantize, Share, Stream};
        assert_eq!(levels(KeepAll, true), LEVELS);
        assert_eq!(levels(Share, false), [Share, Stream]);
        assert_eq!(levels(Quantize, false), [Share, Stream], "there is no level 2, so that nothing is skipped");
        let device = Device::Cpu(pollster::block_on(crate::engine::cpu::Cpu::open("")).unwrap());
        let next = |failed, narrows| less_than(failed, &device, narrows);
        assert_eq!(
            [KeepAll, Share, Quantize, Stream].map(|level| next(level, true)),
            [Some(Share), Some(Quantize), Some(Stream), None]
        );
        assert_eq!(next(Share, false), Some(Stream));
        assert_eq!(less_than(Share, &Device::Plain, true), None, "it has no levels");
    }

    #[test]
    fn a_budget_beyond_what_the_device_can_address_is_cut_and_said_to_be() {
        let device = Device::Cpu(pollster::block_on(crate::engine::cpu::Cpu::open("")).unwrap());
        let asked = |budget| MemoryOptions { level: MemoryLevel::Share, budget_bytes: Some(budget) };
        assert_eq!(usable_budget(&device, Some(8_000_000_000)), Some((1 << 32) - (1 << 16)));
        let note = note_of_device(&device, &asked(8_000_000_000));
        assert!(note.contains("within 4294.9 MB") && note.contains("8000.0 MB"), "{note}");
        assert_eq!((usable_budget(&device, Some(5)), note_of_device(&device, &asked(5))), (Some(5), String::new()));
    }
}
