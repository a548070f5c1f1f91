//! The same random requests to the real master and to ours, byte for byte the same answers, and
//! the same changelog.
//!
//! A seed gives the whole run; a failure prints the command that repeats it. `LAB_LONG=1` tries
//! more seeds, `LAB_SEED=n` one; with `LAB_PROBE=1` the root directory is looked at after each request,
//! which shows where the states part, and with `LAB_TRACE=1` every request and answer is printed.

#[path = "protocol/dice.rs"]
mod dice;
#[path = "protocol/peer.rs"]
mod peer;
#[path = "protocol/requests.rs"]
mod requests;

use anyhow::{Context, Result, bail, ensure};
use lab::{Cluster, ClusterOptions, Program};
use peer::{Packet, Peer};
use proto::changelog::Seal;
use proto::client::lookup::Lookup;
use proto::client::message::Message;
use proto::client::readdir::{Page, Readdir};
use proto::client::register::Register;
use proto::client::remove::Rename;
use proto::client::{Credentials, Gids, kind};
use proto::{Inode, SessionId, Version};
use requests::{Request, Requests, Role};
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::time::{SystemTime, UNIX_EPOCH};

/// Requests of one seed.
const REQUESTS: u32 = 6_000;
/// Seeds of the normal run.
const SEEDS: &[u64] = &[1, 2, 3, 4, 6];
/// Number of seeds with `LAB_LONG`.
const LONG_SEEDS: u64 = 60;
/// A failing run says no more than so many differences: later ones follow from the first.
const DIFFERENCES_MAX: usize = 60;
/// Longest part of a packet that is shown, characters.
const SHOWN_MAX: usize = 300;
/// What is shown of it before the first difference, characters.
const SHOWN_BEFORE: usize = 60;
/// Times of the two masters may differ by so many seconds.
const CLOCK_TOLERANCE: u32 = 2;
/// A number so near to now is a time, seconds.
const TIME_RANGE: u32 = 10 * 86_400;

const EXPORTS: &str = "172.21.21.82 / rw,alldirs,admin,maproot=0:0\n\
    172.21.21.82 . rw\n\
    172.21.21.80 / rw,alldirs,maproot=0:0,mingoal=2,maxgoal=3,mintrashtime=3600,maxtrashtime=172800\n\
    172.21.21.81 / ro,alldirs,maproot=0:0\n\
    172.21.21.83 / rw,alldirs,mapall=1000:1001,ignoregid\n\
    172.21.21.90 / rw,alldirs,admin,maproot=0:0,disable=mkdir,disable=unlink,disable=setxattr\n";

/// Who connects: address, role, version, exported directory.
const CONNECTIONS: &[(&str, Role, Version, &[u8])] = &[
    ("172.21.21.82", Role::Admin, Version::CURRENT, b"/"),
    ("172.21.21.82", Role::Admin, Version::new(3, 0, 92), b"/"),
    ("172.21.21.82", Role::Admin, Version::new(2, 0, 91), b"/"),
    ("172.21.21.82", Role::Admin, Version::new(1, 6, 27), b"/"),
    ("172.21.21.82", Role::Admin, Version::CURRENT, b"/sub"),
    ("172.21.21.80", Role::Limited, Version::CURRENT, b"/"),
    ("172.21.21.81", Role::Limited, Version::CURRENT, b"/"),
    ("172.21.21.83", Role::Limited, Version::CURRENT, b"/"),
    (
        "172.21.21.90",
        Role::Admin,
        Version::new(3, 0, 112),
        b"/sub",
    ),
    ("172.21.21.82", Role::Tools, Version::CURRENT, b""),
    ("172.21.21.82", Role::Meta, Version::CURRENT, b""),
    ("172.21.21.82", Role::Monitor, Version::CURRENT, b""),
];
/// How often each connection is chosen, of a sum of 40.
const SHARES: &[usize] = &[10, 3, 3, 3, 3, 3, 2, 3, 2, 4, 2, 2];

/// Lines that depend on the clock or on the process, not on the requests.
const OTHER_LINES: &[&str] = &[
    "SETMETAID(",
    "FREEINODES(",
    "SESDISCONNECTED(",
    "SESCONNECTED(",
];

/// A master and its connections.
struct Side {
    cluster: Cluster,
    peers: Vec<Peer>,
    first_session: SessionId,
    metaid: [u8; 8],
}

impl Side {
    fn start(master: Program) -> Result<Side> {
        let cluster = Cluster::start(ClusterOptions {
            master,
            chunkservers: 0,
            exports: EXPORTS.to_owned(),
            // Whether a read changes atime depends on the second in which it happens.
            master_cfg: "ATIME_MODE = 4\nCHANGELOG_SAVE_MODE = 1\n".to_owned(),
            ..ClusterOptions::default()
        })?;
        let log = cluster.master_data().join("changelog.0.mfs");
        lab::wait_until("the master has a changelog", || {
            fs::read_to_string(&log).is_ok_and(|text| text.contains("SETMETAID("))
        })?;
        let text = fs::read_to_string(&log)?;
        let metaid: u64 = text
            .split_once("SETMETAID(")
            .and_then(|(_, rest)| rest.split_once(')'))
            .context("no SETMETAID")?
            .0
            .parse()?;
        Ok(Side {
            cluster,
            peers: Vec::new(),
            first_session: SessionId(0),
            metaid: metaid.to_be_bytes(),
        })
    }

    /// Opens a connection; the answer to its registration.
    fn connect(&self, number: usize) -> Result<(Peer, SessionId, Option<Packet>)> {
        let (from, role, version, path) = CONNECTIONS[number];
        let mut peer = Peer::connect(&self.cluster, from.parse::<Ipv4Addr>()?)?;
        let info = format!("/mnt/{number}");
        let (resume, passcode) = (None, None);
        let info = info.as_bytes();
        let register = match role {
            Role::Admin | Role::Limited => Register::NewSession {
                version,
                info,
                path,
                resume,
                passcode,
            },
            Role::Meta => Register::NewMetaSession {
                version,
                info,
                resume,
                passcode,
            },
            Role::Tools => Register::Tools {
                session: self.first_session,
                version,
            },
            Role::Monitor => return Ok((peer, SessionId(0), None)),
        };
        let (session, packet) = peer.register(&register)?;
        Ok((peer, session, Some(packet)))
    }

    fn lines(&self) -> Result<Vec<String>> {
        let data = self.cluster.master_data();
        // At the full hour a new file begins.
        let mut bytes = fs::read(data.join("changelog.1.mfs")).unwrap_or_default();
        bytes.extend(fs::read(data.join("changelog.0.mfs"))?);
        let text = String::from_utf8_lossy(&bytes);
        let now = now()?;
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| !OTHER_LINES.iter().any(|other| line.contains(other)))
            .map(|line| {
                let (line, _) = Seal::split(line.as_bytes());
                without_chance(&without_times(&String::from_utf8_lossy(line), now))
            })
            .filter(|line| !is_unlock(line))
            .collect();
        // What one message releases has no order.
        for run in lines.chunk_by_mut(|one, next| is_release(one) && is_release(next)) {
            run.sort_unstable();
        }
        Ok(lines)
    }
}

fn now() -> Result<u32> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as u32)
}

/// A changelog line without version and times.
fn without_times(line: &str, now: u32) -> String {
    let line = line.split_once('|').map_or(line, |(_, rest)| rest);
    let mut out = String::new();
    for part in line.split_inclusive(|character: char| !character.is_ascii_digit()) {
        let digits = part.trim_end_matches(|character: char| !character.is_ascii_digit());
        let is_time = digits.len() == 10
            && digits
                .parse::<u32>()
                .is_ok_and(|number| number.abs_diff(now) < TIME_RANGE);
        if is_time {
            out.push('T');
            out.push_str(&part[digits.len()..]);
        } else {
            out.push_str(part);
        }
    }
    out
}

/// SETACL says whether the inode was changed in this second, which is chance.
fn without_chance(line: &str) -> String {
    let Some(rest) = line.strip_prefix("SETACL(") else {
        return line.to_owned();
    };
    let mut fields: Vec<&str> = rest.split(',').collect();
    if let Some(field) = fields.get_mut(2) {
        *field = "ANY";
    }
    format!("SETACL({}", fields.join(","))
}

/// Lines that the end of open files leaves.
fn is_release(line: &str) -> bool {
    line.starts_with("RELEASE(")
}

/// Unlocking: the real master has a line for an unlock that finds nothing, on which its own replay
/// stops, and none for a lock that goes when its file is released.
fn is_unlock(line: &str) -> bool {
    line.starts_with("FLOCK(") && line.ends_with(",U)")
        || line.starts_with("POSIXLOCK(") && line.contains(",U,")
}

/// Whether two payloads are the same but for times.
fn same(left: &[u8], right: &[u8], now: u32) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let word = |bytes: &[u8], at: usize| -> Option<u32> {
        Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    let mut at = 0;
    while at < left.len() {
        if left[at] == right[at] {
            at += 1;
            continue;
        }
        let time = (at.saturating_sub(3)..=at).find(|&start| {
            let (Some(one), Some(other)) = (word(left, start), word(right, start)) else {
                return false;
            };
            one.abs_diff(now) < TIME_RANGE && one.abs_diff(other) <= CLOCK_TOLERANCE
        });
        match time {
            Some(start) => at = start + 4,
            None => return false,
        }
    }
    true
}

/// A reply without what may differ: the order of lists that have none, and whether an old client's
/// cached data are still true.
fn comparable((kind, payload): &Packet, version: Version) -> Packet {
    let mut payload = payload.clone();
    const OPEN_FILES: u32 = kind::reply(kind::LIST_OPEN_FILES);
    const QUOTAS: u32 = 519;
    const FOUND: u32 = kind::reply(kind::LOOKUP);
    match *kind {
        OPEN_FILES if payload.len() > 4 => {
            let mut entries: Vec<Vec<u8>> = payload[4..].chunks(4).map(<[u8]>::to_vec).collect();
            entries.sort_unstable();
            payload.truncate(4);
            payload.extend(entries.concat());
        }
        QUOTAS => payload.sort_unstable(),
        FOUND if payload.len() > 9 && !version.has_lookup_flags() => {
            let (at, bit) = if version.has_numeric_types() {
                (8, 0x04)
            } else {
                (9, 0x40)
            };
            payload[at] &= !bit;
        }
        _ => {}
    }
    (*kind, payload)
}

fn without_metaid(packet: &mut Packet, metaid: &[u8; 8]) {
    let found = packet.1.windows(8).position(|window| window == metaid);
    if let Some(at) = found {
        packet.1[at..at + 8].fill(0);
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && index.is_multiple_of(4) {
            text.push(' ');
        }
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

fn show(packets: &Option<Vec<Packet>>) -> String {
    match packets {
        None => "closed".to_owned(),
        Some(packets) => packets
            .iter()
            .map(|(kind, payload)| format!("{kind}: {}", hex(payload)))
            .collect::<Vec<_>>()
            .join(" | "),
    }
}

/// One run on two masters.
struct Run {
    real: Side,
    ours: Side,
    requests: Requests,
    differences: Vec<String>,
}

impl Run {
    fn start(seed: u64) -> Result<Run> {
        let real = std::thread::spawn(|| Side::start(Program::Debian));
        let ours = Side::start(Program::Ours)?;
        let Ok(real) = real.join() else {
            bail!("the real master did not start");
        };
        let mut run = Run {
            real: real?,
            ours,
            requests: Requests::new(seed),
            differences: Vec::new(),
        };
        for number in 0..CONNECTIONS.len() {
            run.connect(number)?;
            if number == 0 {
                let mkdir = proto::client::create::Mkdir {
                    msgid: 1,
                    parent: Inode::ROOT,
                    name: b"sub",
                    mode: 0o777,
                    umask: 0,
                    caller: Credentials {
                        uid: 0,
                        gids: Gids::listed(&[0]),
                    },
                    copy_sgid: false,
                };
                let mut payload = Vec::new();
                mkdir.encode(Version::CURRENT, &mut payload);
                let text = format!("{mkdir:?}");
                run.exchange(
                    0,
                    &Request {
                        kind: kind::MKDIR,
                        text,
                        payload,
                    },
                )?;
            }
        }
        Ok(run)
    }

    /// Connects, or connects again, on both sides.
    fn connect(&mut self, number: usize) -> Result<()> {
        let mut answers = Vec::new();
        for side in [&mut self.real, &mut self.ours] {
            let (peer, session, packet) = side.connect(number)?;
            if number == 0 {
                side.first_session = session;
            }
            if number < side.peers.len() {
                side.peers[number] = peer;
            } else {
                side.peers.push(peer);
            }
            answers.push(packet.map(|mut packet| {
                without_metaid(&mut packet, &side.metaid);
                vec![packet]
            }));
        }
        let (ours, real) = (answers.pop().flatten(), answers.pop().flatten());
        if std::env::var_os("LAB_TRACE").is_some() {
            eprintln!("{number}: registration -> {}", show(&real));
        }
        if real != ours {
            let what = format!("registration {:?}", CONNECTIONS[number]);
            self.differ(&what, &real, &ours);
        }
        Ok(())
    }

    fn differ(&mut self, what: &str, real: &Option<Vec<Packet>>, ours: &Option<Vec<Packet>>) {
        let (real, ours) = (show(real), show(ours));
        let same = real
            .bytes()
            .zip(ours.bytes())
            .take_while(|(one, other)| one == other);
        let from = same.count().saturating_sub(SHOWN_BEFORE);
        let part = |text: &str| -> String {
            let lead = if from > 0 { "..." } else { "" };
            let shown = text.get(from..).unwrap_or_default();
            format!("{lead}{}", shown.get(..SHOWN_MAX).unwrap_or(shown))
        };
        self.differences.push(format!(
            "{what}\n  3.0.117 {}\n  ours    {}",
            part(&real),
            part(&ours)
        ));
    }

    /// One request on both sides; the answer of ours.
    fn exchange(&mut self, number: usize, request: &Request) -> Result<Option<Vec<Packet>>> {
        let ask = |side: &mut Side, whose: &str| {
            side.peers[number]
                .ask(request.kind, &request.payload)
                .with_context(|| format!("{whose}: {} {}", request.kind, request.text))
        };
        let real = ask(&mut self.real, "3.0.117")?;
        let ours = ask(&mut self.ours, "ours")?;
        if std::env::var_os("LAB_TRACE").is_some() {
            eprintln!(
                "{number}: {} {} -> {}",
                request.kind,
                request.text,
                show(&real)
            );
        }
        let now = now()?;
        let version = CONNECTIONS[number].2;
        let equal = match (&real, &ours) {
            (Some(real), Some(ours)) => {
                real.len() == ours.len()
                    && real.iter().zip(ours).all(|(one, other)| {
                        let (one, other) = (comparable(one, version), comparable(other, version));
                        one.0 == other.0 && same(&one.1, &other.1, now)
                    })
            }
            (None, None) => true,
            _ => false,
        };
        if !equal {
            let (_, role, version, path) = CONNECTIONS[number];
            let what = format!(
                "connection {number} ({role:?} {version} {}): {} {}",
                path.escape_ascii(),
                request.kind,
                request.text
            );
            self.differ(&what, &real, &ours);
        }
        if real.is_none() || ours.is_none() {
            let reconnected = self.connect(number);
            reconnected.with_context(|| {
                format!(
                    "after {} {}\n{}",
                    request.kind,
                    request.text,
                    self.differences.join("\n")
                )
            })?;
        }
        Ok(ours)
    }

    /// Whether a request would kill the real master or break its directories: a directory that moves
    /// into itself, a name that moves onto itself.
    fn is_deadly(&mut self, number: usize, request: &Request) -> Result<bool> {
        let version = CONNECTIONS[number].2;
        if request.kind != kind::RENAME {
            return Ok(false);
        }
        let Ok(rename) = Rename::decode(&request.payload, version) else {
            return Ok(true);
        };
        let caller = Credentials {
            uid: 0,
            gids: if version.has_gid_lists() {
                Gids::listed(&[0])
            } else {
                Gids::Single(0)
            },
        };
        let mut found = Vec::new();
        for (parent, name) in [
            (rename.parent, rename.name),
            (rename.new_parent, rename.new_name),
        ] {
            let lookup = Lookup {
                msgid: rename.msgid,
                parent,
                name,
                caller,
            };
            let mut payload = Vec::new();
            lookup.encode(version, &mut payload);
            let text = format!("{lookup:?}");
            let kind = kind::LOOKUP;
            let answer = self.exchange(
                number,
                &Request {
                    kind,
                    text,
                    payload,
                },
            )?;
            let inode = answer.into_iter().flatten().find_map(|(kind, payload)| {
                let is_reply = kind == kind::reply(kind::LOOKUP) && payload.len() > 5;
                let word = payload.get(4..8).filter(|_| is_reply)?;
                Some(u32::from_be_bytes(word.try_into().ok()?))
            });
            found.push(inode);
        }
        let into_itself = found[0] == Some(rename.new_parent.0);
        let onto_itself = found[0].is_some() && found[0] == found[1];
        Ok(into_itself || onto_itself)
    }

    /// Whether a list of open files names an inode that does not exist: the real master keeps it.
    fn names_missing(&mut self, number: usize, request: &Request) -> Result<bool> {
        if request.kind != kind::SUSTAINED_INODES {
            return Ok(false);
        }
        let inodes: Vec<u32> = request
            .payload
            .chunks_exact(4)
            .filter_map(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?)))
            .collect();
        for inode in inodes {
            let mut payload = vec![0, 0, 0, 1];
            payload.extend_from_slice(&inode.to_be_bytes());
            let text = format!("of {inode}");
            let getattr = Request {
                kind: kind::GETATTR,
                text,
                payload,
            };
            let answer = self.exchange(number, &getattr)?;
            let exists =
                answer.is_some_and(|packets| packets.iter().any(|(_, payload)| payload.len() > 5));
            if !exists {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn requests(&mut self, count: u32) -> Result<()> {
        let numbers: Vec<usize> = SHARES
            .iter()
            .enumerate()
            .flat_map(|(number, &share)| std::iter::repeat_n(number, share))
            .collect();
        for _ in 0..count {
            let number = self.requests.dice.pick(&numbers);
            let (_, role, version, _) = CONNECTIONS[number];
            let Some(request) = self.requests.next(role, version) else {
                continue;
            };
            if self.is_deadly(number, &request)? || self.names_missing(number, &request)? {
                continue;
            }
            self.exchange(number, &request)?;
            if std::env::var_os("LAB_PROBE").is_some() {
                self.probe(&request)?;
            }
            if self.differences.len() >= DIFFERENCES_MAX {
                break;
            }
        }
        Ok(())
    }

    /// Looks at the root directory, to find the request after which the states differ.
    fn probe(&mut self, after: &Request) -> Result<()> {
        let before = self.differences.len();
        let readdir = Readdir {
            msgid: 0,
            inode: Inode::ROOT,
            caller: Credentials {
                uid: 0,
                gids: Gids::listed(&[0]),
            },
            flags: 1,
            page: Some(Page {
                entries_max: u32::MAX,
                edge: 0,
            }),
        };
        let mut payload = Vec::new();
        readdir.encode(Version::CURRENT, &mut payload);
        let text = "probe".to_owned();
        self.exchange(
            0,
            &Request {
                kind: kind::READDIR,
                text,
                payload,
            },
        )?;
        if self.differences.len() > before {
            self.differences
                .push(format!("after {} {}", after.kind, after.text));
        }
        Ok(())
    }

    fn compare_changelogs(&mut self) -> Result<()> {
        // The last lines may still be on their way to the file.
        std::thread::sleep(std::time::Duration::from_millis(1_200));
        let (real, ours) = (self.real.lines()?, self.ours.lines()?);
        let first = real
            .iter()
            .zip(&ours)
            .position(|(real, ours)| real != ours)
            .unwrap_or(real.len().min(ours.len()));
        if first < real.len().max(ours.len()) {
            let show = |lines: &[String]| {
                let from = first.saturating_sub(2).min(lines.len());
                let to = (first + 4).min(lines.len());
                lines[from..to].join("\n    ")
            };
            self.differences.push(format!(
                "changelog, line {first}\n  3.0.117\n    {}\n  ours\n    {}",
                show(&real),
                show(&ours)
            ));
        }
        Ok(())
    }
}

#[test]
fn random_requests_get_the_same_answers() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let seeds = match std::env::var("LAB_SEED") {
        Ok(seed) => vec![seed.parse()?],
        Err(_) if std::env::var_os("LAB_LONG").is_some() => (1..=LONG_SEEDS).collect(),
        Err(_) => SEEDS.to_vec(),
    };
    for seed in seeds {
        let mut run = Run::start(seed)?;
        run.requests(REQUESTS)
            .with_context(|| format!("seed {seed}"))?;
        run.compare_changelogs()?;
        ensure!(
            run.differences.is_empty(),
            "seed {seed}: LAB_SEED={seed} cargo test -p lab --test protocol\n{}",
            run.differences.join("\n")
        );
    }
    Ok(())
}
