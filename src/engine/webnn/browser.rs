//! The browser as an [`Api`]: contexts, tensors, and primitives turned into an `MLGraph`.

use super::api::{Api, BufferId, BuiltId, GraphSpec, Later, TensorId, Weight};
use super::bindings::{self, MlContext, MlGraph, MlGraphBuilder, MlOperand, MlTensor, dictionary, numbers};
use super::context::{DeviceType, unavailable};
use super::limits::{Limits, needed};
use crate::engine::lowering::{Element, Operand, OperandType, Primitive, Source};
use crate::engine::{Error, Result};
use half::f16;
use js_sys::{Array, JSON, Object, Promise, Reflect, Uint8Array};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise, spawn_local};

/// A context of this browser and all that was made in it.
#[derive(Debug)]
struct Browser {
    context: MlContext,
    lost: Rc<RefCell<Option<String>>>,
    /// Rejects when the context is lost.
    gone: Promise,
    next_id: Cell<u32>,
    tensors: RefCell<HashMap<TensorId, MlTensor>>,
    buffers: RefCell<HashMap<BufferId, Uint8Array>>,
    graphs: RefCell<HashMap<BuiltId, MlGraph>>,
}

/// Asks for a context, and what it can do.
pub(super) async fn open(device_type: DeviceType) -> Result<(Rc<dyn Api>, Limits)> {
    let refused = |error: JsValue| unavailable(device_type, format!("the browser gave no context ({})", words(&error)));
    let ml = bindings::ml().ok_or_else(|| unavailable(device_type, "this browser has no navigator.ml"))?;
    let options = dictionary(&[("deviceType", &device_type.name().into())]);
    let context = JsFuture::from(ml.create_context(&options).map_err(refused)?).await.map_err(refused)?;
    let context: MlContext = context.unchecked_into();
    let limits = context.op_support_limits().and_then(|limits| JSON::stringify(&limits)).map_err(refused)?;
    let limits = Limits::from_json(&String::from(limits)).map_err(|e| unavailable(device_type, e))?;
    let lost = Rc::new(RefCell::new(None));
    let gone = future_to_promise({
        let (promise, lost) = (context.lost().map_err(refused)?, lost.clone());
        async move {
            let info = JsFuture::from(promise).await.unwrap_or_else(|error| error);
            *lost.borrow_mut() = Some(words(&info));
            Err(info)
        }
    });
    let heard = gone.clone();
    spawn_local(async move {
        // A rejection that nobody waits for would be reported as an error of the page.
        let _ = JsFuture::from(heard).await;
    });
    let browser = Browser {
        context,
        lost,
        gone,
        next_id: Cell::new(0),
        tensors: RefCell::default(),
        buffers: RefCell::default(),
        graphs: RefCell::default(),
    };
    Ok((Rc::new(browser), limits))
}

/// The message of an error or of `MLContextLostInfo`.
fn words(value: &JsValue) -> String {
    let message = Reflect::get(value, &"message".into()).ok().and_then(|message| message.as_string());
    message.filter(|message| !message.is_empty()).unwrap_or_else(|| format!("{value:?}"))
}

/// The error of something that the browser refused.
fn refused(label: &str) -> impl Fn(JsValue) -> Error {
    move |error| Error::BackendUnavailable {
        backend: "webnn",
        reason: format!("the browser refused `{label}`: {}", words(&error)),
    }
}

impl Browser {
    /// What a promise comes to, unless the context is lost before: Chromium 147 then leaves reads open for ever.
    async fn settled(&self, promise: std::result::Result<Promise, JsValue>) -> std::result::Result<JsValue, JsValue> {
        let promise = promise?;
        JsFuture::from(Promise::race(&Array::of2(&promise, &self.gone))).await
    }

    fn fresh_id(&self) -> u32 {
        self.next_id.replace(self.next_id.get() + 1)
    }

    fn tensor(&self, id: TensorId) -> Result<MlTensor> {
        self.tensors.borrow().get(&id).cloned().ok_or_else(|| Error::Internal("a tensor is used after its end".into()))
    }

    fn buffer(&self, id: BufferId) -> Result<Uint8Array> {
        self.buffers.borrow().get(&id).cloned().ok_or_else(|| Error::Internal("a weight is used after its end".into()))
    }

    /// Tensors by their operands' names.
    fn named(&self, tensors: &[(Operand, TensorId)]) -> Result<Object> {
        let object = Object::new();
        for &(operand, id) in tensors {
            // Setting a property of a fresh plain object cannot fail.
            let tensor = self.tensor(id)?;
            let _ = Reflect::set(&object, &name_of(operand).into(), &tensor);
        }
        Ok(object)
    }

    /// A weight as a constant; where it is kept narrow, widened inside the graph, which backends do once.
    fn constant(
        &self,
        builder: &MlGraphBuilder,
        weight: Weight,
        ty: &OperandType,
    ) -> Result<std::result::Result<MlOperand, JsValue>> {
        let bytes = self.buffer(weight.buffer)?;
        let stored = bindings::descriptor(&OperandType::new(weight.stored, ty.shape.clone()));
        let made = builder.constant(&stored, &bytes);
        Ok(if weight.stored == ty.element { made } else { made.and_then(|x| builder.cast(&x, ty.element.name())) })
    }

    async fn build_graph(&self, graph: &GraphSpec<'_>) -> Result<BuiltId> {
        let refused = refused(graph.label);
        let builder = MlGraphBuilder::new(&self.context).map_err(&refused)?;
        let needed = needed(graph.lowering, graph.outputs);
        let mut operands: Vec<Option<MlOperand>> = vec![None; needed.len()];
        for (idx, value) in graph.lowering.values().iter().enumerate().filter(|(idx, _)| needed[*idx]) {
            let operand = Operand(idx);
            let made = match &value.source {
                Source::Input => match graph.weights.iter().find(|(weight, _)| *weight == operand) {
                    Some((_, weight)) => self.constant(&builder, *weight, &value.ty)?,
                    None => builder.input(&name_of(operand), &bindings::descriptor(&value.ty)),
                },
                Source::Constant(bytes) => {
                    builder.constant(&bindings::descriptor(&value.ty), &Uint8Array::from(&bytes[..]))
                }
                Source::Step(primitive, inputs) => {
                    let inputs: Vec<MlOperand> = inputs.iter().filter_map(|i| operands[i.0].clone()).collect();
                    add(&builder, primitive, &inputs, graph.lowering.ty(operand))
                }
            };
            operands[idx] = Some(made.map_err(&refused)?);
        }
        let outputs = Object::new();
        for &output in graph.outputs {
            if let Some(operand) = &operands[output.0] {
                // Setting a property of a fresh plain object cannot fail.
                let _ = Reflect::set(&outputs, &name_of(output).into(), operand);
            }
        }
        let built = self.settled(builder.build(&outputs)).await.map_err(&refused)?;
        let id = BuiltId(self.fresh_id());
        self.graphs.borrow_mut().insert(id, built.unchecked_into());
        Ok(id)
    }
}

/// f16 as f32, a block at a time: the whole stays out of the program's own memory.
fn widened(narrow: &Uint8Array) -> Uint8Array {
    const BLOCK: u32 = 1 << 20;
    let wide = Uint8Array::new_with_length(2 * narrow.length());
    for start in (0..narrow.length()).step_by(BLOCK as usize) {
        let block = narrow.subarray(start, narrow.length().min(start + BLOCK)).to_vec();
        let halves = block.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]));
        let block: Vec<u8> = halves.flat_map(|half| half.to_f32().to_le_bytes()).collect();
        wide.subarray(2 * start, 2 * start + block.len() as u32).copy_from(&block);
    }
    wide
}

fn name_of(operand: Operand) -> String {
    format!("v{}", operand.0)
}

/// Adds a primitive to a graph in the making. `inputs` are as many as its rules demand.
fn add(
    builder: &MlGraphBuilder,
    primitive: &Primitive,
    inputs: &[MlOperand],
    ty: &OperandType,
) -> std::result::Result<MlOperand, JsValue> {
    let axis = |axis: usize| numbers(&[axis]);
    match (primitive, inputs) {
        (Primitive::Binary(_) | Primitive::Compare(_) | Primitive::Matmul, [a, b]) => {
            bindings::binary(builder, primitive.name(), a, b)
        }
        (Primitive::Unary(_), [x]) => bindings::unary(builder, primitive.name(), x, &Object::new()),
        (Primitive::Reduce(_, along), [x]) => {
            let options = dictionary(&[("axes", &axis(*along)), ("keepDimensions", &true.into())]);
            bindings::unary(builder, primitive.name(), x, &options)
        }
        (Primitive::Cast(element), [x]) => builder.cast(x, element.name()),
        (Primitive::Where, [condition, a, b]) => builder.choose(condition, a, b),
        (Primitive::Gemm, [x, w]) => builder.gemm(x, w, &dictionary(&[("bTranspose", &true.into())])),
        (Primitive::Gemm, [x, w, c]) => builder.gemm(x, w, &dictionary(&[("bTranspose", &true.into()), ("c", c)])),
        (Primitive::LayerNorm { eps }, [x, scale, bias]) => {
            let options = dictionary(&[
                ("axes", &axis(ty.shape.len() - 1)),
                ("scale", scale),
                ("bias", bias),
                ("epsilon", &JsValue::from_f64(f64::from(*eps))),
            ]);
            builder.layer_normalization(x, &options)
        }
        (Primitive::Softmax(along), [x]) => builder.softmax(x, *along as u32),
        (Primitive::Reshape(shape), [x]) => builder.reshape(x, &numbers(shape)),
        (Primitive::Transpose(permutation), [x]) => {
            builder.transpose(x, &dictionary(&[("permutation", &numbers(permutation))]))
        }
        (Primitive::Slice { starts, sizes }, [x]) => builder.slice(x, &numbers(starts), &numbers(sizes)),
        (Primitive::Concat(along), parts) => builder.concat(&parts.iter().collect(), *along as u32),
        (Primitive::Gather, [x, rows]) => builder.gather(x, rows, &dictionary(&[("axis", &0.into())])),
        (Primitive::ScatterRows, [x, rows, updates]) => builder.scatter_nd(x, rows, updates),
        _ => Err(JsValue::from_str("it has not the operands that its rules demand")),
    }
}

impl Api for Browser {
    fn create_tensor<'a>(&'a self, ty: &OperandType) -> Later<'a, TensorId> {
        let descriptor = bindings::descriptor(ty);
        for right in ["readable", "writable"] {
            // Setting a property of a fresh plain object cannot fail.
            let _ = Reflect::set(&descriptor, &right.into(), &true.into());
        }
        let label = format!("a tensor of {} bytes", ty.n_bytes());
        Box::pin(async move {
            let tensor = self.settled(self.context.create_tensor(&descriptor)).await.map_err(refused(&label))?;
            let id = TensorId(self.fresh_id());
            self.tensors.borrow_mut().insert(id, tensor.unchecked_into());
            Ok(id)
        })
    }

    fn write_tensor(&self, tensor: TensorId, bytes: &[u8]) -> Result<()> {
        self.context.write_tensor(&self.tensor(tensor)?, &Uint8Array::from(bytes)).map_err(refused("a write"))
    }

    fn write_weight(&self, tensor: TensorId, weight: Weight) -> Result<()> {
        let bytes = self.buffer(weight.buffer)?;
        let bytes = if weight.stored == Element::F16 { widened(&bytes) } else { bytes };
        self.context.write_tensor(&self.tensor(tensor)?, &bytes).map_err(refused("a weight"))
    }

    fn read_tensor(&self, tensor: TensorId) -> Later<'_, Vec<u8>> {
        Box::pin(async move {
            let tensor = self.tensor(tensor)?;
            let bytes = self.settled(self.context.read_tensor(&tensor)).await.map_err(refused("a read"))?;
            Ok(Uint8Array::new(&bytes).to_vec())
        })
    }

    fn destroy_tensor(&self, tensor: TensorId) {
        if let Some(tensor) = self.tensors.borrow_mut().remove(&tensor) {
            // Where the context is gone, so is the tensor.
            let _ = tensor.destroy_tensor();
        }
    }

    fn create_buffer(&self, n_bytes: usize) -> Result<BufferId> {
        let n_bytes = u32::try_from(n_bytes).map_err(|_| Error::OutOfMemory {
            label: "a weight".into(),
            needed_bytes: n_bytes as u64,
            limit_bytes: u64::from(u32::MAX),
        })?;
        let id = BufferId(self.fresh_id());
        self.buffers.borrow_mut().insert(id, Uint8Array::new_with_length(n_bytes));
        Ok(id)
    }

    fn write_buffer(&self, buffer: BufferId, offset: usize, bytes: &[u8]) -> Result<()> {
        let (start, end) = (offset as u32, (offset + bytes.len()) as u32);
        self.buffer(buffer)?.subarray(start, end).copy_from(bytes);
        Ok(())
    }

    fn destroy_buffer(&self, buffer: BufferId) {
        self.buffers.borrow_mut().remove(&buffer);
    }

    fn build<'a>(&'a self, graph: &'a GraphSpec<'a>) -> Later<'a, BuiltId> {
        Box::pin(self.build_graph(graph))
    }

    fn dispatch(&self, graph: BuiltId, inputs: &[(Operand, TensorId)], outputs: &[(Operand, TensorId)]) -> Result<()> {
        let graph = self.graphs.borrow().get(&graph).cloned();
        let graph = graph.ok_or_else(|| Error::Internal("a graph is used after its end".into()))?;
        let (inputs, outputs) = (self.named(inputs)?, self.named(outputs)?);
        self.context.dispatch(&graph, &inputs, &outputs).map_err(refused("a dispatch"))
    }

    fn destroy_graph(&self, graph: BuiltId) {
        if let Some(graph) = self.graphs.borrow_mut().remove(&graph) {
            // Browsers without this method free it when it is collected.
            let _ = graph.destroy_graph();
        }
    }

    fn lost(&self) -> Option<String> {
        self.lost.borrow().clone()
    }

    fn destroy(&self) {
        // Destroying twice is no error.
        let _ = self.context.destroy();
        self.tensors.borrow_mut().clear();
        self.graphs.borrow_mut().clear();
    }
}
