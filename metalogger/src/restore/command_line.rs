//! Words into a [`Request`]. By hand, because the letters are joined and repeated as getopt allows
//! (`-xxbi`), and `-v` alone is the version.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// What `-h` prints.
pub const USAGE: &str = "\
restore metadata:
	mfsmetarestore [-f] [-b] [-i] [-x [-x]] -m <meta data file> -o <restored meta data file> [ <change log file> [ <change log file> [ .... ]]]
dump metadata:
	mfsmetarestore [-i] -m <meta data file>
autorestore:
	mfsmetarestore [-f] [-b] [-i] [-x [-x]] -a [-d <data path>]
digest of the state, without storing it unless -o is given:
	mfsmetarestore [-f] [-b] [-i] [-x [-x]] --digest (-a [-d <data path>] | -m <meta data file> [ -o <file> ] [ <change log file> ... ])
print version:
	mfsmetarestore -v

-a - autorestore mode
-b - if there is any error in change logs then save the best possible metadata file
-d - where the files of autorestore mode are (default: /var/lib/mfs)
-f - force loading all changelogs
-i - ignore some metadata structure errors (attach orphans to root, ignore names without inode, etc.)
-x - produce more verbose output
-xx - even more verbose output
";

/// Directory of `-a` without `-d`.
const DATA_PATH: &str = "/var/lib/mfs";

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The version.
    Version,
    /// How to call it.
    Help,
    /// Work on files.
    Work(Job),
}

/// One restore, dump or digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Where the files are.
    pub place: Place,
    /// `-b`: an error in the changelogs ends the replay instead of failing it.
    pub takes_best: bool,
    /// `-i`: the structure is repaired where it can be.
    pub ignores_errors: bool,
    /// `-f`: changelogs that end before the image are read, too.
    pub loads_all: bool,
    /// Number of `-x`.
    pub verbosity: u32,
    /// `--digest`.
    pub prints_digest: bool,
}

/// Where the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `-a`: a data directory; the result is its `metadata.mfs`.
    Directory(PathBuf),
    /// `-m`, `-o` and changelogs.
    Files {
        /// Image to begin with.
        image: PathBuf,
        /// Image to write; `None` with nothing to write.
        output: Option<PathBuf>,
        /// Changelogs, in any order.
        changelogs: Vec<PathBuf>,
    },
}

#[derive(Default)]
struct Words {
    is_automatic: bool,
    takes_best: bool,
    ignores_errors: bool,
    loads_all: bool,
    verbosity: u32,
    prints_digest: bool,
    directory: Option<PathBuf>,
    image: Option<PathBuf>,
    output: Option<PathBuf>,
    others: Vec<PathBuf>,
}

/// Reads the words behind the program's name.
///
/// # Errors
/// What is wrong with them, and the usage.
pub fn parse(words: &[OsString]) -> Result<Request, String> {
    let wrong = |what: &str| format!("mfsmetarestore: {what}\n{USAGE}");
    let mut found = Words::default();
    let mut rest = words.iter();
    let mut only_names = false;
    while let Some(word) = rest.next() {
        match word.as_bytes() {
            b"--" if !only_names => only_names = true,
            b"--digest" if !only_names => found.prints_digest = true,
            b"--help" if !only_names => return Ok(Request::Help),
            b"--version" if !only_names => return Ok(Request::Version),
            [b'-', letters @ ..] if !only_names && !letters.is_empty() => {
                for (index, letter) in letters.iter().enumerate() {
                    let mut path = || -> Result<PathBuf, String> {
                        let joined = letters.get(index + 1..).filter(|text| !text.is_empty());
                        let text = joined.map(OsStr::from_bytes);
                        let text = text.or_else(|| rest.next().map(OsString::as_os_str));
                        text.map(PathBuf::from).ok_or_else(|| {
                            let letter = char::from(*letter);
                            wrong(&format!("option requires an argument -- '{letter}'"))
                        })
                    };
                    match letter {
                        b'a' => found.is_automatic = true,
                        b'b' => found.takes_best = true,
                        b'f' => found.loads_all = true,
                        b'i' => found.ignores_errors = true,
                        b'x' => found.verbosity += 1,
                        b'v' => return Ok(Request::Version),
                        b'h' | b'?' => return Ok(Request::Help),
                        b'd' => found.directory = Some(path()?),
                        b'm' => found.image = Some(path()?),
                        b'o' => found.output = Some(path()?),
                        _ if word.as_bytes().starts_with(b"--") => {
                            return Err(wrong(&format!("unknown option {}", word.display())));
                        }
                        _ => {
                            let letter = char::from(*letter);
                            return Err(wrong(&format!("invalid option -- '{letter}'")));
                        }
                    }
                    if matches!(letter, b'd' | b'm' | b'o') {
                        break;
                    }
                }
            }
            _ => found.others.push(PathBuf::from(word)),
        }
    }
    found.request().map_err(wrong)
}

impl Words {
    fn request(self) -> Result<Request, &'static str> {
        let place = match (self.is_automatic, self.image) {
            (true, Some(_)) => return Err("-a and -m exclude each other"),
            (true, None) if self.output.is_some() || !self.others.is_empty() => {
                return Err("-a takes its files from the data path");
            }
            (true, None) => Place::Directory(self.directory.unwrap_or_else(|| DATA_PATH.into())),
            (false, Some(image)) => {
                if self.output.is_none() && !self.others.is_empty() && !self.prints_digest {
                    return Err("change logs without -o have no use");
                }
                Place::Files {
                    image,
                    output: self.output,
                    changelogs: self.others,
                }
            }
            (false, None) => return Err("neither -a nor -m"),
        };
        Ok(Request::Work(Job {
            place,
            takes_best: self.takes_best,
            ignores_errors: self.ignores_errors,
            loads_all: self.loads_all,
            verbosity: self.verbosity,
            prints_digest: self.prints_digest,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Job, Place, Request, parse};
    use std::ffi::OsString;

    fn words(line: &str) -> Result<Request, String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse(&words)
    }

    fn job(line: &str) -> Job {
        match words(line) {
            Ok(Request::Work(job)) => job,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn both_forms_with_joined_letters() {
        let auto = job("-a");
        assert_eq!(auto.place, Place::Directory("/var/lib/mfs".into()));
        let auto = job("-xxbi -f -a -d/srv/mfs");
        assert_eq!(auto.place, Place::Directory("/srv/mfs".into()));
        assert!(auto.takes_best && auto.ignores_errors && auto.loads_all);
        assert_eq!(auto.verbosity, 2);
        let files = job("-m old.mfs c.1 -o new.mfs -- -c.0");
        let expected = Place::Files {
            image: "old.mfs".into(),
            output: Some("new.mfs".into()),
            changelogs: vec!["c.1".into(), "-c.0".into()],
        };
        assert_eq!(files.place, expected);
        assert!(!files.takes_best && files.verbosity == 0);
        assert!(job("-m old.mfs --digest c.0").prints_digest);
        assert_eq!(words("-v"), Ok(Request::Version));
        assert_eq!(words("--help"), Ok(Request::Help));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (line, what) in [
            ("", "neither"),
            ("-a -m x", "exclude"),
            ("-a x", "data path"),
            ("-m", "requires an argument -- 'm'"),
            ("-z", "invalid option -- 'z'"),
            ("--dige", "unknown option --dige"),
            ("-m x c.0", "change logs without -o"),
        ] {
            let text = words(line).unwrap_err();
            assert!(text.contains(what) && text.contains("-a - auto"), "{text}");
        }
    }
}
