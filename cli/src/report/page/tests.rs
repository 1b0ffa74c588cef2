//! The page with text from others in every place, and with many certificates.

use std::sync::Arc;
use std::time::Instant;

use acme_alias_core::delegation::{Finding, FindingKind, Severity};

use super::super::delegations::{Delegations, FoundFor};
use super::super::sample::{all_states, attempts, many, now, snapshot, with_left};
use super::super::status::Trouble;
use super::*;

/// Ends every context of HTML, and reorders text.
const HOSTILE: &str = "</style></td></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`--><!--\u{202e}\u{7}&amp;";

/// The elements of a page; fails if they are not nested as they must be. Of a void element there is no end.
fn elements(page: &str) -> Vec<String> {
    const VOID: [&str; 2] = ["meta", "!DOCTYPE"];
    let (mut open, mut all) = (Vec::new(), Vec::new());
    let mut rest = page;
    while let Some((text, tag)) = rest.split_once('<') {
        // A style sheet is no markup.
        assert!(
            !text.contains('>') || open.last() == Some(&"style"),
            "{text}"
        );
        let (tag, after) = tag.split_once('>').unwrap();
        let name = tag.split([' ', '\n']).next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{tag}"),
            None => {
                all.push(tag.to_owned());
                if !VOID.contains(&name) {
                    open.push(name);
                }
            }
        }
        rest = after;
    }
    assert!(open.is_empty(), "{open:?}");
    all
}

#[test]
fn text_from_others_is_text_in_every_place() {
    let mut listed = with_left("web", 3);
    listed.overview.names = vec![HOSTILE.to_owned(); 2];
    listed.overview.attempts = Some(attempts(HOSTILE));
    listed.ca = HOSTILE.to_owned();
    let mut changed = with_left("changed", 40);
    changed.overview.other = Some(acme_alias_core::renewal::Why::Incomplete(vec![
        HOSTILE.to_owned(),
    ]));
    changed.overview.why.clone_from(&changed.overview.other);
    let honest = render(&snapshot(vec![
        with_left("web", 3),
        with_left("changed", 40),
    ]));
    let mut snapshot = snapshot(vec![listed, changed]);
    for budget in &mut snapshot.budgets {
        budget.ca = HOSTILE.to_owned();
    }
    for line in &mut snapshot.changes {
        line.entry.response = Some(HOSTILE.to_owned());
        line.entry.origin.certificate = Some(HOSTILE.to_owned());
    }
    let trouble = Trouble {
        message: HOSTILE.to_owned(),
        remedies: vec![format!("{HOSTILE}\n{HOSTILE}")],
    };
    if let Some(status) = &mut snapshot.status {
        status
            .failures
            .insert("web".parse().unwrap(), trouble.clone());
        status.refused = Some(trouble);
    }
    let page = render(&snapshot);
    assert!(page.matches("&lt;script&gt;").count() > 10, "{page}");
    for active in ["<script", "<img", "<!--", "\u{202e}", "\u{7}"] {
        assert!(!page.contains(active), "{active}");
    }
    let kinds = |page: &str| -> std::collections::BTreeSet<_> {
        let names = elements(page).into_iter();
        names
            .map(|tag| tag.split(' ').next().unwrap().to_owned())
            .collect()
    };
    let more: Vec<_> = kinds(&page).difference(&kinds(&honest)).cloned().collect();
    assert!(
        more.iter()
            .all(|kind| kind == "code" || kind == "ol" || kind == "li" || kind == "h3"),
        "{more:?}"
    );
}

#[test]
fn the_policy_allows_the_style_sheet_of_the_page_and_nothing_else() {
    let page = render(&snapshot(all_states()));
    let (_, style) = page.split_once("<style>").unwrap();
    let (style, _) = style.split_once("</style>").unwrap();
    let hash = BASE64_STANDARD.encode(digest(&SHA256, style.as_bytes()));
    assert!(
        page.contains(&format!("style-src &#39;sha256-{hash}&#39;"))
            || page.contains(&format!("style-src 'sha256-{hash}'"))
    );
    assert_eq!(page.matches("<style").count(), 1);
    for tag in elements(&page) {
        let name = tag.split(' ').next().unwrap();
        assert!(
            !["script", "link", "img", "iframe", "object", "form", "base"].contains(&name),
            "{tag}"
        );
        for attribute in [" style=", " on", " href=", " src="] {
            assert!(!tag.contains(attribute), "{tag}");
        }
    }
    assert!(!style.contains("url(") && !style.contains("@import"));
}

#[test]
fn problems_come_first_with_their_remedies() {
    let page = render(&snapshot(all_states()));
    let place = |text: &str| {
        page.find(text)
            .unwrap_or_else(|| panic!("`{text}` is not in {page}"))
    };
    assert!(place("<h1>5 problems</h1>") < place("id=\"problems\""));
    assert!(place("id=\"problems\"") < place("id=\"timeline\""));
    assert!(place("restore it from a backup") < place("id=\"timeline\""));
    assert!(place("600 IN CNAME _acme-challenge.auth.example.net.") < place("id=\"timeline\""));
    place("<code>acme-alias renew --force shop</code>");
    place("<code>acme-alias forget old</code>");
    place("214 of 300 in 3 hours");
    let good = render(&Snapshot {
        status: None,
        ..snapshot(vec![with_left("web", 80)])
    });
    assert!(good.contains("<h1>All is well</h1>"));
    assert!(!good.contains("id=\"problems\""));
}

fn broken(domain: &str, answer: &str) -> Finding {
    let name = format!("_acme-challenge.{domain}");
    Finding {
        severity: Severity::Error,
        kind: FindingKind::MissingCname,
        domains: vec![domain.parse().unwrap()],
        name: name.parse().unwrap(),
        server: None,
        answer: answer.to_owned(),
        remedy: "add this record".to_owned(),
        record: Some(format!("{name}. 600 IN CNAME a.example.net.")),
    }
}

/// A snapshot after a check that found these delegations broken.
fn with_broken(all: Vec<Listed>, findings: Vec<Finding>) -> Snapshot {
    let mut delegations = Delegations::new(now());
    delegations.errors = findings.len();
    let found = findings.into_iter().map(|finding| {
        let having = all.iter().filter(|listed| {
            let mut domains = finding.domains.iter();
            domains.any(|domain| listed.overview.names.contains(&domain.to_string()))
        });
        FoundFor {
            certificates: having.map(|listed| listed.overview.id.clone()).collect(),
            finding,
        }
    });
    delegations.findings = found.collect();
    let mut snapshot = snapshot(all);
    if let Some(status) = &mut snapshot.status {
        status.failures.clear();
        status.delegations = Some(Arc::new(delegations));
    }
    snapshot
}

#[test]
fn a_broken_delegation_is_one_problem_with_its_record() {
    let domain = "web.example.com";
    let record = "_acme-challenge.web.example.com. 600 IN CNAME a.example.net.";
    let findings = || vec![broken(domain, HOSTILE)];
    let healthy = render(&with_broken(vec![with_left("web", 80)], findings()));
    // The last failure was in an earlier process.
    let mut listed = with_left("web", 3);
    listed.overview.attempts = Some(attempts("no CNAME"));
    let failed = render(&with_broken(vec![listed], findings()));
    for page in [&healthy, &failed] {
        elements(page);
        assert!(page.contains("<h1>1 problem</h1>"), "{page}");
        assert_eq!(page.matches(record).count(), 1, "{page}");
        assert!(page.contains("1 that would fail"), "{page}");
        assert!(!page.contains("<script"), "{page}");
    }
    assert!(!failed.contains("renew --force web"), "{failed}");
}

#[test]
fn the_broken_names_of_one_certificate_hide_no_problem_of_others() {
    let names: Vec<_> = (0..120).map(|n| format!("{n:03}.example.com")).collect();
    let mut large = with_left("large", 80);
    large.overview.names.clone_from(&names);
    let mut failing = with_left("failing", 3);
    failing.overview.attempts = Some(attempts("it failed"));
    let mut findings: Vec<_> = names.iter().map(|name| broken(name, "nothing")).collect();
    findings.push(broken("www.other.example.com", "nothing"));
    let all = vec![large, with_left("other", 80), failing];
    let page = render(&with_broken(all, findings));
    assert!(page.contains("_acme-challenge.000.example.com"), "{page}");
    assert!(!page.contains("_acme-challenge.119.example.com"), "{page}");
    assert!(
        page.contains("_acme-challenge.www.other.example.com"),
        "{page}"
    );
    assert!(page.contains("renew --force failing"), "{page}");
}

#[test]
fn a_certificate_that_fails_hides_no_finding_about_another_with_the_same_name() {
    let name = "www.victim.example.com";
    let mut hostile = with_left("hostile", 3);
    hostile.overview.names = vec![name.to_owned()];
    hostile.overview.attempts = Some(attempts("it failed"));
    let all = vec![hostile, with_left("victim", 80)];
    let findings = ["it leads elsewhere", "not to victim"].map(|answer| broken(name, answer));
    let mut snapshot = with_broken(all, findings.to_vec());
    let ids = ["hostile", "victim"].map(|id| id.parse().unwrap());
    if let Some(status) = &mut snapshot.status {
        let mut delegations = Delegations::new(now());
        delegations.findings = (findings.into_iter().zip(ids))
            .map(|(finding, id)| FoundFor {
                finding,
                certificates: [id].into(),
            })
            .collect();
        status.delegations = Some(Arc::new(delegations));
    }
    let page = render(&snapshot);
    assert!(page.contains("not to victim"), "{page}");
    // The other one has a problem of its own.
    assert!(!page.contains("it leads elsewhere"), "{page}");
}

#[test]
fn of_many_certificates_the_worst_are_shown_and_the_others_are_at_hand() {
    let mut all = many(1_000);
    all.extend(all_states());
    let snapshot = snapshot(all);
    let began = Instant::now();
    let page = render(&snapshot);
    let took = began.elapsed();
    elements(&page);
    assert!(page.contains("982 more certificates"));
    assert!(page.len() < 600_000, "{} octets", page.len());
    // Without optimisation.
    assert!(took.as_secs() < 2, "{took:?}");
}
