//! Version words and the gates that the protocol hangs on them (wire-client-master §1.2, §8).

use std::fmt;
use std::str::FromStr;

/// Version of a MooseFS program as one word: `major:16 middle:8 low:8`, compared as an integer.
///
/// From major 2 on, the low byte is twice the minor number; its lowest bit marks the commercial
/// edition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Version(pub u32);

impl Version {
    /// What this project announces and where it aims: 3.0.117, community edition.
    pub const CURRENT: Version = Version::new(3, 0, 117);

    /// Word of the community edition of a release.
    pub const fn new(major: u16, middle: u8, minor: u8) -> Version {
        let low = if major >= 2 {
            minor.wrapping_mul(2)
        } else {
            minor
        };
        Version((major as u32) << 16 | (middle as u32) << 8 | low as u32)
    }

    /// First number of the release.
    pub const fn major(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Second number of the release.
    pub const fn middle(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// Third number of the release.
    pub const fn minor(self) -> u8 {
        let low = self.0 as u8;
        if self.major() >= 2 { low / 2 } else { low }
    }

    /// Whether the word belongs to the commercial edition.
    pub const fn is_pro(self) -> bool {
        self.major() >= 2 && self.0 & 1 != 0
    }

    const fn is_at_least(self, major: u16, middle: u8, minor: u8) -> bool {
        self.0 >= Version::new(major, middle, minor).0
    }

    /// In `3.0.minor ..< 4.0.0`, or from 4.`middle`.0 on: backported features that early 4.x lack.
    const fn has_backport(self, minor: u8, middle: u8) -> bool {
        (self.is_at_least(3, 0, minor) && self.major() < 4) || self.is_at_least(4, middle, 0)
    }
}

macro_rules! gates {
    ($($(#[$doc:meta])* $name:ident($major:literal, $middle:literal, $minor:literal);)*) => {
        /// Gates on the version that a *client* announced (wire-client-master §8.1). Each says
        /// whether that client uses or understands the thing.
        impl Version {
            $(
                $(#[$doc])*
                #[inline]
                pub const fn $name(self) -> bool {
                    self.is_at_least($major, $middle, $minor)
                }
            )*
        }
    };
}

gates! {
    /// The registration reply tells the map-all pair.
    has_mapall_in_registration(1, 6, 1);
    /// OPEN returns attributes.
    has_attributes_in_open(1, 6, 9);
    /// RENAME returns inode and attributes; the registration reply starts with the version.
    has_attributes_in_rename(1, 6, 21);
    /// The registration reply really tells the master's version (1.6.21 gets 0).
    has_master_version(1, 6, 22);
    /// CHECK returns counters (11 of them).
    has_check_counters(1, 6, 23);
    /// MKDIR has copysgid, SETATTR the suid/sgid clear mode.
    has_copysgid(1, 6, 25);
    /// The registration reply tells the limits of goal and trash time.
    has_limits_in_registration(1, 6, 26);
    /// GETATTR and SETATTR tell whether the inode is open; SNAPSHOT has a umask.
    has_opened(1, 6, 28);
    /// CLOSESESSION is answered.
    has_close_reply(1, 7, 29);
    /// Node types are numbers, attributes have eight flag bits, chunk replies a protocol byte.
    has_numeric_types(1, 7, 32);
    /// Lists of groups, umask, paged READDIR, new field order of the xattr messages.
    has_gid_lists(2, 0, 0);
    /// Chunk requests have a flags byte.
    has_chunk_flags(3, 0, 4);
    /// Understands status 45 of WRITE_CHUNK (older: 11).
    has_try_again(3, 0, 8);
    /// Quotas have a grace period.
    has_grace_period(3, 0, 9);
    /// Chunk replies have label masks.
    has_label_masks(3, 0, 10);
    /// The registration has a metaid.
    has_metaid(3, 0, 11);
    /// Understands status 48 of LOOKUP (older: 3).
    has_enoent_no_cache(3, 0, 25);
    /// CHECK has 12 counters; GETEATTR shows five bits (older: four).
    has_empty_counter(3, 0, 30);
    /// LOOKUP returns lookup flags and chunk data.
    has_lookup_flags(3, 0, 40);
    /// The registration reply tells the umask.
    has_umask_in_registration(3, 0, 72);
    /// Keeps chunk locations and is told of changes (702, 703); times come with AMTIME_INODES.
    has_change_pushes(3, 0, 74);
    /// Storage classes have names.
    has_named_classes(3, 0, 75);
    /// GETFACL comes without credentials.
    has_short_getfacl(3, 0, 91);
    /// APPEND_SLICE tells the range of chunks.
    has_slices(3, 0, 92);
    /// Attributes and SETATTR have the Windows bits.
    has_winattr(3, 0, 93);
    /// The reply to RECONNECT tells the master's version.
    has_reconnect_version(3, 0, 95);
    /// WRITE_CHUNK on a read-only session fails with 33 (older: 22).
    has_erofs_in_write(3, 0, 101);
    /// The registration reply tells the disabled operations.
    has_disables(3, 0, 112);
    /// OPEN and CREATE return flags, TRUNCATE the previous length, GETEATTR all bits.
    has_open_flags(3, 0, 113);
}

/// Gates of features that the 3.0 line got after 4.0 had started.
impl Version {
    /// Understands 706, the order to forget all chunk locations.
    pub const fn has_chunk_cache_push(self) -> bool {
        self.has_backport(100, 3)
    }

    /// STATFS tells the free space.
    pub const fn has_free_space(self) -> bool {
        self.has_backport(102, 9)
    }

    /// UNLINK and RMDIR return the inode.
    pub const fn has_removed_inode(self) -> bool {
        self.has_backport(107, 18)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major(), self.middle(), self.minor())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

/// The text is not a version of the form `3.0.117`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version looks like 3.0.117")]
pub struct BadVersion;

impl FromStr for Version {
    type Err = BadVersion;

    /// Reads `major[.middle[.minor]]`, as in `minversion=` of the exports file.
    fn from_str(text: &str) -> Result<Version, BadVersion> {
        let mut parts = [0u16; 3];
        for (count, part) in text.split('.').enumerate() {
            let slot = parts.get_mut(count).ok_or(BadVersion)?;
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(BadVersion);
            }
            *slot = part.parse().map_err(|_| BadVersion)?;
        }
        let [major, middle, minor] = parts;
        let minor_max = if major >= 2 {
            u16::from(u8::MAX) / 2
        } else {
            u16::from(u8::MAX)
        };
        if minor > minor_max {
            return Err(BadVersion);
        }
        let middle = u8::try_from(middle).map_err(|_| BadVersion)?;
        let minor = u8::try_from(minor).map_err(|_| BadVersion)?;
        Ok(Version::new(major, middle, minor))
    }
}

#[cfg(test)]
mod tests {
    use super::{BadVersion, Version};

    #[test]
    fn words_of_known_releases() {
        for (word, text) in [
            (0x0001_061b, "1.6.27"),
            (0x0002_00b6, "2.0.91"),
            (0x0003_00ea, "3.0.117"),
            (0x0004_3b04, "4.59.2"),
        ] {
            assert_eq!(text.parse(), Ok(Version(word)), "{text}");
            assert_eq!(Version(word).to_string(), text);
        }
        assert_eq!(Version::CURRENT.0, 0x0003_00ea);
        assert!(Version(0x0003_00eb).is_pro() && !Version::CURRENT.is_pro());
        for bad in [
            "", "3.", "3.0.x", "3.0.128", "1.256.0", "1.2.3.4", "+1", "70000",
        ] {
            assert_eq!(bad.parse::<Version>(), Err(BadVersion), "{bad}");
        }
        assert_eq!("2".parse(), Ok(Version::new(2, 0, 0)));
    }

    #[test]
    fn backported_features_are_missing_in_early_four() {
        for (version, push, space, removed) in [
            (Version::new(3, 0, 99), false, false, false),
            (Version::new(3, 0, 100), true, false, false),
            (Version::new(3, 0, 102), true, true, false),
            (Version::new(3, 0, 107), true, true, true),
            (Version::new(4, 0, 0), false, false, false),
            (Version::new(4, 3, 0), true, false, false),
            (Version::new(4, 9, 0), true, true, false),
            (Version::new(4, 18, 0), true, true, true),
        ] {
            assert_eq!(
                (
                    version.has_chunk_cache_push(),
                    version.has_free_space(),
                    version.has_removed_inode()
                ),
                (push, space, removed),
                "{version}"
            );
        }
    }
}
