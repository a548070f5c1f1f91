//! The compressed golden data: files by name.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// The files of one version, by path inside the archive.
pub struct Archive {
    files: BTreeMap<String, Vec<u8>>,
}

/// One directory of an archive.
#[derive(Clone, Copy)]
pub struct Phase<'a> {
    pub name: &'a str,
    archive: &'a Archive,
}

impl Archive {
    /// Unpacks the data of a version.
    pub fn open(version: &str) -> Archive {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../metadata/tests/golden")
            .join(format!("{version}.tar.zst"));
        let packed = std::fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let mut tar = Vec::new();
        ruzstd::decoding::StreamingDecoder::new(&packed[..])
            .unwrap()
            .read_to_end(&mut tar)
            .unwrap();
        Archive { files: untar(&tar) }
    }

    /// Its phases, in order.
    pub fn phases(&self) -> Vec<Phase<'_>> {
        let mut names: Vec<_> = self
            .files
            .keys()
            .filter_map(|path| Some(path.split_once('/')?.0))
            .collect();
        names.dedup();
        let phase = |name| Phase {
            name,
            archive: self,
        };
        names.into_iter().map(phase).collect()
    }

    /// The phase of a name.
    pub fn phase<'a>(&'a self, name: &'a str) -> Phase<'a> {
        Phase {
            name,
            archive: self,
        }
    }

    /// Every metadata file.
    pub fn images(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(path, data)| (path.as_str(), data.as_slice()))
            .filter(|(path, data)| {
                path.ends_with(".mfs") && data.starts_with(b"MFSM") && data.len() > 8
            })
    }

    /// Every changelog line with the file it is in.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .filter(|(path, _)| path.contains("/changelog."))
            .flat_map(|(path, data)| lines(data).map(move |line| (path.as_str(), line)))
    }
}

impl<'a> Phase<'a> {
    /// A file of the phase.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let data = self.archive.files.get(&format!("{}/{name}", self.name))?;
        Some(data.as_slice())
    }

    /// A file that the phase must have.
    #[track_caller]
    pub fn file(&self, name: &str) -> &'a [u8] {
        self.get(name)
            .unwrap_or_else(|| panic!("{}/{name} is missing", self.name))
    }

    /// The lines of its changelogs, oldest first.
    pub fn lines(&self) -> Vec<&'a [u8]> {
        (0..100)
            .rev()
            .filter_map(|number| self.get(&format!("changelog.{number}.mfs")))
            .flat_map(lines)
            .collect()
    }
}

fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
}

fn untar(mut tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
    const BLOCK: usize = 512;
    let mut files = BTreeMap::new();
    while let Some((header, rest)) = tar.split_at_checked(BLOCK) {
        let text = |range: std::ops::Range<usize>| {
            let field = header[range].split(|&byte| byte == 0).next().unwrap();
            std::str::from_utf8(field).unwrap().trim()
        };
        let name = text(0..100);
        if name.is_empty() {
            break;
        }
        let size = usize::from_str_radix(text(124..136), 8).unwrap();
        files.insert(name.to_owned(), rest[..size].to_vec());
        tar = &rest[size.next_multiple_of(BLOCK)..];
    }
    files
}
