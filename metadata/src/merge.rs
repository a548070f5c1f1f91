//! One history from several changelogs: files of a master and of its metaloggers, which overlap, end
//! in torn lines and leave gaps (metadata-and-changelog §2.7). Bytes in, lines in order out; no file
//! is opened here.

pub mod soundness;

use crate::Namespace;
use crate::ends::line_number;
use proto::MetaVersion;
use proto::changelog::{self, Seal};
use std::fmt;

/// Inside one changelog a line whose number is so far or further ahead of the one before it is
/// garbage.
pub const STEP_MAX: u64 = 10_000;

/// One changelog.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What it is called in messages.
    pub name: &'a str,
    /// The whole file.
    pub bytes: &'a [u8],
}

/// One line of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// Name of the changelog that it is from.
    pub source: &'a str,
    /// Its number.
    pub version: MetaVersion,
    /// The line with its number, without its newline.
    pub line: &'a [u8],
}

/// Where the history ends before its last line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Break {
    /// Lines are missing in all changelogs.
    Hole {
        /// Where the last line before it was, or the image that the history begins with.
        after: String,
        /// First missing line.
        first: MetaVersion,
        /// Changelog in which the history goes on.
        source: String,
        /// Last missing line.
        last: MetaVersion,
    },
    /// Two changelogs have different lines of one number: one of them is of another history.
    Contradiction {
        /// Number of the lines.
        version: MetaVersion,
        /// The changelogs.
        sources: [String; 2],
    },
    /// The history goes on in a part of a changelog that is broken, and nowhere else.
    Broken {
        /// The changelog.
        source: String,
        /// Number of its last good line, if there is one.
        after: Option<MetaVersion>,
        /// Where the broken part begins, bytes from the start of the file.
        offset: u64,
    },
    /// A line cannot be read or does not fit the state.
    Line {
        /// Changelog of the line.
        source: String,
        /// Its number.
        version: MetaVersion,
        /// What is wrong with it.
        what: String,
    },
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Break::Hole {
                after,
                first,
                source,
                last,
            } => write!(
                f,
                "hole in change files (entries from {after}:{first} to {source}:{last} are missing) - add more files"
            ),
            Break::Contradiction {
                version,
                sources: [one, other],
            } => write!(
                f,
                "{one} and {other} tell different changes {version} - one of them belongs to another history, take it away"
            ),
            Break::Broken {
                source,
                after,
                offset,
            } => write!(
                f,
                "{source} is broken at byte {offset}, behind change {} - it is not what a master has written: add another copy of the changes from there on",
                after.unwrap_or_default()
            ),
            Break::Line {
                source,
                version,
                what,
            } => write!(f, "{source}:{version}: {what}"),
        }
    }
}

/// What is left out of a changelog, from some byte to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A crash: what was being written is not whole, and nobody was told that it is saved.
    Torn {
        /// Number of the last good line, if there is one.
        after: Option<MetaVersion>,
        /// Bytes that are left out.
        bytes: usize,
    },
    /// The file was whole once.
    Broken {
        /// Number of the last good line, if there is one.
        after: Option<MetaVersion>,
        /// Number of the last line that can still be read, if there is one.
        last: Option<MetaVersion>,
        /// Where the first bad line or batch begins, bytes from the start of the file.
        offset: u64,
    },
}

impl Damage {
    /// The damage of a changelog in words.
    pub fn describe(&self, source: &str) -> String {
        match self {
            Damage::Torn {
                after: Some(after),
                bytes,
            } => format!("{source}: torn line behind change {after} ({bytes} bytes) is ignored"),
            Damage::Torn { after: None, bytes } => {
                format!("{source}: no complete line, only a torn one ({bytes} bytes), is ignored")
            }
            Damage::Broken { after, offset, .. } => format!(
                "found garbage at the end of file: {source} (last correct id: {}, byte {offset})",
                after.unwrap_or_default()
            ),
        }
    }
}

/// The sound part of a changelog, and how far it has been read.
#[derive(Clone, Debug)]
struct Log<'a> {
    source: Source<'a>,
    /// Where the next line begins.
    at: usize,
    /// Where the one behind it begins.
    end: usize,
    /// The next line and its number; `None` at the end.
    next: Option<(u64, &'a [u8])>,
    /// Its writer says what was on stable storage.
    is_sealed: bool,
}

impl Log<'_> {
    /// Goes to the next line.
    fn advance(&mut self) {
        self.at = self.end;
        let rest = self.source.bytes.get(self.at..).unwrap_or_default();
        let line = memchr::memchr(b'\n', rest).and_then(|end| rest.get(..end));
        self.next = line.and_then(|line| {
            self.end += line.len() + 1;
            Some((number(line)?, Seal::split(line).0))
        });
    }
}

/// The number before the colon.
fn number(line: &[u8]) -> Option<u64> {
    line_number(line).map(|version| version.0)
}

/// The merged history: asks for one line after the other.
#[derive(Clone, Debug)]
pub struct Merge<'a> {
    /// Changelogs that have lines left, those whose next line is lowest first. The first `open` of
    /// them have been reached.
    logs: Vec<Log<'a>>,
    open: usize,
    /// Where the line before the next one was.
    previous: String,
    damages: Vec<(&'a str, Damage)>,
    /// The last change that is known to have been on stable storage.
    stable: Option<u64>,
    /// Changelogs that go on behind the end of the history.
    abandoned: Vec<&'a str>,
    bytes_all: u64,
    bytes_done: u64,
}

impl<'a> Merge<'a> {
    /// The history told by `sources`, in whatever order they come; `image` is the name of the file
    /// that it begins with, for messages.
    pub fn new(image: &str, sources: impl IntoIterator<Item = Source<'a>>) -> Merge<'a> {
        let mut merge = Merge {
            logs: Vec::new(),
            open: 0,
            previous: image.to_owned(),
            damages: Vec::new(),
            stable: None,
            abandoned: Vec::new(),
            bytes_all: 0,
            bytes_done: 0,
        };
        for source in sources {
            let found = soundness::check(source.bytes);
            let sound = Source {
                bytes: source.bytes.get(..found.sound).unwrap_or_default(),
                ..source
            };
            merge.stable = merge.stable.max(found.stable);
            // A master makes the file with its first lines: without any they are lost.
            let is_emptied = source.bytes.is_empty() && source.name.starts_with("changelog.");
            if is_emptied {
                let (after, bytes) = (None, 0);
                merge
                    .damages
                    .push((source.name, Damage::Torn { after, bytes }));
            }
            merge
                .damages
                .extend(found.damage.map(|damage| (source.name, damage)));
            let mut log = Log {
                source: sound,
                at: 0,
                end: 0,
                next: None,
                is_sealed: found.stable.is_some(),
            };
            merge.bytes_all += sound.bytes.len() as u64;
            log.advance();
            if log.next.is_some() {
                merge.logs.push(log);
            }
        }
        merge
            .logs
            .sort_by_key(|log| log.next.map(|(number, _)| number));
        merge
    }

    /// The line of a version, which must not be lower than that of the call before; `None` behind the
    /// last line of all. The caller applies it and asks for the next.
    ///
    /// # Errors
    /// [`Break::Hole`], [`Break::Contradiction`] and [`Break::Broken`].
    pub fn line(&mut self, version: MetaVersion) -> Result<Option<Change<'a>>, Break> {
        self.skip_below(version.0);
        let mut found: Option<Change<'a>> = None;
        for log in self.logs.iter().take(self.open) {
            let Some((_, line)) = log.next.filter(|(number, _)| *number == version.0) else {
                continue;
            };
            match found {
                None => {
                    found = Some(Change {
                        source: log.source.name,
                        version,
                        line,
                    });
                }
                Some(first) if first.line == line => {}
                Some(first) => {
                    return Err(Break::Contradiction {
                        version,
                        sources: [first.source.to_owned(), log.source.name.to_owned()],
                    });
                }
            }
        }
        if let Some(change) = found {
            if self.previous != change.source {
                change.source.clone_into(&mut self.previous);
            }
            return Ok(found);
        }
        if let Some(broken) = self.broken(version) {
            return Err(broken);
        }
        if self.is_torn(version) {
            self.abandoned = self.logs.iter().map(|log| log.source.name).collect();
            return Ok(None);
        }
        let further = self
            .logs
            .iter()
            .filter_map(|log| Some((log.next?.0, log.source.name)))
            .min();
        match further {
            None => Ok(None),
            Some((next, source)) => Err(Break::Hole {
                after: self.previous.clone(),
                first: version,
                source: source.to_owned(),
                last: MetaVersion(next - 1),
            }),
        }
    }

    /// Whether the history ends here because a crash has torn or lost what followed, while files that
    /// were begun later are there: nobody was told that any of it is on stable storage.
    fn is_torn(&self, version: MetaVersion) -> bool {
        let is_sealed = !self.logs.is_empty() && self.logs.iter().all(|log| log.is_sealed);
        let is_torn = self.damages.iter().any(|(_, damage)| match damage {
            Damage::Torn { after, .. } => after.is_none_or(|after| after.0 + 1 == version.0),
            Damage::Broken { .. } => false,
        });
        self.stable < Some(version.0) && (is_sealed || is_torn)
    }

    /// Changelogs whose lines do not count because a crash has torn those before them. They have to
    /// be put aside before the history goes on.
    pub fn abandoned(&self) -> &[&'a str] {
        &self.abandoned
    }

    /// The broken changelog that may hold the lines from `version` on, which no other one has.
    fn broken(&self, version: MetaVersion) -> Option<Break> {
        self.damages.iter().find_map(|(source, damage)| {
            let &Damage::Broken {
                after,
                last,
                offset,
            } = damage
            else {
                return None;
            };
            let ends_here = after.is_none_or(|after| after.0 + 1 >= version.0);
            let goes_on = last.is_some_and(|last| last >= version);
            let is_all_unknown = after.is_none() && last.is_none();
            let may_hold = goes_on || is_all_unknown || after.is_some() && ends_here;
            may_hold.then(|| Break::Broken {
                source: (*source).to_owned(),
                after,
                offset,
            })
        })
    }

    /// Opens the changelogs that begin up to `version` and leaves lines below it behind.
    fn skip_below(&mut self, version: u64) {
        while self
            .logs
            .get(self.open)
            .and_then(|log| log.next)
            .is_some_and(|(number, _)| number <= version)
        {
            self.open += 1;
        }
        let mut index = 0;
        while index < self.open {
            let Some(log) = self.logs.get_mut(index) else {
                break;
            };
            let begin = log.at;
            while log.next.is_some_and(|(number, _)| number < version) {
                log.advance();
            }
            self.bytes_done += (log.at - begin) as u64;
            if log.next.is_some() {
                index += 1;
            } else {
                self.logs.remove(index);
                self.open -= 1;
            }
        }
    }

    /// What is left out, with the name of the changelog.
    pub fn damages(&self) -> &[(&'a str, Damage)] {
        &self.damages
    }

    /// Bytes of all changelogs that are behind, and bytes of all.
    pub fn progress(&self) -> (u64, u64) {
        (self.bytes_done, self.bytes_all)
    }
}

/// Applies every line that the state lacks; says how many. `watch` sees each line before it is
/// applied.
///
/// # Errors
/// [`Break`]: the state is that of the last good line before it.
pub fn replay<'a>(
    namespace: &mut Namespace,
    merge: &mut Merge<'a>,
    mut watch: impl FnMut(&Merge<'a>, &Change<'a>),
) -> Result<u64, Break> {
    let mut applied = 0;
    loop {
        let version = namespace.version();
        let Some(change) = merge.line(version)? else {
            return Ok(applied);
        };
        watch(merge, &change);
        apply(namespace, &change).map_err(|what| Break::Line {
            source: change.source.to_owned(),
            version,
            what,
        })?;
        applied += 1;
    }
}

fn apply(namespace: &mut Namespace, change: &Change<'_>) -> Result<(), String> {
    let parsed = changelog::parse(change.line).map_err(|error| error.to_string())?;
    namespace
        .replay(change.version, parsed.timestamp, &parsed.entry)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Damage, Merge, Source, replay};
    use crate::Namespace;
    use proto::MetaVersion;

    fn sources<'a>(texts: &[(&'a str, &'a str)]) -> Vec<Source<'a>> {
        texts
            .iter()
            .map(|&(name, text)| Source {
                name,
                bytes: text.as_bytes(),
            })
            .collect()
    }

    /// Lines from version 1 on as `source:version`, then what ended them and what was left out.
    fn story(texts: &[(&str, &str)]) -> String {
        let mut merge = Merge::new("image", sources(texts));
        let mut story = Vec::new();
        let mut version = MetaVersion(1);
        loop {
            match merge.line(version) {
                Ok(Some(change)) => {
                    story.push(format!("{}{}", change.source, change.version));
                    version.0 += 1;
                }
                Ok(None) => break,
                Err(problem) => {
                    story.push(problem.to_string());
                    break;
                }
            }
        }
        let (done, all) = merge.progress();
        assert!(done <= all);
        for (source, damage) in merge.damages() {
            story.push(damage.describe(source));
        }
        story.join(" ")
    }

    #[test]
    fn lines_come_in_order_from_wherever_they_are() {
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a str);
        let cases: [Case<'_>; 13] = [
            (&[], ""),
            (&[("a", "")], ""),
            (&[("a", "1: x\n2: y\n")], "a1 a2"),
            (&[("b", "2: y\n"), ("a", "1: x\n")], "a1 b2"),
            (&[("a", "1: x\n2: y\n"), ("b", "2: y\n3: z\n")], "a1 a2 b3"),
            // A hole of one metalogger is filled by another.
            (
                &[("a", "1: x\n4: v\n"), ("b", "2: y\n3: z\n4: v\n")],
                "a1 b2 b3 a4",
            ),
            (
                &[("a", "1: x\n"), ("b", "4: v\n")],
                "a1 hole in change files (entries from a:2 to b:3 are missing) - add more files",
            ),
            (
                &[("b", "4: v\n")],
                "hole in change files (entries from image:1 to b:3 are missing) - add more files",
            ),
            (
                &[("a", "1: x\n2: y\n"), ("b", "1: x\n2: other\n")],
                "a1 a and b tell different changes 2 - one of them belongs to another history, take it away",
            ),
            (
                &[("a", "1: x\n2: torn"), ("b", "2: y\n")],
                "a1 b2 a: torn line behind change 1 (7 bytes) is ignored",
            ),
            (
                &[("a", "1: to")],
                "a: no complete line, only a torn one (5 bytes), is ignored",
            ),
            (
                &[("a", "1: x\n\0\0\n2: y\n")],
                "a1 a: torn line behind change 1 (8 bytes) is ignored",
            ),
            (
                &[("a", "1: x\n10001: far\n")],
                "a1 a is broken at byte 5, behind change 1 - it is not what a master has written: add another copy of the changes from there on found garbage at the end of file: a (last correct id: 1, byte 5)",
            ),
        ];
        for (texts, expected) in cases {
            assert_eq!(story(texts), expected, "{texts:?}");
        }
    }

    #[test]
    fn what_follows_a_torn_file_is_abandoned_unless_it_was_promised() {
        let torn = "1: 5|x\n2: 5|y";
        let seal = |stable| {
            let mut text = b"3: 5|z".to_vec();
            proto::changelog::Seal::of(b"3: 5|z", stable).write(&mut text);
            text.push(b'\n');
            text
        };
        for (stable, is_promised) in [(0, false), (1, false), (2, true)] {
            let later = seal(stable);
            let files = [("1", torn.as_bytes()), ("0", &later)];
            let mut merge = Merge::new("image", files.map(|(name, bytes)| Source { name, bytes }));
            assert!(merge.line(MetaVersion(1)).unwrap().is_some());
            let next = merge.line(MetaVersion(2));
            assert_eq!(next.is_err(), is_promised, "{next:?}");
            assert_eq!(merge.abandoned().len(), usize::from(!is_promised));
        }
        // Lines of MooseFS promise nothing.
        assert_eq!(
            story(&[("1", torn), ("0", "3: 5|z\n")]),
            "11 1: torn line behind change 1 (6 bytes) is ignored"
        );
    }

    #[test]
    fn lines_below_the_state_do_not_count() {
        let mut merge = Merge::new("image", sources(&[("a", "1: x\n2: y\n3: z\n")]));
        assert_eq!(merge.line(MetaVersion(3)).unwrap().unwrap().line, b"3: z");
        assert_eq!(merge.line(MetaVersion(4)), Ok(None));
        assert_eq!(merge.progress(), (15, 15));
        let mut merge = Merge::new("image", sources(&[("a", "1: x\n9: later")]));
        assert_eq!(merge.line(MetaVersion(2)), Ok(None));
        let torn = Damage::Torn {
            after: Some(MetaVersion(1)),
            bytes: 8,
        };
        assert_eq!(merge.damages(), [("a", torn)]);
    }

    #[test]
    fn a_replay_ends_at_the_first_line_that_does_not_fit() {
        let good = "1: 5|SETMETAID(7)\n2: 6|CREATE(1,a,2,493,18,0,0,0):2\n";
        for (last, expected) in [
            ("3: 6|CREATE(2,b,1,420,18,0,0,0):3\n", Ok(3)),
            ("3: 6|CREATE(2\n", Err("b:3: ")),
            ("3: 6|CREATE(2,b,1,420,18,0,0,0):9\n", Err("b:3: ")),
        ] {
            let mut namespace = Namespace::new(1, 5).unwrap();
            let mut merge = Merge::new("image", sources(&[("a", good), ("b", last)]));
            let mut seen = 0;
            let result = replay(&mut namespace, &mut merge, |_, _| seen += 1);
            assert_eq!(seen, 3);
            match (result, expected) {
                (Ok(applied), Ok(all)) => assert_eq!(applied, all),
                (Err(problem), Err(start)) => {
                    assert!(problem.to_string().starts_with(start), "{problem}");
                    assert_eq!(namespace.version(), MetaVersion(3));
                }
                (result, _) => panic!("{last}: {result:?}"),
            }
        }
    }
}
