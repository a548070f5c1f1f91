//! Idle connections, and what is known about the servers.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Connection, Failure};
use super::load::Load;
use crate::operations::ChunkServer;

/// Idle connections kept at most.
const IDLE_MAX: usize = 200;
/// How often idle connections are looked after.
const VISIT: Duration = Duration::from_millis(500);
/// Connections idle for longer are closed.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// Type 0, no payload.
const NOP: [u8; 8] = [0; 8];

struct Idle {
    connection: Connection,
    since: Instant,
}

#[derive(Default)]
struct Inner {
    idle: HashMap<SocketAddrV4, Vec<Idle>>,
    idle_count: usize,
    load: Load,
    caretaker: bool,
}

/// All connections of a mount to data ports.
pub(crate) struct Pool {
    inner: Mutex<Inner>,
    bind: Option<Ipv4Addr>,
}

/// Counts an operation at a server as long as it lives.
pub(crate) struct Busy<'a> {
    pool: &'a Pool,
    address: SocketAddrV4,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.pool.lock().load.end(self.address);
    }
}

impl Pool {
    pub(crate) fn new(bind: Option<Ipv4Addr>) -> Arc<Pool> {
        Arc::new(Pool {
            inner: Mutex::default(),
            bind,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection: an idle one, or a new one. `failures` so far make it more patient.
    pub(crate) async fn connect(
        &self,
        address: SocketAddrV4,
        failures: u32,
    ) -> Result<Connection, Failure> {
        if let Some(connection) = self.take_idle(address) {
            return Ok(connection);
        }
        self.connect_new(address, failures).await
    }

    /// A new connection, after an idle one turned out to be closed.
    pub(crate) async fn connect_new(
        &self,
        address: SocketAddrV4,
        failures: u32,
    ) -> Result<Connection, Failure> {
        let attempts = (2 * failures as usize + 2).min(10);
        Connection::open(address, self.bind, attempts).await
    }

    fn take_idle(&self, address: SocketAddrV4) -> Option<Connection> {
        let mut inner = self.lock();
        let idle = inner.idle.get_mut(&address)?.pop()?;
        inner.idle_count -= 1;
        Some(idle.connection)
    }

    /// Keeps a connection whose request is finished.
    pub(crate) fn put_back(self: &Arc<Self>, mut connection: Connection) {
        connection.is_used = true;
        connection.input.clear();
        // The memory of a large read is not needed while idle.
        connection.input = bytes::BytesMut::new();
        let mut inner = self.lock();
        if inner.idle_count >= IDLE_MAX {
            return;
        }
        inner.idle_count += 1;
        inner
            .idle
            .entry(connection.address)
            .or_default()
            .push(Idle {
                connection,
                since: Instant::now(),
            });
        if !inner.caretaker {
            inner.caretaker = true;
            tokio::spawn(look_after(Arc::downgrade(self)));
        }
    }

    /// Counts an operation at a server until the value is dropped.
    pub(crate) fn busy(&self, address: SocketAddrV4) -> Busy<'_> {
        self.lock().load.begin(address);
        Busy {
            pool: self,
            address,
        }
    }

    /// The server failed: others are preferred for a while.
    pub(crate) fn failed(&self, address: SocketAddrV4) {
        let mut inner = self.lock();
        inner.load.failed(address, Instant::now());
        // What is idle at a server that failed is not worth a try.
        if let Some(idle) = inner.idle.remove(&address) {
            inner.idle_count -= idle.len();
        }
    }

    /// The server answered so long after the request.
    pub(crate) fn answered(&self, address: SocketAddrV4, after: Duration) {
        self.lock().load.answered(address, after);
    }

    /// Average time to the first byte; zero if unknown.
    pub(crate) fn response(&self, address: SocketAddrV4) -> Duration {
        self.lock().load.response(address)
    }

    /// The best server for a read.
    pub(crate) fn choose(
        &self,
        servers: &[ChunkServer],
        rank: impl Fn(&ChunkServer) -> usize,
        except: Option<SocketAddrV4>,
    ) -> Option<ChunkServer> {
        self.lock()
            .load
            .choose(servers, rank, except, Instant::now())
    }

    /// Keeps sound connections alive and drops the others.
    fn visit(&self) {
        let now = Instant::now();
        let mut inner = self.lock();
        inner.load.tidy(now);
        let mut count = 0;
        inner.idle.retain(|_, connections| {
            connections.retain_mut(|idle| {
                now.duration_since(idle.since) < IDLE_TIME_MAX && is_sound(&idle.connection)
            });
            count += connections.len();
            !connections.is_empty()
        });
        inner.idle_count = count;
    }
}

/// Reads what the server sent, which may be NOPs only, and sends one.
fn is_sound(connection: &Connection) -> bool {
    let mut buffer = [0; 64];
    loop {
        match connection.stream.try_read(&mut buffer) {
            Ok(0) => return false,
            Ok(count) if buffer[..count].iter().any(|byte| *byte != 0) => return false,
            // A NOP is never split: it is sent in one piece.
            Ok(count) if !count.is_multiple_of(NOP.len()) => return false,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(_) => return false,
        }
    }
    connection.stream.try_write(&NOP).is_ok()
}

async fn look_after(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(VISIT).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.visit();
        let mut inner = pool.lock();
        if inner.idle_count == 0 {
            inner.caretaker = false;
            return;
        }
    }
}
