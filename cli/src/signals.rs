//! Signals that end the program, or let it read its settings again.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, Part};
use crate::output;

/// A signal within this time after the first one is the same: `timeout` of the GNU tools, for example, sends each signal
/// twice.
const REPEATED_WITHIN: Duration = Duration::from_secs(1);

/// The first signal ends the work and withdraws what was written. A later one ends the program at once. SIGHUP is one
/// of them, unless it has another meaning.
pub(crate) fn cancel_on_signals(
    cancel: &CancellationToken,
    hangup_ends: bool,
) -> Result<(), Failure> {
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::quit(),
    ];
    let hangup = hangup_ends.then(SignalKind::hangup);
    let first = Arc::new(OnceLock::new());
    for kind in kinds.into_iter().chain(hangup) {
        let mut signals = listen(kind)?;
        let (cancel, first) = (cancel.clone(), Arc::clone(&first));
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let first: &Instant = first.get_or_init(Instant::now);
                if first.elapsed() >= REPEATED_WITHIN {
                    output::notice(
                        "ended at once; TXT values that were not withdrawn yet are removed by the next `acme-alias renew` or \
                         `acme-alias ledger reconcile`\n",
                    );
                    std::process::exit(i32::from(Part::Interrupted.exit_code()));
                }
                cancel.cancel();
            }
        });
    }
    Ok(())
}

/// SIGHUP, for a process that reads its settings again.
pub(crate) fn hangups() -> Result<Signal, Failure> {
    listen(SignalKind::hangup())
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::new(Part::Unexpected, &error, None))
}
