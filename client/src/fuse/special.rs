//! Files that exist only in a mount (client-behaviour §4.1).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use proto::{Attr, Inode, NodeKind};
use rustix::io::Errno;

use super::adapter::Adapter;
use super::kernel::{EntryOut, Header};
use super::oplog::Reader as LogReader;
use crate::error::{Error, Result};
use crate::session::Session;
use crate::tool_link::MasterInfo;

/// The root directory.
pub(super) const ROOT: Inode = Inode(1);
/// How long names and attributes are believed.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3600);
/// First of the numbers that the master never gives.
const FIRST: u32 = 0x7fff_fff0;

/// A file of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpecialFile {
    pub(super) name: &'static [u8],
    pub(super) inode: Inode,
    mode: u16,
    size: u64,
}

impl SpecialFile {
    pub(super) fn attr(&self) -> Attr {
        Attr {
            flags: 0,
            kind: NodeKind::File,
            mode: self.mode,
            uid: 0,
            gid: 0,
            atime: 0,
            mtime: 0,
            ctime: 0,
            nlink: 1,
            length: self.size,
            winattr: 0,
        }
    }
}

const fn file(name: &'static [u8], inode: u32, mode: u16, size: u64) -> SpecialFile {
    SpecialFile {
        name,
        inode: Inode(inode),
        mode,
        size,
    }
}

/// For the tools; it is found in every directory.
pub(super) const MASTER_INFO: SpecialFile = file(b".masterinfo", 0x7fff_ffff, 0o444, 14);
const STATS: SpecialFile = file(b".stats", 0x7fff_fff0, 0o644, 0);
const OPLOG: SpecialFile = file(b".oplog", 0x7fff_fff1, 0o400, 0);
const OPHISTORY: SpecialFile = file(b".ophistory", 0x7fff_fff2, 0o400, 0);
const MOOSEART: SpecialFile = file(b".mooseart", 0x7fff_fff3, 0o644, 0);
const RANDOM: SpecialFile = file(b".random", 0x7fff_fff4, 0o444, 0);
const PARAMS: SpecialFile = file(b".params", 0x7fff_fff5, 0o400, 0);

const FILES: [&SpecialFile; 7] = [
    &MASTER_INFO,
    &STATS,
    &OPLOG,
    &OPHISTORY,
    &MOOSEART,
    &RANDOM,
    &PARAMS,
];

/// The file of this name in the root.
pub(super) fn find(name: &[u8]) -> Option<&'static SpecialFile> {
    if name.first() != Some(&b'.') {
        return None;
    }
    FILES.into_iter().find(|file| file.name == name)
}

/// The file of this number.
pub(super) fn of_inode(inode: Inode) -> Option<&'static SpecialFile> {
    if inode.0 < FIRST {
        return None;
    }
    FILES.into_iter().find(|file| file.inode == inode)
}

/// What the program around a mount tells about itself.
#[derive(Clone, Debug, Default)]
pub struct Special {
    /// Where tools find the master: the mount's proxy. `None`: the master itself.
    pub proxy: Option<std::net::SocketAddrV4>,
    /// Text of `.params`.
    pub parameters: String,
}

impl Special {
    /// What `.masterinfo` says.
    pub(super) fn master_info(&self, session: &Session) -> MasterInfo {
        let granted = session.granted();
        let unknown = std::net::SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0);
        let address = self.proxy.or(session.master_address()).unwrap_or(unknown);
        MasterInfo {
            address,
            session: granted.session,
            version: granted.version,
        }
    }
}

/// Text of `.mooseart`.
const ART: &[u8] = b"\n  \\_\\_    _/_/\n      \\__/\n      (oo)\\_______\n      (__)\\       )\\/\\\n          ||----w |\n          ||     ||\n\n  ten million files, and every one in its place\n";

/// An open file of ours.
#[derive(Debug)]
pub(super) struct SpecialHandle {
    file: &'static SpecialFile,
    content: Bytes,
    log: Option<LogReader>,
    reset: AtomicBool,
}

impl Adapter {
    pub(super) fn special_entry(&self, file: &SpecialFile) -> EntryOut {
        EntryOut {
            inode: file.inode,
            attr: file.attr(),
            entry_timeout: TIMEOUT,
            attr_timeout: TIMEOUT,
        }
    }

    pub(super) fn open_special(
        &self,
        file: &'static SpecialFile,
        header: &Header,
        flags: u32,
    ) -> Result<SpecialHandle> {
        let is_written = flags & libc::O_ACCMODE as u32 != libc::O_RDONLY as u32;
        let is_for_root = [OPLOG.inode, OPHISTORY.inode, PARAMS.inode].contains(&file.inode);
        if is_for_root && header.uid != 0 {
            return Err(Error::Os(Errno::PERM));
        }
        let may_be_written = [STATS.inode, MOOSEART.inode].contains(&file.inode);
        if is_written && !may_be_written {
            return Err(Error::Os(Errno::ACCESS));
        }
        let mut log = None;
        let content: Bytes = match file.inode {
            inode if inode == MASTER_INFO.inode => {
                self.special.master_info(self.session()).encode().into()
            }
            inode if inode == STATS.inode => self.statistics().into(),
            inode if inode == PARAMS.inode => self.special.parameters.clone().into(),
            inode if inode == MOOSEART.inode => Bytes::from_static(ART),
            inode if inode == OPLOG.inode => {
                log = Some(self.oplog.reader(false));
                Bytes::new()
            }
            inode if inode == OPHISTORY.inode => {
                log = Some(self.oplog.reader(true));
                Bytes::new()
            }
            _ => Bytes::new(),
        };
        Ok(SpecialHandle {
            file,
            content,
            log,
            reset: AtomicBool::new(false),
        })
    }

    pub(super) async fn read_special(
        &self,
        handle: &SpecialHandle,
        offset: u64,
        size: u32,
    ) -> Result<Bytes> {
        if handle.file.inode == RANDOM.inode {
            let mut bytes = vec![0; size as usize];
            getrandom::fill(&mut bytes).map_err(|_| Error::Os(Errno::IO))?;
            return Ok(bytes.into());
        }
        if let Some(log) = &handle.log {
            return Ok(log.read(&self.oplog, size as usize).await);
        }
        let length = handle.content.len();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(length);
        let to = from.saturating_add(size as usize).min(length);
        Ok(handle.content.slice(from..to))
    }

    pub(super) fn write_special(&self, handle: &SpecialHandle, _data: &[u8]) -> Result<()> {
        if handle.file.inode == STATS.inode {
            handle.reset.store(true, Ordering::Relaxed);
            return Ok(());
        }
        Err(Error::Os(Errno::ACCESS))
    }

    pub(super) fn close_special(&self, handle: &SpecialHandle) {
        if handle.reset.load(Ordering::Relaxed) {
            self.stats.reset();
        }
    }
}
