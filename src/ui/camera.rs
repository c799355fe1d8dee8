//! A picture from the camera: a preview in a dialog, one press, done. The camera is off again when the dialog closes.

use js_sys::Promise;
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, CanvasRenderingContext2d, DomException, File, HtmlCanvasElement, HtmlVideoElement, MediaStream,
    MediaStreamConstraints, MediaStreamTrack,
};

use super::files_in::Incoming;
use super::icons::{self, Glyph};
use super::session::{Session, named};
use super::state::work::Panel;

/// The dialog.
#[component]
pub fn Camera(
    /// Whose picture it will be.
    panel: Panel,
    /// Whether it is open.
    open: RwSignal<bool>,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let dialog = NodeRef::<html::Dialog>::new();
    let preview = NodeRef::<html::Video>::new();
    let stream = StoredValue::new(None::<SendWrapper<MediaStream>>);
    let words = RwSignal::new("");
    let trouble = RwSignal::new(None::<Trouble>);
    let is_on = RwSignal::new(false);
    let stop = move || {
        is_on.set(false);
        if let Some(stream) = stream.try_update_value(Option::take).flatten() {
            stream.get_tracks().iter().for_each(|track| track.unchecked_into::<MediaStreamTrack>().stop());
        }
    };
    let start = move || {
        words.set("Waiting for the camera. The browser may ask whether this page may use it.");
        trouble.set(None);
        spawn_local(async move {
            match camera().await {
                // Closed while the browser was asking.
                Ok(found) if !open.get_untracked() => {
                    found.get_tracks().iter().for_each(|track| track.unchecked_into::<MediaStreamTrack>().stop());
                }
                Ok(found) => {
                    if let Some(video) = preview.get_untracked() {
                        video.set_src_object(Some(&found));
                        // It plays by itself where the browser lets it; the first frame is enough otherwise.
                        let _ = video.play();
                    }
                    stream.set_value(Some(SendWrapper::new(found)));
                    words.set("Waiting for the camera's first picture.");
                }
                Err(error) => {
                    words.set("");
                    trouble.set(Some(reason(&error)));
                }
            }
        });
    };
    // A camera that is open has still nothing to show for a moment.
    let has_frame = move |_| {
        if stream.with_value(Option::is_some) {
            words.set("");
            is_on.set(true);
        }
    };
    Effect::new(move || {
        let Some(dialog) = dialog.get() else { return };
        if !open.get() {
            stop();
            dialog.close();
        } else if !dialog.open() {
            // It fails only for a dialog that is open already.
            let _ = dialog.show_modal();
            start();
        }
    });
    on_cleanup(stop);
    let take = move |_| {
        let Some(video) = preview.get_untracked().filter(|_| is_on.get_untracked()) else { return };
        spawn_local(async move {
            match picture(&video).await {
                Ok(file) => {
                    open.set(false);
                    session.add_pictures(panel, vec![Incoming::new(file)]);
                }
                Err(_) => trouble.set(Some(("The browser gave no picture.", "Press the button again."))),
            }
        });
    };
    let title = StoredValue::new(format!("camera-title-{}", panel as usize));
    view! {
        <dialog class="camera" node_ref=dialog aria-labelledby=title.get_value() on:close=move |_| open.set(false)>
            <header class="camera__head">
                <h2 id=title.get_value()>"Take a picture"</h2>
                <button type="button" class="button button--bare" aria-label="Close the camera" on:click=move |_| open.set(false)>
                    <Glyph icon=icons::CLOSE />
                </button>
            </header>
            <div class="camera__view">
                <video
                    class="camera__preview"
                    node_ref=preview
                    muted
                    playsinline
                    aria-label="What the camera sees"
                    on:loadeddata=has_frame
                ></video>
                <p class="camera__words" role="status">{words}</p>
                <div class="camera__trouble" role="alert">
                    {move || trouble.get().map(|(what, hint)| view! { <p><strong>{what}</strong></p> <p>{hint}</p> })}
                </div>
            </div>
            <div class="camera__ways">
                <button type="button" class="button button--primary" aria-disabled=move || (!is_on.get()).to_string() on:click=take>
                    <Glyph icon=icons::CAMERA />
                    "Take it"
                </button>
                <Show when=move || trouble.with(Option::is_some) && !is_on.get()>
                    <button type="button" class="button" on:click=move |_| start()>
                        <Glyph icon=icons::AGAIN />
                        "Try again"
                    </button>
                </Show>
            </div>
        </dialog>
    }
}

/// The camera that looks away from the visitor, where there are two.
async fn camera() -> Result<MediaStream, JsValue> {
    let window = web_sys::window().ok_or("there is no page")?;
    let wanted = js_sys::Object::new();
    js_sys::Reflect::set(&wanted, &"facingMode".into(), &"environment".into())?;
    let constraints = MediaStreamConstraints::new();
    constraints.set_video(&wanted);
    let asking = window.navigator().media_devices()?.get_user_media_with_constraints(&constraints)?;
    Ok(JsFuture::from(asking).await?.unchecked_into())
}

/// What is wrong with the camera, and what to do.
type Trouble = (&'static str, &'static str);

/// Why there is no camera.
fn reason(error: &JsValue) -> Trouble {
    let name = error.dyn_ref::<DomException>().map(DomException::name).unwrap_or_default();
    match name.as_str() {
        "NotAllowedError" => (
            "This page may not use the camera.",
            "Allow it in the browser's settings for this page, then try again. Or close this and choose a picture.",
        ),
        "NotFoundError" => {
            ("There is no camera here.", "Connect one and try again, or close this and choose a picture.")
        }
        "NotReadableError" => (
            "The camera is in use.",
            "Close the other program that uses it, then try again. Or close this and choose a picture.",
        ),
        _ => ("This browser gives the page no camera.", "Close this and choose a picture instead."),
    }
}

/// The frame that is showing, as a file.
async fn picture(video: &HtmlVideoElement) -> Result<File, JsValue> {
    let document = web_sys::window().and_then(|window| window.document()).ok_or("there is no page")?;
    let canvas: HtmlCanvasElement = document.create_element("canvas")?.unchecked_into();
    canvas.set_width(video.video_width());
    canvas.set_height(video.video_height());
    let context: CanvasRenderingContext2d = canvas.get_context("2d")?.ok_or("there is no canvas")?.unchecked_into();
    context.draw_image_with_html_video_element(video, 0.0, 0.0)?;
    let encoding = Promise::new(&mut |resolve, reject| {
        if let Err(error) = canvas.to_blob(&resolve) {
            // A rejection reaches whoever waits for the promise.
            let _ = reject.call1(&JsValue::NULL, &error);
        }
    });
    let blob: Blob = JsFuture::from(encoding).await?.dyn_into()?;
    named(&blob, "From the camera.png")
}
