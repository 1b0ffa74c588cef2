//! Whose the credentials are, and what IAM simulates for their policies. Only an audit asks for either,
//! and neither is a permission that certificates need.

use std::time::Duration;

use acme_alias_core::rights::{Right, Verdict, Weight};
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};

use crate::answer_limit::AnswerLimit;
use crate::error::CallError;

/// Stands for any hosted zone other than the alias zone.
const ANOTHER_ZONE: &str = "ZACMEALIASAUDIT";
/// A name in it (RFC 2606).
const ANOTHER_NAME: &str = "_acme-challenge.acme-alias-audit.invalid";
/// How long STS or IAM may take for an answer that an audit can do without.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Whose credentials these are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Caller {
    /// As STS reports it.
    arn: String,
}

/// A change of a record set, with the keys that a policy's conditions may test
/// (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-conditions-route53.html>).
#[derive(Clone, Copy, Debug)]
pub(crate) struct SimulatedChange<'a> {
    pub(crate) zone: &'a str,
    pub(crate) name: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) actions: &'a [&'a str],
}

/// Each way to change a set.
const ACTIONS: [&str; 3] = ["CREATE", "UPSERT", "DELETE"];

/// Asks IAM for its decisions. After the first time that IAM gives none, it is not asked again.
pub(crate) struct Simulator<'a> {
    sdk: &'a SdkConfig,
    caller: Result<Caller, CallError>,
    /// Why IAM gives no decisions.
    unavailable: Option<String>,
}

impl<'a> Simulator<'a> {
    pub(crate) async fn new(sdk: &'a SdkConfig) -> Self {
        Simulator {
            sdk,
            caller: Caller::ask(sdk).await,
            unavailable: None,
        }
    }

    /// Whose the credentials are, and why IAM gives no decisions, in words.
    pub(crate) fn identity(&self) -> String {
        match (&self.caller, &self.unavailable) {
            (Err(error), _) => format!("sts:GetCallerIdentity failed: {error}"),
            (Ok(caller), None) => format!("asked as {}", caller.arn),
            (Ok(caller), Some(reason)) => {
                format!("asked as {}; IAM does not simulate: {reason}", caller.arn)
            }
        }
    }

    /// What the credentials may do outside the alias zone, as far as IAM and STS report it.
    pub(crate) async fn rights_outside_the_zone(&mut self) -> Vec<Right> {
        let root = self
            .caller
            .as_ref()
            .is_ok_and(Caller::is_root)
            .then(|| Right {
                right: "everything in the account".to_owned(),
                weight: Weight::Fatal,
                verdict: Verdict::Allowed,
                evidence: "these are the credentials of its root user (sts:GetCallerIdentity)"
                    .to_owned(),
            });
        let elsewhere = self.any_action(ANOTHER_ZONE, ANOTHER_NAME, "TXT").await;
        let elsewhere = elsewhere.map(|(verdict, evidence)| Right {
            right: "TXT in any hosted zone of the account".to_owned(),
            weight: Weight::Fatal,
            verdict,
            evidence,
        });
        root.into_iter().chain(elsewhere).collect()
    }

    /// Whether the policies allow the change.
    pub(crate) async fn verdict(
        &mut self,
        change: SimulatedChange<'_>,
    ) -> Option<(Verdict, String)> {
        if self.unavailable.is_some() {
            return None;
        }
        let caller = self.caller.as_ref().ok()?;
        match caller.simulate(self.sdk, change).await {
            Ok(verdict) => Some(verdict),
            Err(reason) => {
                self.unavailable = Some(reason);
                None
            }
        }
    }

    /// Whether the policies allow any action on a set, each by itself.
    pub(crate) async fn any_action(
        &mut self,
        zone: &str,
        name: &str,
        kind: &str,
    ) -> Option<(Verdict, String)> {
        let mut denied = None;
        for action in &ACTIONS {
            let actions = std::slice::from_ref(action);
            let change = SimulatedChange {
                zone,
                name,
                kind,
                actions,
            };
            let (verdict, evidence) = self.verdict(change).await?;
            if verdict == Verdict::Allowed {
                return Some((verdict, format!("{evidence} ({action})")));
            }
            denied = Some((verdict, evidence));
        }
        denied
    }
}

impl Caller {
    /// Asks STS, which needs no permission.
    async fn ask(sdk: &SdkConfig) -> Result<Caller, CallError> {
        let config = aws_sdk_sts::config::Builder::from(sdk)
            .interceptor(AnswerLimit)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeout());
        let client = aws_sdk_sts::Client::from_conf(config.build());
        let answer = client.get_caller_identity().send().await;
        let answer = answer.map_err(|error| CallError::new(&error))?;
        Ok(Caller {
            arn: answer.arn.unwrap_or_default(),
        })
    }

    /// Whether this is the account's root user, to whom no policy applies.
    fn is_root(&self) -> bool {
        self.arn.ends_with(":root")
    }

    /// The user or role whose policies apply. The ARN of a session lacks the path of its role, so a role
    /// with a path is not found.
    fn principal(&self) -> Option<String> {
        let mut parts = self.arn.splitn(6, ':');
        let (arn, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (_, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        let mut path = resource.split('/');
        match (service, path.next()?) {
            ("iam", "user" | "role") => Some(self.arn.clone()),
            ("sts", "assumed-role") => {
                let role = path.next()?;
                Some(format!("{arn}:{partition}:iam::{account}:role/{role}"))
            }
            _ => None,
        }
    }

    /// The decision of IAM on a change that is not made. The error says why there is none.
    async fn simulate(
        &self,
        sdk: &SdkConfig,
        change: SimulatedChange<'_>,
    ) -> Result<(Verdict, String), String> {
        let principal = self.principal();
        let principal = principal.ok_or("these credentials belong to neither a user nor a role")?;
        let config = aws_sdk_iam::config::Builder::from(sdk)
            .interceptor(AnswerLimit)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeout());
        let client = aws_sdk_iam::Client::from_conf(config.build());
        let entry = |key: &str, values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned());
            ContextEntry::builder()
                .context_key_name(format!("route53:ChangeResourceRecordSets{key}"))
                .context_key_type(ContextKeyTypeEnum::StringList)
                .set_context_key_values(Some(values.collect()))
                .build()
        };
        let answer = client
            .simulate_principal_policy()
            .policy_source_arn(principal)
            .action_names("route53:ChangeResourceRecordSets")
            .resource_arns(format!("arn:aws:route53:::hostedzone/{}", change.zone))
            .context_entries(entry("NormalizedRecordNames", &[change.name]))
            .context_entries(entry("RecordTypes", &[change.kind]))
            .context_entries(entry("Actions", change.actions))
            .send()
            .await
            .map_err(|error| CallError::new(&error).to_string())?;
        let results = answer.evaluation_results.unwrap_or_default();
        let result = results.first().ok_or("the answer has no result")?;
        if let Some(missing) = result.missing_context_values().first() {
            return Err(format!(
                "the policies depend on {missing}, which is unknown"
            ));
        }
        let verdict = match result.eval_decision() {
            PolicyEvaluationDecisionType::Allowed => Verdict::Allowed,
            _ => Verdict::Denied,
        };
        let decision = result.eval_decision().as_str();
        Ok((verdict, format!("simulated by IAM: {decision}")))
    }
}

fn timeout() -> TimeoutConfig {
    TimeoutConfig::builder().operation_timeout(TIMEOUT).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_the_policies_of_its_role() {
        for (arn, principal) in [
            (
                "arn:aws:iam::123456789012:user/acme",
                Some("arn:aws:iam::123456789012:user/acme"),
            ),
            (
                "arn:aws-cn:sts::123456789012:assumed-role/acme/session",
                Some("arn:aws-cn:iam::123456789012:role/acme"),
            ),
            ("arn:aws:iam::123456789012:root", None),
            ("arn:aws:sts::123456789012:federated-user/x", None),
            ("", None),
            (":::::", None),
        ] {
            let caller = Caller {
                arn: arn.to_owned(),
            };
            assert_eq!(caller.principal().as_deref(), principal, "{arn}");
        }
    }
}
