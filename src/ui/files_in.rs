//! Files that come in by hand: dropped anywhere on the page, alone or in a folder, pasted, or picked. What they are for depends on what is
//! showing; the files of a model are a model everywhere.

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;
use web_sys::{DataTransfer, File, FileList, HtmlInputElement};

use super::folders;
use super::models;
use super::route::{self, View};
use super::session::Session;
use super::state::Remedy;
use super::state::work::Panel;
use crate::protocol::{Failure, FailureKind};

/// A file that came in.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Its path in the folder that it came with, that folder's name first; its name where it came alone.
    pub path: String,
    /// The file.
    pub file: File,
}

impl Incoming {
    /// A file with its path, as far as the browser tells it.
    pub fn new(file: File) -> Self {
        Self { path: path_of(&file), file }
    }
}

/// The path of a file in the folder that was picked, or its name.
pub fn path_of(file: &File) -> String {
    // Not every browser has it.
    let path = js_sys::Reflect::get(file, &"webkitRelativePath".into()).ok().and_then(|path| path.as_string());
    path.filter(|path| !path.is_empty()).unwrap_or_else(|| file.name())
}

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
        let Some(data) = event.data_transfer().filter(holds_files) else { return };
        event.prevent_default();
        let view = view.get_untracked();
        match folders::entries(&data) {
            Some(entries) => spawn_local(async move {
                match folders::files(entries).await {
                    Ok(files) => take(session, view, files),
                    Err(_) => session.state.alert(view.task(), unreadable(), Remedy::Nothing),
                }
            }),
            None => take(session, view, listed(data.files())),
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

fn unreadable() -> Failure {
    Failure {
        kind: FailureKind::Input,
        message: "The browser could not read the folder.".into(),
        hint: "It may have been moved or changed. Drop it again, or drop the files that are in it.".into(),
    }
}

/// Files for what is showing.
fn take(session: Session, view: View, files: Vec<Incoming>) {
    if files.is_empty() {
        let failure = Failure {
            kind: FailureKind::Input,
            message: "There is no file in what you dropped.".into(),
            hint: "Drop files, or a folder that holds some.".into(),
        };
        return session.state.alert(view.task(), failure, Remedy::Nothing);
    }
    if models::are_of_a_model(files.iter().map(|file| file.path.as_str())) {
        return session.load_files(view.task(), files);
    }
    match view {
        View::Speech => one(session, view, files, &["audio/", "video/"], |file| session.open(file)),
        View::Rank | View::Search | View::Gap => {
            route::open(View::Search);
            one(session, View::Search, files, &["text/"], |file| session.open_text(file));
        }
        View::Write => one(session, view, files, &["text/"], |file| session.open_prompt(file)),
        View::Alike => session.add_pictures(Panel::Alike, files),
        View::Pictures => session.add_pictures(Panel::Pictures, files),
        View::Labels | View::Find => session.add_pictures(Panel::Match, files),
        View::Benchmark | View::Compare | View::Monitor => {
            session.open_benchmarks(files.into_iter().map(|file| file.file).collect());
        }
    }
}

/// The first of several files that is of the right kind, and a word about the others.
fn one(session: Session, view: View, files: Vec<Incoming>, kinds: &[&str], open: impl FnOnce(File)) {
    let fits = |file: &&Incoming| kinds.iter().any(|kind| file.file.type_().starts_with(kind));
    let Some(taken) = files.iter().find(fits).or(files.first()) else { return };
    open(taken.file.clone());
    if files.len() > 1 {
        let failure = Failure {
            kind: FailureKind::Input,
            message: match files.len() - 1 {
                1 => format!("{} was taken; the other file was left.", taken.path),
                n => format!("{} was taken; the other {n} files were left.", taken.path),
            },
            hint: "One is worked on at a time here: drop the next one when this one is done.".into(),
        };
        session.state.alert(view.task(), failure, Remedy::Nothing);
    }
}

fn listed(list: Option<FileList>) -> Vec<Incoming> {
    list.map(|list| (0..list.length()).filter_map(|i| list.get(i)).map(Incoming::new).collect()).unwrap_or_default()
}

/// The files that an input holds. Emptied, so that the same file can be chosen again.
pub fn picked(input: &HtmlInputElement) -> Vec<Incoming> {
    let files = listed(input.files());
    input.set_value("");
    files
}
