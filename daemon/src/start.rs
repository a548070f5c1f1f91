//! From `main` to a serving process, and the commands that only talk to one (tools-and-cli §12). The
//! order and the texts are those of MooseFS 3.0.117.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tracing::{error, info, warn};

use crate::cli::{self, Command, Invocation, Program};
use crate::config::{Config, ConfigError};
use crate::config_table::ConfigTable;
use crate::errno::describe;
use crate::lock::{self, Lock, LockError};
use crate::log;
use crate::{process, signals};

/// Pause between two looks at the lock of a process that ends.
const LOCK_POLL: Duration = Duration::from_millis(100);
/// While waiting, a sign of life is shown this often.
const DOT_EVERY: Duration = Duration::from_secs(10);

/// What the program's own code gets: the process is a daemon (or stays in the foreground), in its
/// data directory, with the user's rights and the lock; one thread, no runtime yet.
#[derive(Debug)]
pub struct Startup {
    /// The configuration; its warnings have been logged.
    pub config: Config,
    /// The command line.
    pub invocation: Invocation,
    program: &'static str,
    initialized: bool,
    _lock: Lock,
}

impl Startup {
    /// To be called once, when everything has been loaded and the sockets listen: the command that
    /// the operator typed ends with success.
    pub fn initialized(&mut self) {
        log::say(&format!("{} daemon initialized properly", self.program));
        self.end_start(true);
    }

    fn end_start(&mut self, success: bool) {
        self.initialized = true;
        log::started();
        if !self.invocation.foreground && self.invocation.command != Command::Restore {
            // The parent may be gone; the daemon serves all the same.
            let _ = process::tell_parent(success);
        }
    }
}

/// The whole of a daemon's `main`. `serve` initialises, calls [`Startup::initialized`], serves until
/// it is told to stop and returns; an error is logged line by line and ends the process with 1.
pub fn run(
    program: &Program,
    table: ConfigTable,
    serve: impl FnOnce(&mut Startup) -> Result<(), String>,
) -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let invocation = match cli::parse(program, &args) {
        Ok(invocation) => invocation,
        Err(answer) => {
            print(&answer.output);
            log::say_part(&answer.error);
            return ExitCode::from(answer.code);
        }
    };
    for notice in &invocation.notices {
        print(&format!("{notice}\n"));
    }
    let Some(config) = load_config(program, table, &invocation) else {
        return ExitCode::FAILURE;
    };
    let code = match invocation.command {
        Command::Start | Command::Restart | Command::TryRestart | Command::Restore => {
            start(program, config, invocation, serve)
        }
        Command::Stop | Command::Kill | Command::Test | Command::Reload | Command::Info => {
            control(program, &config, &invocation)
        }
    };
    ExitCode::from(code)
}

/// Standard output may be closed; there is nobody to tell.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A file that was asked for must be there; the default one may be missing.
fn load_config(program: &Program, table: ConfigTable, invocation: &Invocation) -> Option<Config> {
    if let Some(path) = &invocation.config {
        return match Config::load(table, path) {
            Ok(config) => Some(config),
            Err(error) => {
                log::say(&error.to_string());
                None
            }
        };
    }
    let mut path = PathBuf::from(program.default_config);
    let old = Path::new(program.old_default_config);
    if !path.exists() && old.exists() {
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        log::say(&format!(
            "default sysconf path has changed - please move {file} from {}/ to {}/",
            old.parent().unwrap_or(old).display(),
            path.parent().unwrap_or(&path).display()
        ));
        path = old.to_owned();
    }
    match Config::load(table.clone(), &path) {
        Ok(config) => Some(config),
        Err(error @ (ConfigError::Missing { .. } | ConfigError::Unreadable { .. })) => {
            log::say(&error.to_string());
            log::say(&format!(
                "can't load config file: {} - using defaults",
                path.display()
            ));
            Some(Config::parse(table, &path, b""))
        }
    }
}

fn start(
    program: &Program,
    config: Config,
    invocation: Invocation,
    serve: impl FnOnce(&mut Startup) -> Result<(), String>,
) -> u8 {
    let foreground = invocation.foreground || invocation.command == Command::Restore;
    if !foreground {
        match process::daemonize() {
            Ok(process::Side::Parent(code)) => return code,
            Ok(process::Side::Daemon) => {}
            Err(error) => {
                log::say(&format!("can't become a daemon: {}", describe(&error)));
                return 1;
            }
        }
    }
    signals::ignore_before_runtime(foreground);
    let ident = config
        .text_if_any("SYSLOG_IDENT")
        .unwrap_or(program.name)
        .to_owned();
    log::open(&ident, foreground, config.text("SYSLOG_MIN_LEVEL"));
    let lock = match prepare(program, &config, &invocation) {
        Ok(lock) => lock,
        Err(code) => {
            if !foreground {
                let _ = process::tell_parent(code == 0);
            }
            return code;
        }
    };
    log::say(&format!("initializing {} modules ...", program.name));
    let mut startup = Startup {
        config,
        invocation,
        program: program.name,
        initialized: false,
        _lock: lock,
    };
    let result = serve(&mut startup);
    if let Err(text) = &result {
        for line in text.lines() {
            error!("{line}");
        }
        if !startup.initialized {
            log::say("error occurred during initialization - exiting");
        }
    }
    let code = u8::from(result.is_err());
    if !startup.initialized {
        startup.end_start(code == 0);
    }
    info!(
        "process exited {}successfully (status:{code})",
        if code == 0 { "" } else { "un" }
    );
    code
}

/// Everything before the program's own initialisation. The error is an exit code; its reason has been
/// said.
fn prepare(program: &Program, config: &Config, invocation: &Invocation) -> Result<Lock, u8> {
    for warning in config.warnings() {
        warn!("{warning}");
    }
    if invocation.log_defaults {
        for (name, default) in config.defaults_in_use() {
            info!("config: using default value for option '{name}' - '{default}'");
        }
    }
    process::raise_limits(config, program.open_files);
    let refuse = |message: String| {
        error!("{message}");
        1
    };
    process::change_user(config).map_err(refuse)?;
    log::say(&format!("working directory: {}", config.text("DATA_PATH")));
    process::enter_data_path(config).map_err(refuse)?;
    let lock = take_lock(program, invocation)?;
    if config.flag("LOCK_MEMORY") {
        process::lock_memory();
    }
    if invocation.raise_core_limit {
        process::raise_core_limit();
    }
    Ok(lock)
}

/// Takes the lock of the working directory, for a restart after ending its owner.
fn take_lock(program: &Program, invocation: &Invocation) -> Result<Lock, u8> {
    let path = lock::path(Path::new("."), program.name);
    let fail = |error: std::io::Error| {
        error!(
            "can't create lockfile in working directory: {}",
            describe(&error)
        );
        1
    };
    let owner = lock::owner(&path).map_err(fail)?;
    match (invocation.command, owner) {
        (Command::Restart | Command::TryRestart, Some(pid)) => {
            end_owner(&path, pid, Signal::TERM, invocation.lock_timeout)?;
        }
        (Command::TryRestart, None) => {
            log::say("can't find process to restart");
            return Err(1);
        }
        _ => {}
    }
    match Lock::acquire(&path) {
        Ok(lock) => {
            if owner.is_none() {
                log::say("lockfile created and locked");
            }
            Ok(lock)
        }
        Err(LockError::Held) => {
            error!("can't start: lockfile is already locked by another process");
            Err(1)
        }
        Err(LockError::Io(error)) => Err(fail(error)),
    }
}

/// Signals the owner of the lock and waits until it has let go.
fn end_owner(path: &Path, pid: Pid, signal: Signal, timeout: Duration) -> Result<(), u8> {
    let name = if signal == Signal::KILL {
        "SIGKILL"
    } else {
        "SIGTERM"
    };
    log::say(&format!("sending {name} to lock owner (pid:{pid})"));
    if let Err(errno) = kill_process(pid, signal) {
        log::say(&format!(
            "can't kill lock owner: {}",
            describe(&errno.into())
        ));
        return Err(1);
    }
    log::say_part("waiting for termination ");
    let begin = Instant::now();
    let mut next_dot = DOT_EVERY;
    while matches!(lock::owner(path), Ok(Some(owner)) if owner == pid) {
        let waited = begin.elapsed();
        if waited >= timeout {
            log::say(":giving up");
            return Err(1);
        }
        if waited >= next_dot {
            log::say_part(".");
            next_dot += DOT_EVERY;
        }
        std::thread::sleep(LOCK_POLL);
    }
    log::say("terminated");
    Ok(())
}

/// The commands to a running process.
fn control(program: &Program, config: &Config, invocation: &Invocation) -> u8 {
    if invocation.log_defaults {
        for (name, default) in config.defaults_in_use() {
            log::say(&format!(
                "config: using default value for option '{name}' - '{default}'"
            ));
        }
    }
    let data_path = Path::new(config.text("DATA_PATH"));
    if !data_path.is_dir() {
        log::say(&format!(
            "can't set working directory to {}",
            data_path.display()
        ));
        return 1;
    }
    let path = lock::path(data_path, program.name);
    let owner = match lock::owner(&path) {
        Ok(owner) => owner,
        Err(error) => {
            log::say(&format!(
                "can't read lockfile in working directory: {}",
                describe(&error)
            ));
            return 1;
        }
    };
    match (invocation.command, owner) {
        (Command::Stop, Some(pid)) => ended(&path, pid, Signal::TERM, invocation.lock_timeout),
        (Command::Kill, Some(pid)) => ended(&path, pid, Signal::KILL, invocation.lock_timeout),
        (Command::Stop | Command::Kill, None) => {
            log::say("can't find process to terminate");
            0
        }
        (Command::Reload, Some(pid)) => signalled("reload", pid, Signal::HUP),
        (Command::Info, Some(pid)) => signalled("info", pid, Signal::USR1),
        (Command::Reload, None) => missing("reload"),
        (Command::Info, None) => missing("info"),
        (_, Some(pid)) => {
            log::say(&format!("{} pid: {pid}", program.name));
            0
        }
        (_, None) => {
            log::say(&format!("{} is not running", program.name));
            1
        }
    }
}

fn ended(path: &Path, pid: Pid, signal: Signal, timeout: Duration) -> u8 {
    end_owner(path, pid, signal, timeout).err().unwrap_or(0)
}

fn signalled(what: &str, pid: Pid, signal: Signal) -> u8 {
    match kill_process(pid, signal) {
        Ok(()) => {
            log::say(&format!("{what} signal has been sent"));
            0
        }
        Err(errno) => {
            log::say(&format!(
                "can't send {what} signal to lock owner: {}",
                describe(&errno.into())
            ));
            1
        }
    }
}

fn missing(what: &str) -> u8 {
    log::say(&format!("can't find process to send {what} signal"));
    1
}
