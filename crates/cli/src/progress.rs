//! How far a transfer is: a bar on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pagevault_client::{ClientError, NoProgress, Progress};

use crate::text::{escape, size};

/// Between lines, where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows a transfer on stderr, in the way that fits where stderr goes.
pub(crate) fn show(quiet: bool, verb: &'static str) -> Box<dyn Progress> {
    match quiet {
        true => Box::new(NoProgress),
        false if std::io::stderr().is_terminal() => Box::new(Bar::new(verb)),
        false => Box::new(Lines { verb, state: Mutex::default() }),
    }
}

struct Bar {
    bar: ProgressBar,
    verb: &'static str,
}

impl Bar {
    fn new(verb: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        Self { bar, verb }
    }

    fn style(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("━╸ "));
        }
    }
}

impl Progress for Bar {
    fn begin(&self, position: u64, total: Option<u64>) {
        match total {
            Some(total) => {
                self.bar.set_length(total);
                self.style(
                    "{msg}  {bar:32}  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta}",
                );
            }
            None => self.style("{msg}  {binary_bytes}  {binary_bytes_per_sec}"),
        }
        self.bar.set_message(self.verb);
        self.bar.set_position(position);
        self.bar.reset_eta();
    }

    fn advance(&self, position: u64) {
        self.bar.set_position(position);
    }

    fn retry(&self, error: &ClientError, _: Duration) {
        let line = format!("{}; trying again", escape(&error.to_string()));
        self.bar.suspend(|| say(&line));
    }

    fn storing(&self) {
        self.style("{msg} {spinner}");
        self.bar.set_message("storing");
        self.bar.enable_steady_tick(Duration::from_millis(120));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

struct Lines {
    verb: &'static str,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    total: Option<u64>,
    said: Option<Instant>,
}

impl Progress for Lines {
    fn begin(&self, position: u64, total: Option<u64>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { total, said: Some(Instant::now()) };
        if position > 0 {
            say(&format!("going on after {}", size(position)));
        }
    }

    fn advance(&self, position: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.said.is_some_and(|said| said.elapsed() < LINE_EVERY) {
            return;
        }
        state.said = Some(Instant::now());
        let total = state.total.map(|total| format!(" of {}", size(total))).unwrap_or_default();
        say(&format!("{} {}{total}", self.verb, size(position)));
    }

    fn retry(&self, error: &ClientError, _: Duration) {
        say(&format!("{}; trying again", escape(&error.to_string())));
    }
}

fn say(line: &str) {
    // Progress that cannot be shown does not stop what it is about.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
