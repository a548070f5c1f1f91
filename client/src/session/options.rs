//! What a session needs to know to register.

use std::net::Ipv4Addr;
use std::time::Duration;

use md5::{Digest, Md5};

/// MD5 of a password.
pub type PasswordDigest = [u8; 16];

/// MD5 of a password's text.
pub fn digest_password(text: &[u8]) -> PasswordDigest {
    Md5::digest(text).into()
}

/// The answer to a challenge: MD5( random[0..16] ‖ MD5(password) ‖ random[16..32] )
/// (wire-client-master §6.1).
pub fn answer_challenge(random: &[u8; 32], password: &PasswordDigest) -> [u8; 16] {
    let mut hash = Md5::new();
    hash.update(&random[..16]);
    hash.update(password);
    hash.update(&random[16..]);
    hash.finalize().into()
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory of the tree; `/` is all of it.
    Data {
        /// The directory, absolute.
        path: String,
    },
    /// Trash and sustained files.
    Meta,
}

/// How to reach a master and how to behave there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Name or IPv4 address of the master. A name is resolved again at each new attempt.
    pub host: String,
    /// Port of the master.
    pub port: u16,
    /// Source address of all connections.
    pub bind: Option<Ipv4Addr>,
    /// What is mounted.
    pub kind: Kind,
    /// Free text for the master's listings: the absolute mount point.
    pub info: String,
    /// MD5 of the password.
    pub password: Option<PasswordDigest>,
    /// Forget the password after the first registration.
    pub forget_password: bool,
    /// Tries of a request before it fails (30: 132 s without a link).
    pub tries: u32,
    /// Longest wait for any answer; `None` for no limit.
    pub timeout: Option<Duration>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        SessionOptions {
            host: "mfsmaster".to_owned(),
            port: 9421,
            bind: None,
            kind: Kind::Data {
                path: "/".to_owned(),
            },
            info: "/".to_owned(),
            password: None,
            forget_password: false,
            tries: 30,
            timeout: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{answer_challenge, digest_password};

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    /// Vectors of client-behaviour §22 and wire-client-master §6.1.
    #[test]
    fn challenges_are_answered_as_the_real_client_does() {
        for (password, random, answer) in [
            (
                "sekret",
                "41a9bb27e089f277b752acd3524eab9fe627cf1132373e05bd852aa44a3effe8",
                "4e3298f9e1f188e1d93069a28c0042d3",
            ),
            (
                "secret",
                "efd6e0190a5603d9c00cb6f57453091741ba3afd4b3a78dd07761c27e518ff1a",
                "67cf8c4ee53cfd7b86543319d103cce5",
            ),
        ] {
            let digest = digest_password(password.as_bytes());
            assert_eq!(answer_challenge(&bytes(random), &digest), bytes(answer));
        }
    }
}
