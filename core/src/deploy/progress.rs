//! The targets of a certificate in a run: which are to be done, in which order, and what became of them.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::state::{Deployment, Deployments};
use super::target::{Target, digest_of};
use crate::renewal::{Attempts, Failure};

/// The targets of a certificate in a run.
#[derive(Debug)]
pub(crate) struct Progress {
    targets: Vec<Target>,
    /// As many as there are targets.
    state: Deployments,
    /// The targets to do in this run, by their places.
    queue: VecDeque<usize>,
}

impl Progress {
    /// Begins with what is stored, which may be of another version or have other targets. `force` overrides pauses
    /// after failed attempts.
    pub(crate) fn begin(
        stored: Option<&Deployments>,
        version: u32,
        targets: &[Target],
        now: Timestamp,
        force: bool,
    ) -> Self {
        let stored = stored.filter(|stored| stored.version == version);
        let mut unique: Vec<(u64, &Target)> = Vec::new();
        for target in targets {
            let identity = target.identity();
            if !unique.iter().any(|(known, _)| *known == identity) {
                unique.push((identity, target));
            }
        }
        let states = unique.iter().map(|(identity, target)| {
            let known = stored.and_then(|stored| {
                let mut targets = stored.targets.iter();
                targets.find(|known| known.target == *identity)
            });
            Deployment {
                target: *identity,
                name: target.to_string(),
                done: known.is_some_and(|known| known.done),
                attempts: known.and_then(|known| known.attempts.clone()),
            }
        });
        let state = Deployments {
            version,
            digest: digest_of(targets),
            shared: None,
            targets: states.collect(),
        };
        let is_next = |target: &Deployment| {
            let attempts = target.attempts.as_ref();
            let wait = attempts.and_then(|attempts| attempts.pause.wait(now, force));
            !target.done && wait.is_none()
        };
        let places = 0..state.targets.len();
        Progress {
            queue: places
                .filter(|place| is_next(&state.targets[*place]))
                .collect(),
            targets: unique
                .into_iter()
                .map(|(_, target)| target.clone())
                .collect(),
            state,
        }
    }

    /// The target that comes next, unless all that can be done was tried.
    pub(crate) fn next(&self) -> Option<&Target> {
        self.targets.get(*self.queue.front()?)
    }

    /// The targets that come in this run, in their order.
    pub(super) fn ahead(&self) -> impl Iterator<Item = &Target> {
        self.queue
            .iter()
            .filter_map(|place| self.targets.get(*place))
    }

    /// The next target is done.
    pub(crate) fn succeeded(&mut self) {
        let Some(place) = self.queue.pop_front() else {
            return;
        };
        self.state.targets[place].done = true;
        self.state.targets[place].attempts = None;
        // A command after files that were written now has seen the old ones in an earlier run.
        if matches!(self.targets[place], Target::Files(_)) {
            for later in place + 1..self.targets.len() {
                let state = &mut self.state.targets[later];
                if state.done && matches!(self.targets[later], Target::Command(_)) {
                    state.done = false;
                    self.queue.push_back(later);
                }
            }
            self.queue.make_contiguous().sort_unstable();
        }
    }

    /// The next target failed.
    pub(crate) fn failed(&mut self, now: Timestamp, error: String) {
        if let Some(place) = self.queue.pop_front() {
            let attempts = &mut self.state.targets[place].attempts;
            let failure = Failure {
                error,
                is_of_ca: false,
                asked: None,
                asked_by: None,
            };
            *attempts = Some(Attempts::after(attempts.as_ref(), now, failure));
        }
    }

    /// Whether the last attempt at a target failed.
    pub(crate) fn has_failed(&self) -> bool {
        let mut pending = self.state.pending();
        pending.any(|target| target.attempts.is_some())
    }

    /// What is stored of the progress.
    pub(crate) fn state(&self) -> &Deployments {
        &self.state
    }

    /// Whether every target is done.
    pub(crate) fn is_complete(&self) -> bool {
        self.state.pending().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::{CommandTarget, FilesTarget};

    fn command(word: &str) -> Target {
        Target::Command(CommandTarget::new(vec![word.to_owned()]))
    }

    fn files(group: &str) -> Target {
        Target::Files(FilesTarget {
            group: Some(group.to_owned()),
            ..FilesTarget::default()
        })
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    /// Does what comes next; targets with `bad` in their names fail.
    fn work(progress: &mut Progress) -> Vec<String> {
        let mut done = Vec::new();
        while let Some(target) = progress.next() {
            let name = match target {
                Target::Files(files) => files.group.clone().unwrap_or_default(),
                Target::Command(command) => command.command[0].clone(),
            };
            if name.contains("bad") {
                progress.failed(now(), "it failed".to_owned());
            } else {
                progress.succeeded();
            }
            done.push(name);
        }
        done
    }

    fn again(before: &Progress, targets: &[Target], force: bool) -> Progress {
        Progress::begin(Some(before.state()), 1, targets, now(), force)
    }

    #[test]
    fn a_target_that_fails_waits_and_stops_no_other() {
        let targets = [command("one"), command("bad"), command("two")];
        let mut progress = Progress::begin(None, 1, &targets, now(), false);
        assert_eq!(work(&mut progress), ["one", "bad", "two"]);
        assert!(!progress.is_complete());
        assert_eq!(work(&mut again(&progress, &targets, false)), [""; 0]);
        let mut forced = again(&progress, &targets, true);
        assert_eq!(work(&mut forced), ["bad"]);
        let attempts = forced.state().targets[1].attempts.as_ref();
        assert_eq!(attempts.map(|attempts| attempts.failed), Some(2));
    }

    #[test]
    fn all_targets_are_due_for_a_new_version() {
        let targets = [command("one"), files("two")];
        let mut progress = Progress::begin(None, 1, &targets, now(), false);
        work(&mut progress);
        assert!(progress.is_complete());
        let state = progress.state();
        let mut next = Progress::begin(Some(state), 2, &targets, now(), false);
        assert_eq!(work(&mut next), ["one", "two"]);
    }

    #[test]
    fn a_changed_target_is_due_and_the_others_are_not() {
        let mut progress =
            Progress::begin(None, 1, &[command("one"), command("old")], now(), false);
        work(&mut progress);
        let targets = [command("one"), command("new"), command("new")];
        let mut changed = again(&progress, &targets, false);
        assert_eq!(work(&mut changed), ["new"]);
        assert_eq!(changed.state().targets.len(), 2);
        assert!(changed.is_complete());
    }

    #[test]
    fn commands_after_files_that_are_written_later_run_again() {
        let targets = [command("before"), files("bad"), command("reload")];
        let mut progress = Progress::begin(None, 1, &targets, now(), false);
        assert_eq!(work(&mut progress), ["before", "bad", "reload"]);
        let targets = [command("before"), files("good"), command("reload")];
        let mut mended = again(&progress, &targets, false);
        assert_eq!(work(&mut mended), ["good", "reload"]);
        assert!(mended.is_complete());
    }
}
