//! Extended attributes: per inode one block with all names and values, newest first.

mod changes;

use crate::digest::{Kind, Sum};
use proto::{Inode, Status};
use std::sync::Arc;

/// Longest name, bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// Longest value, bytes.
pub const VALUE_BYTES_MAX: usize = 65536;
/// Largest list of the names of one inode, each counted with its terminator.
pub const NAME_LIST_BYTES_MAX: usize = 65536;

/// What setting an attribute may do, as its number on the wire and in the changelog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SetMode {
    /// Create or replace.
    Set = 0,
    /// Create only.
    Create = 1,
    /// Replace only.
    Replace = 2,
    /// Remove.
    Remove = 3,
}

impl SetMode {
    /// The mode of a number.
    pub fn from_number(number: u8) -> Option<SetMode> {
        match number {
            0 => Some(SetMode::Set),
            1 => Some(SetMode::Create),
            2 => Some(SetMode::Replace),
            3 => Some(SetMode::Remove),
            _ => None,
        }
    }
}

/// Attributes of all inodes that have any. A clone shares everything with the original.
///
/// A block is a sequence of `name length:8, value length:32, name, value`, so an inode costs one
/// allocation whatever the number of its attributes, and copies (snapshots) share it.
#[derive(Clone, Debug, Default)]
pub struct Xattrs {
    blocks: imbl::OrdMap<u32, Arc<[u8]>>,
}

const HEADER_BYTES: usize = 5;

/// The attributes of one block.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[name_bytes, v3, v2, v1, v0], rest) = self.0.split_first_chunk()?;
        let value_bytes = u32::from_be_bytes([v3, v2, v1, v0]) as usize;
        let (name, rest) = rest.split_at_checked(usize::from(name_bytes))?;
        let (value, rest) = rest.split_at_checked(value_bytes)?;
        self.0 = rest;
        Some((name, value))
    }
}

fn push(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.push(name.len() as u8);
    block.extend_from_slice(&(value.len() as u32).to_be_bytes());
    block.extend_from_slice(name);
    block.extend_from_slice(value);
}

impl Xattrs {
    /// Counts what differs from an older state, see [`crate::digest`].
    pub(crate) fn count_changes(&self, old: &Xattrs, sum: &mut Sum) {
        sum.map(&old.blocks, &self.blocks, |sum, side, inode, block| {
            sum.count(side, Kind::Xattr, &[&inode.to_be_bytes(), block]);
        });
    }

    /// Whether the inode has any attribute.
    pub fn has(&self, inode: Inode) -> bool {
        self.blocks.contains_key(&inode.0)
    }

    /// Names and values of an inode, newest first.
    pub fn of(&self, inode: Inode) -> impl Iterator<Item = (&[u8], &[u8])> {
        Attributes(self.blocks.get(&inode.0).map_or(&[], |block| block))
    }

    /// The value of an attribute.
    pub fn get(&self, inode: Inode, name: &[u8]) -> Option<&[u8]> {
        self.of(inode)
            .find(|(other, _)| *other == name)
            .map(|(_, value)| value)
    }

    /// Every inode that has attributes, ascending.
    pub fn inodes(&self) -> impl Iterator<Item = Inode> {
        self.blocks.keys().map(|&inode| Inode(inode))
    }

    /// Number of inodes that have attributes.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether no inode has attributes.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Takes over all attributes of an inode as an image lists them, newest first. Names and values
    /// must be within the limits.
    pub fn load<'a>(
        &mut self,
        inode: Inode,
        attributes: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) {
        let mut block = Vec::new();
        for (name, value) in attributes {
            push(&mut block, name, value);
        }
        if !block.is_empty() {
            self.blocks.insert(inode.0, block.into());
        }
    }

    /// Whether a change passes the limits and meets its mode.
    ///
    /// # Errors
    /// 6 bad name, 5 exists, 38 missing, 40 value or list of names too long.
    pub fn check(
        &self,
        inode: Inode,
        name: &[u8],
        value: &[u8],
        mode: SetMode,
    ) -> Result<(), Status> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(&0) {
            return Err(Status::Einval);
        }
        let exists = self.meets(inode, name, mode)?;
        if mode == SetMode::Remove {
            return Ok(());
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(Status::Erange);
        }
        let listed: usize = self.of(inode).map(|(name, _)| name.len() + 1).sum();
        if !exists && listed + name.len() + 1 > NAME_LIST_BYTES_MAX {
            return Err(Status::Erange);
        }
        Ok(())
    }

    /// Whether the attribute exists, when that is as the mode wants it.
    fn meets(&self, inode: Inode, name: &[u8], mode: SetMode) -> Result<bool, Status> {
        match (mode, self.get(inode, name).is_some()) {
            (SetMode::Create, true) => Err(Status::Eexist),
            (SetMode::Replace | SetMode::Remove, false) => Err(Status::Enoattr),
            (_, exists) => Ok(exists),
        }
    }

    /// Creates, replaces or removes an attribute. A new one goes to the front, a replaced value
    /// keeps its place. Limits were tested by [`Xattrs::check`]; a replay does without, because
    /// 3.0.117 lets more through. Bytes of the name behind the 255th are lost.
    ///
    /// # Errors
    /// 5 exists, 38 missing.
    pub fn set(
        &mut self,
        inode: Inode,
        name: &[u8],
        value: &[u8],
        mode: SetMode,
    ) -> Result<(), Status> {
        let name = name.get(..NAME_BYTES_MAX).unwrap_or(name);
        let exists = self.meets(inode, name, mode)?;
        let old_bytes = self.blocks.get(&inode.0).map_or(0, |block| block.len());
        let mut block = Vec::with_capacity(old_bytes + HEADER_BYTES + name.len() + value.len());
        if !exists {
            push(&mut block, name, value);
        }
        for (other, old) in self.of(inode) {
            match (other == name, mode) {
                (false, _) => push(&mut block, other, old),
                (true, SetMode::Remove) => {}
                (true, _) => push(&mut block, name, value),
            }
        }
        if block.is_empty() {
            self.blocks.remove(&inode.0);
        } else {
            self.blocks.insert(inode.0, block.into());
        }
        Ok(())
    }

    /// The inode is gone.
    pub fn remove_all(&mut self, inode: Inode) {
        self.blocks.remove(&inode.0);
    }

    /// Gives `to` exactly the attributes of `from`.
    pub fn copy(&mut self, from: Inode, to: Inode) {
        match self.blocks.get(&from.0).cloned() {
            Some(block) => self.blocks.insert(to.0, block),
            None => self.blocks.remove(&to.0),
        };
    }
}

#[cfg(test)]
mod tests;
