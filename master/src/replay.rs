//! Changelogs applied to a loaded image (metadata-and-changelog §2.7): the lines of all files are
//! merged by number; where files overlap they have to agree.

use metadata::Namespace;
use proto::MetaVersion;
use proto::changelog;
use std::fs::File;
use std::io;
use std::path::Path;

/// How changelogs are applied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// `-i`: the first problem ends the replay instead of failing it.
    pub ignore_errors: bool,
    /// `-xx`: every line is logged.
    pub lists_lines: bool,
}

/// One changelog, and how far it has been read.
struct Log {
    name: String,
    bytes: memmap2::Mmap,
    /// Where the next line begins.
    at: usize,
    /// Number of the next line; `None` at the end.
    next: Option<u64>,
}

impl Log {
    fn open(directory: &Path, name: &str) -> io::Result<Option<Log>> {
        let file = File::open(directory.join(name))?;
        if file.metadata()?.len() == 0 {
            return Ok(None);
        }
        // SAFETY: the file is the master's own, under the lock of the data directory.
        let bytes = unsafe { memmap2::Mmap::map(&file)? };
        let mut log = Log {
            name: name.to_owned(),
            bytes,
            at: 0,
            next: None,
        };
        log.look();
        Ok(Some(log))
    }

    /// The next line without its newline; a torn one behind the last newline is none.
    fn line(&self) -> Option<&[u8]> {
        let rest = self.bytes.get(self.at..)?;
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        rest.get(..end)
    }

    fn look(&mut self) {
        self.next = self.line().and_then(number);
    }

    fn advance(&mut self) {
        self.at += self.line().map_or(0, <[u8]>::len) + 1;
        self.look();
    }

    fn skip_below(&mut self, version: u64) {
        while self.next.is_some_and(|next| next < version) {
            self.advance();
        }
    }
}

/// The number at the start of a line.
fn number(line: &[u8]) -> Option<u64> {
    let digits = line.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(line.get(..digits)?).ok()?.parse().ok()
}

/// Applies every line that the state lacks; says how many.
///
/// # Errors
/// A line that is missing, damaged, contradicted by another file or impossible, with the file and
/// the number. With `-i` these end the replay instead, with the state reached so far.
pub fn apply(
    namespace: &mut Namespace,
    directory: &Path,
    files: &[String],
    options: Options,
) -> Result<u64, String> {
    let mut logs = Vec::new();
    for name in files {
        let log = Log::open(directory, name)
            .map_err(|error| format!("can't read {}: {error}", directory.join(name).display()))?;
        logs.extend(log);
    }
    let mut applied = 0;
    loop {
        match step(namespace, &mut logs, options) {
            Ok(true) => applied += 1,
            Ok(false) => return Ok(applied),
            Err(problem) if options.ignore_errors => {
                tracing::warn!(
                    "{problem}\nerror applying changelogs - ignoring (using best possible metadata version)"
                );
                return Ok(applied);
            }
            Err(problem) => {
                return Err(format!(
                    "{problem}\nerror applying changelogs - fix changelogs manually or use '-i' flag"
                ));
            }
        }
    }
}

/// Applies the next line; `false` when there is none.
fn step(namespace: &mut Namespace, logs: &mut [Log], options: Options) -> Result<bool, String> {
    let version = namespace.version().0;
    for log in logs.iter_mut() {
        log.skip_below(version);
    }
    let Some(chosen) = logs.iter().position(|log| log.next == Some(version)) else {
        return match logs
            .iter()
            .filter_map(|log| Some((log.next?, &log.name)))
            .min()
        {
            None => Ok(false),
            Some((next, name)) => Err(format!(
                "hole in change files (entries from {version} to {name}:{} are missing) - add more files",
                next - 1
            )),
        };
    };
    let (before, rest) = logs.split_at_mut(chosen);
    let Some((log, after)) = rest.split_first_mut() else {
        return Ok(false);
    };
    let line = log.line().unwrap_or_default();
    for other in before.iter().chain(after.iter()) {
        if other.next == Some(version) && other.line() != Some(line) {
            return Err(format!(
                "{} and {} tell different changes {version} - one of them belongs to another history",
                log.name, other.name
            ));
        }
    }
    let place = |what: &dyn std::fmt::Display| format!("{}:{version}: {what}", log.name);
    let parsed = changelog::parse(line).map_err(|error| place(&error))?;
    if options.lists_lines {
        tracing::info!("{}", String::from_utf8_lossy(line));
    }
    namespace
        .replay(MetaVersion(version), parsed.timestamp, &parsed.entry)
        .map_err(|error| place(&error))?;
    log.advance();
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::{Options, apply};
    use metadata::Namespace;
    use std::path::PathBuf;

    /// Files in a directory of their own.
    fn directory(name: &str, files: &[(&str, &str)]) -> (PathBuf, Vec<String>) {
        let path = std::env::temp_dir().join(format!("replay-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        for (file, text) in files {
            std::fs::write(path.join(file), text).unwrap();
        }
        let names = files.iter().map(|(file, _)| (*file).to_owned()).collect();
        (path, names)
    }

    fn outcome(
        name: &str,
        files: &[(&str, &str)],
        ignore_errors: bool,
    ) -> Result<(u64, u64), String> {
        let (path, names) = directory(name, files);
        let mut namespace = Namespace::new(1, 5).unwrap();
        let options = Options {
            ignore_errors,
            ..Options::default()
        };
        let applied = apply(&mut namespace, &path, &names, options);
        std::fs::remove_dir_all(path).unwrap();
        Ok((applied?, namespace.version().0))
    }

    const FIRST: &str = "1: 5|SETMETAID(7)\n2: 6|CREATE(1,a,2,493,18,0,0,0):2\n";
    const SECOND: &str = "3: 6|CREATE(2,b,1,420,18,0,0,0):3\n";

    #[test]
    fn files_are_merged_by_number_and_overlaps_agree() {
        for (name, files) in [
            ("order", vec![("a", FIRST), ("b", SECOND)]),
            ("reverse", vec![("b", SECOND), ("a", FIRST)]),
            ("overlap", vec![("a", FIRST), ("b", FIRST), ("c", SECOND)]),
        ] {
            assert_eq!(outcome(name, &files, false), Ok((3, 4)), "{name}");
        }
    }

    #[test]
    fn a_torn_line_is_none() {
        let files = [("a", FIRST), ("b", "3: 6|CREATE(2,b,1,4")];
        assert_eq!(outcome("torn", &files, false), Ok((2, 3)));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let contradiction = "2: 6|CREATE(1,z,2,493,18,0,0,0):2\n";
        let wrong_result = "3: 6|CREATE(2,b,1,420,18,0,0,0):9\n";
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
        let cases: [Case<'_>; 4] = [
            ("hole", &[("a", FIRST), ("b", "9: 6|ACCESS(1)\n")], "hole"),
            ("damaged", &[("a", FIRST), ("b", "3: 6|CREATE(2\n")], "b:3:"),
            (
                "contradiction",
                &[("a", FIRST), ("b", contradiction)],
                "different changes 2",
            ),
            ("mismatch", &[("a", FIRST), ("b", wrong_result)], "b:3:"),
        ];
        for (name, files, expected) in cases {
            let error = outcome(name, files, false).unwrap_err();
            assert!(error.contains(expected), "{name}: {error}");
            let (applied, _) = outcome(name, files, true).unwrap();
            assert!(applied <= 2, "{name}");
        }
    }
}
