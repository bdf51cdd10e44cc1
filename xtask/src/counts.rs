//! How many tests ran, read from what their runners print.

use std::ops::AddAssign;

/// Tests by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Those that ran and were content.
    pub(crate) passed: u64,
    /// Those that were not.
    pub(crate) failed: u64,
    /// Those that did not run.
    pub(crate) skipped: u64,
}

impl Counts {
    /// Reads the line that closes one of cargo's test binaries: `test result: ok. 5 passed; 0 failed; 1 ignored; …`.
    pub(crate) fn of_cargo(line: &str) -> Option<Self> {
        let (_, parts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        Some(Self::of_parts(parts.split("; ")))
    }

    /// Reads the line that closes a script: `5 passed, 0 failed` or `5 passed, 0 failed, 1 skipped`.
    pub(crate) fn of_script(line: &str) -> Option<Self> {
        let parts: Vec<&str> = line.split(", ").collect();
        let names: Vec<_> = parts.iter().filter_map(|part| part.split_once(' ')).collect();
        let expected = ["passed", "failed", "skipped"];
        let well_formed = (2..=3).contains(&parts.len())
            && names.len() == parts.len()
            && names.iter().zip(expected).all(|(got, want)| got.1 == want && is_number(got.0));
        well_formed.then(|| Self::of_parts(parts.into_iter()))
    }

    fn of_parts<'a>(parts: impl Iterator<Item = &'a str>) -> Self {
        let mut counts = Self::default();
        for (number, name) in parts.filter_map(|part| part.split_once(' ')) {
            let number = number.parse().unwrap_or(0);
            match name {
                "passed" => counts.passed = number,
                "failed" => counts.failed = number,
                "ignored" | "skipped" => counts.skipped = number,
                _ => {}
            }
        }
        counts
    }

    /// The closing line.
    pub(crate) fn line(&self) -> String {
        let Self { passed, failed, skipped } = self;
        match skipped {
            0 => format!("{passed} passed, {failed} failed"),
            _ => format!("{passed} passed, {failed} failed, {skipped} skipped"),
        }
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<u64>().is_ok()
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn reads_cargo() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s";
        let want = Counts { passed: 12, failed: 3, skipped: 1 };
        assert_eq!(Counts::of_cargo(line), Some(want));
        assert_eq!(Counts::of_cargo("test it::works ... ok"), None);
    }

    #[test]
    fn reads_scripts_and_writes_the_same() {
        for line in ["74 passed, 0 failed", "1 passed, 2 failed, 3 skipped"] {
            let counts = Counts::of_script(line).unwrap();
            assert_eq!(counts.line(), line);
        }
        for line in ["ok 1 passed, 0 failed", "1 passed", "x passed, 0 failed", "1 passed, 0 lost"]
        {
            assert_eq!(Counts::of_script(line), None, "{line}");
        }
    }
}
