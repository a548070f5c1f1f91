//! A metadata file as text, one line for each record, like `mfsmetadump` of 3.0.117
//! (tools-and-cli §11.2). The file is read from its beginning to its end; nothing is kept.

mod command_line;
mod records;

use proto::Reader;
use proto::image::{CONTAINER_1_5, Damage, ImageHeader, Section, SectionHeader, SectionName};
use std::io::{self, Write};
use std::ops::RangeInclusive;

pub use command_line::{Options, Selection, run};

const SEPARATOR: &str = "# -------------------------------------------------------------------\n";
/// Bytes in a line of a section that nobody knows.
const HEX_LINE_BYTES: usize = 32;

/// Why a dump ended early. What it says on standard output and on standard error.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The last line of the dump.
    pub text: String,
    /// For whoever called.
    pub message: String,
}

/// How a dump ended, or why its text could not be written.
type Ended = io::Result<Result<(), Failure>>;

fn failed(text: impl Into<String>, message: impl Into<String>) -> Ended {
    Ok(Err(Failure {
        text: text.into(),
        message: message.into(),
    }))
}

/// A file being dumped.
struct Dumper<'a, W> {
    reader: Reader<'a>,
    container: u8,
    options: &'a Options,
    out: W,
    /// Called with the number of bytes that are still to be read.
    progress: &'a mut dyn FnMut(usize),
}

/// Writes the text of a metadata file. `progress` is called after each record with the number of
/// bytes that are left.
///
/// # Errors
/// Those of `out`. What is wrong with the file is the inner result.
pub fn dump(
    data: &[u8],
    options: &Options,
    out: impl Write,
    progress: &mut dyn FnMut(usize),
) -> Ended {
    let mut dumper = Dumper {
        reader: Reader::new(data),
        container: 0,
        options,
        out,
        progress,
    };
    let ended = dumper.file(data)?;
    if let Err(failure) = &ended
        && !failure.text.is_empty()
    {
        writeln!(dumper.out, "{}", failure.text)?;
    }
    dumper.out.flush()?;
    Ok(ended)
}

impl<W: Write> Dumper<'_, W> {
    fn file(&mut self, data: &[u8]) -> Ended {
        let shows_head = self.options.shows(Selection::Head);
        let Some(signature) = data.first_chunk::<8>() else {
            return failed("can't read metadata header", "");
        };
        if shows_head {
            self.out.write_all(b"# header: ")?;
            self.out.write_all(signature)?;
            writeln!(self.out, " ({:016X})", u64::from_be_bytes(*signature))?;
        }
        let header = match ImageHeader::decode(&mut self.reader) {
            Ok(Some(header)) => header,
            Ok(None) => return failed("wrong metadata header (old version ?)", ""),
            Err(_) => return failed("", "metadata header: read error"),
        };
        match header {
            ImageHeader::New => {
                if shows_head {
                    writeln!(self.out, "empty file")?;
                }
                return Ok(Ok(()));
            }
            ImageHeader::Old {
                container,
                max_inode,
                version,
                next_session,
            } => {
                self.container = container;
                if shows_head {
                    writeln!(
                        self.out,
                        "# maxnodeid: {max_inode} ; version: {version} ; nextsessionid: {next_session}"
                    )?;
                }
            }
            ImageHeader::Current {
                container,
                version,
                metaid,
            } => {
                self.container = container;
                if shows_head {
                    writeln!(self.out, "# version: {version} ; fileid: 0x{:X}", metaid.0)?;
                }
            }
        }
        if self.options.section == Some(Selection::Head) {
            Ok(Ok(()))
        } else if self.container <= CONTAINER_1_5 {
            self.sections_of_1_5()
        } else {
            self.sections()
        }
    }

    /// Files of 1.5 and 1.6 have four sections without headers, which have to be read one after the
    /// other.
    fn sections_of_1_5(&mut self) -> Ended {
        for section in [
            Section::Nodes,
            Section::Edges,
            Section::Free,
            Section::Chunks,
        ] {
            let shows = self.options.shows(Selection::Section(section.name()));
            if shows {
                self.out.write_all(SEPARATOR.as_bytes())?;
            }
            if let Err(damage) = self.records(section, 0x10, shows)? {
                return failed(
                    format!("error reading metadata ({})", section.name()),
                    complaint(section, damage),
                );
            }
        }
        Ok(Ok(()))
    }

    fn sections(&mut self) -> Ended {
        loop {
            let header = match SectionHeader::decode(&mut self.reader) {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(_) => return failed("can't read section header", ""),
            };
            let shows = self.options.shows(Selection::Section(header.name));
            let length = header.length.map(|length| usize::try_from(length).ok());
            if !shows && let Some(length) = length {
                if length
                    .and_then(|length| self.reader.bytes(length).ok())
                    .is_none()
                {
                    return failed("can't read section header", "");
                }
                continue;
            }
            if shows {
                self.section_header(&header)?;
            }
            let before = self.reader.remaining();
            if let Err(failure) = self.body(&header, shows)? {
                return Ok(Err(failure));
            }
            let read = before - self.reader.remaining();
            if length.is_some_and(|length| length != Some(read)) {
                return failed(
                    "",
                    "some data in this section have not been read - file corrupted",
                );
            }
        }
        if self.options.section.is_none() {
            self.out.write_all(SEPARATOR.as_bytes())?;
            self.out.write_all(b"# MFS END OF FILE MARKER\n")?;
            self.out.write_all(SEPARATOR.as_bytes())?;
        }
        Ok(Ok(()))
    }

    fn section_header(&mut self, header: &SectionHeader) -> io::Result<()> {
        let bytes = header.encode();
        let (name, length) = bytes.split_at(8);
        self.out.write_all(SEPARATOR.as_bytes())?;
        write!(self.out, "# section header: {header} (")?;
        for byte in name {
            write!(self.out, "{byte:02X}")?;
        }
        let length = length
            .iter()
            .fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
        writeln!(self.out, ") ; length: {length}")?;
        writeln!(
            self.out,
            "# section type: {} ; version: 0x{:02X}",
            header.name, header.version
        )
    }

    fn body(&mut self, header: &SectionHeader, shows: bool) -> Ended {
        let Some(section) = Section::from_name(header.name) else {
            return self.unknown(header);
        };
        let result = if header.version > section.version() {
            Err(Damage::Invalid("unsupported format"))
        } else {
            self.records(section, header.version, shows)?
        };
        match result {
            Ok(()) => Ok(Ok(())),
            Err(damage) => failed(
                format!("error reading metadata ({})", header.name),
                complaint(section, damage),
            ),
        }
    }

    /// A section that nobody knows, in hexadecimal.
    fn unknown(&mut self, header: &SectionHeader) -> Ended {
        let length = header
            .length
            .and_then(|length| usize::try_from(length).ok());
        let Some(body) = length.and_then(|length| self.reader.bytes(length).ok()) else {
            return failed("unknown file part", "unknown section: read error");
        };
        writeln!(self.out, "unknown file part")?;
        for line in body.chunks(HEX_LINE_BYTES) {
            for byte in line {
                write!(self.out, "{byte:02X} ")?;
            }
            for _ in line.len()..HEX_LINE_BYTES {
                self.out.write_all(b"   ")?;
            }
            self.out.write_all(b" |")?;
            self.shown(line, b' '..=b'~')?;
            for _ in line.len()..HEX_LINE_BYTES {
                self.out.write_all(b" ")?;
            }
            self.out.write_all(b"|\n")?;
            (self.progress)(self.reader.remaining());
        }
        Ok(Ok(()))
    }

    /// Names are raw bytes; with `-d` those that no terminal likes are dots.
    fn text(&mut self, text: &[u8]) -> io::Result<()> {
        self.shown(text, b' '..=0x7F)
    }

    fn shown(&mut self, text: &[u8], printable: RangeInclusive<u8>) -> io::Result<()> {
        if !self.options.dots {
            return self.out.write_all(text);
        }
        let shown = |byte: &u8| {
            if printable.contains(byte) {
                *byte
            } else {
                b'.'
            }
        };
        let text: Vec<u8> = text.iter().map(shown).collect();
        self.out.write_all(&text)
    }
}

/// What is said about a record that cannot be read.
fn complaint(section: Section, damage: Damage) -> String {
    let title = match section {
        Section::Sessions => "sessions",
        Section::Classes => "labelset",
        Section::Nodes => "node",
        Section::Edges => "edge",
        Section::Free => "free nodes",
        Section::Quotas => "quota",
        Section::Xattrs => "xattr",
        Section::Acls => "posix_acl",
        Section::Open => "open files",
        Section::Flocks => "flock locks",
        Section::PosixLocks => "posix locks",
        Section::Servers => "chunk servers",
        Section::Chunks => "chunks",
    };
    match damage {
        Damage::Truncated => format!("loading {title}: read error"),
        Damage::NodeKind(kind) => format!(
            "loading {title}: unrecognized node type: {}",
            char::from(kind)
        ),
        Damage::Invalid(what) => format!("loading {title}: {what}"),
    }
}

impl Options {
    fn shows(&self, what: Selection) -> bool {
        self.section.is_none_or(|section| section == what)
    }
}

impl From<SectionName> for Selection {
    fn from(name: SectionName) -> Selection {
        if name.0 == *b"HEAD" {
            Selection::Head
        } else {
            Selection::Section(name)
        }
    }
}
