//! What this machine's GPU can do at best, measured when the visitor asks for it.

use leptos::prelude::*;

use super::format;
use super::session::Session;
use crate::protocol::{Roofline, TimedBy};

/// The button, and the table once it was measured.
#[component]
pub fn GpuMeasured() -> impl IntoView {
    let session = expect_context::<Session>();
    let roofline = session.state.roofline;
    let is_measuring = RwSignal::new(false);
    let measure = move |_| {
        if !is_measuring.get_untracked() {
            session.measure_roofline(is_measuring);
        }
    };
    let is_known = move || roofline.with(Option::is_some);
    view! {
        <div class="measured">
            <h2>"This GPU, measured"</h2>
            <Show when=move || !is_known()>
                <p class="ladder__words">
                    "How fast its memory moves, how fast it computes, and what one step costs. Takes a few seconds; loaded models rest meanwhile."
                </p>
                <button type="button" class="button button--small" aria-disabled=move || is_measuring.get().to_string() on:click=measure>
                    "Measure"
                </button>
            </Show>
            <p class="ladder__words" role="status">{move || is_measuring.get().then_some("Measuring…")}</p>
            {move || roofline.with(|roofline| roofline.as_ref().map(figures))}
        </div>
    }
}

fn figures(roofline: &Roofline) -> impl IntoView + use<> {
    let copied = format::bytes(roofline.copy_bytes);
    let tflops = |value: f64| format!("{} TFLOP/s", format::figure(value));
    let f16 = roofline.f16_tflops.map_or("Not here".into(), tflops);
    let rows = [
        (
            "Copying memory",
            format!("{} GB/s", format::figure(roofline.copy_gb_per_s)),
            format!("Read and written, {copied} at a time"),
        ),
        ("Arithmetic in f32", tflops(roofline.f32_tflops), "Products and sums, 32 chains a thread".into()),
        ("Arithmetic in f16", f16, "The same in half the bits".into()),
        (
            "A dispatch",
            format::duration_us(roofline.dispatch_us),
            "The smallest step that waits for the one before".into(),
        ),
        (
            "Writing it down",
            format::duration_us(roofline.encode_us),
            "What the browser takes to note a dispatch".into(),
        ),
        ("A submit", format::duration_us(roofline.submit_us), "From one to the next".into()),
        (
            "Reading back",
            format::duration_ms(roofline.readback_ms),
            "From a submit to 16 bytes of its result; the median".into(),
        ),
    ];
    let posing = if roofline.software { ", software that computes on the processor" } else { "" };
    let clock = match roofline.timed_by {
        TimedBy::Timestamps => "timed by the GPU's own clock",
        TimedBy::WallClock => "timed from submit to completion",
    };
    let spent = format::duration_ms(roofline.spent_ms);
    let caption = format!("{}{posing}: {clock}, in {spent}", roofline.adapter);
    view! {
        <table class="measured__table">
            <caption>{caption}</caption>
            <thead class="visually-hidden">
                <tr><th scope="col">"What"</th><th scope="col">"At best"</th></tr>
            </thead>
            <tbody>
                {rows
                    .map(|(name, value, what)| {
                        view! {
                            <tr>
                                <th scope="row">{name}<span class="measured__what">{what}</span></th>
                                <td>{value}</td>
                            </tr>
                        }
                    })
                    .collect_view()}
            </tbody>
        </table>
    }
}
