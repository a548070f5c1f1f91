//! Opening and creating files.

use proto::client::create::{Create, CreateReply};
use proto::client::kind;
use proto::client::open::{Open, OpenReply};
use proto::{Attr, Inode, Status};

use super::Node;
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::session::Session;

/// What the master says about a file that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Bits of `open_flag`.
    pub flags: u8,
    /// Attributes.
    pub attr: Attr,
}

/// No list of open files goes out while this lives, also when the future is dropped.
struct Creating<'a>(&'a Session);

impl<'a> Creating<'a> {
    fn new(session: &'a Session) -> Creating<'a> {
        session.open_list().create_begins();
        Creating(session)
    }
}

impl Drop for Creating<'_> {
    fn drop(&mut self) {
        self.0.open_list().create_ends();
    }
}

impl Session {
    /// Opens a file (OPEN with `open_want` flags).
    pub async fn open(&self, inode: Inode, flags: u8, caller: &Caller) -> Result<Opened> {
        let reply = self
            .ask(kind::OPEN, |msgid| Open {
                msgid,
                inode,
                caller: caller.credentials(),
                flags,
            })
            .await?;
        let body: OpenReply = reply.body()?;
        Ok(Opened {
            flags: body.flags,
            attr: body.attr,
        })
    }

    /// Makes a file and opens it (CREATE): `open_flag`s and the file. EEXIST if the name exists.
    pub async fn create(
        &self,
        parent: Inode,
        name: &[u8],
        mode: u16,
        umask: u16,
        caller: &Caller,
    ) -> Result<(u8, Node)> {
        let ours = self.ours_file();
        let _creating = Creating::new(self);
        let reply = self
            .ask(kind::CREATE, |msgid| Create {
                msgid,
                parent,
                name,
                mode,
                umask,
                caller: caller.credentials(),
            })
            .await;
        let outcome = match reply {
            Err(error) => Err(error),
            Ok(reply) => match reply.body::<CreateReply>() {
                Ok(body) => Ok((
                    body.flags,
                    Node {
                        inode: body.inode,
                        attr: body.attr,
                    },
                )),
                Err(Error::Status(Status::Eexist)) if reply.is_repeated() => self
                    .made_before(parent, name, ours, caller)
                    .await
                    .map(|node| (0, node)),
                Err(error) => Err(error),
            },
        };
        if let Ok((_, node)) = &outcome {
            // From now until its close the file may be missing from no list.
            self.open_list().opened(node.inode);
        }
        outcome
    }
}
