//! What the cell does with datagrams, attaches and orders.

use super::*;

#[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
fn t0() -> Instant {
    Instant::now()
}

fn server() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], 5683))
}

fn up(payload: u8) -> Up {
    Up::Datagram { local_port: 3030, to: server(), payload: vec![payload; 10] }
}

type Timed<T> = Vec<(Instant, T)>;

/// Lets time pass to `end`, and says what came out and when.
fn run_to(cell: &mut Cell, end: Instant) -> (Timed<Network>, Timed<Down>) {
    let (mut networks, mut downs) = (Vec::new(), Vec::new());
    let mut now = None;
    loop {
        let deadline = cell.poll_timeout().filter(|deadline| deadline.at <= end);
        let at = deadline.map_or(end, |deadline| deadline.at);
        assert!(now.is_none_or(|now| at >= now), "deadlines never go back");
        now = Some(at);
        cell.handle_timeout(at);
        networks.extend(std::iter::from_fn(|| cell.poll_network()).map(|network| (at, network)));
        downs.extend(std::iter::from_fn(|| cell.poll_down()).map(|down| (at, down)));
        if deadline.is_none() {
            return (networks, downs);
        }
    }
}

fn attached(options: Options, now: Instant) -> (Cell, Instant) {
    let mut cell = Cell::new(options, Seed::new(1));
    cell.handle_up(Up::Attach { apn: String::new() }, now);
    let now = now + Duration::from_secs(10);
    let (_, downs) = run_to(&mut cell, now);
    assert!(matches!(downs.as_slice(), [(_, Down::Attached(_))]));
    (cell, now)
}

fn sent(networks: &[(Instant, Network)]) -> Vec<PortId> {
    networks
        .iter()
        .filter_map(|(_, network)| match network {
            Network::Send { port, .. } => Some(*port),
            _ => None,
        })
        .collect()
}

#[test]
fn a_datagram_and_its_answer_take_one_round_trip() {
    let (mut cell, now) = attached(Options::default(), t0());
    cell.handle_up(up(1), now);
    let (networks, _) = run_to(&mut cell, now + Duration::from_secs(1));
    let [(_, Network::Bind(bound)), (at, Network::Send { port, to, payload })] = networks.as_slice() else {
        panic!("{networks:?}")
    };
    assert_eq!((bound, *to, payload.len()), (port, server(), 10));
    cell.handle_network(*port, server(), vec![2], *at);
    let (_, downs) = run_to(&mut cell, now + Duration::from_secs(5));
    let answer = Down::Datagram { local_port: 3030, from: server(), payload: vec![2] };
    assert_eq!(downs, [(now + Duration::from_secs(2), answer)]);
    assert_eq!(cell.traffic().up.air_octets, 38);
    assert_eq!((cell.traffic().down.datagrams, cell.traffic().down.payload_octets), (1, 1));
}

#[test]
fn after_idle_time_the_old_port_is_deaf_and_the_next_is_new() {
    let (mut cell, now) = attached(Options::default(), t0());
    cell.handle_up(up(1), now);
    let (networks, _) = run_to(&mut cell, now + Duration::from_secs(100));
    let old = sent(&networks)[0];
    let later = now + Duration::from_secs(130);
    cell.handle_network(old, server(), vec![2], later);
    cell.handle_up(up(3), later);
    let (networks, downs) = run_to(&mut cell, later + Duration::from_secs(5));
    assert_eq!(downs, []);
    assert_eq!(cell.traffic().down.undeliverable, 1);
    assert!(networks.iter().any(|(_, network)| *network == Network::Unbind(old)));
    assert_ne!(sent(&networks), [old]);
}

#[test]
fn datagrams_up_keep_a_mapping_alive() {
    let (mut cell, mut now) = attached(Options::default(), t0());
    let mut ports = Vec::new();
    for _ in 0..5 {
        cell.handle_up(up(1), now);
        now += Duration::from_secs(100);
        ports.extend(sent(&run_to(&mut cell, now).0));
    }
    assert_eq!(ports, [PortId(1); 5]);
}

#[test]
fn loss_and_duplication_come_about_as_often_as_asked() {
    let options =
        Options { loss: 0.25, duplication: 0.5, jitter: Duration::from_secs(1), ..Options::default() };
    let (mut cell, mut now) = attached(options, t0());
    for _ in 0..1000 {
        cell.handle_up(up(1), now);
        now += Duration::from_secs(10);
        run_to(&mut cell, now);
    }
    let traffic = cell.traffic().up;
    assert_eq!(traffic.datagrams, 1000);
    assert!((200..300).contains(&traffic.lost), "{traffic:?}");
    assert!((325..425).contains(&traffic.duplicated), "{traffic:?}");
}

#[test]
fn an_option_shifts_no_other_draw_and_a_seed_repeats() {
    let arrivals = |loss| {
        let options = Options { loss, jitter: Duration::from_secs(3), ..Options::default() };
        let start = t0();
        let (mut cell, mut now) = attached(options, start);
        let mut arrivals = Vec::new();
        for number in 0..50 {
            cell.handle_up(up(number), now);
            now += Duration::from_secs(10);
            for (at, network) in run_to(&mut cell, now).0 {
                if let Network::Send { payload, .. } = network {
                    arrivals.push((payload[0], at.duration_since(start)));
                }
            }
        }
        arrivals
    };
    let (all, some) = (arrivals(0.0), arrivals(0.3));
    assert_eq!(all, arrivals(0.0));
    assert!(some.len() < all.len());
    assert!(some.iter().all(|arrival| all.contains(arrival)));
}

#[test]
fn a_slow_link_carries_one_datagram_after_the_other() {
    let options = Options { octets_per_second: Some(38), ..Options::default() };
    let (mut cell, now) = attached(options, t0());
    (0..3).for_each(|number| cell.handle_up(up(number), now));
    let (networks, _) = run_to(&mut cell, now + Duration::from_secs(20));
    let times: Vec<u64> = networks
        .iter()
        .filter(|(_, network)| matches!(network, Network::Send { .. }))
        .map(|(at, _)| at.duration_since(now).as_secs())
        .collect();
    assert_eq!(times, [2, 3, 4]);
}

#[test]
fn a_flood_is_bounded() {
    let (mut cell, now) = attached(Options::default(), t0());
    (0..1000).for_each(|_| cell.handle_up(up(1), now));
    assert_eq!(cell.traffic().up.undeliverable, 1000 - MAX_UNDER_WAY as u64);
}

#[test]
fn lost_coverage_comes_back_with_a_new_attach() {
    let (mut cell, now) = attached(Options::default(), t0());
    cell.handle_order(Order::LoseCoverage, now);
    cell.handle_up(up(1), now);
    cell.handle_order(Order::RegainCoverage, now + Duration::from_secs(30));
    let (networks, downs) = run_to(&mut cell, now + Duration::from_secs(60));
    assert_eq!(networks, []);
    assert!(matches!(downs.as_slice(), [(_, Down::CoverageLost), (_, Down::Attached(_))]), "{downs:?}");
}

#[test]
fn a_wrong_apn_is_denied() {
    let mut cell = Cell::new(Options { apn: Some("iot".into()), ..Options::default() }, Seed::new(1));
    let now = t0();
    cell.handle_up(Up::Attach { apn: "internet".into() }, now);
    let (_, downs) = run_to(&mut cell, now + Duration::from_secs(10));
    assert!(matches!(downs.as_slice(), [(_, Down::Denied { emm_cause: 19 })]));
}

#[test]
fn a_dropped_context_and_a_detach_end_the_mappings() {
    let (mut cell, now) = attached(Options::default(), t0());
    cell.handle_up(up(1), now);
    run_to(&mut cell, now + Duration::from_secs(2));
    cell.handle_order(Order::DropContext, now + Duration::from_secs(2));
    let (networks, downs) = run_to(&mut cell, now + Duration::from_secs(3));
    assert!(matches!(networks.as_slice(), [(_, Network::Unbind(PortId(1)))]));
    assert!(matches!(downs.as_slice(), [(_, Down::ContextLost)]));
    cell.handle_up(Up::Detach, now + Duration::from_secs(4));
    cell.handle_up(up(1), now + Duration::from_secs(4));
    assert_eq!(run_to(&mut cell, now + Duration::from_secs(9)).0, []);
}
