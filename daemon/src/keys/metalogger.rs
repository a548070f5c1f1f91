//! Keys of mfsmetalogger.cfg, of every MooseFS version from 1.6 to 4 (tools-and-cli §15.4).

use crate::config_table::{ConfigTable, Key, Kind};

use super::common;

/// The table of the metalogger.
pub fn table() -> ConfigTable {
    ConfigTable::new("mfsmetalogger", &[common::KEYS, FILES, NETWORK])
}

const fn integer(min: i64, max: i64) -> Kind {
    Kind::Integer { min, max }
}

const FILES: &[Key] = {
    const G: &str = "metadata files";
    &[
        Key::new(
            G,
            "BACK_LOGS",
            integer(5, 10_000),
            "50",
            "change log files kept, one an hour",
        ),
        Key::new(
            G,
            "BACK_META_KEEP_PREVIOUS",
            integer(0, 99),
            "3",
            "previous metadata files kept as metadata_ml.mfs.back.N",
        ),
        Key::new(
            G,
            "META_DOWNLOAD_FREQ",
            integer(1, 5000),
            "24",
            "hours between two downloads of the metadata file; at most half of BACK_LOGS",
        ),
    ]
};

const NETWORK: &[Key] = {
    const G: &str = "connection to the master";
    &[
        Key::new(
            G,
            "MASTER_RECONNECTION_DELAY",
            integer(1, 3600),
            "5",
            "seconds before a lost or refused connection is tried again",
        ),
        Key::new(
            G,
            "BIND_HOST",
            Kind::Text,
            "*",
            "local address of the connection; * lets the system choose",
        ),
        Key::new(
            G,
            "MASTER_HOST",
            Kind::Text,
            "mfsmaster",
            "name or address of the master",
        ),
        Key::new(
            G,
            "MASTER_PORT",
            integer(1, 65_535),
            "9419",
            "port of the master for metaloggers",
        ),
        Key::new(
            G,
            "MASTER_TIMEOUT",
            integer(10, 65_535),
            "10",
            "seconds of silence after which the connection is given up",
        ),
    ]
};

#[cfg(test)]
mod tests {
    use super::table;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_distinct_and_every_default_is_in_range() {
        let table = table();
        let names: BTreeSet<_> = table.keys().iter().map(|key| key.name).collect();
        assert_eq!(names.len(), table.keys().len());
        let config = crate::config::Config::parse(table, std::path::Path::new("x.cfg"), b"");
        assert_eq!(config.warnings(), [] as [String; 0]);
        assert_eq!(config.u32("META_DOWNLOAD_FREQ"), 24);
    }
}
