//! The receiving side of the peer network: connections are proved, bounded and answered in order.

use crate::frame::{Link, Secret};
use crate::image::ImageFile;
use crate::machine::Machine;
use crate::types::{Snapshot, SnapshotMeta, Types};
use crate::wire::{
    Answer, AppendReply, AppendRequest, Ask, BallotReply, BallotRequest, ImageEnd, ImageOffer,
    ImagePiece, ImageTaken, ImageWanted, Malformed, NodeReport, Reply, Request, TransferRequest,
    WireEntry, WireVote, place, unplace, vote,
};
use openraft::Raft;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest,
};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// Connections that have not proved themselves yet, at once.
const STRANGERS_MAX: usize = 32;
/// Connections of replicas, at once.
const LINKS_MAX: usize = 256;
/// A connection on which nothing is asked for so long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Between two complaints about connections that are refused.
const COMPLAINT_PERIOD: Duration = Duration::from_secs(60);
/// Pause when no connection can be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// What a server answers from.
pub(crate) struct Served {
    pub secret: Secret,
    /// This node, and the cluster that it belongs to.
    pub identity: Box<dyn Fn() -> (u64, u64) + Send + Sync>,
    /// When a leader was last heard.
    pub leader_heard: Mutex<Instant>,
    /// The log, once this node belongs to a cluster.
    pub raft: watch::Receiver<Option<Raft<Types, Machine>>>,
    /// What this node says about itself, and what it hears from others.
    pub report: Box<dyn Fn(NodeReport) -> NodeReport + Send + Sync>,
    /// Where images are received.
    pub directory: PathBuf,
    /// Percent of an image that is being received; 100 = none is.
    pub percent: AtomicU32,
    pub complained: Mutex<Option<Instant>>,
}

impl Served {
    fn complain(&self, what: &str) {
        let mut complained = self
            .complained
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if complained.is_none_or(|at| at.elapsed() >= COMPLAINT_PERIOD) {
            tracing::warn!("replication port: {what} (further ones are not logged for a minute)");
            *complained = Some(Instant::now());
        }
    }
}

/// Accepts connections until the task is aborted.
pub(crate) async fn listen(listener: TcpListener, served: Arc<Served>) {
    let strangers = Arc::new(Semaphore::new(STRANGERS_MAX));
    let links = Arc::new(Semaphore::new(LINKS_MAX));
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                served.complain(&format!("can't accept a connection: {error}"));
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(stranger) = Arc::clone(&strangers).try_acquire_owned() else {
            served.complain(&format!("too many unknown connections, {peer} is refused"));
            continue;
        };
        let served = Arc::clone(&served);
        let links = Arc::clone(&links);
        tokio::spawn(async move {
            let link = match Link::accept(stream, &served.secret).await {
                Ok(link) => link,
                Err(error) => {
                    served.complain(&format!("{peer} is refused: {error}"));
                    return;
                }
            };
            drop(stranger);
            let Ok(_place) = links.try_acquire_owned() else {
                served.complain(&format!("too many connections, {peer} is refused"));
                return;
            };
            serve(link, &served).await;
        });
    }
}

/// Answers one connection until it ends.
async fn serve(mut link: Link, served: &Served) {
    let mut incoming = None;
    while let Ok(request) = link.receive::<Request>(IDLE).await {
        let (node, cluster) = (served.identity)();
        let meant = request.to == 0 || (request.to == node && request.cluster == cluster);
        let answer = match request.ask {
            Some(_) if !meant => {
                Answer::Refused("another node or another cluster is here".to_owned())
            }
            Some(ask) => answer(served, &mut incoming, ask)
                .await
                .unwrap_or_else(|error| Answer::Refused(error.to_string())),
            None => Answer::Refused("an empty request".to_owned()),
        };
        if link
            .send(&Reply {
                answer: Some(answer),
            })
            .await
            .is_err()
        {
            break;
        }
    }
    if incoming.is_some() {
        served.percent.store(100, Ordering::Relaxed);
    }
}

/// An image that is being received.
struct Incoming {
    meta: SnapshotMeta,
    path: PathBuf,
    file: File,
    bytes: u64,
}

fn bad(error: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

fn ended(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

async fn answer(served: &Served, incoming: &mut Option<Incoming>, ask: Ask) -> io::Result<Answer> {
    if let Ask::Report(theirs) = ask {
        return Ok(Answer::Report((served.report)(theirs)));
    }
    let raft = served
        .raft
        .borrow()
        .clone()
        .ok_or_else(|| io::Error::other("this node belongs to no cluster yet"))?;
    match ask {
        Ask::Append(request) => append(served, &raft, request).await,
        Ask::Ballot(request) => ballot(&raft, request).await,
        Ask::Transfer(request) => transfer(&raft, request).await,
        Ask::Offer(offer) => take_offer(served, incoming, offer),
        Ask::Piece(piece) => take_piece(served, incoming, &piece),
        Ask::End(end) => {
            let incoming = incoming
                .take()
                .ok_or_else(|| io::Error::other("no image was offered"))?;
            let taken = take_image(&raft, incoming, end).await;
            served.percent.store(100, Ordering::Relaxed);
            taken
        }
        Ask::Report(_) => Err(io::Error::other("not here")),
    }
}

async fn append(
    served: &Served,
    raft: &Raft<Types, Machine>,
    request: AppendRequest,
) -> io::Result<Answer> {
    let entries: Result<Vec<_>, Malformed> = request
        .entries
        .into_iter()
        .map(WireEntry::into_entry)
        .collect();
    let request = AppendEntriesRequest {
        vote: vote(request.vote).map_err(bad)?,
        prev_log_id: unplace(request.previous),
        entries: entries.map_err(bad)?,
        leader_commit: unplace(request.commit),
    };
    let response = raft.append_entries(request).await.map_err(ended)?;
    if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
        *served
            .leader_heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
    Ok(Answer::Append(match response {
        AppendEntriesResponse::Success => AppendReply::default(),
        AppendEntriesResponse::PartialSuccess(matched) => AppendReply {
            partial: true,
            matched: place(matched.as_ref()),
            ..AppendReply::default()
        },
        AppendEntriesResponse::Conflict => AppendReply {
            conflict: true,
            ..AppendReply::default()
        },
        AppendEntriesResponse::HigherVote(theirs) => AppendReply {
            higher_vote: Some(WireVote::from(&theirs)),
            ..AppendReply::default()
        },
    }))
}

async fn ballot(raft: &Raft<Types, Machine>, ballot: BallotRequest) -> io::Result<Answer> {
    let mut request = VoteRequest::new(vote(ballot.vote).map_err(bad)?, unplace(ballot.last));
    request.leadership_transfer = ballot.is_transfer;
    let response = if ballot.is_question {
        raft.pre_vote(request).await
    } else {
        raft.vote(request).await
    }
    .map_err(ended)?;
    Ok(Answer::Ballot(BallotReply {
        vote: Some(WireVote::from(&response.vote)),
        granted: response.vote_granted,
        last: place(response.last_log_id.as_ref()),
    }))
}

async fn transfer(raft: &Raft<Types, Machine>, request: TransferRequest) -> io::Result<Answer> {
    let request = TransferLeaderRequest::new(
        vote(request.from).map_err(bad)?,
        request.to,
        unplace(request.last),
    );
    Ok(
        match raft.handle_transfer_leader(request).await.map_err(ended)? {
            Ok(()) => Answer::Done(true),
            Err(error) => Answer::NotNow(error.to_string()),
        },
    )
}

fn take_offer(
    served: &Served,
    incoming: &mut Option<Incoming>,
    offer: ImageOffer,
) -> io::Result<Answer> {
    let position = unplace(offer.position).ok_or_else(|| bad(Malformed("no position")))?;
    let membership = offer
        .membership
        .ok_or_else(|| bad(Malformed("no membership")))?
        .into_stored()
        .map_err(bad)?;
    let name = format!("incoming.{}", position.index());
    let path = served.directory.join(&name);
    remove_other_incoming(served, &name);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)?;
    let mut have = file.metadata()?.len();
    if have > offer.bytes {
        file.set_len(0)?;
        have = 0;
    }
    *incoming = Some(Incoming {
        meta: SnapshotMeta {
            last_log_id: Some(position),
            last_membership: membership,
        },
        path,
        file,
        bytes: offer.bytes,
    });
    served.percent.store(0, Ordering::Relaxed);
    Ok(Answer::Wanted(ImageWanted { from: have }))
}

/// Remains of transfers that will not be continued.
fn remove_other_incoming(served: &Served, keep: &str) {
    for entry in std::fs::read_dir(&served.directory)
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("incoming.") && name != keep {
            // It costs space only.
            drop(std::fs::remove_file(entry.path()));
        }
    }
}

fn take_piece(
    served: &Served,
    incoming: &mut Option<Incoming>,
    piece: &ImagePiece,
) -> io::Result<Answer> {
    let incoming = incoming
        .as_mut()
        .ok_or_else(|| io::Error::other("no image was offered"))?;
    let end = piece
        .offset
        .checked_add(piece.bytes.len() as u64)
        .filter(|&end| end <= incoming.bytes)
        .ok_or_else(|| bad(Malformed("a piece beyond the end of its image")))?;
    incoming.file.write_all_at(&piece.bytes, piece.offset)?;
    let percent = end * 100 / incoming.bytes.max(1);
    served.percent.store(
        u32::try_from(percent).unwrap_or(99).min(99),
        Ordering::Relaxed,
    );
    Ok(Answer::Done(true))
}

async fn take_image(
    raft: &Raft<Types, Machine>,
    incoming: Incoming,
    end: ImageEnd,
) -> io::Result<Answer> {
    let leader = vote(end.vote).map_err(bad)?;
    let sum = checksum(&incoming.file)?;
    if incoming.file.metadata()?.len() != incoming.bytes || sum != end.crc {
        std::fs::remove_file(&incoming.path)?;
        return Err(io::Error::other("the image came damaged, once more please"));
    }
    incoming.file.sync_all()?;
    let snapshot = Snapshot {
        meta: incoming.meta,
        snapshot: ImageFile {
            path: incoming.path,
        },
    };
    let response = raft
        .install_full_snapshot(leader, snapshot)
        .await
        .map_err(ended)?;
    Ok(Answer::Taken(ImageTaken {
        vote: Some(WireVote::from(&response.vote)),
    }))
}

fn checksum(file: &File) -> io::Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    loop {
        let count = file.read_at(&mut buffer, offset)?;
        if count == 0 {
            return Ok(hasher.finalize());
        }
        hasher.update(&buffer[..count]);
        offset += count as u64;
    }
}

/// Makes a listening socket that can be bound while connections of a predecessor linger.
pub(crate) fn bind(address: std::net::SocketAddrV4) -> io::Result<TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address.into())?;
    socket.listen(128)
}
