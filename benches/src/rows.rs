//! Operations per second and CPU per operation, in rows of operation, connections and window.

use crate::load::{End, Load, Outcome, Shape};
use crate::request;
use crate::target::Target;
use anyhow::{Context, Result, ensure};
use proto::Inode;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Directories of the tree that is looked at.
const DIRECTORIES: u32 = 100;
/// Files in each.
const FILES: u32 = 1000;
/// Files in each directory that is listed.
const LISTED: u32 = 16;

/// Operations in the order in which they are measured.
pub const OPERATIONS: [&str; 8] = [
    "lookup", "getattr", "setattr", "create", "mkdir", "rename", "unlink", "readdir",
];

/// Connections and requests in flight on each.
pub const SHAPES: [Shape; 6] = [
    Shape {
        connections: 1,
        window: 1,
    },
    Shape {
        connections: 8,
        window: 1,
    },
    Shape {
        connections: 64,
        window: 1,
    },
    Shape {
        connections: 1,
        window: 16,
    },
    Shape {
        connections: 8,
        window: 16,
    },
    Shape {
        connections: 64,
        window: 16,
    },
];

/// One measurement.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Operations per second.
    pub rate: f64,
    /// Microseconds of CPU for each operation, all processes and threads.
    pub cpu_micros: f64,
    /// Median latency, microseconds.
    pub p50_micros: u64,
    /// 99th percentile, microseconds.
    pub p99_micros: u64,
    /// Longest, microseconds.
    pub longest_micros: u64,
}

/// The tree on one master, and how often each measurement was made.
#[derive(Debug)]
pub struct Tree {
    directories: Vec<Inode>,
    files: Vec<Inode>,
    listed: Inode,
    runs: u32,
}

fn file_name(number: u64) -> Vec<u8> {
    format!("file{number:06}").into_bytes()
}

/// Inode in a reply of MKDIR, MKNOD or, behind its flags, CREATE.
fn inode_of(reply: &[u8]) -> Result<Inode> {
    let bytes = match reply.len() {
        44 => reply.get(4..8),
        _ => reply.get(5..9),
    };
    let bytes: [u8; 4] = bytes.context("short reply")?.try_into()?;
    Ok(Inode(u32::from_be_bytes(bytes)))
}

fn make_directory(address: SocketAddr, parent: Inode, name: &str) -> Result<Inode> {
    let mut stream = TcpStream::connect(address)?;
    request::register(&mut stream)?;
    let mut out = Vec::new();
    request::mkdir(&mut out, 1, parent, name.as_bytes());
    inode_of(&request::ask(&mut stream, &out)?)
}

impl Tree {
    /// Builds the tree.
    pub fn build(target: &Target) -> Result<Tree> {
        target.inside(|address| {
            let mut stream = TcpStream::connect(address)?;
            request::register(&mut stream)?;
            let mut tree = Tree {
                directories: Vec::new(),
                files: Vec::new(),
                listed: Inode(0),
                runs: 0,
            };
            let mut out = Vec::new();
            request::mkdir(&mut out, 1, Inode::ROOT, b"listed");
            tree.listed = inode_of(&request::ask(&mut stream, &out)?)?;
            for number in 0..LISTED {
                out.clear();
                request::mknod(&mut out, 1, tree.listed, &file_name(number.into()));
                request::ask(&mut stream, &out)?;
            }
            for directory in 0..DIRECTORIES {
                out.clear();
                request::mkdir(
                    &mut out,
                    1,
                    Inode::ROOT,
                    format!("dir{directory:03}").as_bytes(),
                );
                let parent = inode_of(&request::ask(&mut stream, &out)?)?;
                tree.directories.push(parent);
                out.clear();
                for number in 0..FILES {
                    request::mknod(&mut out, 1, parent, &file_name(number.into()));
                }
                for reply in request::ask_all(&mut stream, &out, FILES as usize)? {
                    tree.files.push(inode_of(&reply)?);
                }
            }
            Ok(tree)
        })
    }

    /// Measures one row once.
    pub fn measure(
        &mut self,
        target: &Target,
        operation: &str,
        shape: Shape,
        time: Duration,
    ) -> Result<Sample> {
        self.runs += 1;
        let run = self.runs;
        let tree = &*self;
        target.inside(|address| {
            let mut load = Load::connect(address, shape.connections)?;
            let before;
            let outcome = match operation {
                "create" | "mkdir" | "unlink" | "rename" => {
                    // Each connection has a directory of its own.
                    let mut parents = Vec::new();
                    for connection in 0..shape.connections {
                        let name = format!("{operation}-{run}-{connection}");
                        parents.push(make_directory(address, Inode::ROOT, &name)?);
                    }
                    let parent = |connection: usize| parents[connection];
                    match operation {
                        "create" => {
                            before = target.cpu();
                            load.run(
                                shape.window,
                                End::After(time),
                                &mut |out: &mut Vec<u8>, msgid, c, n| {
                                    request::create(out, msgid, parent(c), &file_name(n));
                                },
                            )?
                        }
                        "mkdir" => {
                            before = target.cpu();
                            load.run(
                                shape.window,
                                End::After(time),
                                &mut |out: &mut Vec<u8>, msgid, c, n| {
                                    request::mkdir(out, msgid, parent(c), &file_name(n));
                                },
                            )?
                        }
                        "unlink" => {
                            // As many as the master creates in the time.
                            let made = load.run(
                                16,
                                End::After(time),
                                &mut |out: &mut Vec<u8>, msgid, c, n| {
                                    request::mknod(out, msgid, parent(c), &file_name(n));
                                },
                            )?;
                            let each = made.per_connection.iter().copied().min().unwrap_or(0);
                            before = target.cpu();
                            load.run(
                                shape.window,
                                End::Each(each),
                                &mut |out: &mut Vec<u8>, msgid, c, n| {
                                    request::unlink(out, msgid, parent(c), &file_name(n));
                                },
                            )?
                        }
                        _ => {
                            let count = 256;
                            load.run(
                                16,
                                End::Each(count),
                                &mut |out: &mut Vec<u8>, msgid, c, n| {
                                    request::mknod(out, msgid, parent(c), &file_name(n));
                                },
                            )?;
                            before = target.cpu();
                            load.run(
                                shape.window,
                                End::After(time),
                                &mut |out: &mut Vec<u8>, msgid, c, n: u64| {
                                    // Every file goes there and back again.
                                    let (slot, back) = (n % count, (n / count) % 2 == 1);
                                    let (here, there) =
                                        (file_name(slot), format!("moved{slot:05}").into_bytes());
                                    if back {
                                        request::rename(out, msgid, parent(c), &there, &here);
                                    } else {
                                        request::rename(out, msgid, parent(c), &here, &there);
                                    }
                                },
                            )?
                        }
                    }
                }
                _ => {
                    before = target.cpu();
                    load.run(
                        shape.window,
                        End::After(time),
                        &mut |out: &mut Vec<u8>, msgid, c, n| {
                            tree.look(operation, out, msgid, c, n);
                        },
                    )?
                }
            };
            let cpu = target.cpu().saturating_sub(before);
            sample(&outcome, cpu)
        })
    }

    fn look(&self, operation: &str, out: &mut Vec<u8>, msgid: u32, connection: usize, number: u64) {
        // A full-period walk over the tree that jumps between directories.
        let at =
            (number.wrapping_mul(7919) + connection as u64 * 104_729) as usize % self.files.len();
        let file = self.files[at];
        match operation {
            "lookup" => {
                let parent = self.directories[at / FILES as usize];
                request::lookup(out, msgid, parent, &file_name(at as u64 % u64::from(FILES)));
            }
            "getattr" => request::getattr(out, msgid, file),
            "setattr" => request::set_mode(out, msgid, file, 0o600 + (number % 2) as u16 * 0o44),
            _ => request::readdir(out, msgid, self.listed),
        }
    }
}

fn sample(outcome: &Outcome, cpu: Duration) -> Result<Sample> {
    ensure!(
        outcome.refused == 0,
        "{} of {} requests were refused",
        outcome.refused,
        outcome.done
    );
    let done = outcome.done.max(1) as f64;
    Ok(Sample {
        rate: done / outcome.elapsed.as_secs_f64(),
        cpu_micros: cpu.as_secs_f64() * 1e6 / done,
        p50_micros: outcome.latency.value_at_quantile(0.5),
        p99_micros: outcome.latency.value_at_quantile(0.99),
        longest_micros: outcome.latency.max(),
    })
}

/// The median of each figure.
pub fn median(samples: &[Sample]) -> Sample {
    let pick = |figure: &dyn Fn(&Sample) -> f64| {
        let mut values: Vec<f64> = samples.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Sample {
        rate: pick(&|sample| sample.rate),
        cpu_micros: pick(&|sample| sample.cpu_micros),
        p50_micros: pick(&|sample| sample.p50_micros as f64) as u64,
        p99_micros: pick(&|sample| sample.p99_micros as f64) as u64,
        longest_micros: pick(&|sample| sample.longest_micros as f64) as u64,
    }
}
