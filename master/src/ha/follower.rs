//! What the replication reports, carried out on the state: lines of others are replayed, images are
//! loaded, a part in the cluster is taken and given up.

use super::control::{Asked, Control};
use super::guardian::Guardian;
use super::settings::HaSettings;
use super::standing::Standing;
use super::status;
use super::tracker::Outcome;
use super::vip::Vip;
use crate::settings::Settings;
use crate::shell::Shell;
use crate::storage::{LoadOptions, SaveOutcome, Storage};
use metadata::Namespace;
use proto::{MetaId, MetaVersion, changelog};
use replication::{Event, Position, Replica, Role};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Period of the checks that no event triggers.
const CHECK: Duration = Duration::from_millis(10);
/// A leader without a lease keeps its connections so long.
const LEASE_PATIENCE: Duration = Duration::from_secs(1);
/// Pause before a replication that failed is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(2);
/// Events that are handled before answers leave.
const EVENTS_PER_TURN: usize = 256;
/// Bytes of log after which an image is wanted.
const LOG_BYTES_MAX: u64 = 512 << 20;
/// The next leader has the address within this time.
const SUCCESSION: Duration = Duration::from_millis(500);
/// How long a handover may wait for open changes.
const HANDOVER_TIME: Duration = Duration::from_secs(2);

/// The state with which a node of a cluster starts.
#[derive(Debug)]
pub struct Opened {
    /// The state.
    pub namespace: Namespace,
    /// Directory entries need new positions.
    pub must_renumerate: bool,
    /// The last entry of the log whose effect is in it.
    pub at: Position,
    /// An image of it.
    pub image: PathBuf,
    /// It has changes that no cluster knows.
    pub has_data: bool,
}

/// Loads the state of a node: from its cluster's image, or from what a single master left.
///
/// # Errors
/// Neither can be loaded.
pub fn open(
    ha: &HaSettings,
    storage: &Storage,
    options: &LoadOptions,
    now: u32,
    seed: u64,
) -> Result<Opened, String> {
    let place = |error| format!("{}: {error}", ha.directory.display());
    if let Some(found) = replication::recovered(&ha.directory).map_err(place)? {
        let loaded = storage.load_file(&absolute(&found.path), options, now, seed)?;
        return Ok(Opened {
            namespace: loaded.namespace,
            must_renumerate: loaded.must_renumerate,
            at: found.position,
            image: found.path,
            has_data: false,
        });
    }
    let empty = || {
        Namespace::new(seed, now).map_err(|status| format!("can't make a file system: {status}"))
    };
    let is_member = replication::is_member(&ha.directory).map_err(place)?;
    let (namespace, must_renumerate, is_new) = if is_member || storage.is_empty()? {
        (empty()?, false, true)
    } else {
        let found = storage.load(options, now, seed)?;
        storage
            .adopt(&found.recovery)
            .map_err(|error| format!("can't move files in the data directory: {error}"))?;
        let loaded = found.loaded;
        (
            loaded.namespace,
            loaded.must_renumerate,
            found.recovery.is_new,
        )
    };
    let has_data = !is_new || namespace.metaid() != MetaId(0);
    let image = storage
        .save_now(&namespace.freeze())
        .map_err(|error| format!("can't store metadata: {error}"))?;
    Ok(Opened {
        namespace,
        must_renumerate,
        at: Position::default(),
        image,
        has_data: has_data && !is_member,
    })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Starts the replication of a node whose state is open.
fn start(ha: &HaSettings, opened: &Opened) -> Result<(Replica, Receiver<Event>), String> {
    Replica::start(replication::Settings {
        directory: ha.directory.clone(),
        name: ha.node.clone(),
        peers: ha.peers.clone(),
        listen: ha.listen,
        secret: ha.secret.clone(),
        heartbeat: ha.heartbeat,
        election: ha.election,
        image_rate: ha.resync_rate,
        image: opened.image.clone(),
        has_data: opened.has_data,
        log_bytes_max: LOG_BYTES_MAX,
    })
    .map_err(|error| format!("can't start the replication on {}: {error}", ha.listen))
}

/// The entry that an image stands for, and whether it was saved.
type SavedImage = (Position, SaveOutcome);

/// Carries out what the replication reports.
pub struct Follower {
    shell: Rc<Shell>,
    ha: HaSettings,
    storage: Storage,
    options: LoadOptions,
    events: Receiver<Event>,
    control: Control,
    images: (UnboundedSender<SavedImage>, UnboundedReceiver<SavedImage>),
    must_renumerate: bool,
    lease_lost: Option<Instant>,
    restart_at: Option<Instant>,
    /// Somebody waits for the leadership to be given away.
    handover: Option<Handover>,
    image_wanted: bool,
    vip: Option<Vip>,
    guardian: Option<Guardian>,
    /// When the connections of a service that has ended are cut, if nobody else takes the address.
    cut_at: Option<Instant>,
}

struct Handover {
    to: Option<String>,
    until: Instant,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node {}", self.ha.node)
    }
}

impl Follower {
    /// A node whose state is that of the shell's core.
    ///
    /// # Errors
    /// The replication or the control socket cannot be started.
    pub fn start(
        shell: &Rc<Shell>,
        ha: HaSettings,
        storage: Storage,
        options: LoadOptions,
        opened: &Opened,
        guardian: Option<Guardian>,
    ) -> Result<Follower, String> {
        let (replica, events) = start(&ha, opened)?;
        let control = Control::listen(&ha.directory)?;
        let at = opened.at;
        shell.with_standing(|standing| standing.begin(replica, at));
        let vip = ha.vip.clone().map(Vip::new);
        Ok(Follower {
            vip,
            guardian,
            cut_at: None,
            shell: Rc::clone(shell),
            ha,
            storage,
            options,
            events,
            control,
            images: unbounded_channel(),
            must_renumerate: opened.must_renumerate,
            lease_lost: None,
            restart_at: None,
            handover: None,
            image_wanted: false,
        })
    }

    /// Works until it is told to stop.
    pub async fn run(&mut self) {
        let mut check = tokio::time::interval(CHECK);
        check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.events.recv(), if self.restart_at.is_none() => match event {
                    Some(event) => self.turn(event),
                    None => self.fail("the replication has ended"),
                },
                asked = self.control.next() => self.answer(asked),
                Some((position, outcome)) = self.images.1.recv() => self.saved(position, outcome),
                _ = check.tick() => self.check(),
            }
        }
    }

    /// Handles an event and those that wait behind it, then lets answers leave.
    fn turn(&mut self, first: Event) {
        let mut next = Some(first);
        let mut budget = EVENTS_PER_TURN;
        while let Some(event) = next.take() {
            self.handle(event);
            budget -= 1;
            if budget > 0 && self.restart_at.is_none() {
                next = self.events.try_recv().ok();
            }
        }
        self.shell.committed();
        self.check();
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Committed { position, content } => {
                let outcome = self
                    .shell
                    .with_standing(|standing| standing.committed(position, content));
                match outcome {
                    Some(Outcome::Theirs(batch)) => {
                        let (lines, records) = super::standing::split(&batch.bytes);
                        let mut core = self.shell.core.borrow_mut();
                        let replayed = replay(&mut core.ns, lines);
                        core.clients.repeats.learn(records);
                        drop(core);
                        if let Err(error) = replayed {
                            self.contradicted(&error);
                        }
                    }
                    Some(Outcome::Diverged(lines)) => self.diverged(&lines),
                    Some(Outcome::Ours(batch)) => {
                        let (_, records) = super::standing::split(&batch.bytes);
                        self.shell.core.borrow_mut().clients.repeats.learn(records);
                    }
                    Some(Outcome::Nothing) | None => {}
                }
            }
            Event::Install {
                position,
                path,
                done,
            } => {
                let result = self.install(position, &path);
                if let Err(error) = &result {
                    tracing::error!("can't load the image from the leader: {error}");
                }
                // The replication waits; when it is gone there is nobody to tell.
                drop(done.send(result));
            }
            Event::Role(role) => self.take_part(role),
            Event::ImageWanted => self.image_wanted = true,
            Event::Failed(error) => self.fail(&error),
        }
    }

    /// Loads an image in place of the state.
    fn install(&mut self, position: Position, path: &Path) -> Result<(), String> {
        let now = self.shell.now();
        let loaded = self
            .storage
            .load_file(&absolute(path), &self.options, now.unix, seed()?)?;
        let version = loaded.namespace.version();
        tracing::info!(
            "the image of entry {position} is loaded: version {}",
            version.0
        );
        self.must_renumerate = loaded.must_renumerate;
        self.stop_serving();
        self.shell
            .with_namespace(|namespace| *namespace = loaded.namespace);
        self.shell
            .with_standing(|standing| standing.replaced(position, version.0));
        Ok(())
    }

    fn take_part(&mut self, role: Role) {
        match role {
            Role::Leader { term } => tracing::info!("this node leads in term {term}"),
            Role::Follower {
                term,
                leader: Some(leader),
            } => tracing::info!("this node follows node {leader:x} in term {term}"),
            Role::Follower { term, leader: None } => {
                tracing::info!("term {term} has no leader yet");
            }
        }
        let must_stop = self.shell.with_standing(|standing| standing.set_role(role));
        if must_stop == Some(true) {
            self.stop_serving();
        }
    }

    /// Everything that may be due.
    fn check(&mut self) {
        if self.restart_at.is_some_and(|at| Instant::now() >= at) {
            self.restart();
        }
        let may_serve = self.shell.with_standing(|standing| standing.may_serve());
        if let Some(Some(term)) = may_serve
            && !self.ha.is_witness()
        {
            self.serve(term);
        }
        self.watch_lease();
        let lease = self.shell.lease();
        if let Some(guardian) = &self.guardian {
            guardian.hold(lease);
        }
        if self.cut_at.is_some_and(|at| Instant::now() >= at) {
            self.cut_at = None;
            self.shell.cut();
        }
        // Without a lease the address is kept for a moment, not renewed: who takes it over announces it.
        let may_be_succeeded = lease.is_none()
            && (self.cut_at.is_some()
                || self
                    .lease_lost
                    .is_some_and(|since| since.elapsed() <= LEASE_PATIENCE));
        if let Some(vip) = &mut self.vip
            && !may_be_succeeded
        {
            vip.keep(lease.is_some());
        }
        self.hand_over_if_settled();
        self.make_image();
        self.describe();
    }

    /// Begins to serve.
    fn serve(&mut self, term: u64) {
        let now = self.shell.now();
        let seed = match seed() {
            Ok(seed) => seed,
            Err(error) => {
                tracing::error!("{error}");
                return;
            }
        };
        {
            let mut core = self.shell.core.borrow_mut();
            core.begin_to_serve(now, seed);
            match crate::companions::load(&core.settings, false) {
                Ok(companions) => companions.give_to(&mut core),
                Err(error) => tracing::error!("{error}"),
            }
            let random = (seed >> 32) as u32;
            if let Err(error) = crate::startup_lines::write(&mut core, self.must_renumerate, random)
            {
                tracing::error!("{error}");
            }
            self.must_renumerate = false;
        }
        if self.cut_at.take().is_some() {
            self.shell.cut();
        }
        self.shell.with_standing(|standing| standing.serve(term));
        tracing::info!("this master serves in term {term}");
        self.announce("leader");
        self.shell.flush();
    }

    fn stop_serving(&mut self) {
        let served = self
            .shell
            .with_standing(|standing| standing.serving().is_some());
        if served != Some(true) {
            return;
        }
        let lines = self.shell.abandon();
        self.shell
            .with_standing(|standing| standing.step_down(&lines));
        self.lease_lost = None;
        self.handover = None;
        // A client tries once at once when its connection ends: that is done when the next leader has
        // the address, by the guardian.
        let pause = match self.guardian {
            Some(_) => SUCCESSION,
            None => Duration::ZERO,
        };
        self.cut_at = Some(Instant::now() + pause);
        tracing::info!("this master serves no more");
        self.announce("follower");
    }

    /// A leader that hears nothing from a majority cuts its connections after a while: their peers
    /// find whoever serves.
    fn watch_lease(&mut self) {
        let serves = self
            .shell
            .with_standing(|standing| standing.serving().is_some());
        if serves != Some(true) || self.shell.lease().is_some() {
            self.lease_lost = None;
            return;
        }
        let since = *self.lease_lost.get_or_insert_with(Instant::now);
        if since.elapsed() > LEASE_PATIENCE && self.handover.is_none() {
            self.shell.cut();
        }
    }

    /// Changes were made here that the cluster does not know: they are kept for the operator, and the
    /// state is made anew.
    fn diverged(&mut self, lines: &[u8]) {
        let version = super::standing::line_number(lines).unwrap_or(0);
        let name = format!("changelog.diverged.{version}.{}.mfs", self.shell.now().unix);
        match std::fs::write(&name, lines) {
            Ok(()) => tracing::warn!(
                "{} bytes of changes that nobody was told of were lost with the leadership; they are in {name}",
                lines.len()
            ),
            Err(error) => tracing::error!("{name}: {error}"),
        }
        self.fail("the state is made anew from the log");
        self.restart_at = Some(Instant::now());
    }

    /// A line of the log does not fit the state here: it is worth nothing.
    fn contradicted(&mut self, error: &str) {
        tracing::error!(
            "the state of this node contradicts the replicated log: {error} - it is filled anew from the leader"
        );
        self.fail("the state is worth nothing");
        let aside = format!("ha.contradicted.{}", self.shell.now().unix);
        if let Err(error) = std::fs::rename(&self.ha.directory, &aside) {
            tracing::error!("can't put {} aside: {error}", self.ha.directory.display());
        }
    }

    fn fail(&mut self, error: &str) {
        tracing::error!("replication: {error}");
        self.stop_serving();
        self.shell.with_standing(Standing::end);
        self.restart_at = Some(Instant::now() + RESTART_PAUSE);
    }

    /// Loads the state and starts the replication, as at a start of the process.
    fn restart(&mut self) {
        self.shell.with_standing(Standing::end);
        let now = self.shell.now();
        let again = seed()
            .and_then(|seed| open(&self.ha, &self.storage, &self.options, now.unix, seed))
            .and_then(|opened| {
                let (replica, events) = start(&self.ha, &opened)?;
                Ok((opened, replica, events))
            });
        match again {
            Ok((opened, replica, events)) => {
                self.restart_at = None;
                self.events = events;
                self.must_renumerate = opened.must_renumerate;
                let at = opened.at;
                self.shell
                    .with_namespace(|namespace| *namespace = opened.namespace);
                self.shell
                    .with_standing(|standing| standing.begin(replica, at));
            }
            Err(error) => {
                tracing::error!("{error}");
                self.restart_at = Some(Instant::now() + RESTART_PAUSE);
            }
        }
    }

    /// An image is wanted at the next occasion.
    pub fn want_image(&mut self) {
        self.image_wanted = true;
    }

    /// Freezes the state, and saves a frozen one once everything in it is committed.
    fn make_image(&mut self) {
        if self.image_wanted {
            self.shell.flush();
            let taken = self.shell.freeze();
            self.image_wanted = !taken;
        }
        let due = self.shell.with_standing(Standing::thawed);
        if let Some(Some((view, position))) = due {
            let report = self.images.0.clone();
            self.storage.save_in_background(view, move |outcome| {
                // The receiver is gone only when the process ends.
                drop(report.send((position, outcome)));
            });
        }
    }

    fn saved(&mut self, position: Position, outcome: SaveOutcome) {
        if outcome.is_ok() {
            let path = self.storage.newest();
            self.shell.with_standing(|standing| {
                if let Some(replica) = standing.replica() {
                    replica.offer_image(position, path);
                }
            });
        }
        self.shell.save_report()(outcome);
    }

    /// Gives the leadership away as soon as nothing is open.
    fn hand_over_if_settled(&mut self) {
        let Some(handover) = &self.handover else {
            return;
        };
        self.shell.flush();
        let settled = !self.shell.is_busy();
        if !settled && Instant::now() < handover.until {
            return;
        }
        let to = self.handover.take().and_then(|handover| handover.to);
        let given = self
            .shell
            .with_standing(|standing| standing.replica()?.hand_over(to.as_deref()));
        match given.flatten() {
            Some(name) => tracing::info!("the leadership is given to {name}"),
            None => tracing::warn!("there is nobody to give the leadership to"),
        }
    }

    /// Asks for the leadership to be given away; says whether this node serves.
    pub fn hand_over(&mut self, to: Option<String>) -> bool {
        let serves = self
            .shell
            .with_standing(|standing| standing.serving().is_some());
        if serves == Some(true) {
            self.handover = Some(Handover {
                to,
                until: Instant::now() + HANDOVER_TIME,
            });
            self.hand_over_if_settled();
        }
        serves == Some(true)
    }

    /// Waits until another node leads, as long as a handover may take.
    pub async fn leave(&mut self) {
        if !self.hand_over(None) {
            return;
        }
        let deadline = tokio::time::Instant::now() + HANDOVER_TIME * 2;
        while (self.cut_at.is_some()
            || self
                .shell
                .with_standing(|standing| standing.serving().is_some())
                == Some(true))
            && tokio::time::Instant::now() < deadline
            && self.restart_at.is_none()
        {
            match tokio::time::timeout(CHECK, self.events.recv()).await {
                Ok(Some(event)) => self.turn(event),
                Ok(None) => break,
                Err(_) => self.check(),
            }
        }
    }

    fn answer(&mut self, mut asked: Asked) {
        let status = self
            .shell
            .with_standing(|standing| standing.replica().map(Replica::status))
            .flatten();
        let Some(status) = status else {
            asked.reply(
                2,
                "the replication does not run at this moment; see the log\n",
            );
            return;
        };
        let given = std::mem::take(&mut asked.words);
        let words: Vec<&str> = given.iter().map(String::as_str).collect();
        let is_leading = self
            .shell
            .with_standing(|standing| standing.serving().is_some())
            == Some(true);
        match words.as_slice() {
            ["status"] => {
                let text = status::text(&status);
                asked.reply(status::code(&status), &text);
            }
            ["status", "--json"] => {
                let text = status::json(&status);
                asked.reply(status::code(&status), &text);
            }
            // A leader that a majority does not hear may have a successor already.
            ["role"] => {
                let may_serve = self.shell.lease().is_some();
                asked.reply(0, if may_serve { "leader\n" } else { "follower\n" });
            }
            ["handover" | "demote"] if is_leading => {
                self.hand_over(None);
                asked.reply(0, "the leadership is given away\n");
            }
            ["handover" | "promote", name] if is_leading => {
                if status.peers.iter().any(|peer| peer.name == **name) {
                    self.hand_over(Some((*name).to_owned()));
                    asked.reply(0, &format!("the leadership is given to {name}\n"));
                } else {
                    asked.reply(1, &format!("{name} is not one of HA_PEERS\n"));
                }
            }
            ["image"] => {
                self.image_wanted = true;
                asked.reply(0, "an image is written\n");
            }
            ["handover" | "demote" | "promote", ..] => {
                let leader = status
                    .peers
                    .iter()
                    .find(|peer| peer.id == status.leader && status.leader != 0)
                    .map_or("nobody", |peer| peer.name.as_str());
                asked.reply(1, &format!("this node does not lead; {leader} does\n"));
            }
            _ => asked.reply(1, super::command::USAGE),
        }
    }

    fn describe(&self) {
        let core = self.shell.core.borrow();
        let version = core.ns.version().0;
        self.shell.with_standing(|standing| {
            let text = match (standing.serving(), self.ha.is_witness()) {
                (Some(_), _) => format!("serving {version}"),
                (None, true) => format!("witness {version}"),
                (None, false) => format!("standby {version}"),
            };
            if let Some(replica) = standing.replica() {
                replica.describe(&text);
            }
        });
    }

    /// Runs the operator's command for a change of this node's part.
    fn announce(&self, part: &str) {
        if self.ha.event_command.is_empty() {
            return;
        }
        let command = std::process::Command::new("/bin/sh")
            .arg("-c")
            .arg(&self.ha.event_command)
            .env("HA_NODE", &self.ha.node)
            .env("HA_ROLE", part)
            .stdin(std::process::Stdio::null())
            .spawn();
        match command {
            Ok(mut child) => {
                std::thread::spawn(move || drop(child.wait()));
            }
            Err(error) => tracing::error!("HA_EVENT_COMMAND: {error}"),
        }
    }

    /// Settings that hold after a reload.
    pub fn reconfigure(&mut self, settings: &Settings) {
        self.storage.keep(settings.images_kept);
    }
}

fn seed() -> Result<u64, String> {
    getrandom::u64().map_err(|error| format!("no random numbers from the kernel: {error}"))
}

/// Applies a batch of lines.
fn replay(namespace: &mut Namespace, lines: &[u8]) -> Result<(), String> {
    for line in lines.split(|&byte| byte == b'\n') {
        let Some(number) = super::standing::line_number(line) else {
            continue;
        };
        let parsed = changelog::parse(line).map_err(|error| format!("line {number}: {error}"))?;
        namespace
            .replay(MetaVersion(number), parsed.timestamp, &parsed.entry)
            .map_err(|error| format!("line {number}: {error}"))?;
    }
    Ok(())
}
