//! Route 53: which zone is meant, what stays as it is, and what moto does not do.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail as they do")]

use std::net::SocketAddr;
use std::sync::Arc;

use acme_alias_core::dns::Server;
use acme_alias_core::provider::{Failure, OptionValue, Options, TxtProvider};
use acme_alias_core::registry::find;
use acme_alias_core::rights::{
    Audit, Grade, Grant, KeyRights, MainZone, Scope, Subject, Verdict, Weight,
};
use acme_alias_core::txt::Action;
use acme_alias_route53::{Config, Route53};
use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Asked, Moto, Reply, Result, Stub};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_route53::config::{Credentials, SharedCredentialsProvider};

use crate::backend::{add, change, refused, zone_name};

pub(crate) const SECRET_KEY: &str = "a-key-that-nobody-shall-see";

/// A provider with credentials of its own, at this address.
pub(crate) fn provider_at(address: SocketAddr, more: &[(&str, &str)]) -> Arc<Route53> {
    let kind = find("route53").unwrap();
    let endpoint = format!("http://{address}");
    let given = [("endpoint-url", endpoint.as_str())];
    let values = given.iter().chain(more);
    let values =
        values.map(|(name, text)| ((*name).to_owned(), OptionValue::Text((*text).to_owned())));
    let config = Config::from_options(&Options::new(kind.options, values).unwrap()).unwrap();
    let credentials = Credentials::new("AKIDEXAMPLE", SECRET_KEY, None, None, "test");
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(&endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials));
    Arc::new(Route53::with_sdk_config(config, sdk.build()))
}

#[tokio::test]
async fn the_public_zone_of_the_name_is_found_and_two_are_not_guessed_between() -> Result {
    let moto = Moto::start()?;
    let none = provider_at(moto.address(), &[]);
    refused(
        &*none,
        Failure::Rejected,
        &["no hosted zone auth.example.net", "`profile`"],
    )
    .await;
    moto.add_zone(ALIAS_ZONE, true)?;
    refused(
        &*none,
        Failure::Rejected,
        &["is private", "public hosted zone"],
    )
    .await;
    let public = moto.add_zone(ALIAS_ZONE, false)?;
    add(&*none).await.unwrap();
    assert!(moto.sets(&public)?.contains("<Value>\"v\"</Value>"));

    let other = moto.add_zone(ALIAS_ZONE, false)?;
    let provider = provider_at(moto.address(), &[]);
    refused(
        &*provider,
        Failure::Rejected,
        &["2 public", &public, &other, "`hosted-zone-id`"],
    )
    .await;
    let chosen = provider_at(moto.address(), &[("hosted-zone-id", &other)]);
    add(&*chosen).await.unwrap();
    assert!(moto.sets(&other)?.contains("<Value>\"v\"</Value>"));

    let nowhere = provider_at(
        moto.address(),
        &[("hosted-zone-id", "Z00000000000000000000")],
    );
    refused(
        &*nowhere,
        Failure::Rejected,
        &["NoSuchHostedZone", "`hosted-zone-id`"],
    )
    .await;
    Ok(())
}

#[tokio::test]
async fn foreign_values_and_the_ttl_survive() -> Result {
    let moto = Moto::start()?;
    let zone = moto.add_zone(ALIAS_ZONE, false)?;
    moto.put_set(
        &zone,
        ALIAS_NAME,
        "TXT",
        3600,
        &["\"fo\" \"reign\"", "\"\\073\""],
    )?;
    let provider = provider_at(moto.address(), &[]);
    add(&*provider).await.unwrap();
    let sets = moto.sets(&zone)?;
    for part in ["<TTL>3600</TTL>", "\"fo\" \"reign\"", "\"\\073\"", "\"v\""] {
        assert!(sets.contains(part), "{part}: {sets}");
    }
    let names = [ALIAS_NAME.parse().unwrap()];
    let there = provider.values(&zone_name(), &names).await.unwrap();
    let there: Vec<_> = there.values().flatten().map(ToString::to_string).collect();
    assert_eq!(there, [";", "foreign", "v"]);
    let removal = [change(Action::Remove, ALIAS_NAME, "v")];
    provider.apply(&zone_name(), &removal).await.unwrap();
    let sets = moto.sets(&zone)?;
    assert!(
        sets.contains("\"fo\" \"reign\"") && !sets.contains("\"v\""),
        "{sets}"
    );
    Ok(())
}

/// The provider at a stub; the id saves it from looking for the zone.
fn provider_at_stub(stub: &Stub) -> Arc<Route53> {
    let options = [("hosted-zone-id", "Z1"), ("timeout", "500ms")];
    provider_at(stub.address(), &options)
}

fn is_change(asked: &Asked) -> bool {
    asked.method == "POST"
}

/// The apex, and the alias name with these values, as `ListResourceRecordSets` answers.
fn listed(values: &[&str]) -> Reply {
    let records = values
        .iter()
        .map(|value| format!("<ResourceRecord><Value>\"{value}\"</Value></ResourceRecord>"));
    let records = records.collect::<Vec<_>>().concat();
    let set = format!(
        "<ResourceRecordSet><Name>{ALIAS_NAME}.</Name><Type>TXT</Type><TTL>60</TTL>\
         <ResourceRecords>{records}</ResourceRecords></ResourceRecordSet>"
    );
    let set = if values.is_empty() { "" } else { &set };
    let body = format!(
        "<ListResourceRecordSetsResponse><ResourceRecordSets><ResourceRecordSet>\
         <Name>{ALIAS_ZONE}.</Name><Type>NS</Type></ResourceRecordSet>{set}</ResourceRecordSets>\
         <IsTruncated>false</IsTruncated><MaxItems>1</MaxItems></ListResourceRecordSetsResponse>"
    );
    Reply::Answer(200, body)
}

fn changed(tag: &str, status: &str) -> Reply {
    let body = format!(
        "<{tag}><ChangeInfo><Id>/change/C1</Id><Status>{status}</Status>\
         <SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo></{tag}>"
    );
    Reply::Answer(200, body)
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>0</RequestId></ErrorResponse>"
    );
    Reply::Answer(status, body)
}

const CHANGED: &str = "ChangeResourceRecordSetsResponse";

#[tokio::test]
async fn a_change_is_waited_for_until_it_is_in_sync() -> Result {
    let mut asked_for = 0;
    let stub = Stub::start(move |asked| {
        if is_change(asked) {
            return changed(CHANGED, "PENDING");
        }
        if !asked.path.contains("/change/C1") {
            return listed(&[]);
        }
        asked_for += 1;
        changed(
            "GetChangeResponse",
            if asked_for < 3 { "PENDING" } else { "INSYNC" },
        )
    })?;
    let provider = provider_at_stub(&stub);
    let add = [change(Action::Add, ALIAS_NAME, "v")];
    let applied = provider.apply(&zone_name(), &add).await.unwrap();
    assert_eq!(applied.pending, ["/change/C1"]);
    let began = std::time::Instant::now();
    provider.settle(&zone_name(), &applied).await.unwrap();
    assert!(began.elapsed().as_millis() > 500, "it was pending twice");
    Ok(())
}

#[tokio::test]
async fn throttling_and_a_request_under_way_are_waited_out() -> Result {
    for code in ["Throttling", "PriorRequestNotComplete"] {
        let mut refusals = 2;
        let stub = Stub::start(move |asked| {
            if !is_change(asked) {
                return listed(&[]);
            }
            if refusals > 0 {
                refusals -= 1;
                return error(400, code, "Rate exceeded");
            }
            changed(CHANGED, "INSYNC")
        })?;
        add(&*provider_at_stub(&stub)).await.unwrap();
    }
    Ok(())
}

#[tokio::test]
async fn a_set_that_changed_between_reading_and_swapping_is_read_again() -> Result {
    let (mut there, mut refused) = (vec!["old"], false);
    let stub = Stub::start(move |asked| {
        if !is_change(asked) {
            return listed(&there);
        }
        if refused {
            // What was read the second time, and no more.
            let all = ["\"old\"", "\"theirs\"", "\"v\""].map(|v| v.replace('"', "&quot;"));
            assert!(
                all.iter().all(|value| asked.body.contains(value)),
                "{asked:?}"
            );
            return changed(CHANGED, "INSYNC");
        }
        refused = true;
        there.push("theirs");
        let message = "Tried to delete resource record set but the values provided do not match";
        let body = format!(
            "<?xml version=\"1.0\"?><InvalidChangeBatch><Messages><Message>{message}</Message>\
             </Messages></InvalidChangeBatch>"
        );
        Reply::Answer(400, body)
    })?;
    add(&*provider_at_stub(&stub)).await.unwrap();
    Ok(())
}

#[tokio::test]
async fn a_reply_that_was_lost_is_made_up_for_by_reading() -> Result {
    let mut committed = false;
    let stub = Stub::start(move |asked| {
        if is_change(asked) {
            committed = true;
            return Reply::Silence;
        }
        listed(if committed { &["v"] } else { &[] })
    })?;
    add(&*provider_at_stub(&stub)).await.unwrap();

    let stub = Stub::start(|asked| {
        if is_change(asked) {
            Reply::Silence
        } else {
            listed(&[])
        }
    })?;
    let provider = provider_at_stub(&stub);
    refused(&*provider, Failure::UnknownOutcome, &["no answer in time"]).await;
    Ok(())
}

#[tokio::test]
async fn every_refusal_has_its_own_words() -> Result {
    for (status, code, failure, words) in [
        (
            403,
            "AccessDenied",
            Failure::Denied,
            "ChangeResourceRecordSets",
        ),
        (403, "ExpiredToken", Failure::Denied, "have expired"),
        (
            403,
            "InvalidClientTokenId",
            Failure::Denied,
            "credentials are wrong",
        ),
        (
            403,
            "SignatureDoesNotMatch",
            Failure::Denied,
            "credentials are wrong",
        ),
        (
            404,
            "NoSuchHostedZone",
            Failure::Rejected,
            "`hosted-zone-id`",
        ),
        (
            500,
            "InternalFailure",
            Failure::UnknownOutcome,
            "try again later",
        ),
    ] {
        let stub = Stub::start(move |asked| {
            if is_change(asked) {
                error(status, code, "no")
            } else {
                listed(&[])
            }
        })?;
        refused(&*provider_at_stub(&stub), failure, &[code, words]).await;
    }
    let message =
        "RRSet with DNS name x is not permitted because a conflicting RRSet of type CNAME";
    let stub = Stub::start(move |asked| {
        if is_change(asked) {
            error(400, "InvalidChangeBatch", message)
        } else {
            listed(&[])
        }
    })?;
    refused(&*provider_at_stub(&stub), Failure::Conflict, &["CNAME"]).await;
    Ok(())
}

#[tokio::test]
async fn without_an_endpoint_that_answers_the_error_says_so() -> Result {
    let provider = provider_at(
        SocketAddr::from(([127, 0, 0, 1], 1)),
        &[("hosted-zone-id", "Z1")],
    );
    refused(
        &*provider,
        Failure::Unavailable,
        &["could not be reached", "`endpoint-url`"],
    )
    .await;
    Ok(())
}

fn subject() -> Subject {
    Subject {
        zone: zone_name(),
        alias_names: vec![ALIAS_NAME.parse().unwrap()],
        main_zones: Vec::new(),
    }
}

#[tokio::test]
async fn an_audit_asks_by_batches_that_cannot_be_carried_out() -> Result {
    // moto has no rights: whoever asks may do everything.
    let moto = Moto::start()?;
    let zone = moto.add_zone(ALIAS_ZONE, false)?;
    let before = moto.sets(&zone)?;
    let provider = provider_at(moto.address(), &[]);
    let Audit { rights, .. } = provider.audit(&subject()).await.unwrap();
    // It has an identity for everybody, and no simulation.
    for words in ["asked as arn:aws:sts::", "IAM does not simulate"] {
        assert!(rights[0].evidence.contains(words), "{rights:?}");
    }
    assert!(
        rights.iter().all(|right| right.verdict == Verdict::Allowed),
        "{rights:?}"
    );
    assert_eq!(Grade::of(&rights), Grade::Dangerous);
    assert_eq!(moto.sets(&zone)?, before, "nothing was changed");

    // By the policy that is printed only TXT at the alias name is there to be refused later.
    let stub = Stub::start(move |asked| {
        if !is_change(asked) {
            return listed(&[]);
        }
        let name = format!("<Name>{ALIAS_NAME}.</Name>");
        if asked.body.contains(&name) && asked.body.contains("<Type>TXT</Type>") {
            error(400, "InvalidChangeBatch", "not found")
        } else {
            error(403, "AccessDenied", "no")
        }
    })?;
    let rights = provider_at_stub(&stub)
        .audit(&subject())
        .await
        .unwrap()
        .rights;
    assert_eq!(Grade::of(&rights), Grade::Tight, "{rights:?}");
    let silent = Stub::start(|asked| {
        if is_change(asked) {
            Reply::Silence
        } else {
            listed(&[])
        }
    })?;
    let rights = provider_at_stub(&silent)
        .audit(&subject())
        .await
        .unwrap()
        .rights;
    assert_eq!(Grade::of(&rights), Grade::CannotTell, "{rights:?}");
    Ok(())
}

#[tokio::test]
async fn what_the_audit_says_of_a_policy_is_what_happens() -> Result {
    let moto = Moto::start()?;
    let zone = moto.add_zone(ALIAS_ZONE, false)?;
    let provider = provider_at(moto.address(), &[("hosted-zone-id", &zone)]);
    let printed = |scope| provider.policies(&grant(scope)).remove(0).text;
    let of_all_types = format!(
        r#"{{ "Version": "2012-10-17", "Statement": [{{ "Effect": "Allow",
            "Action": "route53:ChangeResourceRecordSets",
            "Resource": "arn:aws:route53:::hostedzone/{zone}",
            "Condition": {{ "ForAllValues:StringEquals": {{
                "route53:ChangeResourceRecordSetsNormalizedRecordNames": ["{ALIAS_NAME}"] }} }} }}] }}"#
    );
    let everything = format!(
        r#"{{ "Version": "2012-10-17", "Statement": [{{ "Effect": "Allow",
            "Action": "route53:ChangeResourceRecordSets",
            "Resource": "arn:aws:route53:::hostedzone/{zone}" }}] }}"#
    );
    let (created, also_replaced) = (r#""CREATE","#, r#""CREATE", "UPSERT","#);
    for (policy, allowed, grade) in [
        (printed(Scope::Name), 1, Grade::Tight),
        (printed(Scope::Subdomain), 2, Grade::Wide),
        (printed(Scope::Zone), 4, Grade::Wide),
        (
            printed(Scope::Zone).replace(created, also_replaced),
            4,
            Grade::Wide,
        ),
        (of_all_types, 4, Grade::Dangerous),
        (everything, 11, Grade::Dangerous),
    ] {
        moto.permit(&policy)?;
        let before = moto.sets(&zone)?;
        let Audit { rights, advice } = provider.audit(&subject()).await.unwrap();
        assert_eq!(moto.sets(&zone)?, before, "nothing was changed");
        assert_eq!(Grade::of(&rights), grade, "{rights:?}");
        assert_eq!(advice.is_empty(), grade == Grade::Tight, "{advice:?}");
        let verdicts = rights.iter().map(|right| right.verdict);
        let verdicts = verdicts.filter(|verdict| *verdict == Verdict::Allowed);
        assert_eq!(verdicts.count(), allowed, "{rights:?}");
        for right in &rights {
            let (what, name) = right.right.rsplit_once(" (").unwrap();
            let (kind, record) = match what.split([' ', ':']).next().unwrap() {
                "TXT" => ("TXT", "\"tried\""),
                "CNAME" => ("CNAME", "elsewhere.invalid."),
                "NS" => ("NS", "elsewhere.invalid."),
                "CAA" => ("CAA", "0 issue \";\""),
                "A" => ("A", "192.0.2.1"),
                unknown => panic!("{unknown}"),
            };
            let may = moto.may_create(&zone, name.trim_end_matches(')'), kind, record)?;
            assert_eq!(may, right.verdict == Verdict::Allowed, "{right:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_main_zone_of_route_53_is_asked_about_as_well() -> Result {
    let moto = Moto::start()?;
    let (zone, main) = (
        moto.add_zone(ALIAS_ZONE, false)?,
        moto.add_zone("example.com", false)?,
    );
    let server = |name: &str| Server {
        name: Some(name.parse().unwrap()),
        addresses: Vec::new(),
    };
    let subject = |name_server: &str| Subject {
        main_zones: vec![MainZone {
            zone: "example.com".parse().unwrap(),
            challenge_names: vec!["_acme-challenge.example.com".parse().unwrap()],
            servers: Ok(vec![server(name_server)]),
        }],
        ..subject()
    };
    let here = subject("ns-1.awsdns-00.com");
    let provider = provider_at(moto.address(), &[("hosted-zone-id", &zone)]);
    let tight = provider.policies(&grant(Scope::Name)).remove(0).text;
    let with = |statement: &str| {
        tight.replacen(
            "\"Statement\": [",
            &format!("\"Statement\": [{statement},"),
            1,
        )
    };
    let list =
        r#"{ "Effect": "Allow", "Action": "route53:ListHostedZonesByName", "Resource": "*" }"#;
    let change = format!(
        r#"{{ "Effect": "Allow", "Action": "route53:ChangeResourceRecordSets",
            "Resource": "arn:aws:route53:::hostedzone/{main}" }}"#
    );
    for (policy, subject, grade) in [
        (tight.clone(), &here, Grade::CannotTell),
        (tight.clone(), &subject("ns1.example.net"), Grade::Tight),
        (with(list), &here, Grade::Tight),
        (with(&format!("{list}, {change}")), &here, Grade::Fatal),
    ] {
        moto.permit(&policy)?;
        let audit = provider.audit(subject).await.unwrap();
        assert_eq!(audit.grade(), grade, "{audit:?}");
        let fatal = audit
            .rights
            .iter()
            .find(|right| right.weight == Weight::Fatal);
        let allowed = fatal.is_some_and(|right| right.verdict == Verdict::Allowed);
        let name = "_acme-challenge.example.com";
        assert_eq!(
            moto.may_create(&main, name, "TXT", "\"tried\"")?,
            allowed,
            "{audit:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_only_looks_like_route_53_is_asked_no_more() -> Result {
    // It says that it deleted what is not there.
    let stub = Stub::start(|asked| {
        if !is_change(asked) {
            return listed(&[]);
        }
        assert!(!asked.body.contains("<Action>CREATE</Action>"), "{asked:?}");
        changed(CHANGED, "INSYNC")
    })?;
    let audit = provider_at_stub(&stub).audit(&subject()).await.unwrap();
    assert_eq!(audit.grade(), Grade::CannotTell, "{audit:?}");
    assert!(
        audit.rights[0]
            .evidence
            .contains("did not refuse to delete what is not there"),
        "{audit:?}"
    );
    Ok(())
}

fn grant(scope: Scope) -> Grant {
    Grant {
        zone: zone_name(),
        names: vec![ALIAS_NAME.parse().unwrap()],
        scope,
        key: None,
    }
}

/// `GetCallerIdentity`
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>).
fn caller(arn: &str) -> Reply {
    let result = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <GetCallerIdentityResult><Arn>{arn}</Arn><UserId>AIDA</UserId>\
         <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    Reply::Answer(200, result)
}

/// `SimulatePrincipalPolicy`
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>).
fn simulated(decision: &str) -> Reply {
    let result = format!(
        "<SimulatePrincipalPolicyResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
         <SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults><member>\
         <EvalActionName>route53:ChangeResourceRecordSets</EvalActionName>\
         <EvalDecision>{decision}</EvalDecision></member></EvaluationResults>\
         </SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    );
    Reply::Answer(200, result)
}

#[tokio::test]
async fn an_audit_believes_iam_where_it_may_be_asked() -> Result {
    // The policy that is printed, and moto's IAM simulates none.
    let stub = Stub::start(|asked| {
        if asked.body.contains("Action=GetCallerIdentity") {
            return caller("arn:aws:sts::123456789012:assumed-role/acme/session");
        }
        if !asked.body.contains("Action=SimulatePrincipalPolicy") {
            assert!(!is_change(asked), "Route 53 need not be asked: {asked:?}");
            return listed(&[]);
        }
        let has = |what: &str| asked.body.contains(what);
        assert!(has(
            "PolicySourceArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Facme"
        ));
        assert!(has("ChangeResourceRecordSetsNormalizedRecordNames"));
        let is_ours = has("hostedzone%2FZ1&");
        let is_granted = has(&format!("={ALIAS_NAME}&")) && has("=TXT&") && is_ours;
        simulated(if is_granted {
            "allowed"
        } else {
            "implicitDeny"
        })
    })?;
    let rights = provider_at_stub(&stub)
        .audit(&subject())
        .await
        .unwrap()
        .rights;
    assert_eq!(Grade::of(&rights), Grade::Tight, "{rights:?}");
    assert_eq!(rights[0].right, "TXT in whatever hosted zone there is");
    assert_eq!(rights[0].verdict, Verdict::Denied, "{rights:?}");
    assert_eq!(
        rights[1].evidence,
        "simulated by IAM: allowed; asked as arn:aws:sts::123456789012:assumed-role/acme/session"
    );
    assert!(rights[2].evidence.contains("implicitDeny"), "{rights:?}");

    let root = Stub::start(|asked| {
        if asked.body.contains("Action=GetCallerIdentity") {
            return caller("arn:aws:iam::123456789012:root");
        }
        assert!(
            !asked.body.contains("Action=Simulate"),
            "it has no policies"
        );
        if is_change(asked) {
            error(400, "InvalidChangeBatch", "not found")
        } else {
            listed(&[])
        }
    })?;
    let rights = provider_at_stub(&root)
        .audit(&subject())
        .await
        .unwrap()
        .rights;
    assert_eq!(Grade::of(&rights), Grade::Fatal, "{rights:?}");
    assert_eq!(rights[0].right, "everything in the account");
    Ok(())
}

#[test]
fn the_policy_names_the_names_and_guards_against_absent_keys() {
    let stub = Stub::start(|_| Reply::Silence).unwrap();
    let policy = |scope| {
        provider_at_stub(&stub)
            .policies(&grant(scope))
            .remove(0)
            .text
    };
    let tight: serde_json::Value = serde_json::from_str(&policy(Scope::Name)).unwrap();
    let change = &tight["Statement"][0];
    assert_eq!(change["Resource"], "arn:aws:route53:::hostedzone/Z1");
    let names = &change["Condition"]["ForAllValues:StringEquals"];
    let key = "route53:ChangeResourceRecordSetsNormalizedRecordNames";
    assert_eq!(names[key], serde_json::json!([ALIAS_NAME]));
    assert_eq!(change["Condition"]["Null"][key], "false");
    assert!(policy(Scope::Zone).contains(&format!("*.{ALIAS_ZONE}")));
}
