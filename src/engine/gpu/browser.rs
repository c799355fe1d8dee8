//! The one place that reaches past wgpu, whose web backend (30.0) never asks for the `subgroups` feature and makes pipelines one after
//! the other: the browser's own objects, by name.

use super::pipeline::PipelineKey;
use crate::engine::edge::Instant;
use js_sys::{Array, Function, Object, Promise, Proxy, Reflect};
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

const SUBGROUPS: &str = "subgroups";
/// `GPUShaderStage.COMPUTE` as the specification numbers it.
const COMPUTE: u32 = 4;

/// While it lives, devices are asked for with subgroups wherever the adapter has them.
pub(super) struct SubgroupRequest {
    prototype: JsValue,
    original: JsValue,
    /// Called in place of the original as `(target, this, arguments)`.
    _apply: Closure<dyn FnMut(Function, JsValue, Array) -> Result<JsValue, JsValue>>,
}

impl SubgroupRequest {
    /// `None` where there is no WebGPU.
    pub fn begin() -> Option<Self> {
        let constructor = get(&js_sys::global(), "GPUAdapter").ok()?;
        let prototype = get(&constructor, "prototype").ok()?;
        let original = get(&prototype, "requestDevice").ok()?;
        let apply = Closure::new(|target: Function, this: JsValue, arguments: Array| {
            let descriptor = arguments.get(0);
            let has = get(&this, "features").and_then(|features| call(&features, "has", &[SUBGROUPS.into()]));
            if descriptor.is_object() && has.is_ok_and(|has| has.is_truthy()) {
                let features = Reflect::get(&descriptor, &"requiredFeatures".into()).unwrap_or_default();
                let features = if features.is_object() { Array::from(&features) } else { Array::new() };
                features.push(&SUBGROUPS.into());
                Reflect::set(&descriptor, &"requiredFeatures".into(), &features)?;
            }
            target.apply(&this, &arguments)
        });
        let handler = object(&[("apply", apply.as_ref().clone())]).ok()?;
        let wrapped = Proxy::new(&original, handler.unchecked_ref());
        Reflect::set(&prototype, &"requestDevice".into(), &wrapped).ok()?;
        Some(Self { prototype, original, _apply: apply })
    }
}

impl Drop for SubgroupRequest {
    fn drop(&mut self) {
        // A property that could be set a moment ago can be set again.
        let _ = Reflect::set(&self.prototype, &"requestDevice".into(), &self.original);
    }
}

/// Whether a device was given subgroups, and how many threads one has at least.
pub(super) fn subgroups_of(device: &wgpu::Device) -> Option<u32> {
    let device = device.as_webgpu()?;
    let has = get(device, "features").and_then(|features| call(&features, "has", &[SUBGROUPS.into()])).ok()?;
    let least = get(device, "adapterInfo").and_then(|info| get(&info, "subgroupMinSize")).ok();
    // The specification allows none smaller than four.
    has.is_truthy().then(|| least.and_then(|least| least.as_f64()).map_or(4, |least| least as u32))
}

/// A pipeline that the browser makes meanwhile.
#[derive(Debug)]
pub(super) struct Coming {
    promise: Promise,
    begun: Instant,
    /// When it was there.
    done: Rc<Cell<Option<Instant>>>,
    _on_done: Closure<dyn FnMut(JsValue)>,
}

impl Coming {
    /// Begins to make a pipeline. wgpu makes the same afterwards, which costs nothing where the browser knows pipelines again.
    pub fn begin(device: &wgpu::Device, key: &PipelineKey) -> Option<Self> {
        let begun = Instant::now();
        let promise = begin_pipeline(device.as_webgpu()?, key).ok()?;
        let done: Rc<Cell<Option<Instant>>> = Rc::default();
        let noted = done.clone();
        let on_done = Closure::new(move |_| noted.set(Some(Instant::now())));
        let _ = promise.then2(&on_done, &on_done);
        Some(Self { promise, begun, done, _on_done: on_done })
    }

    /// Waits for it. It has to be kept until wgpu has made the same. What was wrong with it wgpu's own attempt tells.
    pub async fn wait(&self) -> Option<JsValue> {
        JsFuture::from(self.promise.clone()).await.ok()
    }

    /// When it was there.
    pub fn done(&self) -> Option<Instant> {
        self.done.get()
    }

    /// Milliseconds from its beginning until it was there.
    pub fn ms(&self) -> Option<f64> {
        Some(self.done()?.duration_since(self.begun).as_secs_f64() * 1e3)
    }
}

fn begin_pipeline(device: &JsValue, key: &PipelineKey) -> Result<Promise, String> {
    let mut entries = Vec::new();
    for (binding, ty) in key.binding_types().enumerate() {
        let buffer = object(&[("type", ty.into())])?;
        let binding = (binding as u32).into();
        entries.push(object(&[("binding", binding), ("visibility", COMPUTE.into()), ("buffer", buffer)])?);
    }
    let entries = Array::from_iter(entries);
    let layout = call(device, "createBindGroupLayout", &[object(&[("entries", entries.into())])?])?;
    let layouts = object(&[("bindGroupLayouts", Array::of1(&layout).into())])?;
    let layout = call(device, "createPipelineLayout", &[layouts])?;
    let module = call(device, "createShaderModule", &[object(&[("code", key.text.as_str().into())])?])?;
    let constants: Vec<_> = key.constants().map(|(name, value)| (name, value.into())).collect();
    let compute = object(&[("module", module), ("entryPoint", "main".into()), ("constants", object(&constants)?)])?;
    let described = object(&[("layout", layout), ("compute", compute)])?;
    let promise = call(device, "createComputePipelineAsync", &[described])?;
    promise.dyn_into().map_err(|_| "the browser did not answer with a promise".into())
}

fn get(object: &JsValue, name: &str) -> Result<JsValue, String> {
    let value = Reflect::get(object, &name.into()).unwrap_or_default();
    if value.is_falsy() { Err(format!("this browser has no {name}")) } else { Ok(value) }
}

fn call(object: &JsValue, name: &str, arguments: &[JsValue]) -> Result<JsValue, String> {
    let method: Function = get(object, name)?.dyn_into().map_err(|_| format!("{name} is no function"))?;
    method.apply(object, &arguments.iter().collect()).map_err(words)
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
