//! A small tree, and one line of text for each operation on it.
//!
//! A case is `who operation arguments -> outcome`. Each case meets a fresh tree. The outcome is the
//! name of a status, or `ok` and the changelog lines without time stamps, separated by `;`.
//!
//! `who` is `root`, `owner` (user 1000, groups 1000 and 2000) or `other` (user 3000), followed by
//! restrictions of the session: `root-ro` is read-only, `owner-unlink` lacks UNLINK, and so on.
//! `%XX` in a path is that byte. `@N` instead of a path is inode N.

use metadata::access::{AtimeMode, disable};
use metadata::attributes::SetAttr;
use metadata::caller::SessionRights;
use metadata::create::NewNode;
use metadata::file_chunks::Slice;
use metadata::length::TruncatePlan;
use metadata::{Caller, Namespace, Outbox, Tx};
use proto::{ChunkId, ChunkVersion, Inode, NodeKind, SessionId, Status};

/// Inode of paths that do not exist.
const NOBODY: Inode = Inode(99_999);

pub const NOW: u32 = 1000;

pub struct World {
    pub ns: Namespace,
    pub out: Outbox,
    pub now: u32,
}

/// What makes the tree: mode, owner and attributes of each path.
///
/// Inodes count from 2 in this order.
const TREE: &[(&str, NodeKind, u16, u32, u8)] = &[
    ("/open", NodeKind::Directory, 0o777, 0, 0),
    ("/closed", NodeKind::Directory, 0o755, 0, 0),
    ("/sticky", NodeKind::Directory, 0o1777, 0, 0),
    ("/fixed", NodeKind::Directory, 0o777, 0, 0x80),
    ("/growing", NodeKind::Directory, 0o777, 0, 0x40),
    ("/dark", NodeKind::Directory, 0o600, 0, 0),
    ("/setgid", NodeKind::Directory, 0o2777, 0, 0),
    ("/open/file", NodeKind::File, 0o644, 1000, 0),
    ("/open/root", NodeKind::File, 0o600, 0, 0),
    ("/open/kept", NodeKind::File, 0o666, 1000, 0x20),
    ("/open/fixed", NodeKind::File, 0o666, 1000, 0x80),
    ("/open/growing", NodeKind::File, 0o666, 1000, 0x40),
    ("/open/full", NodeKind::Directory, 0o777, 1000, 0),
    ("/open/full/x", NodeKind::File, 0o644, 1000, 0),
    ("/open/empty", NodeKind::Directory, 0o777, 1000, 0),
    ("/open/other", NodeKind::Directory, 0o755, 0, 0),
    ("/open/fifo", NodeKind::Fifo, 0o666, 1000, 0),
    ("/sticky/root", NodeKind::File, 0o666, 0, 0),
    ("/sticky/own", NodeKind::File, 0o666, 1000, 0),
    ("/open/sugid", NodeKind::File, 0o6775, 1000, 0),
    ("/open/free", NodeKind::File, 0o604, 0, 0x01),
];

fn restriction(word: &str) -> (u8, u32) {
    let denied = match word {
        "ro" => return (SessionRights::READ_ONLY, 0),
        "ignoregid" => return (SessionRights::IGNORE_GID, 0),
        "mapall" => return (SessionRights::MAP_ALL, 0),
        "chown" => disable::CHOWN,
        "chmod" => disable::CHMOD,
        "symlink" => disable::SYMLINK,
        "mkfifo" => disable::MKFIFO,
        "mkdev" => disable::MKDEV,
        "mksock" => disable::MKSOCK,
        "mkdir" => disable::MKDIR,
        "unlink" => disable::UNLINK,
        "rmdir" => disable::RMDIR,
        "rename" => disable::RENAME,
        "move" => disable::MOVE,
        "link" => disable::LINK,
        "create" => disable::CREATE,
        "readdir" => disable::READDIR,
        "write" => disable::WRITE,
        "truncate" => disable::TRUNCATE,
        "setlength" => disable::SET_LENGTH,
        "append" => disable::APPEND_CHUNKS,
        "snapshot" => disable::SNAPSHOT,
        _ => panic!("unknown restriction {word}"),
    };
    (0, denied)
}

fn caller(text: &str) -> Caller<'static> {
    let mut words = text.split('-');
    let (uid, gids): (u32, &[u32]) = match words.next() {
        Some("root" | "meta") => (0, &[0]),
        Some("owner") => (1000, &[1000, 2000]),
        Some("other") => (3000, &[3000]),
        _ => panic!("unknown caller {text}"),
    };
    let mut rights = SessionRights {
        flags: 0,
        ..SessionRights::MASTER
    };
    for word in words {
        let (flags, denied) = restriction(word);
        rights.flags |= flags;
        rights.disables |= denied;
    }
    let root = if text.starts_with("meta") {
        Inode(0)
    } else {
        Inode::ROOT
    };
    Caller {
        session: SessionId(1),
        root,
        uid,
        gids,
        sent_uid: uid,
        sent_gid: gids[0],
        rights,
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [a, b, tail @ ..]) => {
                let hex = [*a, *b];
                let hex = std::str::from_utf8(&hex).expect("hexadecimal digits");
                bytes.push(u8::from_str_radix(hex, 16).expect("hexadecimal digits"));
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

fn octal(text: &str) -> u16 {
    u16::from_str_radix(text, 8).expect("octal number")
}

impl World {
    pub fn new() -> World {
        let mut world = World {
            ns: Namespace::new(3, NOW).expect("memory"),
            out: Outbox::default(),
            now: NOW,
        };
        for (path, kind, mode, uid, _) in TREE {
            let gids = [*uid];
            let who = Caller {
                uid: *uid,
                gids: &gids,
                ..Caller::MASTER
            };
            let new = NewNode {
                kind: *kind,
                mode: *mode,
                umask: 0,
                rdev: 0,
                copy_sgid: false,
            };
            let (parent, name) = world.split(path);
            let (ns, mut tx) = world.tx();
            ns.mknod(&mut tx, &who, parent, &name, new).expect(path);
        }
        for (path, _, _, _, eattr) in TREE {
            let inode = world.inode(path);
            let (ns, mut tx) = world.tx();
            ns.set_eattr(&mut tx, &Caller::MASTER, inode, *eattr, 1)
                .expect(path);
        }
        world.out = Outbox::default();
        world
    }

    pub fn tx(&mut self) -> (&mut Namespace, Tx<'_>) {
        (&mut self.ns, Tx::new(self.now, &mut self.out))
    }

    /// The inode of a path.
    pub fn inode(&self, path: &str) -> Inode {
        if let Some(inode) = path.strip_prefix('@') {
            return Inode(number(inode));
        }
        path.split('/')
            .filter(|part| !part.is_empty())
            .try_fold(Inode::ROOT, |at, part| {
                let found = self.ns.lookup(&Caller::MASTER, at, &unescape(part));
                found.map(|found| found.inode)
            })
            .unwrap_or(NOBODY)
    }

    /// Directory and name of a path.
    fn split(&self, path: &str) -> (Inode, Vec<u8>) {
        let (directory, name) = path.rsplit_once('/').expect("a path has a slash");
        (self.inode(directory), unescape(name))
    }

    /// Runs one operation.
    pub fn run(&mut self, who: &str, words: &[&str]) -> Result<(), Status> {
        let who = &caller(who);
        let at = |index: usize| words.get(index).copied().unwrap_or("/missing argument");
        let inode = self.inode(at(1));
        let atime = AtimeMode::Relative;
        match at(0) {
            "mknod" => {
                let (parent, name) = self.split(at(1));
                let new = NewNode {
                    kind: NodeKind::from_letter(at(2).as_bytes()[0]).expect("kind"),
                    mode: octal(at(3)),
                    umask: octal(at(4)),
                    rdev: if "bc".contains(at(2)) { 261 } else { 0 },
                    copy_sgid: words.contains(&"copysgid"),
                };
                let (ns, mut tx) = self.tx();
                ns.mknod(&mut tx, who, parent, &name, new)?;
            }
            "create" => {
                let (parent, name) = self.split(at(1));
                let (ns, mut tx) = self.tx();
                ns.create(&mut tx, who, parent, &name, 0o644, 0o022)?;
            }
            "symlink" => {
                let (parent, name) = self.split(at(1));
                let target = unescape(at(2));
                let (ns, mut tx) = self.tx();
                ns.symlink(&mut tx, who, parent, &name, &target)?;
            }
            "link" => {
                let (parent, name) = self.split(at(2));
                let (ns, mut tx) = self.tx();
                ns.link(&mut tx, who, inode, parent, &name, 3)?;
            }
            "unlink" => {
                let (parent, name) = self.split(at(1));
                let (ns, mut tx) = self.tx();
                ns.unlink(&mut tx, who, parent, &name)?;
            }
            "rmdir" => {
                let (parent, name) = self.split(at(1));
                let (ns, mut tx) = self.tx();
                ns.rmdir(&mut tx, who, parent, &name)?;
            }
            "rename" => {
                let (parent, name) = self.split(at(1));
                let (new_parent, new_name) = self.split(at(2));
                let (ns, mut tx) = self.tx();
                ns.rename(&mut tx, who, parent, &name, new_parent, &new_name)?;
            }
            "lookup" => {
                let (parent, name) = self.split(at(1));
                self.ns.lookup(who, parent, &name)?;
            }
            "access" => self.ns.access(who, inode, number(at(2)))?,
            "readlink" => {
                let (ns, mut tx) = self.tx();
                ns.readlink(&mut tx, who, inode, atime)?;
            }
            "readdir" => {
                let with_attrs = at(2) == "attrs";
                let (ns, mut tx) = self.tx();
                ns.readdir_open(&mut tx, who, inode, with_attrs, atime)?;
            }
            "setattr" => {
                let set = set_attr(&words[2..]);
                let (ns, mut tx) = self.tx();
                ns.setattr(&mut tx, who, inode, set)?;
            }
            "open" => {
                let old = words.contains(&"old");
                let (ns, mut tx) = self.tx();
                ns.open(&mut tx, who, inode, number(at(2)), old)?;
            }
            "truncate" => {
                let (flags, length) = (number(at(2)), number(at(3)));
                let plan = self.ns.truncate_check(who, inode, flags, length)?;
                let (ns, mut tx) = self.tx();
                match plan {
                    TruncatePlan::NoChange => {}
                    TruncatePlan::SetLength => {
                        ns.set_length(&mut tx, inode, length, flags & 2 == 0)?;
                    }
                    TruncatePlan::Chunk { index, .. } => {
                        let chunk = ns.trunc_chunk(&mut tx, inode, index)?;
                        ns.unlock_chunk(&mut tx, chunk)?;
                        ns.set_length(&mut tx, inode, length, true)?;
                    }
                }
            }
            "write" => {
                let index = number(at(2));
                self.ns.write_check(who, inode, index)?;
                let (ns, mut tx) = self.tx();
                let chunk = ns.write_chunk(&mut tx, inode, index, true, false)?;
                ns.unlock_chunk(&mut tx, chunk)?;
            }
            "writeend" => {
                let length = number(at(2));
                let (ns, mut tx) = self.tx();
                ns.write_end(&mut tx, who, inode, length, false)?;
            }
            "append" => {
                let source = self.inode(at(2));
                let slice = Slice {
                    flags: number(at(3)),
                    from: number(at(4)),
                    to: number(at(5)),
                };
                let (ns, mut tx) = self.tx();
                ns.append_slice(&mut tx, who, inode, source, slice)?;
            }
            "repair" => {
                self.ns.repair_check(who, inode)?;
                let (index, version) = (number(at(2)), ChunkVersion(number(at(3))));
                let (ns, mut tx) = self.tx();
                ns.repair_slot(&mut tx, inode, index, version)?;
            }
            "rollback" => {
                let (previous, chunk) = (ChunkId(number(at(3))), ChunkId(number(at(4))));
                let (ns, mut tx) = self.tx();
                ns.rollback_chunk(&mut tx, inode, number(at(2)), previous, chunk)?;
            }
            "chunkdel" => {
                let (chunk, version) = (ChunkId(number(at(1))), ChunkVersion(number(at(2))));
                let (ns, mut tx) = self.tx();
                ns.chunk_del(&mut tx, chunk, version)?;
            }
            "chunkadd" => {
                let chunk = ChunkId(number(at(1)));
                let (version, locked) = (ChunkVersion(number(at(2))), number(at(3)));
                let (ns, mut tx) = self.tx();
                ns.chunk_add(&mut tx, chunk, version, locked)?;
            }
            "snapshot" => {
                let (parent, name) = self.split(at(2));
                let (ns, mut tx) = self.tx();
                ns.snapshot(&mut tx, who, inode, parent, &name, number(at(3)), 0o022)?;
            }
            "rmsnapshot" => {
                let (parent, name) = self.split(at(1));
                let (ns, mut tx) = self.tx();
                ns.remove_snapshot(&mut tx, who, parent, &name, number(at(2)), 0o022)?;
            }
            "settrashpath" => {
                let path = unescape(at(2));
                let (ns, mut tx) = self.tx();
                ns.set_trash_path(&mut tx, who, inode, &path)?;
            }
            "undel" => {
                let (ns, mut tx) = self.tx();
                ns.undel(&mut tx, who, inode)?;
            }
            "purge" => {
                let (ns, mut tx) = self.tx();
                ns.purge(&mut tx, who, inode)?;
            }
            "close" => {
                let (ns, mut tx) = self.tx();
                ns.release(&mut tx, SessionId(1), inode);
            }
            "later" => self.now += number::<u32>(at(1)),
            "sweep" => {
                for bucket in 0..4096 {
                    let (ns, mut tx) = self.tx();
                    ns.empty_trash(&mut tx, bucket);
                }
                for bucket in 0..256 {
                    let (ns, mut tx) = self.tx();
                    ns.empty_sustained(&mut tx, bucket);
                }
                let (ns, mut tx) = self.tx();
                ns.free_inodes(&mut tx, 86_400);
            }
            word => panic!("unknown operation {word}"),
        }
        Ok(())
    }

    /// The lines so far without time stamps, separated by `;`.
    pub fn take_lines(&mut self) -> String {
        let texts: Vec<String> = self
            .out
            .lines
            .iter()
            .map(|(_, text)| {
                let text = String::from_utf8_lossy(text);
                let (_, operation) = text.split_once('|').expect("a line has a time stamp");
                operation.to_string()
            })
            .collect();
        self.out.lines.clear();
        texts.join(";")
    }
}

fn set_attr(words: &[&str]) -> SetAttr {
    let mut set = SetAttr::default();
    for word in words {
        let (field, value) = word.split_once('=').expect("field=value");
        match field {
            "mask" => set.mask = u8::from_str_radix(value, 16).expect("hexadecimal"),
            "mode" => set.mode = octal(value),
            "uid" => set.uid = number(value),
            "gid" => set.gid = number(value),
            "atime" => set.atime = number(value),
            "mtime" => set.mtime = number(value),
            "winattr" => set.winattr = number(value),
            "sugid" => set.sugid_mode = number(value),
            _ => panic!("unknown field {field}"),
        }
    }
    set
}

/// Runs the cases of a table; `setup` lines (without outcome) go before each.
pub fn check_after(setup: &str, table: &str) {
    let mut wrong = String::new();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (case, expected) = line.split_once("->").expect("a case has an outcome");
        let mut world = World::new();
        for step in setup.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = step.split_whitespace().collect();
            world.run(words[0], &words[1..]).expect(step);
        }
        world.take_lines();
        let words: Vec<&str> = case.split_whitespace().collect();
        let outcome = match world.run(words[0], &words[1..]) {
            Ok(()) => format!("ok {}", world.take_lines()),
            Err(status) => {
                assert!(world.out.lines.is_empty(), "{case}: a refusal wrote a line");
                format!("{status:?}")
            }
        };
        if outcome.trim() != expected.trim() {
            wrong += &format!("\n{case}\n  expected {expected}\n  found     {outcome}");
        }
        let contradictions = world.ns.verify();
        assert!(contradictions.is_empty(), "{case}: {contradictions:?}");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Runs the cases of a table on the tree as it is.
pub fn check(table: &str) {
    check_after("", table);
}
