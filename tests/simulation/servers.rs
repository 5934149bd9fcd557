//! Several servers in one world, what they ask for, long lists, and when the first Register goes out.

use std::collections::BTreeSet;
use std::time::Duration;

use nbgate::gateway::settings::{Server, Settings};
use nbgate::lab::server::{Command, Order};
use nbgate::lab::world::{Options, Report, SERVER, Site};
use nbgate::lab::{cell, modem, server};

use super::{good, options, patient, seeds};

/// The gateway's settings with one more server, at the address after the last.
fn with_second_server(settings: Settings) -> Settings {
    let first = settings.servers[0].clone();
    let host = "198.51.100.2".to_owned();
    let uri = format!("coap://{host}:{}", SERVER.port());
    let second = Server { uri, host, short_server_id: 2, instance: 1, security_instance: 2, ..first.clone() };
    Settings { servers: vec![first, second], ..settings }
}

/// What a server asks for by these lines of its command language.
fn commands(lines: &[&str]) -> Vec<Command> {
    lines.iter().map(|line| line.parse::<Order>().unwrap().command).collect()
}

#[test]
fn two_servers_each_see_every_value_and_the_books_balance_reg_22_srv_02() {
    for seed in seeds() {
        let plain = options(seed);
        let servers = vec![Site::default(); 2];
        let report = good(Options { servers, gateway: with_second_server(plain.gateway.clone()), ..plain });
        assert_eq!((report.registrations, report.resends), (2, 0), "SIM_SEED={seed}");
        // What one server has, the other has too.
        assert!(report.arrived > report.books.reported, "SIM_SEED={seed}: {report:?}");
    }
}

#[test]
fn a_server_that_is_not_there_does_not_slow_the_other() {
    // REG-22
    let superseded = |report: &Report| report.books.superseded as f64 / report.books.received as f64;
    for seed in seeds() {
        let plain = patient(options(seed));
        let alone = good(plain.clone());
        let report = good(Options { gateway: with_second_server(plain.gateway.clone()), ..plain });
        assert_eq!(report.registrations, 1, "SIM_SEED={seed}");
        assert_eq!(report.orders_taken, report.orders, "SIM_SEED={seed}");
        let (both, alone) = (superseded(&report), superseded(&alone));
        assert!(both < alone + 0.02, "SIM_SEED={seed}: {both} of the samples were late, {alone} without it");
    }
}

#[test]
fn attributes_thin_out_what_is_told_and_the_books_still_balance_ntf_05() {
    let observes =
        ["/3424", "/3408/0/2", "/3408/0/3", "/3416", "/3431"].map(|path| format!("observe {path}"));
    let attributes = [
        "attributes /3424 pmin=600",
        "attributes /3408/0/2 gt=20 lt=5 st=3",
        "attributes /3416 pmin=120 pmax=1800",
    ];
    let site = |attributes: &[&str]| {
        let lines = attributes.iter().copied().chain(observes.iter().map(String::as_str));
        let server = server::Settings { observe: false, ..server::Settings::default() };
        Site { server, commands: commands(&lines.collect::<Vec<_>>()), ..Site::default() }
    };
    for seed in seeds() {
        let plain = patient(options(seed));
        let all = good(Options { servers: vec![site(&[])], ..plain.clone() });
        let fewer = good(Options { servers: vec![site(&attributes)], ..plain });
        assert_eq!(fewer.refused, [""; 0], "SIM_SEED={seed}");
        assert!(fewer.datagrams_up < all.datagrams_up, "SIM_SEED={seed}: {fewer:?}");
        assert!(
            fewer.arrived * 10 < all.arrived * 8,
            "SIM_SEED={seed}: {} of {}",
            fewer.arrived,
            all.arrived
        );
    }
}

#[test]
fn attributes_of_one_server_are_not_those_of_the_other_srv_02() {
    for seed in seeds() {
        let plain = patient(options(seed));
        let attributes = commands(&["attributes /3424 pmin=900", "attributes /3416 pmin=900"]);
        let servers = vec![Site::default(), Site { commands: attributes, ..Site::default() }];
        let gateway = with_second_server(plain.gateway.clone());
        let report = good(Options { servers, gateway, ..plain.clone() });
        let alike = vec![Site::default(); 2];
        let both =
            good(Options { servers: alike, gateway: with_second_server(plain.gateway.clone()), ..plain });
        assert_eq!(report.refused, [""; 0], "SIM_SEED={seed}");
        // One of the two hears as much as ever.
        let (arrived, all) = (report.arrived, both.arrived);
        assert!(arrived < all && arrived > all / 2, "SIM_SEED={seed}: {arrived} of {all}");
    }
}

/// Three hundred bays beside the four sensors.
fn many(seed: u64, after: u64) -> Options {
    let plain = patient(options(seed));
    let bays = Some((300, Duration::from_secs(after)));
    Options { bays, duration: Duration::from_secs(3600), period: Duration::from_secs(300), ..plain }
}

#[test]
fn a_list_of_three_hundred_instances_goes_up_in_blocks_in_an_update_blk_20() {
    for seed in seeds() {
        let report = good(many(seed, 600));
        assert_eq!(report.registrations, 1, "SIM_SEED={seed}");
        assert!(report.updates > 0, "SIM_SEED={seed}: {report:?}");
    }
}

#[test]
fn a_list_of_three_hundred_instances_goes_up_in_blocks_in_a_register_with_loss_too_blk_20() {
    for seed in seeds() {
        for loss in [0.0, 0.1] {
            let plain = many(seed, 400);
            // All have spoken when the modem is let into the network.
            let attach_delay = Duration::from_secs(450);
            let cell = cell::Options { attach_delay, loss, ..plain.cell };
            let report = good(Options { cell, ..plain });
            // 300 links of about 10 octets.
            assert!(report.octets_up > 3000, "SIM_SEED={seed}: {report:?}");
        }
    }
}

#[test]
fn the_first_register_goes_out_at_some_time_within_the_jitter() {
    let jitter = Duration::from_secs(60);
    let first = |seed, start_jitter| {
        let mut short = options(seed);
        short.gateway.start_jitter = start_jitter;
        let duration = Duration::from_secs(600);
        good(Options { duration, order_every: None, ..short }).first_registered.unwrap()
    };
    let at_once = first(1, Duration::ZERO);
    let delays: Vec<u64> =
        (1..21).map(|seed| first(seed, jitter).as_secs().saturating_sub(at_once.as_secs())).collect();
    assert!(delays.iter().all(|delay| *delay <= jitter.as_secs() + 5), "{delays:?}");
    // A district of twenty: spread over the minute, and not many in the same ten seconds.
    let tens: BTreeSet<u64> = delays.iter().map(|delay| delay / 10).collect();
    assert!(tens.len() >= 4, "{delays:?}");
}

#[test]
fn a_carrier_that_forgets_sooner_than_configured_is_survived() {
    for seed in seeds() {
        let mut plain = patient(options(seed));
        plain.gateway.nat_idle = Some(Duration::from_secs(120));
        let cell = cell::Options { nat_idle: Some(Duration::from_secs(60)), ..plain.cell.clone() };
        let period = Duration::from_secs(360);
        good(Options { cell, period, order_every: None, ..plain });
    }
}

#[test]
fn a_write_that_arrives_cut_is_asked_for_in_blocks_coap_30_blk_22() {
    // A text in an object that servers create, in a datagram longer than the modem takes.
    let create = format!("create /16/0 tlv: 0/0={}", "x".repeat(1800));
    for seed in seeds() {
        for long_datagrams in [modem::LongDatagrams::Cut, modem::LongDatagrams::Drop] {
            let mut plain = options(seed);
            plain.gateway.held_objects = BTreeSet::from([16]);
            let modem = modem::Options { long_datagrams, ..plain.modem.clone() };
            let server = server::Settings { max_datagram: 4096, ..server::Settings::default() };
            let servers = vec![Site { server, commands: commands(&[&create]), opening: false }];
            let report = good(Options { servers, modem, ..plain });
            // What is dropped without a word nobody can answer.
            let taken = report.refused.is_empty();
            assert_eq!(taken, long_datagrams == modem::LongDatagrams::Cut, "SIM_SEED={seed}: {report:?}");
        }
    }
}
