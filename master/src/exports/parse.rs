//! From the text of mfsexports.cfg to its entries and the messages about wrong lines. Every rule here
//! was tried with mfsmaster 3.0.117.

use md5::{Digest as _, Md5};

use super::{DISABLES, Export, sesflags};
use crate::address_range::AddressRange;

/// Longest line in bytes; the rest of it is ignored.
const LINE_BYTES_MAX: usize = 9999;
/// User and group for those who are mapped without being told to whom.
const NOBODY: u32 = 999;

/// The user database, as far as `maproot` and `mapall` need it.
pub trait Names {
    /// User and primary group of a name.
    fn user(&self, name: &str) -> Option<(u32, u32)>;
    /// Primary group of a user.
    fn group_of(&self, uid: u32) -> Option<u32>;
    /// Group of a name.
    fn group(&self, name: &str) -> Option<u32>;
}

/// The database of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemNames;

impl Names for SystemNames {
    fn user(&self, name: &str) -> Option<(u32, u32)> {
        daemon::user::find_user(name)
    }

    fn group_of(&self, uid: u32) -> Option<u32> {
        daemon::user::group_of_uid(uid)
    }

    fn group(&self, name: &str) -> Option<u32> {
        daemon::user::find_group(name)
    }
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exports {
    /// Usable lines in the order of the file. A `DEFAULTS` line is one, too, for the address 0.0.0.0,
    /// as in MooseFS: it counts in the checksum and in the list that monitors show.
    pub entries: Vec<Export>,
    /// MooseFS's messages about lines that were skipped or only partly understood.
    pub warnings: Vec<String>,
}

/// Reads a file. No usable line is no error here: at the start it is one, at a reload it cuts off
/// every client (master-behaviour §15.3).
pub fn parse(text: &[u8], names: &dyn Names) -> Exports {
    let mut exports = Exports::default();
    let mut defaults = built_in_defaults();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES_MAX)]);
        let mut parser = Line {
            number: index + 1,
            names,
            warnings: &mut exports.warnings,
        };
        match parser.parse(&line, &defaults) {
            Ok(None) => {}
            Ok(Some(Entry::Export(export))) => exports.entries.push(export),
            Ok(Some(Entry::Defaults(new))) => {
                exports.entries.push(new.clone());
                defaults = new;
            }
            Err(message) => exports.warnings.push(message),
        }
    }
    exports
}

fn built_in_defaults() -> Export {
    Export {
        range: AddressRange {
            from: 0.into(),
            to: 0.into(),
        },
        meta: false,
        path: String::new(),
        alldirs: false,
        minversion: 0,
        password: None,
        maproot_given: false,
        sesflags: sesflags::READ_ONLY,
        umask: 0,
        rootuid: NOBODY,
        rootgid: NOBODY,
        mapalluid: NOBODY,
        mapallgid: NOBODY,
        mingoal: 1,
        maxgoal: 9,
        mintrashtime: 0,
        maxtrashtime: u32::MAX,
        disables: 0,
    }
}

enum Entry {
    Export(Export),
    Defaults(Export),
}

struct Line<'a> {
    number: usize,
    names: &'a dyn Names,
    warnings: &'a mut Vec<String>,
}

impl Line<'_> {
    /// The error is the message about a line that is skipped.
    fn parse(&mut self, line: &str, defaults: &Export) -> Result<Option<Entry>, String> {
        let line = line.trim_matches(is_blank);
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let (address, rest) = word(line);
        if rest.is_empty() {
            return Err(format!(
                "mfsexports: incomplete definition in line: {}",
                self.number
            ));
        }
        let mut export = defaults.clone();
        if address.eq_ignore_ascii_case("DEFAULTS") {
            self.options(rest, &mut export)?;
            return Ok(Some(Entry::Defaults(export)));
        }
        export.range = address.parse().map_err(|_| {
            format!(
                "mfsexports: incorrect ip/network definition in line: {}",
                self.number
            )
        })?;
        let (path, options) = word(rest);
        export.meta = path == ".";
        if !export.meta {
            export.path = path.trim_matches('/').to_owned();
        } else if !export.maproot_given {
            (export.rootuid, export.rootgid) = (0, 0);
        }
        self.options(options, &mut export)?;
        Ok(Some(Entry::Export(export)))
    }

    fn options(&mut self, options: &str, export: &mut Export) -> Result<(), String> {
        if options.is_empty() {
            // So that DEFAULTS with mapall leave a bare metadata line with root as root.
            return Ok(());
        }
        for option in options.split(',') {
            self.option(option.trim_matches(is_blank), export)?;
        }
        if export.sesflags & sesflags::MAP_ALL != 0 && !export.maproot_given {
            (export.rootuid, export.rootgid) = (export.mapalluid, export.mapallgid);
        }
        Ok(())
    }

    fn option(&mut self, option: &str, export: &mut Export) -> Result<(), String> {
        match option.split_once('=') {
            None => self.word_option(option, export),
            Some((name, value)) => return self.value_option(option, name, value, export),
        }
        Ok(())
    }

    fn word_option(&mut self, option: &str, export: &mut Export) {
        match option {
            "ro" | "readonly" => export.sesflags |= sesflags::READ_ONLY,
            "rw" | "readwrite" => export.sesflags &= !sesflags::READ_ONLY,
            "dynamicip" => export.sesflags |= sesflags::DYNAMIC_IP,
            // These mean nothing on the metadata mount.
            "alldirs" => export.alldirs |= !export.meta,
            "ignoregid" => export.set_unless_meta(sesflags::IGNORE_GID),
            "admin" | "canchangequota" => export.set_unless_meta(sesflags::ADMIN),
            _ => self.ignore(option),
        }
    }

    fn value_option(
        &mut self,
        option: &str,
        name: &str,
        value: &str,
        export: &mut Export,
    ) -> Result<(), String> {
        let line = self.number;
        let incorrect = |value: &str| {
            format!("mfsexports: incorrect {name} definition ({name}={value}) in line: {line}")
        };
        // What contradicts an earlier option or the defaults.
        let crossed = |relation: &str, value: &str| {
            format!("mfsexports: {relation} in definition ({name}={value}) in line: {line}")
        };
        match name {
            "maproot" | "mapall" | "disable" if export.meta => {}
            "maproot" => {
                (export.rootuid, export.rootgid) = self.user_and_group(value)?;
                export.maproot_given = true;
            }
            "mapall" => {
                (export.mapalluid, export.mapallgid) = self.user_and_group(value)?;
                export.sesflags |= sesflags::MAP_ALL;
            }
            "password" => export.password = Some(Md5::digest(value).into()),
            "md5pass" => {
                export.password = Some(hex_digest(value).ok_or_else(|| incorrect(value))?);
            }
            "minversion" => export.minversion = version(value).ok_or_else(|| incorrect(value))?,
            "mingoal" => {
                let goal = goal(value).ok_or_else(|| incorrect(value))?;
                if goal > export.maxgoal {
                    return Err(crossed("mingoal>maxgoal", value));
                }
                export.mingoal = goal;
            }
            "maxgoal" => {
                let goal = goal(value).ok_or_else(|| incorrect(value))?;
                if goal < export.mingoal {
                    return Err(crossed("maxgoal<mingoal", value));
                }
                export.maxgoal = goal;
            }
            "mintrashtime" => {
                let shown = value.to_ascii_uppercase();
                let seconds = trash_time(&shown).ok_or_else(|| incorrect(&shown))?;
                if seconds > export.maxtrashtime {
                    return Err(crossed("mintrashtime>maxtrashtime", &shown));
                }
                export.mintrashtime = seconds;
            }
            "maxtrashtime" => {
                let shown = value.to_ascii_uppercase();
                let seconds = trash_time(&shown).ok_or_else(|| incorrect(&shown))?;
                if seconds < export.mintrashtime {
                    return Err(crossed("maxtrashtime<mintrashtime", &shown));
                }
                export.maxtrashtime = seconds;
            }
            "umask" => export.umask = umask(value).ok_or_else(|| incorrect(value))?,
            "disable" => {
                for word in value.split(':').map(|word| word.trim_matches(is_blank)) {
                    match DISABLES.iter().position(|known| *known == word) {
                        Some(bit) => export.disables |= 1 << bit,
                        None => self.warnings.push(format!(
                            "mfsexports: unknown disable command '{word}' in line: {line} (ignored)"
                        )),
                    }
                }
            }
            _ => self.ignore(option),
        }
        Ok(())
    }

    fn ignore(&mut self, option: &str) {
        let line = self.number;
        self.warnings.push(format!(
            "mfsexports: unknown option '{option}' in line: {line} (ignored)"
        ));
    }

    /// `user`, `user:group`; both are names or decimal numbers, nothing is 0. A user alone brings its
    /// primary group. The messages say maproot for mapall, too, as MooseFS's do.
    fn user_and_group(&self, text: &str) -> Result<(u32, u32), String> {
        let line = self.number;
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let (uid, own_group) = match decimal(user) {
            Some(uid) => (uid, None),
            None => {
                let (uid, gid) = self.names.user(user).ok_or_else(|| {
                    format!(
                        "mfsexports/maproot: can't find user named '{user}' defined in line: {line}"
                    )
                })?;
                (uid, Some(gid))
            }
        };
        let gid = match group {
            None => own_group.or_else(|| self.names.group_of(uid)).ok_or_else(|| {
                format!(
                    "mfsexports/maproot: can't determine gid, because can't find user with uid {uid} \
                     defined in line: {line}"
                )
            })?,
            Some(group) => decimal(group).or_else(|| self.names.group(group)).ok_or_else(|| {
                format!("mfsexports/maproot: can't find group named '{group}' defined in line: {line}")
            })?,
        };
        Ok((uid, gid))
    }
}

impl Export {
    fn set_unless_meta(&mut self, flag: u8) {
        if !self.meta {
            self.sesflags |= flag;
        }
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

/// The first word and what follows it without the blanks between.
fn word(text: &str) -> (&str, &str) {
    match text.split_once(is_blank) {
        Some((word, rest)) => (word, rest.trim_matches(is_blank)),
        None => (text, ""),
    }
}

/// Digits only; the empty text is 0.
fn decimal(text: &str) -> Option<u32> {
    if text.is_empty() {
        return Some(0);
    }
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn goal(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [digit @ b'1'..=b'9'] => Some(digit - b'0'),
        _ => None,
    }
}

/// `X`, `X.Y`, `X.Y.Z` as `x:16 y:8 z:8`.
fn version(text: &str) -> Option<u32> {
    let part = |text: &str, max: u32| {
        (!text.is_empty())
            .then(|| decimal(text))?
            .filter(|number| *number <= max)
    };
    let mut parts = text.split('.');
    let major = part(parts.next()?, 0xFFFF)?;
    let middle = parts.next().map_or(Some(0), |text| part(text, 0xFF))?;
    let minor = parts.next().map_or(Some(0), |text| part(text, 0xFF))?;
    parts
        .next()
        .is_none()
        .then_some(major << 16 | middle << 8 | minor)
}

/// Seconds, or `[#W][#D][#H][#M][#S]` in this order; the caller has made the letters capitals.
fn trash_time(text: &str) -> Option<u32> {
    const UNITS: [(u8, u64); 5] = [
        (b'W', 604_800),
        (b'D', 86_400),
        (b'H', 3600),
        (b'M', 60),
        (b'S', 1),
    ];
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let mut rest = text;
    let mut seconds: u64 = 0;
    for (letter, unit) in UNITS {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && rest.as_bytes().get(digits) == Some(&letter) {
            let number: u64 = rest[..digits].parse().ok()?;
            seconds = seconds.checked_add(number.checked_mul(unit)?)?;
            rest = &rest[digits + 1..];
        }
    }
    if text.is_empty() || !rest.is_empty() {
        return None;
    }
    u32::try_from(seconds).ok()
}

/// Four octal digits, the first a 0. What follows them is not looked at, as in MooseFS.
fn umask(text: &str) -> Option<u16> {
    let digits = text.as_bytes().get(..4)?;
    let octal = digits[0] == b'0' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit));
    octal.then(|| {
        digits
            .iter()
            .fold(0, |mask, digit| mask << 3 | u16::from(digit - b'0'))
    })
}

fn hex_digest(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}
