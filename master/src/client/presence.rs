//! Which sessions are connected, and by which connections.
//!
//! The sessions themselves are metadata; this is what a restart of the master loses anyway.

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
    /// Its client said good-bye: it is removed when the connection has ended.
    pub closed: bool,
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

    /// Connections of a session, oldest first.
    pub fn links(&self, session: SessionId) -> &[LinkId] {
        self.sessions
            .get(&session)
            .map_or(&[], |presence| &presence.links)
    }

    /// A connection registered with the session; `mount` is the version of a mount.
    pub fn attach(&mut self, session: SessionId, link: LinkId, mount: Option<Version>) {
        let presence = self.sessions.entry(session).or_default();
        presence.links.push(link);
        presence.closed = false;
        if let Some(version) = mount {
            presence.version = version;
        }
    }

    /// A connection of the session ended. When it was the last one: whether the client had closed
    /// the session.
    pub fn detach(&mut self, session: SessionId, link: LinkId) -> Option<bool> {
        let presence = self.sessions.get_mut(&session)?;
        let before = presence.links.len();
        presence.links.retain(|&other| other != link);
        (before != 0 && presence.links.is_empty()).then_some(presence.closed)
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
}

#[cfg(test)]
mod tests {
    use super::Presences;
    use crate::links::{Links, Port};
    use proto::SessionId;
    use proto::version::Version;
    use std::net::{Ipv4Addr, SocketAddrV4};

    #[test]
    fn a_session_is_connected_while_one_connection_is_left() {
        let mut links = Links::default();
        let peer = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
        let mount = links.open(Port::Client, peer);
        let tool = links.open(Port::Client, peer);
        let session = SessionId(4);

        let mut presences = Presences::default();
        presences.attach(session, mount, Some(Version::CURRENT));
        presences.attach(session, tool, None);
        presences.close(session);
        assert_eq!(presences.detach(session, tool), None, "one is left");
        assert_eq!(presences.detach(session, tool), None, "it was gone");
        assert_eq!(presences.detach(session, mount), Some(false));

        presences.attach(session, mount, None);
        presences.close(session);
        assert_eq!(presences.detach(session, mount), Some(true));
        presences.attach(session, mount, None);
        assert_eq!(
            presences.detach(session, mount),
            Some(false),
            "it came back"
        );
        let version = presences.get(session).map(|presence| presence.version);
        assert_eq!(version, Some(Version::CURRENT));
    }
}
