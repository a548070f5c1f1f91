//! The data port (chunkserver §3): one task a connection, one request at a time.

pub mod chain;
pub mod frame;
pub mod local_writer;
pub mod peers;
mod probe;
mod read;
pub mod replicate;
mod write;

pub use probe::look;

use crate::admin;
use crate::limits::CONNECTIONS_MAX;
use crate::server::Server;
use frame::{Frame, FrameReader, send};
use proto::Malformed;
use proto::chunkserver::{
    DATA_PAYLOAD_MAX, GetChunkBlocks, GetChunkChecksum, GetChunkChecksumTable, Read, Write,
};
use proto::common::Nop;
use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep_until};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;
/// An idle connection gets a sign of life when nothing was sent for so long.
const NOP_AFTER: Duration = Duration::from_millis(1667);
/// An idle connection is closed when nothing was received for so long.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// Pause after an accept that failed: the process has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The connection is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl From<io::Error> for Closed {
    fn from(_: io::Error) -> Closed {
        Closed
    }
}

impl From<Malformed> for Closed {
    fn from(_: Malformed) -> Closed {
        Closed
    }
}

/// A connection to the data port.
pub struct Link {
    server: Arc<Server>,
    stream: TcpStream,
    reader: FrameReader,
}

impl Link {
    async fn send(&self, bytes: &[u8]) -> Result<(), Closed> {
        send(&self.stream, bytes).await?;
        self.note_sent(bytes.len());
        Ok(())
    }

    fn note_sent(&self, bytes: usize) {
        self.server.counters.clients_out.add(bytes as u64);
    }

    fn note_received(&self, bytes: usize) {
        self.server.counters.clients_in.add(bytes as u64);
    }
}

/// Binds the data port.
pub fn bind(address: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address.into())?;
    socket.listen(BACKLOG)
}

/// Accepts connections until the task is aborted.
pub async fn accept(server: Arc<Server>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let count = server.connections.fetch_add(1, Ordering::Relaxed);
                if count >= CONNECTIONS_MAX {
                    server.connections.fetch_sub(1, Ordering::Relaxed);
                    continue;
                }
                let server = Arc::clone(&server);
                tokio::spawn(async move {
                    let connections = Arc::clone(&server);
                    serve(server, stream).await;
                    connections.connections.fetch_sub(1, Ordering::Relaxed);
                });
            }
            Err(error) => {
                tracing::warn!(
                    "main server module: accept error: {}",
                    daemon::errno::describe(&error)
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(server: Arc<Server>, stream: TcpStream) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut link = Link {
        server,
        stream,
        reader: FrameReader::new(DATA_PAYLOAD_MAX),
    };
    // Every end of a connection is as good as another: what matters was said before.
    let Err(Closed) = idle(&mut link).await;
}

/// Between requests.
async fn idle(link: &mut Link) -> Result<std::convert::Infallible, Closed> {
    let (mut heard, mut said) = (Instant::now(), Instant::now());
    loop {
        let wake = (heard + IDLE_MAX).min(said + NOP_AFTER);
        tokio::select! {
            frame = link.reader.next(&link.stream) => {
                let frame = frame?.ok_or(Closed)?;
                link.note_received(frame.payload().len());
                if frame.kind != Nop::KIND {
                    request(link, frame).await?;
                    said = Instant::now();
                }
                heard = Instant::now();
            }
            () = sleep_until(wake) => {
                let now = Instant::now();
                if now >= heard + IDLE_MAX {
                    return Err(Closed);
                }
                let mut nop = Vec::new();
                Nop {}.encode(&mut nop);
                link.send(&nop).await?;
                said = now;
            }
        }
    }
}

/// Serves one request to its end.
async fn request(link: &mut Link, frame: Frame) -> Result<(), Closed> {
    let payload = frame.payload();
    match frame.kind {
        Read::KIND => read::serve(link, Read::decode(payload)?).await,
        Write::KIND => write::serve(link, Write::decode(payload)?).await,
        GetChunkBlocks::KIND => probe::blocks(link, GetChunkBlocks::decode(payload)?).await,
        GetChunkChecksum::KIND => probe::checksum(link, GetChunkChecksum::decode(payload)?).await,
        GetChunkChecksumTable::KIND => {
            probe::table(link, GetChunkChecksumTable::decode(payload)?).await
        }
        kind => {
            let mut out = Vec::new();
            admin::answer(&link.server, kind, payload, &mut out)?;
            link.send(&out).await
        }
    }
}
