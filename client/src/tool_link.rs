//! How a tool talks to the master of a mount: over the mount's proxy, or directly as part of the
//! mount's session (wire-client-master §7.6).

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proto::client::register::{Register, Registered, SessionReply};
use proto::client::{Message, kind};
use proto::frame::{HEADER_LEN, put_frame, split_frame};
use proto::{Malformed, Reader, SessionId, Status, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::master_link::Reply;
use crate::session::CLIENT_VERSION;

/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Attempts to connect.
const TRIES: u32 = 10;
/// Limit of the first attempt to connect; the others have more, up to ten times.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(200);
/// Most bytes of one answer.
const ANSWER_BYTES_MAX: u32 = 1 << 30;

/// Content of `.masterinfo`: where the mount's proxy or master is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterInfo {
    /// Proxy of the mount, or the master.
    pub address: SocketAddrV4,
    /// Session of the mount.
    pub session: SessionId,
    /// Version of the master; very old mounts do not tell.
    pub version: Version,
}

/// Name of the file in every directory of a mount.
pub const MASTER_INFO_NAME: &str = ".masterinfo";

impl MasterInfo {
    /// Reads the 14 or 10 bytes of the file.
    pub fn decode(content: &[u8]) -> std::result::Result<MasterInfo, Malformed> {
        let mut reader = Reader::new(content);
        let info = MasterInfo {
            address: reader.get()?,
            session: reader.get()?,
            version: if reader.is_empty() {
                Version(0)
            } else {
                reader.get()?
            },
        };
        reader.finish()?;
        Ok(info)
    }

    /// The 14 bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        use proto::Put as _;
        let mut out = Vec::with_capacity(14);
        out.put(self.address);
        out.put(self.session);
        out.put(self.version);
        out
    }

    /// Reads the file in a directory of a mount. An error that no mount is there has
    /// [`io::ErrorKind::NotFound`] or [`io::ErrorKind::InvalidData`].
    pub fn of_directory(directory: &Path) -> io::Result<MasterInfo> {
        let content = std::fs::read(directory.join(MASTER_INFO_NAME))?;
        MasterInfo::decode(&content)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not a .masterinfo"))
    }
}

/// A tool's connection. One request at a time.
#[derive(Debug)]
pub struct ToolLink {
    stream: TcpStream,
    input: BytesMut,
    info: MasterInfo,
}

impl ToolLink {
    /// Connects and registers as a tool of the mount's session.
    pub async fn connect(info: MasterInfo) -> Result<ToolLink> {
        let mut link = ToolLink {
            stream: connect(info.address).await?,
            input: BytesMut::new(),
            info,
        };
        let mut packet = Vec::new();
        put_frame(&mut packet, kind::REGISTER, |out| {
            Register::Tools {
                session: info.session,
                version: CLIENT_VERSION,
            }
            .encode(out);
        });
        let answer = link.exchange(kind::REGISTER, &packet).await?;
        match Registered::<SessionReply>::decode(&answer, CLIENT_VERSION)? {
            Registered::Status(Status::Ok) => Ok(link),
            Registered::Status(status) => Err(Error::Status(status)),
            Registered::Redirect(ip) if ip != Ipv4Addr::UNSPECIFIED => Err(Error::Unreachable),
            _ => Err(Error::Malformed),
        }
    }

    /// Where it is connected.
    pub fn info(&self) -> &MasterInfo {
        &self.info
    }

    /// Version whose layouts requests have: the smaller of ours and the master's.
    pub fn version(&self) -> Version {
        self.info.version.min(CLIENT_VERSION)
    }

    /// Makes a request of type `kind` and waits for its answer; `message` gets the number that the
    /// message has to carry. After an error the link is of no use any more.
    pub async fn ask<'a, M: Message<'a>>(
        &mut self,
        kind: u32,
        message: impl FnOnce(u32) -> M,
    ) -> Result<Reply> {
        let version = self.version();
        let mut packet = Vec::new();
        // As the real tools: a single request is on its way, so its number may be 0.
        put_frame(&mut packet, kind, |out| message(0).encode(version, out));
        let payload = self.exchange(kind, &packet).await?;
        Ok(Reply::new(payload, version))
    }

    async fn exchange(&mut self, kind: u32, packet: &[u8]) -> Result<Bytes> {
        let exchanged = async {
            self.stream.write_all(packet).await.ok()?;
            loop {
                let frame = split_frame(&self.input, ANSWER_BYTES_MAX).ok()?;
                let Some((found, consumed)) = frame.map(|frame| (frame.kind, frame.consumed))
                else {
                    if self.stream.read_buf(&mut self.input).await.ok()? == 0 {
                        return None;
                    }
                    continue;
                };
                let payload = self.input.split_to(consumed).freeze().slice(HEADER_LEN..);
                if found == kind::reply(kind) {
                    return Some(payload);
                }
                if found != kind::NOP {
                    return None;
                }
            }
        };
        match timeout(ANSWER_TIMEOUT, exchanged).await {
            Ok(Some(payload)) => Ok(payload),
            Ok(None) | Err(_) => Err(Error::Unreachable),
        }
    }
}

async fn connect(address: SocketAddrV4) -> Result<TcpStream> {
    for attempt in 1..=TRIES {
        if let Ok(Ok(stream)) =
            timeout(CONNECT_TIMEOUT * attempt, TcpStream::connect(address)).await
        {
            // Without it answers are only slower.
            let _ = stream.set_nodelay(true);
            return Ok(stream);
        }
    }
    Err(Error::Unreachable)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vector of client-behaviour §4.2.
    #[test]
    fn master_info_is_fourteen_bytes() {
        let bytes = [0x7f, 0, 0, 1, 0xd4, 0xe5, 0, 0, 0, 1, 0, 3, 0, 0xea];
        let info = MasterInfo::decode(&bytes).unwrap();
        assert_eq!(info.address, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 54501));
        assert_eq!(info.session, SessionId(1));
        assert_eq!(info.version, Version::CURRENT);
        assert_eq!(info.encode(), bytes);
        assert_eq!(
            MasterInfo::decode(&bytes[..10]).unwrap().version,
            Version(0)
        );
        assert!(MasterInfo::decode(&bytes[..12]).is_err());
    }
}
