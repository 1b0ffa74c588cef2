//! Values at an alias name that are not ours.

use super::finding::{Finding, FindingKind, Severity};
use crate::name::{DnsName, Identifier};
use crate::printable::{SHOWN_MAX, TEXT_MAX, grouped, shortened};
use crate::txt::TxtValue;

/// Values that are not ours, by what they probably are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ForeignValues {
    challenges: Few,
    others: Few,
}

/// How many values there are, and what is shown of the first ones. A name may have thousands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Few {
    count: usize,
    shown: Vec<String>,
}

impl<T: AsRef<str>> FromIterator<T> for ForeignValues {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut foreign = ForeignValues::default();
        for value in values {
            let value = value.as_ref();
            let parsed = value.parse::<TxtValue>();
            let few = if parsed.is_ok_and(|value| value.is_challenge()) {
                &mut foreign.challenges
            } else {
                &mut foreign.others
            };
            few.count += 1;
            // Showing the only one that is left takes no more room than counting it.
            if few.shown.len() <= SHOWN_MAX {
                few.shown.push(shortened(value, TEXT_MAX));
            }
        }
        foreign
    }
}

impl ForeignValues {
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

impl Few {
    fn answers(&self, what: &str) -> Vec<String> {
        let answer = |value: &String| format!("there is {what}: \"{value}\"");
        let mut answers: Vec<_> = self.shown.iter().map(answer).collect();
        let more = self.count.saturating_sub(SHOWN_MAX);
        if let Some(last) = answers.get_mut(SHOWN_MAX).filter(|_| more > 1) {
            *last = format!("there are {} more such TXT values", grouped(more));
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
        let values: ForeignValues = values.chain(vec![challenge.clone(); 4]).collect();
        assert_eq!(values.others.shown.len(), SHOWN_MAX + 1);
        let findings = values.findings(&[], &"alias.example.com".parse().unwrap());
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
