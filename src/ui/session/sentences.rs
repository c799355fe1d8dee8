//! What the visitor does with sentences: rank them, search in a text, fill gaps.

use std::ops::Range;
use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;
use web_sys::File;

use super::Session;
use super::work::Batch;
use crate::protocol::{Failure, FailureKind};
use crate::ui::clock::now_ms;
use crate::ui::format;
use crate::ui::jobs::TEXTS;
use crate::ui::passages;
use crate::ui::state::Remedy;
use crate::ui::state::sentences::{Document, Hits, Index};
use crate::ui::state::work::{Panel, Phase, Work};

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
        comparison.update(|comparison| (comparison.unread, comparison.n_cut) = (Vec::new(), 0));
        spawn_local(async move {
            let start = now_ms();
            let texts: Vec<(usize, String)> = texts.into_iter().enumerate().collect();
            let mut embeddings: Vec<Option<Vec<f32>>> = vec![None; texts.len()];
            let compared = self.in_jobs(
                Batch { panel: Panel::Rank, run, sizes: TEXTS },
                &texts,
                |texts, on_event| pipeline.embed(texts.iter().map(|(_, text)| text.clone()).collect(), None, on_event),
                |texts, made| match made {
                    Ok(made) => {
                        comparison.update(|comparison| comparison.n_cut += made.n_cut);
                        texts.iter().zip(made.embeddings).for_each(|((n, _), vector)| embeddings[*n] = Some(vector));
                    }
                    Err(why) => comparison.update(|comparison| {
                        comparison.unread.extend(texts.iter().map(|(_, text)| (text.clone(), why.clone())))
                    }),
                },
            );
            let compared = compared.await;
            // What was read before a stop is ranked all the same.
            if self.is_of_run(Panel::Rank, run) {
                comparison.update(|comparison| comparison.rank(&embeddings));
            }
            if compared.is_some() {
                self.finish(Panel::Rank, now_ms() - start);
            }
        });
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
            let (text, vectors) = (document.text.clone(), vec![None; passages.len()]);
            sentences.index.set(Some(Index { text, cut, pipeline: id, passages, vectors, n_cut: 0 }));
        }
        let (passages, waiting) = sentences.index.with_untracked(|index| {
            index.as_ref().map_or_else(Default::default, |index| (index.passages.clone(), index.waiting()))
        });
        let question = sentences.question.get_untracked().trim().to_string();
        let run = self.begin(Panel::Search, waiting.len());
        let text = document.text;
        spawn_local(async move {
            let start = now_ms();
            let words = |n: &usize| text[passages[*n].clone()].to_string();
            let read = self.in_jobs(
                Batch { panel: Panel::Search, run, sizes: TEXTS },
                &waiting,
                |numbers, on_event| pipeline.embed(numbers.iter().map(words).collect(), None, on_event),
                |numbers, made| {
                    sentences.index.update(|index| {
                        let Some(index) = index else { return };
                        let (vectors, n_cut) = match made {
                            Ok(made) => (made.embeddings.into_iter().map(Ok).collect(), made.n_cut),
                            Err(why) => (vec![Err(why); numbers.len()], 0),
                        };
                        numbers.iter().zip(vectors).for_each(|(n, vector)| index.vectors[*n] = Some(vector));
                        index.n_cut += n_cut;
                    });
                },
            );
            if read.await.is_none() {
                return;
            }
            let indexed = now_ms();
            if !question.is_empty() {
                let state = self.state;
                let asked = pipeline.embed(vec![question.clone()], None, move |event| state.apply(event));
                let asked = self.follow(Panel::Search, run, 0, asked).await;
                let Some(vector) = asked.and_then(|mut made| made.embeddings.pop()) else { return };
                let best = sentences.index.with_untracked(|index| {
                    index.as_ref().map(|index| index.nearest(&vector, N_HITS)).unwrap_or_default()
                });
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
