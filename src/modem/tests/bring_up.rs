//! From an opened port to a link that is up, and everything that can stand in between.

use std::net::IpAddr;

use super::bench::{Bench, secs};
use crate::modem::{PortEvent, Settings};
use crate::net::{LinkEvent, NetworkRegistration};

fn with_apn(apn: &str) -> Settings {
    Settings { apn: Some(apn.into()), ..Settings::default() }
}

#[test]
fn a_well_behaved_modem_is_up_within_seconds_and_its_facts_are_known() {
    let mut bench = Bench::opened(Settings::default());
    bench.run(secs(4));
    assert_eq!(bench.take_events(), [LinkEvent::Up { address_changed: true }]);
    let facts = bench.driver.facts();
    assert!(facts.up && bench.driver.can_send());
    assert_eq!((facts.state, &facts.trouble), ("online", &None));
    let identity = &facts.identity;
    assert_eq!(identity.manufacturer.as_deref(), Some("Quectel"));
    assert_eq!(identity.model.as_deref(), Some("BG96"));
    assert_eq!(identity.firmware.as_deref(), Some("BG96MAR02A07M1G"));
    assert_eq!(identity.imei.as_deref(), Some("351358815178345"));
    assert_eq!(identity.imsi.as_deref(), Some("262011234567890"));
    assert_eq!(identity.iccid.as_deref(), Some("8949020000012345678"));
    assert_eq!(facts.registration, NetworkRegistration::Roaming);
    assert_eq!(facts.signal.rsrp_dbm, Some(-84));
    assert_eq!((facts.cell.cell_id, facts.cell.earfcn), (Some(0x0dda_1451), Some(3740)));
    assert_eq!(facts.operator.as_deref(), Some("Operator"));
    assert_eq!(facts.technology.as_deref(), Some("CAT-NB1"));
    assert_eq!(facts.apn.as_deref(), Some("iot.example"));
    assert_eq!(facts.address, Some(IpAddr::from([10, 7, 157, 1])));
    assert_eq!((facts.max_send_octets, facts.max_receive_octets), (1358, 1500));
}

#[test]
fn what_the_modem_has_already_is_not_written() {
    let mut bench = Bench::opened(with_apn("iot.example"));
    bench.run(secs(4));
    assert!(bench.driver.facts().up);
    for written in
        ["AT+QURCCFG=\"urcport\",\"usbat\"", "AT+CFUN=4", "AT+CFUN=1", "AT+QIACT=1", "AT+QICLOSE=0"]
    {
        assert_eq!(bench.count(written), 0, "{written}");
    }
    assert!(
        !bench.log.iter().any(|line| line.starts_with("AT+CGDCONT=") || line.starts_with("AT+QICSGP=1,"))
    );
}

#[test]
fn without_a_configured_apn_nothing_about_it_is_written() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("AT+CGDCONT?", "+CGDCONT: 1,\"IP\",\"\",\"0.0.0.0\",0,0,0,0|OK");
    bench.run(secs(4));
    assert!(bench.driver.facts().up);
    assert_eq!(bench.driver.facts().apn, None);
    assert_eq!(bench.count("AT+QICSGP=1"), 0);
}

#[test]
fn another_apn_is_written_with_the_radio_off() {
    let mut bench = Bench::opened(with_apn("other.example"));
    bench.always("AT+CGDCONT=1,\"IP\",\"other.example\"", "OK");
    bench.always("AT+QICSGP=1,1,\"other.example\",\"\",\"\",0", "OK");
    bench.run(secs(6));
    assert!(bench.driver.facts().up, "{:#?}", bench.log);
    bench.assert_order(&[
        "AT+CGDCONT?",
        "AT+CFUN=4",
        "AT+CGDCONT=1,\"IP\",\"other.example\"",
        "AT+QICSGP=1",
        "AT+QICSGP=1,1,\"other.example\",\"\",\"\",0",
        "AT+CEREG=4",
        "AT+CFUN=1",
        "AT+CEREG?",
        "AT+QIACT?",
    ]);
}

#[test]
fn a_setting_that_cannot_be_read_is_written() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("AT+QURCCFG=\"urcport\"", "ERROR");
    bench.always("AT+QURCCFG=\"urcport\",\"usbat\"", "OK");
    bench.run(secs(4));
    assert!(bench.driver.facts().up);
    assert_eq!(bench.count("AT+QURCCFG=\"urcport\",\"usbat\""), 1);
}

#[test]
fn a_silent_modem_is_probed_for_ever_and_found_when_it_wakes() {
    let mut bench = Bench::opened(Settings::default());
    bench.mute = true;
    bench.run(secs(600));
    assert!(bench.log.iter().all(|line| line == "AT"));
    // One a second, and at first as many as a modem left at a prompt may swallow.
    assert!((600..1200).contains(&bench.log.len()), "{}", bench.log.len());
    assert_eq!(bench.driver.facts().state, "waiting for the modem to answer");
    let trouble = bench.driver.facts().trouble.clone().unwrap();
    assert!(trouble.starts_with("the modem does not answer"), "{trouble}");
    bench.mute = false;
    bench.run(secs(6));
    assert!(bench.driver.facts().up);
    assert_eq!(bench.driver.facts().trouble, None);
}

#[test]
fn an_unknown_modem_is_refused_with_its_own_words() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("AT+CGMM", "SIM7020G|OK");
    bench.always("AT+CGMI", "SIMCOM_Ltd|OK");
    bench.run(secs(30));
    let trouble = bench.driver.facts().trouble.clone().unwrap();
    assert!(trouble.contains("SIMCOM_Ltd") && trouble.contains("SIM7020G"), "{trouble}");
    assert!(!bench.driver.facts().up);
    assert_eq!(bench.count("AT+CGMM"), 1);
    assert_eq!(bench.count("AT+CFUN?"), 0);
    // Garbled words of a known one are not for ever.
    bench.always("AT+CGMM", "BG96|OK");
    bench.always("AT+CGMI", "Quectel|OK");
    bench.run(secs(150));
    assert!(bench.driver.facts().up);
}

#[test]
fn a_configured_dialect_needs_no_words() {
    let dialect = crate::modem::DialectName::QuectelBg9x;
    let mut bench = Bench::opened(Settings { dialect, ..Settings::default() });
    bench.always("AT+CGMM", "OEM-4711|OK");
    bench.run(secs(5));
    assert_eq!(bench.count("AT+CGMM"), 1);
    assert_eq!(bench.driver.facts().identity.model.as_deref(), Some("OEM-4711"));
    // Not a BG96 by its words: the URC port has the name of the others.
    assert_eq!(bench.count("AT+QURCCFG=\"urcport\",\"usbmodem\""), 1);
    assert!(bench.driver.facts().up);
}

#[test]
fn a_sim_that_is_not_there_or_locked_is_said_in_words_and_no_pin_is_entered() {
    for (answer, words) in [
        ("+CME ERROR: 10", "no SIM is inserted"),
        ("+CPIN: NOT INSERTED|OK", "no SIM is inserted"),
        ("+CPIN: SIM PIN|OK", "asks for its PIN"),
        ("+CME ERROR: 11", "asks for its PIN"),
        ("+CPIN: SIM PUK|OK", "asks for its PUK"),
        ("+CPIN: PH-NET PIN|OK", "PH-NET PIN"),
        ("+CME ERROR: 13", "does not work"),
    ] {
        let mut bench = Bench::opened(Settings::default());
        bench.always("AT+CPIN?", answer);
        bench.run(secs(600));
        assert!(!bench.driver.facts().up);
        let trouble = bench.driver.facts().trouble.clone().unwrap();
        assert!(trouble.contains(words), "{answer}: {trouble}");
        assert!(!bench.log.iter().any(|line| line.starts_with("AT+CPIN=")));
        let asked = bench.count("AT+CPIN?");
        assert!((5..20).contains(&asked), "{answer}: asked {asked} times in ten minutes");
        // Somebody puts a good SIM in: at most one pause later the link is up.
        bench.always("AT+CPIN?", "+CPIN: READY|OK");
        bench.run(secs(130));
        assert!(bench.driver.facts().up, "{answer}");
    }
}

#[test]
fn a_sim_that_is_busy_at_first_costs_only_seconds() {
    let mut bench = Bench::opened(Settings::default());
    bench.once("AT+CPIN?", "+CME ERROR: 14");
    bench.once("AT+CPIN?", "+CPIN: NOT READY|OK");
    bench.run(secs(8));
    assert!(bench.driver.facts().up);
}

#[test]
fn the_urc_of_a_sim_that_came_up_ends_the_pause() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("AT+CPIN?", "+CPIN: NOT READY|OK");
    bench.run(secs(300));
    bench.always("AT+CPIN?", "+CPIN: READY|OK");
    bench.say("+CPIN: READY");
    bench.run(secs(3));
    assert!(bench.driver.facts().up);
}

#[test]
fn minimum_functionality_is_left_before_the_sim_is_asked() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("AT+CFUN?", "+CFUN: 0|OK");
    bench.run(secs(5));
    bench.assert_order(&["AT+CFUN?", "AT+CFUN=4", "AT+CPIN?", "AT+CEREG=4", "AT+CFUN=1", "AT+CEREG?"]);
    assert!(bench.driver.facts().up);
}

#[test]
fn a_modem_that_knows_fewer_registration_reports_gets_fewer() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("AT+CEREG=4", "+CME ERROR: 50");
    bench.always("AT+CEREG=2", "OK");
    bench.run(secs(5));
    assert!(bench.driver.facts().up);
    bench.assert_order(&["AT+CEREG=4", "AT+CEREG=2", "AT+CEREG?"]);
}

#[test]
fn attach_is_told_by_the_urc() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("AT+CEREG?", "+CEREG: 4,2|OK");
    bench.run(secs(5));
    assert_eq!(bench.driver.facts().state, "attaching to the network");
    assert_eq!(bench.driver.facts().registration, NetworkRegistration::Searching);
    bench.always("AT+CEREG?", "+CEREG: 4,1|OK");
    bench.say("+CEREG: 1,\"69C9\",\"DDA1451\",9,,,\"00000001\",\"00100001\"");
    bench.run(secs(2));
    assert!(bench.driver.facts().up);
    assert_eq!(bench.driver.facts().registration, NetworkRegistration::Home);
}

#[test]
fn the_urc_that_overtakes_the_answer_does_not_lend_it_to_the_next_step() {
    let mut bench = Bench::opened(Settings::default());
    bench.once("AT+CEREG?", "+CEREG: 5,\"69C9\",\"DDA1451\",9|~+CEREG: 4,5|OK");
    bench.run(secs(6));
    assert!(bench.driver.facts().up);
    assert_eq!((bench.count("AT+QIACT=1"), bench.count("AT+QIACT?")), (0, 2));
}

#[test]
fn a_context_dropped_while_the_socket_opens_is_not_sat_out() {
    let mut bench = Bench::opened(Settings::default());
    let open = "AT+QIOPEN=1,0,\"UDP SERVICE\",\"127.0.0.1\",0,56830,0";
    bench.once(open, "OK|~+QIURC: \"pdpdeact\",1");
    bench.run(secs(8));
    assert!(bench.driver.facts().up, "{:#?}", bench.log);
    bench.assert_order(&[open, "AT+QIDEACT=1", "AT+QIACT=1", "AT+QIACT?", open]);
}

#[test]
fn attach_that_takes_a_quarter_of_an_hour_is_waited_for() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("AT+CEREG?", "+CEREG: 4,2|OK");
    bench.run(secs(800));
    let trouble = bench.driver.facts().trouble.clone().unwrap();
    assert!(trouble.contains("no network found yet within 180 s"), "{trouble}");
    assert_eq!(bench.count("AT+CFUN?"), 1, "the search is not disturbed");
    bench.always("AT+CEREG?", "+CEREG: 4,1|OK");
    bench.run(secs(15));
    assert!(bench.driver.facts().up);
}

#[test]
fn denied_registration_is_said_so() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("AT+CEREG?", "+CEREG: 4,3|OK");
    bench.run(secs(5));
    assert_eq!(bench.driver.facts().state, "the network denies registration");
    bench.run(secs(180));
    let trouble = bench.driver.facts().trouble.clone().unwrap();
    assert!(trouble.contains("denied"), "{trouble}");
}

#[test]
fn a_context_is_activated_only_when_there_is_none() {
    let mut bench = Bench::opened(Settings::default());
    bench.once("AT+QIACT?", "OK");
    bench.always("AT+QIACT=1", "~~~~~~~~~~~~OK");
    bench.run(secs(20));
    assert!(bench.driver.facts().up);
    bench.assert_order(&["AT+QIACT?", "AT+QIACT=1", "AT+QIACT?", "AT+QISDE=0"]);
    assert_eq!(bench.count("AT+QIDEACT=1"), 0);
}

#[test]
fn a_refused_activation_is_explained_deactivated_and_tried_again() {
    let mut bench = Bench::opened(Settings::default());
    bench.once("AT+QIACT?", "OK");
    bench.once("AT+QIACT=1", "ERROR");
    bench.always("AT+QIGETERROR", "+QIGETERROR: 573,no APN|OK");
    bench.run(secs(1));
    bench.run(secs(2));
    assert_eq!(bench.driver.facts().trouble.as_deref(), None, "passed by now");
    bench.assert_order(&["AT+QIACT=1", "AT+QIGETERROR", "AT+QIDEACT=1", "AT+QIACT=1", "AT+QIACT?"]);
    assert!(bench.driver.facts().up);
}

#[test]
fn an_activation_that_always_fails_is_tried_ever_more_seldom() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("AT+QIACT?", "OK");
    bench.always("AT+QIACT=1", "+CME ERROR: 30");
    bench.run(secs(3600));
    let tried = bench.count("AT+QIACT=1");
    assert!((30..60).contains(&tried), "{tried} times in an hour");
    let trouble = bench.driver.facts().trouble.clone().unwrap();
    assert!(!trouble.is_empty());
}

#[test]
fn an_activation_that_claims_success_and_shows_none_does_not_spin() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("AT+QIACT?", "OK");
    bench.run(secs(600));
    assert!(bench.count("AT+QIACT=1") < 20, "{}", bench.count("AT+QIACT=1"));
}

#[test]
fn an_activation_without_an_answer_starts_over() {
    let mut bench = Bench::opened(Settings::default());
    bench.once("AT+QIACT?", "OK");
    bench.once("AT+QIACT=1", "-");
    bench.run(secs(149));
    assert_eq!(bench.count("ATE0"), 1);
    bench.run(secs(12));
    assert_eq!(bench.count("ATE0"), 2);
    assert!(bench.driver.facts().up);
}

#[test]
fn a_socket_left_over_is_closed_and_opened_anew() {
    let mut bench = Bench::opened(Settings::default());
    let open = "AT+QIOPEN=1,0,\"UDP SERVICE\",\"127.0.0.1\",0,56830,0";
    bench.once(open, "OK||+QIOPEN: 0,563");
    bench.run(secs(4));
    assert!(bench.driver.facts().up);
    bench.assert_order(&[open, "AT+QICLOSE=0", open]);
}

#[test]
fn the_result_of_an_open_may_overtake_its_ok() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("AT+QIOPEN=1,0,\"UDP SERVICE\",\"127.0.0.1\",0,56830,0", "+QIOPEN: 0,0|OK");
    bench.run(secs(4));
    assert!(bench.driver.facts().up);
}

#[test]
fn an_open_that_is_never_told_is_found_by_asking() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("AT+QIOPEN=1,0,\"UDP SERVICE\",\"127.0.0.1\",0,56830,0", "OK");
    bench.run(secs(15));
    assert!(bench.driver.facts().up, "{:#?}", bench.log);
}

#[test]
fn urcs_that_go_to_another_port_are_brought_here() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("AT+QIOPEN=1,0,\"UDP SERVICE\",\"127.0.0.1\",0,56830,0", "OK");
    let state = "+QISTATE: 0,\"UDP SERVICE\",\"127.0.0.1\",0,56830,2,1,0,0,\"uart1\"||OK";
    bench.always("AT+QISTATE=1,0", state);
    bench.always("AT+QURCCFG=\"urcport\",\"uart1\"", "OK");
    bench.run(secs(15));
    assert!(bench.driver.facts().up, "{:#?}", bench.log);
    assert_eq!(bench.count("AT+QURCCFG=\"urcport\",\"uart1\""), 1);

    // Refused, it is passed over.
    bench.always("AT+QURCCFG=\"urcport\",\"uart1\"", "ERROR");
    bench.say("RDY");
    bench.run(secs(20));
    assert!(bench.driver.facts().up, "{:#?}", bench.log);
    assert_eq!(bench.count("AT+QURCCFG=\"urcport\",\"uart1\""), 2);
}

#[test]
fn an_open_that_never_ends_is_closed_and_tried_again() {
    let mut bench = Bench::opened(Settings::default());
    let open = "AT+QIOPEN=1,0,\"UDP SERVICE\",\"127.0.0.1\",0,56830,0";
    bench.once(open, "OK");
    bench.always("AT+QISTATE=1,0", "OK");
    bench.run(secs(160));
    bench.assert_order(&[open, "AT+QISTATE=1,0", "AT+QICLOSE=0", open]);
    assert!(bench.driver.facts().up);
}

#[test]
fn an_open_without_a_context_goes_back_to_the_context() {
    let mut bench = Bench::opened(Settings::default());
    let open = "AT+QIOPEN=1,0,\"UDP SERVICE\",\"127.0.0.1\",0,56830,0";
    bench.once(open, "OK||+QIOPEN: 0,561");
    bench.run(secs(6));
    bench.assert_order(&[open, "AT+QIDEACT=1", "AT+QIACT=1", "AT+QIACT?", open]);
    assert!(bench.driver.facts().up);
}

#[test]
fn a_restart_amid_bring_up_begins_again_from_the_first_step() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("AT+CEREG?", "+CEREG: 4,2|OK");
    bench.run(secs(5));
    bench.say("APP RDY|RDY|+CFUN: 1|+CPIN: READY|+QUSIM: 1|+QIND: SMS DONE");
    bench.always("AT+CEREG?", "+CEREG: 4,1|OK");
    bench.run(secs(6));
    assert_eq!(bench.count("ATE0"), 2);
    assert!(bench.driver.facts().up);
}

#[test]
fn echo_and_boot_lines_among_the_answers_do_no_harm() {
    let mut bench = Bench::opened(Settings::default());
    bench.always("ATE0", "ATE0|OK");
    bench.always("AT", "AT|OK");
    bench.always("AT+CGMI", "+QIND: SMS DONE|Quectel|+CPIN: READY|OK");
    bench.always("AT+CGMR", "Revision: BG96MAR02A07M1G|OK");
    bench.run(secs(4));
    assert!(bench.driver.facts().up);
    assert_eq!(bench.driver.facts().identity.manufacturer.as_deref(), Some("Quectel"));
    assert_eq!(bench.driver.facts().identity.firmware.as_deref(), Some("BG96MAR02A07M1G"));
}

#[test]
fn a_lost_port_ends_everything_and_an_opened_one_begins_it() {
    let mut bench = Bench::online();
    let reason = "unplugged".to_owned();
    bench.driver.handle_port(PortEvent::Lost { reason: reason.clone() }, bench.now);
    bench.run(secs(1));
    assert_eq!(bench.take_events(), [LinkEvent::Down { reason }]);
    assert_eq!(bench.driver.facts().state, "no serial port");
    assert_eq!(bench.driver.poll_timeout(), None);
    bench.open();
    bench.run(secs(5));
    assert_eq!(bench.take_events(), [LinkEvent::Up { address_changed: false }]);
}
