//! Random operations of every kind on a loaded image, and the lines that they write.

use metadata::access::AtimeMode;
use metadata::acl::{Acl, AclEntry, UNSET};
use metadata::attributes::{AmTime, SetAttr};
use metadata::create::NewNode;
use metadata::file_chunks::Slice;
use metadata::flock::{FlockCommand, FlockRequest, LockOwner};
use metadata::posix_lock::{ByteRange, RangeKind, RangeRequest};
use metadata::quota::{Limits, QuotaRequest};
use metadata::server_table::{ServerAddress, ServerChange};
use metadata::session::SessionParams;
use metadata::storage_class::{ClassChange, ClassRules, LabelExpression, LabelList, LabelMode};
use metadata::{Caller, Namespace, Outbox, Tx};
use proto::{ChunkId, ChunkVersion, ClassId, Inode, NodeKind, SessionId, Status};
use std::net::Ipv4Addr;

const ADMIN: u8 = 8;
/// Locks are about few files, so that they meet each other.
const LOCKED_FILES: usize = 6;

/// Numbers of a seed.
pub struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }
}

/// A namespace under random operations.
pub struct World {
    pub ns: Namespace,
    pub out: Outbox,
    random: Random,
    now: u32,
    inodes: u32,
    files: Vec<Inode>,
}

type Operation = fn(&mut World, &Caller<'_>) -> Result<(), Status>;

/// Each operation as often as it is named.
const OPERATIONS: [Operation; 38] = [
    World::make,
    World::make,
    World::make,
    World::symlink,
    World::link,
    World::unlink,
    World::rmdir,
    World::rename,
    World::rename,
    World::setattr,
    World::times,
    World::length,
    World::write,
    World::write,
    World::write,
    World::cut,
    World::append,
    World::repair,
    World::snapshot,
    World::snapshot,
    World::trash,
    World::upkeep,
    World::open,
    World::close,
    World::flock,
    World::flock,
    World::range,
    World::range,
    World::trash_time,
    World::class_of_files,
    World::extra_attributes,
    World::archive,
    World::attribute,
    World::acl,
    World::quota,
    World::classes,
    World::server,
    World::session,
];

impl World {
    /// A world of an image, whose clock begins at `now`.
    pub fn new(ns: Namespace, seed: u64, now: u32) -> World {
        World {
            files: (1..ns.inode_bound())
                .map(Inode)
                .filter(|&inode| {
                    ns.node(inode)
                        .is_some_and(|node| node.kind == NodeKind::File)
                })
                .collect(),
            inodes: ns.inode_bound(),
            ns,
            out: Outbox::default(),
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            now,
        }
    }

    /// Does that many operations; how many had success.
    pub fn run(&mut self, operations: usize) -> usize {
        let mut done = 0;
        for _ in 0..operations {
            self.now += self.random.below(3) as u32;
            let uid = self.random.pick(&[0, 0, 0, 5, 1001]);
            let gids = [uid, 7];
            let mut who = Caller::MASTER;
            who.session = SessionId(1 + self.random.below(5) as u32);
            (who.uid, who.gids) = (uid, &gids);
            who.rights.flags = if self.random.one_in(3) { 0 } else { ADMIN };
            let operation = self.random.pick(&OPERATIONS);
            done += usize::from(operation(self, &who).is_ok());
            self.out.events.clear();
        }
        done
    }

    fn inode(&mut self) -> Inode {
        match self.random.below(4) {
            0 => Inode::ROOT,
            1 => self.random.pick(&self.files),
            _ => Inode(1 + self.random.below(u64::from(self.inodes) + 60) as u32),
        }
    }

    fn locked(&mut self) -> Inode {
        let few = self.files.len().min(LOCKED_FILES);
        self.random.pick(&self.files[..few])
    }

    fn name(&mut self) -> [u8; 2] {
        [b'n', b'a' + self.random.below(6) as u8]
    }

    fn tx(&mut self) -> (&mut Namespace, Tx<'_>) {
        (&mut self.ns, Tx::new(self.now, &mut self.out))
    }

    fn make(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let kinds = [
            NodeKind::File,
            NodeKind::Directory,
            NodeKind::Directory,
            NodeKind::Fifo,
            NodeKind::BlockDevice,
        ];
        let new = NewNode {
            kind: self.random.pick(&kinds),
            mode: self.random.below(0o10000) as u16,
            umask: 0o22,
            rdev: 0x103,
            copy_sgid: self.random.one_in(2),
        };
        let (parent, name) = (self.inode(), self.name());
        let (ns, mut tx) = self.tx();
        ns.mknod(&mut tx, who, parent, &name, new).map(drop)
    }

    fn symlink(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let (parent, name) = (self.inode(), self.name());
        let (ns, mut tx) = self.tx();
        ns.symlink(&mut tx, who, parent, &name, b"target").map(drop)
    }

    fn link(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let (inode, parent, name) = (self.inode(), self.inode(), self.name());
        let (ns, mut tx) = self.tx();
        ns.link(&mut tx, who, inode, parent, &name, 100).map(drop)
    }

    fn unlink(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let (parent, name) = (self.inode(), self.name());
        let (ns, mut tx) = self.tx();
        ns.unlink(&mut tx, who, parent, &name).map(drop)
    }

    fn rmdir(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let (parent, name) = (self.inode(), self.name());
        let (ns, mut tx) = self.tx();
        ns.rmdir(&mut tx, who, parent, &name).map(drop)
    }

    fn rename(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let (from, name) = (self.inode(), self.name());
        let (to, new_name) = (self.inode(), self.name());
        let (ns, mut tx) = self.tx();
        ns.rename(&mut tx, who, from, &name, to, &new_name)
            .map(drop)
    }

    fn setattr(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let set = SetAttr {
            mask: self.random.below(256) as u8,
            mode: self.random.below(0o10000) as u16,
            uid: self.random.pick(&[0, 5, 1001]),
            gid: self.random.pick(&[0, 5, 7]),
            atime: self.random.below(1 << 31) as u32,
            mtime: self.random.below(1 << 31) as u32,
            winattr: self.random.below(256) as u8,
            sugid_mode: self.random.below(6) as u8,
        };
        let inode = self.inode();
        let (ns, mut tx) = self.tx();
        ns.setattr(&mut tx, who, inode, set)
    }

    fn times(&mut self, _: &Caller<'_>) -> Result<(), Status> {
        let entry = AmTime {
            inode: self.inode(),
            atime: self.now - self.random.below(100) as u32,
            mtime: self.now - self.random.below(100) as u32,
        };
        let (ns, mut tx) = self.tx();
        ns.am_time(&mut tx, std::iter::once(entry), AtimeMode::Always);
        Ok(())
    }

    fn length(&mut self, _: &Caller<'_>) -> Result<(), Status> {
        let inode = self.inode();
        let length = self.random.below(5 << 26);
        let changes_mtime = self.random.one_in(2);
        let (ns, mut tx) = self.tx();
        ns.set_length(&mut tx, inode, length, changes_mtime)
            .map(drop)
    }

    fn write(&mut self, _: &Caller<'_>) -> Result<(), Status> {
        let (inode, index) = (self.inode(), self.random.below(4) as u32);
        let raises_version = self.random.one_in(2);
        let fails = self.random.one_in(4);
        let (ns, mut tx) = self.tx();
        let previous = ns.file_chunk(inode, index);
        let chunk = ns.write_chunk(
            &mut tx,
            inode,
            index,
            raises_version,
            index.is_multiple_of(2),
        )?;
        if fails {
            return ns.rollback_chunk(&mut tx, inode, index, previous, chunk);
        }
        ns.unlock_chunk(&mut tx, chunk)
    }

    fn cut(&mut self, _: &Caller<'_>) -> Result<(), Status> {
        let (inode, index) = (self.inode(), self.random.below(4) as u32);
        let (ns, mut tx) = self.tx();
        let chunk = ns.trunc_chunk(&mut tx, inode, index)?;
        ns.unlock_chunk(&mut tx, chunk)
    }

    fn append(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let (target, source) = (self.inode(), self.inode());
        let slice = Slice {
            flags: self.random.below(4) as u8,
            from: self.random.below(3) as u32,
            to: self.random.pick(&[0, 1, 2, 0x8000_0000]),
        };
        let (ns, mut tx) = self.tx();
        ns.append_slice(&mut tx, who, target, source, slice)
            .map(drop)
    }

    /// Slots lose their chunks; chunks get other versions.
    fn repair(&mut self, _: &Caller<'_>) -> Result<(), Status> {
        let (inode, index) = (self.inode(), self.random.below(4) as u32);
        let choice = self.random.below(3);
        let (ns, mut tx) = self.tx();
        let chunk = ns.file_chunk(inode, index);
        if chunk == ChunkId::HOLE {
            return Err(Status::NoChunk);
        }
        match choice {
            0 => ns.repair_slot(&mut tx, inode, index, ChunkVersion(0)),
            1 => ns.chunk_set_version(&mut tx, chunk, ChunkVersion(7)),
            _ => ns.set_file_chunk(&mut tx, inode, index, ChunkId::HOLE),
        }
    }

    fn snapshot(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        // 3.0.117 loses the first digit of groups in SNAPSHOT lines.
        let who = Caller { gids: &[0], ..*who };
        let (source, parent, name) = (self.inode(), self.inode(), self.name());
        let smode = self.random.below(16) as u8;
        let removes = self.random.one_in(3);
        if source == Inode::ROOT {
            return Ok(());
        }
        let (ns, mut tx) = self.tx();
        if removes {
            ns.remove_snapshot(&mut tx, &who, parent, &name, smode | 0x80, 0o22)
        } else {
            ns.snapshot(&mut tx, &who, source, parent, &name, smode, 0o22)
        }
    }

    fn trash(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let meta = Caller {
            root: Inode(0),
            ..*who
        };
        let all: Vec<_> = self.ns.trash_list(None).map(|file| file.inode).collect();
        if all.is_empty() {
            return Err(Status::Enoent);
        }
        let (inode, name) = (self.random.pick(&all), self.name());
        let choice = self.random.below(3);
        let (ns, mut tx) = self.tx();
        match choice {
            0 => ns.set_trash_path(&mut tx, &meta, inode, &name),
            1 => ns.undel(&mut tx, &meta, inode),
            _ => ns.purge(&mut tx, &meta, inode),
        }
    }

    fn upkeep(&mut self, _: &Caller<'_>) -> Result<(), Status> {
        let (trash, sustained) = (self.random.below(4096), self.random.below(256));
        self.now += self.random.pick(&[0, 0, 3600]);
        let (ns, mut tx) = self.tx();
        ns.empty_trash(&mut tx, trash as u32);
        ns.empty_sustained(&mut tx, sustained as u32);
        ns.free_inodes(&mut tx, 300);
        ns.quota_check_all(&mut tx);
        ns.servers_end_maintenance(&mut tx);
        Ok(())
    }

    fn open(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let inode = self.locked();
        let exists = self.ns.session(who.session).is_some() && self.ns.node(inode).is_some();
        let (ns, mut tx) = self.tx();
        if exists && ns.acquire(&mut tx, who.session, inode) {
            Ok(())
        } else {
            Err(Status::Mismatch)
        }
    }

    fn close(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let (inode, skips) = (self.locked(), self.random.below(4));
        let (ns, mut tx) = self.tx();
        if skips == 0 && ns.release(&mut tx, who.session, inode) {
            Ok(())
        } else {
            Err(Status::Mismatch)
        }
    }

    fn owner(&mut self, who: &Caller<'_>) -> LockOwner {
        LockOwner {
            session: who.session,
            owner: 1 + self.random.below(3),
        }
    }

    fn flock(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let command = self.random.below(7) as u8;
        let request = FlockRequest {
            inode: self.locked(),
            owner: self.owner(who),
            reqid: 1,
            msgid: 1,
            command: FlockCommand::from_number(command).ok_or(Status::Einval)?,
        };
        let (ns, mut tx) = self.tx();
        ns.flock(&mut tx, &request);
        Ok(())
    }

    fn range(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let start = self.random.below(50);
        let request = RangeRequest {
            inode: self.locked(),
            owner: self.owner(who),
            reqid: 1,
            msgid: 1,
            pid: 77,
            range: ByteRange {
                start,
                end: start + 1 + self.random.below(50),
            },
            kind: RangeKind::from_number(self.random.below(3) as u8),
            wait: self.random.one_in(2),
        };
        let (ns, mut tx) = self.tx();
        ns.posix_lock(&mut tx, &request);
        Ok(())
    }

    /// Mostly for single inodes: trees would soon be all the same.
    fn smode(&mut self) -> u8 {
        let deep = if self.random.one_in(10) { 4 } else { 0 };
        self.random.below(4) as u8 | deep
    }

    fn trash_time(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let (inode, smode) = (self.inode(), self.smode());
        let seconds = self.random.pick(&[0, 1, 3600, 7200, 100_000, u32::MAX]);
        let (ns, mut tx) = self.tx();
        ns.set_trashtime(&mut tx, who, inode, seconds, smode)
            .map(drop)
    }

    fn class(&mut self) -> ClassId {
        let all: Vec<_> = self.ns.classes().iter().map(|(id, _)| id).collect();
        self.random.pick(&all)
    }

    fn class_of_files(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let (inode, smode) = (self.inode(), self.smode());
        let (source, class) = (self.class(), self.class());
        let (ns, mut tx) = self.tx();
        ns.set_sclass(&mut tx, who, inode, source, class, smode)
            .map(drop)
    }

    fn extra_attributes(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let (inode, smode) = (self.inode(), self.smode());
        let protecting = if self.random.one_in(6) { 0xE0 } else { 0 };
        let eattr = self.random.below(256) as u8 & (0x1F | protecting);
        let (ns, mut tx) = self.tx();
        ns.set_eattr(&mut tx, who, inode, eattr, smode).map(drop)
    }

    fn archive(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let (inode, archived) = (self.inode(), self.random.one_in(2));
        let (ns, mut tx) = self.tx();
        ns.set_archive(&mut tx, who, inode, archived).map(drop)
    }

    fn attribute(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let (inode, name) = (self.inode(), self.name());
        let value = vec![self.random.below(256) as u8; self.random.below(30) as usize];
        let mode = self.random.below(4) as u8;
        let (ns, mut tx) = self.tx();
        ns.setxattr(&mut tx, who, inode, &name, &value, mode, false)
    }

    fn acl(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let words = [0; 4].map(|_: u16| self.random.pick(&[UNSET, 0, 4, 5, 6, 7]));
        let removes = self.random.one_in(4);
        let named = (!removes && self.random.one_in(2)).then_some(AclEntry {
            id: 1001,
            permission: 5,
        });
        let words = if removes { [UNSET; 4] } else { words };
        let (inode, kind) = (self.inode(), 1 + self.random.below(2) as u8);
        let (ns, mut tx) = self.tx();
        ns.setfacl(&mut tx, who, inode, kind, Acl::new(words, named, None))
    }

    fn limits(&mut self) -> Limits {
        Limits {
            inodes: self.random.below(60) as u32,
            length: self.random.below(1 << 31),
            size: self.random.below(1 << 31),
            real_size: self.random.below(1 << 32),
        }
    }

    fn quota(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let flags = self.random.below(256) as u8;
        let request = if self.random.one_in(2) {
            QuotaRequest::Remove { flags }
        } else {
            QuotaRequest::Set {
                flags,
                grace_seconds: self.random.below(3) as u32,
                soft: self.limits(),
                hard: self.limits(),
            }
        };
        let inode = self.inode();
        let (ns, mut tx) = self.tx();
        ns.quota_control(&mut tx, who, inode, request).map(drop)
    }

    fn labels(&mut self) -> Result<LabelList, Status> {
        let copies = 1 + self.random.below(3) as usize;
        let masks = [0; 3].map(|_: u32| self.random.below(8) as u32);
        let expressions = masks.map(|mask| LabelExpression([mask, 0, 0, 0]));
        LabelList::new(&expressions[..copies]).ok_or(Status::Einval)
    }

    fn classes(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let rules = ClassRules {
            admin_only: self.random.one_in(3),
            mode: LabelMode::from_stored(self.random.below(3) as u8),
            archive_delay_days: self.random.below(3) as u16,
            create: self.labels()?,
            keep: self.labels()?,
            archive: self.labels()?,
        };
        let change = ClassChange {
            keep: Some(rules.keep),
            mode: Some(rules.mode),
            ..ClassChange::default()
        };
        let (name, other) = (self.name(), self.name());
        let choice = self.random.below(5);
        let (ns, mut tx) = self.tx();
        match choice {
            0 => ns.class_create(&mut tx, who, &name, rules).map(drop),
            1 => ns.class_change(&mut tx, who, &name, &change).map(drop),
            2 => ns.class_delete(&mut tx, who, &name),
            3 => ns.class_duplicate(&mut tx, who, &name, &other),
            _ => ns.class_rename(&mut tx, who, &name, &other),
        }
    }

    fn server(&mut self, _: &Caller<'_>) -> Result<(), Status> {
        let address = ServerAddress {
            ip: Ipv4Addr::new(10, 0, 0, self.random.below(5) as u8),
            port: 9422,
        };
        let csid = self.random.below(6) as u16;
        let change = self.random.pick(&[
            ServerChange::Add(csid),
            ServerChange::Remove,
            ServerChange::Move(csid),
            ServerChange::SetId(csid),
            ServerChange::MaintenanceOn(0),
            ServerChange::MaintenanceOn(self.now + 5),
            ServerChange::MaintenanceOff,
            ServerChange::TemporaryMaintenance(self.now + 3),
        ]);
        let (ns, mut tx) = self.tx();
        ns.server_change(&mut tx, address, change)
    }

    fn session(&mut self, who: &Caller<'_>) -> Result<(), Status> {
        let params = SessionParams {
            exports_checksum: self.random.below(1 << 60),
            root: Inode::ROOT,
            flags: 8,
            umask: self.random.below(0o1000) as u16,
            root_uid: 0,
            root_gid: 0,
            map_all_uid: 999,
            map_all_gid: 999,
            min_goal: 1,
            max_goal: 9,
            min_trash_seconds: 0,
            max_trash_seconds: u32::MAX,
            disables: self.random.below(1 << 25) as u32,
            peer: Ipv4Addr::new(10, 0, 1, 1),
            info: self.name()[..].into(),
        };
        let choice = self.random.below(40);
        let id = who.session;
        let (ns, mut tx) = self.tx();
        match choice {
            0..4 => drop(ns.session_add(&mut tx, params)),
            4..8 => return ns.session_change(&mut tx, id, params),
            8..12 => ns.session_disconnected(&mut tx, id),
            12 => return ns.session_del(&mut tx, id),
            _ => {}
        }
        Ok(())
    }
}
