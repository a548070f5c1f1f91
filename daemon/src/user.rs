//! Users and groups of the system, by name or `#number`.

use std::ffi::CString;
use std::io;

/// Whom a daemon runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Number of the user.
    pub uid: libc::uid_t,
    /// Number of the group.
    pub gid: libc::gid_t,
    /// Name, for the supplementary groups; a bare number has none.
    name: Option<CString>,
}

/// Finds user and group; an empty group is the user's own. The error is MooseFS's message.
pub fn lookup(user: &str, group: &str) -> Result<User, String> {
    let (uid, own_group, name) = match number(user) {
        Some(uid) => (uid, group_of_uid(uid), None),
        None => {
            let (uid, gid) = find_user(user).ok_or_else(|| format!("{user}: no such user !!!"))?;
            (uid, Some(gid), CString::new(user).ok())
        }
    };
    let gid = if group.is_empty() {
        own_group.ok_or_else(|| format!("{uid}: no such user id - can't obtain group id"))?
    } else if let Some(gid) = number(group) {
        gid
    } else {
        find_group(group).ok_or_else(|| format!("{group}: no such group !!!"))?
    };
    Ok(User { uid, gid, name })
}

impl User {
    /// Makes this process, which must be root's and have one thread, the user's. There is no way back.
    pub fn become_it(&self) -> io::Result<()> {
        // SAFETY: plain calls with numbers and a valid C string; none keeps the pointer.
        let done = unsafe {
            let groups = match &self.name {
                Some(name) => libc::initgroups(name.as_ptr(), self.gid),
                None => libc::setgroups(1, &self.gid),
            };
            groups == 0 && libc::setgid(self.gid) == 0 && libc::setuid(self.uid) == 0
        };
        if done {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

/// `#123`.
fn number(text: &str) -> Option<u32> {
    text.strip_prefix('#')?.trim().parse().ok()
}

/// Room for the strings of one database entry; a longer entry counts as not found.
const ENTRY_BYTES: usize = 64 * 1024;

/// User and primary group of a name.
pub fn find_user(name: &str) -> Option<(u32, u32)> {
    let name = CString::new(name).ok()?;
    with_entry(|entry, buffer, len, result| {
        // SAFETY: `name` ends with NUL; the other pointers are valid for the call (see `with_entry`).
        unsafe { libc::getpwnam_r(name.as_ptr(), entry, buffer, len, result) }
    })
    .map(|entry: libc::passwd| (entry.pw_uid, entry.pw_gid))
}

/// Primary group of a user.
pub fn group_of_uid(uid: u32) -> Option<u32> {
    with_entry(|entry, buffer, len, result| {
        // SAFETY: the pointers are valid for the call (see `with_entry`).
        unsafe { libc::getpwuid_r(uid, entry, buffer, len, result) }
    })
    .map(|entry: libc::passwd| entry.pw_gid)
}

/// Group of a name.
pub fn find_group(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    with_entry(|entry, buffer, len, result| {
        // SAFETY: `name` ends with NUL; the other pointers are valid for the call (see `with_entry`).
        unsafe { libc::getgrnam_r(name.as_ptr(), entry, buffer, len, result) }
    })
    .map(|entry: libc::group| entry.gr_gid)
}

/// Runs one of the `get…_r` functions with a buffer. Only numbers of the returned entry may be used:
/// its pointers lead into the buffer, which is gone.
fn with_entry<E>(
    get: impl FnOnce(*mut E, *mut libc::c_char, usize, *mut *mut E) -> libc::c_int,
) -> Option<E> {
    let mut buffer = vec![0; ENTRY_BYTES];
    let mut entry = std::mem::MaybeUninit::<E>::zeroed();
    let mut result = std::ptr::null_mut();
    let code = get(
        entry.as_mut_ptr(),
        buffer.as_mut_ptr(),
        buffer.len(),
        &mut result,
    );
    // SAFETY: zeroed memory is a valid `passwd` or `group` (numbers and pointers), and the functions
    // fill it completely when they set `result`.
    (code == 0 && !result.is_null()).then(|| unsafe { entry.assume_init() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages recorded from mfsmaster 3.0.117.
    #[test]
    fn names_numbers_and_what_is_missing() {
        let ids = |user: &str, group: &str| lookup(user, group).map(|found| (found.uid, found.gid));
        assert_eq!(ids("root", ""), Ok((0, 0)));
        assert_eq!(ids("root", "#7"), Ok((0, 7)));
        assert_eq!(ids("#65534", "#65533"), Ok((65534, 65533)));
        assert_eq!(ids("#0", "root"), Ok((0, 0)));
        let rows = [
            ("nosuchuser", "", "nosuchuser: no such user !!!"),
            ("", "", ": no such user !!!"),
            ("root", "nosuchgrp", "nosuchgrp: no such group !!!"),
            (
                "#123456",
                "",
                "123456: no such user id - can't obtain group id",
            ),
        ];
        for (user, group, message) in rows {
            assert_eq!(ids(user, group), Err(message.to_owned()));
        }
    }
}
