//! What lies in a folder that was dropped: every file in it with its path. Browsers hand over a dropped folder by callbacks; here they
//! become one list.

use std::future::Future;
use std::pin::Pin;

use js_sys::{Array, Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DataTransfer, File, FileSystemDirectoryEntry, FileSystemDirectoryReader, FileSystemEntry, FileSystemFileEntry,
};

use super::files_in::Incoming;

/// More files than this are no folder that anyone meant to drop here.
const MOST_FILES: usize = 10_000;

/// The entries of a drop, which the browser shows only while the event is handled; `None` where one of them is no entry.
pub fn entries(data: &DataTransfer) -> Option<Vec<FileSystemEntry>> {
    let items = data.items();
    let files = (0..items.length()).filter_map(|i| items.get(i)).filter(|item| item.kind() == "file");
    // Files that a program put together have none.
    let entries: Vec<FileSystemEntry> =
        files.map(|item| item.webkit_get_as_entry().ok().flatten()).collect::<Option<_>>()?;
    (!entries.is_empty()).then_some(entries)
}

/// Every file at or below these entries, in the order of their paths. Hidden files, which systems leave in folders, are passed over.
///
/// # Errors
/// What the browser says where it does not read a folder.
pub async fn files(entries: Vec<FileSystemEntry>) -> Result<Vec<Incoming>, JsValue> {
    let mut files = Vec::new();
    for entry in entries {
        walk(entry, &mut files).await?;
    }
    files.sort_by(|a: &Incoming, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk<'a>(
    entry: FileSystemEntry,
    files: &'a mut Vec<Incoming>,
) -> Pin<Box<dyn Future<Output = Result<(), JsValue>> + 'a>> {
    Box::pin(async move {
        if files.len() >= MOST_FILES {
            return Ok(());
        }
        let path = entry.full_path().trim_start_matches('/').to_string();
        if entry.is_file() {
            let entry: FileSystemFileEntry = entry.unchecked_into();
            let file = answered(|done, failed| entry.file_with_callback_and_callback(done, failed)).await?;
            files.push(Incoming { path, file: file.dyn_into::<File>()? });
            return Ok(());
        }
        let reader: FileSystemDirectoryReader = entry.unchecked_into::<FileSystemDirectoryEntry>().create_reader();
        loop {
            // A folder comes in portions; the last one is empty.
            let portion = answered(|done, failed| {
                // It fails only through its callback.
                let _ = reader.read_entries_with_callback_and_callback(done, failed);
            });
            let portion: Array = portion.await?.dyn_into()?;
            if portion.length() == 0 {
                return Ok(());
            }
            // Not every browser has a name for what these are, so it cannot be asked for.
            for entry in portion.iter().map(JsCast::unchecked_into::<FileSystemEntry>) {
                if !is_hidden(&entry.name()) {
                    walk(entry, files).await?;
                }
            }
        }
    })
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || ["thumbs.db", "desktop.ini"].contains(&name.to_ascii_lowercase().as_str())
}

/// What a function answers through its first callback, or the error of its second.
async fn answered(ask: impl Fn(&Function, &Function)) -> Result<JsValue, JsValue> {
    JsFuture::from(Promise::new(&mut |done, failed| ask(&done, &failed))).await
}
