//! Keys that every daemon reads (tools-and-cli §15.1).

use crate::config_table::{Key, Kind};

const GROUP: &str = "runtime options";

/// Rows in the order of the sample file.
pub const KEYS: &[Key] = &[
    Key::new(
        GROUP,
        "WORKING_USER",
        Kind::Text,
        "mfs",
        "user to run as: a name, or a number after a #",
    )
    .fixed(),
    Key::new(
        GROUP,
        "WORKING_GROUP",
        Kind::Text,
        "mfs",
        "group to run as: a name, or a number after a #; set to nothing: the group of WORKING_USER",
    )
    .fixed(),
    Key::new(
        GROUP,
        "SYSLOG_IDENT",
        Kind::Text,
        "{program}",
        "name of the process in log messages",
    )
    .fixed(),
    Key::new(
        GROUP,
        "LOCK_MEMORY",
        Kind::Flag,
        "0",
        "1 keeps the process from being swapped out",
    )
    .fixed(),
    Key::new(
        GROUP,
        "NICE_LEVEL",
        Kind::Integer { min: -20, max: 19 },
        "-19",
        "nice level; a negative one needs a start as root, otherwise the level stays as it is",
    )
    .fixed(),
    Key::new(
        GROUP,
        "FILE_UMASK",
        Kind::Integer { min: 0, max: 0o777 },
        "027",
        "permissions withheld from group and others on created files; octal needs the leading 0",
    )
    .fixed(),
    Key::new(
        GROUP,
        "DATA_PATH",
        Kind::Text,
        "/var/lib/mfs",
        "directory of the daemon's data and of its lock file",
    )
    .fixed(),
    Key::new(
        GROUP,
        "DISABLE_OOM_KILLER",
        Kind::Flag,
        "1",
        "1 asks the kernel to spare this process when memory runs out",
    )
    .since("3.0.81")
    .fixed(),
    Key::new(
        GROUP,
        "SYSLOG_MIN_LEVEL",
        Kind::Text,
        "INFO",
        "least level that is logged: ERR, WARNING, NOTICE, INFO, DEBUG",
    )
    .since("4.0"),
    Key::new(
        GROUP,
        "LIMIT_GLIBC_MALLOC_ARENAS",
        Kind::Integer { min: 0, max: 1024 },
        "4",
        "limit of malloc arenas",
    )
    .since("3.0")
    .fixed()
    .obsolete("memory is allocated differently here; remove it"),
    Key::new(GROUP, "CHANGE_GLIBC_MALLOC_ARENAS", Kind::Flag, "1", "")
        .since("2.0")
        .until("2.0")
        .obsolete("memory is allocated differently here; remove it"),
    Key::new(GROUP, "LOCK_FILE", Kind::Text, "", "")
        .until("1.6")
        .obsolete("the lock file is .{program}.lock in DATA_PATH; remove it"),
    Key::new(GROUP, "SYSLOG_ELEVATE_TO", Kind::Text, "NOTICE", "")
        .since("4.0")
        .obsolete("messages keep the level they have; set SYSLOG_MIN_LEVEL instead"),
    Key::new(GROUP, "LONG_CALL_TRIGGER_MS", Kind::Text, "0.0", "")
        .since("4.0")
        .obsolete("a debugging aid of MooseFS 4"),
    Key::new(GROUP, "DEBUG_LOOP_SLEEP_MS", Kind::Text, "0", "")
        .since("4.0")
        .obsolete("a debugging aid of MooseFS 4"),
];
