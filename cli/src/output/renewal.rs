//! What a run did, for people.

use std::fmt::Write as _;
use std::path::PathBuf;

use acme_alias_core::engine::{NotDue, WaitReason, Waiting};
use acme_alias_core::printable::few;
use acme_alias_core::renewal::{Reason, Why};
use acme_alias_core::store::CertificateId;

use super::deployment::undeployed;
use super::report::{Obtained, Renewal};
use super::table::shortened;
use super::words::{counted, day, moment};

/// A list that is longer is shortened, to so many lines.
const LIST_MAX: usize = 20;
const LIST_SHOWN: usize = 10;
/// Ids that a summary names.
const IDS_MAX: usize = 5;
/// The longest error of an earlier run that is shown, in characters.
const ERROR_MAX: usize = 200;

pub(super) fn obtained(obtained: &Obtained) -> String {
    let stored = &obtained.stored;
    let mut text = format!(
        "{}: {}\n  valid until {}, to be renewed from {} on\n  {}\n",
        stored.id,
        stored.info.names.join(", "),
        moment(stored.info.not_after),
        day(obtained.due.at),
        PathBuf::from(&stored.location)
            .join("fullchain.pem")
            .display(),
    );
    for (names, _) in &obtained.left_out {
        text.push_str(&format!("  but it lacks {}\n", few(names, ", ")));
    }
    if let Some(left_behind) = &obtained.left_behind {
        text.push_str(&format!(
            "  but TXT values may be left in a zone: {left_behind}\n"
        ));
    }
    if !obtained.undeployed.is_empty() {
        text.push_str("  but it is not deployed:\n");
        text.push_str(&undeployed(&obtained.undeployed));
    }
    text
}

/// A certificate that was not ordered anew.
pub(super) fn kept(kept: &NotDue) -> String {
    format!(
        "{}: kept: nothing has changed, and it is valid until {}\n  It is renewed from {} on, by {}; `--force` \
         obtains a new one now.\n",
        kept.id,
        moment(kept.not_after),
        day(kept.due),
        kept.reason,
    )
}

/// All that a run did.
pub(super) fn text(renewal: &Renewal) -> String {
    let mut text = String::new();
    for one in &renewal.renewed {
        text.push_str(&obtained(one));
        if let Some(why) = renewal.why.get(&one.stored.id) {
            text.push_str(&format!("  obtained {}\n", because(why)));
        }
    }
    for deployed in &renewal.deployed {
        let id = &deployed.id;
        text.push_str(&match deployed.undeployed.as_slice() {
            [] => format!("{id}: deployed; it was obtained in an earlier run\n"),
            left => format!("{id}: not deployed\n{}", undeployed(left)),
        });
    }
    for id in &renewal.up_to_date {
        text.push_str(&format!("{id}: another process obtained it meanwhile\n"));
    }
    for id in &renewal.in_progress {
        text.push_str(&format!("{id}: another process is working on it\n"));
    }
    text.push_str(&all_waiting(&renewal.waiting));
    text.push_str(&not_due(&renewal.not_due));
    if renewal.interrupted {
        text.push_str("Interrupted; run the same command again.\n");
    }
    if text.is_empty() && renewal.failed.is_empty() {
        text.push_str("There is no certificate to renew.\n");
    }
    text
}

/// Why a certificate was obtained, on one line.
fn because(why: &Why) -> String {
    match why {
        Why::Missing => "because there was none yet".to_owned(),
        Why::Forced => "because of `--force`".to_owned(),
        Why::Due(Reason::Window) => "because the CA wants it to be renewed now".to_owned(),
        Why::Due(reason) => format!("because it was due by {reason}"),
        why => format!("because {why}"),
    }
}

/// The certificates that wait. Those for which an account has no order left are counted if they are many.
fn all_waiting(all: &[Waiting]) -> String {
    let (mut late, others): (Vec<_>, Vec<_>) =
        all.iter().partition(|one| one.reason == WaitReason::Limit);
    let mut text: String = others.into_iter().map(waiting).collect();
    late.sort_by_key(|one| one.until);
    let shown = if late.len() > LIST_MAX {
        LIST_SHOWN
    } else {
        late.len()
    };
    text.extend(late.iter().take(shown).map(|one| waiting(one)));
    if let Some(last) = late.last().filter(|_| late.len() > 1) {
        text.push_str(&format!(
            "{} certificates wait for a limit of the CA; the last one can be obtained at about {}\n",
            late.len(),
            moment(last.until)
        ));
    }
    text
}

fn waiting(waiting: &Waiting) -> String {
    let (id, until) = (&waiting.id, moment(waiting.until));
    let Some(attempts) = &waiting.attempts else {
        let because = match waiting.reason {
            WaitReason::Limit => ", because the CA allows no more orders now",
            WaitReason::Validations => ", because the CA allows no more validations that fail",
            WaitReason::Refused => ", because the CA has refused other orders",
            _ => " after failed attempts",
        };
        return format!("{id}: waits until {until}{because}\n");
    };
    let failed = usize::try_from(attempts.failed).unwrap_or(usize::MAX);
    format!(
        "{id}: waits until {until} after {}\n  the last one failed at {}: {}\n",
        counted(failed, "failed attempt", "failed attempts"),
        moment(attempts.pause.failed_at),
        shortened(&attempts.error, ERROR_MAX),
    )
}

/// The certificates that are not due; a long list is counted.
fn not_due(all: &[NotDue]) -> String {
    let shown = if all.len() > LIST_MAX {
        LIST_SHOWN
    } else {
        all.len()
    };
    let lines = all.iter().take(shown);
    let mut text = String::new();
    for one in lines {
        let _ = writeln!(text, "{}: not due before {}", one.id, day(one.due));
    }
    if shown < all.len() {
        let more = all.len() - shown;
        let _ = writeln!(text, "{more} more certificates are not due");
    }
    text
}

/// What a run did, on one line; nothing if nothing needs attention.
pub(super) fn summary(renewal: &Renewal) -> String {
    let renewed = renewal.renewed.iter().map(|one| &one.stored.id);
    let (deployed, left): (Vec<_>, Vec<_>) = renewal
        .deployed
        .iter()
        .partition(|one| one.undeployed.is_empty());
    let undeployed = renewal.renewed.iter();
    let undeployed = undeployed.filter(|one| !one.undeployed.is_empty());
    let undeployed = undeployed.map(|one| &one.stored.id);
    let undeployed = undeployed.chain(left.iter().map(|one| &one.id));
    let incomplete = renewal.renewed.iter();
    let incomplete = incomplete.filter(|one| !one.left_out.is_empty());
    let parts = [
        part("renewed", renewed),
        part("incomplete", incomplete.map(|one| &one.stored.id)),
        part("deployed", deployed.iter().map(|one| &one.id)),
        part("not deployed", undeployed),
        part("failed", renewal.failed.iter().map(|(id, _)| id)),
        part("waiting", renewal.waiting.iter().map(|one| &one.id)),
    ];
    let mut parts: Vec<_> = parts.into_iter().flatten().collect();
    if renewal.interrupted {
        parts.push("interrupted".to_owned());
    }
    if parts.is_empty() {
        return String::new();
    }
    if !renewal.not_due.is_empty() {
        parts.push(format!("{} not due", renewal.not_due.len()));
    }
    format!("{}\n", parts.join(", "))
}

/// How many certificates, and which; `None` if there are none.
fn part<'a>(word: &str, ids: impl Iterator<Item = &'a CertificateId>) -> Option<String> {
    let ids: Vec<_> = ids.map(ToString::to_string).collect();
    let shown = &ids[..ids.len().min(IDS_MAX)];
    let more = match ids.len() - shown.len() {
        0 => String::new(),
        more => format!(", {more} more"),
    };
    (!ids.is_empty()).then(|| format!("{word} {} ({}{more})", ids.len(), shown.join(", ")))
}
