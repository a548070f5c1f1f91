//! Connections to other chunkservers: the next one of a write chain, sources of replications
//! (chunkserver §3.4.1, §3.4.3, §3.7).

use super::frame::{Frame, FrameReader, send};
use parking_lot::Mutex;
use proto::chunkserver::DATA_PAYLOAD_MAX;
use proto::common::Nop;
use std::io;
use std::net::SocketAddrV4;
use std::sync::Weak;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Connections that are kept for the next chain.
const KEPT_MAX: usize = 250;
/// A kept connection gets a sign of life this often.
const NOP_EVERY: Duration = Duration::from_millis(500);
/// A kept connection that nobody wants is closed after this time.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// Time limits of the attempts to connect, milliseconds. Whoever waits for the chain gives up
/// before the last one.
const ATTEMPTS_MS: [u64; 10] = [200, 300, 400, 600, 800, 1200, 1600, 2400, 3200, 4800];

/// A connection to the data port of another server.
#[derive(Debug)]
pub struct Peer {
    /// Where it leads.
    pub address: SocketAddrV4,
    /// The socket.
    pub stream: TcpStream,
    /// Cuts its packets.
    pub reader: FrameReader,
}

impl Peer {
    async fn connect(address: SocketAddrV4, limit: Duration) -> io::Result<Peer> {
        let stream = timeout(limit, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Peer {
            address,
            stream,
            reader: FrameReader::new(DATA_PAYLOAD_MAX),
        })
    }

    /// Connects, once, within `limit`.
    pub async fn connect_once(address: SocketAddrV4, limit: Duration) -> io::Result<Peer> {
        Peer::connect(address, limit).await
    }

    /// Sends bytes.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        send(&self.stream, bytes).await
    }

    /// The next packet that says something; `None` when the peer has closed.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            match self.reader.next(&self.stream).await? {
                Some(frame) if frame.kind == Nop::KIND => {}
                other => return Ok(other),
            }
        }
    }
}

/// Idle connections to next servers of write chains.
#[derive(Debug, Default)]
pub struct PeerCache {
    kept: Mutex<Vec<(Peer, Instant)>>,
}

impl PeerCache {
    /// A connection to a server: a kept one, or a new one after up to ten attempts.
    pub async fn connect(&self, address: SocketAddrV4) -> io::Result<Peer> {
        if let Some(peer) = self.take(address) {
            return Ok(peer);
        }
        let mut last = io::Error::from(io::ErrorKind::TimedOut);
        for limit in ATTEMPTS_MS {
            match Peer::connect(address, Duration::from_millis(limit)).await {
                Ok(peer) => return Ok(peer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn take(&self, address: SocketAddrV4) -> Option<Peer> {
        let mut kept = self.kept.lock();
        loop {
            let place = kept.iter().rposition(|(peer, _)| peer.address == address)?;
            let (peer, _) = kept.swap_remove(place);
            if is_alive(&peer) {
                return Some(peer);
            }
        }
    }

    /// Keeps a connection on which nothing is under way.
    pub fn keep(&self, peer: Peer) {
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT_MAX
            && let Some(oldest) = (0..kept.len()).min_by_key(|&place| kept[place].1)
        {
            kept.swap_remove(oldest);
        }
        kept.push((peer, Instant::now()));
    }

    fn refresh(&self) {
        let mut nop = Vec::new();
        Nop {}.encode(&mut nop);
        self.kept.lock().retain(|(peer, since)| {
            since.elapsed() < KEPT_FOR
                && is_alive(peer)
                && peer
                    .stream
                    .try_write(&nop)
                    .is_ok_and(|count| count == nop.len())
        });
    }
}

/// Whether an idle connection is open. Signs of life that wait on it are read away.
fn is_alive(peer: &Peer) -> bool {
    let mut nops = [0; 64];
    loop {
        return match peer.stream.try_read(&mut nops) {
            Ok(0) => false,
            // Whole signs of life are zeros; a half one would put the next packet out of step.
            Ok(count) if count % 8 == 0 && nops[..count].iter().all(|&byte| byte == 0) => continue,
            Ok(_) => false,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
    }
}

/// Keeps the kept connections alive as long as the cache lives.
pub async fn keep_alive(cache: Weak<PeerCache>) {
    let mut tick = tokio::time::interval(NOP_EVERY);
    loop {
        tick.tick().await;
        match cache.upgrade() {
            Some(cache) => cache.refresh(),
            None => return,
        }
    }
}
