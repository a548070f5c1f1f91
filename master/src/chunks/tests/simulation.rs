//! Hundreds of servers, thousands of chunks, random failures.
//!
//! What must hold at every moment: no client is sent to a copy without the last confirmed data, no
//! server has more work than its limits say (and, as in all tests, no deletion of the last good copy
//! is ordered). What must hold in the end: every chunk has as many good copies as its class asks for.

use super::world::{Answer, CLIENT, GIB, SimCopy, World, kind_of, quick};
use crate::chunks::random::Random;
use crate::chunks::{ChunkGrant, ChunkSettings, Command, OpToken, Progress};
use metadata::storage_class::{LabelList, LabelMode};
use proto::{ChunkId, Inode, Status};
use std::collections::{BTreeMap, BTreeSet};

/// Data of a copy that cannot be read.
const SPOILED: u64 = u64::MAX;

/// Size and nature of a run.
struct Plan {
    seed: u64,
    servers: usize,
    files: usize,
    goal: u8,
    steps: u32,
    /// Servers that may be away at a time.
    away_max: usize,
}

/// An order that a server carries out.
struct Running {
    sim: usize,
    command: Command,
    /// The source as it was when a replication began.
    snapshot: Option<SimCopy>,
}

/// A client that holds a lock.
struct Writer {
    inode: Inode,
    grant: ChunkGrant,
    data: u64,
    steps_left: usize,
}

struct Run {
    world: World,
    random: Random,
    plan: Plan,
    files: Vec<Inode>,
    running: Vec<Running>,
    writers: Vec<Writer>,
    /// Who waits for which token, and the data he will write.
    pending: BTreeMap<u64, (Inode, u64)>,
    /// Data that a client was told to be safe.
    confirmed: BTreeMap<ChunkId, u64>,
    /// Chunks whose last write failed halfway: copies may differ until it is repeated.
    uncertain: BTreeSet<ChunkId>,
    /// Chunks on which a server answered an error after which nothing is known of its copy.
    unlucky: BTreeSet<ChunkId>,
    next_data: u64,
}

impl Run {
    fn new(plan: Plan) -> Run {
        let list = LabelList::any(plan.goal).unwrap();
        let labels = vec![0; plan.servers];
        let settings = ChunkSettings {
            loop_min_seconds: 2,
            ..quick()
        };
        let mut world = World::with(settings, &labels, list, list, LabelMode::Standard);
        for sim in 0..plan.servers {
            world.rules.insert(sim, |_| Answer::Hold);
        }
        let files = (0..plan.files)
            .map(|number| world.file(&format!("f{number}")))
            .collect();
        Run {
            random: Random::new(plan.seed),
            world,
            plan,
            files,
            running: Vec::new(),
            writers: Vec::new(),
            pending: BTreeMap::new(),
            confirmed: BTreeMap::new(),
            uncertain: BTreeSet::new(),
            unlucky: BTreeSet::new(),
            next_data: 1,
        }
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.random.below(one_in) == 0
    }

    /// Servers begin what they were told, and end something of what they began.
    fn serve(&mut self, failures: bool) {
        while let Some((sim, command)) = self.world.held.pop_front() {
            let snapshot = match command {
                Command::Replicate { chunk, ip, .. } => self
                    .world
                    .sims
                    .iter()
                    .find(|other| other.ip == ip && other.id.is_some())
                    .and_then(|other| other.copies.get(&chunk).copied()),
                _ => None,
            };
            self.running.push(Running {
                sim,
                command,
                snapshot,
            });
        }
        self.check_limits();
        let count = self.running.len() / 2 + 1;
        for _ in 0..count.min(self.running.len()) {
            let place = self.random.below(self.running.len());
            let job = self.running.swap_remove(place);
            if self.world.sims[job.sim].id.is_none() {
                // Nobody hears the end of it, but it may still happen.
                if self.chance(2) {
                    self.carry_out(&job);
                }
                continue;
            }
            let status = if failures && self.chance(100) {
                Status::NotDone
            } else if failures && self.chance(200) {
                // The order failed somewhere on the way. Half a replica is removed by the server.
                let fetches = matches!(job.command, Command::Replicate { .. });
                if !fetches && self.chance(2) {
                    self.carry_out(&job);
                }
                self.unlucky.insert(kind_of(&job.command).1);
                Status::Io
            } else {
                self.carry_out(&job)
            };
            self.world.answer(job.sim, &job.command, status);
            self.world.settle();
        }
    }

    fn carry_out(&mut self, job: &Running) -> Status {
        match job.command {
            Command::Replicate { chunk, version, .. } => {
                if self.world.sims[job.sim].copies.contains_key(&chunk) {
                    return Status::ChunkExist;
                }
                match job.snapshot {
                    Some(copy) if copy.version == version.0 => {
                        let marked = false;
                        let copy = SimCopy { marked, ..copy };
                        self.world.sims[job.sim].copies.insert(chunk, copy);
                        Status::Ok
                    }
                    Some(_) => Status::WrongVersion,
                    None => Status::NoChunk,
                }
            }
            _ => self.world.obey(job.sim, &job.command),
        }
    }

    fn is_good(&self, sim: usize, chunk: ChunkId) -> bool {
        let version = self
            .world
            .ns
            .chunk(chunk)
            .map(|(_, record)| record.version.0);
        self.world.sims[sim].id.is_some()
            && self.world.sims[sim].copies.get(&chunk).is_some_and(|copy| {
                Some(copy.version) == version && Some(&copy.data) == self.confirmed.get(&chunk)
            })
    }

    fn good_copies(&self, chunk: ChunkId) -> usize {
        (0..self.plan.servers)
            .filter(|&sim| self.is_good(sim, chunk))
            .count()
    }

    /// Nobody has more to do than the limits allow. Orders of servers that went are no measure.
    fn check_limits(&self) {
        let mut into = vec![0u32; self.plan.servers];
        let mut deletions = vec![BTreeSet::new(); self.plan.servers];
        for job in &self.running {
            if self.world.sims[job.sim].id.is_none() {
                continue;
            }
            match job.command {
                Command::Replicate { .. } => into[job.sim] += 1,
                Command::Delete { chunk, .. } => {
                    deletions[job.sim].insert(chunk);
                }
                _ => {}
            }
        }
        // Endangered chunks: 2; fast evening out beside them: up to 4 in all.
        assert!(into.iter().all(|&count| count <= 4), "{into:?}");
        assert!(deletions.iter().all(|list| list.len() <= 30));
    }

    /// A server that reads tell clients of has the data that was confirmed.
    fn check_reads(&mut self) {
        let chunks: Vec<(ChunkId, u64)> = self
            .confirmed
            .iter()
            .map(|(&chunk, &data)| (chunk, data))
            .collect();
        for (chunk, data) in chunks {
            if self.uncertain.contains(&chunk)
                || self
                    .writers
                    .iter()
                    .any(|writer| writer.grant.chunk == chunk)
            {
                continue;
            }
            let now = self.world.now;
            let Ok(found) = self.world.chunks.read(&self.world.ns, now, chunk, CLIENT) else {
                continue;
            };
            for location in found.servers {
                let sim = self.server_at(location.ip);
                let copy = self.world.sims[sim].copies.get(&chunk);
                assert_eq!(
                    copy.map(|copy| (copy.version, copy.data)),
                    Some((found.version.0, data)),
                    "chunk {chunk} on server {sim} (seed {})",
                    self.plan.seed
                );
            }
        }
    }

    fn server_at(&self, ip: std::net::Ipv4Addr) -> usize {
        self.world.sims.iter().position(|sim| sim.ip == ip).unwrap()
    }

    fn start_write(&mut self, inode: Inode) {
        let data = self.next_data;
        self.next_data += 1;
        match self.world.write(inode) {
            (_, Progress::Granted(grant)) => self.hold(inode, grant, data),
            (OpToken(token), Progress::Pending) => {
                self.pending.insert(token, (inode, data));
            }
            (_, Progress::Refused(_)) => {}
        }
    }

    fn hold(&mut self, inode: Inode, grant: ChunkGrant, data: u64) {
        let steps_left = self.random.below(20);
        self.writers.push(Writer {
            inode,
            grant,
            data,
            steps_left,
        });
    }

    /// Clients whose requests were answered, and clients who write.
    fn clients(&mut self) {
        for (OpToken(token), result) in std::mem::take(&mut self.world.finished) {
            let Some((inode, data)) = self.pending.remove(&token) else {
                continue;
            };
            if let Ok(grant) = result {
                self.hold(inode, grant, data);
            }
        }
        let mut waiting = Vec::new();
        for mut writer in std::mem::take(&mut self.writers) {
            if writer.steps_left > 0 {
                writer.steps_left -= 1;
                waiting.push(writer);
                continue;
            }
            self.put_data(&writer);
        }
        self.writers.append(&mut waiting);
    }

    /// Data goes to all servers of the grant; only if all took it the write is confirmed.
    fn put_data(&mut self, writer: &Writer) {
        let chunk = writer.grant.chunk;
        let mut everywhere = !writer.grant.servers.is_empty();
        let mut anywhere = false;
        for location in &writer.grant.servers {
            let sim = self.server_at(location.ip);
            let connected = self.world.sims[sim].id.is_some();
            match self.world.sims[sim].copies.get_mut(&chunk) {
                Some(copy) if connected && copy.version == writer.grant.version.0 => {
                    copy.data = writer.data;
                    anywhere = true;
                }
                _ => everywhere = false,
            }
        }
        if everywhere {
            self.confirmed.insert(chunk, writer.data);
            self.uncertain.remove(&chunk);
        } else if anywhere {
            self.uncertain.insert(chunk);
        }
        self.world.write_end(chunk);
        if !everywhere {
            self.start_write(writer.inode);
        }
    }

    fn away(&self) -> Vec<usize> {
        (0..self.plan.servers)
            .filter(|&sim| self.world.sims[sim].id.is_none())
            .collect()
    }

    fn go_away(&mut self, sim: usize) {
        // Orders under way may still be carried out, but nobody answers.
        for job in std::mem::take(&mut self.running) {
            if job.sim != sim {
                self.running.push(job);
            } else if self.chance(2) {
                self.carry_out(&job);
            }
        }
        self.world.disconnect(sim);
    }

    /// A server registers, and soon finds again what is spoiled on its disks.
    fn come_back(&mut self, sim: usize) {
        self.world.connect(sim);
        let spoiled: Vec<ChunkId> = self.world.sims[sim]
            .copies
            .iter()
            .filter(|(_, copy)| copy.data == SPOILED)
            .map(|(&chunk, _)| chunk)
            .collect();
        let id = self.world.id(sim);
        self.world.cx(|chunks, cx| chunks.damaged(cx, id, spoiled));
    }

    /// One thing that goes wrong or right.
    fn trouble(&mut self) {
        let sim = self.random.below(self.plan.servers);
        match self.random.below(12) {
            0 | 1 if self.away().len() < self.plan.away_max => {
                if self.world.sims[sim].id.is_some() {
                    self.go_away(sim);
                }
            }
            2..=4 => {
                let away = self.away();
                if !away.is_empty() {
                    let sim = away[self.random.below(away.len())];
                    self.come_back(sim);
                }
            }
            5 => self.damage(sim),
            6 => {
                let id = self.world.sims[sim].id;
                let used = self.random.below(999) as u64 * GIB;
                if let Some(id) = id {
                    let mut space = self.world.chunks.server_info(id).unwrap().space;
                    space.used = used;
                    self.world.chunks.set_space(id, space);
                }
            }
            7 => {
                // A pending client goes.
                let token = self.pending.keys().next().copied();
                if let Some(token) = token {
                    self.pending.remove(&token);
                    self.world
                        .cx(|chunks, cx| chunks.cancel(cx, OpToken(token)));
                }
            }
            _ => {
                let inode = self.files[self.random.below(self.files.len())];
                self.start_write(inode);
            }
        }
    }

    /// A disk spoils a copy of which there are others.
    fn damage(&mut self, sim: usize) {
        let Some(id) = self.world.sims[sim].id else {
            return;
        };
        let spoiled = self.world.sims[sim]
            .copies
            .keys()
            .copied()
            .find(|&chunk| self.good_copies(chunk) > 1 && !self.uncertain.contains(&chunk));
        if let Some(chunk) = spoiled
            && !self
                .writers
                .iter()
                .any(|writer| writer.grant.chunk == chunk)
            && !self
                .running
                .iter()
                .any(|job| kind_of(&job.command).1 == chunk)
        {
            self.world.sims[sim].copies.get_mut(&chunk).unwrap().data = SPOILED;
            self.world.cx(|chunks, cx| chunks.damaged(cx, id, [chunk]));
        }
    }

    fn run(mut self) {
        for step in 0..self.plan.steps {
            self.trouble();
            self.world.advance(20 * (1 + self.random.below(50) as u64));
            self.serve(true);
            self.clients();
            if step % 10 == 0 {
                self.check_reads();
            }
        }
        for sim in self.away() {
            self.come_back(sim);
        }
        for _ in 0..3_000 {
            self.world.advance(40);
            self.serve(false);
            self.clients();
        }
        self.check_reads();
        self.check_end();
    }

    fn check_end(&self) {
        let mut missing = 0;
        for &inode in &self.files {
            let chunk = self.world.ns.file_chunk(inode, 0);
            if chunk == ChunkId::HOLE {
                continue;
            }
            let states = self.world.states(chunk);
            if states.iter().all(|&(_, state)| state > 1) {
                assert!(
                    self.unlucky.contains(&chunk),
                    "chunk {chunk} is missing: {states:?} (seed {})",
                    self.plan.seed
                );
                missing += 1;
                continue;
            }
            assert!(
                states.len() == usize::from(self.plan.goal)
                    && states.iter().all(|&(_, state)| state == 0),
                "chunk {chunk}: {states:?} (seed {})",
                self.plan.seed
            );
            assert_eq!(self.world.holders(chunk).len(), states.len());
        }
        assert!(missing * 20 <= self.files.len(), "{missing} chunks missing");
    }
}

#[test]
fn small_clusters_survive_many_failures() {
    for seed in 0..20 {
        Run::new(Plan {
            seed,
            servers: 6,
            files: 20,
            goal: 2,
            steps: 600,
            away_max: 2,
        })
        .run();
    }
}

#[test]
fn three_copies_on_a_few_servers() {
    for seed in 100..108 {
        Run::new(Plan {
            seed,
            servers: 5,
            files: 30,
            goal: 3,
            steps: 600,
            away_max: 2,
        })
        .run();
    }
}

#[test]
fn a_hundred_servers_reach_their_goals() {
    Run::new(Plan {
        seed: 7,
        servers: 100,
        files: 1000,
        goal: 3,
        steps: 1_500,
        away_max: 5,
    })
    .run();
}
