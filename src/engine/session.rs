//! A program on a backend: slots filled, plans compiled, ready to be replayed.

use super::backing::Backing;
use super::cpu::{Cpu, CpuSession};
use super::gpu::{Gpu, GpuSession, TraceOptions};
use super::graph::{GraphId, Program, SlotId, SlotKind, WeightForm};
use super::inspect::{ByNodes, InspectOptions};
use super::memory::{Ledger, MemoryOptions, MemoryUse, Purpose};
use super::plain::PlainSession;
use super::webnn::{Context, WebNnSession};
use super::{CancelFlag, Error, Result};
use crate::protocol::{MemoryLevel, StageTrace, TensorCheck};
use std::rc::Rc;

/// Watches a long run: learns how far it is, and may stop it.
pub struct Watch<'a> {
    /// Stops the run.
    pub cancel: &'a CancelFlag,
    /// Hears the share that is done, 0 to 1.
    pub on_progress: &'a mut dyn FnMut(f32),
}

impl Watch<'_> {
    /// Reports progress, then checks for a stop.
    pub fn progress(&mut self, done: f32) -> Result<()> {
        (self.on_progress)(done);
        self.cancel.check()
    }
}

/// What computes.
#[derive(Debug, Clone)]
pub enum Device {
    /// A GPU.
    Gpu(Rc<Gpu>),
    /// The processor.
    Cpu(Rc<Cpu>),
    /// The browser's neural-network API.
    WebNn(Rc<Context>),
    /// The ops' own definitions, slow and exact: what every other device is compared with.
    Plain,
}

impl Device {
    /// In what form it holds weights, unless they are to be quantised.
    pub fn weights(&self) -> WeightForm {
        match self {
            Device::Gpu(_) | Device::Cpu(_) => WeightForm::AsStored,
            Device::WebNn(context) if context.keeps_f16() => WeightForm::AsStored,
            Device::WebNn(_) | Device::Plain => WeightForm::F32,
        }
    }
}

impl Device {
    /// Whether it has kernels for quantised weights.
    pub fn quantizes(&self) -> bool {
        matches!(self, Device::Cpu(_) | Device::Gpu(_))
    }

    /// Whether weights can pass through a window of its memory.
    pub fn streams(&self) -> bool {
        matches!(self, Device::Cpu(_) | Device::Gpu(_))
    }

    /// Bytes that a model can have there however much memory there is, where that is known: the processor's kernels have addresses of
    /// 32 bits. A GPU tells only how large one buffer may be, which each of a model's tensors is checked against.
    pub fn most_bytes(&self) -> Option<u64> {
        matches!(self, Device::Cpu(_)).then_some(super::cpu::MOST_BYTES)
    }

    /// Whether it decodes several sequences at once: as primitives of the browser's neural-network API the ops say one.
    pub fn decodes_batches(&self) -> bool {
        !matches!(self, Device::WebNn(_))
    }
}

/// A program on a device.
#[derive(Debug)]
pub enum Session {
    /// On a GPU.
    Gpu(GpuSession),
    /// On the processor.
    Cpu(CpuSession),
    /// On the browser's neural-network API.
    WebNn(WebNnSession),
    /// By the definitions.
    Plain(PlainSession),
}

/// Bytes on their way back.
#[derive(Debug)]
pub enum Pending {
    /// From a GPU.
    Gpu(super::gpu::Readback),
    /// Here already.
    Done(Vec<Vec<u8>>),
}

impl Pending {
    /// The bytes of each slot asked for.
    pub async fn wait(self) -> Result<Vec<Vec<u8>>> {
        match self {
            Pending::Gpu(readback) => readback.wait().await,
            Pending::Done(bytes) => Ok(bytes),
        }
    }
}

impl Session {
    /// Compiles `program` for `device`.
    pub async fn compile(device: &Device, program: Program) -> Result<Self> {
        Self::compile_within(device, program, &MemoryOptions::default()).await
    }

    /// The same with a say in how much memory is given for speed.
    pub async fn compile_within(device: &Device, program: Program, memory: &MemoryOptions) -> Result<Self> {
        Ok(match device {
            Device::Gpu(gpu) => Session::Gpu(GpuSession::compile(gpu, program, memory).await?),
            Device::Cpu(cpu) => Session::Cpu(CpuSession::compile(cpu, program, memory).await?),
            Device::WebNn(_) if memory.level == MemoryLevel::Stream => return Err(not_streamed()),
            Device::WebNn(context) => Session::WebNn(WebNnSession::compile(context, program)?),
            Device::Plain => Session::Plain(PlainSession::new(program)),
        })
    }

    /// What a program will take on a device before anything is made: to the byte on a GPU and on the processor, where only what carries
    /// results back comes on top; as far as it is known where the browser's neural-network API lays things out, which tells nothing of
    /// the intermediate tensors inside its graphs.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] where the device cannot hold it however much there is, or cannot stream it within the budget.
    pub fn footprint(device: &Device, program: &Program, memory: &MemoryOptions) -> Result<MemoryUse> {
        match device {
            Device::Gpu(gpu) => GpuSession::footprint(gpu, program, memory),
            Device::Cpu(cpu) => CpuSession::footprint(cpu, program, memory),
            Device::WebNn(_) if memory.level == MemoryLevel::Stream => Err(not_streamed()),
            Device::WebNn(context) => WebNnSession::footprint(context, program),
            Device::Plain => {
                let mut all = MemoryUse::default();
                for slot in &program.slots {
                    let purpose = if matches!(slot.kind, SlotKind::State) { Purpose::States } else { Purpose::Weights };
                    all.add(purpose, slot.ty.n_bytes() as u64);
                }
                Ok(all)
            }
        }
    }

    /// Bytes in the device's memory.
    pub fn memory_bytes(&self) -> u64 {
        self.memory().total()
    }

    /// Bytes in the device's memory by purpose.
    pub fn memory(&self) -> MemoryUse {
        match self {
            Session::Gpu(session) => session.memory(),
            Session::Cpu(session) => session.memory(),
            Session::WebNn(session) => session.memory(),
            Session::Plain(session) => session.memory(),
        }
    }

    /// Its books; the plain definitions have none.
    pub fn ledger(&self) -> Option<Rc<Ledger>> {
        match self {
            Session::Gpu(session) => Some(session.ledger()),
            Session::Cpu(session) => Some(session.ledger()),
            Session::WebNn(session) => Some(session.ledger()),
            Session::Plain(_) => None,
        }
    }

    /// Whether a slot passes through a window, so that it cannot be written or read.
    pub fn streams(&self, slot: SlotId) -> bool {
        match self {
            Session::Gpu(session) => session.streams(slot),
            Session::Cpu(session) => session.streams(slot),
            Session::WebNn(_) | Session::Plain(_) => false,
        }
    }

    /// Whether any slot does.
    pub fn is_streamed(&self) -> bool {
        match self {
            Session::Gpu(session) => session.is_streamed(),
            Session::Cpu(session) => session.is_streamed(),
            Session::WebNn(_) | Session::Plain(_) => false,
        }
    }

    /// Says where weights that pass through a window are kept.
    pub fn attach(&mut self, backing: Backing) {
        match self {
            Session::Gpu(session) => session.attach(backing),
            Session::Cpu(session) => session.attach(backing),
            Session::WebNn(_) | Session::Plain(_) => {}
        }
    }

    /// Dispatches of one run of a graph; nodes on the processor.
    pub fn n_dispatches(&self, graph: GraphId) -> u32 {
        match self {
            Session::Gpu(session) => session.n_dispatches(graph),
            Session::Cpu(session) => session.n_steps(graph),
            Session::WebNn(session) => session.n_dispatches(graph),
            Session::Plain(_) => 0,
        }
    }

    /// Overwrites part of a slot.
    pub fn write(&mut self, slot: SlotId, offset_bytes: usize, bytes: &[u8]) -> Result<()> {
        match self {
            Session::Gpu(session) => session.write(slot, offset_bytes, bytes),
            Session::Cpu(session) => session.write(slot, offset_bytes, bytes),
            Session::WebNn(session) => session.write(slot, offset_bytes, bytes),
            Session::Plain(session) => {
                session.write(slot, offset_bytes, bytes);
                Ok(())
            }
        }
    }

    /// A slot's bytes.
    pub async fn read(&mut self, slot: SlotId) -> Result<Vec<u8>> {
        let bytes =
            self.submit(&[], &[slot], &mut Watch { cancel: &CancelFlag::default(), on_progress: &mut |_| () }).await?;
        Ok(bytes.wait().await?.remove(0))
    }

    /// Makes a graph ready to run where that was put off until its weights were here.
    pub async fn prepare(&mut self, graph: GraphId) -> Result<()> {
        match self {
            Session::WebNn(session) => session.prepare(graph).await,
            Session::Gpu(_) | Session::Cpu(_) | Session::Plain(_) => Ok(()),
        }
    }

    /// Waits for what a device makes of a program while other things happen. `on_pipeline` hears how many pipelines are made, of how many.
    pub async fn finish(&mut self, on_pipeline: &mut dyn FnMut(u32, u32)) -> Result<()> {
        match self {
            Session::Gpu(session) => session.finish(on_pipeline).await,
            Session::Cpu(_) | Session::WebNn(_) | Session::Plain(_) => Ok(()),
        }
    }

    /// Milliseconds that this took, other things having happened meanwhile.
    pub fn compile_ms(&self) -> f64 {
        match self {
            Session::Gpu(session) => session.compile_ms(),
            Session::Cpu(_) | Session::WebNn(_) | Session::Plain(_) => 0.0,
        }
    }

    /// Whether [`Session::submit`] returns before the runs are done, so that the next ones may be submitted meanwhile.
    pub fn runs_ahead(&self) -> bool {
        matches!(self, Session::Gpu(session) if !session.is_streamed())
    }

    /// Whether these graphs together take no longer than a submit should, by what was learned of the device.
    pub fn fit_a_submit(&self, graphs: &[GraphId]) -> bool {
        matches!(self, Session::Gpu(session) if session.fit_a_submit(graphs))
    }

    /// Runs graphs in order, each as often as said, in one submit, and asks for slots as they are afterwards. On a GPU
    /// this returns at once; the processor has finished when it returns.
    pub async fn submit(
        &mut self,
        runs: &[(GraphId, u32)],
        reads: &[SlotId],
        watch: &mut Watch<'_>,
    ) -> Result<Pending> {
        match self {
            Session::Gpu(session) => Ok(Pending::Gpu(session.submit(runs, reads, watch).await?)),
            Session::Cpu(session) => {
                for &(graph, times) in runs {
                    for _ in 0..times {
                        session.run(graph, watch).await?;
                    }
                }
                Ok(Pending::Done(reads.iter().map(|&slot| session.read(slot)).collect::<Result<_>>()?))
            }
            Session::WebNn(session) => {
                for &(graph, times) in runs {
                    for _ in 0..times {
                        watch.cancel.check()?;
                        session.run(graph).await?;
                    }
                }
                let mut bytes = Vec::with_capacity(reads.len());
                for &slot in reads {
                    bytes.push(session.read(slot).await?);
                }
                Ok(Pending::Done(bytes))
            }
            Session::Plain(session) => {
                for &(graph, times) in runs {
                    for _ in 0..times {
                        session.run(graph, watch).await?;
                    }
                }
                Ok(Pending::Done(reads.iter().map(|&slot| session.read(slot)).collect()))
            }
        }
    }

    /// Times the dispatches of a graph, and the graph as a whole; see [`GpuSession::trace`].
    ///
    /// # Errors
    /// [`Error::Input`] where the program is not on a GPU.
    pub async fn trace(&mut self, graph: GraphId, options: &TraceOptions<'_>) -> Result<StageTrace> {
        let runs_on = match self {
            Session::Gpu(session) => return session.trace(graph, options).await,
            Session::Cpu(_) => "the processor",
            Session::WebNn(_) => "WebNN",
            Session::Plain(_) => "the ops' definitions",
        };
        let what = "the stages of a model are timed dispatch by dispatch on WebGPU";
        Err(Error::Input(format!("{what}; this one runs on {runs_on}")))
    }

    /// What was compiled, where its nodes can be held against their definitions.
    ///
    /// # Errors
    /// [`Error::Input`] where they cannot: on WebNN, and where weights pass through a window.
    pub fn inspectable(&self) -> Result<&Program> {
        let runs_on = match self {
            _ if self.is_streamed() => {
                let reason = "the numbers inside a model whose weights pass through a window (memory level 3) cannot be looked at";
                return Err(Error::Input(format!("{reason}; load it at another memory level")));
            }
            Session::Gpu(session) => return Ok(session.program()),
            Session::Cpu(session) => return Ok(session.program()),
            Session::WebNn(_) => "WebNN",
            Session::Plain(_) => "the ops' definitions",
        };
        let what = "the numbers inside a model are looked at on WebGPU and on the processor";
        Err(Error::Input(format!("{what}; this one runs on {runs_on}")))
    }

    /// Holds nodes of a graph against their definitions; see [`GpuSession::inspect`].
    ///
    /// # Errors
    /// Those of [`Session::inspectable`].
    pub async fn inspect(&mut self, options: &InspectOptions<'_>, watch: &mut Watch<'_>) -> Result<Vec<TensorCheck>> {
        self.inspectable()?;
        match self {
            Session::Gpu(session) => session.inspect(options, watch).await,
            Session::Cpu(session) => session.inspect(options, watch).await,
            Session::WebNn(_) | Session::Plain(_) => unreachable!("these were refused"),
        }
    }

    /// Runs one large graph to its end, in submits short enough for the page's own drawing and for a stop.
    pub async fn run_watched(&mut self, graph: GraphId, watch: &mut Watch<'_>) -> Result<()> {
        match self {
            Session::Gpu(session) => session.run_watched(graph, watch).await,
            Session::Cpu(session) => session.run(graph, watch).await,
            Session::WebNn(session) => session.run_watched(graph, watch).await,
            Session::Plain(session) => session.run(graph, watch).await,
        }
    }
}

fn not_streamed() -> Error {
    let reason = "its graphs hold their weights for good, so that weights cannot be streamed";
    Error::BackendUnavailable { backend: "webnn", reason: reason.into() }
}
