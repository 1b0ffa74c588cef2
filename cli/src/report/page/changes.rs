//! The latest DNS changes, from the ledger.

use maud::{Markup, html};

use super::super::snapshot::Snapshot;
use super::parts::text;

pub(super) fn section(snapshot: &Snapshot) -> Markup {
    html! {
        section aria-labelledby="changes" {
            h2 #changes { "Latest DNS changes" }
            @if snapshot.changes.is_empty() { p { "No DNS change is on record." } } @else {
                div.scroll { table.changes {
                    caption {
                        "The newest of " (snapshot.ledger_lines) " lines of the ledger. "
                        code { "acme-alias ledger show" } " prints all."
                    }
                    thead { tr {
                        th scope="col" { "Time (UTC)" }
                        th scope="col" { "Event" }
                        th scope="col" { "Change" }
                        th scope="col" { "Name" }
                        th scope="col" { "Certificate" }
                    } }
                    tbody {
                        @for line in &snapshot.changes {
                            @let entry = &line.entry;
                            tr {
                                td.when {
                                    time datetime=(line.time) { (line.time.strftime("%Y-%m-%d %H:%M:%S")) }
                                }
                                td { (entry.event) }
                                td { (entry.action) }
                                td.name {
                                    (text(&entry.name.to_string()))
                                    @if let Some(response) = &entry.response { span.names { (text(response)) } }
                                }
                                td { (text(entry.origin.certificate.as_deref().unwrap_or("–"))) }
                            }
                        }
                    }
                } }
            }
        }
    }
}
