//! The state of the cluster in words, for people and for scripts. Roles and data states have DRBD's
//! names beside our own.

use replication::{PeerStatus, Status};
use std::fmt::Write as _;

fn role(status: &Status, peer: &PeerStatus) -> &'static str {
    if peer.id != 0 && peer.id == status.leader {
        "leader/Primary"
    } else if peer.is_witness {
        "witness/Secondary"
    } else {
        "standby/Secondary"
    }
}

fn connection(peer: &PeerStatus) -> &'static str {
    if peer.is_connected {
        "Connected"
    } else {
        "WFConnection"
    }
}

/// What a node's data are worth.
fn data(status: &Status, peer: &PeerStatus) -> String {
    let newest = status.peers.iter().filter_map(|peer| peer.applied).max();
    match (peer.percent, peer.applied) {
        (Some(percent), _) => format!("Inconsistent({percent}%)"),
        _ if !peer.is_connected => "DUnknown".to_owned(),
        (None, None) => "Inconsistent".to_owned(),
        (None, Some(applied)) => {
            // A node that reports twice a second is a little behind what the leader says of itself.
            let behind = newest.map_or(0, |newest| newest.index.saturating_sub(applied.index));
            if behind > 100_000 {
                format!("Outdated(-{behind})")
            } else {
                "UpToDate".to_owned()
            }
        }
    }
}

fn has_quorum(status: &Status) -> bool {
    let connected = status.peers.iter().filter(|peer| peer.is_connected).count();
    connected * 2 > status.peers.len()
}

/// Exit code: 0 = complete, 1 = it serves and something is missing, 2 = nobody leads.
pub fn code(status: &Status) -> u8 {
    if status.leader == 0 || !has_quorum(status) {
        2
    } else {
        u8::from(
            status
                .peers
                .iter()
                .any(|peer| !peer.is_connected || peer.percent.is_some()),
        )
    }
}

/// For people.
pub fn text(status: &Status) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "cluster {:016x}, term {}, quorum: {}, lease here: {}",
        status.cluster,
        status.term,
        if has_quorum(status) { "yes" } else { "NO" },
        status.lease.map_or("none".to_owned(), |lease| format!(
            "{} ms",
            lease.as_millis()
        )),
    );
    if !status.waiting.is_empty() {
        let _ = writeln!(text, "no cluster yet: {}", status.waiting);
    }
    for peer in &status.peers {
        let _ = writeln!(
            text,
            "{}{} {} ro:{} cs:{} ds:{} log:{} applied:{} {}{}",
            if peer.name == status.node { "*" } else { " " },
            peer.name,
            peer.address,
            role(status, peer),
            connection(peer),
            data(status, peer),
            peer.last
                .map_or("-".to_owned(), |last| last.index.to_string()),
            peer.applied
                .map_or("-".to_owned(), |applied| applied.index.to_string()),
            peer.state,
            if peer.is_connected || peer.error.is_empty() {
                String::new()
            } else {
                format!(" ({})", peer.error)
            },
        );
    }
    text
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            character if u32::from(character) < 0x20 => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(character));
            }
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// For scripts.
pub fn json(status: &Status) -> String {
    let number = |value: Option<u64>| value.map_or("null".to_owned(), |value| value.to_string());
    let peers: Vec<String> = status
        .peers
        .iter()
        .map(|peer| {
            format!(
                "{{\"name\":{},\"address\":\"{}\",\"self\":{},\"role\":{},\"connection\":\"{}\",\"data\":{},\"percent\":{},\"log\":{},\"applied\":{},\"state\":{},\"error\":{}}}",
                quoted(&peer.name),
                peer.address,
                peer.name == status.node,
                quoted(role(status, peer)),
                connection(peer),
                quoted(&data(status, peer)),
                number(peer.percent.map(u64::from)),
                number(peer.last.map(|last| last.index)),
                number(peer.applied.map(|applied| applied.index)),
                quoted(&peer.state),
                quoted(&peer.error),
            )
        })
        .collect();
    let leader = status
        .peers
        .iter()
        .find(|peer| peer.id != 0 && peer.id == status.leader)
        .map_or("null".to_owned(), |peer| quoted(&peer.name));
    format!(
        "{{\"node\":{},\"cluster\":\"{:016x}\",\"term\":{},\"leader\":{leader},\"quorum\":{},\"lease_ms\":{},\"waiting\":{},\"peers\":[{}]}}\n",
        quoted(&status.node),
        status.cluster,
        status.term,
        has_quorum(status),
        number(
            status
                .lease
                .map(|lease| u64::try_from(lease.as_millis()).unwrap_or(0))
        ),
        quoted(&status.waiting),
        peers.join(","),
    )
}

#[cfg(test)]
mod tests {
    use super::{code, json, text};
    use replication::{PeerStatus, Position, Status};

    fn status() -> Status {
        let peer = |name: &str, id, is_connected, percent| PeerStatus {
            name: name.to_owned(),
            address: "172.21.21.80:9424".parse().unwrap(),
            is_witness: name == "w",
            is_connected,
            id,
            cluster: 7,
            last: Some(Position { term: 3, index: 12 }),
            applied: Some(Position { term: 3, index: 12 }),
            percent,
            state: "standby 5".to_owned(),
            error: String::new(),
        };
        Status {
            node: "a".to_owned(),
            cluster: 7,
            term: 3,
            leader: 1,
            lease: None,
            waiting: String::new(),
            peers: vec![
                peer("a", 1, true, None),
                peer("b", 2, true, Some(40)),
                peer("w", 3, false, None),
            ],
        }
    }

    #[test]
    fn people_see_drbd_words() {
        let text = text(&status());
        for part in [
            "*a 172.21.21.80:9424 ro:leader/Primary cs:Connected ds:UpToDate",
            " b 172.21.21.80:9424 ro:standby/Secondary cs:Connected ds:Inconsistent(40%)",
            " w 172.21.21.80:9424 ro:witness/Secondary cs:WFConnection ds:DUnknown",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(json(&status()).contains("\"leader\":\"a\",\"quorum\":true"));
    }

    #[test]
    fn scripts_get_a_code() {
        let mut status = status();
        assert_eq!(code(&status), 1);
        status.leader = 0;
        assert_eq!(code(&status), 2);
        status.leader = 1;
        for peer in &mut status.peers {
            peer.is_connected = true;
            peer.percent = None;
        }
        assert_eq!(code(&status), 0);
    }
}
