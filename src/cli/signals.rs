//! SIGTERM and SIGINT: the first asks to end, the second ends at once. SIGHUP asks to read the configuration again.

use std::process::exit;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Becomes true at the first signal.
///
/// # Errors
/// The handlers cannot be installed.
pub fn stop() -> std::io::Result<watch::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (asked, stop) = watch::channel(false);
    tokio::spawn(async move {
        for last in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if last {
                eprintln!("nbgate: second signal, ending at once");
                exit(1);
            }
            // Nobody listening means that the work is over already.
            let _ = asked.send(true);
        }
    });
    Ok(stop)
}
