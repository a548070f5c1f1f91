//! Which sessions are connected, and by which connections.
//!
//! The sessions themselves are metadata; this is what a restart of the master loses anyway.

use crate::client::link::{COUNTERS, Counters, LinkTable};
use crate::links::LinkId;
use proto::SessionId;
use proto::version::Version;
use std::collections::HashMap;

/// A session that has, or had since the master started, a connection.
#[derive(Debug, Default)]
pub struct Presence {
    /// Its connections, oldest first.
    pub links: Vec<LinkId>,
    /// Version that its last registering mount announced.
    pub version: Version,
    /// Its client said good-bye: remove it as soon as the connection ends.
    pub closed: bool,
    /// Operations of this hour through connections that are gone.
    gone: Counters,
    /// Operations of the hour before.
    last_hour: Counters,
}

/// All sessions that have been seen.
#[derive(Debug, Default)]
pub struct Presences {
    sessions: HashMap<SessionId, Presence>,
}

impl Presences {
    /// The presence of a session, if it was ever connected.
    pub fn get(&self, session: SessionId) -> Option<&Presence> {
        self.sessions.get(&session)
    }

    /// Connections of a session.
    pub fn links(&self, session: SessionId) -> &[LinkId] {
        self.sessions
            .get(&session)
            .map_or(&[], |presence| &presence.links)
    }

    /// A connection registered with the session; true when it is the only one.
    pub fn attach(&mut self, session: SessionId, link: LinkId, mount: Option<Version>) -> bool {
        let presence = self.sessions.entry(session).or_default();
        presence.links.push(link);
        presence.closed = false;
        if let Some(version) = mount {
            presence.version = version;
        }
        presence.links.len() == 1
    }

    /// A connection of the session ended; true when it was the last one.
    pub fn detach(&mut self, session: SessionId, link: LinkId, counters: &Counters) -> bool {
        let Some(presence) = self.sessions.get_mut(&session) else {
            return false;
        };
        for (sum, count) in presence.gone.iter_mut().zip(counters) {
            *sum = sum.wrapping_add(*count);
        }
        let before = presence.links.len();
        presence.links.retain(|&other| other != link);
        before != 0 && presence.links.is_empty()
    }

    /// The client asks to close its session: remembered if it has exactly one connection.
    pub fn close(&mut self, session: SessionId) {
        if let Some(presence) = self.sessions.get_mut(&session)
            && presence.links.len() == 1
        {
            presence.closed = true;
        }
    }

    /// The session does not exist any more.
    pub fn forget(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// A full hour: what was counted becomes the hour before.
    pub fn shift_hour(&mut self, links: &mut LinkTable) {
        for presence in self.sessions.values_mut() {
            let mut sum = std::mem::take(&mut presence.gone);
            for &link in &presence.links {
                if let Some(record) = links.get_mut(link) {
                    let counters = std::mem::replace(&mut record.counters, [0; COUNTERS]);
                    for (sum, count) in sum.iter_mut().zip(counters) {
                        *sum = sum.wrapping_add(count);
                    }
                }
            }
            presence.last_hour = sum;
        }
    }

    /// Operations of this hour and of the hour before.
    pub fn counters(&self, session: SessionId, links: &LinkTable) -> (Counters, Counters) {
        let Some(presence) = self.sessions.get(&session) else {
            return ([0; COUNTERS], [0; COUNTERS]);
        };
        let mut sum = presence.gone;
        for &link in &presence.links {
            if let Some(record) = links.get(link) {
                for (sum, count) in sum.iter_mut().zip(record.counters) {
                    *sum = sum.wrapping_add(count);
                }
            }
        }
        (sum, presence.last_hour)
    }
}

#[cfg(test)]
mod tests {
    use super::Presences;
    use crate::client::link::{Counter, LinkTable};
    use crate::links::{Links, Port};
    use proto::SessionId;
    use proto::version::Version;
    use std::net::{Ipv4Addr, SocketAddrV4};

    const SESSION: SessionId = SessionId(4);

    #[test]
    fn a_session_is_connected_while_one_connection_is_left() {
        let mut links = Links::default();
        let peer = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
        let (mount, tool) = (
            links.open(Port::Client, peer),
            links.open(Port::Client, peer),
        );
        let mut table = LinkTable::default();
        table.open(mount);
        table.open(tool);

        let mut presences = Presences::default();
        assert!(presences.attach(SESSION, mount, Some(Version::CURRENT)));
        assert!(!presences.attach(SESSION, tool, None));
        presences.close(SESSION);
        assert!(!presences.get(SESSION).unwrap().closed, "two connections");

        table.count(tool, Counter::Read);
        table.count(mount, Counter::Read);
        let gone = table.close(tool).unwrap();
        assert!(!presences.detach(SESSION, tool, &gone.counters));
        let (now, before) = presences.counters(SESSION, &table);
        assert_eq!((now[Counter::Read as usize], before), (2, [0; 16]));
        presences.shift_hour(&mut table);
        let (now, before) = presences.counters(SESSION, &table);
        assert_eq!((now, before[Counter::Read as usize]), ([0; 16], 2));

        presences.close(SESSION);
        assert!(presences.get(SESSION).unwrap().closed);
        let gone = table.close(mount).unwrap();
        assert!(presences.detach(SESSION, mount, &gone.counters));
        assert_eq!(presences.get(SESSION).unwrap().version, Version::CURRENT);
    }
}
