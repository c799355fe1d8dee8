//! What the last transcription took, as a strip that opens into exact values and how they were measured.

use leptos::prelude::*;

use super::capability::backend_name;
use super::format;
use super::session::Session;
use crate::protocol::Transcript;

/// The strip.
#[component]
pub fn TimingsStrip() -> impl IntoView {
    let state = expect_context::<Session>().state;
    view! {
        <section class="timings" aria-label="Timings" hidden=move || state.speech.transcript.with(Option::is_none)>
            {move || state.speech.transcript.with(|transcript| transcript.as_ref().map(strip))}
        </section>
    }
}

/// Name, value for people, exact value, how it was measured.
type Row = (&'static str, String, String, &'static str);

fn strip(transcript: &Transcript) -> impl IntoView + use<> {
    let t = &transcript.timings;
    let ms = |value: f64| (format::duration_ms(value), format!("{value:.2} ms"));
    let row = |name, (short, exact): (String, String), how| -> Row { (name, short, exact, how) };
    let rows = [
        row(
            "Speed",
            (format::speed(t.rtf), format!("{:.4} s of work per second of audio", t.rtf)),
            "All work divided by the length of the audio.",
        ),
        row("Audio", (format!("{:.1} s", t.audio_s), format!("{:.3} s", t.audio_s)), "Length of the recording."),
        row("Features", ms(t.mel_ms), "Log-mel spectrogram, all windows."),
        row("Encoder", ms(t.encode_ms), "Encoder and its keys and values, all windows."),
        row("Decoder", ms(t.decode_ms), "Prompts and tokens, all windows."),
        row("First word", ms(t.first_token_ms), "From the command to the first token."),
        row(
            "Tokens",
            (format!("{:.0} a second", t.tokens_per_s), format!("{:.2} a second", t.tokens_per_s)),
            "Decoded tokens a second of decoder time.",
        ),
        row("Total", ms(t.total_ms), "From the command to the text; of a live recording, from its end."),
    ];
    let device = format!("{} · {}", transcript.adapter, backend_name(transcript.backend));
    let short = [0, 1, 3, 4, 6].map(|i: usize| (rows[i].0, rows[i].1.clone(), rows[i].2.clone()));
    view! {
        <dl class="timings__strip">
            {short
                .map(|(name, value, exact)| {
                    view! { <div class="timings__one"><dt>{name}</dt><dd title=exact>{value}</dd></div> }
                })
                .collect_view()}
        </dl>
        <details class="timings__details">
            <summary>"All timings and how they were measured"</summary>
            <table>
                <thead>
                    <tr><th scope="col">"What"</th><th scope="col">"Exactly"</th><th scope="col">"How"</th></tr>
                </thead>
                <tbody>
                    {rows
                        .map(|(name, _, exact, how)| {
                            view! { <tr><th scope="row">{name}</th><td class="timings__exact">{exact}</td><td>{how}</td></tr> }
                        })
                        .collect_view()}
                </tbody>
            </table>
            <p>{format!("Measured in this browser on {device}, language {}.", transcript.language)}</p>
        </details>
    }
}
