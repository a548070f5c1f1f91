//! The configuration of a running daemon: a file checked against a [`ConfigTable`], every value typed
//! and in range, every doubt said once (tools-and-cli §15). Reading the file happens here and nowhere
//! else; the syntax is in `config_file`, the meaning of numbers in `config_value`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config_file::{self, Definition};
use crate::config_table::{ConfigTable, Key, Kind, Status};
use crate::config_value::{self, Leading};

/// Longest configuration file that is read.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such file.
    #[error("main config file ({0}) not found", path.display())]
    Missing {
        /// The file that was asked for.
        path: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("can't read main config file ({}): {error}", path.display())]
    Unreadable {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

/// An effective value.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Integer(i64),
    Real(f64),
    Limits(Vec<f64>),
}

/// All keys of a table with their effective values.
#[derive(Clone, Debug)]
pub struct Config {
    table: ConfigTable,
    path: PathBuf,
    /// Last definition of each key in the file, known or not.
    written: BTreeMap<String, Definition>,
    effective: BTreeMap<&'static str, Value>,
    warnings: Vec<String>,
}

impl Config {
    /// Reads and checks a file.
    pub fn load(table: ConfigTable, path: &Path) -> Result<Config, ConfigError> {
        let mut text = Vec::new();
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut text));
        match read {
            Ok(_) => Ok(Config::parse(table, path, &text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(ConfigError::Missing {
                    path: path.to_owned(),
                })
            }
            Err(error) => Err(ConfigError::Unreadable {
                path: path.to_owned(),
                error,
            }),
        }
    }

    /// Checks the text of a file; `path` is for messages and for [`Config::reload`].
    pub fn parse(table: ConfigTable, path: &Path, text: &[u8]) -> Config {
        let (definitions, bad) = config_file::parse(text);
        let file = path.display();
        let mut warnings: Vec<String> = bad
            .iter()
            .map(|bad| {
                format!(
                    "bad definition in config file '{file}': {} (line {})",
                    bad.text, bad.line
                )
            })
            .collect();

        let mut written: BTreeMap<String, Definition> = BTreeMap::new();
        for definition in definitions {
            let (line, key) = (definition.line, definition.key.clone());
            let value = definition.value.clone();
            if let Some(earlier) = written.insert(key.clone(), definition)
                && earlier.value != value
            {
                warnings.push(format!(
                    "{file}: {key} is defined in line {} and again in line {line}; '{value}' is used",
                    earlier.line
                ));
            }
        }
        warnings.extend(without_effect(&table, &file.to_string(), &written));

        let mut config = Config {
            table,
            path: path.to_owned(),
            written,
            effective: BTreeMap::new(),
            warnings,
        };
        for key in config.table.keys().to_vec() {
            let value = config.evaluate(&key);
            config.effective.insert(key.name, value);
        }
        config
    }

    /// Reads the same file again. Keys that need a restart keep their values, with a warning when the
    /// file says something new. On an error the caller goes on with what it has.
    pub fn reload(&self) -> Result<Config, ConfigError> {
        let new = Config::load(self.table.clone(), &self.path)?;
        Ok(self.adopt(new))
    }

    /// The part of [`Config::reload`] without reading.
    pub fn adopt(&self, mut new: Config) -> Config {
        for key in self.table.keys().iter().filter(|key| !key.reloadable) {
            let (Some(old), Some(value)) = (
                self.effective.get(key.name),
                new.effective.get_mut(key.name),
            ) else {
                continue;
            };
            if old != value {
                if key.status == Status::Used {
                    new.warnings.push(format!(
                        "{}: {} has changed; the new value takes effect at the next restart",
                        self.path.display(),
                        key.name
                    ));
                }
                *value = old.clone();
            }
        }
        new
    }

    /// The file that was read, or that would have been.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the operator should know about the file, in the order of its lines. To be logged once.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The key stands in the file. Older names do not count.
    pub fn is_set(&self, name: &str) -> bool {
        self.written.contains_key(name)
    }

    /// A value as it stands in the file, for any word; what the message GET_CONFIG serves
    /// (wire-admin §3.2). `None` when it is not set: defaults are not reported.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.written
            .get(name)
            .map(|definition| definition.value.as_str())
    }

    /// Every key that stands in the file, with its value as written there.
    pub fn written(&self) -> impl Iterator<Item = (&str, &str)> {
        self.written
            .iter()
            .map(|(name, definition)| (name.as_str(), definition.value.as_str()))
    }

    /// Keys with an effect that are not set, with their defaults: what the option `-u` prints.
    pub fn defaults_in_use(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.table
            .keys()
            .iter()
            .filter(|key| key.status == Status::Used && !self.is_set(key.name))
            .map(|key| (key.name, self.table.default_text(key)))
    }

    /// A text.
    pub fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Value::Text(text) => text,
            _ => misused(name, "a text"),
        }
    }

    /// A text, or `None` when it is empty.
    pub fn text_if_any(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// An integer, a choice, or a period in seconds.
    pub fn integer(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Integer(number) => *number,
            _ => misused(name, "an integer"),
        }
    }

    /// An integer, a choice, or a period in seconds, of a key whose range is within `u32`.
    pub fn u32(&self, name: &str) -> u32 {
        u32::try_from(self.integer(name)).unwrap_or_else(|_| misused(name, "an unsigned integer"))
    }

    /// A flag.
    pub fn flag(&self, name: &str) -> bool {
        self.integer(name) != 0
    }

    /// A number with a fraction.
    pub fn real(&self, name: &str) -> f64 {
        match self.value(name) {
            Value::Real(number) => *number,
            _ => misused(name, "a real number"),
        }
    }

    /// Replication limits: endangered, undergoal, rebalance, extremes (tools-and-cli §15.2).
    pub fn limits(&self, name: &str) -> [f64; 4] {
        match self.value(name) {
            Value::Limits(list) => match list.as_slice() {
                [one] => [*one; 4],
                [a, b, c, d, ..] => [*a, *b, *c, *d],
                _ => misused(name, "a list of limits"),
            },
            _ => misused(name, "a list of limits"),
        }
    }

    fn value(&self, name: &str) -> &Value {
        match self.effective.get(name) {
            Some(value) => value,
            None => misused(name, "in the table"),
        }
    }

    /// The definition that counts for a row: its own, else that of an older name.
    fn definition(&self, key: &Key) -> Option<&Definition> {
        self.written.get(key.name).or_else(|| {
            let is_old_name = |old: &&Key| old.status == Status::OldNameOf(key.name);
            self.table
                .keys()
                .iter()
                .filter(is_old_name)
                .find_map(|old| self.written.get(old.name))
        })
    }

    fn evaluate(&mut self, key: &Key) -> Value {
        let default_text = self.table.default_text(key);
        let default = match check(key.kind, &default_text) {
            Checked::Value(value, _) => value,
            // Rows whose default is "nothing" (CHUNKS_HARD_DEL_LIMIT): their users ask `is_set`.
            Checked::Unusable => Value::Integer(0),
        };
        let Some(definition) = self.definition(key).cloned() else {
            return default;
        };
        if matches!(key.status, Status::Obsolete(_)) {
            return default;
        }
        let (value, complaint) = match check(key.kind, &definition.value) {
            Checked::Value(value, complaint) => (value, complaint),
            Checked::Unusable => (
                default,
                Some(format!("not usable, using the default ({default_text})")),
            ),
        };
        // The same line is evaluated for its own row and for the newer name: one complaint is enough.
        if let Some(complaint) = complaint.filter(|_| !matches!(key.status, Status::OldNameOf(_))) {
            self.warnings.push(format!(
                "{}:{}: {} = {}: {complaint}",
                self.path.display(),
                definition.line,
                definition.key,
                definition.value
            ));
        }
        value
    }
}

/// One warning that names all keys without effect.
fn without_effect(
    table: &ConfigTable,
    file: &str,
    written: &BTreeMap<String, Definition>,
) -> Option<String> {
    let mut definitions: Vec<&Definition> = written.values().collect();
    definitions.sort_by_key(|definition| definition.line);
    let words: Vec<String> = definitions
        .iter()
        .filter_map(|definition| {
            let (key, line) = (&definition.key, definition.line);
            match table.get(key).map(|row| row.status) {
                Some(Status::Obsolete(reason)) => {
                    let reason = reason.replace("{program}", table.program());
                    Some(format!("{key} in line {line} ({reason})"))
                }
                Some(_) => None,
                None => Some(format!("{key} in line {line} (unknown)")),
            }
        })
        .collect();
    (!words.is_empty()).then(|| format!("{file}: keys without effect: {}", words.join(", ")))
}

enum Checked {
    /// The value to use, and what is wrong with the text if anything.
    Value(Value, Option<String>),
    /// The text is no value of this kind.
    Unusable,
}

fn check(kind: Kind, text: &str) -> Checked {
    match kind {
        Kind::Text => Checked::Value(Value::Text(text.to_owned()), None),
        Kind::Flag => from_integer(config_value::integer(text), |n| (i64::from(n != 0), None)),
        Kind::Integer { min, max } => {
            from_integer(config_value::integer(text), |n| clamp(n, min, max))
        }
        Kind::Period { min, max } => {
            from_integer(config_value::period_seconds(text), |n| clamp(n, min, max))
        }
        Kind::Choice { max } => match config_value::integer(text) {
            Some(Leading { number, .. }) if !(0..=max).contains(&number) => Checked::Unusable,
            leading => from_integer(leading, |n| (n, None)),
        },
        Kind::Real { min, max } => match config_value::real(text) {
            None => Checked::Unusable,
            Some(Leading { number, has_rest }) => {
                let used = number.clamp(min, max);
                let complaint = if used < number {
                    Some(format!("larger than {max}, using {max}"))
                } else if used > number {
                    Some(format!("smaller than {min}, using {min}"))
                } else {
                    has_rest.then(|| format!("text behind the number is ignored, using {used}"))
                };
                Checked::Value(Value::Real(used), complaint)
            }
        },
        Kind::Limits => match config_value::limits(text) {
            None => Checked::Unusable,
            Some(list) => Checked::Value(Value::Limits(list), None),
        },
    }
}

fn from_integer(
    leading: Option<Leading<i64>>,
    bound: impl Fn(i64) -> (i64, Option<String>),
) -> Checked {
    let Some(Leading { number, has_rest }) = leading else {
        return Checked::Unusable;
    };
    let (used, complaint) = bound(number);
    let rest = has_rest.then(|| format!("text behind the number is ignored, using {used}"));
    Checked::Value(Value::Integer(used), complaint.or(rest))
}

fn clamp(number: i64, min: i64, max: i64) -> (i64, Option<String>) {
    if number < min {
        (min, Some(format!("smaller than {min}, using {min}")))
    } else if number > max {
        (max, Some(format!("larger than {max}, using {max}")))
    } else {
        (number, None)
    }
}

/// A getter that does not fit the table's row: a mistake in this program, not in a file.
fn misused(name: &str, wanted: &str) -> ! {
    panic!("configuration key {name} is not {wanted}")
}
