//! Keys of mfschunkserver.cfg, of every MooseFS version from 1.6 to 4, and our own
//! (tools-and-cli §15.3, chunkserver §6).

use crate::config_table::{ConfigTable, Key, Kind};

use super::common;

/// The table of the chunkserver.
pub fn table() -> ConfigTable {
    ConfigTable::new(
        "mfschunkserver",
        &[common::KEYS, MASTER, NETWORK, DISKS, TESTS, BALANCE, FOUR],
    )
}

const fn integer(min: i64, max: i64) -> Kind {
    Kind::Integer { min, max }
}

const MASTER: &[Key] = {
    const G: &str = "master connection";
    &[
        Key::new(
            G,
            "MASTER_HOST",
            Kind::Text,
            "mfsmaster",
            "name or address of the master; several, separated by commas, where masters replicate each other",
        ),
        Key::new(
            G,
            "MASTER_PORT",
            Kind::Text,
            "9420",
            "port of the master for chunkservers",
        ),
        Key::new(
            G,
            "BIND_HOST",
            Kind::Text,
            "*",
            "local address of the connection to the master; * is any",
        ),
        Key::new(
            G,
            "MASTER_TIMEOUT",
            integer(0, 65_535),
            "0",
            "seconds of silence after which the connection is given up; 0 leaves it to the master, otherwise at least 10",
        ),
        Key::new(
            G,
            "MASTER_RECONNECTION_DELAY",
            integer(1, 3600),
            "5",
            "seconds between attempts to connect to the master",
        ),
        Key::new(
            G,
            "AUTH_CODE",
            Kind::Text,
            "",
            "secret that the master asks for; not set: none",
        )
        .since("3.0"),
        Key::new(
            G,
            "CHUNKS_PER_REGISTER_PACKET",
            integer(1000, 100_000),
            "10000",
            "chunks in one packet of the registration",
        )
        .since("3.0"),
        Key::new(
            G,
            "LABELS",
            Kind::Text,
            "",
            "labels of this server for storage classes: letters A to Z separated by commas",
        )
        .since("2.1"),
    ]
};

const NETWORK: &[Key] = {
    const G: &str = "serving";
    &[
        Key::new(
            G,
            "CSSERV_LISTEN_HOST",
            Kind::Text,
            "*",
            "address for clients and other chunkservers; * is every address",
        ),
        Key::new(
            G,
            "CSSERV_LISTEN_PORT",
            Kind::Text,
            "9422",
            "port for clients and other chunkservers",
        ),
        Key::new(
            G,
            "WORKERS_MAX",
            integer(10, 10_000),
            "250",
            "jobs running and waiting on one disk beyond which new ones are refused",
        )
        .since("2.0"),
        Key::new(
            G,
            "WORKERS_MAX_IDLE",
            integer(1, 10_000),
            "40",
            "idle threads that are kept",
        )
        .since("2.0"),
    ]
};

const DISKS: &[Key] = {
    const G: &str = "disks";
    &[
        Key::new(G, "HDD_CONF_FILENAME", Kind::Text, "/etc/mfs/mfshdd.cfg", "file that lists the disks"),
        Key::new(
            G,
            "ALLOW_STARTING_WITH_INVALID_DISKS",
            Kind::Flag,
            "0",
            "1 starts although a disk of the list cannot be used",
        )
        .since("3.0")
        .fixed(),
        Key::new(
            G,
            "HDD_LEAVE_SPACE_DEFAULT",
            Kind::Text,
            "256MiB",
            "space left free on each disk whose line says nothing else",
        ),
        Key::new(
            G,
            "HDD_ERROR_TOLERANCE_COUNT",
            integer(1, 10),
            "2",
            "errors within the period that a disk may have; one more and it is taken out",
        )
        .since("2.0"),
        Key::new(G, "HDD_ERROR_TOLERANCE_PERIOD", integer(10, 86_400), "600", "… and that period, seconds")
            .since("2.0"),
        Key::new(
            G,
            "HDD_FSYNC_BEFORE_CLOSE",
            Kind::Flag,
            "0",
            "1 brings written chunks to the disk in the background after their last use",
        )
        .since("2.0"),
        Key::new(
            G,
            "HDD_FSYNC_BEFORE_STATUS",
            Kind::Flag,
            "0",
            "1 confirms a write only when the disk has it",
        )
        .since("ours"),
        Key::new(
            G,
            "HDD_OLD_CHUNK_FORMAT",
            Kind::Flag,
            "0",
            "1 makes new chunks with headers of 5 KiB, for clusters that may go back to chunkservers before 3.0.83, which delete the form of 8 KiB",
        )
        .since("ours"),
        Key::new(
            G,
            "HDD_SPARSIFY_ON_WRITE",
            Kind::Flag,
            "1",
            "1 leaves holes instead of writing zeros to new blocks",
        )
        .since("3.0.75"),
        Key::new(G, "HDD_RR_CHUNK_COUNT", integer(1, 100_000), "10000", "chunks put into one subfolder before the next")
            .since("3.0"),
        Key::new(
            G,
            "HDD_KEEP_DUPLICATES_HOURS",
            integer(0, 2400),
            "168",
            "hours that the older one of two files of the same chunk is kept",
        )
        .since("3.0"),
    ]
};

const TESTS: &[Key] = {
    const G: &str = "background test";
    &[
        Key::new(
            G,
            "HDD_TEST_SPEED",
            Kind::Real {
                min: 0.0,
                max: 1_000_000.0,
            },
            "1.0",
            "MB per second read from each disk to test checksums; 0 = off",
        )
        .since("3.0"),
        Key::new(
            G,
            "HDD_TEST_FREQ",
            Kind::Real {
                min: 0.0,
                max: 1_000_000.0,
            },
            "10",
            "older form, seconds for a chunk: the speed is 10 / HDD_TEST_FREQ; used only without HDD_TEST_SPEED",
        ),
        Key::new(
            G,
            "HDD_MIN_TEST_INTERVAL",
            Kind::Period {
                min: 0,
                max: u32::MAX as i64,
            },
            "86400",
            "chunks used within so many seconds are not tested",
        )
        .since("3.0"),
        Key::new(
            G,
            "HDD_FADVISE_MIN_TIME",
            integer(-1, u32::MAX as i64),
            "86400",
            "tested data leave the page cache when the chunk was not used for so many seconds; negative: never",
        )
        .since("3.0"),
    ]
};

const BALANCE: &[Key] = {
    const G: &str = "moving chunks between disks";
    &[
        Key::new(
            G,
            "HDD_REBALANCE_UTILIZATION",
            integer(0, 100),
            "20",
            "percent of the time spent on moving chunks between the server's disks, one at a time; 0 = off",
        )
        .since("2.0"),
        Key::new(
            G,
            "HDD_HIGH_SPEED_REBALANCE_LIMIT",
            integer(0, 10),
            "0",
            "chunks moved at a time to each disk, instead of HDD_REBALANCE_UTILIZATION; 0 = off",
        )
        .since("3.0"),
    ]
};

const FOUR: &[Key] = {
    const G: &str = "later";
    const LATER: &str = "belongs to MooseFS 4 and has no effect here";
    &[
        Key::new(G, "CAN_USE_MMAP", Kind::Flag, "0", "")
            .since("4.0")
            .obsolete(LATER),
        Key::new(G, "WORKERS_HLOAD_HIMARK", Kind::Text, "187", "")
            .since("4.0")
            .obsolete(LATER),
        Key::new(G, "WORKERS_HLOAD_LOMARK", Kind::Text, "125", "")
            .since("4.0")
            .obsolete(LATER),
    ]
};

#[cfg(test)]
mod tests {
    use super::table;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_distinct() {
        let table = table();
        let names: BTreeSet<&str> = table.keys().iter().map(|key| key.name).collect();
        assert_eq!(names.len(), table.keys().len());
    }
}
