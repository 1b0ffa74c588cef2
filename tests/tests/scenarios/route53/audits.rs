//! What an audit finds out about AWS credentials, and that it changes nothing.

use acme_alias_core::dns::Server;
use acme_alias_core::rights::{
    Audit, Grade, Grant, KeyRights, MainZone, Scope, Subject, Verdict, Weight,
};
use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Moto, Reply, Result, Stub};

use super::{
    CHANGED, changed, error, is_change, listed, provider_at, provider_at_stub, provider_of,
};
use crate::backend::zone_name;

fn subject() -> Subject {
    Subject {
        zone: zone_name(),
        alias_names: vec![ALIAS_NAME.parse().unwrap()],
        main_zones: Vec::new(),
    }
}

#[tokio::test]
async fn an_audit_probes_with_batches_that_cannot_be_carried_out() -> Result {
    // moto has no rights: whoever asks may do everything.
    let moto = Moto::start()?;
    let zone = moto.add_zone(ALIAS_ZONE, false)?;
    let before = moto.sets(&zone)?;
    let provider = provider_at(moto.address());
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
        if !is_change(&asked.method) {
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
        if is_change(&asked.method) {
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
async fn the_audit_of_a_policy_agrees_with_real_changes() -> Result {
    let moto = Moto::start()?;
    let zone = moto.add_zone(ALIAS_ZONE, false)?;
    let provider = provider_of(moto.address(), &zone);
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
async fn a_main_zone_at_route_53_is_probed_too() -> Result {
    let moto = Moto::start()?;
    let (zone, main) = (
        moto.add_zone(ALIAS_ZONE, false)?,
        moto.add_zone("example.com", false)?,
    );
    let server = |name: &str| Server {
        name: Some(name.parse().unwrap()),
        ..Server::default()
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
    let provider = provider_of(moto.address(), &zone);
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
async fn a_service_that_only_resembles_route_53_is_not_probed_further() -> Result {
    // It says that it deleted what is not there.
    let stub = Stub::start(|asked| {
        if !is_change(&asked.method) {
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
            .contains("did not refuse to delete a value that does not exist"),
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
async fn an_audit_uses_the_simulation_of_iam_if_it_may() -> Result {
    // The policy that is printed, and moto's IAM simulates none.
    let stub = Stub::start(|asked| {
        if asked.body.contains("Action=GetCallerIdentity") {
            return caller("arn:aws:sts::123456789012:assumed-role/acme/session");
        }
        if !asked.body.contains("Action=SimulatePrincipalPolicy") {
            assert!(
                !is_change(&asked.method),
                "Route 53 need not be asked: {asked:?}"
            );
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
    assert_eq!(rights[0].right, "TXT in any hosted zone of the account");
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
        if is_change(&asked.method) {
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
fn the_policy_has_the_names_and_guards_against_absent_keys() {
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
