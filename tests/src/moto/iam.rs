//! What a policy of IAM permits: moto looks at no condition. Only what the printed policy is made of is known
//! here; anything else is an error, so that nothing is permitted by a misreading
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Context, Result};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Policy {
    #[serde(rename = "Version")]
    _version: Version,
    statement: Vec<Statement>,
}

#[derive(Deserialize)]
enum Version {
    #[serde(rename = "2012-10-17")]
    Current,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Effect")]
    _effect: Effect,
    action: String,
    resource: String,
    #[serde(default)]
    condition: Condition,
}

#[derive(Deserialize)]
enum Effect {
    Allow,
}

/// All of it must hold
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>).
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(rename = "ForAllValues:StringLike", default)]
    like: BTreeMap<String, Vec<String>>,
    #[serde(rename = "ForAllValues:StringEquals", default)]
    equals: BTreeMap<String, Vec<String>>,
    #[serde(rename = "Null", default)]
    null: BTreeMap<String, String>,
}

/// What is request for, and the values of the condition keys that it has.
pub(super) struct IamRequest {
    pub(super) action: String,
    pub(super) resource: String,
    pub(super) keys: BTreeMap<String, Vec<String>>,
}

impl Policy {
    pub(super) fn parse(json: &str) -> Result<Policy> {
        serde_json::from_str(json).context("the policy")
    }

    pub(super) fn permits(&self, request: &IamRequest) -> bool {
        self.statement.iter().any(|statement| {
            statement.action == request.action
                && is_like(&statement.resource, &request.resource)
                && statement.condition.holds(&request.keys)
        })
    }
}

impl Condition {
    /// `ForAllValues` holds as well where the request has no such key: that is what `Null` is for.
    fn holds(&self, keys: &BTreeMap<String, Vec<String>>) -> bool {
        let all = |wanted: &BTreeMap<String, Vec<String>>, fits: fn(&str, &str) -> bool| {
            wanted.iter().all(|(key, patterns)| {
                let mut values = keys.get(key).into_iter().flatten();
                values.all(|value| patterns.iter().any(|pattern| fits(pattern, value)))
            })
        };
        let mut null = self.null.iter();
        all(&self.like, is_like)
            && all(&self.equals, |pattern, value| pattern == value)
            && null.all(|(key, is_null)| (is_null == "true") != keys.contains_key(key))
    }
}

/// `*` stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|text| (0..=text.len()).any(|i| is_like(rest, &text[i..]))),
    }
}
