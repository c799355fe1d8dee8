//! The browser's WebNN objects, bound by hand: web-sys has none of them yet.
//!
//! One declaration for each method that is used, after the interface definitions of the specification
//! (www.w3.org/TR/webnn). What they mean is `browser`'s business.

use crate::engine::lowering::OperandType;
use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// `navigator.ml`
    #[derive(Debug, Clone)]
    #[wasm_bindgen(extends = Object, js_name = ML)]
    pub(super) type Ml;
    #[wasm_bindgen(method, catch, js_name = createContext)]
    pub(super) fn create_context(this: &Ml, options: &Object) -> Result<Promise, JsValue>;

    #[derive(Debug, Clone)]
    #[wasm_bindgen(extends = Object, js_name = MLContext)]
    pub(super) type MlContext;
    #[wasm_bindgen(method, catch, js_name = opSupportLimits)]
    pub(super) fn op_support_limits(this: &MlContext) -> Result<JsValue, JsValue>;
    /// Resolves with `MLContextLostInfo` when the context is gone.
    #[wasm_bindgen(method, getter, catch)]
    pub(super) fn lost(this: &MlContext) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn destroy(this: &MlContext) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = createTensor)]
    pub(super) fn create_tensor(this: &MlContext, descriptor: &Object) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = writeTensor)]
    pub(super) fn write_tensor(this: &MlContext, tensor: &MlTensor, bytes: &Uint8Array) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = readTensor)]
    pub(super) fn read_tensor(this: &MlContext, tensor: &MlTensor) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn dispatch(this: &MlContext, graph: &MlGraph, inputs: &Object, outputs: &Object)
    -> Result<(), JsValue>;

    #[derive(Debug, Clone)]
    #[wasm_bindgen(extends = Object, js_name = MLTensor)]
    pub(super) type MlTensor;
    #[wasm_bindgen(method, catch, js_name = destroy)]
    pub(super) fn destroy_tensor(this: &MlTensor) -> Result<(), JsValue>;

    #[derive(Debug, Clone)]
    #[wasm_bindgen(extends = Object, js_name = MLGraph)]
    pub(super) type MlGraph;
    /// Newer than some browsers' API.
    #[wasm_bindgen(method, catch, js_name = destroy)]
    pub(super) fn destroy_graph(this: &MlGraph) -> Result<(), JsValue>;

    #[derive(Debug, Clone)]
    #[wasm_bindgen(extends = Object, js_name = MLOperand)]
    pub(super) type MlOperand;

    #[derive(Debug, Clone)]
    #[wasm_bindgen(extends = Object, js_name = MLGraphBuilder)]
    pub(super) type MlGraphBuilder;
    #[wasm_bindgen(constructor, catch, js_class = "MLGraphBuilder")]
    pub(super) fn new(context: &MlContext) -> Result<MlGraphBuilder, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn input(this: &MlGraphBuilder, name: &str, descriptor: &Object) -> Result<MlOperand, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn constant(
        this: &MlGraphBuilder,
        descriptor: &Object,
        bytes: &Uint8Array,
    ) -> Result<MlOperand, JsValue>;
    /// `outputs` holds operands by name.
    #[wasm_bindgen(method, catch)]
    pub(super) fn build(this: &MlGraphBuilder, outputs: &Object) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    pub(super) fn cast(this: &MlGraphBuilder, x: &MlOperand, element: &str) -> Result<MlOperand, JsValue>;
    #[wasm_bindgen(method, catch, js_name = where)]
    pub(super) fn choose(
        this: &MlGraphBuilder,
        condition: &MlOperand,
        a: &MlOperand,
        b: &MlOperand,
    ) -> Result<MlOperand, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn gemm(
        this: &MlGraphBuilder,
        a: &MlOperand,
        b: &MlOperand,
        options: &Object,
    ) -> Result<MlOperand, JsValue>;
    #[wasm_bindgen(method, catch, js_name = layerNormalization)]
    pub(super) fn layer_normalization(
        this: &MlGraphBuilder,
        x: &MlOperand,
        options: &Object,
    ) -> Result<MlOperand, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn softmax(this: &MlGraphBuilder, x: &MlOperand, axis: u32) -> Result<MlOperand, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn reshape(this: &MlGraphBuilder, x: &MlOperand, shape: &Array) -> Result<MlOperand, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn transpose(this: &MlGraphBuilder, x: &MlOperand, options: &Object) -> Result<MlOperand, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn slice(
        this: &MlGraphBuilder,
        x: &MlOperand,
        starts: &Array,
        sizes: &Array,
    ) -> Result<MlOperand, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn concat(this: &MlGraphBuilder, parts: &Array, axis: u32) -> Result<MlOperand, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn gather(
        this: &MlGraphBuilder,
        x: &MlOperand,
        indices: &MlOperand,
        options: &Object,
    ) -> Result<MlOperand, JsValue>;
    #[wasm_bindgen(method, catch, js_name = scatterND)]
    pub(super) fn scatter_nd(
        this: &MlGraphBuilder,
        x: &MlOperand,
        indices: &MlOperand,
        updates: &MlOperand,
    ) -> Result<MlOperand, JsValue>;
}

/// Methods of the builder that take one operand and perhaps options.
pub(super) fn unary(
    builder: &MlGraphBuilder,
    name: &str,
    x: &MlOperand,
    options: &Object,
) -> Result<MlOperand, JsValue> {
    call(builder, name, &Array::of2(x, options))
}

/// Methods of the builder that take two operands.
pub(super) fn binary(builder: &MlGraphBuilder, name: &str, a: &MlOperand, b: &MlOperand) -> Result<MlOperand, JsValue> {
    call(builder, name, &Array::of2(a, b))
}

fn call(builder: &MlGraphBuilder, name: &str, arguments: &Array) -> Result<MlOperand, JsValue> {
    let method: js_sys::Function = Reflect::get(builder, &name.into())?.dyn_into()?;
    method.apply(builder, arguments).map(JsCast::unchecked_into)
}

/// `navigator.ml` of this page or worker, where the browser has it.
pub(super) fn ml() -> Option<Ml> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).ok()?;
    let ml = Reflect::get(&navigator, &"ml".into()).ok()?;
    ml.is_truthy().then(|| ml.unchecked_into())
}

/// A dictionary.
pub(super) fn dictionary(entries: &[(&str, &JsValue)]) -> Object {
    let object = Object::new();
    for (key, value) in entries {
        // Setting a property of a fresh plain object cannot fail.
        let _ = Reflect::set(&object, &(*key).into(), value);
    }
    object
}

/// `MLOperandDescriptor`
pub(super) fn descriptor(ty: &OperandType) -> Object {
    dictionary(&[("dataType", &ty.element.name().into()), ("shape", &numbers(&ty.shape))])
}

/// A sequence of numbers.
pub(super) fn numbers(values: &[usize]) -> Array {
    values.iter().map(|&value| JsValue::from_f64(value as f64)).collect()
}
