//! Configuration files against the master's table: values, warnings, reload, and the files of old
//! installations.

use std::path::Path;

use daemon::config::Config;
use daemon::config_table::Status;
use daemon::keys::master;
use expect_test::expect;

fn parse(text: &str) -> Config {
    Config::parse(master::table(), Path::new("m.cfg"), text.as_bytes())
}

/// The file that a widely copied 1.6.27 installation has on both masters.
const CLASSIC: &str = "\
WORKING_USER = nobody
WORKING_USER = nobody
WORKING_GROUP = nobody
SYSLOG_IDENT = mfsmaster
LOCK_MEMORY = 0
NICE_LEVEL = -19
EXPORTS_FILENAME = /etc/mfs/mfsexports.cfg
TOPOLOGY_FILENAME = /etc/mfs/mfstopology.cfg
DATA_PATH = /data1/drbd/mfs
BACK_LOGS = 50
BACK_META_KEEP_PREVIOUS = 1
REPLICATIONS_DELAY_INIT = 300
REPLICATIONS_DELAY_DISCONNECT = 3600
MATOML_LISTEN_HOST = *
MATOML_LISTEN_PORT = 9419
MATOML_LOG_PRESERVE_SECONDS = 600
MATOCS_LISTEN_HOST = *
MATOCS_LISTEN_PORT = 9420
MATOCL_LISTEN_HOST = *
MATOCL_LISTEN_PORT = 9421
CHUNKS_LOOP_MAX_CPS = 100000
CHUNKS_LOOP_MIN_TIME = 300
CHUNKS_SOFT_DEL_LIMIT = 10
CHUNKS_HARD_DEL_LIMIT = 25
CHUNKS_WRITE_REP_LIMIT = 2
CHUNKS_READ_REP_LIMIT = 10
ACCEPTABLE_DIFFERENCE = 0.1
SESSION_SUSTAIN_TIME = 86400
REJECT_OLD_CLIENTS = 0
# deprecated: LOCK_FILE = /var/run/mfs/mfsmaster.lock
";

#[test]
fn the_classic_file_has_its_effect_and_one_warning() {
    let config = parse(CLASSIC);
    assert_eq!(config.text("DATA_PATH"), "/data1/drbd/mfs");
    assert_eq!(config.integer("NICE_LEVEL"), -19);
    assert_eq!(config.u32("REPLICATIONS_DELAY_INIT"), 300);
    assert_eq!(config.limits("CHUNKS_WRITE_REP_LIMIT"), [2.0; 4]);
    assert_eq!(config.real("ACCEPTABLE_DIFFERENCE"), 0.1);
    assert_eq!(config.u32("CHUNKS_HARD_DEL_LIMIT"), 25);
    expect![[r#"
        m.cfg: keys without effect: REPLICATIONS_DELAY_DISCONNECT in line 13 (replication waits for chunkservers by itself; see CS_TEMP_MAINTENANCE_MODE_TIMEOUT), MATOML_LOG_PRESERVE_SECONDS in line 16 (CHANGELOG_PRESERVE_SECONDS has taken its place), REJECT_OLD_CLIENTS in line 29 (mounts older than 1.6 are always refused)"#]]
    .assert_eq(&config.warnings().join("\n"));
}

#[test]
fn an_empty_file_is_all_defaults() {
    let config = parse("");
    assert_eq!(config.text("SYSLOG_IDENT"), "mfsmaster");
    assert_eq!(config.u32("FILE_UMASK"), 0o027);
    assert_eq!(
        config.limits("CHUNKS_READ_REP_LIMIT"),
        [10.0, 5.0, 2.0, 5.0]
    );
    assert_eq!(config.text("MATOCL_LISTEN_HOST"), "*");
    assert!(!config.is_set("CHUNKS_HARD_DEL_LIMIT"));
    assert_eq!(config.text_if_any("AUTH_CODE"), None);
    assert_eq!(config.warnings(), [""; 0]);
}

/// Line, effective value, warning.
#[test]
fn a_doubtful_value_is_replaced_and_named() {
    let rows = [
        (
            "BACK_LOGS = 5000",
            "BACK_LOGS",
            1000,
            "m.cfg:1: BACK_LOGS = 5000: larger than 1000, using 1000",
        ),
        (
            "BACK_LOGS = many",
            "BACK_LOGS",
            50,
            "m.cfg:1: BACK_LOGS = many: not usable, using the default (50)",
        ),
        (
            "BACK_LOGS =",
            "BACK_LOGS",
            50,
            "m.cfg:1: BACK_LOGS = : not usable, using the default (50)",
        ),
        (
            "BACK_LOGS = -1",
            "BACK_LOGS",
            0,
            "m.cfg:1: BACK_LOGS = -1: smaller than 0, using 0",
        ),
        (
            "BACK_LOGS = 10 # ten",
            "BACK_LOGS",
            10,
            "m.cfg:1: BACK_LOGS = 10 # ten: text behind the number is ignored, using 10",
        ),
        (
            "CHANGELOG_SAVE_MODE = 3",
            "CHANGELOG_SAVE_MODE",
            0,
            "m.cfg:1: CHANGELOG_SAVE_MODE = 3: not usable, using the default (0)",
        ),
        ("INODE_REUSE_DELAY = 1d", "INODE_REUSE_DELAY", 86_400, ""),
        ("FILE_UMASK = 27", "FILE_UMASK", 27, ""),
        ("LOCK_MEMORY = 2", "LOCK_MEMORY", 1, ""),
        (
            "QUOTA_TIME_LIMIT = 60",
            "QUOTA_DEFAULT_GRACE_PERIOD",
            60,
            "",
        ),
        (
            "QUOTA_TIME_LIMIT = 60\nQUOTA_DEFAULT_GRACE_PERIOD = 70",
            "QUOTA_DEFAULT_GRACE_PERIOD",
            70,
            "",
        ),
        (
            "QUOTA_TIME_LIMIT = x",
            "QUOTA_DEFAULT_GRACE_PERIOD",
            604_800,
            "m.cfg:1: QUOTA_TIME_LIMIT = x: not usable, using the default (604800)",
        ),
        (
            "BACK_LOGZ = 1\nlock_file = 2",
            "BACK_LOGS",
            50,
            "m.cfg: keys without effect: BACK_LOGZ in line 1 (unknown), lock_file in line 2 (unknown)",
        ),
        (
            "BACK_LOGS 3",
            "BACK_LOGS",
            50,
            "bad definition in config file 'm.cfg': BACK_LOGS 3 (line 1)",
        ),
        ("BACK_LOGS = 3\nBACK_LOGS = 3", "BACK_LOGS", 3, ""),
        (
            "BACK_LOGS = 3\nBACK_LOGS = 4",
            "BACK_LOGS",
            4,
            "m.cfg: BACK_LOGS is defined in line 1 and again in line 2; '4' is used",
        ),
    ];
    for (text, key, value, warning) in rows {
        let config = parse(text);
        assert_eq!(config.integer(key), value, "{text}");
        assert_eq!(config.warnings().join("\n"), warning, "{text}");
    }
}

#[test]
fn raw_values_are_served_as_written_and_defaults_are_not() {
    let config = parse("MATOCL_LISTEN_HOST =  172.21.21.82 \nFOO = 1 2\nBACK_LOGS = 0x10");
    assert_eq!(config.raw("MATOCL_LISTEN_HOST"), Some("172.21.21.82"));
    assert_eq!(config.raw("BACK_LOGS"), Some("0x10"));
    assert_eq!(config.raw("FOO"), Some("1 2"));
    assert_eq!(config.raw("MATOCL_LISTEN_PORT"), None);
}

#[test]
fn a_reload_keeps_what_needs_a_restart_and_says_so() {
    let new = parse("DATA_PATH = /a\nBACK_LOGS = 5").adopt(parse("DATA_PATH = /b\nBACK_LOGS = 6"));
    assert_eq!(new.text("DATA_PATH"), "/a");
    assert_eq!(new.u32("BACK_LOGS"), 6);
    assert_eq!(
        new.warnings(),
        ["m.cfg: DATA_PATH has changed; the new value takes effect at the next restart"]
    );
    // The restart value stays through further reloads.
    let newer = new.adopt(parse("DATA_PATH = /b"));
    assert_eq!(
        (newer.text("DATA_PATH"), newer.u32("BACK_LOGS")),
        ("/a", 50)
    );
}

#[test]
fn the_table_is_consistent() {
    let table = master::table();
    for (index, key) in table.keys().iter().enumerate() {
        let twin = table.keys()[..index]
            .iter()
            .find(|other| other.name == key.name);
        assert_eq!(twin, None, "{} stands twice", key.name);
        match key.status {
            Status::Used => assert!(
                !key.doc.is_empty() && !key.doc.ends_with('.'),
                "{}",
                key.name
            ),
            Status::OldNameOf(name) => assert_eq!(table.get(name).map(|k| k.kind), Some(key.kind)),
            Status::Obsolete(reason) => assert!(!reason.is_empty(), "{}", key.name),
        }
        // Every default is a value of its kind, in range.
        if !key.default.is_empty() {
            let config = parse(&format!("{} = {}", key.name, table.default_text(key)));
            let complaint = config
                .warnings()
                .iter()
                .find(|warning| !warning.contains("without effect"));
            assert_eq!(complaint, None, "{}", key.name);
        }
    }
}

#[test]
fn the_sample_file_with_all_comments_removed_is_the_default() {
    let sample = master::table().sample_file();
    let definitions: String = sample
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| {
            line.split_once(" = ")
                .is_some_and(|(key, _)| master::table().get(key).is_some())
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let (sample, empty) = (parse(&definitions), parse(""));
    assert_eq!(sample.warnings(), [""; 0]);
    let used = master::table();
    for key in used
        .keys()
        .iter()
        .filter(|key| key.status == Status::Used && !key.default.is_empty())
    {
        assert!(sample.is_set(key.name), "{} is not in the sample", key.name);
    }
    assert_eq!(sample.adopt(empty).warnings(), [""; 0], "no value differs");
}
