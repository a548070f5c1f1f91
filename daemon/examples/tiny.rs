//! The smallest daemon: it serves nothing, says what signals reach it, and takes its configuration
//! from the master's table. The integration tests drive it; a new daemon begins as a copy of it.

use std::process::ExitCode;

use daemon::cli::{ExtraOption, Program};
use daemon::config::Config;
use daemon::start::{self, Startup};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

const PROGRAM: Program = Program {
    name: "mfsmaster",
    version: "version: 3.0.117-1 ; build: 1341",
    default_config: "/nonexistent/mfs/mfsmaster.cfg",
    old_default_config: "/nonexistent/mfsmaster.cfg",
    open_files: 256,
    restores: true,
    options: &[ExtraOption {
        letter: 'a',
        usage: "[-a]",
        help: &["-a : fail on purpose"],
    }],
};

fn main() -> ExitCode {
    start::run(&PROGRAM, daemon::keys::master::table(), serve)
}

fn serve(startup: &mut Startup) -> Result<(), String> {
    if startup.invocation.count('a') > 0 {
        return Err("init: metadata manager failed !!!".to_owned());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("can't start the runtime: {error}"))?;
    runtime
        .block_on(wait(startup))
        .map_err(|error| format!("can't watch signals: {error}"))
}

async fn wait(startup: &mut Startup) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut user1 = signal(SignalKind::user_defined1())?;
    startup.initialized();
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv(), if startup.invocation.foreground => break,
            _ = hangup.recv() => reload(&mut startup.config),
            _ = user1.recv() => note("info"),
        }
    }
    info!("terminate signal received");
    note("stopped");
    Ok(())
}

fn reload(config: &mut Config) {
    match config.reload() {
        Ok(new) => *config = new,
        Err(error) => info!("{error}"),
    }
    note(&format!(
        "reload BACK_LOGS={} LOCK_MEMORY={}",
        config.u32("BACK_LOGS"),
        config.flag("LOCK_MEMORY")
    ));
}

/// Leaves a trace for the tests in the data directory.
fn note(text: &str) {
    use std::io::Write as _;
    info!("{text}");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open("notes.txt");
    let _ = file.and_then(|mut file| writeln!(file, "{text}"));
}
