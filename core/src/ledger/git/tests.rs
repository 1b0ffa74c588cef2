//! What is exported, and what happens to the repository.

use std::fs;

use jiff::SignedDuration;

use super::bed::Bed;
use super::*;
use crate::ledger::sample::entry;
use crate::ledger::{Entry, Event, RunId};
use crate::txt::Action;

#[tokio::test]
async fn each_run_is_a_commit_with_its_changes_and_time() {
    let bed = Bed::new();
    bed.run("one").await;
    bed.clock.advance(SignedDuration::from_secs(1));
    bed.run("two").await;
    assert_eq!(bed.export().await.unwrap(), 2);
    assert_eq!(bed.export().await.unwrap(), 0);
    assert_eq!(bed.subjects(), ["web: 1 added, 1 withdrawn"; 2]);
    let dates = bed.git(&["log", "--format=%aI %an %ae %cn"]);
    let expected = [
        "2026-11-30T23:59:59Z acme-alias acme-alias@localhost acme-alias",
        "2026-11-30T23:59:58Z acme-alias acme-alias@localhost acme-alias",
    ];
    assert_eq!(dates.lines().collect::<Vec<_>>(), expected);
    let message = bed.git(&["log", "-1", "--format=%B"]);
    assert_eq!(
        message.trim_end(),
        "web: 1 added, 1 withdrawn\n\nweb\n  \
         + _acme-challenge.auth.example.net. TXT \"two\"\n  \
         - _acme-challenge.auth.example.net. TXT \"two\"\n\nAcme-Alias-Run: two\nAcme-Alias-Ledger: 6 07059632cd46445516153e42dc8595ab749a4b2e31a27178804337ec118de9c7"
    );
    assert_eq!(bed.git(&["status", "--porcelain"]), "");
    assert_eq!(
        bed.git(&["show", "HEAD:auth.example.net/2026-11.txt"]),
        bed.november()
    );
    bed.git(&["fsck", "--strict"]);
}

#[tokio::test]
async fn runs_that_interleave_make_the_same_text_at_once_and_one_after_the_other() {
    let (at_once, one_by_one) = (Bed::new(), Bed::new());
    for bed in [&at_once, &one_by_one] {
        let story = [
            ("a", Event::Intent, "one"),
            ("b", Event::Intent, "two"),
            ("b", Event::Verified, "two"),
            ("a", Event::Verified, "one"),
            ("b", Event::Withdrawn, "two"),
            ("a", Event::Unknown, "one"),
            ("a", Event::Forgotten, "one"),
        ];
        for (run, event, value) in story {
            bed.record(run, event, value).await;
        }
    }
    assert_eq!(at_once.export().await.unwrap(), 2);
    let only_b = one_by_one.export_ended(|run, _| run.as_str() == "b").await;
    assert_eq!(only_b.unwrap(), 1);
    assert!(!one_by_one.november().contains("one"));
    assert_eq!(one_by_one.export().await.unwrap(), 1);
    let commits = |bed: &Bed| bed.git(&["log", "--format=%T %aI %B"]);
    assert_eq!(commits(&at_once), commits(&one_by_one));
    let text = at_once.november();
    let rows: Vec<_> = text.lines().filter(|line| !line.starts_with(';')).collect();
    let marks: Vec<_> = rows.iter().map(|row| &row[21..22]).collect();
    assert_eq!(marks, ["+", "+", "-", "?", "x"]);
    // In the order of their first rows.
    let runs = at_once.git(&[
        "log",
        "--reverse",
        "--format=%(trailers:key=Acme-Alias-Run,valueonly)",
    ]);
    let runs: Vec<_> = runs.split_whitespace().collect();
    assert_eq!(runs, ["b", "a"]);
}

#[tokio::test]
async fn a_run_across_two_months_and_zones_is_one_commit() {
    let bed = Bed::new();
    bed.record("long", Event::Verified, "one").await;
    bed.run("short").await;
    let elsewhere = Entry {
        zone: "example.org".parse().unwrap(),
        ..entry(Event::Verified, Action::Add, "one")
    };
    bed.record_entry("long", elsewhere).await;
    bed.clock.advance(SignedDuration::from_secs(2));
    bed.record("long", Event::Withdrawn, "one").await;
    bed.run("next").await;
    assert_eq!(bed.export().await.unwrap(), 3);
    let files = bed.git(&[
        "log",
        "--reverse",
        "--name-only",
        "--format=%(trailers:key=Acme-Alias-Run,valueonly)",
    ]);
    let files: Vec<_> = files.split_whitespace().collect();
    let (november, december) = (
        "auth.example.net/2026-11.txt",
        "auth.example.net/2026-12.txt",
    );
    let long = ["long", november, december, "example.org/2026-11.txt"];
    assert_eq!(
        files,
        [&long[..], &["short", november, "next", december]].concat()
    );
    // The first commit has no row of the later runs.
    let first = bed.git(&["show", &format!("HEAD~2:{november}")]);
    assert!(
        first.contains("of long") && !first.contains("of short"),
        "{first}"
    );
    assert_eq!(
        bed.git(&["show", &format!("HEAD:{november}")]),
        bed.november()
    );
}

#[tokio::test]
async fn a_month_with_many_rows_has_several_files_and_a_commit_the_changed_ones() {
    let (at_once, one_by_one) = (Bed::new(), Bed::new());
    for bed in [&at_once, &one_by_one] {
        bed.record("long", Event::Verified, "one").await;
        for run in 0..16 {
            bed.run(&run.to_string()).await;
            if bed.folder.path() == one_by_one.folder.path() {
                let is_ended = |run: &RunId, _| run.as_str() != "long";
                assert_eq!(bed.export_ended(is_ended).await.unwrap(), 1);
            }
        }
        bed.record("long", Event::Withdrawn, "one").await;
        bed.export().await.unwrap();
    }
    let files = |bed: &Bed, commit: &str| {
        let list = ["show", "--name-only", "--format=", commit, "--", "."];
        bed.git(&list)
    };
    let name = |part: &str| format!("auth.example.net/2026-11{part}.txt");
    assert_eq!(files(&one_by_one, "HEAD~2"), name("_004") + "\n");
    // The last run before the long one, whose rows are at the end of one file and the beginning of the next.
    let last = [name("_004"), name("_005")].join("\n") + "\n";
    assert_eq!(files(&one_by_one, "HEAD~1"), last);
    let long = [name(""), name("_005")].join("\n") + "\n";
    assert_eq!(files(&one_by_one, "HEAD"), long);
    let tree = |bed: &Bed| bed.git(&["rev-parse", "HEAD^{tree}"]);
    assert_eq!(tree(&at_once), tree(&one_by_one));
    let list = at_once.git(&["ls-tree", "-r", "--name-only", "HEAD"]);
    let mut lines = Vec::new();
    for file in list.lines() {
        let text = at_once.git(&["show", &format!("HEAD:{file}")]);
        let rows: Vec<_> = text.lines().filter(|line| !line.starts_with(';')).collect();
        assert!(rows.len() <= 8, "{file}: {}", rows.len());
        for row in rows {
            let (_, line) = row.rsplit_once(", line ").unwrap();
            lines.push(line.split(' ').next().unwrap().parse::<u64>().unwrap());
        }
    }
    assert_eq!(lines.len(), 34);
    assert!(lines.is_sorted(), "{lines:?}");
}

#[tokio::test]
async fn a_run_that_has_not_ended_waits() {
    let bed = Bed::new();
    bed.record("running", Event::Verified, "one").await;
    bed.run("ended").await;
    let is_ended = |run: &RunId, _| run.as_str() != "running";
    assert_eq!(bed.export_ended(is_ended).await.unwrap(), 1);
    assert!(!bed.november().contains("running"));
    bed.record("running", Event::Withdrawn, "one").await;
    assert_eq!(bed.export().await.unwrap(), 1);
    let text = bed.november();
    let rows = text.lines().filter(|line| !line.starts_with(';'));
    let runs: Vec<_> = rows.map(|row| row.rsplit(' ').next().unwrap()).collect();
    assert_eq!(runs, ["running", "ended", "ended", "running"]);
}

#[tokio::test]
async fn the_work_of_others_in_the_repository_is_left_alone() {
    let bed = Bed::new();
    bed.init();
    for file in ["committed", "staged", "changed"] {
        fs::write(bed.repository().join(file), "1\n").unwrap();
    }
    bed.git(&["add", "committed", "changed"]);
    bed.git(&["commit", "--quiet", "-m", "Theirs"]);
    bed.git(&["add", "staged"]);
    fs::write(bed.repository().join("changed"), "2\n").unwrap();
    let before = bed.git(&["status", "--porcelain"]);
    bed.run("one").await;
    bed.export().await.unwrap();
    bed.run("two").await;
    bed.export().await.unwrap();
    assert_eq!(bed.git(&["status", "--porcelain"]), before);
    assert_eq!(bed.subjects().len(), 3);
    let files = bed.git(&["ls-tree", "-r", "--name-only", "HEAD"]);
    let expected = ["auth.example.net/2026-11.txt", "changed", "committed"];
    assert_eq!(files.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_folder_that_is_not_empty_and_no_repository_is_refused() {
    let bed = Bed::new();
    bed.run("one").await;
    fs::create_dir_all(bed.repository()).unwrap();
    fs::write(bed.repository().join("notes"), "").unwrap();
    let error = bed.export().await.unwrap_err();
    assert!(
        matches!(error, GitExportError::NotAWorkTree { .. }),
        "{error}"
    );
    bed.git(&["init", "--quiet", "--bare", "bare.git"]);
    let bare = GitExport::new(bed.repository().join("bare.git"));
    let error = bare.export(&bed.ledger, |_, _| true).await.unwrap_err();
    assert!(
        matches!(error, GitExportError::NotAWorkTree { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_merge_in_progress_is_not_disturbed() {
    let bed = Bed::new();
    bed.init();
    bed.git(&["commit", "--quiet", "--allow-empty", "-m", "One"]);
    bed.git(&["checkout", "--quiet", "-b", "other"]);
    bed.git(&["commit", "--quiet", "--allow-empty", "-m", "Two"]);
    bed.git(&["checkout", "--quiet", "main"]);
    bed.git(&["merge", "--quiet", "--no-ff", "--no-commit", "other"]);
    bed.run("one").await;
    let error = bed.export().await.unwrap_err();
    assert!(
        matches!(error, GitExportError::MergeInProgress { .. }),
        "{error}"
    );
    bed.git(&["commit", "--quiet", "-m", "Merge"]);
    assert_eq!(bed.export().await.unwrap(), 1);
}

#[tokio::test]
async fn an_export_that_was_interrupted_is_continued() {
    let bed = Bed::new();
    bed.run("one").await;
    bed.export().await.unwrap();
    bed.run("two").await;
    // Killed after the files and the index were written, and before the branch moved.
    let head = bed.git(&["rev-parse", "HEAD"]);
    bed.export().await.unwrap();
    bed.git(&["update-ref", "HEAD", head.trim()]);
    assert_ne!(bed.git(&["status", "--porcelain"]), "");
    assert_eq!(bed.export().await.unwrap(), 1);
    assert_eq!(bed.git(&["status", "--porcelain"]), "");
    assert_eq!(bed.subjects().len(), 2);
}

#[tokio::test]
async fn two_exports_at_the_same_time_commit_each_run_once() {
    let bed = Bed::new();
    bed.init();
    for run in ["one", "two", "three"] {
        bed.run(run).await;
    }
    let (one, other) = tokio::join!(bed.export(), bed.export());
    assert_eq!(one.unwrap() + other.unwrap(), 3);
    assert_eq!(bed.subjects().len(), 3);
}

#[tokio::test]
async fn the_folder_may_have_any_name() {
    let bed = Bed::new();
    bed.init();
    bed.run("one").await;
    let name = "a \"b\"\n\u{1f980}:*";
    let folder = bed.repository().join(name);
    let export = GitExport::new(folder.join("acme"));
    assert_eq!(export.export(&bed.ledger, |_, _| true).await.unwrap(), 1);
    assert_eq!(export.export(&bed.ledger, |_, _| true).await.unwrap(), 0);
    let files = bed.git(&["ls-tree", "-r", "-z", "--name-only", "HEAD"]);
    let expected = format!("{name}/acme/auth.example.net/2026-11.txt\0");
    assert_eq!(files, expected);
    assert_eq!(bed.git(&["status", "--porcelain"]), "");
}
