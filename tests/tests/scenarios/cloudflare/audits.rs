//! What an audit finds out about a token, and that it writes nothing.

use acme_alias_cloudflare::Cloudflare;
use acme_alias_core::rights::{Audit, Grade, KeyRights, MainZone, Subject, Verdict};
use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, CloudflareFake, Error, Result, Token};

use super::{TOKEN, may_edit, provider_of};
use crate::backend::zone_name;

/// A fake with the alias zone, another zone and a main zone.
struct Account {
    fake: CloudflareFake,
    zone: String,
    other: String,
    main: String,
}

impl Account {
    fn start() -> Result<Account> {
        let fake = CloudflareFake::start()?;
        Ok(Account {
            zone: fake.add_zone(ALIAS_ZONE),
            other: fake.add_zone("example.org"),
            main: fake.add_zone("example.com"),
            fake,
        })
    }

    fn provider(&self) -> Cloudflare {
        provider_of(&self.fake, &self.zone)
    }

    async fn audit(&self, token: Token) -> Audit {
        self.fake.add_token(TOKEN, token);
        let written = posts(&self.fake);
        let audit = self.provider().audit(&subject()).await.unwrap();
        assert_eq!(posts(&self.fake), written, "it writes nothing");
        audit
    }
}

fn subject() -> Subject {
    Subject {
        zone: zone_name(),
        alias_names: vec![ALIAS_NAME.parse().unwrap()],
        main_zones: vec![MainZone {
            zone: "example.com".parse().unwrap(),
            challenge_names: vec!["_acme-challenge.example.com".parse().unwrap()],
            servers: Ok(Vec::new()),
        }],
    }
}

#[tokio::test]
async fn the_zones_that_a_token_can_edit_make_the_grade() -> Result {
    let account = Account::start()?;
    let Account {
        fake,
        zone,
        other,
        main,
    } = &account;
    for (token, grade) in [
        (may_edit(&[zone]), Grade::Wide),
        (may_edit(&[zone, other]), Grade::Dangerous),
        (may_edit(&[zone, other, main]), Grade::Fatal),
    ] {
        let Audit { rights, .. } = account.audit(token).await;
        assert_eq!(Grade::of(&rights), grade, "{rights:?}");
        assert!(
            rights[0].evidence.contains("the token is active"),
            "{rights:?}"
        );
        for (id, name, in_words) in [
            (zone, ALIAS_ZONE, "every other record of auth.example.net"),
            (other, "example.org", "every record of example.org"),
            (main, "example.com", "every record of example.com"),
        ] {
            let right = rights.iter().find(|right| right.right == in_words);
            let allowed = right.is_some_and(|right| right.verdict == Verdict::Allowed);
            assert_eq!(may_create(fake, id, name).await?, allowed, "{rights:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_zone_that_a_token_only_sees_is_no_right_and_its_end_is_reported() -> Result {
    let account = Account::start()?;
    let sees_more = Token {
        dns_read: vec![account.zone.clone(), account.other.clone()],
        expires_on: Some("2027-01-01T00:00:00Z"),
        ..may_edit(&[&account.zone])
    };
    let audit = account.audit(sees_more).await;
    assert_eq!(
        (audit.grade(), audit.advice.len()),
        (Grade::Wide, 0),
        "{audit:?}"
    );
    assert_eq!(audit.rights[2].verdict, Verdict::Denied, "{audit:?}");
    assert!(
        audit.rights[0].evidence.contains("until 2027-01-01"),
        "{audit:?}"
    );
    Ok(())
}

#[tokio::test]
async fn zones_that_a_token_may_not_list_leave_the_grade_open() -> Result {
    let account = Account::start()?;
    let blind = Token {
        zone_read: false,
        ..may_edit(&[&account.zone, &account.main])
    };
    let audit = account.audit(blind).await;
    assert_eq!(audit.grade(), Grade::CannotTell, "{audit:?}");
    assert!(
        audit.advice[0].text.contains("Zone, Zone, Read"),
        "{audit:?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_refusal_of_what_is_needed_is_not_trusted() -> Result {
    let account = Account::start()?;
    let read_only = Token {
        dns_edit: Vec::new(),
        ..may_edit(&[&account.zone])
    };
    let audit = account.audit(read_only).await;
    let needed = &audit.rights[0];
    assert_eq!(needed.verdict, Verdict::CannotTell, "{audit:?}");
    assert!(
        needed.evidence.contains("deleting a record is refused"),
        "{audit:?}"
    );
    assert_eq!(audit.grade(), Grade::CannotTell);
    assert!(!may_create(&account.fake, &account.zone, ALIAS_ZONE).await?);
    Ok(())
}

fn posts(fake: &CloudflareFake) -> usize {
    let requests = fake.requests();
    let posts = requests.iter().filter(|(method, _)| method == "POST");
    posts.count()
}

/// Whether the token may make a record, found out by making it.
async fn may_create(fake: &CloudflareFake, zone: &str, name: &str) -> Result<bool> {
    let content = posts(fake);
    let body =
        format!(r#"{{"type":"TXT","name":"tried.{name}","content":"\"{content}\"","ttl":60}}"#);
    let url = format!("{}/zones/{zone}/dns_records", fake.base_url());
    let request = reqwest::Client::new().post(url).bearer_auth(TOKEN);
    let answer = request
        .header("Content-Type", "application/json")
        .body(body)
        .send()
        .await?;
    match answer.status().as_u16() {
        200 => Ok(true),
        403 => Ok(false),
        _ => Err(Error::new(answer.text().await?)),
    }
}
