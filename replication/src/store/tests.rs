//! The log store against a directory: what survives a reopening, a torn end, a truncation, a purge.

use super::LogStore;
use crate::types::{Batch, Entry, Kind, Position, Types, Vote, log_id, position};
use bytes::Bytes;
use openraft::EntryPayload;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use std::path::PathBuf;
use std::time::Duration;

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("log-store-{name}-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&path));
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn entry(term: u64, index: u64) -> Entry {
    Entry {
        log_id: log_id(Position { term, index }),
        payload: EntryPayload::Normal(Batch {
            kind: Kind::Changes,
            origin: 1,
            sequence: index,
            bytes: Bytes::from(vec![index as u8; 100]),
        }),
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}

async fn append(store: &mut LogStore, entries: Vec<Entry>) {
    let (sender, receiver) = <Types as TypeConfigExt>::oneshot();
    let flushed = IOFlushed::<Types>::signal(sender);
    store.append(entries, flushed).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), receiver)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

async fn indexes(store: &mut LogStore) -> Vec<(u64, u64)> {
    let entries = store.try_get_log_entries(..).await.unwrap();
    entries
        .iter()
        .map(|entry| position(&entry.log_id))
        .map(|position| (position.term, position.index))
        .collect()
}

#[test]
fn entries_and_the_vote_survive() {
    run(async {
        let path = directory("survive");
        let mut store = LogStore::open(&path).unwrap();
        assert!(store.is_pristine());
        append(&mut store, (0..3).map(|index| entry(1, index)).collect()).await;
        store.save_vote(&Vote::new_committed(4, 7)).await.unwrap();
        append(&mut store, vec![entry(4, 3)]).await;
        store.stop();
        let mut store = LogStore::open(&path).unwrap();
        assert_eq!(indexes(&mut store).await, [(1, 0), (1, 1), (1, 2), (4, 3)]);
        assert_eq!(
            store.read_vote().await.unwrap(),
            Some(Vote::new_committed(4, 7))
        );
        append(&mut store, vec![entry(4, 4)]).await;
        assert_eq!(indexes(&mut store).await.len(), 5);
        std::fs::remove_dir_all(path).unwrap();
    });
}

#[test]
fn a_truncated_log_continues_with_other_entries() {
    run(async {
        let path = directory("truncate");
        let mut store = LogStore::open(&path).unwrap();
        append(&mut store, (0..5).map(|index| entry(1, index)).collect()).await;
        store
            .truncate_after(Some(entry(1, 1).log_id))
            .await
            .unwrap();
        append(&mut store, vec![entry(2, 2)]).await;
        store.stop();
        let mut store = LogStore::open(&path).unwrap();
        assert_eq!(indexes(&mut store).await, [(1, 0), (1, 1), (2, 2)]);
        store.truncate_after(None).await.unwrap();
        append(&mut store, vec![entry(3, 0)]).await;
        store.stop();
        let mut store = LogStore::open(&path).unwrap();
        assert_eq!(indexes(&mut store).await, [(3, 0)]);
        std::fs::remove_dir_all(path).unwrap();
    });
}

#[test]
fn a_purged_log_knows_where_it_begins() {
    run(async {
        let path = directory("purge");
        let mut store = LogStore::open(&path).unwrap();
        append(&mut store, (0..5).map(|index| entry(1, index)).collect()).await;
        store.purge(entry(1, 2).log_id).await.unwrap();
        assert_eq!(indexes(&mut store).await, [(1, 3), (1, 4)]);
        store.stop();
        let mut store = LogStore::open(&path).unwrap();
        assert_eq!(indexes(&mut store).await, [(1, 3), (1, 4)]);
        // An image that reaches beyond the log leaves it empty, to be continued behind the image.
        store.purge(entry(2, 90).log_id).await.unwrap();
        let state = store.get_log_state().await.unwrap();
        assert_eq!(state.last_log_id, Some(entry(2, 90).log_id));
        append(&mut store, vec![entry(2, 91)]).await;
        store.stop();
        let mut store = LogStore::open(&path).unwrap();
        assert_eq!(indexes(&mut store).await, [(2, 91)]);
        std::fs::remove_dir_all(path).unwrap();
    });
}

#[test]
fn a_torn_end_is_cut_and_written_anew() {
    run(async {
        let path = directory("torn");
        let mut store = LogStore::open(&path).unwrap();
        append(&mut store, vec![entry(1, 0)]).await;
        append(&mut store, vec![entry(1, 1)]).await;
        store.stop();
        drop(store);
        let file = path.join("00000000000000000000.log");
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() - 3]).unwrap();
        let mut store = LogStore::open(&path).unwrap();
        assert_eq!(indexes(&mut store).await, [(1, 0)]);
        append(&mut store, vec![entry(2, 1)]).await;
        store.stop();
        let mut store = LogStore::open(&path).unwrap();
        assert_eq!(indexes(&mut store).await, [(1, 0), (2, 1)]);
        std::fs::remove_dir_all(path).unwrap();
    });
}

#[test]
fn damage_to_what_was_promised_is_no_torn_end() {
    run(async {
        let path = directory("damage");
        let mut store = LogStore::open(&path).unwrap();
        append(&mut store, vec![entry(1, 0)]).await;
        append(&mut store, vec![entry(1, 1)]).await;
        store.stop();
        let file = path.join("00000000000000000000.log");
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[60] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        let error = LogStore::open(&path).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
        std::fs::remove_dir_all(path).unwrap();
    });
}

#[test]
fn an_append_with_a_hole_is_refused() {
    run(async {
        let path = directory("hole");
        let mut store = LogStore::open(&path).unwrap();
        append(&mut store, vec![entry(1, 0)]).await;
        let refused = store.append(vec![entry(1, 2)], IOFlushed::noop()).await;
        assert!(refused.is_err());
        std::fs::remove_dir_all(path).unwrap();
    });
}
