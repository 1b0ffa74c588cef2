//! The ledger as text files for people and version control: one per zone and month, and which of them
//! each run has changed. The same lines always make the same text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;

use super::line::{Event, Line};
use super::run::RunId;
use crate::name::DnsName;

/// The trailer that names the run in a message.
pub const RUN_TRAILER: &str = "Acme-Alias-Run";

/// What one run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunExport {
    /// The run.
    pub run: RunId,
    /// When its last change was settled.
    pub time: Timestamp,
    /// Which certificates caused which changes: a subject, an empty line, a list.
    pub message: String,
    /// The files that it changed, below the folder of the export: the whole text after this run and
    /// those before it.
    pub files: BTreeMap<PathBuf, String>,
}

/// The exports of the runs that are `wanted`, in the order in which they began, on top of those that
/// were `exported` before. Runs without a change are left out.
pub fn exports(
    lines: &[Line],
    exported: &BTreeSet<RunId>,
    wanted: impl Fn(&RunId) -> bool,
) -> Vec<RunExport> {
    let rows: Vec<_> = lines.iter().filter_map(Row::new).collect();
    let mut done = exported.clone();
    let mut exports = Vec::new();
    for row in &rows {
        let run = &row.line.run;
        if done.contains(run) || !wanted(run) {
            continue;
        }
        done.insert(run.clone());
        let ours: Vec<_> = rows.iter().filter(|row| row.line.run == *run).collect();
        let files: BTreeSet<_> = ours.iter().map(|row| &row.file).collect();
        let text = |file: &File| {
            let rows = rows.iter().filter(|row| row.file == *file);
            let rows = rows.filter(|row| done.contains(&row.line.run));
            rows.fold(file.header(), |text, row| text + &row.text)
        };
        exports.push(RunExport {
            run: run.clone(),
            time: ours.last().map_or(row.line.time, |last| last.line.time),
            message: message(run, &ours),
            files: files
                .into_iter()
                .map(|file| (file.path(), text(file)))
                .collect(),
        });
    }
    exports
}

/// A line that settles something, as it is shown.
struct Row<'a> {
    line: &'a Line,
    mark: char,
    file: File,
    text: String,
}

/// What is in one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct File {
    zone: DnsName,
    month: String,
}

impl File {
    /// The labels of a name are letters, digits, hyphens and underscores.
    fn path(&self) -> PathBuf {
        PathBuf::from(self.zone.as_str()).join(format!("{}.txt", self.month))
    }

    fn header(&self) -> String {
        format!(
            "; TXT records that acme-alias changed in {}, {} (UTC)\n\
             ; + added and read back, - withdrawn, ! refused, ? asked for with an outcome not known then\n",
            self.zone, self.month
        )
    }
}

impl<'a> Row<'a> {
    fn new(line: &'a Line) -> Option<Self> {
        let mark = match line.entry.event {
            Event::Verified => '+',
            Event::Withdrawn => '-',
            Event::Failed => '!',
            Event::Unknown => '?',
            Event::Intent | Event::Acknowledged => return None,
        };
        Some(Row {
            line,
            mark,
            file: File {
                zone: line.entry.zone.clone(),
                month: line.time.strftime("%Y-%m").to_string(),
            },
            text: text(line, mark),
        })
    }
}

fn text(line: &Line, mark: char) -> String {
    let entry = &line.entry;
    let mut text = format!(
        "{} {} {} {} \"{}\" ; for {} by {}",
        line.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        mark,
        entry.name.fqdn(),
        match entry.ttl {
            Some(ttl) => format!("{ttl} TXT"),
            None => "TXT".to_owned(),
        },
        entry.value.as_str().escape_debug(),
        entry
            .origin
            .certificate
            .as_deref()
            .unwrap_or("no certificate")
            .escape_debug(),
        entry.provider.escape_debug(),
    );
    // Nothing fails when a String is written to.
    if let Some(key) = &entry.key {
        let _ = write!(text, " with {}", key.escape_debug());
    }
    if let Some(server) = &entry.server {
        let _ = write!(text, " at {}", server.escape_debug());
    }
    if let Some(serial) = entry.serial {
        let _ = write!(text, ", serial {} -> {}", serial.before, serial.after);
    }
    let _ = writeln!(text, ", line {} of {}", line.sequence, line.run);
    text
}

fn message(run: &RunId, rows: &[&Row<'_>]) -> String {
    let mut by_certificate: BTreeMap<&str, Vec<&Row<'_>>> = BTreeMap::new();
    for row in rows {
        let certificate = row.line.entry.origin.certificate.as_deref();
        let certificate = certificate.unwrap_or("no certificate");
        by_certificate.entry(certificate).or_default().push(row);
    }
    let count = |mark| rows.iter().filter(|row| row.mark == mark).count();
    let who = match by_certificate.keys().collect::<Vec<_>>().as_slice() {
        several @ ([_, _, _, _] | [_, _, _] | [_, _] | [_]) => several
            .iter()
            .map(|id| id.escape_debug().to_string())
            .collect::<Vec<_>>()
            .join(", "),
        many => format!("{} certificates", many.len()),
    };
    let mut message = format!("{who}: {} added, {} withdrawn\n", count('+'), count('-'));
    for (certificate, rows) in by_certificate {
        let _ = write!(message, "\n{}\n", certificate.escape_debug());
        for Row { mark, line, .. } in rows {
            let (name, value) = (line.entry.name.fqdn(), line.entry.value.as_str());
            let _ = writeln!(message, "  {mark} {name} TXT \"{}\"", value.escape_debug());
        }
    }
    let _ = write!(message, "\n{RUN_TRAILER}: {run}\n");
    message
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::*;
    use crate::txt::Action;

    fn lines(story: &[(&str, Event, Action, &str)]) -> Vec<Line> {
        let line =
            |(sequence, (run, event, action, value)): (u64, &(&str, Event, Action, &str))| Line {
                sequence,
                time: "2026-11-30T23:59:59Z".parse().unwrap(),
                run: run.parse().unwrap(),
                entry: entry(*event, *action, value),
                previous: String::new(),
                hash: String::new(),
            };
        (1..).zip(story).map(line).collect()
    }

    fn two_runs() -> Vec<Line> {
        lines(&[
            ("a", Event::Intent, Action::Add, "one"),
            ("b", Event::Intent, Action::Add, "two"),
            ("b", Event::Verified, Action::Add, "two"),
            ("a", Event::Verified, Action::Add, "one"),
            ("b", Event::Withdrawn, Action::Remove, "two"),
            ("a", Event::Unknown, Action::Remove, "one"),
        ])
    }

    #[test]
    fn runs_that_interleave_make_the_same_text_at_once_and_one_after_the_other() {
        let lines = two_runs();
        let at_once = exports(&lines, &BTreeSet::new(), |_| true);
        let runs: Vec<_> = at_once.iter().map(|export| export.run.as_str()).collect();
        assert_eq!(
            runs,
            ["b", "a"],
            "in the order of their first settled lines"
        );
        let first = exports(&lines, &BTreeSet::new(), |run| run.as_str() == "b");
        let second = exports(&lines, &BTreeSet::from(["b".parse().unwrap()]), |_| true);
        assert_eq!([first, second].concat(), at_once);
        let path = PathBuf::from("auth.example.net/2026-11.txt");
        let text = &at_once[1].files[&path];
        let marks: Vec<_> = text.lines().skip(2).map(|row| &row[21..22]).collect();
        assert_eq!(marks, ["+", "+", "-", "?"]);
        assert!(!at_once[0].files[&path].contains("one"));
    }

    #[test]
    fn the_message_says_which_certificate_caused_what() {
        let export = exports(&two_runs(), &BTreeSet::new(), |_| true).remove(0);
        assert_eq!(
            export.message,
            "web: 1 added, 1 withdrawn\n\nweb\n  \
             + _acme-challenge.auth.example.net. TXT \"two\"\n  \
             - _acme-challenge.auth.example.net. TXT \"two\"\n\nAcme-Alias-Run: b\n"
        );
    }
}
