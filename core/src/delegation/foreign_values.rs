//! Values at an alias name that are not ours.

use super::finding::{Finding, FindingKind, Severity};
use crate::name::{DnsName, Identifier};
use crate::printable::{SHOWN_MAX, TEXT_MAX, grouped, shortened, shown_of};
use crate::txt::TxtValue;

/// Values that are not ours, by what they probably are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ForeignValues {
    challenges: FirstValues,
    others: FirstValues,
}

/// How many values there are, and what is shown of the first ones. A name may have thousands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct FirstValues {
    count: usize,
    shown: Vec<String>,
}

impl ForeignValues {
    /// Adds a value.
    pub(crate) fn add(&mut self, value: &str) {
        let parsed = value.parse::<TxtValue>();
        let first = if parsed.is_ok_and(|value| value.is_challenge()) {
            &mut self.challenges
        } else {
            &mut self.others
        };
        first.count += 1;
        if first.shown.len() <= SHOWN_MAX {
            first.shown.push(shortened(value, TEXT_MAX));
        }
    }

    /// The findings about these values at `alias_name`. Of many values of one kind, only the first ones have a finding
    /// of their own.
    pub(crate) fn findings(
        &self,
        identifiers: &[Identifier],
        alias_name: &DnsName,
    ) -> Vec<Finding> {
        let finding = |kind, answer, remedy: &str| Finding {
            severity: Severity::Warning,
            kind,
            domains: identifiers.to_vec(),
            name: alias_name.clone(),
            server: None,
            answer,
            remedy: remedy.to_owned(),
            record: None,
        };
        let challenges = self.challenges.answers(
            "the answer to a challenge that is not ours: another client uses this alias name, or did",
        );
        let challenges = challenges.into_iter().map(|answer| {
            let remedy = "give each client an alias name of its own; this value is left alone";
            finding(FindingKind::SharedAlias, answer, remedy)
        });
        let others = self.others.answers("a TXT value that is not ours");
        let others = others.into_iter().map(|answer| {
            let remedy = "remove it by hand unless somebody needs it, since a CA reads all values there; it is \
                          left alone";
            finding(FindingKind::ForeignValue, answer, remedy)
        });
        challenges.chain(others).collect()
    }
}

impl FirstValues {
    fn answers(&self, what: &str) -> Vec<String> {
        let answer = |value: &String| format!("there is {what}: \"{value}\"");
        let shown = shown_of(self.count, SHOWN_MAX);
        let mut answers: Vec<_> = self.shown[..shown].iter().map(answer).collect();
        if shown < self.count {
            let more = grouped(self.count - shown);
            answers.push(format!("there are {more} more such TXT values"));
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_thousands_of_values_the_first_ones_are_shown_and_the_rest_are_counted() {
        let challenge = "c".repeat(43);
        let values = (0..4_600).map(|n| format!("{n}"));
        let mut foreign = ForeignValues::default();
        for value in values.chain(vec![challenge.clone(); 4]) {
            foreign.add(&value);
        }
        assert_eq!(foreign.others.shown.len(), SHOWN_MAX + 1);
        let findings = foreign.findings(&[], &"alias.example.com".parse().unwrap());
        let answers: Vec<_> = findings.iter().map(|finding| &*finding.answer).collect();
        assert_eq!(answers.len(), 8);
        assert!(
            answers[..4]
                .iter()
                .all(|answer| answer.contains(&challenge))
        );
        assert!(answers[4].ends_with(": \"0\""), "{answers:?}");
        assert_eq!(answers[7], "there are 4,597 more such TXT values");
    }
}
