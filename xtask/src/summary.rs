//! What ran, how long it took, what came of it, and what could not run.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::counts::Counts;

/// What came of a step.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It went well.
    Passed,
    /// It did not.
    Failed,
    /// It was not tried, and this is why.
    Skipped(String),
}

impl Outcome {
    /// Of a command that went well or not.
    pub(crate) fn of(success: bool) -> Self {
        if success { Self::Passed } else { Self::Failed }
    }
}

/// Collects steps as they end.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    steps: Vec<(String, Duration, Outcome)>,
    notes: Vec<(String, String)>,
    counts: Counts,
}

impl Summary {
    /// Runs a step, and takes in its outcome and the tests that it counted.
    pub(crate) fn step(&mut self, name: &str, run: impl FnOnce(&mut Counts) -> Result<Outcome>) {
        println!("\n=== {name}");
        let start = Instant::now();
        let mut counts = Counts::default();
        let outcome = run(&mut counts).unwrap_or_else(|error| {
            println!("{error:#}");
            Outcome::Failed
        });
        // A step that breaks off before it counts anything must not leave "0 failed" behind.
        if matches!(outcome, Outcome::Failed) && counts.failed == 0 {
            counts.failed = 1;
        }
        if let Outcome::Skipped(why) = &outcome {
            self.notes.push((name.to_owned(), why.clone()));
        }
        self.counts += counts;
        self.steps.push((name.to_owned(), start.elapsed(), outcome));
    }

    /// Notes what could not run, and why, to be said at the end.
    pub(crate) fn could_not_run_all(&mut self, notes: Vec<(String, String)>) {
        self.notes.extend(notes);
    }

    /// True if no step has failed.
    pub(crate) fn passed(&self) -> bool {
        !self.steps.iter().any(|(_, _, outcome)| matches!(outcome, Outcome::Failed))
    }

    /// True if the named step went well.
    pub(crate) fn passed_step(&self, name: &str) -> bool {
        self.steps
            .iter()
            .any(|(step, _, outcome)| step == name && matches!(outcome, Outcome::Passed))
    }

    /// The whole of it; its last line has the counts alone.
    pub(crate) fn text(&self) -> String {
        let mut lines = vec!["\n=== summary".to_owned()];
        for (name, time, outcome) in &self.steps {
            let word = match outcome {
                Outcome::Passed => "ok",
                Outcome::Failed => "FAILED",
                Outcome::Skipped(_) => "not run",
            };
            lines.push(format!("{:8.1} s  {word:<8} {name}", time.as_secs_f64()));
        }
        for (what, why) in &self.notes {
            lines.push(format!("could not run: {what} because {why}"));
        }
        lines.push(self.counts.line());
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Summary};

    #[test]
    fn a_failed_step_counts_even_if_it_counted_nothing() {
        let mut summary = Summary::default();
        summary.step("formatting", |_| Ok(Outcome::Failed));
        summary.step("tests", |counts| {
            counts.passed = 3;
            Ok(Outcome::Passed)
        });
        assert!(!summary.passed());
        assert!(summary.passed_step("tests") && !summary.passed_step("formatting"));
        assert_eq!(summary.text().lines().last(), Some("3 passed, 1 failed"));
    }

    #[test]
    fn what_is_skipped_is_said_and_fails_nothing() {
        let mut summary = Summary::default();
        summary.step("end to end", |_| Ok(Outcome::Skipped("it needs root".to_owned())));
        assert!(summary.passed());
        assert!(summary.text().contains("could not run: end to end because it needs root\n"));
    }
}
