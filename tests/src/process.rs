//! Child processes that end with the test, and whose log is at hand when something is wrong.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use crate::error::{Context, Error, Result};

/// How long a server may take until it answers.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How long to pause between two questions to a server that starts.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// How long to pause between two looks at a process that is to end.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Lines of a server's log that an error shows.
const LOG_TAIL: usize = 25;

/// Where Debian puts servers, which the `PATH` of a normal user lacks.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// The full path of a program; the error says how to install it.
pub(crate) fn find(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            Error::new(format_args!(
                "`{program}` is not installed; `cargo xtask setup` installs it"
            ))
        })
}

/// A copy of a program in the bed's folder: Debian confines (by `AppArmor`) some servers at their usual path,
/// and keeps them out of temporary folders.
pub(crate) fn unconfined(root: &Path, program: &str) -> Result<PathBuf> {
    let copy = root.join(program);
    if !copy.exists() {
        // By a process of its own: had this one the copy open for writing, a process that another
        // test starts at that moment would have it too, and the copy could not be run (ETXTBSY).
        let original = find(program)?;
        let copied = Command::new("cp").arg(&original).arg(&copy).status();
        let copied = copied.context("cp")?;
        if !copied.success() {
            let original = original.display();
            return Err(Error::new(format_args!("cp {original}: {copied}")));
        }
    }
    Ok(copy)
}

/// What a command prints, given as on a command line without quotes.
pub fn output_of(line: &str) -> Result<String> {
    let mut words = line.split_whitespace();
    let program = find(words.next().unwrap_or_default())?;
    let output = Command::new(program).args(words).output().context(line)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format_args!("{line}: {said}")))
}

/// A command that the kernel kills when the thread that started it ends, so that a test that is
/// killed itself leaves nothing running.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Result<Command> {
    let mut command = Command::new(find("setpriv")?);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    Ok(command)
}

/// The same in a mount namespace of its own, in which `resolv_conf` is `/etc/resolv.conf`.
pub(crate) fn command_with_resolver(
    program: impl AsRef<OsStr>,
    resolv_conf: &Path,
) -> Result<Command> {
    // The kernel forgets whom to kill when the user namespace changes, so `setpriv` comes last.
    const SCRIPT: &str = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let inner = command(program)?;
    let mut command = Command::new(find("unshare")?);
    command
        .args(["--map-root-user", "--mount", "sh", "-c", SCRIPT])
        .arg(resolv_conf)
        .arg(inner.get_program())
        .args(inner.get_args());
    Ok(command)
}

/// A server that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command` in `folder`; what it prints goes to `NAME.log` there.
    pub(crate) fn start(name: &str, mut command: Command, folder: &Path) -> Result<Server> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).context(log.display())?;
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context(format_args!("starting {name}"))?;
        Ok(Server {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Asks until `ready` says yes.
    pub(crate) fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result {
        let deadline = Instant::now() + READY_WITHIN;
        while !ready() {
            let ended = self.child.try_wait()?;
            let what = match ended {
                Some(status) => format!("ended with {status}"),
                None if Instant::now() > deadline => format!("gave no answer in {READY_WITHIN:?}"),
                None => {
                    std::thread::sleep(ASK_EVERY);
                    continue;
                }
            };
            let log = self.log()?;
            let tail: Vec<_> = log.lines().rev().take(LOG_TAIL).collect();
            let tail: Vec<_> = tail.into_iter().rev().collect();
            return Err(Error::new(format_args!(
                "{} {what}; its log ends:\n{}",
                self.name,
                tail.join("\n")
            )));
        }
        Ok(())
    }

    /// All that it printed so far.
    pub(crate) fn log(&self) -> Result<String> {
        fs::read_to_string(&self.log).context(self.log.display())
    }

    /// Asks it to read its configuration again, with SIGHUP.
    pub(crate) fn hang_up(&self) -> Result {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        let pid = pid.ok_or_else(|| Error::new("a process without an id"))?;
        Ok(rustix::process::kill_process(pid, Signal::HUP)?)
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until `holds` says yes.
pub(crate) fn wait_for(what: &str, holds: impl Fn() -> Result<bool>) -> Result {
    let deadline = Instant::now() + READY_WITHIN;
    while !holds()? {
        if Instant::now() > deadline {
            return Err(Error::new(format_args!(
                "{READY_WITHIN:?} have passed, and still not: {what}"
            )));
        }
        std::thread::sleep(ASK_EVERY);
    }
    Ok(())
}

/// Runs another program, one of those that `cargo xtask setup` or `bench` installs, to its end.
pub fn measure(
    program: &str,
    configure: impl FnOnce(&mut Command) -> &mut Command,
) -> Result<Usage> {
    const LIMIT: Duration = Duration::from_mins(10);
    let mut command = command(find(program)?)?;
    let mut output = tempfile::tempfile()?;
    configure(&mut command)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?);
    let started = Instant::now();
    let mut child = command.spawn().context(program)?;
    match wait(&mut child, started, LIMIT)? {
        Some((status, usage)) if status.success() => Ok(usage),
        ended => {
            child.kill()?;
            child.wait()?;
            let mut said = String::new();
            output.rewind()?;
            output.read_to_string(&mut said)?;
            let how = ended.map_or("hangs".to_owned(), |(status, _)| status.to_string());
            Err(Error::new(format_args!("{program}: {how}\n{said}")))
        }
    }
}

/// The value in the middle of those of some samples, of which there is at least one.
pub fn median<S, T: Ord>(samples: &[S], value: impl Fn(&S) -> T) -> T {
    let mut values: Vec<_> = samples.iter().map(value).collect();
    values.sort();
    values.swap_remove(values.len() / 2)
}

/// What a process needed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// From its start to its end.
    pub wall: Duration,
    /// Of all its threads, in user and kernel mode; the kernel counts in ticks of 10 ms.
    pub cpu: Duration,
    /// The most memory it had resident, in bytes.
    pub peak_memory: u64,
}

/// Waits for the end of a process that was started at `started`; `None` where it has not ended
/// after `limit`.
pub(crate) fn wait(
    child: &mut Child,
    started: Instant,
    limit: Duration,
) -> Result<Option<(ExitStatus, Usage)>> {
    let pid = i32::try_from(child.id())?;
    let process = Pid::from_raw(pid).ok_or_else(|| Error::new("a process without an id"))?;
    // The process stays a zombie at first, because its times can be read until it is reaped.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let mut usage = Usage::default();
    while rustix::process::waitid(WaitId::Pid(process), options)?.is_none() {
        if started.elapsed() > limit {
            return Ok(None);
        }
        usage.peak_memory = peak_memory(pid).unwrap_or(usage.peak_memory);
        std::thread::sleep(LOOK_EVERY);
    }
    usage.wall = started.elapsed();
    usage.cpu = cpu(pid).ok_or_else(|| Error::new("a zombie without times"))?;
    Ok(Some((child.wait()?, usage)))
}

/// From `/proc/PID/status`; a zombie has none.
pub(crate) fn peak_memory(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// From `/proc/PID/stat`: fields 14 and 15, counted from the pid (`proc_pid_stat(5)`).
fn cpu(pid: i32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, and may contain anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<_> = fields.split(' ').collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_millis(ticks * 1000 / per_second))
}
