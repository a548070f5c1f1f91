//! Random operations: the namespace against a simple model, and against itself.
//!
//! The model knows what paths exist and what they are, not how that is stored. After the operations
//! the namespace must look like the model, contain no contradiction, and a view frozen in the middle
//! must still show what was there then.

use metadata::create::NewNode;
use metadata::image::{self, LoadOptions};
use metadata::{Caller, Digester, Namespace, Outbox, Tx};
use proptest::prelude::*;
use proto::{ChunkId, ClassId, Inode, NodeKind, SessionId, Status};
use std::collections::BTreeMap;

/// Names are few, so that operations meet each other.
const NAMES: [&[u8]; 4] = [b"a", b"b", b"c", b"a longer name than the others have"];

/// A place in the tree: a directory reached through at most three names, and a name in it.
type Place = (Vec<usize>, usize);

#[derive(Clone, Debug)]
enum Step {
    Make(Place, NodeKind),
    Symlink(Place),
    Link(Place, Place),
    Unlink(Place),
    Rmdir(Place),
    Rename(Place, Place),
    Length(Place, u64),
    Write(Place, u32),
    Trunc(Place, u32),
    Append(Place, Place),
    Freeze,
    Later(u32),
    /// What the model does not know.
    More(More),
}

/// Operations whose outcome is only compared with that of their replay.
#[derive(Clone, Debug)]
enum More {
    Open(Place),
    Close,
    Class(Place, u8),
    TrashTime(Place, u32),
    Snapshot(Place, Place, u8),
    RemoveSnapshot(Place),
    Undelete,
    Purge,
    Rollback(Place),
    Xattr(Place, u8),
}

fn place() -> impl Strategy<Value = Place> {
    (prop::collection::vec(0..NAMES.len(), 0..3), 0..NAMES.len())
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop::sample::select(vec![
        NodeKind::File,
        NodeKind::File,
        NodeKind::Directory,
        NodeKind::Directory,
        NodeKind::Fifo,
        NodeKind::CharDevice,
    ]);
    let length = prop::sample::select(vec![0, 1, 70_000, 1 << 26, (1 << 26) + 1, 1 << 30, 1 << 40]);
    let index = prop::sample::select(vec![0, 0, 1, 2, 70, 9000]);
    prop_oneof![
        6 => (place(), kind).prop_map(|(at, kind)| Step::Make(at, kind)),
        1 => place().prop_map(Step::Symlink),
        2 => (place(), place()).prop_map(|(from, to)| Step::Link(from, to)),
        2 => place().prop_map(Step::Unlink),
        1 => place().prop_map(Step::Rmdir),
        4 => (place(), place()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => (place(), length).prop_map(|(at, length)| Step::Length(at, length)),
        4 => (place(), index).prop_map(|(at, index)| Step::Write(at, index)),
        1 => (place(), 0..3u32).prop_map(|(at, index)| Step::Trunc(at, index)),
        2 => (place(), place()).prop_map(|(from, to)| Step::Append(from, to)),
        1 => Just(Step::Freeze),
        1 => (1..100_000u32).prop_map(Step::Later),
    ]
}

fn more() -> impl Strategy<Value = Step> {
    let smode = prop::sample::select(vec![0, 1, 2, 3, 8, 9]);
    prop_oneof![
        3 => place().prop_map(More::Open),
        1 => Just(More::Close),
        2 => (place(), 1..10u8).prop_map(|(at, class)| More::Class(at, class)),
        2 => (place(), prop::sample::select(vec![0, 3600, 90_000]))
            .prop_map(|(at, seconds)| More::TrashTime(at, seconds)),
        6 => (place(), place(), smode).prop_map(|(from, to, mode)| More::Snapshot(from, to, mode)),
        1 => place().prop_map(More::RemoveSnapshot),
        2 => Just(More::Undelete),
        1 => Just(More::Purge),
        1 => place().prop_map(More::Rollback),
        2 => (place(), 0..4u8).prop_map(|(at, value)| More::Xattr(at, value)),
    ]
    .prop_map(Step::More)
}

/// What the model knows of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Object {
    kind: NodeKind,
    length: u64,
    names: u32,
}

/// Objects by number, and names by directory and name. 0 is the root.
#[derive(Clone, Debug, Default)]
struct Model {
    objects: BTreeMap<usize, Object>,
    names: BTreeMap<(usize, usize), usize>,
    next: usize,
}

const CHUNK: u64 = 1 << 26;

impl Model {
    fn new() -> Model {
        let mut model = Model::default();
        model.add(NodeKind::Directory, 0);
        model
    }

    fn add(&mut self, kind: NodeKind, length: u64) -> usize {
        let object = Object {
            kind,
            length,
            names: 0,
        };
        self.objects.insert(self.next, object);
        self.next += 1;
        self.next - 1
    }

    fn directory(&self, way: &[usize]) -> Result<usize, Status> {
        way.iter().try_fold(0, |at, name| {
            if self.objects[&at].kind != NodeKind::Directory {
                return Err(Status::Enotdir);
            }
            self.names.get(&(at, *name)).copied().ok_or(Status::Enoent)
        })
    }

    fn is_dir(&self, object: usize) -> bool {
        self.objects[&object].kind == NodeKind::Directory
    }

    /// Directory of a place, which must be one.
    fn parent(&self, place: &Place) -> Result<usize, Status> {
        let parent = self.directory(&place.0)?;
        if self.is_dir(parent) {
            Ok(parent)
        } else {
            Err(Status::Enotdir)
        }
    }

    fn find(&self, place: &Place) -> Result<usize, Status> {
        let parent = self.parent(place)?;
        self.names
            .get(&(parent, place.1))
            .copied()
            .ok_or(Status::Enoent)
    }

    fn name(&mut self, parent: usize, name: usize, object: usize) {
        self.names.insert((parent, name), object);
        self.objects.get_mut(&object).expect("object").names += 1;
    }

    fn unname(&mut self, parent: usize, name: usize) {
        let object = self.names.remove(&(parent, name)).expect("name");
        let names = &mut self.objects.get_mut(&object).expect("object").names;
        *names -= 1;
        if *names == 0 {
            self.objects.remove(&object);
        }
    }

    fn is_empty(&self, object: usize) -> bool {
        !self.names.keys().any(|&(parent, _)| parent == object)
    }

    fn is_within(&self, object: usize, above: usize) -> bool {
        let mut at = object;
        loop {
            if at == above {
                return true;
            }
            match self.names.iter().find(|(_, child)| **child == at) {
                Some((&(parent, _), _)) => at = parent,
                None => return false,
            }
        }
    }

    fn make(&mut self, place: &Place, kind: NodeKind, length: u64) -> Result<(), Status> {
        let parent = self.parent(place)?;
        if self.names.contains_key(&(parent, place.1)) {
            return Err(Status::Eexist);
        }
        let object = self.add(kind, length);
        self.name(parent, place.1, object);
        Ok(())
    }

    fn link(&mut self, from: &Place, to: &Place) -> Result<(), Status> {
        let object = self.find(from)?;
        let parent = self.directory(&to.0)?;
        if self.is_dir(object) {
            return Err(Status::Eperm);
        }
        if !self.is_dir(parent) {
            return Err(Status::Enotdir);
        }
        if self.names.contains_key(&(parent, to.1)) {
            return Err(Status::Eexist);
        }
        self.name(parent, to.1, object);
        Ok(())
    }

    fn remove(&mut self, place: &Place, directory: bool) -> Result<(), Status> {
        let object = self.find(place)?;
        match (directory, self.is_dir(object)) {
            (false, true) => return Err(Status::Eperm),
            (true, false) => return Err(Status::Enotdir),
            (true, true) if !self.is_empty(object) => return Err(Status::Enotempty),
            _ => {}
        }
        let parent = self.parent(place)?;
        self.unname(parent, place.1);
        Ok(())
    }

    fn rename(&mut self, from: &Place, to: &Place) -> Result<(), Status> {
        let source = self.directory(&from.0)?;
        let target = self.directory(&to.0)?;
        if !self.is_dir(source) {
            return Err(Status::Enotdir);
        }
        let object = *self.names.get(&(source, from.1)).ok_or(Status::Enoent)?;
        if !self.is_dir(target) {
            return Err(Status::Enotdir);
        }
        if self.is_dir(object) && self.is_within(target, object) {
            return Err(Status::Einval);
        }
        if (source, from.1) == (target, to.1) {
            return Ok(());
        }
        if let Some(&replaced) = self.names.get(&(target, to.1)) {
            if !self.is_empty(replaced) {
                return Err(Status::Enotempty);
            }
            self.unname(target, to.1);
        }
        self.name(target, to.1, object);
        self.unname(source, from.1);
        Ok(())
    }

    fn file(&mut self, place: &Place) -> Result<&mut Object, Status> {
        let object = self.find(place)?;
        let object = self.objects.get_mut(&object).expect("object");
        if object.kind == NodeKind::File {
            Ok(object)
        } else {
            Err(Status::Eperm)
        }
    }
}

/// The namespace, driven by places.
struct Subject {
    ns: Namespace,
    out: Outbox,
    now: u32,
}

const WHO: Caller = Caller::MASTER;
const SESSION: SessionId = SessionId(1);

impl Subject {
    fn tx(&mut self) -> (&mut Namespace, Tx<'_>) {
        (&mut self.ns, Tx::new(self.now, &mut self.out))
    }

    fn directory(&self, way: &[usize]) -> Result<Inode, Status> {
        way.iter().try_fold(Inode::ROOT, |at, name| {
            let found = self.ns.lookup(&WHO, at, NAMES[*name])?;
            Ok(found.inode)
        })
    }

    fn find(&self, place: &Place) -> Result<Inode, Status> {
        let parent = self.directory(&place.0)?;
        Ok(self.ns.lookup(&WHO, parent, NAMES[place.1])?.inode)
    }

    fn run(&mut self, step: &Step) -> Result<(), Status> {
        match step {
            Step::Make(at, kind) => {
                let parent = self.directory(&at.0)?;
                let new = NewNode {
                    kind: *kind,
                    mode: 0o755,
                    umask: 0,
                    rdev: 7,
                    copy_sgid: false,
                };
                let (ns, mut tx) = self.tx();
                ns.mknod(&mut tx, &WHO, parent, NAMES[at.1], new)?;
            }
            Step::Symlink(at) => {
                let parent = self.directory(&at.0)?;
                let (ns, mut tx) = self.tx();
                ns.symlink(&mut tx, &WHO, parent, NAMES[at.1], b"target")?;
            }
            Step::Link(from, to) => {
                let inode = self.find(from)?;
                let parent = self.directory(&to.0)?;
                let (ns, mut tx) = self.tx();
                ns.link(&mut tx, &WHO, inode, parent, NAMES[to.1], 1000)?;
            }
            Step::Unlink(at) => {
                let parent = self.directory(&at.0)?;
                let (ns, mut tx) = self.tx();
                ns.unlink(&mut tx, &WHO, parent, NAMES[at.1])?;
            }
            Step::Rmdir(at) => {
                let parent = self.directory(&at.0)?;
                let (ns, mut tx) = self.tx();
                ns.rmdir(&mut tx, &WHO, parent, NAMES[at.1])?;
            }
            Step::Rename(from, to) => {
                let source = self.directory(&from.0)?;
                let target = self.directory(&to.0)?;
                let (ns, mut tx) = self.tx();
                ns.rename(&mut tx, &WHO, source, NAMES[from.1], target, NAMES[to.1])?;
            }
            Step::Length(at, length) => {
                let inode = self.find(at)?;
                let (ns, mut tx) = self.tx();
                ns.set_length(&mut tx, inode, *length, true)?;
            }
            Step::Write(at, index) => {
                let inode = self.find(at)?;
                let (ns, mut tx) = self.tx();
                ns.write_chunk(&mut tx, inode, *index, true, false)?;
            }
            Step::Trunc(at, index) => {
                let inode = self.find(at)?;
                let (ns, mut tx) = self.tx();
                ns.trunc_chunk(&mut tx, inode, *index)?;
            }
            Step::Append(from, to) => {
                let source = self.find(from)?;
                let target = self.find(to)?;
                let slice = metadata::file_chunks::Slice::ALL;
                let (ns, mut tx) = self.tx();
                ns.append_slice(&mut tx, &WHO, target, source, slice)?;
            }
            Step::Freeze => {}
            Step::Later(seconds) => {
                self.now = self.now.saturating_add(*seconds);
                for bucket in 0..4096 {
                    let (ns, mut tx) = self.tx();
                    ns.empty_trash(&mut tx, bucket);
                }
                let (ns, mut tx) = self.tx();
                ns.free_inodes(&mut tx, 86_400);
            }
            Step::More(more) => self.run_more(more)?,
        }
        Ok(())
    }

    fn run_more(&mut self, more: &More) -> Result<(), Status> {
        let meta = Caller {
            root: Inode(0),
            ..WHO
        };
        let trashed = self.ns.trash_list(None).next().map(|file| file.inode);
        let trashed = trashed.ok_or(Status::Enoent);
        match more {
            More::Open(at) => {
                let inode = self.find(at)?;
                let (ns, mut tx) = self.tx();
                ns.open(
                    &mut tx,
                    &Caller {
                        session: SESSION,
                        ..WHO
                    },
                    inode,
                    1,
                    false,
                )?;
            }
            More::Close => {
                let (ns, mut tx) = self.tx();
                ns.set_sustained(&mut tx, SESSION, std::iter::empty());
            }
            More::Class(at, class) => {
                let inode = self.find(at)?;
                let (class, (ns, mut tx)) = (ClassId(*class), self.tx());
                ns.set_sclass(&mut tx, &WHO, inode, class, class, 4)?;
            }
            More::TrashTime(at, seconds) => {
                let inode = self.find(at)?;
                let (ns, mut tx) = self.tx();
                ns.set_trashtime(&mut tx, &WHO, inode, *seconds, 4)?;
            }
            More::Snapshot(from, to, smode) => {
                let source = self.find(from)?;
                let parent = self.directory(&to.0)?;
                let (ns, mut tx) = self.tx();
                ns.snapshot(&mut tx, &WHO, source, parent, NAMES[to.1], *smode, 0o022)?;
            }
            More::RemoveSnapshot(at) => {
                let parent = self.directory(&at.0)?;
                let (ns, mut tx) = self.tx();
                ns.remove_snapshot(&mut tx, &WHO, parent, NAMES[at.1], 0x84, 0)?;
            }
            More::Undelete => {
                let (ns, mut tx) = self.tx();
                ns.undel(&mut tx, &meta, trashed?)?;
            }
            More::Purge => {
                let (ns, mut tx) = self.tx();
                ns.purge(&mut tx, &meta, trashed?)?;
            }
            More::Rollback(at) => {
                let inode = self.find(at)?;
                let chunk = self.ns.file_chunk(inode, 0);
                let (ns, mut tx) = self.tx();
                ns.rollback_chunk(&mut tx, inode, 0, ChunkId::HOLE, chunk)?;
            }
            More::Xattr(at, value) => {
                let inode = self.find(at)?;
                let (ns, mut tx) = self.tx();
                let value = vec![*value; usize::from(*value)];
                ns.setxattr(&mut tx, &WHO, inode, b"user.x", &value, 0, true)?;
            }
        }
        Ok(())
    }

    /// Every path with kind and length, for comparison.
    fn listing(&self) -> BTreeMap<Vec<u8>, (NodeKind, u64, u32)> {
        let mut listing = BTreeMap::new();
        let mut directories = vec![(Inode::ROOT, Vec::new())];
        while let Some((directory, path)) = directories.pop() {
            for entry in self.ns.readdir_entries(directory, 0) {
                let path = [&path[..], entry.name].join(&b'/');
                let node = self.ns.node(entry.inode).expect("an entry has an inode");
                let names = if node.kind == NodeKind::Directory {
                    1
                } else {
                    node.nlink
                };
                if node.kind == NodeKind::Directory {
                    directories.push((entry.inode, path.clone()));
                }
                listing.insert(path, (node.kind, node.length, names));
            }
        }
        listing
    }
}

fn model_listing(model: &Model) -> BTreeMap<Vec<u8>, (NodeKind, u64, u32)> {
    let mut listing = BTreeMap::new();
    let mut directories = vec![(0, Vec::new())];
    while let Some((directory, path)) = directories.pop() {
        let entries = model
            .names
            .iter()
            .filter(|((parent, _), _)| *parent == directory);
        for ((_, name), child) in entries {
            let path = [&path[..], NAMES[*name]].join(&b'/');
            let object = &model.objects[child];
            if object.kind == NodeKind::Directory {
                directories.push((*child, path.clone()));
            }
            listing.insert(path, (object.kind, object.length, object.names));
        }
    }
    listing
}

/// What the model makes of a step; `None` when the model leaves the outcome to the namespace.
fn expect(model: &mut Model, step: &Step) -> Option<Result<(), Status>> {
    Some(match step {
        Step::Make(at, kind) => model.make(at, *kind, 0),
        Step::Symlink(at) => model.make(at, NodeKind::Symlink, 6),
        Step::Link(from, to) => model.link(from, to),
        Step::Unlink(at) => model.remove(at, false),
        Step::Rmdir(at) => model.remove(at, true),
        Step::Rename(from, to) => model.rename(from, to),
        Step::Length(at, length) => model.file(at).map(|file| file.length = *length),
        Step::Write(at, index) => model.file(at).map(|file| {
            file.length = file.length.max(u64::from(*index) * CHUNK);
        }),
        Step::Trunc(..) | Step::Append(..) | Step::More(_) => return None,
        Step::Freeze | Step::Later(_) => Ok(()),
    })
}

fn check(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut subject = Subject {
        ns: Namespace::new(5, 1000).expect("memory"),
        out: Outbox::default(),
        now: 1000,
    };
    let mut model = Model::new();
    let mut frozen = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let version = subject.ns.version().0;
        let expected = expect(&mut model, step);
        subject.out.lines.clear();
        let result = subject.run(step);
        let lines = subject.out.lines.len() as u64;
        prop_assert_eq!(
            subject.ns.version().0,
            version + lines,
            "one line a version"
        );
        match expected {
            Some(expected) => prop_assert_eq!(result, expected, "step {}: {:?}", number, step),
            None if result.is_ok() => {
                // Appending: the model takes the length over.
                if let Step::Append(_, to) = step {
                    let inode = subject.find(to).expect("target");
                    let length = subject.ns.node(inode).expect("target").length;
                    model.file(to).expect("target").length = length;
                }
            }
            None => {}
        }
        let wrong = subject.ns.verify();
        prop_assert!(wrong.is_empty(), "step {}: {:?}: {:?}", number, step, wrong);
        prop_assert_eq!(
            subject.listing(),
            model_listing(&model),
            "step {}: {:?}",
            number,
            step
        );
        if matches!(step, Step::Freeze) {
            let view = subject.ns.freeze();
            frozen.push((view.fingerprints(0), view));
        }
    }
    for (fingerprints, view) in frozen {
        prop_assert_eq!(fingerprints, view.fingerprints(0), "a frozen view changed");
    }
    Ok(())
}

/// Everything at once: no contradictions; the lines lead to the same state; so does the image.
fn check_replay(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut subject = Subject {
        ns: Namespace::new(5, 1000).expect("memory"),
        out: Outbox::default(),
        now: 1000,
    };
    let mut replica = Namespace::new(6, 1000).expect("memory");
    let mut digester = Digester::default();
    for (number, step) in steps.iter().enumerate() {
        subject.out.lines.clear();
        // Refusals are as good as successes here.
        let _ = subject.run(step);
        let wrong = subject.ns.verify();
        prop_assert!(wrong.is_empty(), "step {}: {:?}: {:?}", number, step, wrong);
        for line in subject.out.lines.bytes().split(|&byte| byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            let parsed = proto::changelog::parse(line).expect("a line that was just written");
            let version = parsed.version.expect("a version");
            let replayed = replica.replay(version, parsed.timestamp, &parsed.entry);
            let text = line.escape_ascii();
            prop_assert!(
                replayed.is_ok(),
                "step {}: {}: {:?}",
                number,
                text,
                replayed
            );
        }
        let view = subject.ns.freeze();
        let whole = view.digest();
        prop_assert_eq!(whole, replica.digest(), "step {}: {:?}", number, step);
        if number % 3 == 0 {
            let kept = digester.digest(view);
            prop_assert_eq!(kept, whole, "step {}: {:?}", number, step);
        }
        let (ours, theirs) = (subject.ns.fingerprints(0), replica.fingerprints(0));
        prop_assert_eq!(ours, theirs, "step {}: {:?}", number, step);
    }
    let wrong = replica.verify();
    prop_assert!(wrong.is_empty(), "replica: {:?}", wrong);
    // There is no session of that number, so an image would lose what it has open.
    subject.run_more(&More::Close).expect("closed");
    let mut file = std::io::Cursor::new(Vec::new());
    image::save(&subject.ns.freeze(), 0, &mut file).expect("saved");
    let loaded = image::load(file.get_ref(), &LoadOptions::default()).expect("loaded");
    prop_assert!(loaded.repairs.is_empty(), "{:?}", loaded.repairs);
    prop_assert_eq!(loaded.namespace.digest(), subject.ns.digest());
    let wrong = loaded.namespace.verify();
    prop_assert!(wrong.is_empty(), "loaded: {:?}", wrong);
    let mut again = std::io::Cursor::new(Vec::new());
    image::save(&loaded.namespace.freeze(), 0, &mut again).expect("saved");
    prop_assert_eq!(again.get_ref().len(), file.get_ref().len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_namespace_is_what_the_model_says(steps in prop::collection::vec(step(), 1..60)) {
        check(&steps)?;
    }

    #[test]
    fn lines_and_images_lead_to_the_same_state(
        steps in prop::collection::vec(prop_oneof![1 => step(), 1 => more()], 1..60)
    ) {
        check_replay(&steps)?;
    }
}
