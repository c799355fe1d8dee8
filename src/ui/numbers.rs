//! What the numbers inside a model show, in words: which tensors are not what their definitions say, and which is the farthest. Where the line
//! is drawn is said here and nowhere in the engine.

use super::format;
use crate::protocol::{Difference, Inspection, NodeInfo, TensorCheck, TensorStatistics};

/// Sums of f32 in another order stay below this share of the tensor's largest magnitude, with a wide margin for sums of thousands.
const NEAR_F32: f64 = 1e-3;
/// The eleven bits of f16 do, in a result and in what it is made of.
const NEAR_F16: f64 = 1e-2;
/// No token or position is so near to another; the floats among the words of a decoder's state are, where their last bits differ.
const NEAR_U32: f64 = 1e-6;

/// The heads of the table's columns.
pub const HEADS: [&str; 17] = [
    "Node",
    "What stands out",
    "Tensor",
    "Shape",
    "Type",
    "Least",
    "Least by definition",
    "Greatest",
    "Greatest by definition",
    "Mean",
    "Mean by definition",
    "NaN",
    "NaN by definition",
    "Infinite",
    "Infinite by definition",
    "Largest difference",
    "Of the largest magnitude",
];

/// A row of the table, with a text for each of [`HEADS`].
pub fn row(check: &TensorCheck) -> Vec<String> {
    let TensorCheck { device, definition, .. } = check;
    let mut row = vec![
        format!("{} {}", check.node, check.op),
        stands_out(check).unwrap_or_else(|| "as defined".into()),
        check.tensor.clone(),
        sizes(&check.shape),
        check.dtype.clone(),
    ];
    let figures: [fn(&TensorStatistics) -> String; 5] = [
        |it| known(it.min),
        |it| known(it.max),
        |it| known(it.mean),
        |it| format::count(it.n_nan),
        |it| format::count(it.n_infinite),
    ];
    row.extend(figures.iter().flat_map(|figure| [figure(device), figure(definition)]));
    row.extend(match &check.difference {
        None => ["none".into(), "none".into()],
        Some(Difference { absolute, .. }) if *absolute == 0.0 => ["0".into(), "0".into()],
        Some(it) => {
            let Difference { place, device, definition, absolute, relative } = it;
            let at = place.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            let values = format!("{} and by definition {}", number(*device), number(*definition));
            [format!("{} at [{at}]: {values}", number(*absolute)), known(*relative)]
        }
    });
    row
}

/// A node in a list: `12 linear, f32 32 × 512`.
pub fn node_name(idx: usize, node: &NodeInfo) -> String {
    let output = match node.dtype.is_empty() {
        true => String::new(),
        false => format!(", {} {}", node.dtype, sizes(&node.shape)),
    };
    let states = if node.states.is_empty() { String::new() } else { format!(", writes {}", node.states.join(" and ")) };
    format!("{idx} {}{output}{states}", node.op)
}

/// Why a tensor is not what its definition says; nothing where it is.
pub fn stands_out(check: &TensorCheck) -> Option<String> {
    let (device, definition) = (check.device, check.definition);
    if check.n_unlike > 0 {
        let what = match (device.n_nan > definition.n_nan, device.n_nan < definition.n_nan) {
            (true, _) => "NaN on the device only",
            (_, true) => "NaN by definition only",
            _ => "NaN or infinite on one side only",
        };
        return Some(format!("off: {what} ({} elements)", format::count(check.n_unlike)));
    }
    let near = match check.dtype.as_str() {
        "f32" => NEAR_F32,
        "f16" => NEAR_F16,
        _ => NEAR_U32,
    };
    match check.difference.as_ref()?.relative {
        None => Some("off: all is 0 by definition, and not on the device".into()),
        Some(relative) if relative > near => {
            Some(format!("off by {} of its largest magnitude", format::percent(relative as f32)))
        }
        Some(_) => None,
    }
}

/// What was found, in two sentences: how many tensors are off, and which is the farthest from its definition.
pub fn summary(inspection: &Inspection) -> String {
    let Inspection { graph, checks, .. } = inspection;
    let n = format::count(checks.len() as u32);
    let off = match checks.iter().filter(|check| stands_out(check).is_some()).count() {
        0 => format!("All tensors of {graph} that were checked ({n}) are what their definitions say."),
        n_off => {
            format!("{} of {n} tensors of {graph} are not what their definitions say.", format::count(n_off as u32))
        }
    };
    let Some(farthest) = checks.iter().max_by(|a, b| distance(a).total_cmp(&distance(b))) else { return off };
    let name = format!("node {} {} ({})", farthest.node, farthest.op, farthest.tensor);
    match distance(farthest) {
        0.0 => format!("{off} None differs in a single bit."),
        far if far.is_finite() => {
            format!("{off} The farthest is {name}: {} of its largest magnitude.", number(far))
        }
        _ => format!("{off} The farthest is {name}: {}.", stands_out(farthest).unwrap_or_default()),
    }
}

/// How far a tensor is from its definition: without bound where they have no number in common.
fn distance(check: &TensorCheck) -> f64 {
    match &check.difference {
        _ if check.n_unlike > 0 => f64::INFINITY,
        Some(difference) => difference.relative.unwrap_or(f64::INFINITY),
        None => 0.0,
    }
}

fn sizes(shape: &[u32]) -> String {
    shape.iter().map(u32::to_string).collect::<Vec<_>>().join(" × ")
}

fn known(value: Option<f64>) -> String {
    value.map_or_else(|| "none".into(), number)
}

/// A number of any size and sign with four digits that count: `0`, `-1.25`, `3.052e-7`.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if (1e-3..1e5).contains(&size) => {
            let n_before = size.log10().floor() as i32 + 1;
            let text = format!("{value:.*}", (4 - n_before).max(0) as usize);
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
        }
        _ => format!("{value:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::PipelineId;

    fn check(node: u32, dtype: &str, relative: Option<f64>) -> TensorCheck {
        let figures = TensorStatistics { min: Some(-1.0), max: Some(2.0), mean: Some(0.5), n_nan: 0, n_infinite: 0 };
        let absolute = relative.map_or(1.0, |relative| 2.0 * relative);
        TensorCheck {
            node,
            op: "linear".into(),
            tensor: "output".into(),
            shape: vec![2, 3],
            dtype: dtype.into(),
            device: figures,
            definition: figures,
            n_unlike: 0,
            difference: Some(Difference {
                place: vec![1, 0],
                device: 2.0 + absolute,
                definition: 2.0,
                absolute,
                relative,
            }),
        }
    }

    fn inspection(checks: Vec<TensorCheck>) -> Inspection {
        Inspection { pipeline: PipelineId(1), model: "m".into(), graph: "step".into(), checks }
    }

    #[test]
    fn a_tensor_is_off_beyond_what_its_type_rounds_and_a_token_at_once() {
        assert_eq!(stands_out(&check(0, "f32", Some(1e-6))), None);
        assert_eq!(stands_out(&check(0, "f16", Some(2e-3))), None);
        assert_eq!(stands_out(&check(0, "f32", Some(2e-3))).as_deref(), Some("off by 0.20 % of its largest magnitude"));
        assert!(stands_out(&check(0, "u32", Some(1.0 / 51_865.0))).is_some());
        assert_eq!(stands_out(&check(0, "u32", Some(1e-9))), None);
        assert!(stands_out(&check(0, "f32", None)).is_some_and(|words| words.contains("all is 0")));
    }

    #[test]
    fn nan_is_off_on_one_side_and_not_on_both() {
        let mut one = check(0, "f32", Some(0.0));
        (one.device.n_nan, one.n_unlike) = (3, 3);
        assert_eq!(stands_out(&one).as_deref(), Some("off: NaN on the device only (3 elements)"));
        (one.definition.n_nan, one.n_unlike) = (3, 0);
        assert_eq!(stands_out(&one), None);
        assert_eq!(row(&one)[11..13], ["3", "3"]);
    }

    #[test]
    fn the_farthest_node_is_named() {
        let fine = summary(&inspection(vec![check(0, "f32", Some(1e-7)), check(1, "f32", Some(2e-6))]));
        assert!(fine.starts_with("All tensors of step that were checked (2)"), "{fine}");
        assert!(fine.contains("node 1 linear (output): 2.000e-6 of"), "{fine}");
        let mut nan = check(2, "f32", Some(0.0));
        (nan.device.n_nan, nan.n_unlike) = (1, 1);
        let off = summary(&inspection(vec![check(0, "f32", Some(0.5)), nan]));
        assert!(off.starts_with("2 of 2 tensors") && off.contains("node 2 linear") && off.contains("NaN"), "{off}");
        assert!(summary(&inspection(vec![check(0, "u32", Some(0.0))])).ends_with("None differs in a single bit."));
    }

    #[test]
    fn a_row_has_a_text_for_each_head() {
        let row = row(&check(7, "f32", Some(1e-7)));
        assert_eq!(row.len(), HEADS.len());
        assert_eq!(row[..5], ["7 linear", "as defined", "output", "2 × 3", "f32"]);
        assert_eq!(row[15], "2.000e-7 at [1, 0]: 2 and by definition 2");
    }

    #[test]
    fn numbers_of_any_size_keep_four_digits() {
        let told = [0.0, -1.25, 3.0517578e-7, 123.456, 98_765.4, -2.5e9, 0.001_234_56].map(number);
        assert_eq!(told, ["0", "-1.25", "3.052e-7", "123.5", "98765", "-2.500e9", "0.001235"]);
    }
}
