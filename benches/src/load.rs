//! The load generator: many connections with many requests in flight on each, from one thread.

use crate::request::{self, Kind, Maker};
use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use rustix::event::epoll;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Bytes read at once.
const READ_SIZE: usize = 256 << 10;
/// Longest latency that is told apart, microseconds.
pub const LATENCY_MAX_MICROS: u64 = 60_000_000;
/// How long a master may stay silent before the run is given up.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// How hard to push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Connections.
    pub connections: usize,
    /// Requests in flight on each.
    pub window: usize,
}

/// When to end.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// After a time.
    After(Duration),
    /// When every connection has done so many requests.
    Each(u64),
}

/// What a run brought.
#[derive(Debug)]
pub struct Outcome {
    /// Requests answered.
    pub done: u64,
    /// Of these, answered with an error status.
    pub refused: u64,
    /// Requests answered on each connection.
    pub per_connection: Vec<u64>,
    /// Time from the first request to the last reply.
    pub elapsed: Duration,
    /// Microseconds from sending a request to its reply.
    pub latency: Histogram<u64>,
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: VecDeque<Instant>,
    issued: u64,
    done: u64,
    msgid: u32,
}

/// A set of registered connections to one master.
pub struct Load {
    connections: Vec<Connection>,
    epoll: std::os::fd::OwnedFd,
}

impl Load {
    /// Connects and registers one session per connection.
    pub fn connect(address: SocketAddr, count: usize) -> Result<Load> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(count);
        for index in 0..count {
            let mut stream = TcpStream::connect(address).context("connect")?;
            stream.set_nodelay(true)?;
            request::register(&mut stream)?;
            stream.set_nonblocking(true)?;
            epoll::add(
                &epoll,
                &stream,
                epoll::EventData::new_u64(index as u64),
                epoll::EventFlags::IN,
            )?;
            connections.push(Connection {
                stream,
                input: Vec::new(),
                output: Vec::new(),
                sent: VecDeque::new(),
                issued: 0,
                done: 0,
                msgid: 1,
            });
        }
        Ok(Load { connections, epoll })
    }

    /// Runs one kind of request over all connections.
    pub fn run(&mut self, window: usize, end: End, maker: &mut dyn Maker) -> Result<Outcome> {
        let began = Instant::now();
        let deadline = match end {
            End::After(time) => began + time,
            End::Each(_) => began + Duration::from_secs(3600),
        };
        let limit = match end {
            End::After(_) => u64::MAX,
            End::Each(count) => count,
        };
        let mut latency = Histogram::new_with_bounds(1, LATENCY_MAX_MICROS, 3)?;
        let mut refused = 0;
        for (index, connection) in self.connections.iter_mut().enumerate() {
            connection.issued = 0;
            connection.done = 0;
            connection.fill(index, window, limit, maker);
            connection.flush()?;
        }
        let mut buffer = vec![0; READ_SIZE];
        let mut events = Vec::with_capacity(64);
        let mut heard = Instant::now();
        let mut running = true;
        loop {
            let idle = self
                .connections
                .iter()
                .all(|connection| connection.sent.is_empty());
            if idle && (!running || self.connections.iter().all(|c| c.done >= limit)) {
                break;
            }
            events.clear();
            let timeout = rustix::event::Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            };
            epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&timeout),
            )?;
            let now = Instant::now();
            if !events.is_empty() {
                heard = now;
            }
            ensure!(
                now.duration_since(heard) < SILENCE_MAX,
                "the master is silent"
            );
            running = running && now < deadline;
            for event in &events {
                let index = usize::try_from(event.data.u64())?;
                let Some(connection) = self.connections.get_mut(index) else {
                    continue;
                };
                refused += connection.take_replies(&mut buffer, &mut latency)?;
                if running {
                    connection.fill(index, window, limit, maker);
                }
                connection.flush()?;
            }
        }
        Ok(Outcome {
            done: self.connections.iter().map(|c| c.done).sum(),
            refused,
            per_connection: self.connections.iter().map(|c| c.done).collect(),
            elapsed: began.elapsed(),
            latency,
        })
    }
}

impl Connection {
    /// Issues requests until the window is full.
    fn fill(&mut self, index: usize, window: usize, limit: u64, maker: &mut dyn Maker) {
        let now = Instant::now();
        while self.sent.len() < window && self.issued < limit {
            self.msgid = if self.msgid == u32::MAX {
                1
            } else {
                self.msgid + 1
            };
            maker.make(&mut self.output, self.msgid, index, self.issued);
            self.issued += 1;
            self.sent.push_back(now);
        }
    }

    fn flush(&mut self) -> Result<()> {
        let mut written = 0;
        while written < self.output.len() {
            match self.stream.write(&self.output[written..]) {
                Ok(count) => written += count,
                // Windows are small: the kernel's buffer takes them unless the master stalls.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_micros(50));
                }
                Err(error) => return Err(error).context("send"),
            }
        }
        self.output.clear();
        Ok(())
    }

    /// Reads once; says how many replies carried an error status.
    fn take_replies(&mut self, buffer: &mut [u8], latency: &mut Histogram<u64>) -> Result<u64> {
        let count = match self.stream.read(buffer) {
            Ok(0) => bail!("the master closed the connection"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error).context("receive"),
        };
        self.input.extend_from_slice(&buffer[..count]);
        let now = Instant::now();
        let mut refused = 0;
        let mut at = 0;
        while let Some(frame) = proto::frame::split_frame(&self.input[at..], u32::MAX)? {
            at += frame.consumed;
            match request::classify(frame.kind, frame.payload) {
                Kind::Push => continue,
                Kind::Answered => {}
                Kind::Refused => refused += 1,
            }
            let sent = self
                .sent
                .pop_front()
                .context("a reply that nobody asked for")?;
            self.done += 1;
            let micros = u64::try_from(now.duration_since(sent).as_micros())?;
            latency.saturating_record(micros);
        }
        self.input.drain(..at);
        Ok(refused)
    }
}
