//! What the image at the full hour costs the clients: reply times under a paced load around it.

use crate::load::LATENCY_MAX_MICROS;
use crate::memory::grow;
use crate::request::{self, Kind};
use crate::target::resident_of;
use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use proto::Inode;
use rustix::event::{Timespec, epoll};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Debian's libfaketime, which makes the full hour come when it is wanted.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
/// Time from the start of the master to the hour: enough to load and to see how it is without a save.
const LEAD: Duration = Duration::from_secs(25);
/// Shortest time before the hour that counts as *without a save*.
const CALM_MIN: Duration = Duration::from_secs(5);
/// How long before the hour it is looked whether the save begins.
const LOOK_BEFORE: Duration = Duration::from_secs(1);
/// How long is measured after the save.
const AFTER: Duration = Duration::from_secs(3);
/// A save that takes longer is given up.
const SAVE_MAX: Duration = Duration::from_secs(120);
/// Each millisecond one GETATTR and two SETATTR.
const PERIOD: Duration = Duration::from_millis(1);
const GETATTRS: u32 = 1;
const SETATTRS: u32 = 2;
/// Between two looks at the memory of the master, in periods.
const LOOK_PERIODS: u32 = 10;
/// A reply later than this counts as late, microseconds.
const LATE_MICROS: u64 = 5000;

/// Grows each master, lets it save under load and prints a table. On a `quiet` tree nothing is changed
/// meanwhile.
pub fn report(millions: u32, quiet: bool, ours_only: bool) -> Result<()> {
    ensure!(Path::new(FAKETIME).exists(), "install the package faketime");
    println!(
        "| {millions} M files | save s | when | replies | p50 µs | p99 µs | p99.9 µs | longest ms | later than 5 ms | more memory % |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for mut target in crate::targets("CHANGELOG_SAVE_MODE = 0\n", ours_only)? {
        let files = u64::from(millions) * 1_000_000;
        grow(&target, files)?;
        target.stop()?;
        let wall = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let hour = Instant::now() + LEAD - Duration::from_nanos(wall.subsec_nanos().into());
        let ahead = 3600 - (wall.as_secs() + LEAD.as_secs()) % 3600;
        target.set_environment(vec![
            ("LD_PRELOAD".to_owned(), FAKETIME.to_owned()),
            ("FAKETIME".to_owned(), format!("+{ahead}s")),
            ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
            ("FAKETIME_NO_CACHE".to_owned(), "0".to_owned()),
        ]);
        target.start_again("start")?;
        ensure!(
            hour.saturating_duration_since(Instant::now()) >= CALM_MIN,
            "loading took too long for the lead of {LEAD:?}"
        );
        // The changelogs rotate when the save begins.
        let begun = || target.file_number("changelog.0.mfs");
        let done = || target.file_number("metadata.mfs.back");
        // The child that MooseFS saves with is not among them.
        let pids = target.pids();
        let memory = || resident_of(&pids);
        let changes = if quiet { 0 } else { SETATTRS };
        let measured = target.inside(|address| {
            Paced::connect(address, files, changes)?.run(hour, begun, done, memory)
        })?;
        let took = measured.save.as_secs_f64();
        let (memory, peak) = (measured.memory as f64, measured.memory_peak as f64);
        let more = (peak / memory - 1.0) * 100.0;
        for (when, latency) in [("before", &measured.before), ("save", &measured.during)] {
            println!(
                "| {} | {took:.1} | {when} | {} | {} | {} | {} | {:.1} | {} | {:.1} |",
                target.name,
                latency.len(),
                latency.value_at_quantile(0.5),
                latency.value_at_quantile(0.99),
                latency.value_at_quantile(0.999),
                latency.max() as f64 / 1e3,
                latency.len() - latency.count_between(0, LATE_MICROS),
                if when == "save" { more } else { 0.0 },
            );
        }
    }
    Ok(())
}

struct Measured {
    before: Histogram<u64>,
    /// From a second before the hour until the image is in its place and a little longer.
    during: Histogram<u64>,
    save: Duration,
    /// Resident memory of the master before the save, and the most meanwhile, bytes.
    memory: u64,
    memory_peak: u64,
}

/// One connection with requests at a steady pace, whatever the replies.
struct Paced {
    stream: TcpStream,
    epoll: std::os::fd::OwnedFd,
    files: u64,
    /// Of the requests of a period.
    changes: u32,
    number: u64,
    output: Vec<u8>,
    input: Vec<u8>,
    sent: VecDeque<Instant>,
}

impl Paced {
    fn connect(address: SocketAddr, files: u64, changes: u32) -> Result<Paced> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        request::register(&mut stream)?;
        stream.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let token = epoll::EventData::new_u64(0);
        epoll::add(&epoll, &stream, token, epoll::EventFlags::IN)?;
        Ok(Paced {
            stream,
            epoll,
            files,
            changes,
            number: 0,
            output: Vec::new(),
            input: Vec::new(),
            sent: VecDeque::new(),
        })
    }

    /// Runs over the hour. What `begun` and `done` give changes when the save begins and when it
    /// is done.
    fn run(
        mut self,
        hour: Instant,
        begun: impl Fn() -> u64,
        done: impl Fn() -> u64,
        resident: impl Fn() -> u64,
    ) -> Result<Measured> {
        let histogram = || Histogram::new_with_bounds(1, LATENCY_MAX_MICROS, 3);
        let (mut before, mut during) = (histogram()?, histogram()?);
        let image = done();
        let mut log = 0;
        let (mut memory, mut memory_peak) = (resident(), 0);
        let mut periods = 0u32;
        let mut save: Option<Instant> = None;
        let mut saved: Option<Instant> = None;
        let mut due = Instant::now();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let now = Instant::now();
            if now >= due {
                self.send()?;
                due += PERIOD;
                periods = periods.wrapping_add(1);
                if now + LOOK_BEFORE < hour {
                    log = begun();
                    if periods.is_multiple_of(LOOK_PERIODS * 100) {
                        memory = resident();
                    }
                } else if save.is_none() && begun() != log {
                    save = Some(now);
                } else if save.is_some() && saved.is_none() && done() != image {
                    saved = Some(now);
                }
                if save.is_some() && saved.is_none() && periods.is_multiple_of(LOOK_PERIODS) {
                    memory_peak = memory_peak.max(resident());
                }
                match saved {
                    Some(at) if now >= at + AFTER => break,
                    None if now >= hour + SAVE_MAX => bail!("there is no image after {SAVE_MAX:?}"),
                    _ => {}
                }
            }
            let wait = due.saturating_duration_since(Instant::now());
            let timeout = Timespec {
                tv_sec: 0,
                tv_nsec: wait.subsec_nanos().into(),
            };
            let mut events = Vec::with_capacity(1);
            epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&timeout),
            )?;
            if !events.is_empty() {
                let calm = Instant::now() + LOOK_BEFORE < hour;
                self.receive(&mut buffer, if calm { &mut before } else { &mut during })?;
            }
        }
        Ok(Measured {
            before,
            during,
            save: saved.zip(save).map_or(SAVE_MAX, |(end, begin)| {
                end.saturating_duration_since(begin)
            }),
            memory,
            memory_peak: memory_peak.max(memory),
        })
    }

    fn send(&mut self) -> Result<()> {
        self.output.clear();
        for index in 0..GETATTRS + self.changes {
            self.number += 1;
            // A walk over all files that jumps; they follow their directories.
            let file = 2 + self.files / 1000 + self.number.wrapping_mul(999_983) % self.files;
            let (inode, msgid) = (Inode(u32::try_from(file)?), self.number as u32 | 1 << 31);
            if index < GETATTRS {
                request::getattr(&mut self.output, msgid, inode);
            } else {
                let mode = 0o600 + (self.number / self.files % 2) as u16 * 0o44;
                request::set_mode(&mut self.output, msgid, inode, mode);
            }
        }
        let now = Instant::now();
        for _ in 0..GETATTRS + self.changes {
            self.sent.push_back(now);
        }
        let mut written = 0;
        while let Some(rest) = self.output.get(written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => return Err(error).context("send"),
            }
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], latency: &mut Histogram<u64>) -> Result<()> {
        let count = match self.stream.read(buffer) {
            Ok(0) => bail!("the master closed the connection"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("receive"),
        };
        let now = Instant::now();
        self.input.extend_from_slice(&buffer[..count]);
        let mut at = 0;
        while let Some(frame) = proto::frame::split_frame(&self.input[at..], u32::MAX)? {
            at += frame.consumed;
            match request::classify(frame.kind, frame.payload) {
                Kind::Push => continue,
                Kind::Answered => {}
                Kind::Refused => bail!("a request was refused"),
            }
            let sent = self.sent.pop_front().context("nobody asked for a reply")?;
            let micros = u64::try_from(now.duration_since(sent).as_micros())?;
            latency.saturating_record(micros);
        }
        self.input.drain(..at);
        Ok(())
    }
}
