//! Reading a metadata file into a namespace: order, versions and endings of sections
//! (metadata-and-changelog §1.3, §1.8); what the sections hold is read by the modules below.

mod ahead;
mod edges;
mod newer;
mod nodes;
mod tables;
mod whole;

use super::problem::{LoadError, Place, Problem, Repair, Source};
use crate::Namespace;
use crate::older::Older;
use proto::image::{
    CONTAINER_1_5, CONTAINER_1_6, CONTAINER_2_0, Damage, Decoded, EOF_MARKER, ImageHeader, Section,
    SectionHeader, SectionName,
};
use proto::{Malformed, Reader};

/// How a file is loaded.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions<'a> {
    /// The master's clock, seconds since 1970.
    pub now: u32,
    /// `-i`: what can be repaired is repaired and listed.
    pub ignore: bool,
    /// Random: see [`Namespace::empty`].
    pub seed: u64,
    /// Grace period of quotas that have none stored, seconds (QUOTA_DEFAULT_GRACE_PERIOD).
    pub quota_grace_seconds: u32,
    /// Content of `sessions.mfs` beside a file of 1.6.
    pub sessions: Option<&'a [u8]>,
}

impl Default for LoadOptions<'_> {
    fn default() -> Self {
        LoadOptions {
            now: 0,
            ignore: false,
            seed: 0,
            quota_grace_seconds: 7 * 24 * 3600,
            sessions: None,
        }
    }
}

/// Findings that are listed one by one; the others are counted.
const REPAIRS_MAX: usize = 1000;

/// A loaded file.
#[derive(Debug)]
pub struct Loaded {
    /// The state.
    pub namespace: Namespace,
    /// What had to be changed, in the order of the file; notes among them. The first thousand.
    pub repairs: Vec<Repair>,
    /// How many more there were.
    pub more_repairs: u64,
    /// The directory entries have no positions, or not ascending ones: the master has to give new
    /// ones before it serves (RENUMERATEEDGES).
    pub must_renumerate: bool,
    /// Written by a version before 2.0: the changelogs behind it have the form of 1.6, which
    /// [`Namespace::replay`] expects until the edges are numbered anew.
    pub is_old: bool,
}

/// Loads a file.
///
/// # Errors
/// [`LoadError`] says where and what, and whether [`LoadOptions::ignore`] would help.
pub fn load(data: &[u8], options: &LoadOptions<'_>) -> Result<Loaded, LoadError> {
    let mut loader = Loader::new(data, options);
    match loader.file() {
        Ok(is_old) => Ok(Loaded {
            namespace: loader.namespace,
            repairs: loader.repairs,
            more_repairs: loader.more_repairs,
            must_renumerate: loader.edges.unordered,
            is_old,
        }),
        Err(problem) => Err(LoadError {
            place: loader.place(),
            problem,
        }),
    }
}

type Outcome<T> = std::result::Result<T, Problem>;

impl From<Damage> for Problem {
    fn from(damage: Damage) -> Problem {
        Problem::Damaged(damage)
    }
}

impl From<Malformed> for Problem {
    fn from(_: Malformed) -> Problem {
        Problem::Damaged(Damage::Truncated)
    }
}

/// A file being loaded.
struct Loader<'a> {
    namespace: Namespace,
    options: LoadOptions<'a>,
    repairs: Vec<Repair>,
    more_repairs: u64,
    source: Source,
    data: &'a [u8],
    reader: Reader<'a>,
    /// Bytes left at the beginning of the record that is read; `None` when it is not about a record.
    record: Option<usize>,
    container: u8,
    /// The section being read.
    section: Option<Section>,
    edges: edges::EdgesSeen,
    ahead: ahead::Ahead,
    /// Place of each chunk by its number, when the chunks were read first.
    places: Vec<u32>,
    /// Bytes left behind the section of chunks when it has been read before its turn.
    chunks_read: Option<usize>,
    /// Highest inode number that the file says was ever used.
    stated_max_inode: Option<u32>,
    /// What a file of 4.x loses.
    lost: Vec<String>,
}

impl<'a> Loader<'a> {
    fn new(data: &'a [u8], options: &LoadOptions<'a>) -> Self {
        Loader {
            namespace: Namespace::empty(options.seed),
            options: *options,
            repairs: Vec::new(),
            more_repairs: 0,
            source: Source::Metadata,
            data,
            reader: Reader::new(data),
            record: Some(data.len()),
            container: CONTAINER_2_0,
            section: None,
            edges: edges::EdgesSeen::default(),
            ahead: ahead::Ahead::default(),
            places: Vec::new(),
            chunks_read: None,
            stated_max_inode: None,
            lost: Vec::new(),
        }
    }

    fn place(&self) -> Place {
        let length = match self.source {
            Source::Metadata => self.data.len(),
            Source::Sessions => self.options.sessions.unwrap_or_default().len(),
        };
        Place {
            source: self.source,
            section: self.section,
            offset: self
                .record
                .map(|remaining| length.saturating_sub(remaining) as u64),
        }
    }

    /// A record begins here.
    #[inline]
    fn begin_record(&mut self) {
        self.record = Some(self.reader.remaining());
    }

    /// The next record of a section; `None` at its end.
    #[inline]
    fn next<T>(
        &mut self,
        decode: impl FnOnce(&mut Reader<'a>) -> Decoded<T>,
    ) -> Outcome<Option<T>> {
        self.begin_record();
        Ok(decode(&mut self.reader)?)
    }

    /// Something is wrong: it is repaired by the caller (`Ok`), or the file is refused.
    fn problem(&mut self, problem: Problem) -> Outcome<()> {
        if problem.is_note() || self.options.ignore && problem.remedy().is_some() {
            self.report(problem);
            return Ok(());
        }
        Err(problem)
    }

    fn report(&mut self, problem: Problem) {
        if self.repairs.len() < REPAIRS_MAX {
            let place = self.place();
            self.repairs.push(Repair { place, problem });
        } else {
            self.more_repairs += 1;
        }
    }

    /// Reads everything; whether the file is older than 2.0.
    fn file(&mut self) -> Outcome<bool> {
        let header = ImageHeader::decode(&mut self.reader);
        let Some(header) = header.map_err(|_| Problem::NotMetadata)? else {
            return Err(Problem::NotMetadata);
        };
        let is_old = match header {
            ImageHeader::New => {
                self.namespace = Namespace::new(self.options.seed, self.options.now)
                    .map_err(|_| Problem::OutOfMemory)?;
                return Ok(false);
            }
            ImageHeader::Old {
                container,
                max_inode,
                version,
                next_session,
            } => {
                self.container = container;
                self.namespace.version = version;
                self.namespace.store.max_inode = max_inode;
                self.namespace.older = Some(Box::new(Older {
                    is_1_6: true,
                    ..Older::default()
                }));
                self.namespace.sessions.set_next_id(next_session);
                self.sessions_file()?;
                true
            }
            ImageHeader::Current {
                container,
                version,
                metaid,
            } => {
                self.container = container;
                (self.namespace.version, self.namespace.metaid) = (version, metaid);
                false
            }
        };
        self.check_ending()?;
        if self.container <= CONTAINER_1_5 {
            let sections = [
                Section::Nodes,
                Section::Edges,
                Section::Free,
                Section::Chunks,
            ];
            for section in sections {
                self.section = Some(section);
                self.body(section, 0x10)?;
            }
            self.section = None;
            self.check_end()?;
        } else {
            self.sections()?;
        }
        (self.section, self.record) = (None, None);
        if !self.lost.is_empty() {
            let lost = std::mem::take(&mut self.lost);
            self.report(Problem::Newer(lost));
        }
        self.complete()?;
        Ok(is_old)
    }

    /// The quick check: a file that was cut is not read at all (§1.8).
    fn check_ending(&self) -> Outcome<()> {
        let ending = self.data.last_chunk::<16>();
        let expected = if self.container >= CONTAINER_1_6 {
            EOF_MARKER
        } else {
            [0; 16]
        };
        if ending == Some(&expected) {
            Ok(())
        } else {
            Err(Problem::WrongEnding)
        }
    }

    /// Finds the chunks by the lengths of the sections before them, and reads them: what refers to
    /// them comes earlier in the file. A file without lengths is read in its own order.
    fn chunks_first(&mut self) -> Outcome<()> {
        let start = self.reader;
        while let Ok(Some(header)) = SectionHeader::decode(&mut self.reader) {
            let Some(length) = header.length else {
                break;
            };
            if header.name == Section::Chunks.name() && header.version <= Section::Chunks.version()
            {
                self.section = Some(Section::Chunks);
                self.chunks_in_bulk(header.version, length)?;
                self.chunks_read = Some(self.reader.remaining());
                break;
            }
            let bytes = usize::try_from(length).unwrap_or(usize::MAX);
            if self.reader.bytes(bytes).is_err() {
                break;
            }
            if header.name == Section::Edges.name() {
                self.ahead.edge_bytes = length;
            }
        }
        self.reader = start;
        Ok(())
    }

    /// Nothing may follow the end.
    fn check_end(&mut self) -> Outcome<()> {
        self.begin_record();
        match self.reader.remaining() {
            0 => Ok(()),
            bytes => self.problem(Problem::DataBehindEnd(bytes as u64)),
        }
    }

    fn sections(&mut self) -> Outcome<()> {
        self.chunks_first()?;
        loop {
            self.section = None;
            self.begin_record();
            let Some(header) = SectionHeader::decode(&mut self.reader)? else {
                return self.check_end();
            };
            self.section = Section::from_name(header.name);
            let before = self.reader.remaining() as u64;
            match self.section {
                Some(section) if header.version <= section.version() => {
                    self.body(section, header.version)?;
                }
                Some(section) => self.newer_version(section, header)?,
                None => self.unknown_section(header)?,
            }
            let read = before - self.reader.remaining() as u64;
            if let Some(length) = header.length
                && read != length
            {
                self.problem(Problem::NotAllRead)?;
                // The length says where the next section begins.
                let start = self.data.len() as u64 - before;
                let end = usize::try_from(start.saturating_add(length)).unwrap_or(usize::MAX);
                self.reader = Reader::new(self.data.get(end..).unwrap_or_default());
            }
        }
    }

    fn newer_version(&mut self, section: Section, header: SectionHeader) -> Outcome<()> {
        if !newer::is_known(section, header.version) {
            return Err(Problem::NewerVersion(section));
        }
        self.accept_newer()?;
        self.newer_body(section, header.version)
    }

    /// The first section of 4.x: everything that would be lost is named.
    fn accept_newer(&mut self) -> Outcome<()> {
        if self.options.ignore {
            return Ok(());
        }
        let ignoring = LoadOptions {
            ignore: true,
            ..self.options
        };
        let lost = match load(self.data, &ignoring) {
            Ok(loaded) => loaded
                .repairs
                .into_iter()
                .find_map(|repair| match repair.problem {
                    Problem::Newer(lost) => Some(lost),
                    _ => None,
                }),
            Err(error) => return Err(error.problem),
        };
        Err(Problem::Newer(lost.unwrap_or_default()))
    }

    fn unknown_section(&mut self, header: SectionHeader) -> Outcome<()> {
        if header.name == SectionName(*b"PATT") && header.version <= 0x11 {
            self.accept_newer()?;
            return self.newer_patterns(header.version);
        }
        if header.name == SectionName(*b"LOCK") && self.container < CONTAINER_2_0 {
            return self.skip(header);
        }
        self.problem(Problem::UnknownSection(header))?;
        self.skip(header)
    }

    fn skip(&mut self, header: SectionHeader) -> Outcome<()> {
        let length = header.length.unwrap_or(u64::MAX);
        self.reader
            .bytes(usize::try_from(length).unwrap_or(usize::MAX))?;
        Ok(())
    }

    fn body(&mut self, section: Section, version: u8) -> Outcome<()> {
        match section {
            Section::Sessions => self.sessions(version),
            Section::Classes => self.classes(version),
            Section::Nodes => self.nodes(version),
            Section::Edges => self.edges(version),
            Section::Free => self.free(),
            Section::Quotas => self.quotas(version),
            Section::Xattrs => self.xattrs(),
            Section::Acls => self.acls(version),
            Section::Open => self.open(),
            Section::Flocks => self.flocks(),
            Section::PosixLocks => self.posix_locks(),
            Section::Servers => self.servers(version),
            Section::Chunks => match self.chunks_read.take() {
                Some(remaining) => {
                    let read = self.reader.remaining().saturating_sub(remaining);
                    self.reader.bytes(read)?;
                    Ok(())
                }
                None => self.chunks(version),
            },
        }
    }
}
