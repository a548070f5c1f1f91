//! Number of the server and of the file system it belongs to: `chunkserverid.mfs` (chunkserver
//! §2.4.7).

use proto::{CsId, MetaId};
use std::io;
use std::path::Path;

/// The file, in the data directory.
const FILE: &str = "chunkserverid.mfs";

/// Who this server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Given by the master; 0: none yet.
    pub csid: CsId,
    /// The file system; 0: not known.
    pub metaid: MetaId,
}

/// What an acknowledgement of the master means for the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing new.
    Same,
    /// To be stored.
    Changed(Identity),
    /// The master serves another file system.
    Foreign,
}

impl Identity {
    /// Reads the bytes of the file: both numbers, or the first one only.
    pub fn decode(bytes: &[u8]) -> Option<Identity> {
        let (csid, rest) = bytes.split_first_chunk::<2>()?;
        let metaid = match rest {
            [] => 0,
            rest => u64::from_be_bytes(rest.try_into().ok()?),
        };
        Some(Identity {
            csid: CsId(u16::from_be_bytes(*csid)),
            metaid: MetaId(metaid),
        })
    }

    /// Bytes of the file.
    pub fn encode(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..2].copy_from_slice(&self.csid.0.to_be_bytes());
        bytes[2..].copy_from_slice(&self.metaid.0.to_be_bytes());
        bytes
    }

    /// The stored identity. A file that makes no sense counts as none.
    pub fn load() -> Identity {
        match std::fs::read(FILE) {
            Ok(bytes) => Identity::decode(&bytes).unwrap_or_else(|| {
                tracing::warn!("{FILE}: wrong length - a new number will be asked for");
                Identity::default()
            }),
            Err(_) => Identity::default(),
        }
    }

    /// Stores the identity; a crash leaves the old file or the new one.
    pub fn store(self) -> io::Result<()> {
        let beside = Path::new("chunkserverid.mfs.tmp");
        std::fs::write(beside, self.encode())?;
        std::fs::rename(beside, FILE)
    }

    /// What an acknowledgement with these numbers means.
    pub fn judge(self, csid: CsId, metaid: Option<MetaId>) -> Verdict {
        let metaid = metaid.unwrap_or_default();
        if metaid.0 != 0 && self.metaid.0 != 0 && metaid != self.metaid {
            return Verdict::Foreign;
        }
        let new = Identity {
            csid: if csid.0 == 0 { self.csid } else { csid },
            metaid: if metaid.0 == 0 { self.metaid } else { metaid },
        };
        match new == self {
            true => Verdict::Same,
            false => Verdict::Changed(new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, Verdict};
    use proto::{CsId, MetaId};

    fn identity(csid: u16, metaid: u64) -> Identity {
        Identity {
            csid: CsId(csid),
            metaid: MetaId(metaid),
        }
    }

    #[test]
    fn the_file_of_a_real_server() {
        let bytes = [0, 2, 0x6b, 0x03, 0xa1, 0x71, 0x02, 0x47, 0xc3, 0x2b];
        let expected = identity(2, 0x6b03_a171_0247_c32b);
        assert_eq!(Identity::decode(&bytes), Some(expected));
        assert_eq!(expected.encode(), bytes);
        assert_eq!(Identity::decode(&bytes[..2]), Some(identity(2, 0)));
        assert_eq!(Identity::decode(&bytes[..5]), None);
        assert_eq!(Identity::decode(&[]), None);
    }

    #[test]
    fn what_the_master_says() {
        for (known, csid, metaid, expected) in [
            (identity(0, 0), 3, Some(7), Verdict::Changed(identity(3, 7))),
            (identity(3, 7), 3, Some(7), Verdict::Same),
            (identity(3, 7), 4, Some(7), Verdict::Changed(identity(4, 7))),
            (identity(3, 7), 3, Some(8), Verdict::Foreign),
            (identity(3, 7), 0, None, Verdict::Same),
            (identity(3, 7), 3, Some(0), Verdict::Same),
            (identity(3, 0), 3, Some(8), Verdict::Changed(identity(3, 8))),
        ] {
            assert_eq!(known.judge(CsId(csid), metaid.map(MetaId)), expected);
        }
    }
}
