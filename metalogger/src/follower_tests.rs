//! The core against a scripted master: what it sends and does for each packet.

use super::{Follower, Remembered};
use crate::effect::{Action, Effects, Now, Outcome};
use crate::settings::Pace;
use metadata::ends::ImageEnds;
use proto::common::Nop;
use proto::frame::split_frame;
use proto::list::Rest;
use proto::metalogger::{DownloadData, DownloadInfo, FromMetalogger, MetaChange, PAYLOAD_MAX};
use proto::{MetaId, MetaVersion};
use std::fmt::Write as _;

const PACE: Pace = Pace {
    timeout_s: 10,
    download_hours: 2,
};

/// A core, its clock, and what it did since the last look.
struct World {
    follower: Follower,
    now: Now,
    effects: Effects,
}

impl World {
    fn new(last: Option<u64>, id: u64) -> World {
        let remembered = Remembered {
            last: last.map(MetaVersion),
            id: MetaId(id),
        };
        World {
            follower: Follower::new(PACE, remembered),
            now: Now {
                unix: 1_800_000_000,
                mono_ms: 1000,
            },
            effects: Effects::default(),
        }
    }

    /// One that is registered and has its first set.
    fn settled() -> World {
        let mut world = World::new(None, 7);
        world.connect();
        world.image(whole(10, 7));
        world.changelog(None);
        world.changelog(None);
        world.take();
        world
    }

    fn connect(&mut self) -> String {
        self.follower.connected(self.now, &mut self.effects);
        self.take()
    }

    fn packet(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes);
        let frame = split_frame(&bytes, PAYLOAD_MAX).unwrap().unwrap();
        let taken = self
            .follower
            .frame(frame.kind, frame.payload, self.now, &mut self.effects);
        let done = self.take();
        if taken.is_err() {
            "refused".to_owned()
        } else {
            done
        }
    }

    fn line(&mut self, version: u64, text: &str) -> String {
        let version = MetaVersion(version);
        let text = Rest(text.as_bytes());
        self.packet(|out| MetaChange::Line { version, text }.encode(out))
    }

    fn info(&mut self, length: Option<u64>) -> String {
        self.packet(|out| DownloadInfo { length }.encode(out))
    }

    fn block(&mut self, offset: u64, bytes: &[u8]) -> String {
        self.packet(|out| DownloadData::new(offset, bytes).encode(out))
    }

    fn disk(&mut self, outcome: Outcome) -> String {
        self.follower.stored(outcome, self.now, &mut self.effects);
        self.take()
    }

    /// A file of one byte arrives.
    fn file(&mut self, outcome: Outcome) -> String {
        self.info(Some(1));
        self.disk(Outcome::Ready);
        self.block(0, b"x");
        self.disk(Outcome::Ready);
        self.disk(outcome)
    }

    fn image(&mut self, ends: ImageEnds) -> String {
        self.file(Outcome::Image(ends))
    }

    fn changelog(&mut self, changes: Option<(u64, u64)>) -> String {
        let changes = changes.map(|(first, last)| (MetaVersion(first), MetaVersion(last)));
        self.file(Outcome::Changelog(changes))
    }

    fn pass(&mut self, seconds: u32) -> String {
        let mut story = Vec::new();
        for _ in 0..seconds {
            self.now.mono_ms += 1000;
            self.now.unix += 1;
            self.follower.tick(self.now, &mut self.effects);
            let done = self.take();
            if !done.is_empty() {
                story.push(done);
            }
        }
        story.join(" ")
    }

    /// The same with a master that lives: what was done beside signs of life.
    fn live(&mut self, seconds: u32) -> String {
        let mut story = Vec::new();
        for _ in 0..seconds {
            self.packet(|out| Nop {}.encode(out));
            let done = self.pass(1);
            if !done.is_empty() && done != "nop" {
                story.push(done);
            }
        }
        story.join(" ")
    }

    /// The effects in words: packets first, then work, then the end of the connection.
    fn take(&mut self) -> String {
        let effects = std::mem::take(&mut self.effects);
        let mut story = String::new();
        let mut rest = &effects.send[..];
        while let Some(frame) = split_frame(rest, PAYLOAD_MAX).unwrap() {
            let message = FromMetalogger::decode(frame.kind, frame.payload).unwrap();
            let words = match message {
                FromMetalogger::Register(register) => match register.first_wanted {
                    Some(first) => format!("register from {first}"),
                    None => "register".to_owned(),
                },
                FromMetalogger::DownloadStart(start) => format!("start {:?}", start.file),
                FromMetalogger::DownloadRequest(request) => {
                    format!("want {}+{}", request.offset, request.length)
                }
                FromMetalogger::DownloadEnd(_) => "end".to_owned(),
                FromMetalogger::Nop(_) => "nop".to_owned(),
                other => format!("{other:?}"),
            };
            write!(story, "{words}; ").unwrap();
            rest = &rest[frame.consumed..];
        }
        for action in effects.actions {
            let words = match action {
                Action::Line { version, text } => {
                    format!("{version}={}", String::from_utf8_lossy(&text))
                }
                Action::Flush => "flush".to_owned(),
                Action::Rotate => "rotate".to_owned(),
                Action::PutAside => "put aside".to_owned(),
                Action::Begin(file) => format!("begin {file:?}"),
                Action::Block { offset, bytes } => format!("block {offset}+{}", bytes.len()),
                Action::Finish(file) => format!("finish {file:?}"),
                Action::Abandon => "abandon".to_owned(),
            };
            write!(story, "{words}; ").unwrap();
        }
        if effects.disconnect {
            story += "disconnect; ";
        }
        story.trim_end().trim_end_matches(';').to_owned()
    }
}

fn whole(version: u64, id: u64) -> ImageEnds {
    ImageEnds::Whole {
        version: MetaVersion(version),
        id: MetaId(id),
        is_old: false,
    }
}

#[test]
fn a_new_process_registers_and_fetches_the_three_files_block_by_block() {
    let mut world = World::new(None, 0);
    assert_eq!(world.connect(), "register; start Metadata");
    assert_eq!(world.info(Some(1_000_001)), "begin Metadata");
    assert_eq!(world.disk(Outcome::Ready), "want 0+1000000");
    // The stream goes on meanwhile.
    assert_eq!(world.line(15, "5|IDLE()"), "15=5|IDLE()");
    assert_eq!(world.block(0, &[1; 1_000_000]), "block 0+1000000");
    assert_eq!(world.disk(Outcome::Ready), "want 1000000+1");
    assert_eq!(world.block(1_000_000, &[2]), "block 1000000+1");
    assert_eq!(world.disk(Outcome::Ready), "end; finish Metadata");
    assert_eq!(world.disk(Outcome::Image(whole(14, 7))), "start Changelog0");
    assert_eq!(world.info(Some(0)), "begin Changelog0");
    assert_eq!(world.disk(Outcome::Ready), "end; finish Changelog0");
    assert_eq!(world.disk(Outcome::Changelog(None)), "start Changelog1");
    assert_eq!(world.info(Some(0)), "begin Changelog1");
    world.disk(Outcome::Ready);
    assert_eq!(world.disk(Outcome::Changelog(None)), "");
    assert_eq!(world.line(16, "5|IDLE()"), "16=5|IDLE()");
    assert_eq!(
        world.packet(|out| MetaChange::Rotate.encode(out)),
        "flush; rotate"
    );
}

#[test]
fn after_a_break_the_stream_goes_on_where_it_was() {
    for (mut world, first) in [(World::new(Some(41), 7), 42), (World::settled(), 51)] {
        if first == 51 {
            world.line(50, "a");
            world.follower.closed(&mut world.effects);
            assert_eq!(world.take(), "flush");
            assert_eq!(world.connect(), "register from 51");
        } else {
            assert_eq!(world.connect(), "register from 42; start Metadata");
        }
        assert_eq!(world.line(first, "b"), format!("{first}=b"));
    }
}

#[test]
fn what_does_not_follow_is_told_apart() {
    let mut world = World::settled();
    world.line(50, "a");
    // The same line again is what a master sends that was asked for the last one.
    assert_eq!(world.line(50, "a"), "");
    // The image of version 10 does not lead over the hole.
    assert_eq!(world.line(53, "d"), "start Metadata; 53=d");
    world.image(whole(53, 7));
    world.changelog(None);
    world.changelog(None);
    // Now it leads up to 53; a hole behind it needs another one.
    assert_eq!(world.line(60, "e"), "start Metadata; 60=e");
    // A step that a reader would take for garbage begins a new file.
    assert_eq!(world.line(10_060, "f"), "flush; rotate; 10060=f");
    assert_eq!(world.line(10_061, "g\nh"), "refused");
    // An older change: the master was restored; nothing of the old history may be mixed with it.
    assert_eq!(world.line(55, "x"), "flush; abandon; put aside; disconnect");
    world.follower.closed(&mut world.effects);
    world.take();
    assert_eq!(world.connect(), "register; start Metadata");
}

#[test]
fn another_file_system_is_not_mixed_with_this_one() {
    let mut world = World::settled();
    world.pass(60);
    world.follower.closed(&mut world.effects);
    world.take();
    world.follower.downloads.want_all();
    assert_eq!(world.connect(), "register; start Metadata");
    assert_eq!(
        world.image(whole(99, 8)),
        "start Changelog0; abandon; put aside; disconnect"
    );
}

#[test]
fn a_changelog_that_lags_behind_the_stream_is_fetched_again() {
    let mut world = World::new(None, 0);
    world.connect();
    world.line(20, "a");
    world.image(whole(10, 7));
    world.changelog(Some((8, 17)));
    world.changelog(None);
    assert_eq!(world.pass(1), "flush");
    assert_eq!(world.pass(1), "start Changelog0");
    world.changelog(Some((8, 19)));
    world.changelog(None);
    assert_eq!(world.pass(3), "");
}

#[test]
fn a_broken_download_is_tried_again() {
    let mut world = World::new(None, 0);
    world.connect();
    world.info(Some(4));
    world.disk(Outcome::Ready);
    let flipped = |out: &mut Vec<u8>| {
        let mut block = DownloadData::new(0, b"abcd");
        block.crc ^= 1;
        block.encode(out);
    };
    for _ in 0..4 {
        assert_eq!(world.packet(flipped), "want 0+4");
    }
    assert_eq!(world.packet(flipped), "end; abandon");
    assert_eq!(world.live(59), "");
    assert_eq!(world.live(1), "start Metadata");
    // The connection breaks in the middle: everything from the beginning.
    world.info(Some(4));
    world.disk(Outcome::Ready);
    world.follower.closed(&mut world.effects);
    assert_eq!(world.take(), "abandon");
    assert_eq!(world.connect(), "register; start Metadata");
    // A full disk is tried again as well, and a block that was not asked for is refused.
    world.info(Some(4));
    assert_eq!(
        world.disk(Outcome::Failed("ENOSPC".to_owned())),
        "end; abandon"
    );
    assert_eq!(world.block(0, b"abcd"), "refused");
    // A damaged or a new image is not the end either.
    for outcome in [
        Outcome::BadImage("wrong ending".to_owned()),
        Outcome::Image(ImageEnds::New),
    ] {
        let mut world = World::new(None, 0);
        world.connect();
        world.file(outcome);
        world.changelog(None);
        world.changelog(None);
        assert_eq!(world.live(61), "start Metadata");
    }
}

#[test]
fn silence_is_answered_with_signs_of_life_and_ended_in_time() {
    let mut world = World::settled();
    assert_eq!(world.pass(3), "");
    assert_eq!(world.pass(1), "nop");
    assert_eq!(world.pass(3), "");
    world.packet(|out| Nop {}.encode(out));
    assert_eq!(world.pass(10), "nop nop nop");
    assert_eq!(world.pass(1), "disconnect");
}

#[test]
fn a_download_is_due_630_seconds_after_each_second_hour() {
    let mut world = World::settled();
    let mut due = Vec::new();
    for _ in 0..5 * 3600 {
        if world.live(1) == "start Metadata" {
            due.push((world.now.unix / 3600 % 2, world.now.unix % 3600));
            world.image(whole(10, 7));
            world.changelog(None);
            world.changelog(None);
        }
    }
    assert_eq!(due, [(0, 630); 3]);
}

#[test]
fn a_master_of_1_6_gives_its_sessions_each_minute() {
    let mut world = World::new(None, 0);
    world.connect();
    let old = ImageEnds::Whole {
        version: MetaVersion(5),
        id: MetaId(0),
        is_old: true,
    };
    assert_eq!(world.image(old), "start Changelog0");
    world.changelog(None);
    assert_eq!(world.changelog(None), "start Sessions");
    assert_eq!(world.info(Some(0)), "begin Sessions");
    world.disk(Outcome::Ready);
    assert_eq!(world.disk(Outcome::Sessions), "");
    for _ in 0..2 {
        assert_eq!(world.live(60), "start Sessions");
        assert_eq!(world.info(Some(0)), "begin Sessions");
        world.disk(Outcome::Ready);
        world.disk(Outcome::Sessions);
    }
    // It has none after all: no further questions.
    assert_eq!(world.live(60), "start Sessions");
    assert_eq!(world.info(None), "");
    assert_eq!(world.live(120), "");
}

#[test]
fn lines_that_the_disk_refuses_are_asked_for_again() {
    let mut world = World::settled();
    world.line(50, "a");
    world.line(51, "b");
    world
        .follower
        .not_saved(MetaVersion(50), &mut world.effects);
    assert_eq!(world.take(), "disconnect");
    world.follower.closed(&mut world.effects);
    assert_eq!(world.take(), "");
    assert_eq!(world.connect(), "register from 50");
}
