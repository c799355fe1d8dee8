//! The kernels as a wasm module of their own: its memory, its threads, and the calls.
//!
//! The memory holds, from address 0 on: the module's data and the first thread's stack, the program (`layout`), then each thread's
//! scratch, then the other threads' stacks. It never grows, so views of it stay valid.

use super::variant::Variant;
use crate::engine::wasm_features::{n_processors, words};
use crate::engine::{Error, Result, edge};
use js_sys::{Array, Int32Array, Object, Reflect, Uint8Array, WebAssembly};
use rill_kernels::memory::ALIGN;
use rill_kernels::{Operand, SCRATCH_BYTES, Step};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// Bytes of a page of wasm memory.
const PAGE: usize = 1 << 16;
/// Bytes of a thread's stack: the kernels keep their arrays in the scratch.
const STACK_BYTES: usize = 1 << 16;
/// More threads than this were not measured to pay; a decoder's steps are short.
const MOST_THREADS: usize = 8;
/// A thread that has not come back after so many milliseconds never will.
const PATIENCE_MS: f64 = 30_000.0;
/// Pauses between requests for memory that was refused: the memory of models that are gone is the browser's again only when their threads have
/// ended, for which nobody can wait, and of addresses there are only so many.
const MEMORY_PAUSES_MS: [u32; 3] = [50, 200, 500];

/// The processor, and the build of the kernels that fits it.
#[derive(Debug, Clone)]
pub struct Cpu {
    /// Threads that compute.
    pub n_threads: usize,
    /// Which build.
    pub variant: Variant,
    module: WebAssembly::Module,
}

impl Cpu {
    /// Fetches the fastest build that works here from the app's `kernels/` folder; a thread on each core.
    pub async fn open(app_url: &str) -> Result<Rc<Self>> {
        let variant = Variant::best().await.ok_or_else(|| unavailable("this browser has no WebAssembly SIMD"))?;
        let url = format!("{app_url}kernels/{}.wasm?{}", variant.name(), crate::BUILD);
        let fetched = async {
            let response = gloo_net::http::Request::get(&url).send().await.map_err(|e| e.to_string())?;
            if !response.ok() {
                return Err(format!("the server answers {}", response.status()));
            }
            response.binary().await.map_err(|e| e.to_string())
        };
        let bytes = fetched.await.map_err(|reason| Error::Fetch { url: url.clone(), reason })?;
        Self::from_bytes(&bytes, variant).await
    }

    /// The same from a module that is here already.
    pub async fn from_bytes(bytes: &[u8], variant: Variant) -> Result<Rc<Self>> {
        let compiled = JsFuture::from(WebAssembly::compile(&Uint8Array::from(bytes).into())).await;
        let module = compiled.map_err(|e| unavailable(&words(&e)))?.unchecked_into();
        let n_threads = if variant.threads { (n_processors() as usize).clamp(1, MOST_THREADS) } else { 1 };
        Ok(Rc::new(Self { n_threads, variant, module }))
    }

    /// The same with so many threads, where there can be several.
    pub fn with_threads(&self, n_threads: usize) -> Rc<Self> {
        let most = if self.variant.threads { 4 * MOST_THREADS } else { 1 };
        Rc::new(Self { n_threads: n_threads.clamp(1, most), ..self.clone() })
    }

    /// For people.
    pub fn name(&self) -> String {
        let simd = if self.variant.relaxed { "relaxed SIMD" } else { "SIMD" };
        format!("this processor ({}, {simd})", super::count_of_threads(self.n_threads))
    }
}

fn unavailable(reason: &str) -> Error {
    Error::BackendUnavailable { backend: "wasm", reason: reason.into() }
}

#[wasm_bindgen]
extern "C" {
    /// What the kernels' module exports; see `kernels/src/module.rs`.
    #[derive(Debug)]
    type Exports;
    #[wasm_bindgen(method, catch)]
    fn run(this: &Exports, steps: u32, n_steps: u32, n_threads: u32, scratch: u32) -> std::result::Result<(), JsValue>;
    #[wasm_bindgen(method, getter, js_name = "__heap_base")]
    fn heap_base(this: &Exports) -> JsValue;
}

/// A memory of so many pages that never grows.
fn new_memory(n_pages: usize, shared: bool) -> std::result::Result<WebAssembly::Memory, JsValue> {
    let descriptor = Object::new();
    for key in ["initial", "maximum"] {
        Reflect::set(&descriptor, &key.into(), &(n_pages as f64).into())?;
    }
    Reflect::set(&descriptor, &"shared".into(), &shared.into())?;
    WebAssembly::Memory::new(&descriptor)
}

/// A program's memory with the threads that work on it.
#[derive(Debug)]
pub struct Heap {
    exports: Exports,
    bytes: Uint8Array,
    n_threads: usize,
    /// Where the threads' scratch begins.
    scratch: usize,
    /// Threads other than the engine's own; ended when the heap is dropped.
    threads: Vec<web_sys::Worker>,
    /// What the module calls while it waits.
    _team: [JsValue; 2],
}

impl Drop for Heap {
    fn drop(&mut self) {
        self.threads.iter().for_each(web_sys::Worker::terminate);
    }
}

impl Heap {
    /// Offset of the first operand: behind the module's own data and stack, which are far smaller.
    pub const BASE: usize = 2 * PAGE;

    /// Memory for operands that end at `end`, and threads.
    pub async fn new(cpu: &Cpu, end: usize) -> Result<Self> {
        let shared = cpu.variant.threads;
        let scratch = end.next_multiple_of(ALIGN);
        let n_bytes = Self::size(cpu, end);
        let mut pauses_ms = MEMORY_PAUSES_MS.into_iter();
        let memory = loop {
            if let Ok(memory) = new_memory((n_bytes / PAGE as u64) as usize, shared) {
                break memory;
            }
            let pause_ms = pauses_ms.next().ok_or_else(|| Error::Exhausted {
                what: "the processor".into(),
                reason: format!("the browser refused {n_bytes} bytes for the model"),
            })?;
            edge::sleep(pause_ms).await;
        };
        let bytes = Uint8Array::new(&memory.buffer());
        let team = team(&Int32Array::new(&memory.buffer()));
        let instance = instantiate(&cpu.module, &memory, &team).map_err(|e| unavailable(&words(&e)))?;
        let exports: Exports = instance.exports().unchecked_into();
        let heap_base = Reflect::get(&exports.heap_base(), &"value".into()).ok().and_then(|base| base.as_f64());
        if heap_base.is_none_or(|base| base as usize > Self::BASE) {
            return Err(Error::Internal(format!("the kernels' own data ends at {heap_base:?}, behind {}", Self::BASE)));
        }
        let mut heap = Self { exports, bytes, n_threads: cpu.n_threads, scratch, threads: Vec::new(), _team: team };
        for idx in 1..cpu.n_threads {
            // A stack grows down from its end.
            let stack = scratch + cpu.n_threads * SCRATCH_BYTES + idx * STACK_BYTES;
            heap.threads.push(start_thread(&cpu.module, &memory, stack, scratch + idx * SCRATCH_BYTES).await?);
        }
        Ok(heap)
    }

    /// How large the memory for operands that end at `end` is: whole pages with every thread's scratch and stack.
    pub fn size(cpu: &Cpu, end: usize) -> u64 {
        // In 64 bits: it may be more than can be addressed, which is found out by this figure.
        let scratch = (end as u64).next_multiple_of(ALIGN as u64);
        let threads = cpu.n_threads * SCRATCH_BYTES + (cpu.n_threads - 1) * STACK_BYTES;
        (scratch + threads as u64).next_multiple_of(PAGE as u64)
    }

    /// Overwrites part of an operand.
    pub fn write(&mut self, operand: Operand, offset: usize, bytes: &[u8]) {
        let start = operand.offset + offset as u32;
        self.bytes.subarray(start, start + bytes.len() as u32).copy_from(bytes);
    }

    /// An operand's bytes.
    pub fn read(&self, operand: Operand) -> Vec<u8> {
        let mut bytes = vec![0; operand.len as usize];
        self.bytes.subarray(operand.offset, operand.offset + operand.len).copy_to(&mut bytes);
        bytes
    }

    /// Runs the steps that lie there.
    pub fn run(&mut self, steps: Operand) -> Result<()> {
        let n_steps = steps.len / size_of::<Step>() as u32;
        let run = self.exports.run(steps.offset, n_steps, self.n_threads as u32, self.scratch as u32);
        run.map_err(|e| Error::Internal(format!("the processor's kernels stopped: {}", words(&e))))
    }
}

/// What the module imports: how a thread sleeps and how it wakes others. The first thread does not sleep for ever.
fn team(words: &Int32Array) -> [JsValue; 2] {
    let of_sleep = words.clone();
    let sleep = Closure::<dyn Fn(u32, i32) -> std::result::Result<(), JsValue>>::new(move |word: u32, value| {
        let woken = js_sys::Atomics::wait_with_timeout(&of_sleep, word / 4, value, PATIENCE_MS)?;
        match woken == "timed-out" {
            true => Err(js_sys::Error::new("one of its threads does not come back").into()),
            false => Ok(()),
        }
    });
    let of_wake = words.clone();
    let wake = Closure::<dyn Fn(u32)>::new(move |word: u32| {
        // Fails on memory that is not shared, on which nobody waits.
        let _ = js_sys::Atomics::notify(&of_wake, word / 4);
    });
    [sleep.into_js_value(), wake.into_js_value()]
}

fn instantiate(
    module: &WebAssembly::Module,
    memory: &WebAssembly::Memory,
    [sleep, wake]: &[JsValue; 2],
) -> std::result::Result<WebAssembly::Instance, JsValue> {
    let object = |entries: &[(&str, &JsValue)]| {
        let pairs: Array = entries.iter().map(|(key, value)| Array::of2(&(*key).into(), value)).collect();
        Object::from_entries(&pairs)
    };
    let env = object(&[("memory", memory)])?;
    let team = object(&[("sleep", sleep), ("wake", wake)])?;
    WebAssembly::Instance::new(module, &object(&[("env", &env), ("team", &team)])?)
}

/// Starts a thread and waits until it listens.
async fn start_thread(
    module: &WebAssembly::Module,
    memory: &WebAssembly::Memory,
    stack: usize,
    scratch: usize,
) -> Result<web_sys::Worker> {
    let start = async {
        let source = Array::of1(&include_str!("thread.js").into());
        let options = web_sys::BlobPropertyBag::new();
        options.set_type("text/javascript");
        let url = web_sys::Url::create_object_url_with_blob(&web_sys::Blob::new_with_str_sequence_and_options(
            &source, &options,
        )?)?;
        let worker = web_sys::Worker::new(&url)?;
        let ready = js_sys::Promise::new(&mut |resolve, reject| {
            worker.set_onmessage(Some(&resolve));
            worker.set_onerror(Some(&reject));
        });
        let start = Object::new();
        Reflect::set(&start, &"module".into(), module)?;
        Reflect::set(&start, &"memory".into(), memory)?;
        Reflect::set(&start, &"stack".into(), &(stack as f64).into())?;
        Reflect::set(&start, &"scratch".into(), &(scratch as f64).into())?;
        worker.post_message(&start)?;
        let listens = JsFuture::from(ready).await;
        web_sys::Url::revoke_object_url(&url)?;
        listens.map(|_| worker)
    };
    start.await.map_err(|e| unavailable(&format!("a thread could not be started: {}", words(&e))))
}
