//! What `mfsmetalogger.cfg` says (tools-and-cli §15.4).

use daemon::config::Config;
use std::time::Duration;

/// Settings of the metalogger, except those of the process (daemon crate).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the master is (`MASTER_HOST`, `MASTER_PORT`).
    pub master: (String, u16),
    /// Local address of the connection; `None`: the system chooses (`BIND_HOST`).
    pub bind_host: Option<String>,
    /// Pause before a connection is tried again (`MASTER_RECONNECTION_DELAY`).
    pub reconnection_delay: Duration,
    /// How the connection and the downloads go on.
    pub pace: Pace,
    /// Changelogs kept beside the current one (`BACK_LOGS`).
    pub back_logs: u32,
    /// Images kept beside the newest (`BACK_META_KEEP_PREVIOUS`).
    pub images_kept: u32,
}

/// Times that the core keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Seconds of silence after which either side gives up (`MASTER_TIMEOUT`).
    pub timeout_s: u16,
    /// Hours between two downloads (`META_DOWNLOAD_FREQ`).
    pub download_hours: u32,
}

impl Settings {
    /// Takes the values of a checked file.
    pub fn from_config(config: &Config) -> Settings {
        let back_logs = config.u32("BACK_LOGS");
        let bind_host = config
            .text_if_any("BIND_HOST")
            .filter(|&host| host != "*")
            .map(str::to_owned);
        Settings {
            master: (
                config.text("MASTER_HOST").to_owned(),
                u16::try_from(config.integer("MASTER_PORT")).unwrap_or(u16::MAX),
            ),
            bind_host,
            reconnection_delay: Duration::from_secs(config.u32("MASTER_RECONNECTION_DELAY").into()),
            pace: Pace {
                timeout_s: u16::try_from(config.integer("MASTER_TIMEOUT")).unwrap_or(u16::MAX),
                download_hours: config
                    .u32("META_DOWNLOAD_FREQ")
                    .clamp(1, (back_logs / 2).max(1)),
            },
            back_logs,
            images_kept: config.u32("BACK_META_KEEP_PREVIOUS"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;
    use daemon::config::Config;
    use std::path::Path;

    fn settings(text: &str) -> Settings {
        let table = daemon::keys::metalogger::table();
        Settings::from_config(&Config::parse(table, Path::new("x.cfg"), text.as_bytes()))
    }

    #[test]
    fn downloads_come_at_least_twice_in_the_time_that_changelogs_reach_back() {
        for (text, hours) in [
            ("", 24),
            ("BACK_LOGS = 50\nMETA_DOWNLOAD_FREQ = 30\n", 25),
            ("BACK_LOGS = 5\n", 2),
        ] {
            assert_eq!(settings(text).pace.download_hours, hours, "{text}");
        }
        assert_eq!(settings("BIND_HOST = *\n").bind_host, None);
        assert_eq!(
            settings("BIND_HOST = 10.1.1.1\n").bind_host.as_deref(),
            Some("10.1.1.1")
        );
    }
}
