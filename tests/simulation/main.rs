//! The whole gateway among its models under a virtual clock. Each failure names its seed; `SIM_SEED=7` runs that one.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod onenet;
mod servers;

use std::time::Duration;

use nbgate::config;
use nbgate::gateway::settings::{Host, Settings};
use nbgate::lab::sensors::MAPPINGS_TOML;
use nbgate::lab::world::{Options, Report, SERVER, Site, World};
use nbgate::lab::{broker, cell, modem, store};
use nbgate::link::clock;

/// Seeds that every scenario runs with, unless `SIM_SEED` names one.
const SEEDS: std::ops::Range<u64> = 1..4;

fn seeds() -> Vec<u64> {
    match std::env::var("SIM_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => SEEDS.collect(),
    }
}

fn gateway(mappings: &str) -> Settings {
    let text =
        format!("[modem]\nport = \"virtual\"\n[[lwm2m.servers]]\nuri = \"coap://{SERVER}\"\n{mappings}");
    config::parse(&text, Host::default()).unwrap().gateway
}

/// Three hours of the lab's four sensors on a healthy cell, with an order to the lamp every quarter of an hour.
fn options(seed: u64) -> Options {
    Options {
        seed,
        duration: Duration::from_secs(3 * 3600),
        settling: Duration::from_secs(1800),
        period: Duration::from_secs(60),
        cell: cell::Options::default(),
        modem: modem::Options::default(),
        servers: vec![Site::default()],
        broker: broker::Settings::default(),
        store: store::Settings::default(),
        broker_away: None,
        bays: None,
        gateway: gateway(MAPPINGS_TOML),
        order_every: Some(Duration::from_secs(900)),
        reloads: Vec::new(),
        mishaps: Vec::new(),
    }
}

/// With the time that a bad cell needs.
fn patient(options: Options) -> Options {
    // A notification that failed waits up to an hour before the next try; each resend of a De-register takes minutes.
    let gateway = Settings { stop_limit: Duration::from_secs(600), ..options.gateway };
    Options { settling: Duration::from_secs(3 * 3600), gateway, ..options }
}

fn good(options: Options) -> Report {
    let seed = options.seed;
    let report = World::new(options, clock::now()).run();
    assert!(report.is_good(), "SIM_SEED={seed}: {:#?}", report.failures);
    report
}

#[test]
fn on_a_healthy_cell_every_sample_is_reported_and_nothing_is_sent_twice() {
    for seed in seeds() {
        let report = good(options(seed));
        assert_eq!((report.registrations, report.resends), (1, 0), "SIM_SEED={seed}");
        assert_eq!(report.orders_taken, report.orders, "SIM_SEED={seed}");
        assert!(report.orders >= 10 && report.books.received > 1500, "SIM_SEED={seed}: {report:?}");
        // A newer value may overtake one only while its notification waits for the radio.
        assert!(report.books.superseded * 20 < report.books.received, "SIM_SEED={seed}: {:?}", report.books);
    }
}

#[test]
fn mappings_that_go_and_come_back_lose_no_sample_and_keep_their_instances() {
    let (before, rest) = MAPPINGS_TOML.split_once("# Water meter").unwrap();
    let (_, after) = rest.split_once("# Manhole").unwrap();
    let without_meter = gateway(&format!("{before}#{after}")).mappings;
    let all = gateway(MAPPINGS_TOML).mappings;
    for seed in seeds() {
        let reloads = vec![
            (Duration::from_secs(3600), without_meter.clone()),
            (Duration::from_secs(2 * 3600), all.clone()),
        ];
        let report = good(Options { reloads, ..options(seed) });
        assert_eq!(report.registrations, 1, "SIM_SEED={seed}: {report:?}");
        assert_eq!(report.orders_taken, report.orders, "SIM_SEED={seed}");
        let whole = good(options(seed));
        assert!(report.books.received < whole.books.received, "SIM_SEED={seed}: {:?}", report.books);
    }
}

#[test]
fn what_the_air_loses_at_the_end_is_not_the_gateways_fault() {
    let cell = cell::Options { loss: 1.0, ..cell::Options::default() };
    let quick = Options { duration: Duration::from_secs(600), cell, ..options(1) };
    let failures = World::new(quick, clock::now()).run().failures;
    assert!(failures.iter().any(|failure| failure.contains("nobody is registered")), "{failures:?}");
    for unjust in ["de-registration", "did not stop"] {
        assert!(!failures.iter().any(|failure| failure.contains(unjust)), "{failures:?}");
    }
}

#[test]
fn a_lossy_cell_with_jitter_and_duplicates_costs_resends_but_no_sample() {
    for seed in seeds() {
        let cell = cell::Options {
            rtt: Duration::from_secs(3),
            jitter: Duration::from_secs(1),
            loss: 0.1,
            duplication: 0.05,
            ..cell::Options::default()
        };
        let report = good(Options { cell, ..patient(options(seed)) });
        assert!(report.resends > 0, "SIM_SEED={seed}");
    }
}

#[test]
fn a_nat_that_forgets_between_samples_is_met_by_an_update() {
    for seed in seeds() {
        let period = Duration::from_secs(1200);
        let report = good(Options { period, order_every: None, ..options(seed) });
        assert!(report.updates > 2, "SIM_SEED={seed}: {report:?}");
        assert_eq!(report.registrations, 1, "SIM_SEED={seed}: {report:?}");
    }
}

#[test]
fn very_long_round_trips_and_heavy_loss_still_balance_the_books() {
    for seed in seeds() {
        let cell = cell::Options { rtt: Duration::from_secs(9), loss: 0.25, ..cell::Options::default() };
        good(Options { cell, ..patient(options(seed)) });
    }
}

#[test]
fn a_nat_that_forgets_before_a_resend_is_survived() {
    for seed in seeds() {
        let nat_idle = Some(Duration::from_secs(30));
        let rtt = Duration::from_secs(9);
        let cell = cell::Options { rtt, loss: 0.25, nat_idle, ..cell::Options::default() };
        let mut options = patient(options(seed));
        options.gateway.nat_idle = nat_idle;
        options.period = Duration::from_secs(1200);
        let report = good(Options { cell, ..options });
        // The server observes anew where it sees us after an Update. One Update in 27 is lost with all its resends,
        // and a Register follows.
        assert!(report.registrations * 5 < report.updates, "SIM_SEED={seed}: {report:?}");
    }
}

#[test]
fn a_broker_that_goes_away_leaves_the_registration_alone_and_is_found_again() {
    let away = (Duration::from_secs(3600), Duration::from_secs(1500));
    for seed in seeds() {
        let report = good(Options { broker_away: Some(away), ..options(seed) });
        assert_eq!(report.registrations, 1, "SIM_SEED={seed}");
        // Two orders fall into that time, and are answered 5.03.
        assert!(
            report.orders_taken < report.orders && report.orders_taken >= 8,
            "SIM_SEED={seed}: {report:?}"
        );
        // What the sensors said to nobody did not come in; what they said before and after did.
        let received = report.books.received;
        let heard = good(options(seed)).books.received;
        assert!(
            received < heard * 95 / 100 && received > heard * 80 / 100,
            "SIM_SEED={seed}: {received} of {heard}"
        );
    }
}

#[test]
fn without_a_broker_the_gateway_registers_all_the_same() {
    for seed in seeds() {
        let away = (Duration::ZERO, Duration::from_secs(3600));
        let report = good(Options { broker_away: Some(away), ..options(seed) });
        assert_eq!(report.registrations, 1, "SIM_SEED={seed}");
        assert!(report.books.received > 1000, "SIM_SEED={seed}: {report:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let cell = || cell::Options { loss: 0.1, jitter: Duration::from_secs(1), ..cell::Options::default() };
    let duration = Duration::from_secs(3600);
    let run = |seed| good(Options { cell: cell(), duration, ..patient(options(seed)) });
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).digest, run(8).digest);
}

#[test]
fn a_world_that_cannot_reach_its_server_is_a_failed_run() {
    let cell = cell::Options { loss: 1.0, ..cell::Options::default() };
    let report =
        World::new(Options { cell, duration: Duration::from_secs(600), ..options(1) }, clock::now()).run();
    assert!(!report.is_good());
    assert!(report.books.balance() && report.books.pending() > 0, "{report:?}");
}

/// These befall the cell in turn, one every `step` seconds for the first two hours; then all is well.
fn in_turn(orders: &[cell::Order], step: u64) -> Vec<(Duration, cell::Order)> {
    let end = 2 * 3600;
    let in_turn = (1..end / step).zip(orders.iter().copied().cycle());
    let timed = in_turn.map(|(n, order)| (Duration::from_secs(n * step), order));
    timed.chain([(Duration::from_secs(end), cell::Order::RegainCoverage)]).collect()
}

#[test]
fn whatever_befalls_the_cell_the_gateway_comes_back_and_no_sample_is_lost() {
    use cell::Order::{DropContext, ForgetMappings, LoseCoverage, RegainCoverage};
    let both = [DropContext, ForgetMappings, LoseCoverage, DropContext, RegainCoverage];
    let courses: [(&[cell::Order], u64); 6] = [
        (&[DropContext], 17),
        (&[LoseCoverage, RegainCoverage], 13),
        (&[DropContext], 601),
        (&[LoseCoverage, RegainCoverage], 611),
        (&[ForgetMappings], 333),
        (&both, 227),
    ];
    for seed in seeds() {
        for (orders, step) in courses {
            let modem = modem::Options { send_fail: 0.2, baud: Some(115_200), ..modem::Options::default() };
            // A notification that failed waits up to an hour before the next try.
            let settling = Duration::from_secs(3 * 3600);
            let mishaps = in_turn(orders, step);
            let report = good(Options { modem, mishaps, settling, ..options(seed) });
            assert!(report.books.reported > 500, "SIM_SEED={seed} {orders:?}: {report:?}");
        }
    }
}

#[test]
fn urcs_that_go_to_another_port_are_brought_to_ours() {
    for seed in seeds() {
        let modem = modem::Options { port_name: "uart1".into(), ..modem::Options::default() };
        let report = good(Options { modem, ..options(seed) });
        // Found by the slow look alone, each answer would come half a minute late.
        assert!(report.books.superseded * 20 < report.books.received, "SIM_SEED={seed}: {:?}", report.books);
    }
}
