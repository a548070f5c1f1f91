//! The sending side of the peer network: one connection per purpose and peer, made when needed.

use crate::frame::{Link, Secret};
use crate::image::ImageFile;
use crate::types::{NodeId, Peer, Snapshot, Types, Vote};
use crate::wire::{
    Answer, AppendRequest, Ask, BallotRequest, ImageEnd, ImageOffer, ImagePiece, Reply, Request,
    TransferRequest, WireEntry, WireVote, place, unplace, vote,
};
use bytes::Bytes;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{RaftNetworkFactory, RaftNetworkV2};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::SocketAddrV4;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// How long a connection may take.
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// Piece of an image, bytes.
const PIECE_BYTES: usize = 1 << 20;
/// How long the receiver may take to load an image.
const INSTALL_TIME: Duration = Duration::from_secs(3600);
/// How long the receiver may take to write a piece.
const PIECE_TIME: Duration = Duration::from_secs(30);

/// Images that are being sent: percent by receiver.
#[derive(Debug, Default)]
pub(crate) struct Transfers(Mutex<BTreeMap<NodeId, u32>>);

impl Transfers {
    pub fn percent(&self, node: NodeId) -> Option<u32> {
        self.lock().get(&node).copied()
    }

    fn set(&self, node: NodeId, percent: Option<u32>) {
        match percent {
            Some(percent) => self.lock().insert(node, percent),
            None => self.lock().remove(&node),
        };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<NodeId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects and asks.
#[derive(Debug)]
pub(crate) struct Caller {
    address: SocketAddrV4,
    secret: Secret,
    /// The node and the cluster that are meant; 0 = whoever answers.
    to: NodeId,
    cluster: u64,
    link: Option<Link>,
}

impl Caller {
    pub fn new(address: SocketAddrV4, secret: Secret, to: NodeId, cluster: u64) -> Caller {
        Caller {
            address,
            secret,
            to,
            cluster,
            link: None,
        }
    }

    /// Asks and waits for the answer; a connection that failed is made anew with the next question.
    pub async fn ask(&mut self, ask: Ask, patience: Duration) -> io::Result<Answer> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => {
                let limit = CONNECT_TIME.min(patience);
                let connect = async {
                    let stream = TcpStream::connect(self.address).await?;
                    Link::connect(stream, &self.secret).await
                };
                tokio::time::timeout(limit, connect)
                    .await
                    .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??
            }
        };
        let exchange = async {
            let request = Request {
                to: self.to,
                cluster: self.cluster,
                ask: Some(ask),
            };
            link.send(&request).await?;
            link.receive::<Reply>(patience).await
        };
        let reply = tokio::time::timeout(patience, exchange)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.link = Some(link);
        match reply.answer {
            Some(Answer::Refused(why)) => Err(io::Error::other(why)),
            Some(answer) => Ok(answer),
            None => Err(io::Error::other("an empty answer")),
        }
    }
}

/// Makes connections for openraft.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub secret: Secret,
    pub cluster: u64,
    pub transfers: Arc<Transfers>,
    /// Rate of an image, bytes a second; 0 = as fast as it goes.
    pub image_rate: u64,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: NodeId, node: &Peer) -> Connection {
        Connection {
            target,
            caller: Caller::new(node.address, self.secret.clone(), target, self.cluster),
            network: self.clone(),
        }
    }
}

/// A connection to one peer.
#[derive(Debug)]
pub(crate) struct Connection {
    target: NodeId,
    caller: Caller,
    network: Network,
}

fn unreachable<E: std::error::Error>(error: &io::Error) -> RPCError<Types, E> {
    RPCError::Unreachable(Unreachable::from_string(error))
}

fn unexpected() -> io::Error {
    io::Error::other("an answer to something else")
}

impl Connection {
    async fn ballot(
        &mut self,
        request: VoteRequest<Types>,
        is_question: bool,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let ask = Ask::Ballot(BallotRequest {
            vote: Some(WireVote::from(&request.vote)),
            last: place(request.last_log_id.as_ref()),
            is_transfer: request.leadership_transfer,
            is_question,
        });
        let answer = self.caller.ask(ask, option.hard_ttl()).await;
        let reply = match answer.map_err(|error| unreachable(&error))? {
            Answer::Ballot(reply) => reply,
            _ => return Err(unreachable(&unexpected())),
        };
        let theirs = vote(reply.vote)
            .map_err(|error| RPCError::Unreachable(Unreachable::from_string(error)))?;
        Ok(VoteResponse::new(
            theirs,
            unplace(reply.last),
            reply.granted,
        ))
    }

    async fn send_image(
        &mut self,
        leader: Vote,
        snapshot: &Snapshot,
    ) -> io::Result<SnapshotResponse<Types>> {
        let image: &ImageFile = &snapshot.snapshot;
        let file = File::open(&image.path)?;
        let bytes = file.metadata()?.len();
        let offer = Ask::Offer(ImageOffer {
            position: place(snapshot.meta.last_log_id.as_ref()),
            membership: Some((&snapshot.meta.last_membership).into()),
            bytes,
        });
        let Answer::Wanted(wanted) = self.caller.ask(offer, PIECE_TIME).await? else {
            return Err(unexpected());
        };
        let began = Instant::now();
        let mut offset = 0;
        let mut sent = 0_u64;
        let mut hasher = crc32fast::Hasher::new();
        let mut buffer = vec![0; PIECE_BYTES];
        while offset < bytes {
            let length = usize::try_from(bytes - offset)
                .unwrap_or(PIECE_BYTES)
                .min(PIECE_BYTES);
            let piece = &mut buffer[..length];
            file.read_exact_at(piece, offset)?;
            hasher.update(piece);
            let end = offset + length as u64;
            // What the receiver kept from an interrupted transfer is summed up, not sent.
            if end > wanted.from {
                let ask = Ask::Piece(ImagePiece {
                    offset,
                    bytes: Bytes::copy_from_slice(piece),
                });
                let Answer::Done(true) = self.caller.ask(ask, PIECE_TIME).await? else {
                    return Err(unexpected());
                };
                sent += length as u64;
                let due = began + paced(sent, self.network.image_rate);
                tokio::time::sleep_until(due.into()).await;
            }
            offset = end;
            let percent = offset * 100 / bytes.max(1);
            self.network
                .transfers
                .set(self.target, u32::try_from(percent).ok());
        }
        let end = Ask::End(ImageEnd {
            vote: Some(WireVote::from(&leader)),
            crc: hasher.finalize(),
        });
        let Answer::Taken(taken) = self.caller.ask(end, INSTALL_TIME).await? else {
            return Err(unexpected());
        };
        let theirs = vote(taken.vote).map_err(io::Error::other)?;
        Ok(SnapshotResponse::new(theirs))
    }
}

/// How long so many bytes have to take.
fn paced(bytes: u64, rate: u64) -> Duration {
    if rate == 0 {
        return Duration::ZERO;
    }
    Duration::from_secs_f64(bytes as f64 / rate as f64)
}

impl RaftNetworkV2<Types> for Connection {
    type SnapshotData = ImageFile;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let ask = Ask::Append(AppendRequest {
            vote: Some(WireVote::from(&request.vote)),
            previous: place(request.prev_log_id.as_ref()),
            commit: place(request.leader_commit.as_ref()),
            entries: request.entries.iter().map(WireEntry::from).collect(),
        });
        // A follower whose disk is slow is not gone: entries get more time than a heartbeat.
        let patience = if request.entries.is_empty() {
            option.hard_ttl()
        } else {
            option.hard_ttl().max(PIECE_TIME)
        };
        let answer = self.caller.ask(ask, patience).await;
        match answer.map_err(|error| unreachable(&error))? {
            Answer::Append(reply) => Ok(match reply.higher_vote {
                Some(theirs) => AppendEntriesResponse::HigherVote(theirs.into_vote()),
                None if reply.conflict => AppendEntriesResponse::Conflict,
                None if reply.partial => {
                    AppendEntriesResponse::PartialSuccess(unplace(reply.matched))
                }
                None => AppendEntriesResponse::Success,
            }),
            _ => Err(unreachable(&unexpected())),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ballot(request, false, option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ballot(request, true, option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let target = self.target;
        let transfers = Arc::clone(&self.network.transfers);
        tracing::info!(
            "sending the image of {} to node {target:x}",
            snapshot.snapshot.path.display()
        );
        let result = tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = self.send_image(vote, &snapshot) => sent.map_err(|error| {
                tracing::warn!("can't send an image to node {target:x}: {error}");
                match error.kind() {
                    io::ErrorKind::NotFound => StreamingError::Network(NetworkError::new(&error)),
                    _ => StreamingError::Unreachable(Unreachable::new(&error)),
                }
            }),
        };
        transfers.set(target, None);
        result
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let ask = Ask::Transfer(TransferRequest {
            from: Some(WireVote::from(request.from_leader())),
            to: *request.to_node_id(),
            last: place(request.last_log_id()),
        });
        let answer = self.caller.ask(ask, option.hard_ttl()).await;
        match answer.map_err(|error| unreachable(&error))? {
            Answer::Done(true) => Ok(Ok(())),
            // The target is not there yet; openraft asks again with its own words.
            Answer::NotNow(_) => Ok(Err(TransferLeaderError::LogNotFlushed {
                expected: request.last_log_id().copied(),
                actual: None,
            })),
            _ => Err(unreachable(&unexpected())),
        }
    }
}
