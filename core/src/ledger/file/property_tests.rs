//! Random histories: whatever happens to processes and checkpoints, the open values are those of the
//! lines.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::TryStreamExt;
use jiff::SignedDuration;
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

use super::FileLedger;
use super::bed::Temporary;
use super::folder::Folder;
use crate::ledger::sample::entry;
use crate::ledger::{Entry, Event, Ledger, Line, OpenValue, OpenValues};
use crate::name::DnsName;
use crate::testkit::ManualClock;
use crate::txt::Action;

/// Processes that use the ledger at the same time.
const PROCESSES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// A process records changes.
    Record(usize, Vec<Entry>),
    /// A process reports the open values.
    Report(usize),
    /// A process is killed while it writes the part of a line.
    Kill(usize, prop::sample::Index),
    /// A process writes a checkpoint and ends.
    End(usize),
    /// The checkpoint is lost.
    RemoveCheckpoint,
    /// One octet of the checkpoint changes.
    DamageCheckpoint(prop::sample::Index, u8),
    /// The checkpoint is cut off.
    CutCheckpoint(prop::sample::Index),
    /// A copy of everything is made.
    BackUp,
    /// The checkpoint of the copy replaces the current one.
    RestoreCheckpoint,
    /// All processes are killed, and the lines of the copy replace the current ones.
    RestoreLines,
    /// A line that cannot be read is written.
    Garbage,
    /// A month passes.
    NextMonth,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let process = || 0..PROCESSES;
    let at = any::<prop::sample::Index>;
    let step = prop_oneof![
        8 => (process(), prop::collection::vec(changes(), 1..4)).prop_map(|(p, e)| Step::Record(p, e)),
        6 => process().prop_map(Step::Report),
        2 => (process(), at()).prop_map(|(process, cut)| Step::Kill(process, cut)),
        2 => process().prop_map(Step::End),
        1 => Just(Step::RemoveCheckpoint),
        1 => (at(), 1..=255_u8).prop_map(|(at, octet)| Step::DamageCheckpoint(at, octet)),
        1 => at().prop_map(Step::CutCheckpoint),
        1 => Just(Step::BackUp),
        1 => Just(Step::RestoreCheckpoint),
        1 => Just(Step::RestoreLines),
        1 => Just(Step::Garbage),
        1 => Just(Step::NextMonth),
    ];
    prop::collection::vec(step, 1..40)
}

fn changes() -> impl Strategy<Value = Entry> {
    let event = prop_oneof![
        4 => Just(Event::Intent),
        1 => Just(Event::Failed),
        2 => Just(Event::Withdrawn),
        1 => Just(Event::Forgotten),
    ];
    let action = prop_oneof![Just(Action::Add), Just(Action::Remove)];
    (event, action, "[a-d]").prop_map(|(event, action, value)| entry(event, action, &value))
}

/// A process. If it is dropped, its tasks end where they are.
struct Process {
    runtime: Runtime,
    ledger: FileLedger,
}

struct World {
    folder: Temporary,
    backup: Temporary,
    clock: Arc<ManualClock>,
    processes: Vec<Option<Process>>,
}

impl World {
    fn new() -> Self {
        World {
            folder: Temporary::new(),
            backup: Temporary::new(),
            clock: Arc::new(ManualClock::new("2026-01-15T00:00:00Z".parse().unwrap())),
            processes: (0..PROCESSES).map(|_| None).collect(),
        }
    }

    /// The process with this number, started if it does not run.
    fn process(&mut self, number: usize) -> &Process {
        let (folder, clock) = (self.folder.path(), Arc::clone(&self.clock));
        self.processes[number].get_or_insert_with(|| {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let ledger = runtime.block_on(FileLedger::open(folder, clock)).unwrap();
            Process { runtime, ledger }
        })
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Record(number, entries) => {
                let run = format!("run-{number}").parse().unwrap();
                let Process { runtime, ledger } = self.process(number);
                runtime.block_on(ledger.record(&run, entries)).unwrap();
            }
            Step::Report(number) => self.check(number),
            Step::Kill(number, cut) => self.kill(number, cut),
            Step::End(number) => {
                let Process { runtime, ledger } = self.process(number);
                runtime.block_on(ledger.checkpoint());
                self.processes[number] = None;
            }
            Step::RemoveCheckpoint => drop(fs::remove_file(self.checkpoint())),
            Step::DamageCheckpoint(at, octet) => self.change_checkpoint(|text| {
                let at = at.index(text.len());
                text[at] ^= octet;
            }),
            Step::CutCheckpoint(at) => {
                self.change_checkpoint(|text| text.truncate(at.index(text.len())));
            }
            Step::BackUp => copy(self.folder.path(), self.backup.path()),
            Step::RestoreCheckpoint => {
                drop(fs::copy(
                    self.backup.path().join(".checkpoint"),
                    self.checkpoint(),
                ));
            }
            Step::RestoreLines => {
                self.processes.fill_with(|| None);
                for month in self.months() {
                    fs::remove_file(month).unwrap();
                }
                for month in Folder::new(self.backup.path()).months().unwrap() {
                    let to = self.folder.path().join(&month);
                    fs::copy(self.backup.path().join(month), to).unwrap();
                }
            }
            Step::Garbage => self.append(b"not a line\n"),
            Step::NextMonth => self.clock.advance(SignedDuration::from_hours(30 * 24)),
        }
    }

    fn kill(&mut self, number: usize, cut: prop::sample::Index) {
        self.processes[number] = None;
        if let Some(newest) = self.months().last() {
            let text = fs::read(newest).unwrap();
            let line = text.split(|octet| *octet == b'\n').next().unwrap().to_vec();
            self.append(&line[..cut.index(line.len() + 1)]);
        }
    }

    /// Appends to the newest file, and not to what is torn there.
    fn append(&self, octets: &[u8]) {
        if let Some(newest) = self.months().last() {
            let text = fs::read(newest).unwrap();
            if text.ends_with(b"\n") {
                let mut file = fs::File::options().append(true).open(newest).unwrap();
                file.write_all(octets).unwrap();
            }
        }
    }

    fn change_checkpoint(&self, change: impl FnOnce(&mut Vec<u8>)) {
        if let Ok(mut text) = fs::read(self.checkpoint())
            && !text.is_empty()
        {
            change(&mut text);
            fs::write(self.checkpoint(), text).unwrap();
        }
    }

    /// The process reports the values that reading everything finds.
    fn check(&mut self, number: usize) {
        let everything = FileLedger::open_read_only(self.folder.path());
        let Process { runtime, ledger } = self.process(number);
        let lines: Vec<Line> = runtime.block_on(everything.lines().try_collect()).unwrap();
        let mut expected = OpenValues::default();
        for line in &lines {
            expected.apply(line);
        }
        let expected: Vec<Arc<OpenValue>> = expected.iter().cloned().collect();
        assert_eq!(runtime.block_on(ledger.open_values()).unwrap(), expected);
        let name: DnsName = "_acme-challenge.auth.example.net".parse().unwrap();
        let at_name = runtime.block_on(ledger.open_values_at(&[name])).unwrap();
        assert_eq!(at_name, expected);
    }

    fn checkpoint(&self) -> PathBuf {
        self.folder.path().join(".checkpoint")
    }

    fn months(&self) -> Vec<PathBuf> {
        let months = Folder::new(self.folder.path()).months().unwrap();
        months
            .iter()
            .map(|month| self.folder.path().join(month))
            .collect()
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(to).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match fs::copy(entry.path(), to.join(entry.file_name())) {
            // Another process may be replacing its checkpoint.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            copied => drop(copied.unwrap()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn open_values_are_those_of_the_lines(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        for number in 0..PROCESSES {
            world.check(number);
        }
    }
}
