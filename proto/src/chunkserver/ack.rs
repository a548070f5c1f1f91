//! MASTER_ACK, and the authentication that it may ask for (chunkserver §2.4.3, §2.4.6).

use std::net::Ipv4Addr;

use md5::{Digest, Md5};

use super::register::Style;
use crate::frame::put_frame;
use crate::ids::{CsId, MetaId};
use crate::version::Version;
use crate::wire::{Malformed, Put, Reader};

const GO_ON: u8 = 0;
const NOT_LEADER: u8 = 1;
const WAIT: u8 = 2;
const AUTHENTICATE: u8 = 3;

/// Answer of a master to a step of the registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MasterAck {
    /// The batch of chunks is accepted; send the next one.
    Continue,
    /// BEGIN is accepted.
    Accepted {
        /// Version of the master.
        version: Version,
        /// Rest of the longer forms; `None` in the form of 5 bytes.
        agreed: Option<Agreed>,
    },
    /// The master does not lead. Never sent by the original free masters, understood by every
    /// server ≥ 2.0: it connects to `leader`, or resolves the master's name again.
    NotLeader {
        /// Address of the leader; 0: unknown.
        leader: Ipv4Addr,
    },
    /// Keep the connection, [`MasterAck::Accepted`] will follow. Sent and understood as
    /// [`MasterAck::NotLeader`].
    Wait {
        /// Version of the master.
        version: Version,
        /// Timeout of the connection in seconds.
        timeout_s: u16,
        /// Identity of the metadata, in the form of 15 bytes.
        metaid: Option<MetaId>,
    },
    /// Send BEGIN again with [`authentication_digest`] of this.
    Authenticate {
        /// Random bytes of this connection.
        challenge: [u8; 32],
    },
}

/// What master and chunkserver agree upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Timeout of the connection in seconds, for both sides.
    pub timeout_s: u16,
    /// Number of the server from now on.
    pub csid: CsId,
    /// Identity of the metadata, in the form of 17 bytes. 0 disables the server's check.
    pub metaid: Option<MetaId>,
}

impl MasterAck {
    /// Message type.
    pub const KIND: u32 = 104;

    /// The answer to an accepted BEGIN, in the form that 3.0.117 sends to a server of version
    /// `server`; `None` for servers that expect no answer.
    pub fn to_begin(
        server: Version,
        style: Style,
        master: Version,
        timeout_s: u16,
        csid: CsId,
        metaid: MetaId,
    ) -> Option<MasterAck> {
        if !server.server_takes_ack() {
            return None;
        }
        let agreed = match style {
            Style::Old => None,
            Style::New => Some(Agreed {
                timeout_s,
                csid,
                metaid: server.server_takes_metaid().then_some(metaid),
            }),
        };
        Some(MasterAck::Accepted {
            version: master,
            agreed,
        })
    }

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &[u8]) -> Result<MasterAck, Malformed> {
        let mut reader = Reader::new(payload);
        let ack = match (reader.u8()?, payload.len()) {
            (GO_ON, 1) => MasterAck::Continue,
            (GO_ON, 5) => MasterAck::Accepted {
                version: reader.get()?,
                agreed: None,
            },
            (GO_ON, 9 | 17) => MasterAck::Accepted {
                version: reader.get()?,
                agreed: Some(Agreed {
                    timeout_s: reader.u16()?,
                    csid: reader.get()?,
                    metaid: optional_metaid(&mut reader)?,
                }),
            },
            (NOT_LEADER, 5) => MasterAck::NotLeader {
                leader: reader.get()?,
            },
            (WAIT, 7 | 15) => MasterAck::Wait {
                version: reader.get()?,
                timeout_s: reader.u16()?,
                metaid: optional_metaid(&mut reader)?,
            },
            (AUTHENTICATE, 33) => MasterAck::Authenticate {
                challenge: reader.array()?,
            },
            _ => return Err(Malformed),
        };
        reader.finish()?;
        Ok(ack)
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| match *self {
            MasterAck::Continue => out.put_u8(GO_ON),
            MasterAck::Accepted { version, agreed } => {
                out.put_u8(GO_ON);
                out.put(version);
                if let Some(agreed) = agreed {
                    out.put_u16(agreed.timeout_s);
                    out.put(agreed.csid);
                    if let Some(metaid) = agreed.metaid {
                        out.put(metaid);
                    }
                }
            }
            MasterAck::NotLeader { leader } => {
                out.put_u8(NOT_LEADER);
                out.put(leader);
            }
            MasterAck::Wait {
                version,
                timeout_s,
                metaid,
            } => {
                out.put_u8(WAIT);
                out.put(version);
                out.put_u16(timeout_s);
                if let Some(metaid) = metaid {
                    out.put(metaid);
                }
            }
            MasterAck::Authenticate { challenge } => {
                out.put_u8(AUTHENTICATE);
                out.put(challenge);
            }
        });
    }
}

fn optional_metaid(reader: &mut Reader<'_>) -> Result<Option<MetaId>, Malformed> {
    match reader.is_empty() {
        true => Ok(None),
        false => reader.get().map(Some),
    }
}

/// Proof that a chunkserver knows `AUTH_CODE`: MD5 of the code between the two halves of the
/// challenge.
pub fn authentication_digest(challenge: &[u8; 32], auth_code: &[u8]) -> [u8; 16] {
    let (head, tail) = challenge.split_at(16);
    Md5::new()
        .chain_update(head)
        .chain_update(auth_code)
        .chain_update(tail)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::{MasterAck, authentication_digest};
    use crate::chunkserver::Style;
    use crate::ids::{CsId, MetaId};
    use crate::version::Version;

    #[test]
    fn the_digest_of_a_real_registration() {
        let challenge = std::array::from_fn(|index| index as u8);
        assert_eq!(
            u128::from_be_bytes(authentication_digest(&challenge, b"secret")),
            0x71ff_807f_e71e_979e_9d39_7715_6664_b8f1
        );
    }

    #[test]
    fn the_answer_to_begin_depends_on_the_servers_version() {
        use Style::{New, Old};
        for (server, style, length) in [
            ("1.6.27", Old, None),
            ("1.6.28", Old, Some(5)),
            ("1.6.28", New, Some(9)),
            ("2.0.32", New, Some(9)),
            ("2.0.33", New, Some(17)),
            ("3.0.117", Old, Some(5)),
            ("3.0.117", New, Some(17)),
            ("4.59.2", New, Some(17)),
        ] {
            let server: Version = server.parse().unwrap();
            let ack = MasterAck::to_begin(server, style, Version::CURRENT, 10, CsId(2), MetaId(7));
            let payload = ack.map(|ack| {
                let mut out = Vec::new();
                ack.encode(&mut out);
                assert_eq!(MasterAck::decode(&out[8..]), Ok(ack));
                out.len() - 8
            });
            assert_eq!(payload, length, "{server} {style:?}");
        }
    }
}
