//! Why an operation failed, and the errno that an application sees (client-behaviour §14).

use proto::Status;
use rustix::io::Errno;

/// Outcome of an operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The master refused.
    #[error("{0}")]
    Status(Status),
    /// The client itself refuses or gave up, with the errno that the specification names.
    #[error("{0}")]
    Os(Errno),
    /// No answer within all tries.
    #[error("the master does not answer")]
    Unreachable,
    /// The master forgot the session and no new one could be made yet.
    #[error("the session is lost")]
    SessionLost,
    /// The master's answer has a form that no version sends.
    #[error("malformed answer from the master")]
    Malformed,
}

impl Error {
    /// errno for an application.
    pub fn errno(self) -> Errno {
        match self {
            Error::Os(errno) => errno,
            Error::Unreachable | Error::SessionLost | Error::Malformed => Errno::IO,
            Error::Status(status) => errno_of(status),
        }
    }

    /// Whether the master answered with this status.
    pub fn is(self, status: Status) -> bool {
        self == Error::Status(status)
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Error {
        Error::Os(errno)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Error {
        Error::Status(status)
    }
}

impl From<proto::Malformed> for Error {
    fn from(_: proto::Malformed) -> Error {
        Error::Malformed
    }
}

/// errno of a status in a data mount.
fn errno_of(status: Status) -> Errno {
    match status {
        Status::Eperm => Errno::PERM,
        Status::Enotdir => Errno::NOTDIR,
        Status::Enoent | Status::EnoentNoCache => Errno::NOENT,
        Status::Eacces => Errno::ACCESS,
        Status::Eexist => Errno::EXIST,
        Status::Enotempty => Errno::NOTEMPTY,
        Status::Erofs => Errno::ROFS,
        Status::Eintr => Errno::INTR,
        Status::Eagain => Errno::AGAIN,
        Status::Ecanceled => Errno::CANCELED,
        Status::Enotsup => Errno::NOTSUP,
        Status::Erange => Errno::RANGE,
        Status::Io => Errno::IO,
        Status::Quota => Errno::DQUOT,
        Status::Enoattr => Errno::NODATA,
        Status::ChunkLost | Status::CsNotPresent => Errno::NXIO,
        Status::NoSpace | Status::NoChunkServers => Errno::NOSPC,
        Status::NotOpened => Errno::BADF,
        Status::IndexTooBig => Errno::FBIG,
        _ => Errno::INVAL,
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, Error, Status};

    #[test]
    fn statuses_become_errnos() {
        for (status, errno) in [
            (Status::Enoent, Errno::NOENT),
            (Status::EnoentNoCache, Errno::NOENT),
            (Status::ChunkLost, Errno::NXIO),
            (Status::NoChunkServers, Errno::NOSPC),
            (Status::Quota, Errno::DQUOT),
            (Status::Enoattr, Errno::NODATA),
            (Status::IndexTooBig, Errno::FBIG),
            (Status::ChunkBusy, Errno::INVAL),
            (Status::BadSessionId, Errno::INVAL),
        ] {
            assert_eq!(Error::Status(status).errno(), errno, "{status:?}");
        }
        assert_eq!(Error::Unreachable.errno(), Errno::IO);
    }
}
