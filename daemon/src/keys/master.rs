//! Keys of mfsmaster.cfg, of every MooseFS version from 1.6 to 4 (tools-and-cli §15.2).

use crate::config_table::{ConfigTable, Key, Kind};

use super::common;

/// A count without a bound of its own.
const ANY: Kind = Kind::Integer {
    min: 0,
    max: u32::MAX as i64,
};

const LATER: &str = "belongs to MooseFS 4 and has no effect here";

/// The table of the master.
pub fn table() -> ConfigTable {
    ConfigTable::new(
        "mfsmaster",
        &[
            common::KEYS,
            FILES,
            NETWORK,
            CHUNKSERVERS,
            CHUNKS,
            CLIENTS,
            FILE_SYSTEM,
            REPLICATION,
            FOUR,
        ],
    )
}

const fn integer(min: i64, max: i64) -> Kind {
    Kind::Integer { min, max }
}

const fn period(min: i64, max: i64) -> Kind {
    Kind::Period { min, max }
}

const FILES: &[Key] = {
    const G: &str = "metadata files";
    &[
        Key::new(G, "EXPORTS_FILENAME", Kind::Text, "/etc/mfs/mfsexports.cfg", "file that says who may mount what"),
        Key::new(G, "TOPOLOGY_FILENAME", Kind::Text, "/etc/mfs/mfstopology.cfg", "file that names the rack of each address"),
        Key::new(G, "BACK_LOGS", integer(0, 1000), "50", "change log files kept, one an hour"),
        Key::new(G, "BACK_META_KEEP_PREVIOUS", integer(0, 99), "1", "previous metadata files kept as metadata.mfs.back.N"),
        Key::new(G, "METADATA_SAVE_FREQ", integer(1, 1000), "1", "hours between two metadata files; at most half of BACK_LOGS")
            .since("3.0.74"),
        Key::new(
            G,
            "CHANGELOG_SAVE_MODE",
            Kind::Choice { max: 2 },
            "0",
            "how change log lines reach the disk: 0 in the background, 1 at once without fsync, 2 at once with fsync",
        )
        .since("3.0"),
        Key::new(
            G,
            "CHANGELOG_PRESERVE_SECONDS",
            integer(0, 15_000),
            "1800",
            "seconds of change log kept in memory for metaloggers that reconnect",
        )
        .since("2.0"),
        Key::new(G, "MATOML_LOG_PRESERVE_SECONDS", ANY, "600", "")
            .until("1.6")
            .obsolete("CHANGELOG_PRESERVE_SECONDS has taken its place"),
        Key::new(
            G,
            "MISSING_LOG_CAPACITY",
            integer(1000, 1_000_000),
            "100000",
            "missing chunks that are listed, about 100 bytes of memory each",
        )
        .since("2.0"),
    ]
};

const NETWORK: &[Key] = {
    const G: &str = "listeners";
    &[
        Key::new(
            G,
            "MATOML_LISTEN_HOST",
            Kind::Text,
            "*",
            "address for metaloggers; * is every address",
        ),
        Key::new(
            G,
            "MATOML_LISTEN_PORT",
            Kind::Text,
            "9419",
            "port for metaloggers",
        ),
        Key::new(
            G,
            "MATOCS_LISTEN_HOST",
            Kind::Text,
            "*",
            "address for chunkservers; * is every address",
        ),
        Key::new(
            G,
            "MATOCS_LISTEN_PORT",
            Kind::Text,
            "9420",
            "port for chunkservers",
        ),
        Key::new(
            G,
            "MATOCL_LISTEN_HOST",
            Kind::Text,
            "*",
            "address for mounts, tools and monitors; * is every address",
        ),
        Key::new(
            G,
            "MATOCL_LISTEN_PORT",
            Kind::Text,
            "9421",
            "port for mounts, tools and monitors",
        ),
        Key::new(G, "MATOCU_LISTEN_HOST", Kind::Text, "*", "").old_name_of("MATOCL_LISTEN_HOST"),
        Key::new(G, "MATOCU_LISTEN_PORT", Kind::Text, "9421", "").old_name_of("MATOCL_LISTEN_PORT"),
    ]
};

const CHUNKSERVERS: &[Key] = {
    const G: &str = "chunkservers";
    &[
        Key::new(G, "MATOCS_TIMEOUT", integer(10, 65_535), "10", "seconds of silence after which a link is dropped")
            .since("2.0"),
        Key::new(G, "AUTH_CODE", Kind::Text, "", "secret that chunkservers must know; not set: every chunkserver may register")
            .since("3.0"),
        Key::new(G, "REMAP_BITS", integer(1, 32), "24", "leading bits of chunkserver addresses that are replaced")
            .since("3.0"),
        Key::new(G, "REMAP_SOURCE_IP_CLASS", Kind::Text, "", "network whose addresses are replaced; all three REMAP keys are needed")
            .since("3.0"),
        Key::new(G, "REMAP_DESTINATION_IP_CLASS", Kind::Text, "", "network that clients are given instead").since("3.0"),
        Key::new(G, "CS_HEAVY_LOAD_THRESHOLD", ANY, "150", "load above which a chunkserver may count as overloaded")
            .since("1.7"),
        Key::new(
            G,
            "CS_HEAVY_LOAD_RATIO_THRESHOLD",
            Kind::Real { min: 1.0, max: 1_000_000.0 },
            "3.0",
            "… and its ratio to the average load",
        )
        .since("1.7"),
        Key::new(G, "CS_HEAVY_LOAD_GRACE_PERIOD", ANY, "900", "seconds an overloaded chunkserver is spared").since("1.7"),
        Key::new(
            G,
            "CS_MAINTENANCE_MODE_TIMEOUT",
            period(0, u32::MAX as i64),
            "0",
            "seconds after which maintenance mode ends by itself, 0 never",
        )
        .since("3.0"),
        Key::new(
            G,
            "CS_TEMP_MAINTENANCE_MODE_TIMEOUT",
            period(0, u32::MAX as i64),
            "1800",
            "the same for the mode that an orderly stop of a chunkserver begins",
        )
        .since("3.0.75"),
        Key::new(
            G,
            "CS_DAYS_TO_REMOVE_UNUSED",
            Kind::Choice { max: 365 },
            "7",
            "days a disconnected chunkserver is remembered, 0 for ever",
        )
        .since("3.0"),
        Key::new(G, "RESERVE_SPACE", Kind::Text, "0", "space for root only: bytes (with k, M, Gi, …), N%, N U (largest used), N C (largest total)")
            .since("3.0"),
    ]
};

const CHUNKS: &[Key] = {
    const G: &str = "chunk copies";
    &[
        Key::new(G, "REPLICATIONS_DELAY_INIT", ANY, "60", "seconds after the start before the first replication"),
        Key::new(G, "REPLICATIONS_DELAY_DISCONNECT", ANY, "3600", "")
            .until("1.6")
            .obsolete("replication waits for chunkservers by itself; see CS_TEMP_MAINTENANCE_MODE_TIMEOUT"),
        Key::new(
            G,
            "REPLICATIONS_RESPECT_TOPOLOGY",
            Kind::Choice { max: 2 },
            "0",
            "0 no, 1 copy from the nearest source, 2 copy within a rack if possible",
        )
        .since("3.0"),
        Key::new(G, "CREATIONS_RESPECT_TOPOLOGY", ANY, "0", "N prefers servers at a distance below N from the client, 0 none")
            .since("3.0"),
        Key::new(
            G,
            "CHUNKS_UNIQUE_MODE",
            Kind::Choice { max: 2 },
            "0",
            "1 at most one copy an address, 2 at most one a rack, if possible",
        )
        .since("3.0"),
        Key::new(G, "CHUNKS_LOOP_MAX_CPS", integer(10_000, 10_000_000), "100000", "chunks examined in a second at most"),
        Key::new(G, "CHUNKS_LOOP_MIN_TIME", integer(60, 7200), "300", "seconds that a round over all chunks takes at least"),
        Key::new(G, "CHUNKS_LOOP_TIME", integer(60, 7200), "300", "older form of CHUNKS_LOOP_MIN_TIME, without a limit of chunks per second")
            .until("1.6"),
        Key::new(G, "CHUNKS_SOFT_DEL_LIMIT", integer(1, u32::MAX as i64), "10", "deletions on one server at a time"),
        Key::new(
            G,
            "CHUNKS_HARD_DEL_LIMIT",
            integer(1, u32::MAX as i64),
            "",
            "upper limit when deletions lag behind; not set: three times CHUNKS_SOFT_DEL_LIMIT",
        ),
        Key::new(G, "CHUNKS_DEL_LIMIT", ANY, "10", "")
            .until("1.5")
            .obsolete("CHUNKS_SOFT_DEL_LIMIT and CHUNKS_HARD_DEL_LIMIT have taken its place"),
        Key::new(
            G,
            "CHUNKS_WRITE_REP_LIMIT",
            Kind::Limits,
            "2,1,1,4",
            "replications to one server: endangered, undergoal, rebalance, extremes; one number is all four",
        ),
        Key::new(
            G,
            "CHUNKS_READ_REP_LIMIT",
            Kind::Limits,
            "10,5,2,5",
            "replications from one server, in the same form",
        ),
        Key::new(G, "PRIORITY_QUEUES_LENGTH", integer(10_000, u32::MAX as i64), "1000000", "length of the queues of chunks to be treated first")
            .since("3.0.10"),
        Key::new(
            G,
            "ACCEPTABLE_PERCENTAGE_DIFFERENCE",
            Kind::Real { min: 0.1, max: 10.0 },
            "1.0",
            "difference of space usage between servers that is left alone, in percent",
        )
        .since("2.0"),
        Key::new(
            G,
            "ACCEPTABLE_DIFFERENCE",
            Kind::Real { min: 0.001, max: 0.1 },
            "0.01",
            "the same as a fraction; counts when ACCEPTABLE_PERCENTAGE_DIFFERENCE is not set",
        ),
    ]
};

const CLIENTS: &[Key] = {
    const G: &str = "clients";
    &[
        Key::new(
            G,
            "SESSION_SUSTAIN_TIME",
            period(60, 604_800),
            "86400",
            "seconds that a session without connection is kept",
        ),
        Key::new(G, "REJECT_OLD_CLIENTS", Kind::Flag, "0", "")
            .until("1.6")
            .obsolete("mounts older than 1.6 are always refused"),
    ]
};

const FILE_SYSTEM: &[Key] = {
    const G: &str = "file system";
    &[
        Key::new(G, "QUOTA_DEFAULT_GRACE_PERIOD", period(0, u32::MAX as i64), "604800", "seconds that a soft quota may be exceeded")
            .since("3.0"),
        Key::new(G, "QUOTA_TIME_LIMIT", period(0, u32::MAX as i64), "604800", "").old_name_of("QUOTA_DEFAULT_GRACE_PERIOD"),
        Key::new(
            G,
            "ATIME_MODE",
            Kind::Choice { max: 4 },
            "2",
            "access times: 0 always, 1 always for files, 2 as relatime, 3 as relatime for files, 4 never",
        )
        .since("3.0.62"),
        Key::new(G, "MAX_ALLOWED_HARD_LINKS", integer(8, 65_000), "32767", "links that one file may have").since("3.0"),
        Key::new(
            G,
            "INODE_REUSE_DELAY",
            period(300, 3_000_000),
            "86400",
            "seconds before the number of a deleted object is used again; must exceed every cache time of the clients",
        )
        .since("3.0"),
    ]
};

const REPLICATION: &[Key] = {
    const G: &str = "replicated master";
    &[
        Key::new(
            G,
            "HA_PEERS",
            Kind::Text,
            "",
            "all nodes of the cluster, the same on each of them: NAME ADDRESS[:PORT] [witness], ...; empty = a single master",
        ),
        Key::new(
            G,
            "HA_NODE",
            Kind::Text,
            "",
            "which of HA_PEERS this node is; empty = it finds itself by its addresses",
        ),
        Key::new(
            G,
            "HA_LISTEN_HOST",
            Kind::Text,
            "",
            "address for the other nodes; empty = the one in HA_PEERS, * is every address",
        ),
        Key::new(
            G,
            "HA_SECRET_FILE",
            Kind::Text,
            "/etc/mfs/mfsha.secret",
            "secret that all nodes share, at least 16 bytes; for example of: openssl rand -hex 32",
        ),
        Key::new(
            G,
            "HA_HEARTBEAT_MS",
            integer(10, 10_000),
            "50",
            "milliseconds between two messages of an idle leader",
        ),
        Key::new(
            G,
            "HA_ELECTION_MS",
            integer(100, 60_000),
            "400",
            "milliseconds of silence after which a leader is replaced; it serves no longer than that without a majority",
        ),
        Key::new(
            G,
            "HA_VIP",
            Kind::Text,
            "",
            "floating address that the leader holds itself: ADDRESS/PREFIX INTERFACE; empty when keepalived moves it",
        ),
        Key::new(
            G,
            "HA_RESYNC_RATE",
            Kind::Text,
            "40M",
            "bytes a second at which a node is filled with an image, with K, M or G; 0 = unlimited",
        ),
        Key::new(
            G,
            "HA_EVENT_COMMAND",
            Kind::Text,
            "",
            "command that is run when this node begins (HA_ROLE=leader) or ceases (HA_ROLE=follower) to serve",
        ),
    ]
};

/// A row of MooseFS 4 that is accepted, so that its files start.
const fn four(name: &'static str, default: &'static str) -> Key {
    Key::new("MooseFS 4", name, Kind::Text, default, "")
        .since("4.0")
        .obsolete(LATER)
}

const FOUR: &[Key] = &[
    four("CHANGELOG_PRESERVE_MB", "500"),
    four("METADATA_SAVE_OFFSET", "0"),
    four("INSTANCE_NAME", ""),
    four("FLOCK_MODE", "0"),
    four("KEEP_EMPTY_FILES_IN_TRASH", "0"),
    four("CHUNK_PROTECTION_SECONDS", "15"),
    four("DEFAULT_EC_DATA_PARTS", "8"),
    four("JOBS_TIMER_MILLISECONDS", "5"),
    four("MAX_FAILS_PER_CLASS", "5"),
    four("FAIL_CLASS_COUNTER_RESET_CALLS", "1"),
    four("MAX_REBALANCE_FAILS", "5"),
    four("FAIL_REBALANCE_COUNTER_RESET_CALLS", "1"),
    four("MULTILAN_BITS", "24"),
    four("MULTILAN_CLASSES", ""),
    four("MULTILAN_IPMAP_FILENAME", "/etc/mfs/mfsipmap.cfg"),
    four("MATOCL_TIMEOUT", "10"),
    four("MATOML_TIMEOUT", "10"),
    four("MATOCL_FORCE_TIMEOUT", "0"),
    four("MATOCS_FORCE_TIMEOUT", "0"),
    four("MATOML_FORCE_TIMEOUT", "0"),
    four("RESTRICT_INCOMPATIBLE_CLIENT_VERSIONS", "1"),
    four("MATOCS_CHUNK_SERVER_CHECK_MODE", "0"),
    four("EXTRA_DEBUG_INFO", "0"),
];
