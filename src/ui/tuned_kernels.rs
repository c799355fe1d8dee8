//! Which versions of the kernels the tuner found to be the fastest on this GPU, shown and thrown away when the visitor asks for it.

use leptos::prelude::*;

use super::fields::Check;
use super::format;
use super::session::Session;
use crate::protocol::{TunedKernel, Tuning};

/// The switch that lets the tuner try kernels at the next load, and what it found.
#[component]
pub fn TunedKernels() -> impl IntoView {
    let session = expect_context::<Session>();
    let tuning = RwSignal::new(None::<Tuning>);
    let ask = move |forget| session.tuning(forget, tuning);
    let is_empty = move || tuning.with(|tuning| tuning.as_ref().is_some_and(|tuning| tuning.kernels.is_empty()));
    let has_any = move || tuning.with(|tuning| tuning.as_ref().is_some_and(|tuning| !tuning.kernels.is_empty()));
    view! {
        <div class="measured">
            <h2>"Kernels tuned for this GPU"</h2>
            <p class="ladder__words">
                "Most kernels come in several versions. The tuner tries those that a model needs, once, which takes some seconds at its next load on WebGPU; what it finds is kept in this browser."
            </p>
            <Check
                label="Try the kernels of a model when it is loaded"
                value=|settings| settings.tune
                set=|settings, tune| settings.tune = tune
            />
            <p>
                <button type="button" class="button button--small" on:click=move |_| ask(false)>"Show what was found"</button>
                <Show when=has_any>
                    " "
                    <button type="button" class="button button--small" on:click=move |_| ask(true)>"Forget it"</button>
                </Show>
            </p>
            <p class="ladder__words" role="status">{move || is_empty().then_some("Nothing was tried on this GPU yet.")}</p>
            {move || {
                tuning.with(|tuning| tuning.as_ref().filter(|tuning| !tuning.kernels.is_empty()).map(table))
            }}
        </div>
    }
}

fn table(tuning: &Tuning) -> impl IntoView + use<> {
    let rows = tuning.kernels.iter().map(row).collect_view();
    view! {
        <div class="stages__box" role="region" aria-label="Tuned kernels, to be scrolled" tabindex="0">
            <table class="stages__table stages__table--long">
                <caption class="visually-hidden">{format!("Kernels tuned on {}", tuning.adapter)}</caption>
                <thead>
                    <tr>
                        {["Op, types of its inputs and output", "Used", "Tried", "Time", "Usual version"]
                            .map(|name| view! { <th scope="col">{name}</th> })
                            .collect_view()}
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

fn row(kernel: &TunedKernel) -> impl IntoView + use<> {
    let chosen = kernel.versions.get(kernel.chosen as usize);
    let name = chosen.map_or_else(String::new, |version| version.name.clone());
    let us = chosen.map_or(0.0, |version| version.us);
    let usual = match kernel.chosen {
        0 => "the same".to_string(),
        _ => format!("{:.2} times as long", kernel.gain()),
    };
    view! {
        <tr>
            <th scope="row">{kernel.class.clone()}</th>
            <td>{name}</td>
            <td>{format::count(kernel.versions.len() as u32)}</td>
            <td>{format::duration_us(us)}</td>
            <td>{usual}</td>
        </tr>
    }
}
