//! One connection to a data port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use bytes::BytesMut;
use proto::Status;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// No byte for this long: the server failed (client-behaviour §11.4).
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(2);
/// A NOP goes out when nothing was sent for this long.
pub(crate) const NOP_AFTER: Duration = Duration::from_secs(1);
/// Limits of the attempts to connect.
const ATTEMPTS_MS: [u64; 10] = [200, 300, 400, 600, 800, 1200, 1600, 2400, 3200, 4800];

/// Why a conversation with a chunkserver ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// No connection.
    #[error("can't connect")]
    Connect,
    /// Nothing came for two seconds.
    #[error("no byte for two seconds")]
    Silence,
    /// The connection broke.
    #[error("connection lost")]
    Lost,
    /// What came is not what was asked for.
    #[error("malformed answer")]
    Malformed,
    /// Damaged on the way.
    #[error("CRC error")]
    Crc,
    /// The server refused.
    #[error("{0}")]
    Status(Status),
}

/// A connection to a data port.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    /// Received and not read yet.
    pub(crate) input: BytesMut,
    pub(crate) address: SocketAddrV4,
    /// Whether it came from the pool: the server may have closed it.
    pub(crate) is_used: bool,
}

impl Connection {
    /// Connects, with `attempts` attempts of growing patience.
    pub(super) async fn open(
        address: SocketAddrV4,
        bind: Option<Ipv4Addr>,
        attempts: usize,
    ) -> Result<Connection, Failure> {
        for limit_ms in ATTEMPTS_MS.iter().take(attempts) {
            let attempt = connect(address, bind);
            match timeout(Duration::from_millis(*limit_ms), attempt).await {
                Ok(Ok(stream)) => {
                    // Without it answers are only slower.
                    let _ = stream.set_nodelay(true);
                    return Ok(Connection {
                        stream,
                        input: BytesMut::new(),
                        address,
                        is_used: false,
                    });
                }
                // Refused: asking again at once changes nothing.
                Ok(Err(_)) => return Err(Failure::Connect),
                Err(_) => {}
            }
        }
        Err(Failure::Connect)
    }

    /// Writes all, or fails after two seconds without progress.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            match self.stream.try_write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    timeout(SILENCE_MAX, self.stream.writable())
                        .await
                        .map_err(|_| Failure::Silence)?
                        .map_err(|_| Failure::Lost)?;
                }
                Err(_) => return Err(Failure::Lost),
            }
        }
        Ok(())
    }
}

async fn connect(address: SocketAddrV4, bind: Option<Ipv4Addr>) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(ip) = bind {
        socket.bind(SocketAddr::from((ip, 0)))?;
    }
    socket.connect(address.into()).await
}
