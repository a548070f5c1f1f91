//! Digest of the tree: inodes with their chunk lists, names, chunk records, freed numbers.

use super::{Kind, Side, Sum};
use crate::View;
use crate::chunk_table::ChunkRecord;
use crate::store::Freed;
use crate::store::edge::EdgeRecord;
use crate::store::node::NodeRecord;
use proto::{ChunkId, NodeKind};

/// Counts what differs between two states.
pub(super) fn count_changes(old: &View, new: &View, sum: &mut Sum) {
    for (first, before, after) in new.store.nodes.changed(&old.store.nodes) {
        each(before, after, |place, before, after| {
            node(old, new, first + place, (before, after), sum);
        });
    }
    for (_, before, after) in new.store.edges.changed(&old.store.edges) {
        each(before, after, |_, before, after| {
            edge(old, new, before, after, sum);
        });
    }
    for (_, before, after) in new.chunks.changed(&old.chunks) {
        each(before, after, |_, before, after| {
            chunk(before, after, sum);
        });
    }
    freed(&old.store.freed, &new.store.freed, sum);
}

/// The records of two pages side by side; those that a missing page would have are default ones.
fn each<T: Default>(before: &[T], after: &[T], mut count: impl FnMut(u32, &T, &T)) {
    let none = T::default();
    for place in 0..before.len().max(after.len()) {
        let before = before.get(place).unwrap_or(&none);
        let after = after.get(place).unwrap_or(&none);
        count(place as u32, before, after);
    }
}

/// Whoever changes the target or a slot of an inode also writes its record, so its page tells.
fn node(
    old: &View,
    new: &View,
    inode: u32,
    (before, after): (&NodeRecord, &NodeRecord),
    sum: &mut Sum,
) {
    let (was, is) = (before.kind_if_used(), after.kind_if_used());
    if was.is_none() && is.is_none() {
        return;
    }
    let same_target = match (was, is) {
        (Some(NodeKind::Symlink), Some(NodeKind::Symlink)) => {
            let ((from, bytes), to) = (before.target(), after.target());
            (from, bytes) == to && new.store.names.same(&old.store.names, from, bytes)
        }
        _ => true,
    };
    if was != is || !same_target || before.persistent() != after.persistent() {
        for (side, view, node, kind) in [(Side::Old, old, before, was), (Side::New, new, after, is)]
        {
            let target = match kind {
                None => continue,
                Some(NodeKind::Symlink) => view.store.target(node),
                Some(_) => &[],
            };
            let parts = [&inode.to_be_bytes(), &node.persistent()[..], target];
            sum.count(side, Kind::Node, &parts);
        }
    }
    let word = |kind: Option<NodeKind>, node: &NodeRecord| match kind {
        Some(kind) if kind.has_data() => node.slots(),
        _ => 0,
    };
    slots(old, new, inode, (word(was, before), word(is, after)), sum);
}

/// A place that is still referred to keeps its chunk, so a list that nobody wrote to is the same.
fn slots(old: &View, new: &View, inode: u32, (before, after): (u32, u32), sum: &mut Sum) {
    if before == 0 && after == 0
        || before == after && new.store.slots.shares(&old.store.slots, after)
    {
        return;
    }
    let mut was = old.store.slots.used_from(before, 0).peekable();
    let mut is = new.store.slots.used_from(after, 0).peekable();
    loop {
        let next = match (was.peek(), is.peek()) {
            (None, None) => return,
            (Some(&(one, _)), Some(&(other, _))) => one.min(other),
            (Some(&(one, _)), None) | (None, Some(&(one, _))) => one,
        };
        let before = was.next_if(|(index, _)| *index == next);
        let after = is.next_if(|(index, _)| *index == next);
        if before == after
            && let Some((_, at)) = after
            && new.chunks.shares(&old.chunks, at)
        {
            continue;
        }
        let id = |view: &View, slot: Option<(u32, u32)>| {
            let (_, at) = slot?;
            Some(
                view.chunks
                    .get(at)
                    .map_or(ChunkId::HOLE, |record| record.id),
            )
        };
        let (before, after) = (id(old, before), id(new, after));
        if before == after {
            continue;
        }
        for (side, chunk) in [(Side::Old, before), (Side::New, after)] {
            if let Some(chunk) = chunk {
                let place = [inode.to_be_bytes(), next.to_be_bytes()];
                let parts = [place.as_flattened(), &chunk.0.to_be_bytes()];
                sum.count(side, Kind::Slot, &parts);
            }
        }
    }
}

fn edge(old: &View, new: &View, before: &EdgeRecord, after: &EdgeRecord, sum: &mut Sum) {
    let own = |edge: &EdgeRecord| {
        (
            edge.child,
            edge.parent,
            edge.edge_id,
            edge.name,
            edge.name_bytes,
        )
    };
    if own(before) == own(after)
        && (after.child == 0
            || new
                .store
                .names
                .same(&old.store.names, after.name, usize::from(after.name_bytes)))
    {
        return;
    }
    for (side, view, edge) in [(Side::Old, old, before), (Side::New, new, after)] {
        if edge.child != 0 {
            let numbers = [edge.parent.to_be_bytes(), edge.child.to_be_bytes()];
            let parts = [
                numbers.as_flattened(),
                &edge.edge_id.to_be_bytes(),
                view.store.name(edge),
            ];
            sum.count(side, Kind::Edge, &parts);
        }
    }
}

fn chunk(before: &ChunkRecord, after: &ChunkRecord, sum: &mut Sum) {
    let own = |record: &ChunkRecord| {
        let known = record.is_known().then_some(record)?;
        Some((known.id, known.version, known.archived))
    };
    let (before, after) = (own(before), own(after));
    if before == after {
        return;
    }
    for (side, record) in [(Side::Old, before), (Side::New, after)] {
        if let Some((id, version, archived)) = record {
            let parts = [
                &id.0.to_be_bytes()[..],
                &version.0.to_be_bytes(),
                &[u8::from(archived)],
            ];
            sum.count(side, Kind::Chunk, &parts);
        }
    }
}

/// The queue of freed numbers grows at one end and shrinks at the other, so the newest number that
/// both states have says where one begins in the other. A clock that was put back changes the times
/// of the newest ones: then everything is counted anew.
fn freed(old: &imbl::Vector<Freed>, new: &imbl::Vector<Freed>, sum: &mut Sum) {
    if old.ptr_eq(new) {
        return;
    }
    let taken = match new.front() {
        Some(first) => old.iter().take_while(|freed| *freed != first).count(),
        None => old.len(),
    };
    let kept = old.len() - taken;
    let continues = kept == 0 || new.get(kept - 1) == old.back();
    let (out, from) = if continues {
        (taken, kept)
    } else {
        (old.len(), 0)
    };
    for freed in old.iter().take(out) {
        count_freed(Side::Old, freed, sum);
    }
    if from < new.len() {
        for freed in new.focus().narrow(from..) {
            count_freed(Side::New, freed, sum);
        }
    }
}

fn count_freed(side: Side, freed: &Freed, sum: &mut Sum) {
    let parts = [&freed.inode.0.to_be_bytes()[..], &freed.since.to_be_bytes()];
    sum.count(side, Kind::Freed, &parts);
}
