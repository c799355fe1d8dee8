//! Pictures that the visitor brings: read one by one, refused one by one with the reason.

use js_sys::Promise;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, File, FilePropertyBag, HtmlImageElement, ImageBitmap, ImageBitmapOptions, Response, Url};

use super::Session;
use crate::ui::files_in::Incoming;
use crate::ui::format;
use crate::ui::state::pictures::Album;
use crate::ui::state::work::Panel;

/// Larger files are refused.
const LARGEST_FILE: f64 = 100e6;

/// Larger pictures are refused before anything decodes them: four bytes a pixel have to fit into memory, here and in the engine.
const MOST_PIXELS: f64 = 100e6;

/// Width of the trial that shows whether the browser can decode a picture to its end: it keeps no more of it than that.
const TRIAL_WIDTH: u32 = 64;

/// The pictures that come with the page.
pub const SAMPLES: [(&str, &str); 6] = [
    ("dog_face", "a dog"),
    ("red_apple", "an apple"),
    ("automobile", "a car"),
    ("guitar", "a guitar"),
    ("house", "a house"),
    ("grinning_face", "a face"),
];

/// Where such a picture lies.
pub fn sample_url(name: &str) -> String {
    format!("models/clip-emoji/images/{name}.png")
}

impl Session {
    /// The pictures of a panel.
    pub fn album(self, panel: Panel) -> Album {
        match panel {
            Panel::Match => self.state.matching.album,
            _ => self.state.album,
        }
    }

    /// Take in files. What this browser cannot read is refused by name; the others are asked about at once.
    pub fn add_pictures(self, panel: Panel, files: Vec<Incoming>) {
        let album = self.album(panel);
        album.refused.update(Vec::clear);
        album.n_unread.update(|n| *n += files.len());
        spawn_local(async move {
            for Incoming { file, .. } in files {
                match read(&file).await {
                    Ok(size) => album.add(file.name(), file.into(), size),
                    Err(reason) => album.refuse(file.name(), reason),
                }
                album.n_unread.update(|n| *n = n.saturating_sub(1));
            }
            self.ask_about(panel);
        });
    }

    /// Take in a picture that comes with the page.
    pub fn add_sample(self, panel: Panel, name: &'static str) {
        spawn_local(async move {
            match fetch(name).await {
                Ok(file) => self.add_pictures(panel, vec![Incoming::new(file)]),
                Err(_) => self.album(panel).refuse(name.into(), "it could not be fetched from this site.".into()),
            }
        });
    }

    /// Work on what is new, unless that is going on already: then it is taken up at the end.
    pub(super) fn ask_about(self, panel: Panel) {
        let is_busy = self.state.work(panel).with_untracked(|work| work.is_busy());
        let has_any = self.album(panel).pictures.with_untracked(|pictures| !pictures.is_empty());
        if has_any && !is_busy {
            self.run(panel);
        }
    }
}

/// Width and height in pixels of a picture that the browser can decode, which it does beside the page's own work.
async fn read(file: &File) -> Result<(u32, u32), String> {
    let kind = file.type_();
    if file.size() == 0.0 {
        return Err("the file is empty.".into());
    }
    // Some systems and servers call everything that they do not know a stream of bytes: then the decoder knows better.
    let is_unknown = kind.is_empty() || kind == "application/octet-stream";
    if !is_unknown && !kind.starts_with("image/") {
        return Err(format!("it is no picture ({kind})."));
    }
    if file.size() > LARGEST_FILE {
        return Err(format!("it is larger than {}.", format::bytes(LARGEST_FILE as u64)));
    }
    let unreadable = |_: JsValue| "this browser cannot read it as a picture.".to_string();
    let (width, height) = size(file).await.map_err(unreadable)?;
    if f64::from(width) * f64::from(height) > MOST_PIXELS {
        let most = format::count((MOST_PIXELS / 1e6) as u32);
        return Err(format!("it has {width} by {height} pixels; at most {most} million fit. Make it smaller first."));
    }
    let window = web_sys::window().ok_or("there is no page")?;
    let options = ImageBitmapOptions::new();
    options.set_resize_width(TRIAL_WIDTH.min(width.max(1)));
    let decoding = window.create_image_bitmap_with_blob_and_image_bitmap_options(file, &options).map_err(unreadable)?;
    let bitmap: ImageBitmap = JsFuture::from(decoding).await.map_err(unreadable)?.unchecked_into();
    bitmap.close();
    Ok((width, height))
}

/// Width and height in pixels, upright, as the head of the file tells them: nothing is decoded yet.
async fn size(file: &Blob) -> Result<(u32, u32), JsValue> {
    let url = Url::create_object_url_with_blob(file)?;
    let image = HtmlImageElement::new()?;
    let loading = Promise::new(&mut |done, failed| {
        image.set_onload(Some(&done));
        image.set_onerror(Some(&failed));
    });
    image.set_src(&url);
    let loaded = JsFuture::from(loading).await;
    Url::revoke_object_url(&url)?;
    loaded?;
    Ok((image.natural_width(), image.natural_height()))
}

async fn fetch(name: &str) -> Result<File, JsValue> {
    let window = web_sys::window().ok_or("there is no page")?;
    let answer: Response = JsFuture::from(window.fetch_with_str(&sample_url(name))).await?.unchecked_into();
    if !answer.ok() {
        return Err(answer.status().into());
    }
    let blob: Blob = JsFuture::from(answer.blob()?).await?.unchecked_into();
    named(&blob, &format!("{}.png", name.replace('_', " ")))
}

/// A blob as a file with a name.
pub fn named(blob: &Blob, name: &str) -> Result<File, JsValue> {
    let options = FilePropertyBag::new();
    options.set_type(&blob.type_());
    File::new_with_blob_sequence_and_options(&js_sys::Array::of1(blob), name, &options)
}
