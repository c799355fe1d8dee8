//! The tensors of an ONNX file (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), as far as a checkpoint is to be made of them:
//! of the messages only the fields that matter here are declared, the others are passed over.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use prost::Message;

#[derive(Message)]
struct ModelProto {
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
}

#[derive(Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
}

#[derive(Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "4")]
    op_type: String,
}

#[derive(Message)]
struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

/// `TensorProto.DataType.FLOAT`
const FLOAT: i32 = 1;

/// A tensor of f32.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its shape, slowest dimension first.
    pub shape: Vec<usize>,
    /// Its elements.
    pub values: Vec<f32>,
}

impl Tensor {
    /// A matrix with rows and columns exchanged.
    pub fn transposed(&self) -> Result<Self> {
        let [rows, cols] = self.shape[..] else { bail!("a tensor of shape {:?} is no matrix", self.shape) };
        let values = (0..rows * cols).map(|i| self.values[i % rows * cols + i / rows]).collect();
        Ok(Self { shape: vec![cols, rows], values })
    }
}

/// The float tensors of an ONNX file by name. PyTorch's exporter keeps the names of parameters except those of linear maps' matrices,
/// which it transposes; these get the name of the bias that is added next, with `.weight` in place of `.bias`, and are turned back.
pub fn read(bytes: &[u8]) -> Result<HashMap<String, Tensor>> {
    let graph = ModelProto::decode(bytes).context("this is no ONNX file")?.graph.context("it holds no graph")?;
    let mut tensors = HashMap::new();
    for tensor in graph.initializer.into_iter().filter(|tensor| tensor.data_type == FLOAT) {
        let shape = tensor.dims.iter().map(|&n| usize::try_from(n)).collect::<Result<Vec<_>, _>>()?;
        let n_bytes = 4 * shape.iter().product::<usize>();
        let len = tensor.raw_data.len();
        ensure!(len == n_bytes, "{} has {len} bytes, its shape {shape:?} wants {n_bytes}", tensor.name);
        let values = tensor.raw_data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        tensors.insert(tensor.name, Tensor { shape, values });
    }
    for product in graph.node.iter().filter(|node| node.op_type == "MatMul") {
        let (Some(matrix), Some(output)) = (product.input.get(1), product.output.first()) else { continue };
        let adds = |node: &&NodeProto| node.op_type == "Add" && node.input.contains(output);
        let Some(sum) = graph.node.iter().find(adds) else { continue };
        let Some(bias) = sum.input.iter().find(|name| name.ends_with(".bias")) else { continue };
        if let Some(matrix) = tensors.get(matrix) {
            let weight = matrix.transposed()?;
            tensors.insert(bias.replace(".bias", ".weight"), weight);
        }
    }
    Ok(tensors)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An ONNX file of these tensors, and of linear maps given as the names of matrix and bias.
    pub fn write(tensors: &[(&str, &[i64], &[f32])], linears: &[(&str, &str)]) -> Vec<u8> {
        let initializer = tensors.iter().map(|(name, dims, values)| TensorProto {
            dims: dims.to_vec(),
            data_type: FLOAT,
            name: name.to_string(),
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        });
        let node = |op: &str, inputs: [&str; 2], output: String| NodeProto {
            input: inputs.map(String::from).to_vec(),
            output: vec![output],
            op_type: op.into(),
        };
        let nodes = linears.iter().enumerate().flat_map(|(idx, (matrix, bias))| {
            let product = format!("product {idx}");
            [node("MatMul", ["x", matrix], product.clone()), node("Add", [bias, &product], format!("sum {idx}"))]
        });
        let graph = GraphProto { node: nodes.collect(), initializer: initializer.collect() };
        ModelProto { graph: Some(graph) }.encode_to_vec()
    }

    #[test]
    fn a_matrix_without_a_name_gets_that_of_its_bias_and_its_own_direction() {
        let matrix = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let tensors = [("onnx::MatMul_7", &[2, 3][..], &matrix[..]), ("layer.q.bias", &[3], &[7.0, 8.0, 9.0])];
        let read = read(&write(&tensors, &[("onnx::MatMul_7", "layer.q.bias")])).unwrap();
        let expected = Tensor { shape: vec![3, 2], values: vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0] };
        assert_eq!(read["layer.q.weight"], expected);
        assert_eq!(read["layer.q.bias"].values, [7.0, 8.0, 9.0]);
    }

    #[test]
    fn a_tensor_with_too_few_bytes_and_another_file_are_refused() {
        let bytes = write(&[("a", &[4], &[1.0, 2.0])], &[]);
        assert!(read(&bytes).unwrap_err().to_string().contains("a has 8 bytes"));
        assert!(read(b"<!doctype html>").is_err());
    }
}
