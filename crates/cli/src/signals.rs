//! Being asked to end.

use tokio::signal::unix::{SignalKind, signal};

/// Exit code of a process that was ended by Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Waits for Ctrl-C or a polite kill. From then on a second one ends the process at once.
pub(crate) async fn asked_to_end() {
    if wait().await.is_err() {
        // Without handlers the signals do what they always do.
        std::future::pending::<()>().await;
    }
    tokio::spawn(async {
        if wait().await.is_ok() {
            std::process::exit(INTERRUPTED);
        }
    });
}

async fn wait() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
