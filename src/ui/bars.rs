//! Words with their probabilities, as bars.

use leptos::prelude::*;

use super::format;

/// The list, the most probable first as given.
#[component]
pub fn Bars(
    /// What is listed, for those who do not see it.
    #[prop(into)]
    label: String,
    /// Words and probabilities.
    #[prop(into)]
    scores: Signal<Vec<(String, f32)>>,
) -> impl IntoView {
    view! {
        <ol class="bars" aria-label=label>
            {move || {
                scores
                    .get()
                    .into_iter()
                    .map(|(words, score)| {
                        view! {
                            <li class="bars__bar" style=format!("--share: {:.3}", score.clamp(0.0, 1.0))>
                                <span class="bars__words">{words}</span>
                                <span class="bars__score" title=format!("{score:.6}")>{format::percent(score)}</span>
                            </li>
                        }
                    })
                    .collect_view()
            }}
        </ol>
    }
}
