//! INIT: what kernel and file system agree on (client-behaviour §3.1).

use std::io;

use super::abi::{IN_HEADER_LEN, MAJOR, MINOR, MINOR_MIN, init_flag, opcode};
use super::cursor::{Cursor, PutNative as _};
use super::device::Device;
use super::operation::Header;
use super::reply::Reply;
use std::sync::Arc;

/// Largest WRITE, and read by direct I/O.
pub(crate) const WRITE_BYTES_MAX: u32 = 1 << 20;
/// Requests in the background (read-ahead, direct I/O) that the kernel keeps on their way.
const BACKGROUND_MAX: u16 = 64;
/// Time stamps have whole seconds.
const TIME_GRANULARITY_NS: u32 = 1_000_000_000;

/// What is wanted beyond what every mount has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Init {
    /// fcntl locks come to us instead of staying in the machine.
    pub(crate) posix_locks: bool,
    /// flock locks come to us.
    pub(crate) bsd_locks: bool,
    /// Directories are read with attributes.
    pub(crate) readdirplus: bool,
}

/// Outcome of INIT, for `.params`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// Protocol of the kernel: major and minor version.
    pub(crate) protocol: (u32, u32),
    /// What the kernel can.
    pub(crate) offered: u32,
    /// What was chosen of it.
    pub(crate) chosen: u32,
}

const ALWAYS: u32 = init_flag::ASYNC_READ
    | init_flag::ATOMIC_O_TRUNC
    | init_flag::EXPORT_SUPPORT
    | init_flag::BIG_WRITES
    | init_flag::DONT_MASK
    | init_flag::ASYNC_DIO
    | init_flag::PARALLEL_DIROPS
    | init_flag::MAX_PAGES;

impl Init {
    fn flags(self) -> u32 {
        let chosen = [
            (self.posix_locks, init_flag::POSIX_LOCKS),
            (self.bsd_locks, init_flag::FLOCK_LOCKS),
            (
                self.readdirplus,
                init_flag::DO_READDIRPLUS | init_flag::READDIRPLUS_AUTO,
            ),
        ];
        chosen
            .iter()
            .filter(|(wanted, _)| *wanted)
            .fold(ALWAYS, |flags, (_, flag)| flags | flag)
    }

    /// Answers the first request of a connection.
    pub(crate) fn handshake(self, device: &Arc<Device>) -> io::Result<Agreed> {
        let invalid = |_| io::Error::new(io::ErrorKind::InvalidData, "malformed INIT");
        let mut buffer = vec![0; IN_HEADER_LEN + WRITE_BYTES_MAX as usize + 4096];
        loop {
            let Some(length) = device.read(&mut buffer)? else {
                return Err(io::ErrorKind::NotConnected.into());
            };
            let mut cursor = Cursor::new(&buffer[..length]);
            let header = Header::get(&mut cursor).map_err(invalid)?;
            let reply = Reply::new(header.unique, Arc::clone(device));
            if header.opcode != opcode::INIT {
                reply.error(rustix::io::Errno::IO);
                continue;
            }
            let (major, minor) = (
                cursor.u32().map_err(invalid)?,
                cursor.u32().map_err(invalid)?,
            );
            if major > MAJOR {
                // The kernel asks again in the version that this answer names.
                reply.structure(24, |out| {
                    out.n32(MAJOR);
                    out.n32(MINOR);
                    out.resize(out.len() + 16, 0);
                });
                continue;
            }
            if (major, minor) < (MAJOR, MINOR_MIN) {
                reply.error(rustix::io::Errno::PROTO);
                return Err(io::ErrorKind::Unsupported.into());
            }
            let readahead = cursor.u32().map_err(invalid)?;
            let offered = cursor.u32().map_err(invalid)?;
            let chosen = self.flags() & offered;
            reply.structure(64, |out| {
                out.n32(MAJOR);
                out.n32(MINOR);
                out.n32(readahead);
                out.n32(chosen);
                out.n16(BACKGROUND_MAX);
                out.n16(BACKGROUND_MAX / 4 * 3);
                out.n32(WRITE_BYTES_MAX);
                out.n32(TIME_GRANULARITY_NS);
                out.n16((WRITE_BYTES_MAX / 4096) as u16);
                out.n16(0);
                out.resize(out.len() + 28, 0);
            });
            return Ok(Agreed {
                protocol: (major, minor),
                offered,
                chosen,
            });
        }
    }
}
