//! An account, for people.

use super::managed::{AccountAction, ShownAccount};

pub(super) fn shown(shown: &ShownAccount) -> String {
    let ShownAccount {
        action,
        account,
        state,
        configured,
        terms,
        former,
    } = shown;
    let list = |all: &[String]| {
        if all.is_empty() {
            "none".to_owned()
        } else {
            all.join(", ")
        }
    };
    let mut text = match action {
        AccountAction::None => "",
        AccountAction::Updated => "The contacts of the settings were sent to the CA.\n",
        AccountAction::RolledOver => "The account has a new key.\n",
        AccountAction::Deactivated => {
            "The account is deactivated. `acme-alias account new` creates another one.\n"
        }
        AccountAction::Created => {
            "The account was created. If CAA records name the account (`accounturi`), \
             `acme-alias delegate --caa` prints the new ones.\n"
        }
    }
    .to_owned();
    let agreed = match state.terms_agreed {
        Some(true) => " (agreed)",
        Some(false) => " (not agreed)",
        None => "",
    };
    let terms = terms.as_deref().unwrap_or("none");
    for (name, value) in [
        ("account", account.url()),
        ("CA", account.directory()),
        ("status", &state.status),
        ("contacts", &list(&state.contact)),
        ("in settings", &list(configured)),
        ("thumbprint", account.thumbprint()),
        ("terms", &format!("{terms}{agreed}")),
    ] {
        text.push_str(&format!("{name:<12} {value}\n"));
    }
    for url in former {
        text.push_str(&format!("{:<12} {url}\n", "former"));
    }
    text
}
