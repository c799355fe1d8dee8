//! What an operation is: a shape rule, a plain definition, a kernel on the processor and a kernel on the GPU.
//!
//! The definition ([`Op::define`]) is the truth that every other version is tested against. [`Op::cpu`] and [`Op::kernel`] are pure
//! functions from types to a [`Call`] or a [`Kernel`], plain descriptions that only `cpu` and `gpu` turn into work.

use super::Result;
use super::lowering::{Lowered, Lowering, Operand};
use super::tensor::{DType, HostTensor, TensorType};
pub use crate::protocol::KernelLevel;
use rill_kernels::Call;
use std::collections::BTreeMap;
use std::ops::Range;

/// One operation of a graph; on a GPU one dispatch, or two.
pub trait Op: std::fmt::Debug {
    /// The stem that its file, its shader, its label and its tests share.
    fn name(&self) -> &'static str;

    /// The type of the output, `None` for an op that only writes states. Errors where the inputs do not fit together.
    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>>;

    /// Which inputs are states that it writes in place.
    fn writes(&self) -> &'static [usize] {
        &[]
    }

    /// The definition.
    fn define(&self, args: Operands);

    /// The processor's version.
    fn cpu(&self, signature: &Signature) -> Call;

    /// The GPU version that suits most adapters of these capabilities.
    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel;

    /// Other versions that the adapter could run, some of which may be faster there: what the tuner tries.
    fn alternatives(&self, _signature: &Signature, _caps: &GpuCaps) -> Vec<Kernel> {
        Vec::new()
    }

    /// The version for the browser's neural-network API: the op as primitives. `None` where they cannot say it; then the
    /// definition runs between the API's graphs.
    fn lower(&self, _b: &mut Lowering, _inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        Ok(None)
    }

    /// The input whose rows may be spread over several buffers, where it is larger than one binding may be.
    fn splittable(&self) -> Option<usize> {
        None
    }

    /// Multiplications and additions, for budgets and reports. Small ops need not count.
    fn flops(&self, _signature: &Signature) -> u64 {
        0
    }

    /// Bytes that it has to read and write, each once, for reports: all inputs and the output, states that it writes in place included. Ops
    /// that look at a part of an input count that part.
    fn bytes(&self, signature: &Signature) -> u64 {
        let inputs = signature.inputs.iter().flatten().map(|ty| ty.n_bytes() as u64);
        inputs.sum::<u64>() + signature.output_bytes()
    }
}

/// What [`Op::define`] works on.
pub struct Operands<'a> {
    /// The inputs in the op's order; `None` where optional and absent, or where the op writes it (see `states`).
    pub inputs: Vec<Option<&'a HostTensor>>,
    /// The inputs named by [`Op::writes`], in that order.
    pub states: &'a mut [HostTensor],
    /// The output, zeroed.
    pub output: Option<&'a mut HostTensor>,
}

/// The types an op is used with.
#[derive(Debug, Clone)]
pub struct Signature<'a> {
    /// In the op's order; `None` where optional and absent.
    pub inputs: Vec<Option<&'a TensorType>>,
    /// The output.
    pub output: Option<&'a TensorType>,
    /// The rows of the splittable input that this dispatch handles.
    pub rows: Range<usize>,
}

impl Signature<'_> {
    /// Type of an input that must be there.
    pub fn input(&self, idx: usize) -> &TensorType {
        self.inputs[idx].expect("the op's shape rule demands this input")
    }

    /// Whether an optional input is there.
    pub fn has(&self, idx: usize) -> bool {
        self.inputs[idx].is_some()
    }

    /// Bytes of an input; 0 where it is absent.
    pub fn input_bytes(&self, idx: usize) -> u64 {
        self.inputs[idx].map_or(0, |ty| ty.n_bytes() as u64)
    }

    /// Bytes of the output; 0 where there is none.
    pub fn output_bytes(&self) -> u64 {
        self.output.map_or(0, |ty| ty.n_bytes() as u64)
    }

    /// Type of an output that must be there.
    pub fn output(&self) -> &TensorType {
        self.output.expect("the op's shape rule gives an output")
    }
}

/// What a GPU can do, as far as the choice of kernels depends on it.
#[derive(Debug, Clone, PartialEq)]
pub struct GpuCaps {
    /// Arithmetic and storage in f16.
    pub f16: bool,
    /// The adapter computes on the processor: barriers and workgroup memory are slow there.
    pub software: bool,
    /// Bytes of one storage binding at most.
    pub max_binding_bytes: u64,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// Threads of a subgroup at least, where operations across them were tried and work.
    pub subgroup: Option<u32>,
    /// How far kernels go.
    pub level: KernelLevel,
    /// What the tuner chose.
    pub choices: Choices,
}

impl GpuCaps {
    /// A GPU without f16, subgroups and a tuner's figures, for tests of what is usual.
    #[cfg(test)]
    pub fn of_hardware(workgroup_bytes: u32, max_binding_bytes: u64) -> Self {
        Self {
            f16: false,
            software: false,
            max_binding_bytes,
            workgroup_bytes,
            subgroup: None,
            level: KernelLevel::default(),
            choices: Choices::Always(0),
        }
    }

    /// Whether kernels keep to the plainest form.
    pub fn is_plain(&self) -> bool {
        self.software || self.level == KernelLevel::Plain
    }

    /// Threads of a subgroup at least, where kernels use them.
    pub fn subgroup(&self) -> Option<u32> {
        self.subgroup.filter(|_| !self.is_plain() && self.level >= KernelLevel::Subgroups)
    }

    /// The version of an op's kernel that is to be used.
    pub fn kernel_of(&self, op: &dyn Op, signature: &Signature) -> Kernel {
        let idx = match &self.choices {
            _ if self.level != KernelLevel::Tuned => 0,
            Choices::Each => 0,
            Choices::Always(idx) => *idx,
            Choices::Measured(choices) if choices.is_empty() => 0,
            Choices::Measured(choices) => choices.get(&class_of(op, signature)).copied().unwrap_or(0),
        };
        let other = idx.checked_sub(1).and_then(|idx| op.alternatives(signature, self).into_iter().nth(idx));
        other.unwrap_or_else(|| op.kernel(signature, self))
    }
}

/// Which version of a kernel to use, by class: 0 for [`Op::kernel`], from 1 on [`Op::alternatives`].
#[derive(Debug, Clone, PartialEq)]
pub enum Choices {
    /// The one of that number wherever there are so many.
    Always(usize),
    /// Each but 0 in turn where a device is checked: how tests come to every version. At work it is 0.
    Each,
    /// What was measured; what was not is 0.
    Measured(BTreeMap<String, usize>),
}

/// What an op's speed depends on: its name, and the types that it is used with.
pub fn class_of(op: &dyn Op, signature: &Signature) -> String {
    let ty = |ty: &Option<&TensorType>| match ty {
        Some(ty) => format!("{:?}{:?}", ty.dtype, ty.shape),
        None => "-".into(),
    };
    let inputs: Vec<_> = signature.inputs.iter().map(ty).collect();
    format!("{} {} > {}", op.name(), inputs.join(" "), ty(&signature.output))
}

/// A dispatch, described.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    /// File name in `shaders/` without its ending.
    pub shader: &'static str,
    /// The inputs that it binds, in order; `None` for all.
    pub bound: Option<&'static [usize]>,
    /// Files of `shaders/shared/` that it uses.
    pub shared: Vec<&'static str>,
    /// Element types: `alias NAME = TYPE;`.
    pub types: Vec<(&'static str, DType)>,
    /// Sizes of register arrays, which WGSL wants as constants.
    pub consts: Vec<(&'static str, u32)>,
    /// Pipeline-overridable constants: tile sizes and switches.
    pub overrides: Vec<(&'static str, f64)>,
    /// The uniform at binding 0.
    pub params: Vec<u8>,
    /// Workgroups to dispatch.
    pub workgroups: [u32; 3],
    /// The dispatch behind it, where it takes two.
    pub then: Option<Box<Then>>,
}

/// The second of two dispatches of an op: it binds what the first leaves and nothing else, and writes the op's output.
#[derive(Debug, Clone, PartialEq)]
pub struct Then {
    /// What it runs.
    pub kernel: Kernel,
    /// Bytes that the first leaves, in the place of the output.
    pub n_bytes: usize,
}

impl Kernel {
    /// A kernel without variants; the builders below add them.
    pub fn new(shader: &'static str, params: impl bytemuck::NoUninit, workgroups: [u32; 3]) -> Self {
        Self {
            shader,
            bound: None,
            shared: Vec::new(),
            types: Vec::new(),
            consts: Vec::new(),
            overrides: Vec::new(),
            params: bytemuck::bytes_of(&params).to_vec(),
            workgroups,
            then: None,
        }
    }

    /// Adds a second dispatch, which makes the output of the `n_bytes` that this one leaves.
    pub fn then(mut self, kernel: Kernel, n_bytes: usize) -> Self {
        self.then = Some(Box::new(Then { kernel, n_bytes }));
        self
    }

    /// Binds only these inputs.
    pub fn binds(mut self, inputs: &'static [usize]) -> Self {
        self.bound = Some(inputs);
        self
    }

    /// Adds a file of `shaders/shared/`.
    pub fn shared(mut self, file: &'static str) -> Self {
        self.shared.push(file);
        self
    }

    /// Adds the file with sums over the workgroup.
    pub fn reduces(self, caps: &GpuCaps) -> Self {
        self.shared(if caps.subgroup().is_some() { "reduce_subgroup" } else { "reduce" })
    }

    /// Adds an element type.
    pub fn alias(mut self, name: &'static str, dtype: DType) -> Self {
        self.types.push((name, dtype));
        self
    }

    /// Adds a constant.
    pub fn constant(mut self, name: &'static str, value: usize) -> Self {
        self.consts.push((name, value as u32));
        self
    }

    /// Adds an override.
    pub fn set(mut self, name: &'static str, value: impl Into<f64>) -> Self {
        self.overrides.push((name, value.into()));
        self
    }

    /// Adds a switch.
    pub fn flag(self, name: &'static str, on: bool) -> Self {
        self.set(name, u32::from(on))
    }

    /// The inputs that it binds, of `n_inputs`.
    pub fn bound_inputs(&self, n_inputs: usize) -> Vec<usize> {
        self.bound.map_or_else(|| (0..n_inputs).collect(), <[usize]>::to_vec)
    }
}

/// `n` workgroups folded into two dimensions, since one may hold 65,535. The shader adds `wid.x + wid.y * n_wg.x` up.
pub fn fold_workgroups(n: usize) -> [u32; 3] {
    const MOST: usize = 65_535;
    let y = n.div_ceil(MOST).max(1);
    [n.div_ceil(y).max(1) as u32, y as u32, 1]
}
