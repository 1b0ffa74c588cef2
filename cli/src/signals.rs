//! Signals that end the program, or let it read its settings again.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, Part};

/// The first signal ends the work and withdraws what was written. A second one ends the program
/// at once. SIGHUP is one of them, unless it has another meaning.
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
    for kind in kinds.into_iter().chain(hangup) {
        let mut signals = listen(kind)?;
        let cancel = cancel.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if cancel.is_cancelled() {
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
