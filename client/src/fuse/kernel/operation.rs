//! Requests of the kernel.

use proto::Inode;

use super::abi::{GETATTR_FH, LK_FLOCK, RELEASE_FLOCK_UNLOCK, opcode, setattr_valid};
use super::cursor::{Cursor, Short};

/// What every request starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) opcode: u32,
    pub(crate) unique: u64,
    pub(crate) inode: Inode,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) pid: u32,
}

impl Header {
    pub(super) fn get(cursor: &mut Cursor<'_>) -> Result<Header, Short> {
        let _length = cursor.u32()?;
        let header = Header {
            opcode: cursor.u32()?,
            unique: cursor.u64()?,
            inode: Inode(cursor.u64()? as u32),
            uid: cursor.u32()?,
            gid: cursor.u32()?,
            pid: cursor.u32()?,
        };
        let _extension = cursor.u16()?;
        let _padding = cursor.u16()?;
        Ok(header)
    }
}

/// Values of a SETATTR that count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SetAttr {
    pub(crate) handle: Option<u64>,
    pub(crate) size: Option<u64>,
    pub(crate) mode: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    /// Seconds; `Some(None)`: now.
    pub(crate) atime: Option<Option<u64>>,
    /// Seconds; `Some(None)`: now.
    pub(crate) mtime: Option<Option<u64>>,
}

/// A lock or the question for one. Both ends are inclusive, the last may be the largest i64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LockRange {
    pub(crate) handle: u64,
    pub(crate) owner: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// F_RDLCK, F_WRLCK or F_UNLCK.
    pub(crate) kind: u32,
    pub(crate) pid: u32,
    /// flock, not fcntl.
    pub(crate) is_flock: bool,
}

/// COPY_FILE_RANGE; the source is the request's inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CopyRange {
    pub(crate) from_handle: u64,
    pub(crate) from_offset: u64,
    pub(crate) to_inode: Inode,
    pub(crate) to_handle: u64,
    pub(crate) to_offset: u64,
    pub(crate) length: u64,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    Lookup {
        name: &'a [u8],
    },
    Getattr {
        handle: Option<u64>,
    },
    Setattr(SetAttr),
    Readlink,
    Symlink {
        name: &'a [u8],
        target: &'a [u8],
    },
    Mknod {
        name: &'a [u8],
        mode: u32,
        rdev: u32,
        umask: u32,
    },
    Mkdir {
        name: &'a [u8],
        mode: u32,
        umask: u32,
    },
    Unlink {
        name: &'a [u8],
    },
    Rmdir {
        name: &'a [u8],
    },
    Rename {
        name: &'a [u8],
        new_parent: Inode,
        new_name: &'a [u8],
        flags: u32,
    },
    Link {
        inode: Inode,
        new_name: &'a [u8],
    },
    Open {
        flags: u32,
    },
    Create {
        name: &'a [u8],
        flags: u32,
        mode: u32,
        umask: u32,
    },
    Read {
        handle: u64,
        offset: u64,
        size: u32,
    },
    Write {
        handle: u64,
        offset: u64,
        data: &'a [u8],
    },
    Flush {
        handle: u64,
        owner: u64,
    },
    Release {
        handle: u64,
        flock_owner: Option<u64>,
    },
    Fsync {
        handle: u64,
    },
    Opendir {
        flags: u32,
    },
    Readdir {
        handle: u64,
        offset: u64,
        size: u32,
        plus: bool,
    },
    Releasedir {
        handle: u64,
    },
    Statfs,
    Setxattr {
        name: &'a [u8],
        value: &'a [u8],
        flags: u32,
    },
    Getxattr {
        name: &'a [u8],
        size: u32,
    },
    Listxattr {
        size: u32,
    },
    Removexattr {
        name: &'a [u8],
    },
    Access {
        mask: u32,
    },
    Getlk(LockRange),
    Setlk {
        lock: LockRange,
        wait: bool,
    },
    Interrupt {
        unique: u64,
    },
    Fallocate {
        handle: u64,
        offset: u64,
        length: u64,
        mode: u32,
    },
    Lseek {
        handle: u64,
        offset: u64,
        whence: u32,
    },
    CopyFileRange(CopyRange),
    /// Needs no answer.
    Forget,
    /// The file system is being unmounted.
    Destroy,
    /// Not served.
    Unknown,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub(crate) header: Header,
    pub(crate) operation: Operation<'a>,
}

/// Reads a request. `Err` holds the header where at least that could be read.
pub(crate) fn decode(bytes: &[u8]) -> Result<Request<'_>, Option<Header>> {
    let mut cursor = Cursor::new(bytes);
    let header = Header::get(&mut cursor).map_err(|_| None)?;
    let operation = operation(header.opcode, &mut cursor).map_err(|_| Some(header))?;
    Ok(Request { header, operation })
}

fn operation<'a>(code: u32, cursor: &mut Cursor<'a>) -> Result<Operation<'a>, Short> {
    Ok(match code {
        opcode::LOOKUP => Operation::Lookup {
            name: cursor.text()?,
        },
        opcode::GETATTR => {
            let flags = cursor.u32()?;
            let _padding = cursor.u32()?;
            let handle = cursor.u64()?;
            Operation::Getattr {
                handle: (flags & GETATTR_FH != 0).then_some(handle),
            }
        }
        opcode::SETATTR => Operation::Setattr(setattr(cursor)?),
        opcode::READLINK => Operation::Readlink,
        opcode::SYMLINK => Operation::Symlink {
            name: cursor.text()?,
            target: cursor.text()?,
        },
        opcode::MKNOD => {
            let (mode, rdev, umask) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
            let _padding = cursor.u32()?;
            let name = cursor.text()?;
            Operation::Mknod {
                name,
                mode,
                rdev,
                umask,
            }
        }
        opcode::MKDIR => {
            let (mode, umask) = (cursor.u32()?, cursor.u32()?);
            let name = cursor.text()?;
            Operation::Mkdir { name, mode, umask }
        }
        opcode::UNLINK => Operation::Unlink {
            name: cursor.text()?,
        },
        opcode::RMDIR => Operation::Rmdir {
            name: cursor.text()?,
        },
        opcode::RENAME | opcode::RENAME2 => {
            let new_parent = Inode(cursor.u64()? as u32);
            let mut flags = 0;
            if code == opcode::RENAME2 {
                flags = cursor.u32()?;
                let _padding = cursor.u32()?;
            }
            Operation::Rename {
                name: cursor.text()?,
                new_parent,
                new_name: cursor.text()?,
                flags,
            }
        }
        opcode::LINK => Operation::Link {
            inode: Inode(cursor.u64()? as u32),
            new_name: cursor.text()?,
        },
        opcode::OPEN => Operation::Open {
            flags: cursor.u32()?,
        },
        opcode::CREATE => {
            let (flags, mode, umask) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
            let _open_flags = cursor.u32()?;
            let name = cursor.text()?;
            Operation::Create {
                name,
                flags,
                mode,
                umask,
            }
        }
        opcode::READ => Operation::Read {
            handle: cursor.u64()?,
            offset: cursor.u64()?,
            size: cursor.u32()?,
        },
        opcode::WRITE => {
            let (handle, offset, size) = (cursor.u64()?, cursor.u64()?, cursor.u32()?);
            // Flags, lock owner, flags of open, padding.
            cursor.bytes(20)?;
            let data = cursor.bytes(size as usize)?;
            Operation::Write {
                handle,
                offset,
                data,
            }
        }
        opcode::STATFS => Operation::Statfs,
        opcode::RELEASE => {
            let handle = cursor.u64()?;
            let (_flags, release, owner) = (cursor.u32()?, cursor.u32()?, cursor.u64()?);
            Operation::Release {
                handle,
                flock_owner: (release & RELEASE_FLOCK_UNLOCK != 0).then_some(owner),
            }
        }
        opcode::FSYNC => Operation::Fsync {
            handle: cursor.u64()?,
        },
        opcode::SETXATTR => {
            let (size, flags) = (cursor.u32()?, cursor.u32()?);
            Operation::Setxattr {
                name: cursor.text()?,
                value: cursor.bytes(size as usize)?,
                flags,
            }
        }
        opcode::GETXATTR => {
            let size = cursor.u32()?;
            let _padding = cursor.u32()?;
            Operation::Getxattr {
                name: cursor.text()?,
                size,
            }
        }
        opcode::LISTXATTR => Operation::Listxattr {
            size: cursor.u32()?,
        },
        opcode::REMOVEXATTR => Operation::Removexattr {
            name: cursor.text()?,
        },
        opcode::FLUSH => {
            let handle = cursor.u64()?;
            let _unused = cursor.u64()?;
            Operation::Flush {
                handle,
                owner: cursor.u64()?,
            }
        }
        opcode::OPENDIR => Operation::Opendir {
            flags: cursor.u32()?,
        },
        opcode::READDIR | opcode::READDIRPLUS => Operation::Readdir {
            handle: cursor.u64()?,
            offset: cursor.u64()?,
            size: cursor.u32()?,
            plus: code == opcode::READDIRPLUS,
        },
        opcode::RELEASEDIR => Operation::Releasedir {
            handle: cursor.u64()?,
        },
        opcode::GETLK => Operation::Getlk(lock(cursor)?),
        opcode::SETLK | opcode::SETLKW => Operation::Setlk {
            lock: lock(cursor)?,
            wait: code == opcode::SETLKW,
        },
        opcode::ACCESS => Operation::Access {
            mask: cursor.u32()?,
        },
        opcode::INTERRUPT => Operation::Interrupt {
            unique: cursor.u64()?,
        },
        opcode::FALLOCATE => Operation::Fallocate {
            handle: cursor.u64()?,
            offset: cursor.u64()?,
            length: cursor.u64()?,
            mode: cursor.u32()?,
        },
        opcode::LSEEK => Operation::Lseek {
            handle: cursor.u64()?,
            offset: cursor.u64()?,
            whence: cursor.u32()?,
        },
        opcode::COPY_FILE_RANGE => Operation::CopyFileRange(CopyRange {
            from_handle: cursor.u64()?,
            from_offset: cursor.u64()?,
            to_inode: Inode(cursor.u64()? as u32),
            to_handle: cursor.u64()?,
            to_offset: cursor.u64()?,
            length: cursor.u64()?,
        }),
        opcode::FORGET | opcode::BATCH_FORGET => Operation::Forget,
        opcode::DESTROY => Operation::Destroy,
        // FSYNCDIR among them: the kernel takes "not implemented" as success.
        _ => Operation::Unknown,
    })
}

fn setattr(cursor: &mut Cursor<'_>) -> Result<SetAttr, Short> {
    let valid = cursor.u32()?;
    let _padding = cursor.u32()?;
    let handle = cursor.u64()?;
    let size = cursor.u64()?;
    let _lock_owner = cursor.u64()?;
    let (atime, mtime, _ctime) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
    // Nanoseconds of the three times.
    cursor.bytes(12)?;
    let mode = cursor.u32()?;
    let _unused = cursor.u32()?;
    let (uid, gid) = (cursor.u32()?, cursor.u32()?);
    let has = |flag: u32| valid & flag != 0;
    let time =
        |given: u32, now: u32, seconds: u64| has(given).then(|| (!has(now)).then_some(seconds));
    Ok(SetAttr {
        handle: has(setattr_valid::FH).then_some(handle),
        size: has(setattr_valid::SIZE).then_some(size),
        mode: has(setattr_valid::MODE).then_some(mode),
        uid: has(setattr_valid::UID).then_some(uid),
        gid: has(setattr_valid::GID).then_some(gid),
        atime: time(setattr_valid::ATIME, setattr_valid::ATIME_NOW, atime),
        mtime: time(setattr_valid::MTIME, setattr_valid::MTIME_NOW, mtime),
    })
}

fn lock(cursor: &mut Cursor<'_>) -> Result<LockRange, Short> {
    let (handle, owner) = (cursor.u64()?, cursor.u64()?);
    let (start, end) = (cursor.u64()?, cursor.u64()?);
    let (kind, pid, flags) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    Ok(LockRange {
        handle,
        owner,
        start,
        end,
        kind,
        pid,
        is_flock: flags & LK_FLOCK != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(code: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&((40 + body.len()) as u32).to_ne_bytes());
        bytes.extend_from_slice(&code.to_ne_bytes());
        bytes.extend_from_slice(&7_u64.to_ne_bytes());
        bytes.extend_from_slice(&5_u64.to_ne_bytes());
        for word in [1000_u32, 100, 4242, 0] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn requests_are_read_field_by_field() {
        let mut rename = 9_u64.to_ne_bytes().to_vec();
        rename.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
        rename.extend_from_slice(b"old\0new\0");
        let mut release = 3_u64.to_ne_bytes().to_vec();
        release.extend_from_slice(&[0, 0, 0, 0, 2, 0, 0, 0]);
        release.extend_from_slice(&8_u64.to_ne_bytes());
        for (code, body, expected) in [
            (1, b"name\0".to_vec(), Operation::Lookup { name: b"name" }),
            (
                45,
                rename,
                Operation::Rename {
                    name: b"old",
                    new_parent: Inode(9),
                    new_name: b"new",
                    flags: 1_u32.to_le(),
                },
            ),
            (
                18,
                release,
                Operation::Release {
                    handle: 3,
                    flock_owner: Some(8),
                },
            ),
            (42, vec![], Operation::Forget),
            (4000, vec![], Operation::Unknown),
        ] {
            let bytes = packet(code, &body);
            let request = decode(&bytes).unwrap();
            assert_eq!(request.operation, expected);
            assert_eq!(request.header.inode, Inode(5));
            assert_eq!(request.header.pid, 4242);
        }
    }

    #[test]
    fn short_requests_are_refused() {
        assert_eq!(decode(&[1, 2, 3]), Err(None));
        let bytes = packet(1, b"no end");
        assert_eq!(
            decode(&bytes).map_err(|header| header.map(|header| header.unique)),
            Err(Some(7))
        );
        let bytes = packet(opcode::WRITE, &[0; 40]);
        assert!(decode(&bytes).is_ok());
        let mut body = [0; 40];
        body[16] = 1;
        let bytes = packet(opcode::WRITE, &body);
        assert!(decode(&bytes).is_err());
    }
}
