//! Files that come in by hand: dropped anywhere on the page, pasted, or picked. What they are for depends on what is showing;
//! the files of a model are a model everywhere.

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{DataTransfer, File, FileList, HtmlInputElement};

use super::models;
use super::route::{self, View};
use super::session::Session;
use super::state::work::Panel;

/// Whether files are being held over the page.
#[derive(Debug, Clone, Copy)]
pub struct Dragging(pub RwSignal<bool>);

/// Listen for as long as the page is there.
pub fn listen(session: Session, view: Signal<View>) -> Dragging {
    let dragging = RwSignal::new(false);
    let over = window_event_listener(ev::dragover, move |event| {
        // Text that is dragged into a field is the browser's affair.
        if event.data_transfer().is_some_and(|data| holds_files(&data)) {
            event.prevent_default();
            dragging.set(true);
        }
    });
    // A file dropped beside the drop place must not make the browser leave the page.
    let dropping = window_event_listener(ev::drop, move |event| {
        dragging.set(false);
        let files = event.data_transfer().map(|data| listed(data.files())).unwrap_or_default();
        if !files.is_empty() {
            event.prevent_default();
            take(session, view.get_untracked(), files);
        }
    });
    let leaving = window_event_listener(ev::dragleave, move |event| {
        if event.related_target().is_none() {
            dragging.set(false);
        }
    });
    let pasting = window_event_listener(ev::paste, move |event| {
        let clipboard = js_sys::Reflect::get(event.as_ref(), &"clipboardData".into()).ok();
        let data = clipboard.and_then(|data| data.dyn_into::<DataTransfer>().ok());
        let files = data.map(|data| listed(data.files())).unwrap_or_default();
        if !files.is_empty() {
            event.prevent_default();
            take(session, view.get_untracked(), files);
        }
    });
    on_cleanup(move || {
        over.remove();
        dropping.remove();
        leaving.remove();
        pasting.remove();
    });
    Dragging(dragging)
}

fn holds_files(data: &DataTransfer) -> bool {
    data.types().iter().any(|kind| kind.as_string().is_some_and(|kind| kind == "Files"))
}

/// Files for what is showing.
fn take(session: Session, view: View, files: Vec<File>) {
    let names: Vec<String> = files.iter().map(File::name).collect();
    if models::are_of_a_model(names.iter().map(String::as_str)) {
        return session.load_files(view.task(), files);
    }
    let first = files.first().cloned();
    match view {
        View::Speech => first.into_iter().for_each(|file| session.open(file)),
        View::Rank | View::Search | View::Gap => {
            route::open(View::Search);
            first.into_iter().for_each(|file| session.open_text(file));
        }
        View::Write => first.into_iter().for_each(|file| session.open_prompt(file)),
        View::Alike => session.add_pictures(Panel::Alike, files),
        View::Pictures => session.add_pictures(Panel::Pictures, files),
        View::Labels | View::Find => session.add_pictures(Panel::Match, files),
    }
}

fn listed(list: Option<FileList>) -> Vec<File> {
    list.map(|list| (0..list.length()).filter_map(|i| list.get(i)).collect()).unwrap_or_default()
}

/// The files that an input holds. Emptied, so that the same file can be chosen again.
pub fn picked(input: &HtmlInputElement) -> Vec<File> {
    let files = listed(input.files());
    input.set_value("");
    files
}
