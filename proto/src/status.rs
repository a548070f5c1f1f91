//! Status codes: one table for every message of every version (wire-client-master §2).

use std::fmt;

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        /// Outcome of an operation, as the byte that travels on the wire.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Status {
            $(#[doc = $text] $name = $value,)*
        }

        impl Status {
            /// Every status, in the order of its numbers.
            pub const ALL: &'static [Status] = &[$(Status::$name,)*];

            /// Text that the tools print.
            pub fn text(self) -> &'static str {
                match self {
                    $(Status::$name => $text,)*
                }
            }
        }
    };
}

statuses! {
    Ok = 0, "OK";
    Eperm = 1, "Operation not permitted";
    Enotdir = 2, "Not a directory";
    Enoent = 3, "No such file or directory";
    Eacces = 4, "Permission denied";
    Eexist = 5, "File exists";
    Einval = 6, "Invalid argument";
    Enotempty = 7, "Directory not empty";
    ChunkLost = 8, "Chunk lost";
    OutOfMemory = 9, "Out of memory";
    IndexTooBig = 10, "Index too big";
    Locked = 11, "Chunk locked";
    NoChunkServers = 12, "No chunk servers";
    NoChunk = 13, "No such chunk";
    ChunkBusy = 14, "Chunk is busy";
    Register = 15, "Incorrect register BLOB";
    NotDone = 16, "Operation not completed";
    NotOpened = 17, "File not opened";
    NotStarted = 18, "Write not started";
    WrongVersion = 19, "Wrong chunk version";
    ChunkExist = 20, "Chunk already exists";
    NoSpace = 21, "No space left";
    Io = 22, "IO error";
    BnumTooBig = 23, "Incorrect block number";
    WrongSize = 24, "Incorrect size";
    WrongOffset = 25, "Incorrect offset";
    CantConnect = 26, "Can't connect";
    WrongChunkId = 27, "Incorrect chunk id";
    Disconnected = 28, "Disconnected";
    Crc = 29, "CRC error";
    Delayed = 30, "Operation delayed";
    CantCreatePath = 31, "Can't create path";
    Mismatch = 32, "Data mismatch";
    Erofs = 33, "Read-only file system";
    Quota = 34, "Quota exceeded";
    BadSessionId = 35, "Bad session id";
    NoPassword = 36, "Password is needed";
    BadPassword = 37, "Incorrect password";
    Enoattr = 38, "Attribute not found";
    Enotsup = 39, "Operation not supported";
    Erange = 40, "Result too large";
    NotFound = 41, "Entity not found";
    Active = 42, "Entity is active";
    CsNotPresent = 43, "Chunkserver not present";
    Waiting = 44, "Waiting on lock";
    Eagain = 45, "Resource temporarily unavailable";
    Eintr = 46, "Interrupted system call";
    Ecanceled = 47, "Operation canceled";
    EnoentNoCache = 48, "No such file or directory (not cacheable)";
    EpermNotAdmin = 49, "Operation not permitted (mfs admin only)";
    ClassExists = 50, "Class name already in use";
    ClassLimitReached = 51, "Maximum number of classes reached";
    NoSuchClass = 52, "No such class";
    ClassInUse = 53, "Class in use";
}

impl Status {
    /// Status of a wire byte; `None` for numbers that 3.0.117 does not know.
    pub fn from_wire(byte: u8) -> Option<Status> {
        Status::ALL.get(usize::from(byte)).copied()
    }

    /// The byte that travels on the wire.
    pub const fn wire(self) -> u8 {
        self as u8
    }

    /// `Ok(())` for [`Status::Ok`], else the status as an error.
    pub fn ok(self) -> Result<(), Status> {
        match self {
            Status::Ok => Ok(()),
            other => Err(other),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn every_status_is_its_own_number() {
        for (number, status) in Status::ALL.iter().enumerate() {
            assert_eq!(usize::from(status.wire()), number);
            assert_eq!(Status::from_wire(status.wire()), Some(*status));
        }
        assert_eq!(Status::from_wire(54), None);
        assert_eq!(Status::Mismatch.wire(), 32);
        assert_eq!(Status::ClassInUse.wire(), 53);
    }
}
