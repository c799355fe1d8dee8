//! Hidden states of texts: a row of numbers for each token, as an encoder of the BERT family has them behind its last layer.

use serde::{Deserialize, Serialize};

/// The last hidden state of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HiddenState {
    /// `[tokens, hidden_size]`, row after row.
    #[serde(with = "as_bytes")]
    pub values: Vec<f32>,
    /// Elements of a row.
    pub hidden_size: u32,
    /// The tokens, those that the model adds among them.
    pub ids: Vec<u32>,
    /// The same as the vocabulary writes them.
    pub tokens: Vec<String>,
}

/// Numbers cross the boundary as one block of bytes: a text of 512 tokens has several hundred thousand of them.
mod as_bytes {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytemuck::cast_slice(values))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
        deserializer.deserialize_byte_buf(Bytes)
    }

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<f32>;

        fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
            formatter.write_str("the bytes of numbers of four bytes each")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            match bytes.len() % size_of::<f32>() {
                0 => Ok(bytemuck::pod_collect_to_vec(bytes)),
                _ => Err(E::invalid_length(bytes.len(), &self)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::as_bytes::deserialize;
    use serde::de::value::{BytesDeserializer, Error};

    #[test]
    fn numbers_come_back_from_their_bytes_and_from_nothing_else() {
        let numbers = [1.5f32, -0.0, f32::MAX];
        let bytes: &[u8] = bytemuck::cast_slice(&numbers);
        let read = |bytes| deserialize(BytesDeserializer::<Error>::new(bytes));
        assert_eq!(read(bytes).expect("numbers"), numbers);
        assert!(read(&bytes[..5]).is_err());
    }
}
