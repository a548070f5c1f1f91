//! Log lines to syslog and to the operator's terminal, in MooseFS's form `mfsmaster[pid]: text`
//! (master-behaviour §21). Everything arrives as `tracing` events.
//!
//! Where a line goes:
//!
//! | phase | syslog | standard error |
//! |---|---|---|
//! | start | all | the plain text, except lines for the log only |
//! | serving in the background | all | – |
//! | serving in the foreground | all, unless standard error is the journal | `ident[pid]: text` |
//!
//! An own layer of a hundred lines, because the crates for syslog know neither the two phases nor the
//! operator, and block when syslogd does.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::{Registry, reload};

/// Target of events that the operator's terminal does not show during the start.
pub const LOG_ONLY: &str = "log_only";

const SYSLOG_SOCKET: &str = "/dev/log";
/// Facility daemon, shifted as in the priority number.
const FACILITY: u8 = 3 << 3;
/// Longest line; the rest is cut.
const LINE_BYTES_MAX: usize = 8192;

static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    ident: String,
    /// Lines go to standard error after the start, too.
    foreground: bool,
    /// Syslog would store the line a second time: standard error leads to the journal.
    only_stderr: bool,
    starting: AtomicBool,
    syslog: Mutex<Option<UnixDatagram>>,
    lost: AtomicU64,
    level: reload::Handle<LevelFilter, Registry>,
}

/// Opens the log; to be called once, after the last fork. `level` is a word of SYSLOG_MIN_LEVEL.
pub fn open(ident: &str, foreground: bool, level: &str) {
    let (filter, handle) = reload::Layer::new(level_filter(level));
    let log = Log {
        ident: ident.to_owned(),
        foreground,
        only_stderr: foreground && std::env::var_os("JOURNAL_STREAM").is_some(),
        starting: AtomicBool::new(true),
        syslog: Mutex::new(None),
        lost: AtomicU64::new(0),
        level: handle,
    };
    if LOG.set(log).is_ok() {
        let subscriber = Registry::default().with(filter).with(LogLayer);
        // Only a test harness can have set another one; then its choice stands.
        let _ = tracing::subscriber::set_global_default(subscriber);
    }
}

/// Changes the least level that is logged (SYSLOG_MIN_LEVEL at a reload).
pub fn set_level(level: &str) {
    if let Some(log) = LOG.get() {
        // Fails only when the subscriber is gone, and then there is nothing to filter.
        let _ = log.level.modify(|filter| *filter = level_filter(level));
    }
}

/// The start is over: standard error is no longer the operator's.
pub fn started() {
    if let Some(log) = LOG.get() {
        log.starting.store(false, Ordering::Relaxed);
    }
}

/// A line for the operator's terminal only.
pub fn say(text: &str) {
    say_part(&format!("{text}\n"));
}

/// A piece of a line for the operator's terminal only.
pub fn say_part(text: &str) {
    // A terminal that is gone must not stop the daemon.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// `ERR`, `WARNING`, `NOTICE`, `INFO`, `DEBUG` in any case, as MooseFS 4 writes them. Any other word
/// is `INFO`.
fn level_filter(word: &str) -> LevelFilter {
    match word.to_ascii_uppercase().as_str() {
        "ERR" | "ERROR" => LevelFilter::ERROR,
        "WARNING" | "WARN" => LevelFilter::WARN,
        "DEBUG" => LevelFilter::DEBUG,
        "TRACE" => LevelFilter::TRACE,
        _ => LevelFilter::INFO,
    }
}

/// The syslog severity of a level; plain messages are notices, as in MooseFS.
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 5,
        Level::DEBUG | Level::TRACE => 7,
    }
}

struct LogLayer;

/// What a library tells about its own work; its warnings are wanted.
fn is_chatter(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("openraft") && *metadata.level() > Level::WARN
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_chatter(metadata) {
            Interest::never()
        } else {
            Interest::always()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        !is_chatter(metadata)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(log) = LOG.get() else { return };
        let text = text_of(event);
        let metadata = event.metadata();
        if log.starting.load(Ordering::Relaxed) && metadata.target() != LOG_ONLY {
            say(&text);
        } else if log.foreground {
            say(&format!("{}[{}]: {text}", log.ident, std::process::id()));
        }
        if !log.only_stderr {
            log.send(severity(*metadata.level()), &text);
        }
    }
}

impl Log {
    /// Sends one datagram, without ever waiting: a syslogd that hangs costs lines, not the service.
    fn send(&self, severity: u8, text: &str) {
        let mut socket = self.syslog.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > 0 && self.write(&mut socket, 4, &format!("{lost} log lines were lost")) {
            self.lost.fetch_sub(lost, Ordering::Relaxed);
        }
        if !self.write(&mut socket, severity, text) && socket.is_some() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A socket that has broken is opened again once. False when the line did not get through.
    fn write(&self, socket: &mut Option<UnixDatagram>, severity: u8, text: &str) -> bool {
        let priority = FACILITY | severity;
        let (stamp, pid) = (time_stamp(), std::process::id());
        let line = format!("<{priority}>{stamp} {}[{pid}]: {text}", self.ident);
        for _ in 0..2 {
            if socket.is_none() {
                *socket = connect().ok();
            }
            let Some(open) = socket.as_ref() else {
                return false;
            };
            match open.send(line.as_bytes()) {
                Ok(_) => return true,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
                Err(_) => *socket = None,
            }
        }
        false
    }
}

fn connect() -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(SYSLOG_SOCKET)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Local time as syslog wants it: `Nov 24 16:17:18`.
fn time_stamp() -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let now = crate::local_time::now();
    let month = usize::try_from(now.tm_mon)
        .ok()
        .and_then(|m| MONTHS.get(m))
        .unwrap_or(&"Jan");
    format!(
        "{month} {:2} {:02}:{:02}:{:02}",
        now.tm_mday, now.tm_hour, now.tm_min, now.tm_sec
    )
}

/// The message, then other fields as ` name=value`; one line, bounded, without control characters.
fn text_of(event: &Event<'_>) -> String {
    let mut visitor = Text {
        message: String::new(),
        fields: String::new(),
    };
    event.record(&mut visitor);
    let mut text = visitor.message + &visitor.fields;
    if text.len() > LINE_BYTES_MAX {
        let cut = (0..=LINE_BYTES_MAX)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        text.truncate(cut);
    }
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a String cannot fail.
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            let _ = write!(self.fields, " {}={value:?}", field.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_levels() {
        let rows = [
            ("ERR", LevelFilter::ERROR),
            ("Warning", LevelFilter::WARN),
            ("notice", LevelFilter::INFO),
            ("INFO", LevelFilter::INFO),
            ("DEBUG", LevelFilter::DEBUG),
            ("loud", LevelFilter::INFO),
        ];
        for (word, filter) in rows {
            assert_eq!(level_filter(word), filter, "{word}");
        }
    }

    #[test]
    fn the_time_has_the_width_that_syslogd_expects() {
        let stamp = time_stamp();
        assert_eq!(stamp.len(), "Nov 24 16:17:18".len(), "{stamp}");
    }
}
