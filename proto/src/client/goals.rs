//! GETSCLASS and SETSCLASS: storage classes of inodes, called goals before 3.0.75
//! (wire-client-master §15.2).

use super::message::{List, Message};
use crate::ids::Inode;
use crate::version::Version;
use crate::wire::Versioned;
use crate::wire::{Malformed, Put, Reader};

/// In place of a goal: a name follows.
const NAMED: u8 = 0xff;

/// Largest goal.
const GOAL_MAX: u8 = 9;

/// `smode` without its recursive bit: exchange one class for another.
const MODE_EXCHANGE: u8 = 3;

/// A storage class as clients name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class<'a> {
    /// Predefined class 1..=9; other numbers are refused with status 6.
    Goal(u8),
    /// Class with a name.
    Named(&'a [u8]),
}

/// How many inodes have a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassCount<'a> {
    /// The class.
    pub class: Class<'a>,
    /// Number of inodes.
    pub count: u32,
}

impl<'a> Versioned<'a> for ClassCount<'a> {
    fn get(reader: &mut Reader<'a>, _client: Version) -> Result<Self, Malformed> {
        let class = match reader.u8()? {
            NAMED => Class::Named(reader.name()?),
            goal => Class::Goal(goal),
        };
        Ok(ClassCount {
            class,
            count: reader.u32()?,
        })
    }

    fn put(self, _client: Version, out: &mut Vec<u8>) {
        match self.class {
            Class::Goal(goal) => out.put_u8(goal),
            Class::Named(name) => {
                out.put_u8(NAMED);
                out.put_name(name);
            }
        }
        out.put_u32(self.count);
    }
}

/// GETSCLASS 447. Both lists ascend by class; clients before 3.0.75 do not get named classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetsclassReply<'a> {
    /// Number of the request.
    pub msgid: u32,
    /// Files; at most 255 classes.
    pub files: List<'a, ClassCount<'a>>,
    /// Directories; at most 255 classes.
    pub directories: List<'a, ClassCount<'a>>,
}

impl<'a> Message<'a> for GetsclassReply<'a> {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let (files, directories) = (u64::from(reader.u8()?), u64::from(reader.u8()?));
        let files = List::get(&mut reader, files, client)?;
        let directories = List::get(&mut reader, directories, client)?;
        reader.finish()?;
        Ok(GetsclassReply {
            msgid,
            files,
            directories,
        })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        let is_known = |each: &ClassCount<'_>| {
            client.has_named_classes() || matches!(each.class, Class::Goal(_))
        };
        out.put_u32(self.msgid);
        let lists = [&self.files, &self.directories];
        for list in lists {
            let count = list.iter().filter(is_known).count();
            out.put_u8(u8::try_from(count).unwrap_or(u8::MAX));
        }
        for list in lists {
            for each in list.iter().filter(is_known).take(usize::from(u8::MAX)) {
                each.put(client, out);
            }
        }
    }
}

/// SETSCLASS 448. The reply is a [`ChangeReply`](super::ChangeReply).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setsclass<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// The object.
    pub inode: Inode,
    /// Who asks.
    pub uid: u32,
    /// `smode`: 0 set, 1 increase, 2 decrease, 3 exchange, +4 recursive.
    pub mode: u8,
    /// The new class; for an exchange the class to be replaced.
    pub class: Class<'a>,
    /// The new class of an exchange.
    pub replacement: Option<&'a [u8]>,
}

impl<'a> Message<'a> for Setsclass<'a> {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let (msgid, inode, uid) = (reader.u32()?, reader.get()?, reader.u32()?);
        let (goal, mode) = (reader.u8()?, reader.u8()?);
        let (mut class, mut replacement) = (Class::Goal(goal), None);
        match goal {
            1..=GOAL_MAX => reader.finish()?,
            NAMED => {
                class = Class::Named(reader.name()?);
                if is_exchange(mode) {
                    replacement = Some(reader.name()?);
                }
            }
            // Clients from 2.1 to 3.0.74 send label lists, which are refused whatever follows.
            _ => {}
        }
        Ok(Setsclass {
            msgid,
            inode,
            uid,
            mode,
            class,
            replacement,
        })
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        out.put_u32(self.uid);
        match self.class {
            Class::Goal(goal) => {
                out.put_u8(goal);
                out.put_u8(self.mode);
            }
            Class::Named(name) => {
                out.put_u8(NAMED);
                out.put_u8(self.mode);
                out.put_name(name);
                if is_exchange(self.mode) {
                    out.put_name(self.replacement.unwrap_or_default());
                }
            }
        }
    }
}

const fn is_exchange(mode: u8) -> bool {
    mode & 3 == MODE_EXCHANGE
}
