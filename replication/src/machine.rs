//! The end of the log: committed entries go to the application, images come from it and go to it.

use crate::event::{Content, Event};
use crate::image::{self, Image, ImageFile};
use crate::types::{
    LogId, Position, Snapshot, SnapshotMeta, StoredMembership, Types, log_id, position,
};
use futures_util::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Memberships that are remembered for images of positions before them.
const MEMBERSHIPS_MAX: usize = 64;

/// What machine and image builder share.
#[derive(Debug)]
pub(crate) struct Images {
    pub directory: PathBuf,
    state: Mutex<ImageState>,
}

#[derive(Debug)]
struct ImageState {
    current: Option<Image>,
    /// An image that the application has written and the log has not taken yet.
    offered: Option<(Position, PathBuf)>,
    memberships: Vec<StoredMembership>,
}

impl Images {
    pub fn new(directory: PathBuf, current: Option<Image>) -> Arc<Images> {
        let memberships = current
            .iter()
            .map(|image| image.membership.clone())
            .collect();
        Arc::new(Images {
            directory,
            state: Mutex::new(ImageState {
                current,
                offered: None,
                memberships,
            }),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ImageState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The application has written an image of the state after an entry.
    pub fn offer(&self, position: Position, path: PathBuf) {
        self.lock().offered = Some((position, path));
    }

    pub fn current(&self) -> Option<Image> {
        self.lock().current.clone()
    }

    /// The image with which a cluster begins.
    pub fn found(
        &self,
        path: &std::path::Path,
        place: Position,
        membership: StoredMembership,
    ) -> io::Result<()> {
        let image = image::adopt(&self.directory, path, place, membership)?;
        let mut state = self.lock();
        state.memberships.push(image.membership.clone());
        state.current = Some(image);
        Ok(())
    }

    fn remember(&self, membership: StoredMembership) {
        let mut state = self.lock();
        state.memberships.push(membership);
        if state.memberships.len() > MEMBERSHIPS_MAX {
            state.memberships.remove(0);
        }
    }

    /// Takes what was offered as the newest image.
    fn take_offer(&self) -> io::Result<Option<Image>> {
        let mut state = self.lock();
        let Some((place, path)) = state.offered.take() else {
            return Ok(state.current.clone());
        };
        let is_newer = state
            .current
            .as_ref()
            .is_none_or(|image| image.position < place);
        if is_newer {
            let membership = state
                .memberships
                .iter()
                .rev()
                .find(|membership| *membership.log_id() <= Some(log_id(place)))
                .cloned()
                .ok_or_else(|| io::Error::other("the membership of the image is not known"))?;
            state.current = Some(image::adopt(&self.directory, &path, place, membership)?);
        }
        Ok(state.current.clone())
    }
}

/// The application as openraft sees it.
#[derive(Debug)]
pub(crate) struct Machine {
    events: mpsc::Sender<Event>,
    images: Arc<Images>,
    applied: Option<LogId>,
    membership: StoredMembership,
}

impl Machine {
    pub fn new(events: mpsc::Sender<Event>, images: Arc<Images>) -> Machine {
        let current = images.current();
        Machine {
            events,
            images,
            applied: current.as_ref().map(Image::log_id),
            membership: current.map(|image| image.membership).unwrap_or_default(),
        }
    }

    async fn tell(&self, event: Event) -> io::Result<()> {
        self.events
            .send(event)
            .await
            .map_err(|_| io::Error::other("the application is gone"))
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = ImageFile;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let content = match entry.payload {
                EntryPayload::Blank => Content::Leader,
                EntryPayload::Normal(batch) => Content::Batch(batch),
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                    self.images.remember(self.membership.clone());
                    Content::Membership
                }
            };
            self.applied = Some(entry.log_id);
            self.tell(Event::Committed {
                position: position(&entry.log_id),
                content,
            })
            .await?;
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Builder> {
        Some(Builder(Arc::clone(&self.images)))
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder(Arc::clone(&self.images))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: ImageFile,
    ) -> io::Result<()> {
        let place = meta
            .last_log_id
            .as_ref()
            .map(position)
            .ok_or_else(|| io::Error::other("an image without a position"))?;
        let image = image::adopt(
            &self.images.directory,
            &snapshot.path,
            place,
            meta.last_membership.clone(),
        )?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.images.remember(self.membership.clone());
        self.images.lock().current = Some(image.clone());
        let (done, loaded) = oneshot::channel();
        self.tell(Event::Install {
            position: place,
            path: image.path,
            done,
        })
        .await?;
        loaded
            .await
            .map_err(|_| io::Error::other("the application could not load the image"))?
            .map_err(io::Error::other)
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.images.current().map(|image| image.snapshot()))
    }
}

/// Takes the image that the application offered.
#[derive(Debug)]
pub(crate) struct Builder(Arc<Images>);

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = ImageFile;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        self.0
            .take_offer()?
            .map(|image| image.snapshot())
            .ok_or_else(|| io::Error::other("there is no image"))
    }
}
