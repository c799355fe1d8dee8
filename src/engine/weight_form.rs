//! In what form weights are held, and which of them stay wider than the rest: the one place where this is decided.

use super::tensor::DType;
use rill_kernels::quantize::{GROUP, PANEL};

/// In what form a device holds weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightForm {
    /// All f32.
    F32,
    /// f16 where the checkpoint has f16.
    AsStored,
    /// Matrices in int8; see [`WeightForm::holds`].
    Int8,
    /// Matrices in int4; see [`WeightForm::holds`].
    Int4,
}

/// What a model does with a matrix, as far as its width depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A linear map inside a model.
    Inner,
    /// A table of which single rows are looked up.
    Lookup,
    /// A table that is looked up and, as a linear map, also gives the logits.
    Tied,
    /// A convolution's filters.
    Filters,
}

/// Ends of the names of linear maps whose outputs are a model's answer.
const HEADS: [&str; 7] = [
    "classifier.weight",
    "lm_head.weight",
    "proj_out.weight",
    "decoder.weight",
    "vocab_projector.weight",
    "visual_projection.weight",
    "text_projection.weight",
];

impl WeightForm {
    /// The type in which a matrix is held. `stored` is f16 where the checkpoint has it so, else f32; `tensor` is its name there;
    /// `n_rows` is the number of rows of each tensor that is stacked, `n_cols` of all.
    ///
    /// Narrow are the matrices of linear maps: nearly all of a model's bytes and work, and their errors average out over K products.
    /// The rest stays wider, for these reasons:
    ///
    /// - **Lookup tables are int8 in both forms.** They are a quarter of MiniLM's bytes, and 8 bits leave its vectors at a cosine of 0.9995.
    ///   In 4 bits what is wrong with a row would stand in the residual stream from the first layer to the last, and no sum evens it out.
    /// - **Tables that also give the logits are int8 in both forms.** They are the largest matrix that each token reads as a whole, and
    ///   8 bits change no word of the development clips; in 4 bits tokens whose logits are close would change places with no later layer
    ///   to even it out.
    /// - **Heads are int8 in both forms**, for the same reason; they are small.
    /// - **Filters stay as stored**: a few per cent of the bytes, at the entrance, where every later layer builds on them.
    /// - **Norms, biases and positions are f32**; they have a few thousand elements, and positions are added to the residual stream.
    ///   (They are recorded as vectors or as `matrix_f32` and never come here.)
    /// - **Matrices whose rows are not whole groups, or whose stacked parts are not whole panels, stay as stored**: a group belongs to
    ///   one row, a panel to one tensor.
    pub fn holds(self, role: Role, tensor: &str, stored: DType, n_rows: usize, n_cols: usize, n_parts: usize) -> DType {
        let inner = match self {
            WeightForm::F32 => return DType::F32,
            WeightForm::AsStored => return stored,
            WeightForm::Int8 => DType::Q8,
            WeightForm::Int4 => DType::Q4,
        };
        let fits = n_cols.is_multiple_of(GROUP) && (n_parts == 1 || n_rows.is_multiple_of(PANEL));
        match role {
            Role::Filters => stored,
            Role::Lookup | Role::Tied | Role::Inner if !fits => stored,
            Role::Lookup | Role::Tied => DType::Q8,
            Role::Inner if HEADS.iter().any(|end| tensor.ends_with(end)) => DType::Q8,
            Role::Inner => inner,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensitive_weights_stay_wider() {
        let held = |form: WeightForm, role, name| form.holds(role, name, DType::F32, 64, 64, 3);
        assert_eq!(held(WeightForm::Int4, Role::Inner, "layer.0.fc1.weight"), DType::Q4);
        assert_eq!(held(WeightForm::Int8, Role::Inner, "layer.0.fc1.weight"), DType::Q8);
        assert_eq!(held(WeightForm::Int4, Role::Inner, "classifier.weight"), DType::Q8);
        assert_eq!(held(WeightForm::Int4, Role::Tied, "embed_tokens.weight"), DType::Q8);
        assert_eq!(held(WeightForm::Int4, Role::Lookup, "word_embeddings.weight"), DType::Q8);
        assert_eq!(held(WeightForm::Int4, Role::Filters, "conv1.weight"), DType::F32);
        assert_eq!(held(WeightForm::AsStored, Role::Inner, "layer.0.fc1.weight"), DType::F32);
    }

    #[test]
    fn rows_of_broken_groups_and_parts_of_broken_panels_stay_as_stored() {
        let held = |n_rows, n_cols, parts| WeightForm::Int8.holds(Role::Inner, "w", DType::F16, n_rows, n_cols, parts);
        assert_eq!(held(64, 80, 1), DType::F16);
        assert_eq!(held(12, 64, 3), DType::F16);
        assert_eq!(held(12, 64, 1), DType::Q8);
    }
}
