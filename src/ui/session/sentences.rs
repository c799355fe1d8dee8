//! What the visitor does with sentences: rank them, search in a text, fill gaps.

use std::ops::Range;
use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;
use web_sys::File;

use super::Session;
use crate::protocol::{Failure, FailureKind};
use crate::ui::format;
use crate::ui::passages;
use crate::ui::platform::Pipeline;
use crate::ui::state::sentences::{Document, Hits, Index};
use crate::ui::state::work::{Panel, Phase, Work};
use crate::ui::state::{Remedy, now_ms};
use crate::ui::vectors;

/// Texts that are asked for at once: their vectors reach the page in a few milliseconds, so it never stalls.
pub(super) const TEXTS_AT_ONCE: usize = 32;

/// Larger texts are refused.
const LARGEST_TEXT: f64 = 2e6;

/// Passages shown for a question.
const N_HITS: usize = 10;

/// Candidates for each gap.
const N_CANDIDATES: u32 = 8;

/// How a gap is written on this page, whatever the model's own mark for it.
pub const GAP: &str = "___";

impl Session {
    /// Compare the query with the sentences kept in the comparison, as soon as the model is there.
    pub(super) fn compare(self) {
        let comparison = self.state.sentences.comparison;
        let Some(pipeline) = self.model_for(Panel::Rank) else { return };
        let texts: Vec<String> = comparison.with_untracked(|comparison| {
            std::iter::once(&comparison.query).chain(&comparison.sentences).cloned().collect()
        });
        let run = self.begin(Panel::Rank, texts.len());
        spawn_local(async move {
            let start = now_ms();
            let mut embeddings = Vec::new();
            let mut n_cut = 0;
            for texts in texts.chunks(TEXTS_AT_ONCE) {
                let Some((vectors, cut)) = self.embed(Panel::Rank, run, &pipeline, texts.to_vec()).await else {
                    return;
                };
                embeddings.extend(vectors);
                n_cut += cut;
            }
            comparison.update(|comparison| comparison.rank(&embeddings, n_cut));
            self.finish(Panel::Rank, now_ms() - start);
        });
    }

    /// The vectors of these texts, and how many of them were cut.
    pub(super) async fn embed(
        self,
        panel: Panel,
        run: u32,
        pipeline: &Pipeline,
        texts: Vec<String>,
    ) -> Option<(Vec<Vec<f32>>, u32)> {
        let (state, n_texts) = (self.state, texts.len());
        let pending = pipeline.embed(texts, None, move |event| state.apply(event));
        let embedded = self.follow(panel, run, n_texts, pending).await?;
        Some((embedded.embeddings, embedded.n_cut))
    }

    /// Take the text to search in from a file.
    pub fn open_text(self, file: File) {
        let sentences = self.state.sentences;
        spawn_local(async move {
            let text = match read_text(&file).await {
                Ok(text) => text,
                Err(failure) => return self.state.alert(Panel::Search.task(), failure, Remedy::Nothing),
            };
            self.cancel(Panel::Search);
            sentences.hits.set(None);
            sentences.document.set(Some(Document { file: Some(file.name()), text: text.into() }));
            if sentences.question.with_untracked(|question| !question.trim().is_empty()) {
                self.run(Panel::Search);
            }
        });
    }

    /// Make the text searchable, as far as that is not done, and answer the question, if there is one.
    pub(super) fn search(self) {
        let sentences = self.state.sentences;
        let Some(document) = sentences.document.get_untracked() else { return };
        let Some(pipeline) = self.model_for(Panel::Search) else { return };
        let (id, cut) = (pipeline.info().id, sentences.cut.get_untracked());
        let fits = |index: &Index| *index.text == *document.text && index.cut == cut && index.pipeline == id;
        if !sentences.index.with_untracked(|index| index.as_ref().is_some_and(fits)) {
            let passages: Arc<[Range<usize>]> = passages::split(&document.text, cut).into();
            let (text, vectors) = (document.text.clone(), Vec::new());
            sentences.index.set(Some(Index { text, cut, pipeline: id, passages, vectors, n_cut: 0 }));
        }
        let (passages, n_done) = sentences.index.with_untracked(|index| {
            index.as_ref().map_or_else(Default::default, |index| (index.passages.clone(), index.vectors.len()))
        });
        let question = sentences.question.get_untracked().trim().to_string();
        let run = self.begin(Panel::Search, passages.len() - n_done);
        let text = document.text;
        spawn_local(async move {
            let start = now_ms();
            for passages in passages[n_done..].chunks(TEXTS_AT_ONCE) {
                let texts = passages.iter().map(|passage| text[passage.clone()].to_string()).collect();
                let Some((vectors, n_cut)) = self.embed(Panel::Search, run, &pipeline, texts).await else { return };
                sentences.index.update(|index| {
                    if let Some(index) = index {
                        index.vectors.extend(vectors);
                        index.n_cut += n_cut;
                    }
                });
            }
            let indexed = now_ms();
            if !question.is_empty() {
                let asked = self.embed(Panel::Search, run, &pipeline, vec![question.clone()]).await;
                let Some(vector) = asked.and_then(|(mut vectors, _)| vectors.pop()) else { return };
                let scores = sentences.index.with_untracked(|index| {
                    let vectors = index.iter().flat_map(|index| &index.vectors);
                    vectors.map(|passage| vectors::dot(&vector, passage)).collect::<Vec<_>>()
                });
                let best = vectors::best(scores, N_HITS);
                let took_ms = now_ms() - indexed;
                sentences.hits.set(Some(Hits { query: question, text, passages, best, took_ms }));
            }
            self.finish(Panel::Search, now_ms() - start);
        });
    }

    /// Find words for the gaps of the text in hand.
    pub(super) fn fill(self) {
        let (state, sentences) = (self.state, self.state.sentences);
        let Some(pipeline) = self.model_for(Panel::Gap) else { return };
        let gapped = sentences.gapped.get_untracked();
        let Some(mask) = pipeline.info().mask_token else {
            let message = format!("{} does not say how it marks a gap.", pipeline.info().model.title);
            let hint = "Its tokenizer has no mask token: choose another model.".into();
            state.work(Panel::Gap).update(|work: &mut Work| work.end(Phase::Failed));
            let failure = Failure { kind: FailureKind::Model, message, hint };
            return state.alert(Panel::Gap.task(), failure, Remedy::Nothing);
        };
        let run = self.begin(Panel::Gap, 1);
        spawn_local(async move {
            let start = now_ms();
            let text = gapped.replace(GAP, &mask);
            let pending = pipeline.fill_mask(vec![text], N_CANDIDATES, None, move |event| state.apply(event));
            let Some(mut results) = self.follow(Panel::Gap, run, 1, pending).await else { return };
            sentences.candidates.set(results.pop().unwrap_or_default());
            self.finish(Panel::Gap, now_ms() - start);
        });
    }
}

/// The words of a text file.
pub(super) async fn read_text(file: &File) -> Result<String, Failure> {
    let refuse = |message: &str, hint: &str| {
        let message = format!("{}: {message}", file.name());
        Failure { kind: FailureKind::Input, message, hint: hint.into() }
    };
    if file.size() > LARGEST_TEXT {
        let most = format::bytes(LARGEST_TEXT as u64);
        return Err(refuse(&format!("the text is larger than {most}."), "Choose a part of it."));
    }
    let text = JsFuture::from(file.text())
        .await
        .map_err(|_| refuse("the file could not be read.", "It may have been moved or changed: choose it again."))?;
    let text = text.as_string().unwrap_or_default();
    // What is no text decodes to marks of its own, or holds the zeros that texts never do.
    if text.contains('\0') || text.chars().take(4096).filter(|c| *c == char::REPLACEMENT_CHARACTER).count() > 3 {
        return Err(refuse("this is no text.", "Choose a plain text or Markdown file, in UTF-8."));
    }
    if text.trim().is_empty() {
        return Err(refuse("the file holds no words.", "Choose another text."));
    }
    Ok(text)
}
