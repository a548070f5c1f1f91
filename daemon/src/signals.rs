//! What signals mean to a daemon (tools-and-cli §12.3). The handlers belong to the runtime of each
//! program; this is the contract, and the part that must hold before a runtime exists.
//!
//! | signal | meaning |
//! |---|---|
//! | SIGTERM | stop in order: save, close, exit 0 |
//! | SIGINT | the same in the foreground; ignored by a background process |
//! | SIGHUP | read the configuration and its companions again; on an error keep the old ones |
//! | SIGUSR1 | log the state |
//! | SIGQUIT, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR2 | ignored |
//! | SIGKILL | no chance; the next start recovers from image and changelogs |

/// Ignores what a daemon ignores for good, and, until the program installs its handlers, SIGHUP and
/// SIGUSR1, so that a `reload` during the start does not end the process. SIGTERM keeps its default:
/// a start that hangs can be stopped.
pub fn ignore_before_runtime(foreground: bool) {
    let always = [
        libc::SIGHUP,
        libc::SIGUSR1,
        libc::SIGQUIT,
        libc::SIGPIPE,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGUSR2,
    ];
    let background = [libc::SIGINT].into_iter().filter(|_| !foreground);
    for signal in always.into_iter().chain(background) {
        // SAFETY: SIG_IGN runs no code of ours; the numbers are valid signals that may be ignored,
        // so the call cannot fail.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}
