//! Every key that a daemon knows, one row each. The parser checks values against the rows; the sample
//! file and the reference page are printed from them, so the three cannot disagree.

use std::fmt::Write as _;

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Any text. A key that is set to nothing counts as not set.
    Text,
    /// `0` or `1`; every other number counts as 1.
    Flag,
    /// An integer in C notation (`10`, `0x0A`, `012`). Outside the range the nearest bound is used.
    Integer {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// One of the numbers `0..=max`; another one is replaced by the default.
    Choice {
        /// Largest value.
        max: i64,
    },
    /// A number with a decimal point. Outside the range the nearest bound is used.
    Real {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// Seconds, or with the suffixes of MooseFS 4 (`30m`, `1d12h`, `1w`). Outside the range the
    /// nearest bound is used.
    Period {
        /// Shortest, in seconds.
        min: i64,
        /// Longest, in seconds.
        max: i64,
    },
    /// Replication limits: `endangered,undergoal,rebalance,extremes`, or one number for all of them,
    /// or five as MooseFS 4 writes them.
    Limits,
}

/// What becomes of a key that stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It has its effect.
    Used,
    /// An older name: it counts when the key named here is not set.
    OldNameOf(&'static str),
    /// Accepted and without effect; the text says why and what to do.
    Obsolete(&'static str),
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    /// The word in the file.
    pub name: &'static str,
    /// What the value may be.
    pub kind: Kind,
    /// What is used when the key is not set, as it would stand in the file. `{program}` is replaced
    /// by the program's name.
    pub default: &'static str,
    /// First MooseFS version that reads the key.
    pub since: &'static str,
    /// Last MooseFS line that reads it, when it has been dropped.
    pub until: Option<&'static str>,
    /// A reload (SIGHUP) takes a new value; otherwise only a restart.
    pub reloadable: bool,
    /// Heading under which the sample file shows it.
    pub group: &'static str,
    /// What it does, for the sample file and the reference page. Without a final period.
    pub doc: &'static str,
    /// Whether it has an effect here.
    pub status: Status,
}

impl Key {
    /// A reloadable key that has existed since 1.6; the builder methods below say what differs.
    pub const fn new(
        group: &'static str,
        name: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Key {
        Key {
            name,
            kind,
            default,
            since: "1.6",
            until: None,
            reloadable: true,
            group,
            doc,
            status: Status::Used,
        }
    }

    /// First version that reads it.
    pub const fn since(mut self, version: &'static str) -> Key {
        self.since = version;
        self
    }

    /// Last version line that reads it.
    pub const fn until(mut self, version: &'static str) -> Key {
        self.until = Some(version);
        self
    }

    /// Only a restart takes a new value.
    pub const fn fixed(mut self) -> Key {
        self.reloadable = false;
        self
    }

    /// Accepted without effect.
    pub const fn obsolete(mut self, reason: &'static str) -> Key {
        self.status = Status::Obsolete(reason);
        self
    }

    /// Older name of `name`.
    pub const fn old_name_of(mut self, name: &'static str) -> Key {
        self.status = Status::OldNameOf(name);
        self
    }
}

/// The keys of one program.
#[derive(Clone, Debug)]
pub struct ConfigTable {
    program: &'static str,
    keys: Vec<Key>,
}

impl ConfigTable {
    /// Joins groups of rows. Names must be distinct; a test of each table checks that.
    pub fn new(program: &'static str, groups: &[&[Key]]) -> ConfigTable {
        ConfigTable {
            program,
            keys: groups.concat(),
        }
    }

    /// Name of the program, as in its messages.
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// All rows in the order of the sample file.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The row of a key.
    pub fn get(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The default of a row as it would stand in the file.
    pub fn default_text(&self, key: &Key) -> String {
        key.default.replace("{program}", self.program)
    }

    /// A configuration file in which every key that has an effect stands as a comment with its
    /// default, grouped and explained.
    pub fn sample_file(&self) -> String {
        let mut out = String::new();
        let mut group = "";
        for key in self.keys.iter().filter(|key| key.status == Status::Used) {
            if key.group != group {
                group = key.group;
                let line = "#".repeat(47);
                // Writing to a String cannot fail.
                let _ = write!(out, "{line}\n# {:<43} #\n{line}\n\n", group.to_uppercase());
            }
            let default = self.default_text(key);
            let mut text = format!("{}{}", key.doc, range_text(key.kind));
            if !default.is_empty() {
                let _ = write!(text, " (default is {default})");
            }
            for line in wrap(&text, 98) {
                let _ = writeln!(out, "# {line}");
            }
            let _ = writeln!(
                out,
                "{}\n",
                format!("# {} = {default}", key.name).trim_end()
            );
        }
        out
    }

    /// The reference of all keys, used and obsolete, as a Markdown table.
    pub fn reference_page(&self) -> String {
        let mut out = format!("# {}.cfg\n\n", self.program);
        out.push_str("| key | default | versions | reload | meaning |\n|---|---|---|---|---|\n");
        for key in &self.keys {
            let versions = match key.until {
                Some(until) => format!("{} – {until}", key.since),
                None => format!("{}+", key.since),
            };
            let meaning = match key.status {
                Status::Used => format!("{}{}", key.doc, range_text(key.kind)),
                Status::OldNameOf(name) => format!("older name of {name}"),
                Status::Obsolete(reason) => format!("accepted, without effect: {reason}"),
            };
            let reload = if key.reloadable { "yes" } else { "restart" };
            let default = self.default_text(key);
            let _ = writeln!(
                out,
                "| {} | {default} | {versions} | {reload} | {} |",
                key.name,
                meaning.replace('|', "\\|")
            );
        }
        out
    }
}

fn range_text(kind: Kind) -> String {
    match kind {
        Kind::Integer { min, max } if min > i64::from(u16::MIN) || max < i64::from(u32::MAX) => {
            format!("; {min} to {max}")
        }
        Kind::Choice { max } => format!("; 0 to {max}"),
        Kind::Real { min, max } if max < f64::MAX => format!("; {min} to {max}"),
        Kind::Period { min, max } if min > 0 || max < i64::from(u32::MAX) => {
            format!("; {min} to {max} seconds")
        }
        _ => String::new(),
    }
}

/// Breaks a text at blanks so that no line is longer than `width` unless a word is.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn table() -> ConfigTable {
        ConfigTable::new(
            "mfsmaster",
            &[&[
                Key::new(
                    "runtime",
                    "SYSLOG_IDENT",
                    Kind::Text,
                    "{program}",
                    "name in the log",
                )
                .fixed(),
                Key::new(
                    "runtime",
                    "BACK_LOGS",
                    Kind::Integer { min: 0, max: 1000 },
                    "50",
                    "number of change logs",
                ),
                Key::new("old", "LOCK_FILE", Kind::Text, "", "")
                    .until("1.6")
                    .obsolete("the lock is in DATA_PATH"),
                Key::new(
                    "network",
                    "MATOCL_LISTEN_HOST",
                    Kind::Text,
                    "*",
                    "address for clients",
                ),
                Key::new("network", "MATOCU_LISTEN_HOST", Kind::Text, "", "")
                    .old_name_of("MATOCL_LISTEN_HOST"),
            ]],
        )
    }

    #[test]
    fn the_sample_shows_what_has_an_effect() {
        expect![[r#"
            ###############################################
            # RUNTIME                                     #
            ###############################################

            # name in the log (default is mfsmaster)
            # SYSLOG_IDENT = mfsmaster

            # number of change logs; 0 to 1000 (default is 50)
            # BACK_LOGS = 50

            ###############################################
            # NETWORK                                     #
            ###############################################

            # address for clients (default is *)
            # MATOCL_LISTEN_HOST = *

        "#]]
        .assert_eq(&table().sample_file());
    }

    #[test]
    fn the_reference_shows_everything() {
        expect![[r#"
            # mfsmaster.cfg

            | key | default | versions | reload | meaning |
            |---|---|---|---|---|
            | SYSLOG_IDENT | mfsmaster | 1.6+ | restart | name in the log |
            | BACK_LOGS | 50 | 1.6+ | yes | number of change logs; 0 to 1000 |
            | LOCK_FILE |  | 1.6 – 1.6 | yes | accepted, without effect: the lock is in DATA_PATH |
            | MATOCL_LISTEN_HOST | * | 1.6+ | yes | address for clients |
            | MATOCU_LISTEN_HOST |  | 1.6+ | yes | older name of MATOCL_LISTEN_HOST |
        "#]]
        .assert_eq(&table().reference_page());
    }
}
