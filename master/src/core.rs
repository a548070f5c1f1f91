//! Everything the master knows, and the one place where its rooms meet.
//!
//! No sockets, no disks, no clock: frames, closed connections and ticks come in as calls with the
//! time in [`Core::now`]; bytes are left in [`Core::links`], changelog lines in [`Core::out`]. So the
//! whole master can be driven by a test.

use crate::chunks::Chunks;
use crate::links::{LinkId, Links, Port};
use crate::settings::Settings;
use crate::{admin, chunkserver, client, metalogger, periodic};
use metadata::{Event, Namespace, Outbox};
use proto::frame::HEADER_LEN;
use std::net::SocketAddrV4;

/// The clocks as one turn of the master sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, whole seconds since 1970.
    pub unix: u32,
    /// Wall clock, microseconds since 1970.
    pub unix_micros: u64,
    /// Monotonic milliseconds since the master started.
    pub mono_ms: u64,
}

/// The master without its shell.
#[derive(Debug)]
pub struct Core {
    /// The clocks of this turn.
    pub now: Now,
    /// The file system.
    pub ns: Namespace,
    /// Lines and events of this turn.
    pub out: Outbox,
    /// Connections and their output.
    pub links: Links,
    /// State of the connections on the client port.
    pub clients: client::Clients,
    /// The chunk planner.
    pub chunks: Chunks,
    /// State of the connections on the chunkserver port.
    pub servers: chunkserver::Servers,
    /// State of the connections on the metalogger port.
    pub loggers: metalogger::Loggers,
    /// What the monitoring messages add up.
    pub admin: admin::Admin,
    /// Where the rounds of periodic work are.
    pub periodic: periodic::Periodic,
    /// What the configuration says.
    pub settings: Settings,
    events: Vec<Event>,
}

impl Core {
    /// A master on `ns`, with all connections still to come. `seed` feeds every random choice.
    pub fn new(ns: Namespace, settings: Settings, now: Now, seed: u64) -> Core {
        let mut chunks = Chunks::new(&settings.chunks, now, seed);
        chunks.attach(&ns);
        let mut servers = chunkserver::Servers::default();
        servers.set_remap(settings.remap);
        Core {
            now,
            chunks,
            clients: client::Clients::new(seed),
            servers,
            loggers: metalogger::Loggers::default(),
            admin: admin::Admin::default(),
            periodic: periodic::Periodic::default(),
            ns,
            out: Outbox::default(),
            links: Links::default(),
            settings,
            events: Vec::new(),
        }
    }

    /// Begins a turn.
    pub fn set_now(&mut self, now: Now) {
        self.now = now;
        self.links.set_now_ms(now.mono_ms);
    }

    /// A connection came in.
    pub fn accepted(&mut self, port: Port, peer: SocketAddrV4) -> LinkId {
        let link = self.links.open(port, peer);
        match port {
            Port::Client => client::accepted(self, link),
            Port::Chunkserver => chunkserver::accepted(self, link),
            Port::Metalogger => metalogger::accepted(self, link),
        }
        link
    }

    /// A whole frame came in.
    pub fn frame(&mut self, link: LinkId, port: Port, kind: u32, payload: &[u8]) {
        self.links.received(port, HEADER_LEN + payload.len());
        match port {
            Port::Client => client::frame(self, link, kind, payload),
            Port::Chunkserver => chunkserver::frame(self, link, kind, payload),
            Port::Metalogger => metalogger::frame(self, link, kind, payload),
        }
        if !self.out.events.is_empty() || !self.chunks.actions.is_empty() {
            self.drain_events();
        }
    }

    /// A connection is gone.
    pub fn closed(&mut self, link: LinkId, port: Port) {
        match port {
            Port::Client => client::closed(self, link),
            Port::Chunkserver => chunkserver::closed(self, link),
            Port::Metalogger => metalogger::closed(self, link),
        }
        self.links.remove(link);
        self.drain_events();
    }

    /// Twenty milliseconds passed: chunk work, keep-alives, timeouts. Rooms decide themselves what
    /// is due.
    pub fn tick(&mut self) {
        chunkserver::tick(self);
        client::tick(self);
        metalogger::tick(self);
        periodic::tick(self);
        admin::tick(self);
        self.drain_events();
    }

    /// New settings hold from now on.
    pub fn reconfigure(&mut self, settings: Settings) {
        self.chunks.reload(&settings.chunks);
        self.servers.set_remap(settings.remap);
        self.settings = settings;
    }

    /// The process is about to end: connections are closed, which ends what is under way for them
    /// and leaves its lines. Those of metaloggers stay, to take these lines.
    pub fn prepare_stop(&mut self) {
        for port in [Port::Client, Port::Chunkserver] {
            let links: Vec<LinkId> = self.links.of_port(port).collect();
            for link in links {
                self.closed(link, port);
            }
        }
    }

    /// This master serves no more: everything but the file system, the settings and the statistics is
    /// forgotten.
    pub fn abandon(&mut self) {
        self.out.lines.clear();
        self.out.events.clear();
        for port in [Port::Client, Port::Chunkserver] {
            let links: Vec<LinkId> = self.links.of_port(port).collect();
            for link in links {
                self.links.remove(link);
            }
        }
    }

    /// This master begins to serve the state that it has followed: the rooms are made anew around it,
    /// and know no connection. `seed` feeds every random choice.
    pub fn begin_to_serve(&mut self, now: Now, seed: u64) {
        self.abandon();
        let ns = std::mem::take(&mut self.ns);
        let mut fresh = Core::new(ns, self.settings.clone(), now, seed);
        // Numbers of connections go on, so that nobody takes an old one for a new one.
        std::mem::swap(&mut fresh.links, &mut self.links);
        std::mem::swap(&mut fresh.admin, &mut self.admin);
        fresh.loggers.take_files_of(&mut self.loggers);
        fresh.clients.repeats.take_over(&mut self.clients.repeats);
        fresh.set_now(now);
        *self = fresh;
    }

    /// Tells the rooms what changes meant to them and carries out what the planner decided, until
    /// nothing is left to tell or to do.
    pub fn drain_events(&mut self) {
        while !self.out.events.is_empty() || !self.chunks.actions.is_empty() {
            chunkserver::act(self);
            let mut events = std::mem::take(&mut self.events);
            std::mem::swap(&mut events, &mut self.out.events);
            for &event in &events {
                client::event(self, event);
                chunkserver::event(self, event);
            }
            events.clear();
            self.events = events;
        }
    }
}
