//! Against what real masters wrote (metadata-and-changelog §6).

#![expect(clippy::unwrap_used, reason = "helpers of a test fail by panicking")]

mod archive;
mod image;
mod random;
mod real;

use archive::Archive;
use image::{Compare, Image, assert_same, differences};
use metadata::Namespace;
use metadata::image::{LoadOptions, Loaded, Problem, load, save, save_stream};
use random::World;
use std::io::Cursor;

#[test]
fn changelog_lines_come_back_byte_for_byte() {
    let mut lines = 0;
    let archives = [Archive::open("3.0.117"), Archive::open("1.6.27")];
    for (path, line) in archives[0]
        .lines()
        .chain(archives[1].lines().filter(|(path, _)| path.contains("10-")))
    {
        let parsed = proto::changelog::parse(line)
            .unwrap_or_else(|error| panic!("{path}: {error}: {}", line.escape_ascii()));
        let mut again = format!("{}: ", parsed.version.unwrap()).into_bytes();
        parsed.entry.write(parsed.timestamp, &mut again);
        assert_eq!(
            again.escape_ascii().to_string(),
            line.escape_ascii().to_string(),
            "{path}"
        );
        lines += 1;
    }
    assert!(lines > 1700, "{lines}");
}

#[test]
fn images_come_back_byte_for_byte_with_their_checksums() {
    for (version, images) in [("3.0.117", 66), ("1.6.27", 2)] {
        let archive = Archive::open(version);
        let mut count = 0;
        for (path, data) in archive.images() {
            if !data.starts_with(b"MFSM 2.0") {
                continue;
            }
            let (file, crc) = Image::read(data).write();
            assert!(file == data, "{path}");
            if let Some(phase) = path.strip_suffix("/after.mfs") {
                assert_eq!(archive.phase(phase).file("after.crc"), crc, "{path}");
            }
            count += 1;
        }
        assert!(count >= images, "{version}: {count}");
    }
}

#[test]
fn images_of_1_6_are_read_completely() {
    for (path, data) in Archive::open("1.6.27").images() {
        let image = Image::read(data);
        assert!(!image.nodes.is_empty(), "{path}");
        assert_same(path, &image, &image, Compare::All);
    }
}

#[track_caller]
fn loaded(path: &str, data: &[u8], options: &LoadOptions<'_>) -> Loaded {
    load(data, options).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[track_caller]
fn assert_only_notes(path: &str, loaded: &Loaded) {
    for repair in &loaded.repairs {
        assert!(repair.problem.is_note(), "{path}: {repair}");
    }
}

/// How many open files of unknown sessions were left out.
fn open_files_dropped(loaded: &Loaded) -> usize {
    let is_open = |problem: &Problem| {
        matches!(
            problem,
            Problem::OpenUnknown { .. } | Problem::OpenOfEndedSession { .. }
        )
    };
    let repairs = loaded.repairs.iter();
    repairs.filter(|repair| is_open(&repair.problem)).count()
}

fn saved(namespace: &Namespace, now: u32) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let saved = save(&namespace.freeze(), now, &mut file).unwrap();
    let file = file.into_inner();
    assert_eq!(saved.bytes, file.len() as u64);
    assert_eq!(saved.fingerprints, namespace.fingerprints(now));
    file
}

/// Locks of chunks that were stored hold when it is no later than this.
const BEFORE_ALL_LOCKS: u32 = 0;

#[test]
fn images_of_3_0_are_the_same_when_loaded_and_saved() {
    let archive = Archive::open("3.0.117");
    for (path, data) in archive.images() {
        let loaded = loaded(path, data, &LoadOptions::default());
        let mut expected = Image::read(data);
        let dropped = expected.drop_unknown_sessions();
        assert_only_notes(path, &loaded);
        assert_eq!(open_files_dropped(&loaded), dropped, "{path}");
        assert!(!loaded.must_renumerate && !loaded.is_old, "{path}");
        let file = saved(&loaded.namespace, BEFORE_ALL_LOCKS);
        assert_same(path, &Image::read(&file), &expected, Compare::All);
        assert_eq!(file.len() + 8 * dropped, data.len(), "{path}");
        if let Some(phase) = path.strip_suffix("/after.mfs") {
            let ours = loaded.namespace.fingerprints(BEFORE_ALL_LOCKS);
            let theirs = archive.phase(phase).file("after.crc");
            for (record, (name, value)) in theirs.chunks(8).zip(ours.iter()) {
                let is_same = record == [name.0, value.0.to_be_bytes()].concat();
                assert!(
                    is_same || dropped > 0 && name.0 == *b"OPEN",
                    "{path}: {name}"
                );
            }
            assert_eq!(ours.to_bytes().len(), theirs.len());
        }
        let mut stream = Vec::new();
        save_stream(&loaded.namespace.freeze(), BEFORE_ALL_LOCKS, &mut stream).unwrap();
        let again = load(&stream, &LoadOptions::default()).unwrap();
        let again = saved(&again.namespace, BEFORE_ALL_LOCKS);
        assert_same(
            path,
            &Image::read(&again),
            &Image::read(&file),
            Compare::All,
        );
    }
}

/// Replays the lines of a phase.
fn replayed(phase: &archive::Phase<'_>) -> Result<Namespace, String> {
    replayed_with(phase, &LoadOptions::default())
}

fn replayed_with(
    phase: &archive::Phase<'_>,
    options: &LoadOptions<'_>,
) -> Result<Namespace, String> {
    let before = phase.file("before.mfs");
    let mut namespace = loaded(phase.name, before, options).namespace;
    for line in phase.lines() {
        let parsed = proto::changelog::parse(line).unwrap();
        let version = parsed.version.unwrap();
        if version >= namespace.version() {
            let result = namespace.replay(version, parsed.timestamp, &parsed.entry);
            result.map_err(|error| format!("{error}\n{}", line.escape_ascii()))?;
        }
    }
    let wrong = namespace.verify();
    if wrong.is_empty() {
        Ok(namespace)
    } else {
        Err(format!("{wrong:?}"))
    }
}

/// Replays the lines of a phase and compares with what the master and its restore left; what is
/// different.
fn check(phase: &archive::Phase<'_>, except: &[&str]) -> Result<(), String> {
    let file = saved(&replayed(phase)?, BEFORE_ALL_LOCKS);
    let ours = Image::read(&file);
    let after = Image::read(phase.file("after.mfs"));
    let mut report = differences(&ours, &after, Compare::Replayable, |section| {
        except.contains(&section)
    });
    if let Some(restored) = phase.get("restored.mfs") {
        let restored = Image::read(restored);
        report += &differences(&ours, &restored, Compare::Restored, |section| {
            // The real restore gives the root of a new file system the time of the restore.
            phase.name == "01-init" && section == "nodes"
        });
    }
    if report.is_empty() {
        Ok(())
    } else {
        Err(format!("+ ours, - theirs\n{report}"))
    }
}

#[test]
fn lines_of_3_0_lead_from_one_image_to_the_next() {
    let archive = Archive::open("3.0.117");
    let mut failures = String::new();
    for phase in archive.phases() {
        let except: &[&str] = match phase.name {
            // The copies of a chunk were found with another version, without a line (§5, 6).
            "13-failures" => &["chunks"],
            _ => &[],
        };
        if let Err(failure) = check(&phase, except) {
            failures += &format!("\n{}: {failure}", phase.name);
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn images_of_1_6_become_images_of_3_0() {
    let archive = Archive::open("1.6.27");
    for (path, data) in archive.images() {
        if !data.starts_with(b"MFSM 1.5") {
            continue;
        }
        let (phase, name) = path.split_once('/').unwrap();
        let sessions = format!("sessions.{name}");
        let options = LoadOptions {
            now: 5,
            sessions: archive.phase(phase).get(&sessions),
            ..LoadOptions::default()
        };
        let loaded = loaded(path, data, &options);
        assert_only_notes(path, &loaded);
        assert!(loaded.must_renumerate && loaded.is_old, "{path}");
        assert_eq!(loaded.namespace.verify(), [], "{path}");
        let source = Image::read(data);
        let file = saved(&loaded.namespace, BEFORE_ALL_LOCKS);
        let image = Image::read(&file);
        assert_eq!(image.nodes.len(), source.nodes.len(), "{path}");
        assert_eq!(image.edges.len(), source.edges.len(), "{path}");
        assert_eq!(image.chunks.len(), source.chunks.len(), "{path}");
        assert!(
            image
                .sessions
                .iter()
                .all(|each| each.disconnected == Some(5))
        );
    }
}

#[test]
fn lines_of_1_6_lead_from_one_image_to_the_next() {
    let archive = Archive::open("1.6.27");
    let mut failures = String::new();
    for phase in archive.phases() {
        // The first one begins with a file that 1.6 numbers otherwise, the last one is 3.0.117's.
        if ["01-init", "10-upgrade-to-3.0.117"].contains(&phase.name) {
            continue;
        }
        for name in ["after.mfs", "restored.mfs"] {
            let Some(after) = phase.get(name) else {
                continue;
            };
            let except: &[&str] = match (phase.name, name) {
                // The line of mkdir lacks the set-group-id bit that the directory inherited.
                ("02-types", "after.mfs") => &["nodes"],
                // The deletion of chunks has no lines (§3.7).
                (_, "after.mfs") => &["chunks"],
                _ => &[],
            };
            if let Err(failure) = replays_1_6(&phase, after, except) {
                failures += &format!("\n{}, {name}: {failure}", phase.name);
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// Replays the lines of a phase of 1.6 and compares with a file that is the result.
fn replays_1_6(phase: &archive::Phase<'_>, after: &[u8], except: &[&str]) -> Result<(), String> {
    let options = LoadOptions {
        sessions: phase.get("sessions.after.mfs"),
        ..LoadOptions::default()
    };
    let replayed = replayed_with(phase, &options)?;
    let expected = loaded(phase.name, after, &options).namespace;
    let (ours, theirs) = (
        saved(&replayed, BEFORE_ALL_LOCKS),
        saved(&expected, BEFORE_ALL_LOCKS),
    );
    let (mut ours, mut theirs) = (Image::read(&ours), Image::read(&theirs));
    // 1.6 empties its trash in another order; numbers freed at the same time are usable together.
    for image in [&mut ours, &mut theirs] {
        image.free.sort_by_key(|free| (free.freed, free.inode));
    }
    let report = differences(&ours, &theirs, Compare::Restored, |section| {
        except.contains(&section)
    });
    if report.is_empty() {
        Ok(())
    } else {
        Err(format!("+ ours, - theirs\n{report}"))
    }
}

/// 3.0.117 started on a file of 1.6.27, wrote two lines and stopped.
#[test]
fn the_upgrade_from_1_6_gives_what_3_0_gave() {
    let archive = Archive::open("1.6.27");
    let phase = archive.phase("10-upgrade-to-3.0.117");
    let options = LoadOptions {
        sessions: phase.get("sessions.before.mfs"),
        ..LoadOptions::default()
    };
    let mut namespace = loaded(phase.name, phase.file("before.mfs"), &options).namespace;
    for line in phase.lines() {
        let parsed = proto::changelog::parse(line).unwrap();
        namespace
            .replay(parsed.version.unwrap(), parsed.timestamp, &parsed.entry)
            .unwrap();
    }
    let file = saved(&namespace, BEFORE_ALL_LOCKS);
    let ours = Image::read(&file);
    for (name, compare) in [
        ("after.mfs", Compare::Replayable),
        ("restored.mfs", Compare::Restored),
    ] {
        assert_same(name, &ours, &Image::read(phase.file(name)), compare);
    }
}

#[test]
fn images_of_4_are_refused_and_what_they_would_lose_is_named() {
    let archive = Archive::open("4.59.2");
    let ignoring = LoadOptions {
        ignore: true,
        ..LoadOptions::default()
    };
    for (path, data) in archive.images() {
        if path.ends_with("before.mfs") {
            continue;
        }
        let Err(error) = load(data, &LoadOptions::default()) else {
            panic!("{path} was loaded");
        };
        assert!(
            matches!(error.problem, Problem::Newer(_)),
            "{path}: {error}"
        );
        let loaded = loaded(path, data, &ignoring);
        let repairs = loaded.repairs.iter().map(|repair| &repair.problem);
        let repairs: Vec<_> = repairs.filter(|problem| !problem.is_note()).collect();
        assert_eq!(repairs, [&error.problem], "{path}");
        assert_eq!(loaded.namespace.verify(), [], "{path}");
    }
    let data = archive.phase("05-sclass").file("after.mfs");
    let error = load(data, &LoadOptions::default()).unwrap_err().to_string();
    for lost in [
        "erasure coding of storage class ec4",
        "trash labels of storage class trashy",
        "a label expression of storage class exprs",
        "pattern *.tmp",
        "use option '-i' to lose these",
    ] {
        assert!(error.contains(lost), "{error}");
    }
    // What 4.59.2 made of a file of 3.0.117 is the same tree.
    let phase = archive.phase("13-upgrade-from-3.0.117");
    let back = loaded(phase.name, phase.file("after.mfs"), &ignoring).namespace;
    let back = saved(&back, BEFORE_ALL_LOCKS);
    let mut before = Image::read(phase.file("before.mfs"));
    before.drop_unknown_sessions();
    let skips = ["sessions", "header", "classes"];
    let report = differences(
        &Image::read(&back),
        &before,
        Compare::Replayable,
        |section| skips.contains(&section),
    );
    assert_eq!(report, "");
}

/// A clock after those of all golden data.
const LATER: u32 = 1_900_000_000;

/// The lines of random operations on an image, and the state that they lead to.
fn at_random(data: &[u8], seed: u64, operations: usize) -> World {
    let namespace = loaded("start", data, &LoadOptions::default()).namespace;
    let mut world = World::new(namespace, seed, LATER);
    let done = world.run(operations);
    assert!(done > operations / 4, "{done} of {operations} are too few");
    world
}

#[test]
fn lines_of_random_operations_lead_to_the_same_state() {
    let archive = Archive::open("3.0.117");
    let before = archive.phase("10-locks-end").file("after.mfs");
    for seed in 1..6 {
        let world = at_random(before, seed, 3000);
        let mut replayed = loaded("start", before, &LoadOptions::default()).namespace;
        for (version, line) in world.out.lines.iter() {
            let parsed = proto::changelog::parse(line).unwrap();
            let result = replayed.replay(version, parsed.timestamp, &parsed.entry);
            result.unwrap_or_else(|error| {
                panic!("seed {seed}: {error}: {}", line.escape_ascii());
            });
        }
        assert_eq!(world.ns.verify(), [], "seed {seed}");
        assert_eq!(replayed.verify(), [], "seed {seed}");
        let (ours, theirs) = (saved(&world.ns, LATER), saved(&replayed, LATER));
        let (ours, theirs) = (Image::read(&ours), Image::read(&theirs));
        let report = differences(&theirs, &ours, Compare::Replayable, |_| false);
        assert!(
            report.is_empty(),
            "seed {seed}: + replayed, - done\n{report}"
        );
    }
}
