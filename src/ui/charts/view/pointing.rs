//! What pointer, wheel and keys do on a chart: mean a mark, zoom, pan.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent, PointerEvent, WheelEvent};

use super::super::Chart;
use super::super::zoom::View;
use super::State;

/// The main button, or a finger.
const PRIMARY: u16 = 1;

/// The pointer moved: it means another mark, or it drags.
pub fn moved(state: State, event: &PointerEvent) {
    if event.buttons() & PRIMARY != 0 && state.view.get_untracked().range.is_some() {
        return drag(state, f64::from(event.movement_x()));
    }
    mean(state, event);
}

/// A press means the mark under it, and may begin to drag.
pub fn pressed(state: State, event: &PointerEvent) {
    mean(state, event);
    if state.view.get_untracked().range.is_some() {
        let canvas = event.current_target().and_then(|target| target.dyn_into::<Element>().ok());
        // Without capture a drag ends where it leaves the canvas.
        let _ = canvas.map(|canvas| canvas.set_pointer_capture(event.pointer_id()));
    }
}

/// A mouse that left means nothing; a finger that was lifted still means what it touched.
pub fn left(state: State, event: &PointerEvent) {
    if event.pointer_type() == "mouse" {
        set(state.hovered, None);
    }
}

/// The wheel zooms together with Ctrl, as pinching does; alone it scrolls the page.
pub fn turned(state: State, event: &WheelEvent) {
    if !event.ctrl_key() || !state.chart.with_untracked(Chart::zooms) {
        return;
    }
    event.prevent_default();
    let factor = (-event.delta_y() / 300.0).clamp(-1.0, 1.0).exp();
    zoom(state, factor, share_at(state, f64::from(event.offset_x())));
}

/// Arrows, Home and End go through the marks; plus and minus zoom; Escape lets go.
pub fn key(state: State, event: &KeyboardEvent) {
    if event.ctrl_key() || event.meta_key() || event.alt_key() {
        return;
    }
    let Some(n_marks) = state.scene.with_untracked(|scene| Some(scene.as_ref()?.marks.len())) else { return };
    let now = state.focused.get_untracked().filter(|idx| *idx < n_marks);
    let last = n_marks.checked_sub(1);
    let zooms = state.chart.with_untracked(Chart::zooms);
    match event.key().as_str() {
        "ArrowRight" => focus(state, now.map_or(Some(0), |idx| Some(idx + 1)).min(last)),
        "ArrowLeft" => focus(state, now.map_or(last, |idx| Some(idx.saturating_sub(1)))),
        "Home" => focus(state, last.map(|_| 0)),
        "End" => focus(state, last),
        "+" | "=" if zooms => closer(state, 2.0),
        "-" if zooms => closer(state, 0.5),
        "Escape" if untrack(|| state.shown()).is_some() => focus(state, None),
        _ => return,
    }
    event.prevent_default();
}

/// Zoom around the mark that is meant, else around the middle.
pub fn closer(state: State, factor: f64) {
    let meant = untrack(|| state.shown())
        .and_then(|idx| state.scene.with_untracked(|scene| Some(scene.as_ref()?.marks.get(idx)?.shown.middle().0)));
    zoom(state, factor, meant.map_or(0.5, |x| share_at(state, x)));
}

/// Look at all of it.
pub fn all(state: State) {
    look(state, View::default());
}

/// Look at another part; what was meant may lie elsewhere now.
fn look(state: State, view: View) {
    if view != state.view.get_untracked() {
        set(state.hovered, None);
        set(state.focused, None);
        state.view.set(view);
    }
}

fn zoom(state: State, factor: f64, share: f64) {
    if let Some(extent) = state.chart.with_untracked(Chart::extent) {
        look(state, state.view.get_untracked().closer(extent, factor, share));
    }
}

fn drag(state: State, by: f64) {
    let across = state.scene.with_untracked(|scene| scene.as_ref().map(|scene| scene.plot.1 - scene.plot.0));
    let extent = state.chart.with_untracked(Chart::extent);
    if let (Some(across), Some(extent)) = (across.filter(|across| *across > 0.0), extent) {
        look(state, state.view.get_untracked().moved(extent, -by / across));
    }
}

fn mean(state: State, event: &PointerEvent) {
    let at = (f64::from(event.offset_x()), f64::from(event.offset_y()));
    set(state.hovered, state.scene.with_untracked(|scene| scene.as_ref()?.mark_at(at)));
}

fn focus(state: State, idx: Option<usize>) {
    set(state.hovered, None);
    set(state.focused, idx);
}

/// Set only what changes: each change draws.
fn set(signal: RwSignal<Option<usize>>, idx: Option<usize>) {
    if signal.get_untracked() != idx {
        signal.set(idx);
    }
}

/// How far across the plot a pixel is, from 0 to 1.
fn share_at(state: State, x: f64) -> f64 {
    let share = |(left, right): (f64, f64)| ((x - left) / (right - left).max(1.0)).clamp(0.0, 1.0);
    state.scene.with_untracked(|scene| scene.as_ref().map_or(0.5, |scene| share(scene.plot)))
}
