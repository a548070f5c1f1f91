//! mfsexports.cfg: who may mount what, and with which rights (master-behaviour §15.3-15.4,
//! tools-and-cli §15.6). Parsing is in `exports::parse`, the choice of a line and the fingerprint of
//! the whole are here. No I/O.

mod parse;

use std::net::Ipv4Addr;

use md5::{Digest as _, Md5};
use proto::Status;

use crate::address_range::AddressRange;

pub use parse::{Exports, Names, SystemNames, parse};

/// Bits of [`Export::sesflags`] that an exports line sets (wire-client-master §5.2).
pub mod sesflags {
    /// Every modification is refused.
    pub const READ_ONLY: u8 = 0x01;
    /// A session may come back from any address.
    pub const DYNAMIC_IP: u8 = 0x02;
    /// Group membership is not looked at.
    pub const IGNORE_GID: u8 = 0x04;
    /// Administrative operations are allowed.
    pub const ADMIN: u8 = 0x08;
    /// Every user is mapped to one.
    pub const MAP_ALL: u8 = 0x10;
}

/// The words of `disable=`; the position is the bit in [`Export::disables`] (wire-admin §4.10).
pub const DISABLES: [&str; 25] = [
    "chown",
    "chmod",
    "symlink",
    "mkfifo",
    "mkdev",
    "mksock",
    "mkdir",
    "unlink",
    "rmdir",
    "rename",
    "move",
    "link",
    "create",
    "readdir",
    "read",
    "write",
    "truncate",
    "setlength",
    "appendchunks",
    "snapshot",
    "settrash",
    "setsclass",
    "seteattr",
    "setxattr",
    "setfacl",
];

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Addresses that may use it.
    pub range: AddressRange,
    /// `true`: a line for the metadata mount (`.`); then `path` is empty.
    pub meta: bool,
    /// Directory without slashes around it; empty is the root.
    pub path: String,
    /// Any directory below `path` may be mounted, too.
    pub alldirs: bool,
    /// Lowest version of the client as `x:16 y:8 z:8`, *not* doubled, compared with the doubled word
    /// that the client announces (wire-admin §1.3).
    pub minversion: u32,
    /// MD5 of the password that is needed.
    pub password: Option<[u8; 16]>,
    /// `maproot` was given.
    pub maproot_given: bool,
    /// See [`sesflags`].
    pub sesflags: u8,
    /// Permissions withheld from created objects.
    pub umask: u16,
    /// User that root becomes.
    pub rootuid: u32,
    /// Group that root's becomes.
    pub rootgid: u32,
    /// User that every other one becomes, with [`sesflags::MAP_ALL`].
    pub mapalluid: u32,
    /// Group of that user.
    pub mapallgid: u32,
    /// Lowest goal that may be set.
    pub mingoal: u8,
    /// Highest goal that may be set.
    pub maxgoal: u8,
    /// Shortest trash time that may be set, in seconds.
    pub mintrashtime: u32,
    /// Longest trash time that may be set, in seconds.
    pub maxtrashtime: u32,
    /// Forbidden operations, bits in the order of [`DISABLES`].
    pub disables: u32,
}

/// What a registering client says and shows.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Address of its connection.
    pub address: Ipv4Addr,
    /// Version word that it announces.
    pub version: u32,
    /// It wants the metadata mount.
    pub meta: bool,
    /// Directory that it wants; slashes around it do not matter. Ignored for `meta`.
    pub path: &'a str,
    /// Its answer to the challenge, if it sent one.
    pub passcode: Option<[u8; 16]>,
    /// What the master asked this connection.
    pub challenge: &'a [u8; 32],
}

/// Chooses the line that a client gets. Whether the directory exists is not known here.
///
/// Errors: `NoPassword` or `BadPassword` when only a password is missing or wrong, otherwise `Eacces`.
pub fn select<'a>(exports: &'a [Export], query: &Query<'_>) -> Result<&'a Export, Status> {
    let path = query.path.trim_matches('/');
    let mut chosen: Option<&Export> = None;
    let mut refusal = Status::Eacces;
    for export in exports.iter().filter(|export| export.admits(query, path)) {
        if let Some(password) = &export.password {
            match query.passcode {
                None => {
                    refusal = Status::NoPassword;
                    continue;
                }
                Some(passcode) if passcode != expected_passcode(password, query.challenge) => {
                    refusal = Status::BadPassword;
                    continue;
                }
                Some(_) => {}
            }
        }
        if chosen.is_none_or(|current| export.is_better_than(current)) {
            chosen = Some(export);
        }
    }
    chosen.ok_or(refusal)
}

/// Whether a client gets the same from two files: the lines that admit it are the same, in the same
/// order, whatever its password.
pub fn is_same_for(old: &[Export], new: &[Export], query: &Query<'_>) -> bool {
    let path = query.path.trim_matches('/');
    let admitting = |export: &&Export| export.admits(query, path);
    old.iter()
        .filter(admitting)
        .eq(new.iter().filter(admitting))
}

/// The right answer to a challenge: MD5 of its first half, the password's MD5 and its second half.
pub fn expected_passcode(password: &[u8; 16], challenge: &[u8; 32]) -> [u8; 16] {
    let (first, second) = challenge.split_at(16);
    Md5::new()
        .chain_update(first)
        .chain_update(password)
        .chain_update(second)
        .finalize()
        .into()
}

impl Export {
    /// Everything but the password.
    fn admits(&self, query: &Query<'_>, path: &str) -> bool {
        self.meta == query.meta
            && self.range.contains(query.address)
            && query.version >= self.minversion
            && (self.meta || self.covers(path))
    }

    fn covers(&self, path: &str) -> bool {
        if self.path == path {
            return true;
        }
        let below = path.strip_prefix(self.path.as_str());
        self.alldirs && (self.path.is_empty() || below.is_some_and(|rest| rest.starts_with('/')))
    }

    /// MooseFS's relation: one advantage is enough, so that the order of lines can matter.
    fn is_better_than(&self, other: &Export) -> bool {
        let gains = |mine: bool, theirs: bool| mine && !theirs;
        gains(self.is_writable(), other.is_writable())
            || gains(self.rootuid == 0, other.rootuid == 0)
            || gains(self.is_admin(), other.is_admin())
            || gains(self.password.is_some(), other.password.is_some())
            || self.path.len() > other.path.len()
    }

    fn is_writable(&self) -> bool {
        self.sesflags & sesflags::READ_ONLY == 0
    }

    fn is_admin(&self) -> bool {
        self.sesflags & sesflags::ADMIN != 0
    }

    /// The entry as it enters the checksum (wire-admin §4.3.1), without the path.
    fn record(&self) -> [u8; 62] {
        let flags = u8::from(self.alldirs) << 3
            | u8::from(self.password.is_some()) << 2
            | u8::from(self.meta) << 1
            | u8::from(self.maproot_given);
        let fields: [&[u8]; 16] = [
            &self.range.from.octets(),
            &self.range.to.octets(),
            &self.minversion.to_be_bytes(),
            &self.password.unwrap_or_default(),
            &[flags],
            &[self.sesflags],
            &[self.mingoal],
            &[self.maxgoal],
            &self.umask.to_be_bytes(),
            &self.mintrashtime.to_be_bytes(),
            &self.maxtrashtime.to_be_bytes(),
            &self.rootuid.to_be_bytes(),
            &self.rootgid.to_be_bytes(),
            &self.mapalluid.to_be_bytes(),
            &self.mapallgid.to_be_bytes(),
            &self.disables.to_be_bytes(),
        ];
        let mut record = [0; 62];
        let mut at = 0;
        for field in fields {
            record[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        }
        assert_eq!(at, record.len(), "the fields fill the record");
        record
    }
}

/// Fingerprint of all lines: sessions remember under which one they were accepted, and masters of one
/// cluster compare it (wire-admin §4.3.1). 0 for no lines.
pub fn checksum(exports: &[Export]) -> u64 {
    exports.iter().fold(0, |sum, export| {
        let record = export.record();
        let path = export.path.as_bytes();
        let mut crc = crc32fast::Hasher::new_with_initial(u32::MAX);
        crc.update(&record);
        crc.update(path);
        let mut murmur = murmur3(&record, 0);
        if !path.is_empty() {
            murmur = murmur3(path, murmur);
        }
        sum.wrapping_add(u64::from(crc.finalize()) << 32 | u64::from(murmur))
    })
}

/// Murmur3 (x86, 32 bits) as MooseFS has it: whole words are big-endian, the rest as usual.
fn murmur3(data: &[u8], seed: u32) -> u32 {
    const C1: u32 = 0xCC9E_2D51;
    const C2: u32 = 0x1B87_3593;
    let scramble = |word: u32| word.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);
    let (words, tail) = data.as_chunks::<4>();
    let mut hash = seed;
    for word in words {
        hash ^= scramble(u32::from_be_bytes(*word));
        hash = hash
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xE654_6B64);
    }
    let rest = tail
        .iter()
        .rev()
        .fold(0, |rest, &byte| rest << 8 | u32::from(byte));
    hash ^= scramble(rest);
    // The length is defined modulo 2^32.
    hash ^= data.len() as u32;
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85EB_CA6B);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xC2B2_AE35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests;
