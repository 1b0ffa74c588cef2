//! Messages to the service manager (`sd_notify(3)`). Without one, nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

/// How often a message says that the process is alive, unless the service manager asks for more.
const ALIVE_EVERY: Duration = Duration::from_mins(1);

/// The process does its work now.
pub(super) fn ready() {
    send(&[NotifyState::Ready]);
}

/// The settings are read again. `ready` follows.
pub(super) fn reloading() {
    // It needs the time, so that the answer to an earlier request is not taken for that of this one.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        send(&[NotifyState::Reloading, now]);
    }
}

/// The process ends.
pub(super) fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// What the process does, for `systemctl status`.
pub(super) fn status(text: &str) {
    send(&[NotifyState::Status(text)]);
}

/// Does the work, and tells the watchdog meanwhile that it goes on: both are polled by one task, so that work that blocks
/// is noticed.
pub(super) async fn alive<T>(work: impl Future<Output = T>) -> T {
    let limit = sd_notify::watchdog_enabled();
    let mut ticks = interval(limit.map_or(ALIVE_EVERY, |limit| limit / 3));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let beat = async {
        loop {
            ticks.tick().await;
            send(&[NotifyState::Watchdog]);
        }
    };
    tokio::select! {
        done = work => done,
        () = beat => unreachable!(),
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not notified");
    }
}
