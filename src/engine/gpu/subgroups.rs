//! The one place that reaches past wgpu: its web backend (30.0) never asks for the `subgroups` feature, so a subgroup
//! operation is tried on a device of its own, through the browser's objects by name. The device is given back at once.

use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array, Uint32Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

const WGSL: &str = "enable subgroups;
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32, @builtin(subgroup_size) size: u32) {
    y[2u * i] = subgroupAdd(i);
    y[2u * i + 1u] = size;
}";

/// Bytes that the shader writes: 64 pairs of u32.
const BYTES: u32 = 512;
/// `GPUBufferUsage` and `GPUMapMode` as the specification numbers them.
const MAP_READ: u32 = 1;
const COPY_SRC: u32 = 4;
const COPY_DST: u32 = 8;
const STORAGE: u32 = 128;

/// Lane i puts i in; gives 64 pairs of (sum over its subgroup, size of the subgroup), or why that was not possible.
pub(super) async fn run() -> Result<Vec<u32>, String> {
    let navigator = get(&js_sys::global(), "navigator")?;
    let adapter = wait(call(&get(&navigator, "gpu")?, "requestAdapter", &[])?).await?;
    if !call(&get(&adapter, "features")?, "has", &["subgroups".into()])?.is_truthy() {
        return Err("the adapter has no subgroups".into());
    }
    let wanted = object(&[("requiredFeatures", Array::of1(&"subgroups".into()).into())])?;
    let device = wait(call(&adapter, "requestDevice", &[wanted])?).await?;
    let result = dispatch(&device).await;
    call(&device, "destroy", &[])?;
    result
}

async fn dispatch(device: &JsValue) -> Result<Vec<u32>, String> {
    let buffer =
        |usage: u32| call(device, "createBuffer", &[object(&[("size", BYTES.into()), ("usage", usage.into())])?]);
    let (y, staging) = (buffer(STORAGE | COPY_SRC)?, buffer(MAP_READ | COPY_DST)?);
    let module = call(device, "createShaderModule", &[object(&[("code", WGSL.into())])?])?;
    let compute = object(&[("module", module), ("entryPoint", "main".into())])?;
    let described = object(&[("layout", "auto".into()), ("compute", compute)])?;
    let pipeline = wait(call(device, "createComputePipelineAsync", &[described])?).await?;
    let layout = call(&pipeline, "getBindGroupLayout", &[0.into()])?;
    let entry = object(&[("binding", 0.into()), ("resource", object(&[("buffer", y.clone())])?)])?;
    let described = object(&[("layout", layout), ("entries", Array::of1(&entry).into())])?;
    let bind_group = call(device, "createBindGroup", &[described])?;
    let encoder = call(device, "createCommandEncoder", &[])?;
    let pass = call(&encoder, "beginComputePass", &[])?;
    call(&pass, "setPipeline", &[pipeline])?;
    call(&pass, "setBindGroup", &[0.into(), bind_group])?;
    call(&pass, "dispatchWorkgroups", &[1.into()])?;
    call(&pass, "end", &[])?;
    call(&encoder, "copyBufferToBuffer", &[y, 0.into(), staging.clone(), 0.into(), BYTES.into()])?;
    let commands = call(&encoder, "finish", &[])?;
    call(&get(device, "queue")?, "submit", &[Array::of1(&commands).into()])?;
    wait(call(&staging, "mapAsync", &[MAP_READ.into()])?).await?;
    let bytes = Uint8Array::new(&call(&staging, "getMappedRange", &[])?).slice(0, BYTES);
    Ok(Uint32Array::new(&bytes.buffer()).to_vec())
}

fn get(object: &JsValue, name: &str) -> Result<JsValue, String> {
    let value = Reflect::get(object, &name.into()).unwrap_or_default();
    if value.is_falsy() { Err(format!("this browser has no {name}")) } else { Ok(value) }
}

fn call(object: &JsValue, name: &str, arguments: &[JsValue]) -> Result<JsValue, String> {
    let method: Function = get(object, name)?.dyn_into().map_err(|_| format!("{name} is no function"))?;
    method.apply(object, &arguments.iter().collect()).map_err(words)
}

async fn wait(promise: JsValue) -> Result<JsValue, String> {
    let promise: Promise = promise.dyn_into().map_err(|_| "the browser did not answer with a promise".to_string())?;
    let value = JsFuture::from(promise).await.map_err(words)?;
    if value.is_null() { Err("there is no adapter".into()) } else { Ok(value) }
}

fn object(entries: &[(&str, JsValue)]) -> Result<JsValue, String> {
    let object = Object::new();
    for (name, value) in entries {
        Reflect::set(&object, &(*name).into(), value).map_err(words)?;
    }
    Ok(object.into())
}

fn words(error: JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}
