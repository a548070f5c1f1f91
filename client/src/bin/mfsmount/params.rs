//! Text of `.params` (client-behaviour §4.3).

use std::fmt::Write as _;

use client::session::{CLIENT_VERSION, Granted};

use crate::options::Options;

/// One line for each option, then what was agreed with the master.
pub fn describe(options: &Options, granted: &Granted) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        // Writing into a string cannot fail.
        let _ = writeln!(out, "{name}: {value}");
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| NOT_DEFINED.to_owned());
    let flag = |value: bool| if value { "(defined)" } else { NOT_DEFINED }.to_owned();
    line("mfsmaster", options.master.clone());
    line("mfsport", options.port.clone());
    line("mfsbind", text(&options.bind));
    line("mfsproxy", options.proxy.clone());
    line("mfssubfolder", options.subfolder.clone());
    line("mfspassword", text(&options.password));
    line("mfspassfile", text(&options.password_file));
    line("mfsmd5pass", text(&options.md5_password));
    line("mfspreflabels", text(&options.labels));
    line("mfsrlimitnofile", options.file_limit.to_string());
    line("mfsnice", options.nice.to_string());
    line("mfssuid", flag(options.suid));
    line("mfsdev", flag(options.dev));
    line("mfsmemlock", flag(options.memory_lock));
    line("mfslimitarenas", options.limit_arenas.to_string());
    line("mfsallowoomkiller", flag(options.allow_oom_killer));
    line("nonempty", flag(options.nonempty));
    line("mfswritecachesize", options.write_cache_mib.to_string());
    line("mfsreadaheadsize", options.read_ahead_mib.to_string());
    line("mfsreadaheadleng", options.read_ahead_length.to_string());
    line(
        "mfsreadaheadtrigger",
        options
            .read_ahead_trigger
            .unwrap_or(10 * options.read_ahead_length)
            .to_string(),
    );
    line("mfserroronlostchunk", flag(options.error_on_lost_chunk));
    line("mfserroronnospace", flag(options.error_on_no_space));
    line("mfsioretries", options.io_retries.to_string());
    line("mfstimeout", options.timeout.to_string());
    line("mfslogretry", options.log_retry.to_string());
    line("mfsdebug", flag(options.mfs_debug));
    line("mfsmeta", flag(options.meta));
    line("mfsflattrash", flag(options.flat_trash));
    line("mfsdelayedinit", flag(options.delayed_init));
    line("mfsdonotrememberpassword", flag(options.forget_password));
    line("mfscachefiles", flag(options.cache_files));
    line("mfsnoxattrs", flag(options.no_xattrs));
    line("mfsnoposixlocks", flag(options.no_posix_locks));
    line("mfsnobsdlocks", flag(options.no_bsd_locks));
    line("mfscachemode", text(&options.cache_mode));
    line("mfsmkdircopysgid", options.mkdir_copy_sgid.to_string());
    line("mfssugidclearmode", text(&options.sugid_clear_mode));
    for (name, seconds) in [
        ("mfsattrcacheto", options.attr_timeout),
        ("mfsxattrcacheto", options.xattr_timeout),
        ("mfsentrycacheto", options.entry_timeout),
        ("mfsdirentrycacheto", options.dir_entry_timeout),
        ("mfsnegentrycacheto", options.negative_timeout),
        ("mfssymlinkcacheto", options.symlink_timeout),
        ("mfsgroupscacheto", options.groups_timeout),
        ("mfsfsyncmintime", options.fsync_min_time),
    ] {
        line(name, format!("{seconds:.3}"));
    }
    line("mfsfsyncbeforeclose", flag(options.fsync_before_close));
    line("no_std_mount_options", flag(options.no_standard_options));
    line("master_sesflags", granted.flags.to_string());
    line("master_umaskval", format!("0{:03o}", granted.umask));
    line(
        "master_maproot",
        format!("{}:{}", granted.root.0, granted.root.1),
    );
    line(
        "master_mapall",
        format!("{}:{}", granted.everybody.0, granted.everybody.1),
    );
    let limits = granted.limits;
    line(
        "master_goallimit",
        format!("{}:{}", limits.goal_min, limits.goal_max),
    );
    line(
        "master_trashlimit",
        format!("{}:{}", limits.trash_time_min, limits.trash_time_max),
    );
    line("master_disables", format!("0x{:08X}", granted.disables));
    line("moosefs_master_version", granted.version.to_string());
    line("moosefs_mount_version", CLIENT_VERSION.to_string());
    out
}

const NOT_DEFINED: &str = "(not defined)";
