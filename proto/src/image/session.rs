//! SESS: client sessions (metadata-and-changelog §1.4.1), and the session file of 1.6 (§1.8).

use super::{Damage, Decoded, Pieces};
use crate::{Inode, Reader, SessionId, wire::Put};

/// Operation counters of a session that are written.
pub const OPERATION_COUNTERS: usize = 16;

const END_BYTES: usize = 61 + 8 * OPERATION_COUNTERS;

/// What stands before the sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionHeader {
    /// Number of the next session.
    pub next_session: SessionId,
    /// Counters in each record.
    pub counters: u16,
}

impl SessionHeader {
    /// Reads the header.
    ///
    /// # Errors
    /// The data ends.
    pub fn decode(reader: &mut Reader<'_>, version: u8) -> Result<SessionHeader, Damage> {
        if version <= 0x11 {
            // Says which of the two versions the records have, as the section's version does.
            reader.u16()?;
        }
        Ok(SessionHeader {
            next_session: reader.get()?,
            counters: reader.u16()?,
        })
    }

    /// Writes the header.
    pub fn encode(next_session: SessionId, out: &mut Pieces) {
        out.piece(|out| {
            out.put(next_session);
            out.put_u16(OPERATION_COUNTERS as u16);
        });
    }
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the table of §1.4.1")]
pub struct SessionRecord<'a> {
    pub session: SessionId,
    pub exports_checksum: u64,
    pub peer_ip: u32,
    pub root: Inode,
    pub flags: u8,
    pub umask: u16,
    pub min_goal: u8,
    pub max_goal: u8,
    pub min_trash_seconds: u32,
    pub max_trash_seconds: u32,
    pub root_uid: u32,
    pub root_gid: u32,
    pub map_all_uid: u32,
    pub map_all_gid: u32,
    pub disables: u32,
    /// `None` in versions without: the time of loading.
    pub disconnected: Option<u32>,
    pub current_counters: [u32; OPERATION_COUNTERS],
    pub last_hour_counters: [u32; OPERATION_COUNTERS],
    pub info: &'a [u8],
}

impl<'a> SessionRecord<'a> {
    /// Reads a record; `None` is the end of the section. Version 0x16 is that of 4.x.
    ///
    /// # Errors
    /// The data ends.
    pub fn decode(
        reader: &mut Reader<'a>,
        version: u8,
        header: SessionHeader,
    ) -> Decoded<SessionRecord<'a>> {
        let session: SessionId = reader.get()?;
        let exports_checksum = if version >= 0x13 { reader.u64()? } else { 0 };
        let info_bytes = reader.u32()?;
        let (peer_ip, root, flags) = (reader.u32()?, reader.get()?, reader.u8()?);
        let umask = if version >= 0x14 { reader.u16()? } else { 0 };
        let (min_goal, max_goal) = if version >= 0x16 {
            reader.u16()?;
            (1, 9)
        } else {
            (reader.u8()?, reader.u8()?)
        };
        let mut record = SessionRecord {
            session,
            exports_checksum,
            peer_ip,
            root,
            flags,
            umask,
            min_goal,
            max_goal,
            min_trash_seconds: reader.u32()?,
            max_trash_seconds: reader.u32()?,
            root_uid: reader.u32()?,
            root_gid: reader.u32()?,
            map_all_uid: reader.u32()?,
            map_all_gid: reader.u32()?,
            disables: 0,
            disconnected: None,
            current_counters: [0; OPERATION_COUNTERS],
            last_hour_counters: [0; OPERATION_COUNTERS],
            info: &[],
        };
        if version >= 0x15 {
            record.disables = reader.u32()?;
        }
        if version >= 0x11 {
            record.disconnected = Some(reader.u32()?);
        }
        record.read_counters(reader, header.counters)?;
        if session == SessionId(0) {
            return Ok(None);
        }
        record.info = info(reader, info_bytes)?;
        Ok(Some(record))
    }

    /// Missing counters stay 0, excess ones are ignored.
    fn read_counters(&mut self, reader: &mut Reader<'a>, count: u16) -> Result<(), Damage> {
        for counters in [&mut self.current_counters, &mut self.last_hour_counters] {
            for index in 0..usize::from(count) {
                let value = reader.u32()?;
                if let Some(counter) = counters.get_mut(index) {
                    *counter = value;
                }
            }
        }
        Ok(())
    }

    /// Writes the record.
    pub fn encode(&self, out: &mut Pieces) {
        out.piece(|out| {
            out.put(self.session);
            out.put_u64(self.exports_checksum);
            // Reported by clients in messages far below 4 GiB.
            out.put_u32(u32::try_from(self.info.len()).unwrap_or(u32::MAX));
            out.put_u32(self.peer_ip);
            out.put(self.root);
            out.put_u8(self.flags);
            out.put_u16(self.umask);
            out.put_bytes(&[self.min_goal, self.max_goal]);
            for value in [
                self.min_trash_seconds,
                self.max_trash_seconds,
                self.root_uid,
                self.root_gid,
                self.map_all_uid,
                self.map_all_gid,
                self.disables,
                self.disconnected.unwrap_or(0),
            ] {
                out.put_u32(value);
            }
            for counter in self.current_counters.iter().chain(&self.last_hour_counters) {
                out.put_u32(*counter);
            }
        });
        if !self.info.is_empty() {
            out.piece(|out| out.put_bytes(self.info));
        }
    }
}

fn info<'a>(reader: &mut Reader<'a>, bytes: u32) -> Result<&'a [u8], Damage> {
    let bytes = usize::try_from(bytes).map_err(|_| Damage::Truncated)?;
    Ok(reader.bytes(bytes)?)
}

/// Writes the end of the section.
pub fn encode_session_end(out: &mut Pieces) {
    out.piece(|out| out.put_bytes(&[0; END_BYTES]));
}

/// `sessions.mfs` of 1.6: the sessions beside an image that has none.
#[derive(Clone, Copy, Debug)]
pub struct SessionsFile<'a> {
    reader: Reader<'a>,
    has_limits: bool,
    has_map_all: bool,
    counters: u16,
}

impl<'a> SessionsFile<'a> {
    /// Reads the signature; `None` when it is none of a session file.
    ///
    /// # Errors
    /// The data ends.
    pub fn open(data: &'a [u8]) -> Decoded<SessionsFile<'a>> {
        let mut reader = Reader::new(data);
        let signature: [u8; 8] = reader.array()?;
        let [b'M', b'F', b'S', b'S', b' ', form @ ..] = signature else {
            return Ok(None);
        };
        let (has_map_all, has_limits) = match form {
            [b'1', b'.', b'5'] | [1, 6, 1] => (form[0] == 1, false),
            [1, 6, 2 | 3] => (true, false),
            [1, 6, 4] => (true, true),
            _ => return Ok(None),
        };
        let counters = if form[0] == 1 {
            reader.u16()?
        } else {
            OPERATION_COUNTERS as u16
        };
        Ok(Some(SessionsFile {
            reader,
            has_limits,
            has_map_all,
            counters,
        }))
    }

    /// Bytes that have not been read.
    pub fn remaining(&self) -> usize {
        self.reader.remaining()
    }

    /// The next session; `None` at the end of the file.
    ///
    /// # Errors
    /// The data ends inside a record.
    pub fn next_session(&mut self) -> Decoded<SessionRecord<'a>> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let reader = &mut self.reader;
        let session = reader.get()?;
        let info_bytes = reader.u32()?;
        let (peer_ip, root, flags) = (reader.u32()?, reader.get()?, reader.u8()?);
        let limits = if self.has_limits {
            (reader.u8()?, reader.u8()?, reader.u32()?, reader.u32()?)
        } else {
            (1, 9, 0, u32::MAX)
        };
        let (root_uid, root_gid) = (reader.u32()?, reader.u32()?);
        let (map_all_uid, map_all_gid) = if self.has_map_all {
            (reader.u32()?, reader.u32()?)
        } else {
            (0, 0)
        };
        let mut record = SessionRecord {
            session,
            exports_checksum: 0,
            peer_ip,
            root,
            flags,
            umask: 0,
            min_goal: limits.0,
            max_goal: limits.1,
            min_trash_seconds: limits.2,
            max_trash_seconds: limits.3,
            root_uid,
            root_gid,
            map_all_uid,
            map_all_gid,
            disables: 0,
            disconnected: None,
            current_counters: [0; OPERATION_COUNTERS],
            last_hour_counters: [0; OPERATION_COUNTERS],
            info: &[],
        };
        record.read_counters(&mut self.reader, self.counters)?;
        record.info = info(&mut self.reader, info_bytes)?;
        Ok(Some(record))
    }
}
