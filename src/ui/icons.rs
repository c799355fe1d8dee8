//! The page's few icons, drawn here. They carry no meaning of their own: the words beside them do.

use leptos::prelude::*;

/// An icon's strokes, on a 24 by 24 grid.
#[derive(Debug, Clone, Copy)]
pub struct Icon(&'static str);

/// Record.
pub const MICROPHONE: Icon =
    Icon(r#"<rect x="9" y="3" width="6" height="11" rx="3"/><path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3"/>"#);
/// Stop.
pub const STOP: Icon = Icon(r#"<rect x="7" y="7" width="10" height="10" rx="2" fill="currentColor"/>"#);
/// A file comes in.
pub const FILE: Icon = Icon(r#"<path d="M12 15V4m-4 4 4-4 4 4M5 15v3a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2v-3"/>"#);
/// A file goes out.
pub const SAVE: Icon = Icon(r#"<path d="M12 4v11m-4-4 4 4 4-4M5 15v3a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2v-3"/>"#);
/// To the clipboard.
pub const COPY: Icon = Icon(
    r#"<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M5 15a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1h9a1 1 0 0 1 1 1"/>"#,
);
/// Once more.
pub const AGAIN: Icon = Icon(r#"<path d="M19 12a7 7 0 1 1-2.1-5M19 3.5V8h-4.5"/>"#);
/// Away with it.
pub const CLOSE: Icon = Icon(r#"<path d="m6 6 12 12M18 6 6 18"/>"#);
/// A text.
pub const TEXT: Icon = Icon(r#"<path d="M7 3.5h7l4 4v13H7zM14 3.5v4h4M10 12h5M10 16h5"/>"#);
/// Pictures.
pub const PICTURE: Icon = Icon(
    r#"<rect x="3.5" y="5" width="17" height="14" rx="2"/><circle cx="9" cy="10" r="1.5"/><path d="m4 17 5-4 4 3 3-2 4 3"/>"#,
);
/// Take a picture.
pub const CAMERA: Icon = Icon(
    r#"<path d="M4 8h3.5l1.5-2.5h6L16.5 8H20a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V9a1 1 0 0 1 1-1Z"/><circle cx="12" cy="13" r="3.5"/>"#,
);
/// Light colours.
pub const SUN: Icon = Icon(
    r#"<circle cx="12" cy="12" r="4"/><path d="M12 3v2m0 14v2M3 12h2m14 0h2M5.6 5.6 7 7m10 10 1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4"/>"#,
);
/// Dark colours.
pub const MOON: Icon = Icon(r#"<path d="M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10Z"/>"#);
/// The system's colours.
pub const HALF: Icon = Icon(r#"<circle cx="12" cy="12" r="8"/><path d="M12 4a8 8 0 0 1 0 16Z" fill="currentColor"/>"#);
/// A warning.
pub const WARNING: Icon = Icon(r#"<path d="M12 4 3 19.5h18ZM12 10v4.5M12 17v.2"/>"#);

/// Draw `icon` in the colour of the text around it.
#[component]
pub fn Glyph(
    /// Which.
    icon: Icon,
) -> impl IntoView {
    view! {
        <svg
            class="icon"
            viewBox="0 0 24 24"
            width="24"
            height="24"
            fill="none"
            stroke="currentColor"
            stroke-width="1.75"
            stroke-linecap="round"
            stroke-linejoin="round"
            aria-hidden="true"
            inner_html=icon.0
        ></svg>
    }
}
