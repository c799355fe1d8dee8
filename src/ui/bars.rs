//! Words with their probabilities, as bars.

use leptos::prelude::*;

use super::format;

/// What is said of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Their probability among others.
    #[default]
    Probability,
    /// The cosine of their vector and another one.
    Cosine,
}

/// The list, the most probable first as given.
#[component]
pub fn Bars(
    /// What is listed, for those who do not see it.
    #[prop(into)]
    label: String,
    /// Words and probabilities.
    #[prop(into)]
    scores: Signal<Vec<(String, f32)>>,
    /// What is said of them.
    #[prop(optional, into)]
    kind: Signal<Kind>,
) -> impl IntoView {
    view! {
        <ol class="bars" aria-label=label>
            {move || {
                scores
                    .get()
                    .into_iter()
                    .map(|(words, score)| {
                        let (short, exact) = match kind.get() {
                            Kind::Probability => (format::percent(score), format!("{score:.6}")),
                            Kind::Cosine => (format!("{score:.2}"), format!("cosine {score:.4}")),
                        };
                        view! {
                            <li class="bars__bar" style=format!("--share: {:.3}", score.clamp(0.0, 1.0))>
                                <span class="bars__words">{words}</span>
                                <span class="bars__score" title=exact>{short}</span>
                            </li>
                        }
                    })
                    .collect_view()
            }}
        </ol>
    }
}
