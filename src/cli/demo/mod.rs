//! `nbgate demo`: the whole chain at work on one machine, without hardware.
//!
//! Four sensors, a broker, a virtual modem, an LwM2M server and the gateway, joined only by TCP, a serial port and
//! UDP. The gateway is configured by a file, as a user would do it.

mod parts;
mod screen;
mod tally;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use super::args::duration;
use super::{Usage, signals};
use crate::at::TraceLine;
use crate::gateway::io::Event as GatewayEvent;
use crate::gateway::questions::{Asker, questions};
use crate::gateway::snapshot::Snapshot;
use crate::lab::sensors_edge::Happening;
use crate::lab::server::{Command, Event as ServerEvent, Order};
use crate::lab::server_edge;
use crate::link::clock;
use crate::lwm2m::path::Path;
use parts::Parts;
use screen::Screen;
use tally::Tally;

/// The lamp's level as a server writes it.
const LAMP_COMMAND: Path = Path::resource_of(3416, 0, 1);
/// What the server dims the lamp to.
const DIM_TO: u8 = 30;
/// After the sensors fell silent: how long the last values may take to arrive.
const LAST_VALUES_WITHIN: Duration = Duration::from_secs(10);
/// How often the demo looks whether it has anything to do.
const BEAT: Duration = Duration::from_millis(100);
/// How often traffic is shown.
const TRAFFIC_EVERY: Duration = Duration::from_secs(5);
/// The gateway's way out, de-registration included.
const ENDS_WITHIN: Duration = Duration::from_secs(8);

/// Show the whole chain at work, without hardware
///
/// Four sensors publish to a broker; the gateway registers at an LwM2M server through a virtual NB-IoT modem and
/// notifies each value; the server dims the street lamp. Ends with 0 when at least three samples of every sensor
/// arrived, the last published values are those at the server, and the lamp was dimmed.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  nbgate demo --for 20s
  nbgate demo --trace-at
  nbgate demo --modem /dev/ttyUSB2 --server coap://leshan.eclipseprojects.io:5683")]
pub struct Args {
    /// End by itself after so long; else with Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    runs_for: Option<Duration>,
    /// Show the AT dialogue
    #[arg(long)]
    trace_at: bool,
    /// A real modem in place of the virtual one; needs --server
    #[arg(long, value_name = "PORT", requires = "server")]
    modem: Option<String>,
    /// Baud rate of the real modem
    #[arg(long, value_name = "BITS_PER_SECOND", default_value_t = 115_200, requires = "modem")]
    baud: u32,
    /// Access point name for the real modem
    #[arg(long, value_name = "APN", requires = "modem")]
    apn: Option<String>,
    /// A real broker in place of the demo's
    #[arg(long, value_name = "URL")]
    broker: Option<String>,
    /// A real LwM2M server in place of the demo's: what it acknowledges counts as arrived, and nobody dims the lamp
    #[arg(long, value_name = "URI")]
    server: Option<String>,
    /// One message of each sensor every so often
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    period: Duration,
}

/// Plays the demo and judges it.
///
/// # Errors
/// A part could not be started, or the demo did not pass; the reason in words.
pub async fn run(args: Args) -> anyhow::Result<()> {
    if args.period < BEAT {
        bail!(Usage("--period must be at least 100ms".into()));
    }
    let mut stop = signals::stop()?;
    let mut demo = Demo::start(&args).await?;
    let end = args.runs_for.map(|runs_for| demo.started + runs_for);
    demo.play(end, &mut stop).await?;
    demo.settle(&mut stop).await?;
    demo.finish().await
}

/// Everything that runs, and what was seen of it.
struct Demo {
    started: Instant,
    parts: Parts,
    gateway: JoinHandle<anyhow::Result<()>>,
    stop_gateway: watch::Sender<bool>,
    events: mpsc::Receiver<GatewayEvent>,
    trace: mpsc::Receiver<TraceLine>,
    asker: Asker,
    /// As of the last beat.
    snapshot: Option<Snapshot>,
    screen: Screen,
    tally: Tally,
    ordered: bool,
    traffic_shown: Instant,
    /// Removed with everything in it at the end.
    _folder: Folder,
}

/// A folder of our own that goes when the demo goes.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, "the demo's folder stays");
        }
    }
}

impl Demo {
    async fn start(args: &Args) -> anyhow::Result<Self> {
        let started = clock::now();
        let folder = parts::folder().context("cannot make a folder for the demo")?;
        let folder = Folder(folder);
        let mut screen = Screen::new(started);
        let parts = Parts::start(args, &folder.0, &mut screen).await?;
        let (event_sender, events) = mpsc::channel(1024);
        let (trace_sender, trace) = mpsc::channel(4096);
        let (asker, questions) = questions();
        let (stop_gateway, stop) = watch::channel(false);
        let followers = crate::gateway::run::Followers {
            events: Some(event_sender),
            trace: args.trace_at.then_some(trace_sender),
            questions: Some(questions),
            reloads: None,
        };
        let config = parts.config(args, &folder.0)?;
        let gateway = tokio::spawn(crate::gateway::run::run(config, followers, stop));
        Ok(Self {
            started,
            tally: Tally::new(args.server.is_some()),
            parts,
            gateway,
            stop_gateway,
            events,
            trace,
            asker,
            snapshot: None,
            screen,
            ordered: false,
            traffic_shown: started,
            _folder: folder,
        })
    }

    /// Until `end`, or until somebody stops it.
    async fn play(&mut self, end: Option<Instant>, stop: &mut watch::Receiver<bool>) -> anyhow::Result<()> {
        let mut beat = interval(BEAT);
        while end.is_none_or(|end| clock::now() < end) {
            tokio::select! {
                _ = stop.changed() => return Ok(()),
                _ = beat.tick() => self.look_around().await,
                moved = self.turn() => moved?,
            }
        }
        Ok(())
    }

    /// The sensors are silent; waits until their last values have arrived.
    async fn settle(&mut self, stop: &mut watch::Receiver<bool>) -> anyhow::Result<()> {
        self.parts.sensors.stop_playing();
        if !self.has_settled() {
            self.screen.settling(LAST_VALUES_WITHIN);
        }
        let mut beat = interval(BEAT);
        let end = clock::now() + LAST_VALUES_WITHIN;
        // Ctrl-C in the middle of it: judge what there is.
        let asked_before = *stop.borrow();
        while clock::now() < end && !self.has_settled() {
            tokio::select! {
                _ = stop.changed(), if !asked_before => return Ok(()),
                _ = beat.tick() => self.snapshot = self.asker.snapshot().await,
                moved = self.turn() => moved?,
            }
        }
        Ok(())
    }

    fn has_settled(&self) -> bool {
        let reported = self.snapshot.as_ref().is_some_and(|snapshot| snapshot.books.pending == 0);
        reported && self.tally.judge(self.parts.sensors.players()).is_ok()
    }

    /// The next thing that happens anywhere.
    async fn turn(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            Some(event) = self.events.recv() => self.note_gateway(event),
            Some(line) = self.trace.recv() => self.screen.trace(&line),
            happening = self.parts.sensors.next() => {
                self.note_sensors(happening.context("the sensors' connection to the broker ended")?);
            }
            event = next_of(self.parts.server.as_mut()) => self.note_server(event.context("the server's socket broke")?),
            ended = &mut self.gateway => {
                ended.context("the gateway broke")?.context("the gateway ended")?;
                bail!("the gateway ended by itself");
            }
        }
        Ok(())
    }

    async fn look_around(&mut self) {
        self.snapshot = self.asker.snapshot().await;
        let now = clock::now();
        if now >= self.traffic_shown + TRAFFIC_EVERY {
            self.traffic_shown = now;
            if let Some(snapshot) = &self.snapshot {
                self.screen.traffic(snapshot);
            }
        }
        // Once every sensor has shown that it works, the other direction.
        if !self.ordered && self.tally.every_sensor_arrived() {
            if let Some(server) = &mut self.parts.server {
                self.ordered = true;
                self.screen.order(LAMP_COMMAND, DIM_TO);
                let command = Command::Write {
                    path: LAMP_COMMAND,
                    values: DIM_TO.to_string(),
                    format: None,
                    replace: false,
                };
                server.command(Order { endpoint: None, command });
            }
        }
    }

    fn note_gateway(&mut self, event: GatewayEvent) {
        if let GatewayEvent::Reported { paths } = &event {
            for path in paths {
                let delay = self.tally.acknowledged(*path, clock::now());
                if self.parts.server.is_none() {
                    self.screen.acknowledged(*path, delay);
                }
            }
        }
        self.tally.gateway(&event);
        self.screen.gateway(&event);
    }

    fn note_sensors(&mut self, happening: Happening) {
        match &happening {
            Happening::Published(message) => {
                self.tally.published(self.parts.sensors.players(), message, clock::now());
            }
            Happening::Received(message) if parts::is_order(message, DIM_TO) => {
                self.tally.dimmed();
                self.screen.dimmed(message);
            }
            _ => {}
        }
        self.screen.sensors(&happening);
    }

    fn note_server(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Value(reading) => {
                let delay = self.tally.arrived(&reading, clock::now());
                self.screen.sample(&reading, delay);
            }
            other => self.screen.server(&other),
        }
    }

    /// Stops everything and gives the verdict.
    async fn finish(mut self) -> anyhow::Result<()> {
        let verdict = self.tally.judge(self.parts.sensors.players());
        let totals = self.asker.snapshot().await;
        // A gateway that is gone already needs no stop.
        let _ = self.stop_gateway.send(true);
        let leaving = async {
            loop {
                tokio::select! {
                    ended = &mut self.gateway => return ended,
                    Some(event) = self.events.recv() => self.screen.gateway(&event),
                    Some(line) = self.trace.recv() => self.screen.trace(&line),
                    event = next_of(self.parts.server.as_mut()) => {
                        if let Ok(event) = event {
                            self.screen.server(&event);
                        }
                    }
                }
            }
        };
        match timeout(ENDS_WITHIN, leaving).await {
            Ok(ended) => ended.context("the gateway broke")??,
            Err(_) => bail!("the gateway did not end within {} s", ENDS_WITHIN.as_secs()),
        }
        let Self { parts, mut screen, tally, .. } = self;
        parts.finish().await;
        if let Some(snapshot) = totals {
            screen.traffic(&snapshot);
        }
        match verdict {
            Ok(()) => {
                screen.passed(&tally);
                Ok(())
            }
            Err(reasons) => bail!("the demo did not pass: {}", reasons.join("; ")),
        }
    }
}

/// The next event of the demo's own server; never, where a real one takes its place.
async fn next_of(server: Option<&mut server_edge::Edge>) -> std::io::Result<ServerEvent> {
    match server {
        Some(server) => server.next().await,
        None => std::future::pending().await,
    }
}

/// Where the demo's server listens: a free port of this machine.
const SERVER_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
