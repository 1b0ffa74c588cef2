//! Running the built `acme-alias`.

use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::Value;
use tempfile::TempDir;

use crate::cargo;
use crate::error::{Context, Error, Result};
use crate::process::{self, Usage};
use crate::settings::Settings;

/// A settings file in the home of the program, if a test puts one there: the bed's own is read above it.
pub const BELOW: &str = "below.toml";

/// A run that takes longer than this hangs, unless more was allowed.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

/// How the program is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As for tests.
    Debug,
    /// As for use.
    Release,
    /// As for tests, with points at which it can be made to end.
    Failpoints,
}

/// Builds the program, once per process; the path of the executable.
pub fn build(profile: Profile) -> Result<&'static Path> {
    static DEBUG: OnceLock<PathBuf> = OnceLock::new();
    static RELEASE: OnceLock<PathBuf> = OnceLock::new();
    static FAILPOINTS: OnceLock<PathBuf> = OnceLock::new();
    static BUILDING: Mutex<()> = Mutex::new(());
    let built = match profile {
        Profile::Debug => &DEBUG,
        Profile::Release => &RELEASE,
        Profile::Failpoints => &FAILPOINTS,
    };
    // One at a time: cargo gives all of them the same path, from which each is linked elsewhere.
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    if built.get().is_none() {
        let _ = built.set(run_cargo(profile)?);
    }
    built
        .get()
        .map(PathBuf::as_path)
        .ok_or_else(|| Error::new("the program was not built"))
}

/// In cargo's own folder, so that all profiles share the dependencies.
fn run_cargo(profile: Profile) -> Result<PathBuf> {
    // With the whole workspace and an example, dependencies have the features that tests need, and are built already.
    let (options, folder) = match profile {
        Profile::Debug => (
            "--workspace --bin acme-alias --example issue",
            "as-for-tests",
        ),
        Profile::Release => ("--package acme-alias --release", "as-for-use"),
        Profile::Failpoints => (
            "--workspace --bin acme-alias --example issue --features acme-alias/failpoints",
            "with-failpoints",
        ),
    };
    let options: Vec<_> = options.split(' ').collect();
    let built = cargo::build("acme-alias", &options)?;
    let folder = built.with_file_name(folder);
    fs::create_dir_all(&folder).context(folder.display())?;
    let own = folder.join("acme-alias");
    match fs::remove_file(&own) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context(own.display())?,
        _ => {}
    }
    fs::hard_link(&built, &own).context(own.display())?;
    Ok(own)
}

/// The program with its settings, ready to be run any number of times.
#[derive(Clone, Debug)]
pub struct Program {
    /// What goes into its settings file.
    pub settings: Settings,
    executable: PathBuf,
    home: PathBuf,
    /// A settings file that is read on top of the bed's own.
    above: Option<PathBuf>,
    environment: Vec<(String, String)>,
    clock_offset: Option<String>,
    /// What a shell does before it becomes the program.
    before: Option<String>,
    limit: Duration,
}

impl Program {
    /// The program with a home folder of its own in `folder`, which outlives it.
    pub(crate) fn new(settings: Settings, executable: &Path, folder: &Path) -> Result<Program> {
        Ok(Program {
            settings,
            executable: executable.to_owned(),
            home: TempDir::with_prefix_in("home-", folder)?.keep(),
            above: None,
            environment: Vec::new(),
            clock_offset: None,
            before: None,
            limit: LIMIT,
        })
    }

    /// Sets a variable in the otherwise almost empty environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Lets it read this settings file on top of the bed's own.
    #[must_use]
    pub fn above(mut self, path: &Path) -> Self {
        self.above = Some(path.to_owned());
        self
    }

    /// Lets it run with a clock that is off, in the notation of `faketime -f`: `+600s`. Timers are right.
    #[must_use]
    pub fn clock(mut self, offset: &str) -> Self {
        self.clock_offset = Some(offset.to_owned());
        self
    }

    /// Lets a shell do something first, such as `umask 000`.
    #[must_use]
    pub fn before(mut self, script: &str) -> Self {
        self.before = Some(script.to_owned());
        self
    }

    /// Allows each run this much time in place of two minutes.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Its home folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Runs it to its end.
    pub fn run<S: AsRef<str>>(&self, arguments: &[S]) -> Result<Outcome> {
        self.spawn(arguments)?.wait()
    }

    /// Starts it.
    pub fn spawn<S: AsRef<str>>(&self, arguments: &[S]) -> Result<Running> {
        let folder = TempDir::with_prefix_in("run-", &self.home)?;
        let config = folder.path().join("config.toml");
        // A test may put a secret into it.
        let mut options = File::options();
        let mut file = options
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&config)?;
        file.write_all(self.settings.to_string().as_bytes())?;
        let mut command = self.command()?;
        let below = self.home.join(BELOW);
        if below.exists() {
            command.arg("--config").arg(below);
        }
        command
            .arg("--config")
            .arg(&config)
            .args(
                self.above
                    .iter()
                    .flat_map(|path| [Path::new("--config"), path]),
            )
            .args(arguments.iter().map(AsRef::as_ref))
            .env_clear()
            .env("HOME", &self.home)
            .env("XDG_CONFIG_HOME", self.home.join("config"))
            .env("XDG_STATE_HOME", self.home.join("state"))
            .envs(self.environment.iter().cloned());
        Running::start("acme-alias", command, folder, self.limit)
    }

    fn command(&self) -> Result<Command> {
        if let Some(script) = &self.before {
            let mut command = process::command(process::find("sh")?)?;
            let script = format!("{script} && exec \"$0\" \"$@\"");
            command.arg("-c").arg(script).arg(&self.executable);
            return Ok(command);
        }
        let Some(offset) = &self.clock_offset else {
            return process::command(&self.executable);
        };
        let mut command = process::command(process::find("faketime")?)?;
        command
            .args(["-m", "--exclude-monotonic", "-f", offset])
            .arg(&self.executable);
        Ok(command)
    }
}

/// A run that has not ended.
#[derive(Debug)]
pub struct Running {
    name: &'static str,
    child: Child,
    started: Instant,
    folder: TempDir,
    limit: Duration,
}

impl Running {
    /// Starts `command`. What it prints is kept in `folder`.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        folder: TempDir,
        limit: Duration,
    ) -> Result<Running> {
        let file = |name| File::create(folder.path().join(name));
        command
            .stdin(Stdio::null())
            .stdout(file("stdout")?)
            .stderr(file("stderr")?);
        Ok(Running {
            name,
            started: Instant::now(),
            child: command.spawn().context(format_args!("starting {name}"))?,
            folder,
            limit,
        })
    }

    /// Asks it to end, with SIGTERM.
    pub fn terminate(&self) -> Result {
        self.signal(Signal::TERM)
    }

    /// Asks it to end as Ctrl-C does, with SIGINT.
    pub fn interrupt(&self) -> Result {
        self.signal(Signal::INT)
    }

    /// Asks it to end as a terminal that is closed does, with SIGHUP.
    pub fn hang_up(&self) -> Result {
        self.signal(Signal::HUP)
    }

    /// Asks it to end as Ctrl-\ does, with SIGQUIT.
    pub fn quit(&self) -> Result {
        self.signal(Signal::QUIT)
    }

    /// Ends it with SIGKILL, which leaves it no time for anything.
    pub fn kill(mut self) -> Result {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until its standard output has these words.
    pub fn wait_until_said(&self, words: &str) -> Result {
        let path = self.folder.path().join("stdout");
        let said = process::wait_for(words, || Ok(fs::read_to_string(&path)?.contains(words)));
        said.map_err(|error| {
            let text = fs::read_to_string(&path).unwrap_or_default();
            Error::new(format_args!("{error}, but:\n{text}"))
        })
    }

    /// The most memory that it has used so far, in octets.
    pub fn peak_memory(&self) -> Result<u64> {
        let peak = process::peak_memory(i32::try_from(self.child.id())?);
        peak.ok_or_else(|| Error::new("the process has ended"))
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Result<Outcome> {
        let ended = process::wait(&mut self.child, self.started, self.limit)?;
        let text = |name| fs::read_to_string(self.folder.path().join(name));
        let (stdout, stderr) = (text("stdout")?, text("stderr")?);
        let Some((status, usage)) = ended else {
            self.child.kill()?;
            self.child.wait()?;
            return Err(Error::new(format_args!(
                "{} did not end in {:?}:\n{stdout}{stderr}",
                self.name, self.limit
            )));
        };
        Ok(Outcome {
            code: status.code(),
            stdout,
            stderr,
            usage,
        })
    }

    fn signal(&self, signal: Signal) -> Result {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        let pid = pid.ok_or_else(|| Error::new("a process without an id"))?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// What it needed.
    pub usage: Usage,
}

impl Outcome {
    /// Checks that it ended well.
    #[track_caller]
    pub fn assert_success(&self) {
        assert_eq!(self.code, Some(0), "{self}");
    }

    /// Checks that it never had so many octets of memory resident.
    #[track_caller]
    pub fn assert_peak_memory_below(&self, octets: u64) {
        let peak = self.usage.peak_memory;
        assert!(peak < octets, "{peak} octets of memory\n{self}");
    }

    /// Checks that it ended with `code`, and said each of `words`.
    #[track_caller]
    pub fn assert_failure(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self}");
        self.assert_said(words);
    }

    /// Checks that it said each of `words` in standard error.
    #[track_caller]
    pub fn assert_said(&self, words: &[&str]) {
        self.assert_in(&self.stderr, words);
    }

    /// Checks that each of `words` is in standard output.
    #[track_caller]
    pub fn assert_printed(&self, words: &[&str]) {
        self.assert_in(&self.stdout, words);
    }

    /// Checks that each of `words` is in standard output or standard error.
    #[track_caller]
    pub fn assert_shown(&self, words: &[&str]) {
        self.assert_in(&format!("{}\n{}", self.stdout, self.stderr), words);
    }

    #[track_caller]
    fn assert_in(&self, text: &str, words: &[&str]) {
        // Long messages are wrapped, and may have a line drawn beside them.
        let on_one_line = |text: &str| {
            let words = text.split_whitespace().filter(|word| *word != "│");
            words.collect::<Vec<_>>().join(" ")
        };
        let text = on_one_line(text);
        for word in words {
            let is_there = text.contains(&on_one_line(word));
            assert!(is_there, "`{word}` is not in:\n{self}");
        }
    }

    /// What it wrote to standard output, as one JSON value.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).context(format_args!("not JSON: {self}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { stdout, stderr, .. } = self;
        match self.code {
            Some(code) => write!(f, "exit code {code}")?,
            None => write!(f, "ended by a signal")?,
        }
        write!(f, "\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
