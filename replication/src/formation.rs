//! How nodes become a cluster, decided from what they say about themselves. Pure.
//!
//! A node belongs to one cluster for ever; its identity is durable before it votes. Founding means
//! drawing a new cluster identity, so two founders can never count the same voters: whoever joined one
//! of them refuses the other.

use crate::types::{NodeId, Peer};
use crate::wire::NodeReport;
use std::collections::BTreeMap;
use std::time::Duration;

/// Empty nodes wait so long for every configured node before a majority is enough.
const ALL_EXPECTED: Duration = Duration::from_secs(20);

/// What a node without a cluster does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Looks again; why.
    Wait(&'static str),
    /// Belongs to this cluster from now on.
    Join(u64),
    /// Founds a cluster with these members.
    Found(BTreeMap<NodeId, Peer>),
    /// Will never belong to the others' cluster as it is; why.
    Refuse(String),
}

/// Decides for the node `me`. `reports` are the newest of the other nodes, by name; `waited` is the
/// time since this node began to look.
pub(crate) fn decide(
    me: &NodeReport,
    peers: &[Peer],
    reports: &BTreeMap<String, NodeReport>,
    waited: Duration,
) -> Decision {
    if let Some((name, report)) = reports.iter().find(|(_, report)| report.cluster != 0) {
        if me.has_data {
            return Decision::Refuse(format!(
                "{name} belongs to a cluster, and this node has data of its own: move the data directory away, then this node is filled from the cluster"
            ));
        }
        return Decision::Join(report.cluster);
    }
    if reports.len() < peers.len() / 2 {
        return Decision::Wait("a majority of the nodes is not there yet");
    }
    if me.is_witness {
        return Decision::Wait("a master founds the cluster");
    }
    let others_with_data: Vec<&str> = reports
        .iter()
        .filter(|(_, report)| report.has_data)
        .map(|(name, _)| name.as_str())
        .collect();
    match (me.has_data, others_with_data.as_slice()) {
        (true, []) => {}
        (true, [name, ..]) => {
            return Decision::Refuse(format!(
                "{name} and this node both have data, and no cluster knows which is right: empty the data directory of the one that shall be filled from the other"
            ));
        }
        (false, [_, ..]) => return Decision::Wait("the node with the data founds the cluster"),
        (false, []) => {
            if reports.len() + 1 < peers.len() && waited < ALL_EXPECTED {
                return Decision::Wait("not every node is there yet");
            }
            let first = peers
                .iter()
                .find(|peer| {
                    !peer.is_witness && (peer.name == me.name || reports.contains_key(&peer.name))
                })
                .is_some_and(|peer| peer.name == me.name);
            if !first {
                return Decision::Wait("the first of the masters founds the cluster");
            }
        }
    }
    let members = peers
        .iter()
        .filter_map(|peer| {
            let id = if peer.name == me.name {
                me.id
            } else {
                reports.get(&peer.name)?.id
            };
            Some((id, peer.clone()))
        })
        .collect();
    Decision::Found(members)
}

/// A change of the membership that the leader should make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A configured node that is no member is brought up to date.
    Teach(NodeId, Peer),
    /// It is, and votes from now on; an identity that it had before it was wiped leaves.
    Admit {
        /// The node.
        node: NodeId,
        /// What leaves.
        leaves: Vec<NodeId>,
    },
}

/// A learner that lacks at most so many entries votes from now on.
const NEARLY_UP_TO_DATE: u64 = 1000;

/// The next step towards a membership that consists of the configured nodes, one at a time.
pub(crate) fn next_step(
    cluster: u64,
    members: &BTreeMap<NodeId, Peer>,
    voters: &[NodeId],
    configured: &[Peer],
    reports: &BTreeMap<String, NodeReport>,
    lag: impl Fn(NodeId) -> Option<u64>,
) -> Option<Step> {
    for peer in configured {
        let Some(report) = reports.get(&peer.name) else {
            continue;
        };
        if report.cluster != cluster || report.id == 0 || voters.contains(&report.id) {
            continue;
        }
        if !members.contains_key(&report.id) {
            return Some(Step::Teach(report.id, peer.clone()));
        }
        if lag(report.id).is_some_and(|lag| lag <= NEARLY_UP_TO_DATE) {
            let leaves = members
                .iter()
                .filter(|(id, member)| **id != report.id && member.name == peer.name)
                .map(|(id, _)| *id)
                .collect();
            return Some(Step::Admit {
                node: report.id,
                leaves,
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Decision, Step, decide, next_step};
    use crate::types::Peer;
    use crate::wire::NodeReport;
    use std::collections::BTreeMap;
    use std::net::{Ipv4Addr, SocketAddrV4};
    use std::time::Duration;

    fn peers() -> Vec<Peer> {
        ["a", "b", "w"]
            .into_iter()
            .zip(1..)
            .map(|(name, number)| Peer {
                name: name.to_owned(),
                address: SocketAddrV4::new(Ipv4Addr::new(172, 21, 21, number), 9424),
                is_witness: name == "w",
            })
            .collect()
    }

    /// `a`, `b`, `w`: a node; `+`: with data; `:7`: of cluster 7.
    fn report(text: &str) -> NodeReport {
        let (text, cluster) = text.split_once(':').unwrap_or((text, "0"));
        let name = text.trim_end_matches('+');
        NodeReport {
            id: u64::from(name.as_bytes()[0]),
            name: name.to_owned(),
            cluster: cluster.parse().unwrap(),
            has_data: text.ends_with('+'),
            is_witness: name == "w",
            ..NodeReport::default()
        }
    }

    fn reports(text: &str) -> BTreeMap<String, NodeReport> {
        text.split_whitespace()
            .map(report)
            .map(|report| (report.name.clone(), report))
            .collect()
    }

    #[test]
    fn who_founds_and_who_joins() {
        let cases = [
            // me, the others, seconds waited, what happens
            ("a", "", 60, "wait"),
            ("a", "b", 1, "wait"),
            ("a", "b w", 1, "found abw"),
            ("a", "b", 60, "found ab"),
            ("b", "a w", 60, "wait"),
            ("b", "w", 60, "found bw"),
            ("w", "a b", 60, "wait"),
            ("a", "b+ w", 60, "wait"),
            ("b+", "a w", 1, "found abw"),
            ("b+", "w", 1, "found bw"),
            ("b+", "", 60, "wait"),
            ("a+", "b+ w", 60, "refuse"),
            ("a", "b:7 w", 1, "join 7"),
            ("w", "b:7", 1, "join 7"),
            ("a+", "b:7 w", 1, "refuse"),
        ];
        for (me, others, waited, expected) in cases {
            let decision = decide(
                &report(me),
                &peers(),
                &reports(others),
                Duration::from_secs(waited),
            );
            let decision = match decision {
                Decision::Wait(_) => "wait".to_owned(),
                Decision::Join(cluster) => format!("join {cluster}"),
                Decision::Found(members) => {
                    let names: String = members.values().map(|peer| peer.name.as_str()).collect();
                    format!("found {names}")
                }
                Decision::Refuse(_) => "refuse".to_owned(),
            };
            assert_eq!(decision, expected, "{me} sees {others}");
        }
    }

    #[test]
    fn the_membership_follows_the_configuration_one_step_at_a_time() {
        let all = peers();
        let members: BTreeMap<_, _> = [(97, all[0].clone()), (1, all[1].clone())].into();
        let step = |reports_text: &str, members: &BTreeMap<u64, Peer>, lag: Option<u64>| {
            next_step(7, members, &[97, 1], &all, &reports(reports_text), |_| lag)
        };
        // Node b was wiped and has another identity now.
        assert_eq!(
            step("b:7", &members, None),
            Some(Step::Teach(98, all[1].clone()))
        );
        let mut taught = members.clone();
        taught.insert(98, all[1].clone());
        assert_eq!(step("b:7", &taught, None), None);
        assert_eq!(step("b:7", &taught, Some(5000)), None);
        assert_eq!(
            step("b:7", &taught, Some(3)),
            Some(Step::Admit {
                node: 98,
                leaves: vec![1]
            })
        );
        // Nodes of no cluster or of another one are left alone.
        assert_eq!(step("b", &members, None), None);
        assert_eq!(step("b:8", &members, None), None);
        assert_eq!(step("a:7", &members, None), None);
    }
}
