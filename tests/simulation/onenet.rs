//! OneNET's opening over a slow link: what the platform asks in one burst after the Register is answered, each in time.

use std::time::Duration;

use nbgate::coap::Params;
use nbgate::lab::server::{ANSWER_WITHIN, End};
use nbgate::lab::world::{Options, Report, Site};
use nbgate::lab::{cell, server};
use nbgate::lwm2m::model::Version;

use super::{good, options, patient, seeds};

/// A round trip of 1.5 s, a modem at 115,200 bit/s, and a platform that sends again as RFC 7252 has it.
fn opening(seed: u64, loss: f64) -> Options {
    let plain = patient(options(seed));
    let mut gateway = plain.gateway;
    gateway.endpoint = "{imei};{imsi}".into();
    gateway.version = Version::V1_0;
    gateway.lwm2m_parameter = false;
    let server = server::Settings { params: Params::lan(), ..server::Settings::default() };
    Options {
        servers: vec![Site { server: server.for_onenet(), opening: true, commands: vec![] }],
        duration: Duration::from_secs(3600),
        period: Duration::from_secs(30),
        modem: nbgate::lab::modem::Options { baud: Some(115_200), ..plain.modem },
        // So long that all sensors have spoken when the Register goes out: the burst is at its largest.
        cell: cell::Options {
            rtt: Duration::from_millis(1500),
            attach_delay: Duration::from_secs(60),
            loss,
            ..plain.cell
        },
        gateway,
        ..plain
    }
}

/// How many requests of this kind there were.
fn count(report: &Report, verb: &str) -> usize {
    report.opening.iter().filter(|step| step.what.starts_with(verb)).count()
}

#[test]
fn each_request_of_the_burst_is_answered_within_five_seconds() {
    for seed in seeds() {
        let report = good(opening(seed, 0.0));
        assert_eq!(report.registrations, 1, "SIM_SEED={seed}");
        let bad = report.opening.iter().find(|step| step.end != End::Good);
        assert_eq!(bad, None, "SIM_SEED={seed}: {:#?}", report.opening);
        // Server, device, connectivity and the four sensors' objects, each with one instance.
        assert!(count(&report, "discover") >= 7, "SIM_SEED={seed}: {:#?}", report.opening);
        assert!(count(&report, "observe") >= 7, "SIM_SEED={seed}: {:#?}", report.opening);
        assert_eq!(report.opening.last().map(|step| step.what.as_str()), Some("read /3/0 old-tlv"));
    }
}

#[test]
fn with_loss_each_request_is_answered_and_late_only_when_it_had_to_be_asked_again() {
    for seed in seeds() {
        let report = good(opening(seed, 0.1));
        let bad = report.opening.iter().find(|step| matches!(step.end, End::Bad(_)));
        assert_eq!(bad, None, "SIM_SEED={seed}: {:#?}", report.opening);
        let late = report.opening.iter().filter(|step| step.took > ANSWER_WITHIN).count();
        assert!(late * 4 < report.opening.len(), "SIM_SEED={seed}: {:#?}", report.opening);
    }
}
