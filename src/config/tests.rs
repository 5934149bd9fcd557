//! Configurations as a user would write them: what they become, and what is said about their faults.

use std::io::Write as _;

use super::*;

mod agreement;
mod files;
mod mutation;
mod reference;

fn load_text(text: &str) -> Result<Config, Faults> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    load(file.path(), Host { hostname: Some("gw".into()), ..Host::default() })
}

fn problems(text: &str) -> Vec<String> {
    let faults = load_text(text).expect_err("the configuration is faulty").faults;
    faults.into_iter().map(|fault| format!("{}: {}", fault.key, fault.problem)).collect()
}

const SERVER: &str = "[[lwm2m.servers]]\nuri = \"coap://127.0.0.1:5683\"\n";
const OTHER_SERVER: &str = "[[lwm2m.servers]]\nuri = \"coap://127.0.0.1:5693\"\n";

#[test]
fn an_unknown_key_is_refused_by_name() {
    let found = problems(&format!("uplinc = \"udp\"\n{SERVER}"));
    // Without a port of its own this one would have another fault, were it not for the first.
    assert_eq!(found[0], "modem.port: is missing: with uplink = \"modem\" there must be a serial port");
    assert_eq!(found[1], "uplinc: there is no key \"uplinc\" outside of all tables");
}

#[test]
fn all_faults_of_the_values_are_told_at_once() {
    let text = format!(
        "uplink = \"udp\"\n[lwm2m]\nendpoint = \"urn:imei:{{imei}}\"\n[mqtt]\nurl = \"http://x\"\n{SERVER}short_server_id = 0\n"
    );
    let found = problems(&text).join("\n");
    for expected in ["lwm2m.endpoint", "mqtt.url", "lwm2m.servers[0].short_server_id"] {
        assert!(found.contains(expected), "{expected} in {found}");
    }
}

#[test]
fn a_value_of_another_kind_is_told_in_words_of_the_file() {
    let of = |lwm2m: &str, rest: &str| problems(&without_modem(lwm2m, rest)).join("; ");
    assert_eq!(of("version = 1.0", ""), "lwm2m.version: 1.0 is not text in quotes");
    assert_eq!(of("version = \"2\"", ""), "lwm2m.version: \"2\" is not known here");
    assert_eq!(of("nat_idle = 5", ""), "lwm2m.nat_idle: 5 is not a duration in quotes");
    assert_eq!(of("held_objects = 16", ""), "lwm2m.held_objects: 16 is not a list in [ ]");
    let found = of("held_objects = [99999]", "");
    assert_eq!(found, "lwm2m.held_objects[0]: 99999 is out of range");
    let found = of("lwm2m_parameter = \"no\"", "");
    assert_eq!(found, "lwm2m.lwm2m_parameter: \"no\" is not true or false (without quotes)");
    let found = of("", "[location]\nlatitude = \"x\"\nlongitude = 1");
    assert_eq!(found, "location.latitude: \"x\" is not a number (without quotes)");
    assert_eq!(of("", "[location]\nlatitude = 1"), "location.longitude: is missing");
    let found = of("nat_idel = \"2m\"", "");
    assert_eq!(found, "lwm2m.nat_idel: there is no key \"nat_idel\" in lwm2m");
}

#[test]
fn two_placeholders_without_a_source_are_one_fault() {
    let text = format!("uplink = \"udp\"\n[lwm2m]\nendpoint = \"{{imei}};{{imsi}}\"\n{SERVER}");
    assert_eq!(problems(&text).len(), 1);
}

#[test]
fn times_that_nobody_means_are_refused() {
    let found = problems(&without_modem("start_jitter = \"99d\"\nnat_idle = \"1ms\"", ""));
    let expected = ["lwm2m.start_jitter: \"99d\" is out of range", "lwm2m.nat_idle: \"1ms\" is out of range"];
    assert_eq!(found, expected);
}

#[test]
fn a_modem_needs_a_port_and_a_gateway_needs_a_server() {
    let found = problems("").join("\n");
    assert!(found.contains("modem.port") && found.contains("lwm2m.servers"), "{found}");
}

#[test]
fn a_missing_file_is_a_fault_and_not_an_empty_configuration() {
    let faults = load(Path::new("/nonexistent/nbgate.toml"), Host::default()).unwrap_err();
    assert!(faults.to_string().contains("cannot be read"), "{faults}");
}

#[test]
fn a_parameter_of_its_own_overrides_the_profile() {
    let text =
        format!("uplink = \"udp\"\n[lwm2m]\nendpoint = \"a\"\n[lwm2m.coap]\nack_timeout = \"3s\"\n{SERVER}");
    assert_eq!(load_text(&text).unwrap().gateway.coap.ack_timeout(), Duration::from_secs(3));
}

#[test]
fn servers_count_their_instances_from_0_and_their_security_instances_from_1() {
    let text =
        format!("uplink = \"udp\"\nlwm2m.endpoint = \"a\"\n{SERVER}{OTHER_SERVER}short_server_id = 2\n");
    let servers = load_text(&text).unwrap().gateway.servers;
    assert_eq!(
        servers.iter().map(|s| (s.instance, s.security_instance)).collect::<Vec<_>>(),
        [(0, 1), (1, 2)]
    );
}

#[test]
fn two_servers_have_two_addresses() {
    let found = problems(&without_modem("", &format!("{SERVER}short_server_id = 2")));
    assert_eq!(found, ["lwm2m.servers[1].uri: names the same host and port as an earlier one"]);
}

#[test]
fn the_reserved_identifier_is_no_instance() {
    let text = format!(
        "uplink = \"udp\"\nlwm2m.endpoint = \"a\"\n{SERVER}instance = 65535\nsecurity_instance = 65535\n"
    );
    let found = problems(&text);
    assert_eq!(
        found,
        [
            "lwm2m.servers[0].instance: 65535 is out of range",
            "lwm2m.servers[0].security_instance: 65535 is out of range"
        ]
    );
}

/// A configuration without a modem, with these lines in `[lwm2m]` and these after the server.
fn without_modem(lwm2m: &str, rest: &str) -> String {
    format!("uplink = \"udp\"\n[lwm2m]\nendpoint = \"a\"\n{lwm2m}\n{SERVER}{rest}\n")
}

#[test]
fn jitter_and_nat_follow_the_profile_unless_they_are_given() {
    let of = |lwm2m: &str, rest: &str| {
        let gateway = load_text(&without_modem(lwm2m, rest)).unwrap().gateway;
        (gateway.start_jitter.as_secs(), gateway.nat_idle.map(|idle| idle.as_secs()))
    };
    assert_eq!(of("", ""), (60, Some(120)));
    assert_eq!(of("", "[lwm2m.coap]\nprofile = \"lan\""), (0, None));
    assert_eq!(of("start_jitter = \"0s\"\nnat_idle = \"0s\"", ""), (0, None));
    let given = "start_jitter = \"5s\"\nnat_idle = \"1m\"";
    assert_eq!(of(given, "[lwm2m.coap]\nprofile = \"lan\""), (5, Some(60)));
}

#[test]
fn only_lwm2m_1_0_can_do_without_its_parameter() {
    let text = without_modem("version = \"1.0\"\nlwm2m_parameter = false", "");
    assert!(!load_text(&text).unwrap().gateway.lwm2m_parameter);
    let found = problems(&without_modem("lwm2m_parameter = false", ""));
    assert_eq!(found, ["lwm2m.lwm2m_parameter: is false, but only LwM2M 1.0 can do without"]);
}

#[test]
fn held_objects_are_in_the_registry_and_nobody_elses() {
    let held = load_text(&without_modem("held_objects = [16, 19]", "")).unwrap().gateway.held_objects;
    assert_eq!(held.into_iter().collect::<Vec<_>>(), [16, 19]);
    let mapping = "[[mappings]]\ntopic = \"t\"\nobject = 3303\nresource = 5700";
    let found = problems(&without_modem("held_objects = [3303, 3, 0, 21, 65000, 5]", mapping));
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(found[0].contains("object 3303 is fed by a mapping"), "{found:?}");
    assert!(found[4].contains("object 65000 is not in the registry"), "{found:?}");
}

#[test]
fn a_location_is_on_earth() {
    let text = without_modem("", "[location]\nlatitude = 52.5\nlongitude = -13.25");
    let location = load_text(&text).unwrap().gateway.location.unwrap();
    assert_eq!((location.latitude, location.longitude, location.altitude), (52.5, -13.25, None));
    let found = problems(&without_modem("", "[location]\nlatitude = 91\nlongitude = nan"));
    assert_eq!(found.len(), 2, "{found:?}");
    let found = problems(&without_modem("", "[location]\nlatitude = 91.0"));
    assert!(found[0].contains("longitude"), "{found:?}");
    let found = problems(&without_modem("held_objects = [6]", "[location]\nlatitude = 1.0\nlongitude = 2.0"));
    assert_eq!(found, ["location: stands beside held_objects with object 6, which would fill it too"]);
}
