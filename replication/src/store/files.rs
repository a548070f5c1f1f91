//! Small files that are replaced as a whole: a checksum in front, written beside and renamed.
//!
//! Layout: `MFSRAFT` + version 1, CRC-32 of the rest (u32, big-endian), a protocol buffer.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const MAGIC: &[u8; 8] = b"MFSRAFT\x01";

/// Makes new names in a directory durable.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Replaces a file; it is durable afterwards.
pub fn replace(directory: &Path, name: &str, content: &impl prost::Message) -> io::Result<()> {
    let body = content.encode_to_vec();
    let temporary = directory.join(format!("{name}.tmp"));
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o640)
        .open(&temporary)?;
    file.write_all(MAGIC)?;
    file.write_all(&crc32fast::hash(&body).to_be_bytes())?;
    file.write_all(&body)?;
    file.sync_data()?;
    std::fs::rename(&temporary, directory.join(name))?;
    sync_directory(directory)
}

/// Reads such a file; `None` when there is none.
///
/// # Errors
/// It cannot be read, or is damaged.
pub fn read<M: prost::Message + Default>(directory: &Path, name: &str) -> io::Result<Option<M>> {
    let path = directory.join(name);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let damaged = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{} is damaged", path.display()),
        )
    };
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
    let (crc, body) = rest.split_at_checked(4).ok_or_else(damaged)?;
    if crc != crc32fast::hash(body).to_be_bytes() {
        return Err(damaged());
    }
    M::decode(body).map(Some).map_err(|_| damaged())
}
