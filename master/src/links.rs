//! Connections as the core sees them: where answers are left, and when they may leave.
//!
//! No sockets here. A room appends encoded frames to [`Links::out`]; the shell sends what
//! [`Links::sendable`] gives. Between both stands durability: a byte may leave only when every
//! changelog line that was made before it is durable, so that nobody ever sees a change that a
//! crash could undo.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

/// A connection. Numbers of closed connections are used again, with another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId {
    index: u32,
    generation: u32,
}

impl LinkId {
    /// Dense index, for tables that run parallel to the links.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// Which of the master's ports a connection came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// 9419: metaloggers.
    Metalogger,
    /// 9420: chunkservers.
    Chunkserver,
    /// 9421: clients, tools and monitors.
    Client,
}

/// One connection.
#[derive(Debug)]
struct Link {
    port: Port,
    peer: SocketAddrV4,
    /// Encoded frames that have not been sent: `sent..sendable` may leave.
    out: Vec<u8>,
    sent: usize,
    sendable: usize,
    /// Batches under way, and up to where the output may leave when each of them is saved.
    sealed: VecDeque<(u64, usize)>,
    /// When a byte last came in, monotonic milliseconds.
    heard_ms: u64,
    /// When something was last appended to the output, monotonic milliseconds.
    spoke_ms: u64,
    dirty: bool,
    closing: bool,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    link: Option<Link>,
}

/// What went over a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Whole packets that came in.
    pub packets_in: u64,
    /// Answers, pushes and keep-alives.
    pub packets_out: u64,
    /// Bytes that came in, headers included.
    pub bytes_in: u64,
    /// Bytes that left.
    pub bytes_out: u64,
}

/// All connections.
#[derive(Debug, Default)]
pub struct Links {
    traffic: [Traffic; 3],
    slots: Vec<Slot>,
    free: Vec<u32>,
    dirty: Vec<LinkId>,
    /// Output of links that are gone goes here and is dropped.
    nowhere: Vec<u8>,
    now_ms: u64,
}

/// Output kept for a peer that does not read; beyond it the shell stops reading from him.
pub const BACKLOG_STOP_READING: usize = 4 << 20;
/// Output kept for a peer that does not read; beyond it he is cut off.
pub const BACKLOG_CUT_OFF: usize = 1 << 30;
/// Buffers that grew beyond this are given back when they run empty.
const KEEP_CAPACITY: usize = 256 << 10;

impl Links {
    /// Adds a connection.
    pub fn open(&mut self, port: Port, peer: SocketAddrV4) -> LinkId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            // 2^32 open connections do not fit a machine.
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.link = Some(Link {
            port,
            peer,
            out: Vec::new(),
            sent: 0,
            sendable: 0,
            sealed: VecDeque::new(),
            heard_ms: self.now_ms,
            spoke_ms: self.now_ms,
            dirty: false,
            closing: false,
        });
        LinkId {
            index,
            generation: slot.generation,
        }
    }

    /// Removes a connection whose socket is gone.
    pub fn remove(&mut self, id: LinkId) {
        if self.get(id).is_some() {
            self.slots[id.index()].link = None;
            self.free.push(id.index);
        }
    }

    /// Whether the connection is open and not about to be closed.
    pub fn is_open(&self, id: LinkId) -> bool {
        self.get(id).is_some_and(|link| !link.closing)
    }

    /// Address of the other end; unspecified for a connection that is gone.
    pub fn peer(&self, id: LinkId) -> SocketAddrV4 {
        self.get(id)
            .map_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), |link| {
                link.peer
            })
    }

    /// Which port the connection came in on.
    pub fn port(&self, id: LinkId) -> Option<Port> {
        self.get(id).map(|link| link.port)
    }

    /// The output buffer: append whole frames. For a connection that is gone or closing the bytes
    /// go nowhere.
    pub fn out(&mut self, id: LinkId) -> &mut Vec<u8> {
        let now_ms = self.now_ms;
        let Some(Slot {
            generation,
            link: Some(link),
        }) = self.slots.get_mut(id.index())
        else {
            self.nowhere.clear();
            return &mut self.nowhere;
        };
        if *generation != id.generation || link.closing {
            self.nowhere.clear();
            return &mut self.nowhere;
        }
        link.spoke_ms = now_ms;
        self.traffic[link.port as usize].packets_out += 1;
        if !link.dirty {
            link.dirty = true;
            self.dirty.push(id);
        }
        &mut link.out
    }

    /// Bytes of output that wait, sent or not.
    pub fn written(&self, id: LinkId) -> usize {
        self.get(id).map_or(0, |link| link.out.len())
    }

    /// Output behind a former [`Links::written`] of the same turn.
    pub fn written_since(&self, id: LinkId, written: usize) -> &[u8] {
        self.get(id)
            .and_then(|link| link.out.get(written..))
            .unwrap_or_default()
    }

    /// Replaces the output behind a former [`Links::written`] of the same turn.
    pub fn rewrite(&mut self, id: LinkId, written: usize, bytes: &[u8]) {
        if let Some(link) = self.get_mut(id) {
            link.out.truncate(written);
            link.out.extend_from_slice(bytes);
        }
    }

    /// Closes the connection once its output so far has been sent.
    pub fn close(&mut self, id: LinkId) {
        self.out(id);
        if let Some(link) = self.get_mut(id) {
            link.closing = true;
        }
    }

    /// Whether [`Links::close`] was called and everything has been sent.
    pub fn is_drained_for_close(&self, id: LinkId) -> bool {
        self.get(id)
            .is_some_and(|link| link.closing && link.sent == link.out.len())
    }

    /// Whether [`Links::close`] was called.
    pub fn is_closing(&self, id: LinkId) -> bool {
        self.get(id).is_some_and(|link| link.closing)
    }

    /// Bytes that the peer has not taken.
    pub fn backlog(&self, id: LinkId) -> usize {
        self.get(id).map_or(0, |link| link.out.len() - link.sent)
    }

    /// Milliseconds since a byte came in.
    pub fn silent_ms(&self, id: LinkId) -> u64 {
        self.get(id)
            .map_or(0, |link| self.now_ms.saturating_sub(link.heard_ms))
    }

    /// Milliseconds since output was last appended.
    pub fn mute_ms(&self, id: LinkId) -> u64 {
        self.get(id)
            .map_or(0, |link| self.now_ms.saturating_sub(link.spoke_ms))
    }

    /// The shell read bytes from the socket.
    pub fn heard(&mut self, id: LinkId) {
        let now_ms = self.now_ms;
        if let Some(link) = self.get_mut(id) {
            link.heard_ms = now_ms;
        }
    }

    /// A whole packet of `bytes` bytes came in on a port.
    pub fn received(&mut self, port: Port, bytes: usize) {
        let traffic = &mut self.traffic[port as usize];
        traffic.packets_in += 1;
        traffic.bytes_in += bytes as u64;
    }

    /// What went over a port since the last call.
    pub fn take_traffic(&mut self, port: Port) -> Traffic {
        std::mem::take(&mut self.traffic[port as usize])
    }

    /// Sets the monotonic clock, milliseconds.
    pub fn set_now_ms(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// Every open connection of a port.
    pub fn of_port(&self, port: Port) -> impl Iterator<Item = LinkId> + '_ {
        self.slots
            .iter()
            .enumerate()
            .filter_map(move |(index, slot)| {
                let link = slot.link.as_ref()?;
                (link.port == port).then_some(LinkId {
                    index: index as u32,
                    generation: slot.generation,
                })
            })
    }

    /// Marks everything written so far as depending on a batch and those before it: `bound` is the
    /// last batch with lines that anybody relies on, `handed` the last one at all, for which
    /// metaloggers wait.
    pub fn seal(&mut self, bound: u64, handed: u64) {
        for &id in &self.dirty {
            if let Some(Slot {
                generation,
                link: Some(link),
            }) = self.slots.get_mut(id.index())
                && *generation == id.generation
            {
                let position = match link.port {
                    Port::Metalogger => handed,
                    Port::Client | Port::Chunkserver => bound,
                };
                let end = link.out.len();
                match link.sealed.back_mut() {
                    Some(last) if last.0 == position => last.1 = end,
                    _ => link.sealed.push_back((position, end)),
                }
            }
        }
    }

    /// The batches up to `position` are saved: what depends on nothing else may leave.
    pub fn release(&mut self, position: u64) {
        for &id in &self.dirty {
            if let Some(link) = self
                .slots
                .get_mut(id.index())
                .filter(|slot| slot.generation == id.generation)
                .and_then(|slot| slot.link.as_mut())
            {
                while let Some(&(sealed, end)) = link.sealed.front()
                    && sealed <= position
                {
                    link.sendable = end;
                    link.sealed.pop_front();
                }
            }
        }
    }

    /// Takes the list of connections with output; the shell gives back those that are not done
    /// through [`Links::keep_dirty`].
    pub fn take_dirty(&mut self, into: &mut Vec<LinkId>) {
        into.clear();
        std::mem::swap(into, &mut self.dirty);
        for &id in into.iter() {
            if let Some(link) = self.get_mut(id) {
                link.dirty = false;
            }
        }
    }

    /// The connection still has output that may not leave yet, or that the socket did not take.
    pub fn keep_dirty(&mut self, id: LinkId) {
        let Some(link) = self.get_mut(id) else { return };
        if !link.dirty {
            link.dirty = true;
            self.dirty.push(id);
        }
    }

    /// Bytes that may leave now.
    pub fn sendable(&self, id: LinkId) -> &[u8] {
        self.get(id)
            .and_then(|link| link.out.get(link.sent..link.sendable))
            .unwrap_or_default()
    }

    /// Whether anything waits, sendable or not.
    pub fn has_output(&self, id: LinkId) -> bool {
        self.backlog(id) != 0
    }

    /// The socket took `count` of the sendable bytes.
    pub fn sent(&mut self, id: LinkId, count: usize) {
        let Some(link) = self.get_mut(id) else { return };
        let port = link.port as usize;
        link.sent = (link.sent + count).min(link.sendable);
        if link.sent == link.out.len() {
            link.sent = 0;
            link.sendable = 0;
            link.sealed.clear();
            if link.out.capacity() > KEEP_CAPACITY {
                link.out = Vec::new();
            } else {
                link.out.clear();
            }
        } else if link.sent >= KEEP_CAPACITY {
            link.out.drain(..link.sent);
            link.sendable -= link.sent;
            for (_, end) in &mut link.sealed {
                *end -= link.sent;
            }
            link.sent = 0;
        }
        self.traffic[port].bytes_out += count as u64;
    }

    fn get(&self, id: LinkId) -> Option<&Link> {
        let slot = self.slots.get(id.index())?;
        (slot.generation == id.generation).then_some(slot.link.as_ref()?)
    }

    fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        let slot = self.slots.get_mut(id.index())?;
        if slot.generation != id.generation {
            return None;
        }
        slot.link.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::{Links, Port};
    use std::net::{Ipv4Addr, SocketAddrV4};

    fn one_link() -> (Links, super::LinkId) {
        let mut links = Links::default();
        let id = links.open(
            Port::Client,
            SocketAddrV4::new(Ipv4Addr::new(172, 21, 21, 1), 4000),
        );
        (links, id)
    }

    #[test]
    fn nothing_leaves_before_the_flush_that_covers_it() {
        let (mut links, id) = one_link();
        links.out(id).extend_from_slice(b"first");
        links.seal(1, 1);
        links.out(id).extend_from_slice(b"second");
        assert_eq!(links.sendable(id), b"");
        links.release(1);
        assert_eq!(links.sendable(id), b"first");
        links.sent(id, 2);
        assert_eq!(links.sendable(id), b"rst");
        links.sent(id, 3);
        assert_eq!(links.sendable(id), b"");
        links.seal(2, 2);
        links.release(2);
        assert_eq!(links.sendable(id), b"second");
    }

    #[test]
    fn what_depends_on_no_unsaved_line_leaves_but_lines_wait_for_their_flush() {
        let (mut links, id) = one_link();
        let logger = links.open(
            Port::Metalogger,
            SocketAddrV4::new(Ipv4Addr::new(172, 21, 21, 3), 4002),
        );
        links.out(id).extend_from_slice(b"reply");
        links.out(logger).extend_from_slice(b"line");
        links.seal(0, 1);
        links.release(0);
        assert_eq!(links.sendable(id), b"reply");
        assert_eq!(links.sendable(logger), b"");
        links.release(1);
        assert_eq!(links.sendable(logger), b"line");
    }

    #[test]
    fn batches_under_way_release_their_output_one_by_one() {
        let (mut links, id) = one_link();
        for (position, text) in [(1, "one"), (2, "two"), (2, "-"), (3, "three")] {
            links.out(id).extend_from_slice(text.as_bytes());
            links.seal(position, position);
        }
        for (position, expected) in [(0, ""), (1, "one"), (1, "one"), (3, "onetwo-three")] {
            links.release(position);
            assert_eq!(links.sendable(id), expected.as_bytes(), "{position}");
        }
    }

    #[test]
    fn output_of_a_connection_that_is_gone_goes_nowhere() {
        let (mut links, id) = one_link();
        links.remove(id);
        links.out(id).extend_from_slice(b"late");
        assert!(!links.has_output(id));
        let next = links.open(
            Port::Client,
            SocketAddrV4::new(Ipv4Addr::new(172, 21, 21, 2), 4001),
        );
        assert_eq!(next.index(), id.index());
        assert!(!links.has_output(next) && !links.is_open(id) && links.is_open(next));
    }

    #[test]
    fn a_closing_connection_takes_no_more_output_and_drains() {
        let (mut links, id) = one_link();
        links.out(id).extend_from_slice(b"bye");
        links.close(id);
        links.out(id).extend_from_slice(b"lost");
        links.seal(0, 0);
        links.release(0);
        assert_eq!(links.sendable(id), b"bye");
        assert!(!links.is_drained_for_close(id));
        links.sent(id, 3);
        assert!(links.is_drained_for_close(id));
    }
}
