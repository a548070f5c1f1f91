//! Three nodes in one process, on loopback: what is acknowledged is on all of them, whatever stops.

#![expect(clippy::unwrap_used, reason = "a test")]

use bytes::Bytes;
use replication::{Content, Event, Kind, Peer, Position, Replica, Role, Secret, Settings};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;

const PATIENCE: Duration = Duration::from_secs(30);

/// An application that collects the batches it is given.
struct Node {
    name: String,
    directory: PathBuf,
    peers: Vec<Peer>,
    replica: Option<(Replica, Receiver<Event>)>,
    role: Option<Role>,
    ready_term: u64,
    at: Position,
    log: Vec<String>,
}

impl Node {
    fn new(root: &std::path::Path, peers: &[Peer], number: usize) -> Node {
        let directory = root.join(&peers[number].name);
        std::fs::create_dir_all(&directory).unwrap();
        Node {
            name: peers[number].name.clone(),
            directory,
            peers: peers.to_vec(),
            replica: None,
            role: None,
            ready_term: 0,
            at: Position::default(),
            log: Vec::new(),
        }
    }

    fn start(&mut self) {
        let ha = self.directory.join("ha");
        std::fs::create_dir_all(&ha).unwrap();
        let image = self.directory.join("state");
        self.log.clear();
        match replication::recovered(&ha).unwrap() {
            Some(found) => {
                self.at = found.position;
                self.load(&found.path);
            }
            None => {
                self.at = Position::default();
                std::fs::write(&image, "").unwrap();
            }
        }
        let own = self.peers.iter().find(|peer| peer.name == self.name);
        let settings = Settings {
            directory: ha,
            name: self.name.clone(),
            listen: own.unwrap().address,
            peers: self.peers.clone(),
            secret: Secret::new(b"0123456789abcdef").unwrap(),
            heartbeat: Duration::from_millis(50),
            election: Duration::from_millis(400),
            image_rate: 0,
            image,
            has_data: false,
            log_bytes_max: 1 << 30,
        };
        self.replica = Some(Replica::start(settings).unwrap());
        self.role = None;
    }

    fn load(&mut self, path: &std::path::Path) {
        let text = std::fs::read_to_string(path).unwrap();
        self.log = text.lines().map(str::to_owned).collect();
    }

    fn stop(&mut self) {
        if let Some((replica, _)) = self.replica.take() {
            replica.stop();
        }
        self.role = None;
    }

    fn poll(&mut self) {
        loop {
            let Some((_, events)) = &mut self.replica else {
                return;
            };
            match events.try_recv() {
                Ok(Event::Committed { position, content }) => {
                    assert_eq!(position.index, self.at.index + 1);
                    self.at = position;
                    match content {
                        Content::Leader => self.ready_term = position.term,
                        Content::Batch(batch) => self
                            .log
                            .push(String::from_utf8(batch.bytes.to_vec()).unwrap()),
                        Content::Membership => {}
                    }
                }
                Ok(Event::Install {
                    position,
                    path,
                    done,
                }) => {
                    self.load(&path);
                    self.at = position;
                    done.send(Ok(())).unwrap();
                }
                Ok(Event::Role(role)) => self.role = Some(role),
                Ok(Event::ImageWanted) => {}
                Ok(Event::Failed(text)) => panic!("{}: {text}", self.name),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => panic!("{}: no events", self.name),
            }
        }
    }

    fn serves(&self) -> Option<u64> {
        let (replica, _) = self.replica.as_ref()?;
        let Some(Role::Leader { term }) = self.role else {
            return None;
        };
        let lease = replica.lease()?;
        (lease.term() == term && self.ready_term == term).then_some(term)
    }
}

struct Cluster {
    root: PathBuf,
    nodes: Vec<Node>,
}

impl Cluster {
    fn new(name: &str, witness: bool) -> Cluster {
        let root = std::env::temp_dir().join(format!("replicas-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&root));
        let peers: Vec<Peer> = (0..3)
            .map(|number| Peer {
                name: format!("node{number}"),
                address: free_address(),
                is_witness: witness && number == 2,
            })
            .collect();
        let nodes = (0..3)
            .map(|number| Node::new(&root, &peers, number))
            .collect();
        let mut cluster = Cluster { root, nodes };
        for node in &mut cluster.nodes {
            node.start();
        }
        cluster
    }

    fn poll(&mut self) {
        for node in &mut self.nodes {
            node.poll();
        }
        std::thread::sleep(Duration::from_millis(2));
    }

    fn wait<T>(&mut self, what: &str, mut until: impl FnMut(&mut Cluster) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.poll();
            if let Some(value) = until(self) {
                return value;
            }
            assert!(Instant::now() < deadline, "waited in vain: {what}");
        }
    }

    fn leader(&mut self) -> usize {
        self.wait("a node serves", |cluster| {
            let serving: Vec<usize> = (0..3)
                .filter(|&number| cluster.nodes[number].serves().is_some())
                .collect();
            assert!(serving.len() <= 1, "two nodes serve: {serving:?}");
            serving.first().copied()
        })
    }

    fn write(&mut self, leader: usize, texts: &[String]) {
        let term = self.nodes[leader].serves().unwrap();
        let before = self.nodes[leader].log.len();
        for text in texts {
            let (replica, _) = self.nodes[leader].replica.as_ref().unwrap();
            replica.propose(term, Kind::Changes, Bytes::from(text.clone()));
        }
        let count = texts.len();
        self.wait("the batches are committed", |cluster| {
            (cluster.nodes[leader].log.len() >= before + count).then_some(())
        });
    }

    fn wait_for_equal(&mut self, expected: &[String]) {
        self.wait("all nodes have everything", |cluster| {
            cluster
                .nodes
                .iter()
                .all(|node| node.log == expected)
                .then_some(())
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.stop();
        }
        drop(std::fs::remove_dir_all(&self.root));
    }
}

fn free_address() -> SocketAddrV4 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port())
}

fn texts(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}{number}"))
        .collect()
}

#[test]
fn what_was_committed_survives_each_leader_in_turn() {
    let mut cluster = Cluster::new("turns", false);
    let mut expected = Vec::new();
    for round in 0..4 {
        let leader = cluster.leader();
        let batch = texts(&format!("round {round} batch "), 50);
        cluster.write(leader, &batch);
        expected.extend(batch);
        cluster.nodes[leader].stop();
        let next = cluster.leader();
        assert_ne!(next, leader);
        let batch = texts(&format!("round {round} without {leader} "), 5);
        cluster.write(next, &batch);
        expected.extend(batch);
        cluster.nodes[leader].start();
        cluster.wait_for_equal(&expected);
    }
}

#[test]
fn a_handover_is_fast_and_loses_nothing() {
    let mut cluster = Cluster::new("handover", false);
    let mut leader = cluster.leader();
    let mut expected = texts("a", 10);
    let batch = expected.clone();
    cluster.write(leader, &batch);
    cluster.wait_for_equal(&expected);
    for round in 0..3 {
        let began = Instant::now();
        let (replica, _) = cluster.nodes[leader].replica.as_ref().unwrap();
        assert!(replica.hand_over(None).is_some());
        assert!(replica.lease().is_none());
        let next = cluster.leader();
        eprintln!("handover {round}: {:?}", began.elapsed());
        assert_ne!(next, leader);
        leader = next;
        let batch = texts(&format!("b{round}"), 3);
        cluster.write(leader, &batch);
        expected.extend(batch);
        cluster.wait_for_equal(&expected);
    }
}

#[test]
fn a_wiped_node_is_filled_from_an_image_under_a_new_identity() {
    let mut cluster = Cluster::new("wiped", false);
    let leader = cluster.leader();
    let mut expected = texts("old ", 30);
    let batch = expected.clone();
    cluster.write(leader, &batch);
    cluster.wait_for_equal(&expected);
    let image = cluster.nodes[leader].directory.join("newer");
    std::fs::write(&image, expected.join("\n")).unwrap();
    let at = cluster.nodes[leader].at;
    let (replica, _) = cluster.nodes[leader].replica.as_ref().unwrap();
    replica.offer_image(at, image);
    let wiped = (leader + 1) % 3;
    cluster.nodes[wiped].stop();
    std::fs::remove_dir_all(cluster.nodes[wiped].directory.join("ha")).unwrap();
    cluster.nodes[wiped].start();
    let batch = texts("new ", 5);
    let leader = cluster.leader();
    cluster.write(leader, &batch);
    expected.extend(batch);
    cluster.wait_for_equal(&expected);
    // It votes again: with the other follower gone there still is a majority.
    std::thread::sleep(Duration::from_secs(1));
    cluster.poll();
    let other = 3 - leader - wiped;
    cluster.nodes[other].stop();
    let batch = texts("last ", 5);
    let leader = cluster.leader();
    cluster.write(leader, &batch);
    expected.extend(batch);
    cluster.nodes[other].start();
    cluster.wait_for_equal(&expected);
}

#[test]
fn a_witness_that_has_more_leads_only_to_hand_over() {
    let mut cluster = Cluster::new("witness", true);
    let leader = cluster.leader();
    assert_ne!(leader, 2);
    let other = 1 - leader;
    let mut expected = texts("a", 5);
    let batch = expected.clone();
    cluster.write(leader, &batch);
    cluster.wait_for_equal(&expected);
    cluster.nodes[other].stop();
    let batch = texts("b", 5);
    cluster.write(leader, &batch);
    expected.extend(batch);
    // Only the witness has the last batches when the other master comes back.
    cluster.nodes[leader].stop();
    cluster.nodes[other].start();
    let next = cluster.wait("the other master serves", |cluster| {
        cluster.nodes[other].serves().map(|_| other)
    });
    assert_eq!(cluster.nodes[next].log, expected);
    cluster.nodes[leader].start();
    cluster.wait_for_equal(&expected);
}
