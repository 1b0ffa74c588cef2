//! Signals that end the program.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, Part};

/// The first signal ends the work and withdraws what was written. A second one ends the program
/// at once.
pub(crate) fn cancel_on_signals(cancel: &CancellationToken) -> Result<(), Failure> {
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
        SignalKind::quit(),
    ];
    for kind in kinds {
        let mut signals = signal(kind).map_err(|e| Failure::new(Part::Unexpected, &e, None))?;
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
