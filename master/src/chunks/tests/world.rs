//! A file system, a planner, and chunkservers that are tables.

use crate::chunks::{
    Action, ChunkGrant, ChunkSettings, Chunks, Command, CommandKind, Cx, DiskSpace, Identity,
    LoadReport, OpToken, Presence, Progress, ServerId, TruncateRequest, WriteRequest,
};
use crate::core::Now;
use metadata::storage_class::{ClassChange, LabelExpression, LabelList, LabelMode};
use metadata::{Caller, Event, Namespace, Outbox, Tx};
use proto::chunkserver::ReportedChunk;
use proto::version::Version;
use proto::{ChunkId, ChunkVersion, Inode, Status};
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

pub const GIB: u64 = 1 << 30;
/// Where clients are.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(172, 21, 21, 1);
const START: u32 = 1_700_000_000;

/// A copy as a chunkserver keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimCopy {
    pub version: u32,
    /// Stands for the data.
    pub data: u64,
    pub marked: bool,
}

/// A chunkserver.
#[derive(Clone, Debug)]
pub struct Sim {
    pub ip: Ipv4Addr,
    pub labels: u32,
    pub used: u64,
    pub total: u64,
    /// Number at the planner while connected.
    pub id: Option<ServerId>,
    pub copies: BTreeMap<ChunkId, SimCopy>,
}

/// What a server does with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Carries it out and answers.
    Obey,
    /// Answers this without doing anything.
    Say(Status),
    /// Keeps silent until [`World::release`].
    Hold,
}

/// Rule for orders to one server.
pub type Rule = fn(&Command) -> Answer;

pub struct World {
    pub now: Now,
    pub ns: Namespace,
    pub out: Outbox,
    pub chunks: Chunks,
    pub sims: Vec<Sim>,
    pub rules: BTreeMap<usize, Rule>,
    /// Orders in the order of sending, by number of the simulated server.
    pub sent: Vec<(usize, Command)>,
    pub held: VecDeque<(usize, Command)>,
    pub finished: Vec<(OpToken, Result<ChunkGrant, Status>)>,
    pub woken: Vec<ChunkId>,
    next_token: u64,
    /// Servers of the database that are away.
    pub presence: Presence,
}

/// Settings under which nothing waits for long.
pub fn quick() -> ChunkSettings {
    ChunkSettings {
        loop_min_seconds: 1,
        delay_init_seconds: 0,
        ..ChunkSettings::default()
    }
}

impl World {
    /// A stable master with so many servers of equal size, whose files have `goal` copies.
    pub fn new(servers: usize, goal: u8) -> World {
        let list = LabelList::any(goal).unwrap();
        let labels = vec![0; servers];
        World::with(quick(), &labels, list, list, LabelMode::Standard)
    }

    /// A stable master with a server for each mask of labels.
    pub fn with(
        settings: ChunkSettings,
        labels: &[u32],
        create: LabelList,
        keep: LabelList,
        mode: LabelMode,
    ) -> World {
        let now = Now {
            unix: START,
            unix_micros: u64::from(START) * 1_000_000,
            mono_ms: 0,
        };
        let mut ns = Namespace::new(1, START).unwrap();
        let mut out = Outbox::default();
        let change = ClassChange {
            mode: Some(mode),
            create: Some(create),
            keep: Some(keep),
            archive: Some(keep),
            force: true,
            ..ClassChange::default()
        };
        let mut tx = Tx::new(START, &mut out);
        ns.class_change(&mut tx, &Caller::MASTER, b"2", &change)
            .unwrap();
        out.lines.clear();
        let mut world = World {
            now,
            ns,
            out,
            chunks: Chunks::new(&settings, now, 42),
            sims: Vec::new(),
            rules: BTreeMap::new(),
            sent: Vec::new(),
            held: VecDeque::new(),
            finished: Vec::new(),
            woken: Vec::new(),
            next_token: 1,
            presence: Presence::default(),
        };
        for (place, &labels) in labels.iter().enumerate() {
            let number = u32::try_from(place).unwrap();
            world.sims.push(Sim {
                ip: Ipv4Addr::from(u32::from(Ipv4Addr::new(172, 21, 22, 0)) + number),
                labels,
                used: GIB,
                total: 1000 * GIB,
                id: None,
                copies: BTreeMap::new(),
            });
            world.connect(place);
        }
        world.advance(14_000);
        world
    }

    pub fn cx<R>(&mut self, event: impl FnOnce(&mut Chunks, &mut Cx<'_>) -> R) -> R {
        let mut cx = Cx {
            now: self.now,
            ns: &mut self.ns,
            out: &mut self.out,
        };
        let result = event(&mut self.chunks, &mut cx);
        self.settle();
        result
    }

    /// A server registers with all its copies.
    pub fn connect(&mut self, sim: usize) {
        let known = &self.sims[sim];
        let identity = Identity {
            ip: known.ip,
            port: 9422,
            version: Version::CURRENT,
        };
        let space = DiskSpace {
            used: known.used,
            total: known.total,
            ..DiskSpace::default()
        };
        let labels = known.labels;
        let copies = self.reported(sim);
        let id = self
            .chunks
            .connect(self.now.unix, identity, space, false)
            .unwrap();
        self.sims[sim].id = Some(id);
        self.chunks.set_labels(id, labels);
        self.chunks.set_load(self.now.unix, id, 0, LoadReport::Ok);
        self.cx(|chunks, cx| chunks.register_chunks(cx, id, copies));
        self.chunks.register_end(id);
        self.tell_presence();
    }

    pub fn reported(&self, sim: usize) -> Vec<ReportedChunk> {
        self.sims[sim]
            .copies
            .iter()
            .map(|(&chunk, copy)| ReportedChunk {
                chunk,
                version: ChunkVersion(copy.version),
                marked_for_removal: copy.marked,
            })
            .collect()
    }

    /// The connection of a server breaks; what it was doing is given up.
    pub fn disconnect(&mut self, sim: usize) {
        let id = self.sims[sim].id.take().unwrap();
        self.held.retain(|&(other, _)| other != sim);
        self.tell_presence();
        self.cx(|chunks, cx| chunks.disconnect(cx, id));
    }

    fn tell_presence(&mut self) {
        let absent = self.sims.iter().filter(|sim| sim.id.is_none()).count();
        self.presence.absent = u32::try_from(absent).unwrap();
        self.chunks.set_presence(self.presence);
    }

    pub fn id(&self, sim: usize) -> ServerId {
        self.sims[sim].id.unwrap()
    }

    pub fn sim_of(&self, id: ServerId) -> Option<usize> {
        self.sims.iter().position(|sim| sim.id == Some(id))
    }

    /// Time passes in ticks.
    pub fn advance(&mut self, ms: u64) {
        for _ in 0..ms / 20 {
            self.now.mono_ms += 20;
            self.now.unix_micros += 20_000;
            self.now.unix = u32::try_from(self.now.unix_micros / 1_000_000).unwrap();
            self.cx(|chunks, cx| chunks.tick(cx));
        }
    }

    /// Carries out what the planner decided, and tells it what metadata changes meant.
    pub fn settle(&mut self) {
        loop {
            let actions = std::mem::take(&mut self.chunks.actions);
            let events = std::mem::take(&mut self.out.events);
            if actions.is_empty() && events.is_empty() {
                return;
            }
            for event in events {
                if let Event::ChunkChanged(chunk) = event {
                    let mut cx = Cx {
                        now: self.now,
                        ns: &mut self.ns,
                        out: &mut self.out,
                    };
                    self.chunks.changed(&mut cx, chunk);
                }
            }
            for action in actions {
                match action {
                    Action::Send { server, command } => {
                        if let Some(sim) = self.sim_of(server) {
                            self.sent.push((sim, command));
                            self.receive(sim, command);
                        }
                    }
                    Action::Finished { token, result } => self.finished.push((token, result)),
                    Action::Wake(chunk) => self.woken.push(chunk),
                    Action::ForgetLocations => {}
                }
            }
        }
    }

    /// A chunk that a file needs keeps a good copy on another server when one is to be deleted.
    fn check_deletion(&self, sim: usize, chunk: ChunkId) {
        let Some((_, record)) = self.ns.chunk(chunk) else {
            return;
        };
        let kept = self.sims.iter().enumerate().any(|(other, known)| {
            other != sim
                && known.id.is_some()
                && known
                    .copies
                    .get(&chunk)
                    .is_some_and(|copy| copy.version == record.version.0)
        });
        assert!(
            kept || record.references == 0,
            "the last good copy of chunk {chunk} is to be deleted on server {sim}"
        );
    }

    fn receive(&mut self, sim: usize, command: Command) {
        if let Command::Delete { chunk, .. } = command {
            self.check_deletion(sim, chunk);
        }
        match self
            .rules
            .get(&sim)
            .map_or(Answer::Obey, |rule| rule(&command))
        {
            Answer::Obey => {
                let status = self.obey(sim, &command);
                self.answer(sim, &command, status);
            }
            Answer::Say(status) => self.answer(sim, &command, status),
            Answer::Hold => self.held.push_back((sim, command)),
        }
    }

    /// Held orders are carried out and answered.
    pub fn release(&mut self) {
        while let Some((sim, command)) = self.held.pop_front() {
            let status = self.obey(sim, &command);
            self.answer(sim, &command, status);
            self.settle();
        }
    }

    /// The server's answer reaches the planner (events of it do not, until [`World::settle`]).
    pub fn answer(&mut self, sim: usize, command: &Command, status: Status) {
        let (kind, chunk) = kind_of(command);
        if let Some(id) = self.sims[sim].id {
            let mut cx = Cx {
                now: self.now,
                ns: &mut self.ns,
                out: &mut self.out,
            };
            self.chunks.status(&mut cx, id, kind, chunk, status);
        }
    }

    /// What a real chunkserver would do.
    pub fn obey(&mut self, sim: usize, command: &Command) -> Status {
        let copies = &mut self.sims[sim].copies;
        match *command {
            Command::Create { chunk, version } => {
                if copies.contains_key(&chunk) {
                    return Status::ChunkExist;
                }
                copies.insert(chunk, fresh(version, 0));
            }
            Command::Delete { chunk, version } => match copies.get(&chunk) {
                None => return Status::NoChunk,
                Some(copy) if version.0 != 0 && copy.version != version.0 => {
                    return Status::WrongVersion;
                }
                Some(_) => {
                    copies.remove(&chunk);
                }
            },
            Command::SetVersion {
                chunk,
                version,
                old_version,
            }
            | Command::Truncate {
                chunk,
                version,
                old_version,
                ..
            } => match copies.get_mut(&chunk) {
                None => return Status::NoChunk,
                Some(copy) if copy.version != old_version.0 => return Status::WrongVersion,
                Some(copy) => copy.version = version.0,
            },
            Command::Duplicate {
                chunk,
                version,
                source,
                source_version,
            }
            | Command::DuplicateTruncate {
                chunk,
                version,
                source,
                source_version,
                ..
            } => match copies.get(&source).copied() {
                None => return Status::NoChunk,
                Some(copy) if copy.version != source_version.0 => return Status::WrongVersion,
                Some(copy) => {
                    copies.insert(chunk, fresh(version, copy.data));
                }
            },
            Command::Replicate {
                chunk, version, ip, ..
            } => {
                if copies.contains_key(&chunk) {
                    return Status::ChunkExist;
                }
                let source = self
                    .sims
                    .iter()
                    .find(|other| other.ip == ip && other.id.is_some())
                    .and_then(|other| other.copies.get(&chunk).copied());
                match source {
                    None => return Status::NoChunk,
                    Some(copy) if copy.version != version.0 => return Status::WrongVersion,
                    Some(copy) => {
                        self.sims[sim]
                            .copies
                            .insert(chunk, fresh(version, copy.data));
                    }
                }
            }
        }
        Status::Ok
    }

    /// A new file.
    pub fn file(&mut self, name: &str) -> Inode {
        let mut tx = Tx::new(self.now.unix, &mut self.out);
        let inode = self
            .ns
            .create(
                &mut tx,
                &Caller::MASTER,
                Inode::ROOT,
                name.as_bytes(),
                0o644,
                0,
            )
            .unwrap();
        self.settle();
        inode
    }

    /// A client asks to write the first slot of a file.
    pub fn write(&mut self, inode: Inode) -> (OpToken, Progress) {
        let token = OpToken(self.next_token);
        self.next_token += 1;
        let slot = self.ns.write_check(&Caller::MASTER, inode, 0).unwrap();
        let request = WriteRequest {
            inode,
            index: 0,
            class: slot.class,
            slot: slot.chunk,
            continues: false,
            changes_mtime: false,
            client_ip: CLIENT,
            token,
        };
        let progress = self.cx(|chunks, cx| chunks.write(cx, &request));
        (token, progress)
    }

    /// A write that is granted, at once or by the answers of servers.
    pub fn granted(&mut self, inode: Inode) -> ChunkGrant {
        let (token, progress) = self.write(inode);
        match progress {
            Progress::Granted(grant) => grant,
            Progress::Refused(status) => panic!("refused: {status:?}"),
            Progress::Pending => self.result(token).unwrap().unwrap(),
        }
    }

    /// The result of a pending request, if it has come.
    pub fn result(&self, token: OpToken) -> Option<Result<ChunkGrant, Status>> {
        self.finished
            .iter()
            .find(|(other, _)| *other == token)
            .map(|(_, result)| result.clone())
    }

    /// A written and unlocked file: its inode and chunk.
    pub fn written(&mut self, name: &str) -> (Inode, ChunkId) {
        let inode = self.file(name);
        let grant = self.granted(inode);
        self.write_end(grant.chunk);
        (inode, grant.chunk)
    }

    pub fn write_end(&mut self, chunk: ChunkId) {
        self.cx(|chunks, cx| chunks.write_end(cx, chunk)).unwrap();
    }

    pub fn truncate(&mut self, inode: Inode, length: u32) -> (OpToken, Progress) {
        let token = OpToken(self.next_token);
        self.next_token += 1;
        let slot = self.ns.write_check(&Caller::MASTER, inode, 0).unwrap();
        let request = TruncateRequest {
            inode,
            index: 0,
            slot: slot.chunk,
            length_in_chunk: length,
            token,
        };
        let progress = self.cx(|chunks, cx| chunks.truncate(cx, &request));
        (token, progress)
    }

    /// Servers that have a copy, by their own tables.
    pub fn holders(&self, chunk: ChunkId) -> Vec<usize> {
        (0..self.sims.len())
            .filter(|&sim| self.sims[sim].copies.contains_key(&chunk))
            .collect()
    }

    /// States of the copies as mfsfileinfo shows them, by server.
    pub fn states(&self, chunk: ChunkId) -> Vec<(usize, u8)> {
        let mut states: Vec<(usize, u8)> = self
            .chunks
            .copies(&self.ns, chunk)
            .unwrap()
            .iter()
            .map(|copy| {
                let sim = self
                    .sims
                    .iter()
                    .position(|sim| sim.ip == copy.location.ip)
                    .unwrap();
                (sim, copy.state)
            })
            .collect();
        states.sort_unstable();
        states
    }

    pub fn version(&self, chunk: ChunkId) -> u32 {
        self.ns.chunk(chunk).unwrap().1.version.0
    }

    /// Changelog lines since the last call, without version and time.
    pub fn lines(&mut self) -> Vec<String> {
        let lines = self
            .out
            .lines
            .iter()
            .map(|(_, text)| {
                let text = String::from_utf8(text.to_vec()).unwrap();
                match text.split_once('|') {
                    Some((_, line)) => line.to_owned(),
                    None => text,
                }
            })
            .collect();
        self.out.lines.clear();
        lines
    }

    /// Orders since the last call.
    pub fn orders(&mut self) -> Vec<(usize, Command)> {
        std::mem::take(&mut self.sent)
    }

    pub fn shares(&mut self, source: Inode, name: &str) -> Inode {
        let copy = self.file(name);
        let mut tx = Tx::new(self.now.unix, &mut self.out);
        // A slice is counted by the length of its file.
        self.ns.set_length(&mut tx, source, 100_000, false).unwrap();
        self.ns
            .append_slice(
                &mut tx,
                &Caller::MASTER,
                copy,
                source,
                metadata::file_chunks::Slice::ALL,
            )
            .unwrap();
        self.settle();
        copy
    }
}

fn fresh(version: ChunkVersion, data: u64) -> SimCopy {
    SimCopy {
        version: version.0,
        data,
        marked: false,
    }
}

/// Which answer an order wants, and about which chunk.
pub fn kind_of(command: &Command) -> (CommandKind, ChunkId) {
    match *command {
        Command::Create { chunk, .. } => (CommandKind::Create, chunk),
        Command::Delete { chunk, .. } => (CommandKind::Delete, chunk),
        Command::Duplicate { chunk, .. } => (CommandKind::Duplicate, chunk),
        Command::SetVersion { chunk, .. } => (CommandKind::SetVersion, chunk),
        Command::Replicate { chunk, .. } => (CommandKind::Replicate, chunk),
        Command::Truncate { chunk, .. } => (CommandKind::Truncate, chunk),
        Command::DuplicateTruncate { chunk, .. } => (CommandKind::DuplicateTruncate, chunk),
    }
}

/// A list of label masks.
pub fn labels(masks: &[u32]) -> LabelList {
    let expressions: Vec<LabelExpression> = masks
        .iter()
        .map(|&mask| LabelExpression([mask, 0, 0, 0]))
        .collect();
    LabelList::new(&expressions).unwrap()
}
