//! Becoming a daemon: limits, user and group, working directory, the two forks. All of it happens
//! while the process has one thread; a runtime starts later.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::process::{Resource, Rlimit, setrlimit};
use tracing::{info, warn};

use crate::config::Config;
use crate::errno::describe;
use crate::log::LOG_ONLY;
use crate::user;

/// Last byte that the starting child writes to its parent; no message contains it.
const STARTED: u8 = 1;
const FAILED: u8 = 0;

/// Which side of the forks this process is.
pub enum Side {
    /// The command that the operator typed; it exits with this code.
    Parent(u8),
    /// The daemon. Its standard error leads to the parent until [`tell_parent`].
    Daemon,
}

/// Forks twice; the daemon is in a session of its own and has no terminal. The parent copies what the
/// daemon says to its own standard error, until the daemon reports its start or ends.
pub fn daemonize() -> io::Result<Side> {
    let (read, write) = rustix::pipe::pipe()?;
    // SAFETY: the process has a single thread, so the child may go on as a normal process.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(read);
            become_daemon(write)?;
            Ok(Side::Daemon)
        }
        child => {
            drop(write);
            if let Some(child) = rustix::process::Pid::from_raw(child) {
                rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty())?;
            }
            Ok(Side::Parent(relay(File::from(read), &mut io::stderr())?))
        }
    }
}

fn become_daemon(to_parent: OwnedFd) -> io::Result<()> {
    rustix::process::setsid()?;
    // SAFETY: still a single thread; the middle process leaves by _exit, which runs no handlers.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        // SAFETY: ends this process; nothing of ours has to be cleaned up.
        _ => unsafe { libc::_exit(0) },
    }
    let null = null_device()?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&to_parent)?;
    Ok(())
}

fn null_device() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/null")
}

/// Copies messages until the daemon closes its end. Returns the exit code: 0 only when the daemon said
/// that it has started; a daemon that dies without a word has failed.
fn relay(mut from: impl Read, to: &mut impl Write) -> io::Result<u8> {
    let mut code = 1;
    let mut buffer = [0; 4096];
    loop {
        let len = match from.read(&mut buffer) {
            Ok(0) => return Ok(code),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let message = &buffer[..len];
        let reports = |byte: &&u8| matches!(**byte, STARTED | FAILED);
        if let Some(report) = message.iter().rfind(reports) {
            code = u8::from(*report == FAILED);
        }
        let text: Vec<u8> = message
            .iter()
            .copied()
            .filter(|byte| !reports(&byte))
            .collect();
        to.write_all(&text)?;
    }
}

/// Ends the link to the parent, which then exits 0 or 1. Standard error leads nowhere afterwards.
pub fn tell_parent(started: bool) -> io::Result<()> {
    io::stderr().write_all(&[if started { STARTED } else { FAILED }])?;
    let null = null_device()?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Sets the limits, protections and priority that need root, as far as this process may; what it may
/// not stays as it is, with a log line where the operator asked for it.
pub fn raise_limits(config: &Config, open_files: u64) {
    set_open_files(open_files);
    let nice = i32::try_from(config.integer("NICE_LEVEL")).unwrap_or(0);
    if let Err(errno) = rustix::process::setpriority_process(None, nice) {
        info!(target: LOG_ONLY, "can't set nice level to {nice}: {}", describe(&errno.into()));
    }
    if config.flag("LOCK_MEMORY") {
        let unlimited = Rlimit {
            current: None,
            maximum: None,
        };
        if let Err(errno) = setrlimit(Resource::Memlock, unlimited) {
            warn!(
                "can't set memory lock limit to unlimited: {}",
                describe(&errno.into())
            );
        }
    }
    if config.flag("DISABLE_OOM_KILLER") {
        match std::fs::write("/proc/self/oom_score_adj", "-1000\n") {
            Ok(()) => info!(target: LOG_ONLY, "out of memory killer disabled"),
            Err(error) => {
                info!(target: LOG_ONLY, "can't disable out of memory killer: {}", describe(&error));
            }
        }
    }
}

fn set_open_files(wanted: u64) {
    let limits = rustix::process::getrlimit(Resource::Nofile);
    // The number that the original sets, also when the process has been given more.
    let exact = Rlimit {
        current: Some(wanted),
        maximum: limits.maximum.map(|maximum| maximum.max(wanted)),
    };
    if setrlimit(Resource::Nofile, exact).is_ok() {
        info!("open files limit has been set to: {wanted}");
        return;
    }
    let possible = limits.maximum.unwrap_or(wanted).min(wanted);
    let lowered = Rlimit {
        current: Some(possible),
        maximum: limits.maximum,
    };
    match setrlimit(Resource::Nofile, lowered) {
        Ok(()) => warn!("open files limit has been set to: {possible}"),
        Err(errno) => warn!("can't change open files limit: {}", describe(&errno.into())),
    }
}

/// Locks the memory of the process (LOCK_MEMORY); after the last fork, which would undo it.
pub fn lock_memory() {
    use rustix::mm::{MlockAllFlags, mlockall};
    match mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE) {
        Ok(()) => info!("process memory was successfully locked in RAM"),
        Err(errno) => warn!("can't lock memory: {}", describe(&errno.into())),
    }
}

/// Allows core dumps in full size; a change of user has forbidden them.
pub fn raise_core_limit() {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    // Both are a help for debugging only: where they are not permitted nothing is lost.
    let _ = setrlimit(Resource::Core, unlimited);
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable);
}

/// Takes the user and group of the configuration, when started by root. The error is the message.
pub fn change_user(config: &Config) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let user = user::lookup(config.text("WORKING_USER"), config.text("WORKING_GROUP"))?;
    user.become_it()
        .map_err(|error| format!("can't change user: {}", describe(&error)))?;
    info!(target: LOG_ONLY, "set gid to {}", user.gid);
    info!(target: LOG_ONLY, "set uid to {}", user.uid);
    Ok(())
}

/// Goes to the data directory and sets the mask of new files. The error is the message.
pub fn enter_data_path(config: &Config) -> Result<(), String> {
    let data_path = Path::new(config.text("DATA_PATH"));
    std::env::set_current_dir(data_path)
        .map_err(|_| format!("can't set working directory to {}", data_path.display()))?;
    let mask = config.u32("FILE_UMASK") & 0o077;
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(mask));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the parent prints and how it exits, for what the daemon sends.
    #[test]
    fn the_parent_tells_a_start_from_a_failure_and_from_silence() {
        let rows: &[(&[u8], &str, u8)] = &[
            (
                b"working directory: /d\nok\n\x01",
                "working directory: /d\nok\n",
                0,
            ),
            (b"no metadata\n\x00", "no metadata\n", 1),
            (b"half a start\n", "half a start\n", 1),
            (b"", "", 1),
        ];
        for (sent, shown, code) in rows {
            let mut out = Vec::new();
            assert_eq!(relay(*sent, &mut out).unwrap(), *code, "{shown:?}");
            assert_eq!(String::from_utf8(out).unwrap(), *shown);
        }
    }
}
