//! The machine's time zone.

/// Local time, broken down.
pub(crate) fn now() -> libc::tm {
    // SAFETY: `time` accepts a null pointer; `localtime_r` writes only into `now`, which is a plain
    // C structure for which all zeros is a valid value.
    unsafe {
        let seconds = libc::time(std::ptr::null_mut());
        let mut now: libc::tm = std::mem::zeroed();
        libc::localtime_r(&seconds, &mut now);
        now
    }
}

/// Local time minus universal time, seconds; it changes with the seasons.
pub fn utc_offset() -> i32 {
    i32::try_from(now().tm_gmtoff).unwrap_or(0)
}
