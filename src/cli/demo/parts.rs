//! The parts around the gateway, each started on its own port, and the gateway's configuration that names them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::screen::Screen;
use super::{Args, SERVER_ADDRESS};
use crate::config::{self, Config};
use crate::gateway::host;
use crate::gateway::settings::Uplink;
use crate::lab::broker::Message;
use crate::lab::cell::{self, Cell};
use crate::lab::modem::{self, Modem};
use crate::lab::modem_edge;
use crate::lab::pty::Pty;
use crate::lab::sensors::{Kind, MAPPINGS_TOML, Player};
use crate::lab::server::{Server, Settings as ServerSettings};
use crate::lab::{broker_edge, sensors_edge, server_edge};
use crate::link::clock;
use crate::seed::Seed;
use crate::{coap, mqtt};

/// A cell near by, so that the demo is quick to watch: `nbgate lab modem --rtt 3s` shows a slow one.
const RTT: Duration = Duration::from_millis(200);
const ATTACH_DELAY: Duration = Duration::from_millis(300);
/// As a modem that has been on for a while.
const BOOT: Duration = Duration::from_millis(20);
const SEARCH_AFTER: Duration = Duration::from_millis(700);
/// The parts' way out.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// What runs around the gateway.
pub(super) struct Parts {
    pub(super) sensors: sensors_edge::Edge,
    /// The demo's own server, unless a real one takes its place.
    pub(super) server: Option<server_edge::Edge>,
    modem: Option<VirtualModem>,
    broker_url: String,
    server_uri: String,
    port: String,
}

struct VirtualModem {
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Parts {
    pub(super) async fn start(args: &Args, folder: &Path, screen: &mut Screen) -> anyhow::Result<Self> {
        let seed = Seed::new(clock::unix_time().map_or(1, |time| time.millis.unsigned_abs()));
        let (port, modem) = match &args.modem {
            Some(port) => (port.clone(), None),
            None => virtual_modem(folder, seed)?,
        };
        screen.part(
            "modem",
            &port,
            if modem.is_some() { "virtual BG95 on a pseudo-terminal" } else { "real" },
        );
        let (server_uri, server) = match &args.server {
            Some(uri) => (uri.clone(), None),
            None => own_server(seed).await?,
        };
        screen.part("server", &server_uri, if server.is_some() { "the lab's LwM2M server" } else { "real" });
        let broker_url = match &args.broker {
            Some(url) => url.clone(),
            None => {
                let address =
                    broker_edge::start(None).await.context("the demo's broker cannot be started")?;
                format!("mqtt://{address}")
            }
        };
        screen.part("broker", &broker_url, if args.broker.is_some() { "real" } else { "rumqttd" });
        if args.server.is_some() {
            screen.waived();
        }
        let now = clock::now();
        let wall = clock::unix_time().context("the system's clock stands before 1970")?;
        let players =
            Kind::ALL.into_iter().map(|kind| Player::new(kind, args.period, seed, now, wall)).collect();
        let client_id = format!("nbgate-demo-sensors-{}", std::process::id());
        let settings = mqtt::Settings::new(&broker_url, &client_id, None)
            .map_err(|error| super::Usage(format!("--broker: {error}")))?;
        let sensors =
            sensors_edge::Edge::start(players, settings.without_session(), seed.child("sensors")).await;
        Ok(Self { sensors, server, modem, broker_url, server_uri, port })
    }

    /// Writes the file that a user would write, and reads it as `nbgate run` does.
    pub(super) fn config(&self, args: &Args, folder: &Path) -> anyhow::Result<Config> {
        let path = folder.join("nbgate.toml");
        let apn = args.apn.as_ref().map_or_else(String::new, |apn| format!("apn = {apn:?}\n"));
        // A real modem and a real server are a real NB-IoT link away.
        let profile = if args.modem.is_some() { "nbiot" } else { "lan" };
        let text = format!(
            "state_dir = \"\"\n[modem]\nport = {:?}\nbaud = {}\n{apn}\n\
             [lwm2m]\nstart_jitter = \"0s\"\n[lwm2m.coap]\nprofile = \"{profile}\"\n\n\
             [[lwm2m.servers]]\nuri = {:?}\nlifetime = \"5m\"\n\n\
             [mqtt]\nurl = {:?}\nclient_id = \"nbgate-demo-{}\"\n\n\
             [bridge]\nannounce_after = \"500ms\"\n\n{MAPPINGS_TOML}",
            self.port,
            args.baud,
            self.server_uri,
            self.broker_url,
            std::process::id(),
        );
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        let mut config = config::load(&path, host::read())?;
        if let Uplink::Modem(settings) = &mut config.gateway.uplink {
            settings.trace = args.trace_at;
            // Signal to look at, more often than a paid link would bear.
            settings.poll_interval = Duration::from_secs(5);
        }
        Ok(config)
    }

    /// Takes everything down again.
    pub(super) async fn finish(self) {
        self.sensors.finish(clock::now() + ENDS_WITHIN).await;
        if let Some(VirtualModem { stop, task }) = self.modem {
            // A modem that is gone already needs no stop.
            let _ = stop.send(());
            match timeout(ENDS_WITHIN, task).await {
                Ok(Ok(Ok(()))) => {}
                other => tracing::warn!(?other, "the virtual modem did not end well"),
            }
        }
    }
}

fn virtual_modem(folder: &Path, seed: Seed) -> anyhow::Result<(String, Option<VirtualModem>)> {
    let pty = Pty::open(Some(&folder.join("modem"))).context("cannot make a pseudo-terminal")?;
    let path = pty.path().display().to_string();
    let wall_clock = clock::unix_time();
    let options = modem::Options {
        baud: Some(115_200),
        wall_clock,
        boot: BOOT,
        search_after: SEARCH_AFTER,
        ..modem::Options::default()
    };
    let cell = cell::Options { rtt: RTT, attach_delay: ATTACH_DELAY, ..cell::Options::default() };
    let modem = Modem::new(options, seed.child("virtual modem"), clock::now());
    let cell = Cell::new(cell, seed.child("cell"));
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(modem_edge::run(modem, cell, modem_edge::Port::Pty(pty), None, async {
        // Ends also when the demo is dropped without a word.
        let _ = stopped.await;
    }));
    Ok((path, Some(VirtualModem { stop, task })))
}

async fn own_server(seed: Seed) -> anyhow::Result<(String, Option<server_edge::Edge>)> {
    let settings = ServerSettings {
        params: coap::Params::lan(),
        observe_after: Duration::from_millis(50),
        ..ServerSettings::default()
    };
    let server = Server::new(settings, seed.child("server"));
    let edge =
        server_edge::Edge::bind(SERVER_ADDRESS, server, clock::now).await.context("cannot listen on UDP")?;
    let address = edge.local_address()?;
    Ok((format!("coap://{address}"), Some(edge)))
}

/// A new folder that only we can read.
pub(super) fn folder() -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    let name =
        format!("nbgate-demo-{}-{}", std::process::id(), clock::unix_time().map_or(0, |time| time.millis));
    let path = std::env::temp_dir().join(name);
    fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

/// The message orders the lamp to this level.
pub(super) fn is_order(message: &Message, level: u8) -> bool {
    let payload: Option<serde_json::Value> = serde_json::from_slice(&message.payload).ok();
    message.topic == "lamps/21/set" && payload.is_some_and(|payload| payload["dim"] == level)
}
