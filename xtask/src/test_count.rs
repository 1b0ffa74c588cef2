//! How many tests passed.

use std::fmt;
use std::ops::AddAssign;

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestCount {
    passed: usize,
    failed: usize,
}

impl TestCount {
    /// The count in a line such as `test result: ok. 3 passed; 0 failed; …`, with which cargo ends the
    /// tests of one binary.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let counts = line.strip_prefix("test result: ")?;
        let (_, counts) = counts.split_once(". ")?;
        let mut parts = counts.split("; ");
        let mut part = |word: &str| {
            let (number, found) = parts.next()?.split_once(' ')?;
            number.parse().ok().filter(|_| found.trim_end() == word)
        };
        Some(TestCount {
            passed: part("passed")?,
            failed: part("failed")?,
        })
    }
}

impl AddAssign for TestCount {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for TestCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_summed() {
        let mut sum = TestCount::default();
        for line in [
            "test result: ok. 25 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 5.51s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0s",
        ] {
            sum += TestCount::from_line(line).unwrap();
        }
        assert_eq!(sum.to_string(), "28 passed, 2 failed");
    }

    #[test]
    fn other_lines_have_no_count() {
        for line in [
            "",
            "test a::b ... ok",
            "test result: ok",
            "test result: ok. many passed; 0 failed",
            "x test result: ok. 1 passed; 0 failed",
        ] {
            assert_eq!(TestCount::from_line(line), None, "{line}");
        }
    }
}
