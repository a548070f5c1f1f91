//! A connection to a master that sends requests and collects everything that comes back.

use anyhow::{Context, Result, bail};
use lab::{Cluster, MASTER_IP};
use proto::client::kind;
use proto::client::message::Message;
use proto::client::register::{MetaSessionReply, Register, Registered, SessionReply};
use proto::frame::{put_frame, split_frame};
use proto::{SessionId, Version};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

/// A master that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest packet that is expected.
const PACKET_MAX: u32 = 1 << 20;

/// A packet: type and payload.
pub type Packet = (u32, Vec<u8>);

/// One connection.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    input: Vec<u8>,
    barrier: u32,
}

impl Peer {
    /// Connects from an address of the cluster.
    pub fn connect(cluster: &Cluster, from: Ipv4Addr) -> Result<Peer> {
        let master: Ipv4Addr = MASTER_IP.parse()?;
        let to = SocketAddrV4::new(master, 9421);
        let stream = cluster.namespace.connect(from, to)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Peer {
            stream,
            input: Vec::new(),
            barrier: 0xf000_0000,
        })
    }

    /// The next packet; `None` when the master closed the connection.
    fn packet(&mut self) -> Result<Option<Packet>> {
        loop {
            if let Some(frame) = split_frame(&self.input, PACKET_MAX)? {
                let (packet, used) = ((frame.kind, frame.payload.to_vec()), frame.consumed);
                self.input.drain(..used);
                return Ok(Some(packet));
            }
            let mut bytes = [0; 1 << 14];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(None),
                Ok(count) => self.input.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error).context("no answer"),
            }
        }
    }

    /// Registers; the session, and the packet that answered.
    pub fn register(&mut self, register: &Register<'_>) -> Result<(SessionId, Packet)> {
        let mut out = Vec::new();
        put_frame(&mut out, kind::REGISTER, |out| register.encode(out));
        self.stream.write_all(&out)?;
        let (reply, payload) = loop {
            match self.packet()?.context("closed at the registration")? {
                (kind::NOP, _) => {}
                packet => break packet,
            }
        };
        if reply != kind::reply(kind::REGISTER) {
            bail!("a packet of type {reply} answers the registration");
        }
        let version = register.version().unwrap_or(Version::CURRENT);
        let session = match register {
            Register::NewMetaSession { .. } => {
                match Registered::<MetaSessionReply>::decode(&payload, version)
                    .map_err(anyhow::Error::from)?
                {
                    Registered::Session(session) => session.session,
                    _ => SessionId(0),
                }
            }
            Register::NewSession { .. } => {
                match Registered::<SessionReply>::decode(&payload, version)
                    .map_err(anyhow::Error::from)?
                {
                    Registered::Session(session) => session.session,
                    _ => SessionId(0),
                }
            }
            _ => SessionId(0),
        };
        Ok((session, (reply, payload)))
    }

    /// Sends a request, and a question for the version behind it: everything that comes before the
    /// answer to that. `None` when the connection was closed.
    pub fn ask(&mut self, kind: u32, payload: &[u8]) -> Result<Option<Vec<Packet>>> {
        self.barrier += 1;
        let barrier = self.barrier.to_be_bytes();
        let mut out = Vec::new();
        put_frame(&mut out, kind, |out| out.extend_from_slice(payload));
        put_frame(&mut out, kind::GET_VERSION, |out| {
            out.extend_from_slice(&barrier);
        });
        if self.stream.write_all(&out).is_err() {
            return Ok(None);
        }
        let mut packets = Vec::new();
        loop {
            match self.packet()? {
                None => return Ok(None),
                Some((kind::NOP, _)) => {}
                Some((reply, payload))
                    if reply == kind::reply(kind::GET_VERSION) && payload.starts_with(&barrier) =>
                {
                    return Ok(Some(packets));
                }
                Some(packet) => packets.push(packet),
            }
        }
    }
}
