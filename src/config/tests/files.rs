//! Files, those of `conf.d` and the environment, laid over each other; and what is told about them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::super::{Layers, read};
use super::*;

/// A folder with a configuration and files beside it in `conf.d`.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(main: &str, others: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::write(folder.main(), main).unwrap();
        fs::create_dir(folder.0.path().join(DROP_IN_FOLDER)).unwrap();
        for (name, text) in others {
            fs::write(folder.0.path().join(DROP_IN_FOLDER).join(name), text).unwrap();
        }
        folder
    }

    fn main(&self) -> PathBuf {
        self.0.path().join("nbgate.toml")
    }

    fn load(&self) -> Result<Config, Faults> {
        load(&self.main(), Host::default())
    }

    /// The faults, with names in place of paths.
    fn told(&self) -> String {
        let told = self.load().expect_err("the configuration is faulty").to_string();
        told.replace(&format!("{}/", self.0.path().display()), "")
    }
}

const MAIN: &str = "uplink = \"udp\"\n\n[lwm2m]\nendpoint = \"a\"\nheld_objects = [16]\n\n[[lwm2m.servers]]\nuri = \"coap://a\"\n";
const MAPPING: &str = "[[mappings]]\ntopic = \"t/{x}\"\nobject = 3303\nresource = 5700\ninstance = \"{x}\"\n";

#[test]
fn files_beside_are_read_by_name_and_their_lists_are_appended() {
    let folder = Folder::new(
        MAIN,
        &[
            ("20-b.toml", "[lwm2m]\nendpoint = \"b\"\nheld_objects = [19]"),
            (
                "10-a.toml",
                "lwm2m.endpoint = \"c\"\n[[lwm2m.servers]]\nuri = \"coap://b\"\nshort_server_id = 2",
            ),
            (".hidden.toml", "no toml"),
            ("notes.txt", "no toml"),
        ],
    );
    let config = folder.load().unwrap();
    assert_eq!(config.gateway.endpoint, "b");
    assert_eq!(config.gateway.held_objects.into_iter().collect::<Vec<_>>(), [16, 19]);
    assert_eq!(config.gateway.servers.len(), 2);
    let names: Vec<_> = config.files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["nbgate.toml", "10-a.toml", "20-b.toml"]);
}

#[test]
fn every_fault_of_every_file_is_told_with_its_line_and_remedy() {
    let folder = Folder::new(
        &format!("{MAIN}lifetime = \"1s\"\nshort_server_id = \"1\"\n[mqtt]\nulr = \"mqtt://h\"\n\n{MAPPING}"),
        &[
            (
                "10-meters.toml",
                &format!("{}{}", MAPPING.replace("3303", "64999"), MAPPING.replace("5700", "1")),
            ),
            ("20-broken.toml", "[[mappings]]\ntopic = t"),
            ("30-lamps.toml", &format!("{MAPPING}\n{}", MAPPING.replace("= \"{x}\"", "= \"{y}\""))),
        ],
    );
    insta::assert_snapshot!(folder.told());
}

#[test]
fn what_follows_from_a_fault_is_not_told_again() {
    let text = format!("{MAIN}{}", MAPPING.replace("object", "objct"));
    assert_eq!(problems(&text), ["mappings[0].objct: there is no key \"objct\" in mappings[0]"]);
    let text = format!("{MAIN}{}", MAPPING.replace("instance", "instnce"));
    assert_eq!(problems(&text), ["mappings[0].instnce: there is no key \"instnce\" in mappings[0]"]);
    // What stands by itself is.
    let text = format!("{MAIN}{}", MAPPING.replace("3303", "\"3303\"").replace("t/{x}", "t/#/x"));
    assert_eq!(problems(&text).len(), 2);
    let text = MAIN.replace("uri", "url");
    assert_eq!(problems(&text), ["lwm2m.servers[0].url: there is no key \"url\" in lwm2m.servers[0]"]);
}

#[test]
fn what_lacks_while_a_file_cannot_be_read_may_stand_there() {
    let folder =
        Folder::new("uplink = \"udp\"\nlwm2m.endpoint = \"a\"", &[("10.toml", "[[lwm2m.servers]\n")]);
    let told = folder.told();
    assert!(told.starts_with("1 fault in the configuration:\n  conf.d/10.toml:1: "), "{told}");
}

#[test]
fn a_file_that_is_no_text_is_told_and_ends_nothing() {
    let folder = Folder::new(MAIN, &[]);
    fs::write(folder.0.path().join("conf.d/a.toml"), b"a = 1\n\xff").unwrap();
    fs::create_dir(folder.0.path().join("conf.d/b.toml")).unwrap();
    let told = folder.told();
    assert!(told.contains("conf.d/a.toml: line 2 is not UTF-8"), "{told}");
    assert!(told.contains("conf.d/b.toml: cannot be read"), "{told}");
}

#[test]
fn a_pipe_among_the_files_is_a_fault_and_nobody_waits_for_it() {
    let folder = Folder::new("uplink = \"udp\"", &[]);
    let pipe = folder.0.path().join("conf.d/a.toml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let told = folder.told();
    assert!(told.contains("conf.d/a.toml: is a pipe"), "{told}");
}

#[test]
fn a_password_is_not_for_everybody_to_read() {
    let url = "[mqtt]\nurl = \"mqtt://me:secret@h\"\n";
    let folder = Folder::new(MAIN, &[("mqtt.toml", url)]);
    let file = folder.0.path().join("conf.d/mqtt.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let told = folder.told();
    assert!(told.contains("conf.d/mqtt.toml:2: mqtt.url: holds a password"), "{told}");
    assert!(told.contains("chmod 640") && !told.contains("secret"), "{told}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    folder.load().unwrap();
}

fn with_variables(text: &str, variables: &[(&str, &str)]) -> Layers {
    let mut layers = Layers::of_text(text);
    layers.add_environment(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    layers
}

fn judged(layers: Layers) -> Result<Config, Faults> {
    judge(layers, &Folders::default(), Host::default())
}

#[test]
fn variables_win_and_are_named_in_faults() {
    let variables = [("NBGATE_LWM2M__HELD_OBJECTS", "[19]"), ("STATE_DIRECTORY", "/a:/b")];
    let config = judged(with_variables(MAIN, &variables)).unwrap();
    assert_eq!(config.gateway.held_objects.into_iter().collect::<Vec<_>>(), [19]);
    assert_eq!(config.state_dir, Path::new("/a"));
    let faults =
        judged(with_variables(MAIN, &[("NBGATE_MODEM__BAUD", "fast"), ("NBGATE_MODM", "x")])).unwrap_err();
    let told = faults.to_string();
    assert!(told.contains("NBGATE_MODEM__BAUD: modem.baud: \"fast\" is not a whole number"), "{told}");
    assert!(told.contains("NBGATE_MODM: modm: there is no such key\n    fix: write NBGATE_MODEM"), "{told}");
}

#[test]
fn what_is_shown_has_its_origin_and_no_password() {
    let folder = Folder::new(MAIN, &[("a.toml", "[mqtt]\nurl = \"mqtt://me:secret@h\"\n")]);
    let written = read(&folder.main());
    let entry =
        |effective: bool, key: &str| written.entries(effective).into_iter().find(|entry| entry.key == key);
    let endpoint = entry(false, "lwm2m.endpoint").unwrap();
    assert!(endpoint.origin.to_string().ends_with("nbgate.toml:4"), "{}", endpoint.origin);
    assert_eq!(entry(false, "mqtt.url").unwrap().value.unwrap(), "\"mqtt://me:***@h\"");
    assert_eq!(entry(false, "lwm2m.nat_idle"), None);
    let idle = entry(true, "lwm2m.nat_idle").unwrap();
    assert_eq!((idle.value.as_deref(), idle.origin), (Some("\"2m\""), Origin::Default));
    assert_eq!(entry(true, "modem.apn").unwrap().value, None);
}

#[test]
fn what_counts_of_a_mapping_is_shown_without_what_is_absent() {
    let folder = Folder::new(
        "[[mappings]]\ntopic = \"a\"\nobject = 3303\nresource = 5700\n[[mappings]]\ntopic = \"b\"\nobject = 3408\n\
         resources = [{ resource = 3, null = \"refuse\" }]\n",
        &[],
    );
    let shown = |effective| -> Vec<String> {
        let entries = read(&folder.main()).entries(effective).into_iter();
        let of_mappings = entries.filter(|entry| entry.key.starts_with("mappings"));
        let line = |entry: Entry| format!("{} = {}", &entry.key[9..], entry.value.unwrap_or_default());
        of_mappings.map(line).filter(|line| !line.contains("topic") && !line.contains("object")).collect()
    };
    assert_eq!(
        shown(false),
        ["0].resource = 5700", "1].resources[0].resource = 3", "1].resources[0].null = \"refuse\""]
    );
    assert_eq!(
        shown(true),
        [
            "0].resource = 5700",
            "0].invert = false",
            "0].null = \"skip\"",
            "0].retained = \"take\"",
            "0].max_instances = 256",
            "1].resources[0].resource = 3",
            "1].resources[0].invert = false",
            "1].resources[0].null = \"refuse\"",
            "1].retained = \"take\"",
            "1].max_instances = 256",
        ]
    );
}

#[test]
fn an_endpoint_does_not_break_the_query_of_a_register() {
    for endpoint in ["a&b", "a=b", "a b", "a\\tb", "a#b"] {
        let found = problems(&MAIN.replace("\"a\"", &format!("\"{endpoint}\"")));
        assert!(found.len() == 1 && found[0].starts_with("lwm2m.endpoint: holds '"), "{found:?}");
    }
    parse(&MAIN.replace("\"a\"", "\"862000;26201\""), Host::default()).unwrap();
}

#[test]
fn an_object_is_held_once() {
    let found = problems(&MAIN.replace("[16]", "[16, 19, 16]"));
    assert_eq!(found, ["lwm2m.held_objects[2]: object 16 is named already"]);
}
