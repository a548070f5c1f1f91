//! System errors in the form that MooseFS logs them: `EADDRINUSE (Address already in use)`.

use rustix::io::Errno;

/// The symbol and the system's sentence; an error without a number is shown as it is.
pub fn describe(error: &std::io::Error) -> String {
    let text = error.to_string();
    let Some(code) = error.raw_os_error() else {
        return text;
    };
    let sentence = text
        .strip_suffix(&format!(" (os error {code})"))
        .unwrap_or(&text);
    match NAMES.iter().find(|(errno, _)| errno.raw_os_error() == code) {
        Some((_, name)) => format!("{name} ({sentence})"),
        None => format!("E{code} ({sentence})"),
    }
}

macro_rules! names {
    ($($constant:ident $name:literal)*) => { &[$((Errno::$constant, $name)),*] };
}

/// What files, sockets and processes return.
const NAMES: &[(Errno, &str)] = names! {
    PERM "EPERM" NOENT "ENOENT" INTR "EINTR" IO "EIO" BADF "EBADF" AGAIN "EAGAIN" NOMEM "ENOMEM"
    ACCESS "EACCES" BUSY "EBUSY" EXIST "EEXIST" XDEV "EXDEV" NODEV "ENODEV" NOTDIR "ENOTDIR"
    ISDIR "EISDIR" INVAL "EINVAL" NFILE "ENFILE" MFILE "EMFILE" FBIG "EFBIG" NOSPC "ENOSPC"
    SPIPE "ESPIPE" ROFS "EROFS" MLINK "EMLINK" PIPE "EPIPE" RANGE "ERANGE" DEADLK "EDEADLK"
    NAMETOOLONG "ENAMETOOLONG" NOLCK "ENOLCK" NOSYS "ENOSYS" NOTEMPTY "ENOTEMPTY" LOOP "ELOOP"
    DQUOT "EDQUOT" STALE "ESTALE" ADDRINUSE "EADDRINUSE" ADDRNOTAVAIL "EADDRNOTAVAIL"
    AFNOSUPPORT "EAFNOSUPPORT" NETDOWN "ENETDOWN" NETUNREACH "ENETUNREACH" CONNABORTED "ECONNABORTED"
    CONNRESET "ECONNRESET" NOBUFS "ENOBUFS" NOTCONN "ENOTCONN" TIMEDOUT "ETIMEDOUT"
    CONNREFUSED "ECONNREFUSED" HOSTDOWN "EHOSTDOWN" HOSTUNREACH "EHOSTUNREACH" SRCH "ESRCH"
    CHILD "ECHILD" OPNOTSUPP "EOPNOTSUPP" PROTO "EPROTO" DESTADDRREQ "EDESTADDRREQ"
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbol_and_sentence() {
        let rows = [
            (Errno::ACCESS, "EACCES (Permission denied)"),
            (Errno::ADDRINUSE, "EADDRINUSE (Address already in use)"),
            (Errno::NOENT, "ENOENT (No such file or directory)"),
            (Errno::MFILE, "EMFILE (Too many open files)"),
        ];
        for (errno, text) in rows {
            assert_eq!(describe(&std::io::Error::from(errno)), text);
        }
        assert_eq!(describe(&std::io::Error::other("short file")), "short file");
    }
}
