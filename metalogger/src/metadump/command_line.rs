//! The command line of `mfsmetadump` (tools-and-cli §11.2).

use super::dump;
use crate::progress::Bar;
use proto::image::SectionName;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const OPTIONS: &str = "\
options:
\td: print dot instead of non printable characters
\ts: dump only given section
section names:
\tHEAD - header info
\tSESS - client sessions
\tLABS - labels (not used)
\tSCLA - storage classes
\tNODE - tree nodes (i-nodes)
\tEDGE - tree edges (file names)
\tFREE - free nodes (deleted i-nodes)
\tQUOT - quota definitions
\tXATR - xattr data
\tPACL - posix acl data
\tOPEN - open files
\tFLCK - flock data
\tPLCK - posix locks (lockf,ioctl) data
\tCSDB - active chunkservers
\tCHNK - chunks
";

/// Bytes of text that are collected before they are written.
const BUFFER_BYTES: usize = 1 << 18;

/// Which part of a file is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// What stands before the sections.
    Head,
    /// The sections of a name.
    Section(SectionName),
}

/// How a file is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-d`: dots in place of bytes that cannot be printed.
    pub dots: bool,
    /// `-s`: this only.
    pub section: Option<Selection>,
}

/// A command line that cannot be followed: what is said before the usage on standard error, and on
/// standard output.
#[derive(Debug, Default, PartialEq, Eq)]
struct Misuse {
    message: Option<String>,
    text: Option<&'static str>,
}

/// Options are those of getopt: letters may be joined, a value may follow its letter directly.
fn parse(name: &str, words: &[OsString]) -> Result<(Options, PathBuf), Misuse> {
    let mut options = Options::default();
    let mut files = Vec::new();
    let mut words = words.iter();
    let mut only_files = false;
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        let Some(letters) = bytes.strip_prefix(b"-").filter(|rest| !rest.is_empty()) else {
            files.push(PathBuf::from(word));
            continue;
        };
        if only_files {
            files.push(PathBuf::from(word));
            continue;
        }
        if letters == b"-" {
            only_files = true;
            continue;
        }
        let mut at = 0;
        while let Some(&letter) = letters.get(at) {
            at += 1;
            match letter {
                b'd' => options.dots = true,
                b's' => {
                    let joined = letters.get(at..).filter(|rest| !rest.is_empty());
                    let value = joined.or_else(|| words.next().map(|word| word.as_bytes()));
                    let Some(value) = value else {
                        return Err(Misuse {
                            message: Some(format!("{name}: option requires an argument -- 's'")),
                            text: None,
                        });
                    };
                    let Ok(section) = <[u8; 4]>::try_from(value) else {
                        return Err(Misuse {
                            message: None,
                            text: Some("wrong section name"),
                        });
                    };
                    options.section = Some(SectionName(section).into());
                    break;
                }
                letter => {
                    let letter = char::from(letter);
                    return Err(Misuse {
                        message: Some(format!("{name}: invalid option -- '{letter}'")),
                        text: None,
                    });
                }
            }
        }
    }
    match files.into_iter().next() {
        Some(file) => Ok((options, file)),
        None => Err(Misuse::default()),
    }
}

/// The program: exit status 0 when the whole file was read, 1 otherwise.
pub fn run() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let name = if words.is_empty() {
        "mfsmetadump".to_owned()
    } else {
        words.remove(0).to_string_lossy().into_owned()
    };
    let (options, path) = match parse(&name, &words) {
        Ok(parsed) => parsed,
        Err(misuse) => {
            if let Some(message) = misuse.message {
                eprintln!("{message}");
            }
            let text = misuse
                .text
                .map_or(String::new(), |text| format!("{text}\n"));
            return say(&format!(
                "{text}usage: {name} [-d] [-s section to dump] metadata.mfs\n{OPTIONS}"
            ));
        }
    };
    match dump_file(&path, &options) {
        Ok(code) => code,
        // Whoever read the text has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("can't write: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says a text on standard output and gives the status of a failure.
fn say(text: &str) -> ExitCode {
    // There is no other place to complain.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::FAILURE
}

fn dump_file(path: &Path, options: &Options) -> io::Result<ExitCode> {
    let Ok(file) = File::open(path) else {
        return Ok(say("can't open metadata file\n"));
    };
    if !file.metadata()?.is_file() || file.metadata()?.len() == 0 {
        return Ok(say("can't read metadata header\n"));
    }
    // SAFETY: nobody shortens a metadata file: masters and metaloggers write a new one and rename it.
    let Ok(bytes) = (unsafe { memmap2::Mmap::map(&file) }) else {
        return Ok(say("can't read metadata header\n"));
    };
    let mut bar = Bar::new("dump", bytes.len() as u64);
    let total = bytes.len();
    let out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    let ended = dump(&bytes, options, out, &mut |left| {
        bar.step(|| ((total - left) as u64, String::new()));
    })?;
    drop(bar);
    Ok(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                eprintln!("{}", failure.message);
            }
            ExitCode::FAILURE
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Misuse, Options, Selection, parse};
    use proto::image::SectionName;
    use std::ffi::OsString;
    use std::path::PathBuf;

    fn parsed(line: &str) -> Result<(Options, PathBuf), Misuse> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse("mfsmetadump", &words)
    }

    #[test]
    fn options_are_those_of_getopt() {
        let node = Some(Selection::Section(SectionName(*b"NODE")));
        for (line, dots, section, file) in [
            ("f", false, None, "f"),
            ("-d f", true, None, "f"),
            ("f -d", true, None, "f"),
            ("-s NODE f", false, node, "f"),
            ("-sNODE f g", false, node, "f"),
            ("-dsNODE f", true, node, "f"),
            ("-s FREE -s HEAD f", false, Some(Selection::Head), "f"),
            ("-- -d", false, None, "-d"),
        ] {
            let options = Options { dots, section };
            assert_eq!(parsed(line), Ok((options, PathBuf::from(file))), "{line}");
        }
        for (line, message) in [
            ("", None),
            ("-d", None),
            ("-x f", Some("mfsmetadump: invalid option -- 'x'")),
            (
                "f -s",
                Some("mfsmetadump: option requires an argument -- 's'"),
            ),
            ("-s NODES f", None),
        ] {
            let misuse = parsed(line).unwrap_err();
            assert_eq!(misuse.message.as_deref(), message, "{line}");
        }
    }
}
