//! Orders of the planner on their way to chunkservers.

use super::Servers;
use crate::chunks::{Action, Command};
use crate::client;
use crate::core::Core;
use proto::chunkserver::{
    Create, Delete, Duplicate, DuplicateTruncate, Replicate, ReplicateSources, SetVersion, Truncate,
};
use std::net::SocketAddrV4;

/// Carries out what the planner decided.
pub fn act(core: &mut Core) {
    while !core.chunks.actions.is_empty() {
        for action in std::mem::take(&mut core.chunks.actions) {
            match action {
                Action::Send { server, command } => {
                    if let Some(link) = core.servers.link_of(server) {
                        core.admin.minute.ordered(command.kind());
                        encode(&command, core.links.out(link));
                    }
                }
                other => client::planner_action(core, other),
            }
        }
    }
}

/// Appends the packet of an order.
fn encode(command: &Command, out: &mut Vec<u8>) {
    match *command {
        Command::Create { chunk, version } => Create { chunk, version }.encode(out),
        Command::Delete { chunk, version } => Delete { chunk, version }.encode(out),
        Command::Duplicate {
            chunk,
            version,
            source,
            source_version,
        } => Duplicate {
            new_chunk: chunk,
            new_version: version,
            old_chunk: source,
            old_version: source_version,
        }
        .encode(out),
        Command::SetVersion {
            chunk,
            version,
            old_version,
        } => SetVersion {
            chunk,
            new_version: version,
            old_version,
        }
        .encode(out),
        Command::Replicate {
            chunk,
            version,
            ip,
            port,
        } => Replicate {
            chunk,
            version,
            sources: ReplicateSources::One(SocketAddrV4::new(ip, port)),
        }
        .encode(out),
        Command::Truncate {
            chunk,
            length,
            version,
            old_version,
        } => Truncate {
            chunk,
            length,
            new_version: version,
            old_version,
        }
        .encode(out),
        Command::DuplicateTruncate {
            chunk,
            version,
            source,
            source_version,
            length,
        } => DuplicateTruncate {
            new_chunk: chunk,
            new_version: version,
            old_chunk: source,
            old_version: source_version,
            length,
        }
        .encode(out),
    }
}

impl Servers {
    /// Connection of a server.
    fn link_of(&self, server: crate::chunks::ServerId) -> Option<crate::links::LinkId> {
        self.by_server.get(&server).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::encode;
    use crate::chunks::Command;
    use proto::{ChunkId, ChunkVersion};
    use std::fmt::Write;
    use std::net::Ipv4Addr;

    #[test]
    fn orders_have_the_bytes_of_the_real_master() {
        let (c, v) = (ChunkId, ChunkVersion);
        for (command, hex) in [
            (
                Command::Create {
                    chunk: c(0x138c),
                    version: v(1),
                },
                "0000006e0000000c000000000000138c00000001",
            ),
            (
                Command::Delete {
                    chunk: c(0x138b),
                    version: v(0),
                },
                "000000780000000c000000000000138b00000000",
            ),
            (
                Command::Duplicate {
                    chunk: c(0x138d),
                    version: v(1),
                    source: c(0x138c),
                    source_version: v(3),
                },
                "0000008200000018000000000000138d00000001000000000000138c00000003",
            ),
            (
                Command::SetVersion {
                    chunk: c(0x2a),
                    version: v(2),
                    old_version: v(1),
                },
                "0000008c00000010000000000000002a0000000200000001",
            ),
            (
                Command::Replicate {
                    chunk: c(0x138b),
                    version: v(1),
                    ip: Ipv4Addr::new(172, 21, 21, 77),
                    port: 9422,
                },
                "0000009600000012000000000000138b00000001ac15154d24ce",
            ),
            (
                Command::Truncate {
                    chunk: c(0x138c),
                    length: 50_000,
                    version: v(2),
                    old_version: v(1),
                },
                "000000a000000014000000000000138c0000c3500000000200000001",
            ),
            (
                Command::DuplicateTruncate {
                    chunk: c(4),
                    version: v(1),
                    source: c(2),
                    source_version: v(2),
                    length: 1000,
                },
                "000000aa0000001c000000000000000400000001000000000000000200000002000003e8",
            ),
        ] {
            let mut out = Vec::new();
            encode(&command, &mut out);
            let mut text = String::new();
            for byte in out {
                write!(text, "{byte:02x}").unwrap();
            }
            assert_eq!(text, hex, "{command:?}");
        }
    }
}
