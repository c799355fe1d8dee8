//! The numbers inside a loaded model: chosen nodes of a stage, as the device computed them and as their definitions say. Checked on demand.

use std::collections::BTreeSet;

use leptos::prelude::*;

use super::loader::is_open_now;
use super::session::Session;
use super::session::numbers::Checking;
use super::{format, numbers};
use crate::protocol::{GraphNodes, Inspection, Task, TensorCheck};

/// The disclosure with its stages, nodes and button, and the table once they were checked.
#[component]
pub fn NumbersPanel(
    /// Whose model.
    task: Task,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let graphs = RwSignal::new(Vec::<GraphNodes>::new());
    let stage = RwSignal::new(0usize);
    let chosen = RwSignal::new(BTreeSet::<usize>::new());
    let checking = RwSignal::new_local(None::<Checking>);
    let found = RwSignal::new(None::<Inspection>);
    let is_checking = move || checking.with(Option::is_some);
    let n_nodes = move || graphs.with(|graphs| graphs.get(stage.get()).map_or(0, |graph| graph.nodes.len()));
    // All of a stage until something else is chosen.
    Effect::new(move |_| chosen.set((0..n_nodes()).collect()));
    let on_toggle = move |event| {
        if is_open_now(&event) && graphs.with_untracked(Vec::is_empty) {
            session.nodes(task, graphs);
        }
    };
    let may_check = move || !is_checking() && chosen.with(|chosen| !chosen.is_empty());
    let check = move |_| {
        let graph = graphs.with_untracked(|graphs| graphs.get(stage.get_untracked()).map(|it| it.graph.clone()));
        if let Some(graph) = graph.filter(|_| untrack(may_check)) {
            let nodes = chosen.with_untracked(|chosen| chosen.iter().map(|&node| node as u32).collect());
            session.inspect(task, (graph, nodes), checking, found);
        }
    };
    let stop = move |_| checking.with_untracked(|checking| checking.iter().for_each(|it| it.canceller.cancel()));
    let status = move || match (checking.get(), found.get()) {
        (Some(Checking { done, .. }), _) => format!("Checking… {}", format::percent(done)),
        (None, Some(inspection)) => numbers::summary(&inspection),
        (None, None) => String::new(),
    };
    view! {
        <details class="stages" on:toggle=on_toggle>
            <summary>"Numbers inside the model"</summary>
            <p class="stages__words">
                "Runs a stage node by node and holds what the device computes against the plain definition of each node, given the same inputs. It works on what the model computed last; zeros before its first run. Large nodes take seconds; the model rests meanwhile and is afterwards as it was."
            </p>
            <div class="numbers__choice">
                <label class="settings__field">
                    <span>"Stage"</span>
                    <select on:change=move |event| stage.set(event_target_value(&event).parse().unwrap_or_default())>
                        {move || graphs.with(|graphs| {
                            graphs
                                .iter()
                                .enumerate()
                                .map(|(idx, graph)| view! { <option value=idx>{graph.graph.clone()}</option> })
                                .collect_view()
                        })}
                    </select>
                </label>
                <button type="button" class="button button--small" on:click=move |_| chosen.set((0..n_nodes()).collect())>
                    "All nodes"
                </button>
                <button type="button" class="button button--small" on:click=move |_| chosen.update(BTreeSet::clear)>
                    "No node"
                </button>
            </div>
            <div class="numbers__nodes" role="group" aria-label="Nodes to check">
                {move || graphs.with(|graphs| graphs.get(stage.get()).map(|graph| ticks(graph, chosen)))}
            </div>
            <p class="numbers__choice">
                <button type="button" class="button button--small" aria-disabled=move || (!may_check()).to_string() on:click=check>
                    "Check the numbers"
                </button>
                <Show when=is_checking>
                    <button type="button" class="button button--small" on:click=stop>"Stop checking"</button>
                </Show>
            </p>
            <p class="stages__words" role="status">{status}</p>
            {move || found.with(|found| found.as_ref().map(table))}
        </details>
    }
}

/// A tick for each node of a stage.
fn ticks(graph: &GraphNodes, chosen: RwSignal<BTreeSet<usize>>) -> impl IntoView + use<> {
    let tick = |(idx, node)| {
        let flip = move |event| {
            let is_chosen = event_target_checked(&event);
            chosen.update(|chosen| {
                let _ = if is_chosen { chosen.insert(idx) } else { chosen.remove(&idx) };
            });
        };
        view! {
            <label class="settings__check">
                <input type="checkbox" prop:checked=move || chosen.with(|chosen| chosen.contains(&idx)) on:change=flip />
                {numbers::node_name(idx, node)}
            </label>
        }
    };
    graph.nodes.iter().enumerate().map(tick).collect_view()
}

fn table(inspection: &Inspection) -> impl IntoView + use<> {
    let rows = inspection.checks.iter().map(row).collect_view();
    view! {
        <div class="stages__box stages__box--tall" role="region" aria-label="Numbers, to be scrolled" tabindex="0">
            <table class="stages__table">
                <caption class="visually-hidden">{format!("Numbers of {}", inspection.graph)}</caption>
                <thead>
                    <tr>{numbers::HEADS.map(|name| view! { <th scope="col">{name}</th> }).collect_view()}</tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

fn row(check: &TensorCheck) -> impl IntoView + use<> {
    let is_off = numbers::stands_out(check).is_some();
    let mut texts = numbers::row(check).into_iter();
    let node = texts.next();
    view! {
        <tr class="numbers__row" class:numbers__row--off=is_off>
            <th scope="row">{node}</th>
            {texts.map(|text| view! { <td>{text}</td> }).collect_view()}
        </tr>
    }
}
