//! What mfschunktool does with one file (tools-and-cli §11.4).

use crate::store::chunk_file::ChunkFile;
use crate::store::crc;
use crate::store::layout::{BLOCK, BLOCKS, EMPTY_CRC, Identity, Layout};
use crate::store::name;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Header errors.
pub const HEADER_ERROR: u8 = 1;
/// Checksum errors.
pub const CRC_ERROR: u8 = 2;
/// Header fixed.
pub const HEADER_FIXED: u8 = 4;
/// Checksums fixed.
pub const CRC_FIXED: u8 = 8;
/// Nothing could be done.
pub const FATAL: u8 = 16;

/// What is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Header and last block only.
    pub fast: bool,
    /// Header from the file name, checksums from the data.
    pub repair: bool,
    /// A file with a wrong name is renamed after its header.
    pub rename: bool,
    /// Checksums of blocks that do not exist are looked at too.
    pub check_missing: bool,
    /// Good files are named.
    pub print_ok: bool,
    /// Form that a good file is brought into.
    pub convert: Option<Layout>,
}

/// What was found and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What is right, or was made so.
    pub lines: Vec<String>,
    /// What is wrong.
    pub errors: Vec<String>,
    /// Bits of the exit code.
    pub code: u8,
}

/// Checks a file, and repairs or converts it if that is wanted.
pub fn check(path: &Path, options: Options) -> Report {
    let mut report = Report::default();
    let mut checked = Checked {
        shown: path.display().to_string(),
        path: path.to_owned(),
        options,
        report: &mut report,
    };
    match checked.run() {
        Ok(()) if checked.report.code == 0 => {
            checked.convert();
            if options.print_ok && checked.report.code == 0 {
                checked.say("OK");
            }
        }
        Ok(()) => {}
        Err(text) => checked.wrong(FATAL, text),
    }
    report
}

struct Checked<'a> {
    /// As it was named; messages keep that name.
    shown: String,
    path: PathBuf,
    options: Options,
    report: &'a mut Report,
}

impl Checked<'_> {
    fn say(&mut self, text: &str) {
        let line = format!("{}: {text}", self.shown);
        self.report.lines.push(line);
    }

    /// What goes to standard error; `code` is 0 when it is no error.
    fn wrong(&mut self, code: u8, text: &str) {
        let line = format!("{}: {text}", self.shown);
        self.report.errors.push(line);
        self.report.code |= code;
    }

    /// The error is what ends the check of the file.
    fn run(&mut self) -> Result<(), &'static str> {
        let file = OpenOptions::new()
            .read(true)
            .write(self.options.repair)
            .open(&self.path)
            .map_err(|_| "error opening file !!!")?;
        let mut head = [0; 20];
        file.read_exact_at(&mut head, 0)
            .map_err(|_| "error reading header !!!")?;
        self.check_name(&file, &head)?;
        let len = file
            .metadata()
            .map_err(|_| "error reading header !!!")?
            .len();
        let (layout, blocks) = Layout::of_size(len).ok_or("wrong file size")?;
        self.check_blocks(&file, layout, usize::from(blocks), &head)
    }

    fn check_name(&mut self, file: &File, head: &[u8]) -> Result<(), &'static str> {
        let found = Identity::decode(head);
        let named = self
            .path
            .file_name()
            .and_then(|name| name::parse(name.as_encoded_bytes()));
        let Some((chunk, version)) = named else {
            if self.options.rename {
                self.wrong(0, "wrong chunk name - try to fix it using header data");
                return self.rename(found.ok_or("wrong chunk header !!!")?);
            }
            self.wrong(HEADER_ERROR, "wrong chunk name format !!! (skip header)");
            return Ok(());
        };
        let wrong = match found {
            None => "wrong chunk header !!!",
            Some(found) if found.chunk != chunk => "wrong chunk number in header !!!",
            Some(found) if found.version != version => "wrong chunk version in header !!!",
            Some(_) => return Ok(()),
        };
        self.wrong(HEADER_ERROR, wrong);
        if self.options.repair {
            file.write_all_at(&Identity { chunk, version }.encode(), 0)
                .map_err(|_| "error writing header !!!")?;
            self.report.code |= HEADER_FIXED;
            self.say("header fixed");
        }
        Ok(())
    }

    fn rename(&mut self, found: Identity) -> Result<(), &'static str> {
        let to = self
            .path
            .with_file_name(name::of(found.chunk, found.version));
        if to.exists() {
            return Err("can't change name: a file with that name exists");
        }
        std::fs::rename(&self.path, &to).map_err(|_| "can't change name")?;
        self.wrong(0, &format!("changed name to: {}", to.display()));
        self.path = to;
        Ok(())
    }

    fn check_blocks(
        &mut self,
        file: &File,
        layout: Layout,
        blocks: usize,
        head: &[u8],
    ) -> Result<(), &'static str> {
        let mut table = vec![0; 4 * BLOCKS];
        file.read_exact_at(&mut table, layout.header_len())
            .map_err(|_| "error reading checksums !!!")?;
        let mut fixed = false;
        let first = if self.options.fast {
            blocks.saturating_sub(1)
        } else {
            0
        };
        let mut data = vec![0; BLOCK];
        for block in first..blocks {
            file.read_exact_at(&mut data, layout.block_offset(block))
                .map_err(|_| "error reading data !!!")?;
            let place = match self.options.fast {
                true => "last block".to_owned(),
                false => format!("block: {block}"),
            };
            fixed |= self.compare(&mut table, block, crc::of(&data), &place);
        }
        let newer = head.get(7) == Some(&b'1');
        if !self.options.fast && (newer || self.options.check_missing) {
            for block in blocks..BLOCKS {
                let stored = entry(&table, block);
                if stored != EMPTY_CRC && stored != 0 {
                    fixed |= self.compare(&mut table, block, EMPTY_CRC, &format!("block: {block}"));
                }
            }
        }
        if fixed {
            file.write_all_at(&table, layout.header_len())
                .map_err(|_| "error writing checksums !!!")?;
            self.report.code |= CRC_FIXED;
            self.say("crc fixed");
        }
        Ok(())
    }

    /// Whether the table was changed.
    fn compare(&mut self, table: &mut [u8], block: usize, found: u32, place: &str) -> bool {
        let stored = entry(table, block);
        if stored == found {
            return false;
        }
        self.wrong(
            CRC_ERROR,
            &format!("crc error ({place} ; header crc: {stored:08X} ; block crc: {found:08X})"),
        );
        if self.options.repair
            && let Some(bytes) = table.get_mut(4 * block..4 * block + 4)
        {
            bytes.copy_from_slice(&found.to_be_bytes());
        }
        self.options.repair
    }

    /// Brings a good file into the wanted form: a new file that takes the place of the old one when
    /// it is complete and on the disk.
    fn convert(&mut self) {
        let Some(layout) = self.options.convert else {
            return;
        };
        match convert(&self.path, layout) {
            Ok(true) => self.say("converted"),
            Ok(false) => {}
            Err(text) => self.wrong(FATAL, &format!("can't convert: {text}")),
        }
    }
}

fn entry(table: &[u8], block: usize) -> u32 {
    table
        .as_chunks::<4>()
        .0
        .get(block)
        .map_or(EMPTY_CRC, |bytes| u32::from_be_bytes(*bytes))
}

/// `false`: it has that form already.
fn convert(path: &Path, layout: Layout) -> Result<bool, String> {
    let io = |error: io::Error| daemon::errno::describe(&error);
    let (chunk, version) = path
        .file_name()
        .and_then(|name| name::parse(name.as_encoded_bytes()))
        .ok_or("wrong name")?;
    let identity = Identity { chunk, version };
    let source = ChunkFile::open(path, identity, false, true).map_err(|fault| fault.to_string())?;
    if source.layout() == layout {
        return Ok(false);
    }
    let beside = path.with_file_name(format!("{}.converting", name::of(chunk, version)));
    let about = std::fs::metadata(path).map_err(io)?;
    let made = ChunkFile::create(&beside, layout, identity)
        .and_then(|mut copy| {
            copy.copy_from(&source, None)?;
            copy.sync()
        })
        .map_err(|fault| fault.to_string())
        .and_then(|()| std::fs::set_permissions(&beside, about.permissions()).map_err(io))
        .and_then(|()| {
            use std::os::unix::fs::MetadataExt;
            std::os::unix::fs::chown(&beside, Some(about.uid()), Some(about.gid())).map_err(io)
        })
        .and_then(|()| std::fs::rename(&beside, path).map_err(io));
    if made.is_err() {
        // The reason of the failure is told; the half-made file is of no use.
        let _ = std::fs::remove_file(&beside);
    }
    made.map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::{Options, check};
    use crate::store::chunk_file::{ChunkFile, Piece};
    use crate::store::crc;
    use crate::store::layout::{BLOCK, Identity, Layout};
    use crate::store::name;
    use proto::{ChunkId, ChunkVersion};
    use std::os::unix::fs::FileExt;

    #[test]
    fn files_are_checked_repaired_and_converted() {
        let folder = std::env::temp_dir().join(format!("chunktool-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let identity = Identity {
            chunk: ChunkId(9),
            version: ChunkVersion(1),
        };
        let path = folder.join(name::of(identity.chunk, identity.version));
        let mut file = ChunkFile::create(&path, Layout::New, identity).unwrap();
        let data = [3; BLOCK];
        let piece = |block| Piece {
            block,
            offset: 0,
            crc: crc::of(&data),
            data: &data,
        };
        file.write(&[piece(0), piece(1)], true).1.unwrap();
        drop(file);

        let ok = Options {
            print_ok: true,
            ..Options::default()
        };
        assert!(check(&path, ok).lines[0].ends_with(": OK"));
        let old = Options {
            convert: Some(Layout::Old),
            ..ok
        };
        assert_eq!(check(&path, old).code, 0);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 5120 + 2 * 65_536);
        assert_eq!(check(&path, ok).code, 0);

        let raw = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        raw.write_all_at(b"rot", 5120 + 70_000).unwrap();
        raw.write_all_at(&[7], 19).unwrap();
        let report = check(&path, ok);
        assert_eq!(report.code, 1 | 2, "{report:?}");
        assert!(report.errors[1].contains("crc error (block: 1 ; header crc: DC6A6315"));
        let repair = Options { repair: true, ..ok };
        assert_eq!(check(&path, repair).code, 1 | 2 | 4 | 8);
        assert_eq!(check(&path, ok).code, 0);

        let wrong = folder.join("wrong.mfs");
        std::fs::rename(&path, &wrong).unwrap();
        assert_eq!(check(&wrong, ok).code, 1);
        let rename = Options { rename: true, ..ok };
        assert_eq!(check(&wrong, rename).code, 0);
        assert_eq!(check(&path, ok).code, 0);
        raw.set_len(100).unwrap();
        assert_eq!(check(&path, ok).code, 16);
        assert_eq!(check(&folder.join("nosuch"), ok).code, 16);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
