//! The kernels that models are made of, by themselves: each is right and has a speed on every backend, and what is wrong has none.

use crate::interpreter::{CHROMIUM_LIMITS, open};
use crate::models::{open_gpu, processor};
use crate::performance::some_roofline;
use rill::engine::kernel_bench::{Bench, answer, measure};
use rill::engine::ladder::Choice;
use rill::engine::session::Device;
use rill::engine::{CancelFlag, Error};
use rill::protocol::{
    BackendChoice, BenchKernel, Bound, Command, Event, FailureKind, JobId, KernelFigure, Precision, Roofline,
};
use rill::worker::{Attachment, Worker};
use std::cell::RefCell;
use std::rc::Rc;

fn on(device: Device) -> Choice {
    let backend = match device {
        Device::Gpu(_) => BackendChoice::WebGpu,
        Device::WebNn(_) => BackendChoice::WebNn,
        Device::Cpu(_) | Device::Plain => BackendChoice::Wasm,
    };
    Choice {
        device,
        backend,
        adapter: "this one".into(),
        software: true,
        precision: Precision::F32,
        reason: String::new(),
        measured: None,
    }
}

/// A kernel's figure, held against the definition's own answer after `spoil` had its way with that.
fn figure(
    on: &Choice,
    kernel: BenchKernel,
    spoil: impl FnOnce(&mut Vec<u8>),
    cancel: &CancelFlag,
) -> Result<KernelFigure, Error> {
    let mut expected = pollster::block_on(answer(kernel, &on.device, &Device::Plain)).expect("a definition computes");
    spoil(&mut expected);
    let roofline: Option<Roofline> = matches!(on.device, Device::Gpu(_)).then(some_roofline);
    let bench = Bench { kernel, expected: &expected, roofline: roofline.as_ref(), cancel };
    pollster::block_on(measure(on, &bench))
}

fn every_kernel_has_a_speed(device: Device) {
    let on = on(device);
    let is_gpu = matches!(on.device, Device::Gpu(_));
    for kernel in BenchKernel::ALL.into_iter().filter(|kernel| on.device.quantizes() || !kernel.is_quantized()) {
        let found = figure(&on, kernel, |_| (), &CancelFlag::default()).unwrap_or_else(|e| panic!("{kernel:?}: {e}"));
        println!("{found:?}");
        let is_figure = |value: &f64| value.is_finite() && *value > 0.0;
        assert!(!found.samples_us.is_empty() && found.samples_us.iter().all(is_figure), "{found:?}");
        assert!(found.bytes > 0 && (kernel.counts() == Bound::Memory || found.flops > 0), "{found:?}");
        assert_eq!(found.share.as_ref().is_some_and(is_figure), is_gpu, "{found:?}");
        if kernel.is_quantized() {
            assert_eq!(found.weights, Some(Precision::Int8));
        }
        assert_eq!((found.kernel, found.backend, found.adapter.as_str()), (kernel, on.backend, "this one"));
    }
}

#[test]
fn every_kernel_has_a_speed_on_the_gpu() {
    let Some(gpu) = open_gpu() else { return };
    every_kernel_has_a_speed(Device::Gpu(gpu));
}

#[test]
fn every_kernel_has_a_speed_on_the_processor() {
    every_kernel_has_a_speed(processor());
}

#[test]
fn every_kernel_has_a_speed_on_webnn_but_for_quantised_weights() {
    let (context, _) = open(CHROMIUM_LIMITS);
    every_kernel_has_a_speed(Device::WebNn(context.clone()));
    let refused = figure(&on(Device::WebNn(context)), BenchKernel::WideProductInt8, |_| (), &CancelFlag::default());
    assert!(matches!(&refused, Err(Error::Input(why)) if why.contains("WebNN has no kernels")), "{refused:?}");
}

#[test]
fn bytes_and_operations_are_those_of_the_shape_that_was_timed() {
    let found =
        figure(&on(processor()), BenchKernel::DecoderAttention, |_| (), &CancelFlag::default()).expect("it runs");
    // A row of 3 x 384 and the keys and values of 224 positions are read, a row of 384 is written; each number of them is used once.
    assert_eq!(found.shape, "6 heads of 64, one row after 224");
    assert_eq!(found.flops, 4 * 384 * 224);
    assert!((4 * 2 * 224 * 384..4 * 2 * 240 * 384).contains(&found.bytes), "{}", found.bytes);
}

#[test]
fn a_kernel_that_computes_something_else_has_no_speed() {
    // The lowest bit of the exponent of the last number: twice as much, or half.
    let spoil = |bytes: &mut Vec<u8>| {
        let at = bytes.len() - 2;
        bytes[at] ^= 0x80;
    };
    for device in open_gpu().map(Device::Gpu).into_iter().chain([processor()]) {
        for kernel in [BenchKernel::WideProduct, BenchKernel::LogMel] {
            let found = figure(&on(device.clone()), kernel, spoil, &CancelFlag::default());
            let is_told = matches!(&found, Err(Error::Numerics { what, .. }) if what.starts_with(kernel.title()));
            assert!(is_told, "{kernel:?} on {device:?}: {found:?}");
        }
    }
}

#[test]
fn a_stopped_kernel_has_no_speed() {
    let cancel = CancelFlag::default();
    cancel.cancel();
    let found = figure(&on(processor()), BenchKernel::LayerNorm, |_| (), &cancel);
    assert!(matches!(found, Err(Error::Cancelled)), "{found:?}");
}

#[test]
fn the_worker_measures_a_kernel_and_says_what_share_of_the_gpu_it_uses() {
    let said: Rc<RefCell<Vec<Event>>> = Rc::default();
    let heard = said.clone();
    let worker = Worker::new(String::new(), move |event| heard.borrow_mut().push(event));
    let ask = |command: Command| {
        pollster::block_on(worker.handle(command, Attachment::None));
        said.borrow().last().cloned().expect("a command with a job is closed")
    };
    let kernel = BenchKernel::LayerNorm;
    let (job, backend) = (JobId(1), BackendChoice::Wasm);
    let on_processor = ask(Command::MeasureKernel { job, backend, kernel });
    assert!(on_processor.is_closing() && on_processor.job() == Some(job));
    let Event::Kernel { figure, .. } = on_processor else { panic!("{on_processor:?}") };
    assert_eq!((figure.kernel, figure.backend, figure.share), (kernel, backend, None));

    // Natively there is no WebNN.
    let refused = ask(Command::MeasureKernel { job: JobId(2), backend: BackendChoice::WebNn, kernel });
    let is_refused = matches!(&refused, Event::Failed { failure, .. } if failure.kind == FailureKind::Backend);
    assert!(is_refused, "{refused:?}");

    if open_gpu().is_none() {
        return;
    }
    let on_gpu = ask(Command::MeasureKernel { job: JobId(3), backend: BackendChoice::WebGpu, kernel });
    let Event::Kernel { figure, .. } = on_gpu else { panic!("{on_gpu:?}") };
    let roofline = match ask(Command::MeasureRoofline { job: JobId(4) }) {
        Event::Roofline { roofline, .. } => roofline,
        other => panic!("{other:?}"),
    };
    let share = roofline.rate(figure.samples_us[0], figure.bytes, figure.flops).share;
    assert_eq!(figure.share, Some(share), "it is held against the adapter's own peak");
}
