//! What the visitor does with the model that writes: text for each text, or for each line.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Session;
use crate::protocol::GenerateOptions;
use crate::ui::passages;
use crate::ui::state::work::Panel;
use crate::ui::state::writing::{Piece, Pulse};
use crate::ui::state::{Remedy, now_ms};

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
        let n_texts = prompts.len();
        writing.pieces.set(prompts.iter().cloned().map(Piece::new).collect());
        writing.pulse.set(Pulse::default());
        writing.timings.set(None);
        let run = self.begin(Panel::Write, n_texts);
        let pending = pipeline.generate(prompts, options, move |event| state.apply(event));
        spawn_local(async move {
            let start = now_ms();
            // `State::apply` has taken in the texts, as it did while they grew.
            if self.follow(Panel::Write, run, n_texts, pending).await.is_some() {
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
