//! Finding inodes: lookup, directories, symlink targets, parents and paths.

use crate::access::{AtimeMode, EXECUTE, READ, check_name, disable};
use crate::store::node::{NodeRecord, eattr};
use crate::{Caller, Namespace, Tx};
use proto::changelog::Entry;
use proto::{Inode, NodeKind, Status};

/// Result of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What has the name.
    pub inode: Inode,
    /// The directory in which it was looked up (for `..` and `.`: the directory itself).
    pub parent: Inode,
}

/// One entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirEntry<'a> {
    /// Position; ascending in the order of the directory.
    pub edge_id: u64,
    /// Name.
    pub name: &'a [u8],
    /// What has the name.
    pub inode: Inode,
    /// What it is.
    pub kind: NodeKind,
}

impl Namespace {
    /// The real inode of a number that a client sent (wire-client-master §5.5).
    ///
    /// # Errors
    /// 3: no such inode, or outside what the session sees.
    pub fn resolve(&self, who: &Caller, wire: Inode) -> Result<Inode, Status> {
        let inode = if wire == Inode::ROOT { who.root } else { wire };
        let kind = self.node_or(inode)?.kind();
        let visible = match who.root {
            Inode::ROOT => true,
            Inode(0) => kind.is_detached(),
            root if wire == Inode::ROOT => inode == root,
            root => inode != root && self.is_below(inode, root),
        };
        if visible {
            Ok(inode)
        } else {
            Err(Status::Enoent)
        }
    }

    /// The same for operations that test other things first: number 0, which no inode has, for what
    /// the session does not see.
    pub fn target(&self, who: &Caller, wire: Inode) -> Inode {
        self.resolve(who, wire).unwrap_or(Inode(0))
    }

    /// Whether any name of an inode is below a directory.
    fn is_below(&self, inode: Inode, root: Inode) -> bool {
        self.store
            .names_of(inode)
            .any(|(_, edge)| edge.parent != 0 && self.store.is_within(Inode(edge.parent), root))
    }

    /// The number under which a client knows an inode.
    pub fn wire_inode(&self, who: &Caller, inode: Inode) -> Inode {
        if inode == who.root {
            Inode::ROOT
        } else {
            inode
        }
    }

    /// LOOKUP (§10.1).
    ///
    /// # Errors
    /// 48 no such directory, 2 not a directory, 4 no X, 6 bad name, 3 no such name, or 48 when the
    /// client may not remember that.
    pub fn lookup(&self, who: &Caller, parent: Inode, name: &[u8]) -> Result<Found, Status> {
        let node = self.store.node(parent).ok_or(Status::EnoentNoCache)?;
        if !node.is_dir() {
            return Err(Status::Enotdir);
        }
        self.check_mask(who, parent, node, EXECUTE)?;
        let inode = match name {
            b"." => Some(parent),
            b".." => Some(self.parent_of(who, parent)),
            name => {
                check_name(name)?;
                self.child(parent, name)
            }
        };
        match inode {
            Some(inode) => Ok(Found { inode, parent }),
            None if node.has(eattr::NO_ENTRY_CACHE) => Err(Status::EnoentNoCache),
            None => Err(Status::Enoent),
        }
    }

    /// What `..` of a directory is for the caller: at the root of his session the directory itself.
    pub fn parent_of(&self, who: &Caller, inode: Inode) -> Inode {
        if inode == who.root {
            return inode;
        }
        self.store.first_parent(inode).unwrap_or(inode)
    }

    /// READLINK (§10.3).
    ///
    /// # Errors
    /// 3 no such inode, 6 not a symlink.
    pub fn readlink(
        &mut self,
        tx: &mut Tx,
        _who: &Caller,
        inode: Inode,
        atime: AtimeMode,
    ) -> Result<&[u8], Status> {
        if !self.node_or(inode)?.is(NodeKind::Symlink) {
            return Err(Status::Einval);
        }
        self.accessed(tx, inode, atime)?;
        Ok(self.store.target(self.node_or(inode)?))
    }

    fn accessed(&mut self, tx: &mut Tx, inode: Inode, atime: AtimeMode) -> Result<(), Status> {
        if atime.is_due_for_other(self.node_or(inode)?, tx.now) {
            self.apply_access(tx, inode)?;
            self.log(tx, &Entry::Access { inode });
        }
        Ok(())
    }

    /// Replays ACCESS.
    pub(crate) fn apply_access(&mut self, tx: &mut Tx, inode: Inode) -> Result<(), Status> {
        self.node_mut(inode)?.atime = tx.now;
        Ok(())
    }

    /// Checks of READDIR from the start of the directory, and its atime (§10.9).
    ///
    /// # Errors
    /// 1 disabled, 3 no such inode, 2 not a directory, 4 no R (with attributes: R and X).
    pub fn readdir_open(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        inode: Inode,
        with_attrs: bool,
        atime: AtimeMode,
    ) -> Result<(), Status> {
        who.permit(disable::READDIR)?;
        let node = self.directory_or(inode)?;
        let mask = if with_attrs { READ | EXECUTE } else { READ };
        self.check_mask(who, inode, node, mask)?;
        self.accessed(tx, inode, atime)
    }

    /// Entries of a directory in its order, beginning with the first whose edge id is `from_edge` or
    /// higher.
    pub fn readdir_entries(
        &self,
        inode: Inode,
        from_edge: u64,
    ) -> impl Iterator<Item = DirEntry<'_>> {
        let store = &self.store;
        let directory = store.node(inode).filter(|node| node.is_dir());
        let mut next = directory.map_or(0, NodeRecord::first_entry);
        let (mut edges, mut names, mut nodes) = (
            store.edges.cursor(),
            store.names.cursor(),
            store.nodes.cursor(),
        );
        std::iter::from_fn(move || {
            while next != 0 {
                let edge = edges.get(next)?;
                next = edge.next;
                if edge.edge_id < from_edge {
                    continue;
                }
                let Some(kind) = nodes.get(edge.child).and_then(NodeRecord::kind_if_used) else {
                    continue;
                };
                return Some(DirEntry {
                    edge_id: edge.edge_id,
                    name: names.get(edge.name, usize::from(edge.name_bytes)),
                    inode: Inode(edge.child),
                    kind,
                });
            }
            None
        })
    }

    /// Number of entries of a directory.
    pub fn entry_count(&self, inode: Inode) -> u32 {
        self.store.dir(inode).map_or(0, |dir| dir.entries)
    }

    /// The directories that hold a name of an inode (real numbers), newest name first; none for
    /// detached files.
    pub fn parents(&self, inode: Inode) -> impl Iterator<Item = Inode> {
        self.store
            .names_of(inode)
            .map(|(_, edge)| Inode(edge.parent))
            .filter(|parent| *parent != Inode(0))
    }

    /// Paths of an inode below `root`, without leading slash, one for each name that leads there;
    /// `/` for the root itself; `./TRASH (path)` and `./SUSTAINED (path)` for detached files
    /// (§15.11).
    pub fn paths(&self, root: Inode, inode: Inode) -> Vec<Vec<u8>> {
        if inode == root {
            return vec![b"/".to_vec()];
        }
        let Some(node) = self.store.node(inode) else {
            return Vec::new();
        };
        let word: Option<&[u8]> = match node.kind() {
            NodeKind::Trash => Some(b"./TRASH ("),
            NodeKind::Sustained => Some(b"./SUSTAINED ("),
            _ => None,
        };
        let names = self.store.names_of(inode);
        names
            .filter_map(|(_, edge)| match word {
                Some(word) => Some([word, self.store.name(edge), b")"].concat()),
                None => self.store.path(edge, root, usize::MAX),
            })
            .collect()
    }
}
