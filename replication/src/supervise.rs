//! What a running node watches over: its part and its lease, the membership, a witness that has to
//! lead for a moment, the length of the log.

use crate::event::{Event, Role};
use crate::formation::{Step, next_step};
use crate::machine::Machine;
use crate::replica::{Shared, leads, lock};
use crate::types::{NodeId, Peer, Types, position};
use openraft::async_runtime::WatchReceiver as _;
use openraft::{ChangeMembers, Instant as _, Raft, RaftMetrics};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Part of a lease that is given up for clocks that run at different speeds and for the time between
/// reading the clock and acting.
const LEASE_MARGIN_PERCENT: u32 = 10;
/// Period of the slow duties.
const TEND_PERIOD: Duration = Duration::from_millis(200);
/// A transfer of leadership that has not succeeded by then has failed.
const TRANSFER_TIME: Duration = Duration::from_secs(3);
/// A step of the membership that takes longer is tried again.
const STEP_TIME: Duration = Duration::from_secs(10);

fn role(metrics: &RaftMetrics<Types>) -> Role {
    if leads(metrics) {
        Role::Leader {
            term: metrics.current_term,
        }
    } else {
        Role::Follower {
            term: metrics.current_term,
            leader: metrics.current_leader,
        }
    }
}

/// Follows the node's part and extends its lease, until the log ends.
pub(crate) async fn watch(shared: Arc<Shared>, raft: Raft<Types, Machine>) {
    let election = shared.settings.election;
    let length = election - election * LEASE_MARGIN_PERCENT / 100;
    let mut metrics = raft.metrics();
    let mut last = None;
    loop {
        let (now, acknowledged, failure) = {
            let metrics = metrics.borrow_watched();
            (
                role(&metrics),
                metrics.last_quorum_acked.map(|instant| instant.elapsed()),
                metrics
                    .running_state
                    .as_ref()
                    .err()
                    .map(ToString::to_string),
            )
        };
        if let Some(failure) = failure {
            shared.lease.end();
            shared.tell(Event::Failed(failure)).await;
            return;
        }
        match (now, acknowledged) {
            (Role::Leader { term }, Some(ago)) => shared.lease.extend(term, ago, length),
            (Role::Leader { .. }, None) => {}
            (Role::Follower { .. }, _) => shared.lease.end(),
        }
        if last != Some(now) {
            last = Some(now);
            shared.tell(Event::Role(now)).await;
        }
        if metrics.changed().await.is_err() {
            shared.lease.end();
            let text = "the replicated log has ended".to_owned();
            shared.tell(Event::Failed(text)).await;
            return;
        }
    }
}

/// The slow duties, until the log ends.
pub(crate) async fn tend(shared: Arc<Shared>, raft: Raft<Types, Machine>) {
    let mut image_wanted_at = 0;
    loop {
        tokio::time::sleep(TEND_PERIOD).await;
        let metrics = raft.metrics().borrow_watched().clone();
        if metrics.running_state.is_err() {
            return;
        }
        if shared.me().is_witness {
            witness(&shared, &raft, &metrics).await;
        }
        if leads(&metrics) {
            change_membership(&shared, &raft, &metrics).await;
        }
        let applied = metrics.last_applied.map_or(0, |id| id.index());
        let image = metrics.snapshot.map_or(0, |id| id.index());
        let is_long = shared.store.bytes_after(image) > shared.settings.log_bytes_max;
        if is_long && applied > image && applied > image_wanted_at + 1000 {
            image_wanted_at = applied;
            shared.tell(Event::ImageWanted).await;
        }
    }
}

/// A witness stands only when no master can win, which takes much longer than an election; if it
/// leads, it gives the leadership to the first master that has everything.
async fn witness(shared: &Shared, raft: &Raft<Types, Machine>, metrics: &RaftMetrics<Types>) {
    if leads(metrics) {
        if let Some((term, (node, peer))) = successor(raft, None) {
            tracing::info!("the witness hands the leadership to {}", peer.name);
            transfer(shared, raft, term, node).await;
        }
        return;
    }
    let patience = shared.settings.election * 6;
    if shared.leaderless() > patience {
        // A vote that is refused is asked for again with the next round.
        if let Err(error) = raft.trigger().elect(true).await {
            tracing::error!("can't ask for an election: {error}");
        }
    }
}

/// The master with the most entries, or the named one, and the term in which it would take over.
pub(crate) fn successor(
    raft: &Raft<Types, Machine>,
    name: Option<&str>,
) -> Option<(u64, (NodeId, Peer))> {
    let metrics = raft.metrics().borrow_watched().clone();
    if !leads(&metrics) {
        return None;
    }
    let replication = metrics.replication.as_ref()?;
    let membership = metrics.membership_config.membership();
    let voters: Vec<NodeId> = membership.voter_ids().collect();
    let last = metrics.last_log_index.unwrap_or(0);
    let is_witness_leading = membership
        .get_node(&metrics.id)
        .is_some_and(|peer| peer.is_witness);
    membership
        .nodes()
        .filter(|(id, peer)| {
            **id != metrics.id
                && voters.contains(id)
                && !peer.is_witness
                && name.is_none_or(|name| peer.name == name)
        })
        .filter_map(|(id, peer)| {
            let matched = replication.get(id)?.as_ref()?.index();
            // A witness gives up its leadership only once it is certain to be taken over.
            (!is_witness_leading || matched >= last).then_some((matched, id, peer))
        })
        .max_by_key(|(matched, ..)| *matched)
        .map(|(_, id, peer)| (metrics.current_term, (*id, peer.clone())))
}

/// Transfers the leadership; if that fails the node starts anew, because it must not serve in a term
/// that it has given away.
pub(crate) async fn transfer(
    shared: &Shared,
    raft: &Raft<Types, Machine>,
    term: u64,
    node: NodeId,
) {
    if let Err(error) = raft.trigger().transfer_leader(node).await {
        tracing::error!("can't hand the leadership over: {error}");
    }
    let deadline = Instant::now() + TRANSFER_TIME;
    while Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        if !(leads(&metrics) && metrics.current_term == term) {
            return;
        }
    }
    if !shared.me().is_witness {
        let text = "the leadership could not be handed over".to_owned();
        shared.tell(Event::Failed(text)).await;
    }
}

/// One step towards the configured membership.
async fn change_membership(
    shared: &Shared,
    raft: &Raft<Types, Machine>,
    metrics: &RaftMetrics<Types>,
) {
    let stored = &metrics.membership_config;
    let membership = stored.membership();
    if membership.get_joint_config().len() > 1 || metrics.committed_membership_config != *stored {
        return;
    }
    let members: BTreeMap<NodeId, Peer> = membership
        .nodes()
        .map(|(id, peer)| (*id, peer.clone()))
        .collect();
    let voters: Vec<NodeId> = membership.voter_ids().collect();
    let last = metrics.last_log_index.unwrap_or(0);
    let lag = |node| {
        let matched = metrics.replication.as_ref()?.get(&node)?.as_ref()?;
        Some(last.saturating_sub(position(matched).index))
    };
    let cluster = lock(&shared.identity).cluster;
    let configured = &shared.settings.peers;
    let step = next_step(
        cluster,
        &members,
        &voters,
        configured,
        &shared.reports(),
        lag,
    );
    let change = async {
        match step {
            None => Ok(()),
            Some(Step::Teach(id, peer)) => {
                tracing::info!("{} is filled as node {id:x}", peer.name);
                raft.add_learner(id, peer, false).await.map(drop)
            }
            Some(Step::Admit { node, leaves }) => {
                tracing::info!("node {node:x} votes from now on");
                let mut changes = vec![ChangeMembers::AddVoterIds([node].into())];
                if !leaves.is_empty() {
                    let leaves = leaves.into_iter().collect();
                    changes.push(ChangeMembers::RemoveVoters(leaves));
                }
                raft.change_membership(ChangeMembers::Batch(changes), false)
                    .await
                    .map(drop)
            }
        }
    };
    match tokio::time::timeout(STEP_TIME, change).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!("can't change the membership: {error}"),
        Err(_) => tracing::warn!("changing the membership takes long"),
    }
}
