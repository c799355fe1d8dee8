//! Test counts read from what the test programs print. Reads text only; `test` runs the programs.

use std::ops::AddAssign;

use serde::Deserialize;

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed, and steps that broke before they could count.
    pub failed: usize,
}

impl Tally {
    /// One pass: a step that is a check by itself.
    pub const PASS: Self = Self { passed: 1, failed: 0 };
    /// One failure: a step that broke.
    pub const FAIL: Self = Self { passed: 0, failed: 1 };

    /// Agrees with the exit status: a program that failed without a failed test, or that ran no test at all, is a
    /// failure. So a runner that dies, or whose output changed its form, is never counted as a success.
    pub fn judged_by(mut self, success: bool) -> Self {
        let silent = self == Self::default();
        if self.failed == 0 && (!success || silent) {
            self.failed = 1;
        }
        self
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Sums the `test result: ok. 3 passed; 1 failed; …` lines of `cargo test` and of wasm-bindgen's test runner.
pub fn from_cargo(output: &str) -> Tally {
    let mut tally = Tally::default();
    for line in output.lines() {
        let Some((_, counts)) = line.split_once("test result:") else { continue };
        tally.passed += number_before(counts, "passed");
        tally.failed += number_before(counts, "failed");
    }
    tally
}

/// `number_before(" ok. 3 passed; 1 failed", "failed")` is 1; 0 where the word is missing.
fn number_before(text: &str, word: &str) -> usize {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c == ';').filter(|w| !w.is_empty()).collect();
    words.windows(2).find(|pair| pair[1] == word).and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

/// Reads Playwright's JSON report. A flaky test (failed, then passed when repeated) counts as passed, as Playwright's
/// own exit status does; errors outside of tests (a web server that did not start) count as failures.
pub fn from_playwright(report: &str) -> Result<Tally, serde_json::Error> {
    #[derive(Deserialize)]
    struct Report {
        stats: Stats,
        #[serde(default)]
        errors: Vec<serde_json::Value>,
    }
    #[derive(Deserialize)]
    struct Stats {
        expected: usize,
        unexpected: usize,
        #[serde(default)]
        flaky: usize,
    }
    let report: Report = serde_json::from_str(report)?;
    let Stats { expected, unexpected, flaky } = report.stats;
    Ok(Tally { passed: expected + flaky, failed: unexpected + report.errors.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_test_binaries_are_summed() {
        let output = "\
running 2 tests
test a ... ok
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
running 3 tests
test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";
        assert_eq!(from_cargo(output), Tally { passed: 3, failed: 2 });
    }

    #[test]
    fn wasm_bindgen_runner_is_understood_with_its_indentation() {
        let output = "    test result: ok. 5 passed; 0 failed; 0 ignored; 1 filtered out; finished in 3.20s\n";
        assert_eq!(from_cargo(output), Tally { passed: 5, failed: 0 });
    }

    #[test]
    fn a_runner_that_dies_is_a_failure() {
        assert_eq!(from_cargo("error: could not compile").judged_by(false), Tally::FAIL);
        assert_eq!(Tally { passed: 4, failed: 0 }.judged_by(false), Tally { passed: 4, failed: 1 });
        assert_eq!(Tally { passed: 4, failed: 2 }.judged_by(false), Tally { passed: 4, failed: 2 });
    }

    #[test]
    fn a_step_without_a_single_test_is_a_failure() {
        assert_eq!(Tally::default().judged_by(true), Tally::FAIL);
    }

    #[test]
    fn playwright_counts_flaky_as_passed_and_stray_errors_as_failed() {
        let report = r#"{"suites": [], "errors": [{"message": "web server"}],
            "stats": {"startTime": "x", "duration": 1.5, "expected": 7, "skipped": 1, "unexpected": 2, "flaky": 1}}"#;
        assert_eq!(from_playwright(report).unwrap(), Tally { passed: 8, failed: 3 });
    }

    #[test]
    fn a_truncated_playwright_report_is_an_error() {
        assert!(from_playwright(r#"{"stats": {"expected": 7"#).is_err());
    }
}
