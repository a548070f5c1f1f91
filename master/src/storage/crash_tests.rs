//! Crashes and failures at every call of the storage layer, on a simulated disk: what was acknowledged
//! is there after a start, what was never asked is not.

use super::{LoadOptions, adopt, recover, save_final, write};
use crate::datadir::METADATA;
use crate::datadir::changelog::Changelog;
use crate::datadir::simulated::{Image, SimulatedDisk, below};
use metadata::create::NewNode;
use metadata::{Caller, Digest, Namespace, Outbox, Tx, image};
use proto::{Inode, MetaId, NodeKind};
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::time::{Duration, Instant};

/// Old changelogs and images that are kept.
const KEPT: u32 = 2;
const NOW: u32 = 1_795_000_000;

/// What a master does with its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A batch of two changes is made durable.
    Durable,
    /// A batch is written and not synced.
    Written,
    /// What is written is synced.
    Sync,
    /// The changelogs rotate.
    Rotate,
    /// An image is saved, and a batch is made durable meanwhile.
    Save,
    /// A clean stop and a start.
    Restart,
    /// The process is killed and started again.
    Kill,
}

const STEPS: [Step; 7] = [
    Step::Durable,
    Step::Written,
    Step::Rotate,
    Step::Save,
    Step::Restart,
    Step::Sync,
    Step::Kill,
];

/// A master's storage without the master.
struct World {
    disk: SimulatedDisk,
    ns: Namespace,
    out: Outbox,
    changelog: Changelog<SimulatedDisk>,
    /// Version up to which everything is on stable storage.
    durable: u64,
    /// When that was: events of the disk, version.
    acknowledged: Vec<(usize, u64)>,
    /// Digest of the state at each version.
    history: BTreeMap<u64, Digest>,
}

fn fresh_image() -> Image {
    let mut ns = Namespace::new(1, NOW).unwrap();
    let mut out = Outbox::default();
    ns.set_metaid(&mut Tx::new(NOW, &mut out), MetaId(0x6B03));
    let mut file = io::Cursor::new(Vec::new());
    image::save(&ns.freeze(), NOW, &mut file).unwrap();
    Image::from([(METADATA.to_owned(), file.into_inner())])
}

fn load(disk: &SimulatedDisk) -> Result<super::Found, String> {
    let options = LoadOptions {
        quota_grace_seconds: 60,
        ..LoadOptions::default()
    };
    recover(disk, &[], &options, NOW, 1)
}

impl World {
    /// A master that has been started on what is there.
    fn start(disk: SimulatedDisk) -> Result<World, String> {
        let found = load(&disk)?;
        adopt(&disk, &found.recovery).map_err(|error| error.to_string())?;
        let ns = found.loaded.namespace;
        let durable = ns.version().0;
        let history = BTreeMap::from([(durable, ns.digest())]);
        Ok(World {
            changelog: Changelog::new(disk.clone(), ns.version()),
            acknowledged: vec![(0, durable)],
            disk,
            ns,
            out: Outbox::default(),
            durable,
            history,
        })
    }

    /// Two changes; their lines.
    fn batch(&mut self) -> Vec<u8> {
        self.out.lines.clear();
        for _ in 0..2 {
            let new = NewNode {
                kind: NodeKind::File,
                mode: 0o644,
                umask: 0,
                rdev: 0,
                copy_sgid: false,
            };
            let name = format!("file{}", self.ns.version());
            let mut tx = Tx::new(NOW, &mut self.out);
            self.ns
                .mknod(&mut tx, &Caller::MASTER, Inode::ROOT, name.as_bytes(), new)
                .unwrap();
            self.history.insert(self.ns.version().0, self.ns.digest());
        }
        self.out.lines.bytes().to_vec()
    }

    /// Everything up to a version is on stable storage now.
    fn acknowledge(&mut self, version: u64) {
        self.durable = self.durable.max(version);
        self.acknowledged.push((self.disk.events(), self.durable));
    }

    fn step(&mut self, step: Step) -> io::Result<()> {
        match step {
            Step::Durable => {
                let lines = self.batch();
                self.changelog.append(&lines, true)?;
                self.acknowledge(self.ns.version().0);
            }
            Step::Written => {
                let lines = self.batch();
                self.changelog.append(&lines, false)?;
            }
            Step::Sync => {
                self.changelog.sync()?;
                self.acknowledge(self.ns.version().0);
            }
            Step::Rotate => self.changelog.rotate(KEPT)?,
            Step::Save => {
                let view = self.ns.freeze();
                self.changelog.rotate(KEPT)?;
                let disk = self.disk.clone();
                let saved_at = view.version().0;
                let mut during = Ok(());
                crate::datadir::write::save(&disk, KEPT, |file| {
                    let saved = image::save(&view, NOW, file)?;
                    during = self.step(Step::Durable);
                    Ok(saved)
                })?;
                during?;
                self.acknowledge(saved_at);
            }
            Step::Restart => {
                self.changelog.rotate(KEPT)?;
                self.changelog.sync()?;
                save_final(&self.disk, KEPT, &self.ns.freeze())?;
                self.acknowledge(self.ns.version().0);
                self.start_again()?;
            }
            Step::Kill => {
                self.start_again()?;
                // A start syncs what it has replayed.
                self.acknowledge(self.ns.version().0);
            }
        }
        Ok(())
    }

    fn start_again(&mut self) -> io::Result<()> {
        let before = self.ns.digest();
        let again = World::start(self.disk.clone()).map_err(io::Error::other)?;
        assert_eq!(again.ns.digest(), before, "nothing is lost without a crash");
        self.ns = again.ns;
        self.changelog = again.changelog;
        Ok(())
    }

    fn run(&mut self, steps: &[Step]) -> io::Result<()> {
        steps.iter().try_for_each(|&step| self.step(step))
    }
}

/// What starts on the images that crashes left have found. All worlds make the same changes, so a
/// version is one state, and an image needs one start.
#[derive(Default)]
struct Judge {
    history: BTreeMap<u64, Digest>,
    starts: HashMap<u64, u64>,
}

impl Judge {
    /// Starts on what a crash left: the state is one of the history and has everything durable.
    fn check(&mut self, image: &Image, durable: u64, told: &str) {
        let mut hasher = DefaultHasher::new();
        image.hash(&mut hasher);
        let history = &self.history;
        let start = || {
            let disk = SimulatedDisk::with(image);
            let found = load(&disk);
            let found = found.unwrap_or_else(|error| panic!("{told}: {error}\n{}", shown(image)));
            let ns = &found.loaded.namespace;
            let expected = history.get(&ns.version().0);
            assert_eq!(Some(&ns.digest()), expected, "{told}\n{}", shown(image));
            ns.version().0
        };
        let version = *self.starts.entry(hasher.finish()).or_insert_with(start);
        assert!(
            version >= durable,
            "{told}: {version} was recovered and {durable} acknowledged\n{}",
            shown(image)
        );
    }

    /// Every crash point of a sequence, every outcome of each.
    fn crash_everywhere(&mut self, steps: &[Step], seed: u64) {
        let disk = SimulatedDisk::with(&fresh_image());
        disk.note_crashes(seed);
        let mut world = World::start(disk.clone()).unwrap();
        world.run(steps).unwrap();
        let mut crashes = disk.crashes();
        crashes.push(disk.after_crash(seed));
        self.history.append(&mut world.history);
        let mut random = seed;
        for (event, images) in crashes.iter().enumerate() {
            let before = world.acknowledged.partition_point(|(at, _)| *at <= event);
            let (_, durable) = world.acknowledged[before - 1];
            let told = format!("{steps:?}, crash at call {event}");
            for image in images {
                self.check(image, durable, &told);
                if below(&mut random, 64) == 0 {
                    self.go_on(image, &mut random, &told);
                }
            }
        }
    }

    /// A master goes on where a crash left the disk, and crashes again.
    fn go_on(&mut self, image: &Image, random: &mut u64, told: &str) {
        let disk = SimulatedDisk::with(image);
        disk.note_crashes(*random);
        let mut world = World::start(disk.clone()).unwrap();
        let first = world.durable;
        world.step(Step::Written).unwrap();
        world.step(Step::Durable).unwrap();
        world.step(Step::Written).unwrap();
        self.history.append(&mut world.history);
        let mut crashes = disk.crashes();
        crashes.push(disk.after_crash(*random));
        for _ in 0..4 {
            let event = below(random, crashes.len());
            let before = world.acknowledged.partition_point(|(at, _)| *at <= event);
            // A crash during the start itself may still lose what the start has found.
            let durable = if before > 1 {
                world.acknowledged[before - 1].1
            } else {
                0
            };
            assert!(durable == 0 || durable >= first);
            for image in &crashes[event] {
                self.check(image, durable, &format!("{told}, and again at {event}"));
            }
        }
    }
}

fn shown(image: &Image) -> String {
    image
        .iter()
        .map(|(name, bytes)| match name.starts_with("changelog") {
            true => format!("{name}: {}\n", bytes.escape_ascii()),
            false => format!("{name}: {} bytes\n", bytes.len()),
        })
        .collect()
}

#[test]
fn every_crash_of_every_short_sequence_is_survived() {
    let mut judge = Judge::default();
    let mut seed = 0;
    let mut crash = |steps: &[Step]| {
        seed += 1;
        judge.crash_everywhere(steps, seed);
    };
    for one in STEPS {
        crash(&[one]);
        for two in STEPS {
            crash(&[one, two]);
        }
    }
    // What the others do to the disk is among what the first four do.
    let is_long = std::env::var_os("LAB_LONG").is_some();
    let three = if is_long { &STEPS[..] } else { &STEPS[..4] };
    for (one, two) in three
        .iter()
        .flat_map(|one| three.iter().map(move |two| (one, two)))
    {
        for three in three {
            crash(&[*one, *two, *three]);
        }
    }
    assert!(judge.starts.len() > 1000, "{}", judge.starts.len());
}

#[test]
fn crashes_of_long_sequences_are_survived() {
    let until = Instant::now() + Duration::from_secs(4);
    let mut judge = Judge::default();
    let mut random = 1;
    while Instant::now() < until {
        let length = 4 + below(&mut random, 12);
        let steps: Vec<Step> = (0..length)
            .map(|_| STEPS[below(&mut random, STEPS.len())])
            .collect();
        judge.crash_everywhere(&steps, random);
    }
}

/// While calls fail nothing is acknowledged; when they work again everything is written that was
/// handed over, and a crash afterwards finds it.
#[test]
fn what_a_failing_disk_did_not_take_is_written_when_it_works_again() {
    for count in 1..4 {
        for skipped in 0..14 {
            let disk = SimulatedDisk::with(&fresh_image());
            let mut world = World::start(disk.clone()).unwrap();
            disk.fail(skipped, count);
            for is_durable in [true, true, false, false, true, false] {
                let lines = world.batch();
                while world.changelog.append(&lines, is_durable).is_err() {}
            }
            while world.changelog.sync().is_err() {}
            let mut judge = Judge {
                history: world.history,
                ..Judge::default()
            };
            for image in disk.after_crash(1) {
                let told = format!("{count} failures after {skipped} calls");
                judge.check(&image, world.ns.version().0, &told);
            }
        }
    }
}

/// A save that fails leaves the states that are there, and the next one succeeds.
#[test]
fn a_failed_save_costs_nothing() {
    for skipped in 0..12 {
        let disk = SimulatedDisk::with(&fresh_image());
        let mut world = World::start(disk.clone()).unwrap();
        world
            .run(&[Step::Durable, Step::Save, Step::Durable])
            .unwrap();
        disk.fail(skipped, 1);
        let saved = write(&disk, KEPT, &world.ns.freeze());
        let mut judge = Judge {
            history: world.history,
            ..Judge::default()
        };
        for image in disk.after_crash(1) {
            let told = format!("failure after {skipped} calls");
            judge.check(&image, world.durable, &told);
        }
        let again = write(&disk, KEPT, &world.ns.freeze());
        assert!(saved.is_ok() || again.is_ok(), "{again:?}");
    }
}
