//! What the engine has told in this page's life, as far as a report of a fault needs it: what went wrong and when, and what is loaded.

use serde::Serialize;

use crate::protocol::{
    Event, Failure, FailureKind, Inspection, PipelineId, PipelineInfo, PipelineTrace, Roofline, Timings,
};

/// So many failures are kept, the latest.
const MOST_FAILURES: usize = 50;

/// What was told.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Chronicle {
    /// What went wrong, in order.
    pub failures: Vec<Noted>,
    /// Models that were loaded and not disposed of.
    pub models: Vec<LoadedModel>,
    /// What the GPU can do, where it was measured.
    pub roofline: Option<Roofline>,
    /// What the last transcription took.
    pub last_transcription: Option<Timings>,
}

/// A failure and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Noted {
    /// Milliseconds since the page was opened.
    pub after_ms: f64,
    /// What it was.
    pub failure: Failure,
}

/// A loaded model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadedModel {
    /// What was loaded, and on what it runs.
    pub info: PipelineInfo,
    /// Whether it went down with the GPU or the engine.
    pub lost: bool,
    /// Where its time goes, where that was measured.
    pub trace: Option<PipelineTrace>,
    /// What its last check against the definitions found.
    pub inspection: Option<Inspection>,
}

impl Chronicle {
    /// Takes in what the engine said.
    pub fn note(&mut self, event: &Event, after_ms: f64) {
        match event {
            Event::Failed { failure, .. } | Event::Notice { failure, .. } => self.note_failure(failure, after_ms),
            Event::DeviceLost { reason } => {
                let (message, hint) = (format!("the GPU went away: {reason}"), String::new());
                self.note_failure(&Failure { kind: FailureKind::DeviceLost, message, hint }, after_ms);
                self.lose_models();
            }
            Event::Usable { pipeline, .. } | Event::Loaded { pipeline, .. } | Event::Moved { pipeline, .. } => {
                self.forget(pipeline.id);
                let info = pipeline.clone();
                self.models.push(LoadedModel { info, lost: false, trace: None, inspection: None });
            }
            Event::Roofline { roofline, .. } => self.roofline = Some(roofline.clone()),
            Event::Traced { trace, .. } => {
                self.roofline = Some(trace.roofline.clone());
                for model in self.models.iter_mut().filter(|model| model.info.id == trace.pipeline) {
                    model.trace = Some(trace.clone());
                }
            }
            Event::Inspected { inspection, .. } => {
                for model in self.models.iter_mut().filter(|model| model.info.id == inspection.pipeline) {
                    model.inspection = Some(inspection.clone());
                }
            }
            Event::Transcribed { transcript, .. } => self.last_transcription = Some(transcript.timings),
            _ => {}
        }
    }

    /// Takes in what went wrong; that the visitor stopped something is no failure.
    fn note_failure(&mut self, failure: &Failure, after_ms: f64) {
        if failure.kind == FailureKind::Cancelled {
            return;
        }
        if self.failures.len() == MOST_FAILURES {
            self.failures.remove(0);
        }
        self.failures.push(Noted { after_ms, failure: failure.clone() });
    }

    /// The engine stopped.
    pub fn note_crash(&mut self, failure: &Failure, after_ms: f64) {
        self.note_failure(failure, after_ms);
        self.lose_models();
    }

    /// A model was disposed of.
    pub fn forget(&mut self, pipeline: PipelineId) {
        self.models.retain(|model| model.info.id != pipeline);
    }

    /// What is loaded goes away with the engine.
    pub fn lose_models(&mut self) {
        self.models.iter_mut().for_each(|model| model.lost = true);
    }

    /// Without the words of refusals: they can quote what was typed, or name a file.
    pub fn without_words(mut self) -> Self {
        for Noted { failure, .. } in &mut self.failures {
            if failure.kind == FailureKind::Input {
                failure.message = "something that was put in was refused; its words are left out".into();
                failure.hint.clear();
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::JobId;

    fn failure(kind: FailureKind, message: &str) -> Failure {
        Failure { kind, message: message.into(), hint: format!("about {message}") }
    }

    fn failed(kind: FailureKind, message: &str) -> Event {
        Event::Failed { job: JobId(1), failure: failure(kind, message) }
    }

    #[test]
    fn failures_are_kept_in_order_and_not_without_end() {
        let mut chronicle = Chronicle::default();
        chronicle.note(&failed(FailureKind::Cancelled, "stopped"), 1.0);
        assert!(chronicle.failures.is_empty(), "what the visitor stops is no failure");
        for n in 0..MOST_FAILURES + 3 {
            chronicle.note(&failed(FailureKind::Network, &n.to_string()), n as f64);
        }
        let kept: Vec<&str> = chronicle.failures.iter().map(|noted| noted.failure.message.as_str()).collect();
        assert_eq!((kept.len(), kept[0], kept[MOST_FAILURES - 1]), (MOST_FAILURES, "3", "52"));
        assert_eq!(chronicle.failures[0].after_ms, 3.0);
    }

    #[test]
    fn what_was_put_in_is_not_quoted_unless_it_is_asked_for() {
        let mut chronicle = Chronicle::default();
        chronicle.note(&failed(FailureKind::Input, "`my secret` is no text"), 1.0);
        chronicle.note(&failed(FailureKind::Network, "the server went away"), 2.0);
        assert!(chronicle.failures[0].failure.message.contains("my secret"));
        let told = serde_json::to_string(&chronicle.without_words()).unwrap();
        assert!(!told.contains("secret") && told.contains("the server went away") && told.contains("input"), "{told}");
    }

    #[test]
    fn a_lost_gpu_is_a_failure() {
        let mut chronicle = Chronicle::default();
        chronicle.note(&Event::DeviceLost { reason: "it was unplugged".into() }, 5.0);
        assert_eq!(chronicle.failures[0].failure.kind, FailureKind::DeviceLost);
        assert!(chronicle.failures[0].failure.message.contains("unplugged"));
    }
}
