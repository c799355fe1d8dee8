//! What the visitor does with the model that writes: text for each text, or for each line.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Session;
use super::work::Batch;
use crate::protocol::GenerateOptions;
use crate::ui::clock::now_ms;
use crate::ui::jobs::Sizes;
use crate::ui::passages;
use crate::ui::state::Remedy;
use crate::ui::state::work::Panel;
use crate::ui::state::writing::{Piece, Pulse};

/// Texts of a job: as many as there are, since each is shown while it grows. The most keeps a file of lines from becoming one message.
const PROMPTS: Sizes = Sizes { least: 256, most: 256 };

impl Session {
    /// The texts that would be written for now.
    pub fn prompts(self) -> Vec<String> {
        let by_line = self.state.settings.with(|settings| settings.line_by_line);
        self.state.writing.prompt.with(|prompt| match by_line {
            true => passages::lines(prompt),
            false => Some(prompt.trim()).filter(|prompt| !prompt.is_empty()).map(String::from).into_iter().collect(),
        })
    }

    /// Take the texts from a file.
    pub fn open_prompt(self, file: web_sys::File) {
        spawn_local(async move {
            match super::sentences::read_text(&file).await {
                Ok(text) => self.state.writing.prompt.set(text),
                Err(failure) => self.state.alert(Panel::Write.task(), failure, Remedy::Nothing),
            }
        });
    }

    /// Write a text for each of them, as soon as the model is there.
    pub(super) fn write(self) {
        let (state, writing) = (self.state, self.state.writing);
        let prompts = untrack(|| self.prompts());
        if prompts.is_empty() {
            return;
        }
        let Some(pipeline) = self.model_for(Panel::Write) else { return };
        let options = state.settings.with_untracked(|settings| settings.generate.clone());
        let pieces: Vec<Piece> = prompts.into_iter().map(Piece::new).collect();
        writing.pieces.set(pieces.clone());
        writing.pulse.set(Pulse::default());
        writing.timings.set(None);
        let batch = Batch { panel: Panel::Write, run: self.begin(Panel::Write, pieces.len()), sizes: PROMPTS };
        spawn_local(async move {
            let start = now_ms();
            let written = self.in_jobs(
                batch,
                &pieces,
                |pieces, on_event| {
                    let (growing, prompts) = (pieces.to_vec(), pieces.iter().map(|piece| piece.prompt.clone()));
                    pipeline.generate(prompts.collect(), options.clone(), move |event| {
                        on_event(event);
                        writing.grow(&growing, event, now_ms());
                    })
                },
                |pieces, written| match written {
                    Ok((outputs, timings)) => writing.end(pieces, outputs, timings),
                    Err(why) => pieces.iter().for_each(|piece| piece.trouble.set(Some(why.clone()))),
                },
            );
            if written.await.is_some() {
                self.finish(Panel::Write, now_ms() - start);
            }
        });
    }
}

/// What is wrong with these options, for people; `None` where nothing is.
pub fn contradiction(options: &GenerateOptions) -> Option<&'static str> {
    if options.num_beams > 1 && options.temperature > 0.0 {
        Some("Several beams weigh texts, they do not draw them: set the temperature to 0, or the beams to 1.")
    } else if options.temperature == 0.0 && (options.top_k.is_some() || options.top_p < 1.0) {
        Some(
            "With temperature 0 nothing is drawn, so \"among the best\" and \"probability together\" change nothing: raise the temperature.",
        )
    } else {
        None
    }
}
