//! The order of a registration (chunkserver §2.4): what an answer of the master means for the next
//! step. Knows no socket and no chunks.

use proto::chunkserver::{MasterAck, Style};
use proto::{CsId, MetaId, Version};
use std::net::Ipv4Addr;

/// Attempts without any answer before the old style is tried once.
const ATTEMPTS_NEW: u8 = 3;

/// Which style the next attempt uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fallback {
    unanswered: u8,
}

impl Fallback {
    /// Style of the next attempt.
    pub fn style(self) -> Style {
        match self.unanswered {
            ATTEMPTS_NEW => Style::Old,
            _ => Style::New,
        }
    }

    /// An attempt has ended.
    pub fn ended(&mut self, answered: bool) {
        self.unanswered = match self.unanswered {
            _ if answered => 0,
            ATTEMPTS_NEW => 0,
            unanswered => unanswered + 1,
        };
    }
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The master has accepted: note its numbers, send the labels if it takes them.
    Accepted {
        /// Version of the master.
        master: Version,
        /// Seconds; `None`: not agreed.
        timeout_s: Option<u16>,
        /// Number of this server; 0: none told.
        csid: CsId,
        /// File system.
        metaid: Option<MetaId>,
    },
    /// Send the next batch of chunks, or the end of the list.
    NextBatch(Style),
    /// Send all chunks and the end of the list.
    WholeList(Style),
    /// Send BEGIN again with the digest of this.
    Authenticate([u8; 32]),
    /// Close; connect to the leader, or resolve the name again.
    Redirect(Option<Ipv4Addr>),
    /// Keep the connection; seconds of the timeout.
    Wait(u16),
}

/// A registration under way.
#[derive(Clone, Debug)]
pub struct Registration {
    style: Style,
    phase: Phase,
    master: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Begun,
    Listing,
    Done,
}

/// The master said something that has no place here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unexpected acknowledgement")]
pub struct OutOfOrder;

impl Registration {
    /// BEGIN of this style was sent.
    pub fn begun(style: Style) -> Registration {
        Registration {
            style,
            phase: Phase::Begun,
            master: Version::default(),
        }
    }

    /// Version of the master; zero when it has not told.
    pub fn master(&self) -> Version {
        self.master
    }

    /// The list is complete: reports may be sent.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Space may be sent: the master has accepted.
    pub fn is_accepted(&self) -> bool {
        self.phase != Phase::Begun
    }

    /// The end of the list was sent.
    pub fn ended(&mut self) {
        self.phase = Phase::Done;
    }

    /// The master has acknowledged.
    pub fn on_ack(&mut self, ack: MasterAck) -> Result<Vec<Step>, OutOfOrder> {
        match (ack, self.phase) {
            (MasterAck::Accepted { version, agreed }, Phase::Begun | Phase::Listing) => {
                self.master = version;
                self.style = Style::New;
                self.phase = Phase::Listing;
                let list = match version.master_acks_batches() {
                    true => Step::NextBatch(Style::New),
                    false => Step::WholeList(Style::New),
                };
                let accepted = Step::Accepted {
                    master: version,
                    timeout_s: agreed.map(|agreed| agreed.timeout_s),
                    csid: agreed.map_or(CsId(0), |agreed| agreed.csid),
                    metaid: agreed.and_then(|agreed| agreed.metaid),
                };
                Ok(vec![accepted, list])
            }
            (MasterAck::Continue, Phase::Listing) => Ok(vec![Step::NextBatch(self.style)]),
            // The answer to the last batch of those that were sent without waiting.
            (MasterAck::Continue, Phase::Done) => Ok(Vec::new()),
            (MasterAck::NotLeader { leader }, _) => {
                let leader = (!leader.is_unspecified()).then_some(leader);
                Ok(vec![Step::Redirect(leader)])
            }
            (MasterAck::Wait { timeout_s, .. }, _) => {
                self.phase = Phase::Begun;
                Ok(vec![Step::Wait(timeout_s)])
            }
            (MasterAck::Authenticate { challenge }, Phase::Begun) => {
                Ok(vec![Step::Authenticate(challenge)])
            }
            _ => Err(OutOfOrder),
        }
    }

    /// A sign of life: before any acknowledgement it is that of a master that never sends one
    /// (1.6), and starts the list.
    pub fn on_nop(&mut self, acknowledged: bool) -> Vec<Step> {
        if self.phase == Phase::Begun && !acknowledged {
            self.phase = Phase::Listing;
            return vec![Step::WholeList(self.style)];
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{Fallback, OutOfOrder, Registration, Step};
    use proto::chunkserver::{Agreed, MasterAck, Style};
    use proto::{CsId, MetaId, Version};
    use std::net::Ipv4Addr;

    fn accepted(version: &str) -> MasterAck {
        MasterAck::Accepted {
            version: version.parse().unwrap(),
            agreed: Some(Agreed {
                timeout_s: 10,
                csid: CsId(2),
                metaid: Some(MetaId(7)),
            }),
        }
    }

    #[test]
    fn batches_wait_for_acknowledgements_since_two() {
        let mut registration = Registration::begun(Style::New);
        let steps = registration.on_ack(accepted("3.0.117")).unwrap();
        assert_eq!(
            steps,
            [
                Step::Accepted {
                    master: Version::CURRENT,
                    timeout_s: Some(10),
                    csid: CsId(2),
                    metaid: Some(MetaId(7)),
                },
                Step::NextBatch(Style::New)
            ]
        );
        assert_eq!(registration.on_nop(true), []);
        let next = registration.on_ack(MasterAck::Continue);
        assert_eq!(next, Ok(vec![Step::NextBatch(Style::New)]));
        registration.ended();
        assert!(registration.is_done());
        assert_eq!(registration.on_ack(accepted("3.0.117")), Err(OutOfOrder));

        let mut old = Registration::begun(Style::Old);
        let steps = old.on_ack(accepted("1.7.5")).unwrap();
        assert_eq!(steps[1], Step::WholeList(Style::New));
    }

    #[test]
    fn a_master_that_only_sends_signs_of_life_gets_the_list_at_once() {
        let mut registration = Registration::begun(Style::Old);
        assert_eq!(registration.on_nop(false), [Step::WholeList(Style::Old)]);
        registration.ended();
        assert_eq!(registration.on_nop(false), []);
        assert_eq!(registration.master(), Version::default());
    }

    #[test]
    fn redirects_waiting_and_authentication() {
        let mut registration = Registration::begun(Style::New);
        let redirect = |leader| MasterAck::NotLeader { leader };
        let leader = Ipv4Addr::new(10, 0, 0, 1);
        assert_eq!(
            registration.on_ack(redirect(leader)),
            Ok(vec![Step::Redirect(Some(leader))])
        );
        assert_eq!(
            registration.on_ack(redirect(Ipv4Addr::UNSPECIFIED)),
            Ok(vec![Step::Redirect(None)])
        );
        let challenge = [7; 32];
        assert_eq!(
            registration.on_ack(MasterAck::Authenticate { challenge }),
            Ok(vec![Step::Authenticate(challenge)])
        );
        registration.on_ack(accepted("3.0.117")).unwrap();
        let wait = MasterAck::Wait {
            version: Version::CURRENT,
            timeout_s: 20,
            metaid: None,
        };
        assert_eq!(registration.on_ack(wait), Ok(vec![Step::Wait(20)]));
        assert_eq!(registration.on_nop(true), [], "waiting is no old master");
        assert_eq!(registration.on_ack(MasterAck::Continue), Err(OutOfOrder));
        assert_eq!(registration.on_ack(accepted("3.0.117")).unwrap().len(), 2);
    }

    #[test]
    fn the_old_style_is_tried_after_three_attempts_without_an_answer() {
        let mut fallback = Fallback::default();
        let mut styles = Vec::new();
        for _ in 0..8 {
            styles.push(fallback.style());
            fallback.ended(false);
        }
        let (new, old) = (Style::New, Style::Old);
        assert_eq!(styles, [new, new, new, old, new, new, new, old]);
        fallback.ended(false);
        fallback.ended(true);
        fallback.ended(false);
        fallback.ended(false);
        assert_eq!(fallback.style(), new);
    }
}
