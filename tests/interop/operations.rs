//! Every operation in every format that Leshan offers, row by row of `leshan/operations.tsv`.

use std::thread;

use crate::house::{House, Plan};
use crate::peers::leshan::Leshan;
use crate::peers::nbgate::VirtualModem;
use crate::peers::tshark::{Capture, Captured};
use crate::table;

/// Hundreds of requests one after the other: what a real round trip does to one is shown elsewhere.
const VERY_QUICK: &str = "10ms";

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn operations_over_kernel_udp_under_1_0() {
    run("1.0", None);
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn operations_over_kernel_udp_under_1_1() {
    run("1.1", None);
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn operations_over_virtual_modems_under_1_0_and_1_1() {
    // At the same time, because it is the modems that take theirs.
    thread::scope(|both| {
        for version in ["1.0", "1.1"] {
            both.spawn(move || run(version, Some(VirtualModem::with_round_trip(VERY_QUICK))));
        }
    });
}

fn run(version: &'static str, modem: Option<VirtualModem>) {
    let leshan = Leshan::start();
    let capture = Capture::start(leshan.port());
    let plan = Plan { modem, ..Plan::new(version, &leshan) };
    let mut house = House::start(leshan, plan);
    let spoiled = table::run(&mut house, "operations.tsv");
    house.stop();
    expect_no_fault(&capture.stop(), spoiled);
}

/// Nothing that the gateway sent is malformed to an independent decoder, nor what Leshan sent unless a row spoiled it.
fn expect_no_fault(captured: &Captured, spoiled: usize) {
    let faults = captured.faults();
    let (ours, theirs): (Vec<_>, Vec<_>) = faults.iter().partition(|fault| fault.is_of_client);
    assert!(ours.is_empty(), "packets of the gateway that tshark finds fault with: {ours:#?}");
    assert!(
        theirs.len() <= spoiled,
        "more than {spoiled} packets of Leshan that tshark finds fault with: {theirs:#?}"
    );
}
