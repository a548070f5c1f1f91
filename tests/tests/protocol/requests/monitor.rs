//! Random requests about what monitors ask.

use super::{Request, Requests, build};
use proto::Version;
use proto::client::kind;
use proto::client::message::{List, ListMessage};
use proto::client::query::ListRequest;

impl Requests {
    /// Monitoring. Left out: lists of locks, which the real master takes from uninitialised memory
    /// when there are whole-file locks, and what measures the process (memory, charts).
    pub(super) fn monitor(&mut self, version: Version) -> Option<Request> {
        const FORMS: &[&[u8]] = &[&[], &[0], &[1], &[2], &[3]];
        let form = match self.dice.below(9) {
            0 => {
                let message = ListRequest {
                    msgid: Some(self.msgid),
                    of: self.dice.below(4),
                };
                return Some(build(kind::LIST_OPEN_FILES, &message, version));
            }
            1 => {
                let inodes: Vec<_> = (0..8).map(|_| self.inode()).collect();
                let message = ListMessage {
                    msgid: None,
                    items: List::Values(&inodes),
                };
                return Some(build(kind::MASS_RESOLVE_PATHS, &message, version));
            }
            2 => (500, &FORMS[..1]),
            3 => (508, FORMS),
            4 => (516, &FORMS[..3]),
            5 => (518, &FORMS[..1]),
            6 => (520, FORMS),
            7 => (522, &FORMS[..1]),
            _ => (542, &FORMS[..2]),
        };
        let (kind, payload) = (form.0, self.dice.pick(form.1).to_vec());
        Some(Request {
            kind,
            text: format!("{payload:?}"),
            payload,
        })
    }
}
