//! What a context can do, as `opSupportLimits` says it: element types and ranks by primitive and operand.

use crate::engine::lowering::{Element, Lowering, Operand, OperandType, Source};
use serde_json::Value;

/// `MLOpSupportLimits`. Only the keys that are asked for are looked at; one that is missing limits nothing but a primitive's own.
#[derive(Debug, Clone)]
pub struct Limits(Value);

impl Limits {
    /// From the dictionary as JSON.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let limits: Value = serde_json::from_str(json).map_err(|e| e.to_string())?;
        if limits.is_object() { Ok(Self(limits)) } else { Err("it is no dictionary".into()) }
    }

    /// Whether f16 weights can be kept: as constants, and widened inside a graph.
    pub fn widens_f16(&self) -> bool {
        let half = OperandType::new(Element::F16, [1]);
        [&self.0["constant"], &self.0["input"], &self.0["cast"]["input"], &self.0["gather"]["input"]]
            .into_iter()
            .all(|limits| !limits.is_null() && fits(limits, &half).is_ok())
    }

    /// Why a graph with these outputs cannot be built, in one sentence.
    pub fn refusal(&self, lowering: &Lowering, outputs: &[Operand]) -> Option<String> {
        let needed = needed(lowering, outputs);
        for (value, _) in lowering.values().iter().zip(&needed).filter(|(_, needed)| **needed) {
            let most = self.0["maxTensorByteLength"].as_u64().unwrap_or(u64::MAX);
            if value.ty.n_bytes() as u64 > most {
                return Some(format!("a tensor of {} bytes is needed, {most} are allowed", value.ty.n_bytes()));
            }
            let refused = match &value.source {
                Source::Input => fits(&self.0["input"], &value.ty).map_err(|e| format!("an input {e}")),
                Source::Constant(_) => fits(&self.0["constant"], &value.ty).map_err(|e| format!("a constant {e}")),
                Source::Step(primitive, inputs) => {
                    let limits = &self.0[primitive.name()];
                    let names = primitive.input_names();
                    let known = if limits.is_null() { Err("does not exist".into()) } else { Ok(()) };
                    let inputs = inputs.iter().enumerate().map(|(idx, &input)| {
                        let name = names[idx.min(names.len() - 1)];
                        fits(&limits[name], lowering.ty(input)).map_err(|e| format!("{name} {e}"))
                    });
                    known
                        .and_then(|()| inputs.collect::<Result<Vec<()>, String>>())
                        .and_then(|_| fits(&limits["output"], &value.ty).map_err(|e| format!("output {e}")))
                        .map_err(|e| format!("`{}`: {e}", primitive.name()))
                }
            };
            if let Err(reason) = refused {
                return Some(reason);
            }
        }
        let output = outputs.iter().find_map(|&output| fits(&self.0["output"], lowering.ty(output)).err());
        output.map(|reason| format!("an output {reason}"))
    }
}

/// `MLTensorLimits`: `dataTypes` and `rankRange`.
fn fits(limits: &Value, ty: &OperandType) -> Result<(), String> {
    let name = ty.element.name();
    if let Some(types) = limits["dataTypes"].as_array()
        && !types.iter().any(|t| t == name)
    {
        return Err(format!("cannot be {name}"));
    }
    let (rank, range) = (ty.shape.len() as u64, &limits["rankRange"]);
    let (least, most) = (range["min"].as_u64().unwrap_or(0), range["max"].as_u64().unwrap_or(u64::MAX));
    if (least..=most).contains(&rank) { Ok(()) } else { Err(format!("cannot have {rank} dimensions")) }
}

/// Which values the outputs depend on.
pub fn needed(lowering: &Lowering, outputs: &[Operand]) -> Vec<bool> {
    let mut needed = vec![false; lowering.values().len()];
    for output in outputs {
        needed[output.0] = true;
    }
    for (idx, value) in lowering.values().iter().enumerate().rev() {
        if let (true, Source::Step(_, inputs)) = (needed[idx], &value.source) {
            for input in inputs {
                needed[input.0] = true;
            }
        }
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::lowering::Unary;

    fn gelu() -> (Lowering, Operand) {
        let mut b = Lowering::default();
        let x = b.input(OperandType::new(Element::F32, [2, 3]));
        let y = b.unary(Unary::Gelu, x).expect("floats");
        (b, y)
    }

    #[test]
    fn limits_refuse_what_the_device_cannot_and_say_why() {
        let (lowering, y) = gelu();
        let refusal = |json: &str| Limits::from_json(json).expect("a dictionary").refusal(&lowering, &[y]);
        assert_eq!(
            refusal(r#"{"gelu": {"input": {"dataTypes": ["float32"], "rankRange": {"min": 0, "max": 4}}}}"#),
            None
        );
        assert_eq!(refusal("{}").as_deref(), Some("`gelu`: does not exist"));
        let only_half = r#"{"gelu": {"input": {"dataTypes": ["float16"]}}}"#;
        assert_eq!(refusal(only_half).as_deref(), Some("`gelu`: input cannot be float32"));
        let flat = r#"{"gelu": {"input": {"rankRange": {"max": 1}}}}"#;
        assert_eq!(refusal(flat).as_deref(), Some("`gelu`: input cannot have 2 dimensions"));
        let small = r#"{"gelu": {}, "maxTensorByteLength": 16}"#;
        assert_eq!(refusal(small).as_deref(), Some("a tensor of 24 bytes is needed, 16 are allowed"));
    }

    #[test]
    fn limits_leave_out_what_no_output_needs() {
        let (mut lowering, y) = gelu();
        lowering.unary(Unary::Log, y).expect("floats");
        let limits = Limits::from_json(r#"{"gelu": {}}"#).expect("a dictionary");
        assert_eq!(limits.refusal(&lowering, &[y]), None);
    }
}
