//! A disk that crashes and fails wherever a test wants it to.
//!
//! Everything written lies in memory until it is synced. At a crash each unsynced write may be lost,
//! torn at any byte or read as zeros, whatever the order in which it was made; unsynced changes of
//! names survive up to any one of them, in their order, as the journals of Linux file systems have
//! it. A file's own sync does not make its name durable.

use super::disk::{Disk, DiskFile};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The directory as a crash leaves it: contents by name.
pub type Image = BTreeMap<String, Vec<u8>>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Write {
    At(u64, Vec<u8>),
    Length(u64),
}

#[derive(Clone, Debug, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Since the last sync.
    writes: Vec<Write>,
}

#[derive(Clone, Debug)]
enum Naming {
    Made(String, usize),
    Renamed(String, String),
    Removed(String),
}

/// Calls fail for a number of events: writes after half their bytes, with "no space"; syncs with an
/// I/O error, and what was unsynced never reaches the disk unless it is written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failure {
    from: usize,
    count: usize,
}

#[derive(Debug, Default)]
struct State {
    contents: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    namings: Vec<Naming>,
    events: usize,
    failure: Option<Failure>,
    /// What a crash in front of each event leaves, and the random number that chooses.
    crashes: Option<(Vec<Vec<Image>>, u64)>,
}

/// How unsynced writes of a file fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// All are there.
    Kept,
    /// None is.
    Lost,
    /// All but the last, of which so many thousandths are there.
    Torn(usize),
    /// The length is there, the bytes of so many thousandths of it from the front are zeros.
    Zeros(usize),
}

const FATES: [Fate; 8] = [
    Fate::Kept,
    Fate::Lost,
    Fate::Torn(1),
    Fate::Torn(500),
    Fate::Torn(999),
    Fate::Zeros(1000),
    Fate::Zeros(500),
    Fate::Zeros(1),
];

fn apply(bytes: &mut Vec<u8>, write: &Write) {
    match write {
        Write::At(offset, new) => {
            let from = *offset as usize;
            if bytes.len() < from + new.len() {
                bytes.resize(from + new.len(), 0);
            }
            bytes[from..from + new.len()].copy_from_slice(new);
        }
        Write::Length(length) => bytes.resize(*length as usize, 0),
    }
}

impl Content {
    fn after(&self, fate: Fate) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let kept = match fate {
            Fate::Lost => 0,
            Fate::Torn(_) => self.writes.len().saturating_sub(1),
            Fate::Kept | Fate::Zeros(_) => self.writes.len(),
        };
        for write in &self.writes[..kept] {
            apply(&mut bytes, write);
        }
        match (fate, self.writes.last()) {
            (Fate::Torn(part), Some(Write::At(offset, new))) => {
                let bytes_kept = (new.len() * part).div_ceil(1000).min(new.len() - 1);
                let part = Write::At(*offset, new[..bytes_kept].to_vec());
                apply(&mut bytes, &part);
            }
            (Fate::Zeros(part), Some(_)) => {
                let from = self.durable.len().min(bytes.len());
                let zeros = ((bytes.len() - from) * part).div_ceil(1000);
                bytes[from..from + zeros].fill(0);
            }
            _ => {}
        }
        bytes
    }
}

impl State {
    /// Counts an event; whether it works.
    fn event(&mut self) -> bool {
        if let Some((mut crashes, mut random)) = self.crashes.take() {
            crashes.push(self.after_crash(&mut random));
            self.crashes = Some((crashes, random));
        }
        let at = self.events;
        self.events += 1;
        self.failure
            .is_none_or(|failure| !(failure.from..failure.from + failure.count).contains(&at))
    }

    fn after_crash(&self, random: &mut u64) -> Vec<Image> {
        let mut images: Vec<Image> = Vec::new();
        let mut names = self.durable.clone();
        for step in 0..=self.namings.len() {
            if step > 0 {
                change(&mut names, &self.namings[step - 1]);
            }
            for fate in FATES.iter().map(Some).chain([None, None]) {
                let mut image = Image::new();
                for (name, content) in &names {
                    let fate = fate
                        .copied()
                        .unwrap_or_else(|| FATES[below(random, FATES.len())]);
                    image.insert(name.clone(), self.contents[*content].after(fate));
                }
                if !images.contains(&image) {
                    images.push(image);
                }
            }
        }
        images
    }

    fn name(&mut self, naming: Naming) {
        change(&mut self.names, &naming);
        self.namings.push(naming);
    }
}

fn change(names: &mut BTreeMap<String, usize>, naming: &Naming) {
    match naming {
        Naming::Made(name, content) => {
            names.insert(name.clone(), *content);
        }
        Naming::Renamed(from, to) => {
            if let Some(content) = names.remove(from) {
                names.insert(to.clone(), content);
            }
        }
        Naming::Removed(name) => {
            names.remove(name);
        }
    }
}

/// The disk; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

/// One open file.
#[derive(Clone, Debug)]
pub struct SimulatedFile {
    disk: SimulatedDisk,
    content: usize,
}

impl SimulatedDisk {
    /// A disk with durable files.
    pub fn with(image: &Image) -> SimulatedDisk {
        let mut state = State::default();
        for (name, bytes) in image {
            state.durable.insert(name.clone(), state.contents.len());
            state.contents.push(Content {
                now: bytes.clone(),
                durable: bytes.clone(),
                writes: Vec::new(),
            });
        }
        state.names.clone_from(&state.durable);
        SimulatedDisk(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `count` events fail, after `skipped` more that work.
    pub fn fail(&self, skipped: usize, count: usize) {
        let mut state = self.state();
        let from = state.events + skipped;
        state.failure = Some(Failure { from, count });
    }

    /// Notes from now on what a crash in front of each event would leave.
    pub fn note_crashes(&self, seed: u64) {
        self.state().crashes = Some((Vec::new(), seed));
    }

    /// What was noted, for each event.
    pub fn crashes(&self) -> Vec<Vec<Image>> {
        self.state()
            .crashes
            .take()
            .map_or(Vec::new(), |(crashes, _)| crashes)
    }

    /// Events so far: calls that change something or sync.
    pub fn events(&self) -> usize {
        self.state().events
    }

    /// Everything that a crash at this moment may leave: each fate of all unsynced writes together,
    /// and some of each file at random, with each prefix of the changes of names.
    pub fn after_crash(&self, seed: u64) -> Vec<Image> {
        let mut random = seed;
        self.state().after_crash(&mut random)
    }
}

/// A number that looks random, below a bound.
pub fn below(random: &mut u64, bound: usize) -> usize {
    *random = random
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    (*random >> 33) as usize % bound
}

fn missing() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Disk for SimulatedDisk {
    type File = SimulatedFile;
    type Bytes = Vec<u8>;

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        let content = *self.state().names.get(name).ok_or_else(missing)?;
        Ok(SimulatedFile {
            disk: self.clone(),
            content,
        })
    }

    fn create(&self, name: &str) -> io::Result<SimulatedFile> {
        if let Ok(file) = self.open(name) {
            return Ok(file);
        }
        let mut state = self.state();
        if !state.event() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let content = state.contents.len();
        state.contents.push(Content::default());
        state.name(Naming::Made(name.to_owned(), content));
        drop(state);
        self.open(name)
    }

    fn bytes(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.open(name)?;
        Ok(self.state().contents[file.content].now.clone())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        if !state.names.contains_key(from) {
            return Err(missing());
        }
        if !state.event() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.name(Naming::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        if !state.names.contains_key(name) {
            return Err(missing());
        }
        if !state.event() {
            return Err(io::Error::other("I/O error"));
        }
        state.name(Naming::Removed(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.state();
        if !state.event() {
            return Err(io::Error::other("I/O error"));
        }
        state.durable = state.names.clone();
        state.namings.clear();
        Ok(())
    }

    fn shown(&self, name: &str) -> String {
        name.to_owned()
    }
}

impl SimulatedFile {
    fn write(&self, write: Write) -> io::Result<()> {
        let mut state = self.disk.state();
        let works = state.event();
        let content = &mut state.contents[self.content];
        let part = match &write {
            Write::At(offset, bytes) if !works => {
                Write::At(*offset, bytes[..bytes.len() / 2].to_vec())
            }
            _ => write,
        };
        apply(&mut content.now, &part);
        content.writes.push(part);
        if works {
            Ok(())
        } else {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
}

impl DiskFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.state().contents[self.content].now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.disk.state();
        let from = offset as usize;
        let bytes = state.contents[self.content]
            .now
            .get(from..from + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write(Write::At(offset, bytes.to_vec()))
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.write(Write::Length(bytes))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let works = state.event();
        let content = &mut state.contents[self.content];
        if !works {
            // The pages count as clean from now on, with the length that they gave the file.
            content.writes.clear();
            return Err(io::Error::other("I/O error"));
        }
        for write in std::mem::take(&mut content.writes) {
            apply(&mut content.durable, &write);
        }
        Ok(())
    }

    fn write_out(&self, _start: u64, _end: u64) -> io::Result<()> {
        // A hint, which promises nothing.
        Ok(())
    }

    fn again(&self) -> io::Result<SimulatedFile> {
        Ok(self.clone())
    }
}
