//! What every handler needs: who asks, and how an answer is written.

use crate::client::link::{Conn, Counter};
use crate::core::Core;
use metadata::{Caller, Namespace, Tx};
use proto::client::chunks::Server;
use proto::client::kind::reply;
use proto::client::message::{List, Message};
use proto::client::{Credentials, Gids};
use proto::frame::{put_frame, put_status};
use proto::wire::Malformed;
use proto::{Inode, Status};

/// A handler's result: [`Malformed`] closes the connection.
pub type Handled = Result<(), Malformed>;

/// Memory that requests use one after the other, so that none of them allocates.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Groups as sent.
    sent: Vec<u32>,
    /// Groups as the session maps them.
    mapped: Vec<u32>,
    /// Servers of a chunk.
    pub servers: Vec<Server>,
}

/// Requests that tell the user but no group.
pub fn user(uid: u32) -> Credentials<'static> {
    Credentials {
        uid,
        gids: Gids::List(List::EMPTY),
    }
}

impl Core {
    /// The namespace and a transaction of this turn.
    #[inline]
    pub fn change(&mut self) -> (&mut Namespace, Tx<'_>) {
        (&mut self.ns, Tx::new(self.now.unix, &mut self.out))
    }

    /// Counts an operation of the connection's session.
    #[inline]
    pub(super) fn count(&mut self, conn: &Conn, counter: Counter) {
        self.clients.links.count(conn.link, counter);
    }

    /// Answers `msgid status`; `request` is the type of the request.
    #[inline]
    pub(super) fn answer_status(&mut self, conn: &Conn, request: u32, msgid: u32, status: Status) {
        put_status(self.links.out(conn.link), reply(request), msgid, status);
    }

    /// Answers with the status of an operation that returns nothing.
    #[inline]
    pub(super) fn answer_done(
        &mut self,
        conn: &Conn,
        request: u32,
        msgid: u32,
        result: Result<(), Status>,
    ) {
        let status = result.err().unwrap_or(Status::Ok);
        self.answer_status(conn, request, msgid, status);
    }

    /// Answers with a message in the layout of the connection's version.
    #[inline]
    pub(super) fn answer<'a>(&mut self, conn: &Conn, request: u32, message: &impl Message<'a>) {
        put_frame(self.links.out(conn.link), reply(request), |out| {
            message.encode(conn.version, out);
        });
    }

    /// Answers with a message, or with the status why there is none.
    #[inline]
    pub(super) fn answer_result<'a, M: Message<'a>>(
        &mut self,
        conn: &Conn,
        request: u32,
        msgid: u32,
        result: Result<M, Status>,
    ) {
        match result {
            Ok(message) => self.answer(conn, request, &message),
            Err(status) => self.answer_status(conn, request, msgid, status),
        }
    }

    /// Runs `act` with the identity behind the credentials of a request.
    ///
    /// The session of a registered connection exists; should it not, the connection is closed.
    #[inline]
    pub(super) fn as_caller(
        &mut self,
        conn: &Conn,
        credentials: &Credentials<'_>,
        act: impl FnOnce(&mut Core, &Caller<'_>),
    ) -> Handled {
        let mut sent = std::mem::take(&mut self.clients.scratch.sent);
        let mut mapped = std::mem::take(&mut self.clients.scratch.mapped);
        credentials.gids.copy_into(&mut sent);
        let handled = match self.ns.session(conn.session) {
            Some(session) => {
                let who = session.caller(credentials.uid, &sent, &mut mapped);
                act(self, &who);
                Ok(())
            }
            None => Err(Malformed),
        };
        self.clients.scratch.sent = sent;
        self.clients.scratch.mapped = mapped;
        handled
    }

    /// Runs `act` with the session's rights: requests without credentials.
    #[inline]
    pub(super) fn as_session(
        &mut self,
        conn: &Conn,
        act: impl FnOnce(&mut Core, &Caller<'_>),
    ) -> Handled {
        self.as_caller(conn, &user(0), act)
    }

    /// The inode that a request means; without the subtree test when the client has it open.
    #[inline]
    pub(super) fn inode_or_open(
        &self,
        who: &Caller<'_>,
        inode: Inode,
        opened: bool,
    ) -> Result<Inode, Status> {
        if !opened || who.root == Inode(0) {
            self.ns.resolve(who, inode)
        } else if inode == Inode::ROOT {
            Ok(who.root)
        } else {
            Ok(inode)
        }
    }

    /// The same for operations that test other things first: 0 for what the session does not see.
    pub(super) fn target_or_open(&self, who: &Caller<'_>, inode: Inode, opened: bool) -> Inode {
        self.inode_or_open(who, inode, opened).unwrap_or(Inode(0))
    }
}
