//! What the user sees while something runs: named steps with their times, and progress of downloads.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Result;

/// Runs one named step and prints its name before and its time after.
pub fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {name}");
    let start = Instant::now();
    let result = work();
    let seconds = start.elapsed().as_secs_f64();
    match &result {
        Ok(_) => println!("    done in {seconds:.1} s"),
        Err(_) => println!("    FAILED after {seconds:.1} s"),
    }
    // Commands print to the same terminal: keep the order.
    io::stdout().flush().ok();
    result
}

/// A line of detail below a step.
pub fn note(text: impl AsRef<str>) {
    println!("    {}", text.as_ref());
    io::stdout().flush().ok();
}

/// `75.5 MB`, in powers of ten as browsers and package indexes count.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Progress of one download in bytes: one line that is rewritten on a terminal, a line every few seconds in a log.
pub struct Progress {
    label: String,
    total_bytes: Option<u64>,
    done_bytes: u64,
    start: Instant,
    printed: Instant,
    resumed_bytes: u64,
}

impl Progress {
    /// `resumed_bytes` were there from an earlier attempt and do not count into the speed.
    pub fn new(label: &str, total_bytes: Option<u64>, resumed_bytes: u64) -> Self {
        let now = Instant::now();
        Self { label: label.into(), total_bytes, done_bytes: resumed_bytes, start: now, printed: now, resumed_bytes }
    }

    /// Counts bytes that arrived.
    pub fn add(&mut self, bytes: u64) {
        self.done_bytes += bytes;
        let every = if io::stdout().is_terminal() { Duration::from_millis(100) } else { Duration::from_secs(5) };
        if self.printed.elapsed() >= every {
            self.printed = Instant::now();
            self.print();
        }
    }

    /// Prints the last state and ends the line.
    pub fn finish(self) {
        self.print();
        if io::stdout().is_terminal() {
            println!();
        }
    }

    fn print(&self) {
        let done = megabytes(self.done_bytes);
        let of = self.total_bytes.map_or(String::new(), |total| {
            format!(" of {} ({:.0} %)", megabytes(total), 100.0 * self.done_bytes as f64 / total.max(1) as f64)
        });
        let fresh_bytes = (self.done_bytes - self.resumed_bytes) as f64;
        let speed = fresh_bytes / 1e6 / self.start.elapsed().as_secs_f64().max(1e-3);
        let line = format!("    {}: {done}{of}, {speed:.1} MB/s", self.label);
        if io::stdout().is_terminal() {
            print!("\r\x1b[2K{line}");
        } else {
            println!("{line}");
        }
        io::stdout().flush().ok();
    }
}
