//! The only loop: takes what the core gives to the edges, and what the edges tell to the core.

mod edges;
mod heart;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant as TokioInstant, sleep_until, timeout};

use crate::at::TraceLine;
use crate::config::Config;
use crate::link::clock;
use crate::mqtt;
use crate::seed::Seed;
use crate::status::notify;
use crate::store::Store;

use super::core::Core;
use super::host;
use super::io::{Event, Input};
use super::questions::Question;
use super::settings::Mappings;
use edges::{Edges, from_broker};
use heart::Heart;

/// Events from the edges that may wait for the core; then the edges wait, and the broker and the kernel buffer.
const INPUT_QUEUE: usize = 256;
/// Orders that may wait for the MQTT task; then the loop waits, which is for moments only.
const ORDER_QUEUE: usize = 64;
/// Events of the broker that one turn takes at the most, if they are there; then the others have their turn.
const BROKER_EVENTS_A_TURN: usize = 32;
/// How long the broker may take for our goodbye.
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);
/// How often the wall clock, memory and power are read for the Device object.
const HOST_EVERY: Duration = Duration::from_secs(60);

/// What somebody beside the loop may want to follow. All are optional; a slow follower loses lines, not the loop.
#[derive(Debug, Default)]
pub struct Followers {
    /// Every event of the core.
    pub events: Option<mpsc::Sender<Event>>,
    /// The AT dialogue, where the modem settings ask for a trace.
    pub trace: Option<mpsc::Sender<TraceLine>>,
    /// Questions about the state, answered between two turns.
    pub questions: Option<mpsc::Receiver<Question>>,
    /// Mappings to take in place of those before.
    pub reloads: Option<mpsc::Receiver<Box<Mappings>>>,
}

/// Runs the gateway until `stop` says so and everything is wound down.
///
/// # Errors
/// The edges could not be started.
pub async fn run(
    config: Config,
    mut followers: Followers,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let seed = Seed::new(entropy());
    let (inputs_tx, mut inputs) = mpsc::channel(INPUT_QUEUE);
    let (broker_tx, mut broker) = mpsc::channel(INPUT_QUEUE);
    let (orders_tx, orders) = mpsc::channel(ORDER_QUEUE);
    let broker_task = mqtt::spawn(config.mqtt.clone(), seed.child("mqtt"), broker_tx, orders);
    let (store, store_ended) = start_store(&config.state_dir, &inputs_tx)?.unzip();
    let mut edges = Edges::new(&config, &inputs_tx, orders_tx.clone(), store);
    let mut host_facts = config.gateway.host.facts.clone();
    let mut core = Core::new(config.gateway, seed, clock::now());
    let mut host_due = clock::now();
    let mut heart = Heart::new(clock::now());
    let mut is_ready = false;
    let mut stopping = false;
    loop {
        let now = clock::now();
        if now >= host_due {
            host_due = now + HOST_EVERY;
            if let Some(time) = clock::unix_time() {
                core.handle(Input::WallClock(time), now);
            }
            host_facts = host::refresh(&host_facts);
            core.handle(Input::Host(Box::new(host_facts.clone())), now);
        }
        if edges.carry_out(&mut core, &followers).await {
            break;
        }
        if !is_ready {
            is_ready = true;
            notify::ready();
        }
        heart.turned(&core, &orders_tx, clock::now());
        let deadline = core.next_deadline();
        let wake = [deadline.map(|deadline| deadline.at), heart.due()]
            .into_iter()
            .flatten()
            .fold(host_due, Instant::min);
        let input = tokio::select! {
            input = inputs.recv() => input.context("every edge has ended")?,
            event = broker.recv(), if core.takes_messages() => {
                let event = event.context("the MQTT task has ended")?;
                from_broker(event).unwrap_or_else(|| {
                    heart.mqtt_answered();
                    Input::Tick
                })
            }
            mappings = next(&mut followers.reloads), if !stopping => {
                // The service manager hears once the turn that takes them is done.
                is_ready = false;
                Input::Reload(mappings)
            }
            question = next(&mut followers.questions) => {
                answer(&core, question);
                continue;
            }
            () = sleep_until(TokioInstant::from_std(wake)) => {
                if let Some(deadline) = deadline {
                    tracing::trace!(why = deadline.why, "deadline");
                }
                Input::Tick
            }
            changed = stop.changed(), if !stopping => {
                // A dropped sender can stop nothing any more; whoever held it is gone, so end.
                stopping = changed.is_err() || *stop.borrow();
                if stopping {
                    notify::stopping();
                    Input::Stop
                } else {
                    Input::Tick
                }
            }
        };
        core.handle(input, clock::now());
        if !stopping {
            take_more(&mut core, &mut broker, &mut heart);
        }
    }
    // Without takers of its events the task takes its leave of the broker.
    drop((edges, orders_tx, broker));
    if timeout(GOODBYE_LIMIT, broker_task).await.is_err() {
        tracing::warn!("the broker did not take our goodbye");
    }
    // Its last word is that it has closed the database; one that hangs is left behind.
    if let Some(ended) = store_ended {
        if timeout(GOODBYE_LIMIT, ended).await.is_err() {
            tracing::warn!("the store does not come to an end");
        }
    }
    Ok(())
}

/// Takes what else the broker has brought already, so that many messages need few turns.
fn take_more(core: &mut Core, broker: &mut mpsc::Receiver<mqtt::Event>, heart: &mut Heart) {
    for _ in 1..BROKER_EVENTS_A_TURN {
        if !core.takes_messages() {
            return;
        }
        // The next turn finds out if the task has ended.
        let Ok(event) = broker.try_recv() else { return };
        match from_broker(event) {
            Some(input) => core.handle(input, clock::now()),
            None => heart.mqtt_answered(),
        }
    }
}

/// The next that somebody wants; never, where nobody can.
async fn next<T>(wanted: &mut Option<mpsc::Receiver<T>>) -> T {
    if let Some(open) = wanted {
        if let Some(next) = open.recv().await {
            return next;
        }
        *wanted = None;
    }
    std::future::pending().await
}

fn answer(core: &Core, question: Question) {
    // Who asked may have lost patience.
    match question {
        Question::Snapshot(answer) => drop(answer.send(core.snapshot(clock::now()))),
        Question::Mappings { from, most, answer } => drop(answer.send(core.mappings(from, most))),
        Question::Values { after, most, answer } => drop(answer.send(core.values(after, most))),
    }
}

/// Starts the store's thread, if anything is to last; what comes with it is done when the thread has ended.
fn start_store(
    folder: &Path,
    inputs: &mpsc::Sender<Input>,
) -> anyhow::Result<Option<(Store, oneshot::Receiver<()>)>> {
    if folder.as_os_str().is_empty() {
        return Ok(None);
    }
    let (inputs, (alive, ended)) = (inputs.clone(), oneshot::channel());
    let answer = move |answer| {
        // Dropped with the thread: that is what `ended` waits for.
        let _alive = &alive;
        if inputs.blocking_send(Input::Store(answer)).is_err() {
            tracing::debug!("nobody waits for the store any longer");
        }
    };
    let store =
        Store::start(folder.to_owned(), clock::unix_time, answer).context("no thread for the store")?;
    Ok(Some((store, ended)))
}

/// A seed nobody can guess: tokens and Message IDs of unsecured CoAP hang on it.
fn entropy() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    #[expect(
        clippy::disallowed_types,
        reason = "the one place that draws from the operating system's chance"
    )]
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::gateway::settings::Host;

    #[tokio::test]
    async fn a_stop_from_before_the_first_turn_is_heard() {
        let text = "uplink = \"udp\"\nstate_dir = \"\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n[lwm2m]\nendpoint = \"gw\"\n\
                    [[lwm2m.servers]]\nuri = \"coap://127.0.0.1:9\"\n";
        let config = config::parse(text, Host::default()).unwrap();
        let (stop, asked) = watch::channel(false);
        stop.send(true).unwrap();
        // More than the stated bound of profile "nbiot", which is for a link that does not answer.
        let ended = timeout(Duration::from_secs(40), run(config, Followers::default(), asked)).await;
        ended.expect("the gateway ends").unwrap();
    }
}
