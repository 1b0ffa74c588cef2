//! What the program tells about itself.

use std::fs;

use acme_alias_tests::{Result, TestBed};

#[test]
fn completions_know_the_commands_and_the_flags_of_the_providers() -> Result {
    let bed = TestBed::start()?;
    for shell in ["bash", "zsh", "fish"] {
        let outcome = bed.run(&["completions", shell])?;
        outcome.assert_success();
        for word in ["challenge-alias", "rfc2136-server", "renew"] {
            assert!(outcome.stdout.contains(word), "{shell}: {word}");
        }
    }
    Ok(())
}

#[test]
fn there_is_a_man_page_for_every_command() -> Result {
    let bed = TestBed::start()?;
    let folder = bed.folder().join("man");
    bed.run(&["man", &folder.display().to_string()])?
        .assert_success();
    for command in ["acme-alias", "acme-alias-issue", "acme-alias-config-show"] {
        let page = fs::read_to_string(folder.join(format!("{command}.1")))?;
        assert!(page.contains(".SH NAME"), "{page}");
    }
    let issue = fs::read_to_string(folder.join("acme-alias-issue.1"))?;
    assert!(issue.contains("rfc2136"), "{issue}");
    Ok(())
}

#[test]
fn the_providers_are_listed_with_their_options() -> Result {
    let bed = TestBed::start()?;
    let outcome = bed.run(&["providers"])?;
    outcome.assert_success();
    for word in ["rfc2136", "tsig-secret", "(required)", "(default: 60)"] {
        assert!(outcome.stdout.contains(word), "{outcome}");
    }
    let providers = bed.run(&["providers", "--output", "json"])?.json()?;
    let kinds: Vec<_> = providers["providers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|provider| (&provider["kind"], &provider["guarantees"]["values"]))
        .collect();
    let expected = [
        ("cloudflare", "per-value"),
        ("exec", "per-value"),
        ("powerdns", "read-back"),
        ("rfc2136", "per-value"),
        ("route53", "compare-and-swap"),
    ];
    assert_eq!(kinds.len(), expected.len());
    for ((kind, values), expected) in kinds.into_iter().zip(expected) {
        assert_eq!(
            (kind.as_str(), values.as_str()),
            (Some(expected.0), Some(expected.1))
        );
    }
    Ok(())
}

#[test]
fn the_json_schema_has_every_provider_and_allows_no_other_key() -> Result {
    let bed = TestBed::start()?;
    let schema = bed.run(&["config", "schema"])?.json()?;
    assert_eq!(schema["additionalProperties"], false);
    let providers = &schema["properties"]["providers"]["additionalProperties"]["oneOf"];
    let providers = providers.as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(providers.len(), 5);
    for provider in providers {
        assert_eq!(provider["additionalProperties"], false);
        assert_eq!(provider["required"][0], "kind");
    }
    Ok(())
}
