//! Faults of mappings, each with its key.

use super::*;

/// The mapping that this TOML table is.
fn settings(toml: &str) -> Settings {
    use figment::providers::{Format, Toml};
    figment::Figment::from(Toml::string(toml)).extract().unwrap()
}

fn faults(tables: &[&str]) -> Vec<Fault> {
    let settings: Vec<_> = tables.iter().map(|table| settings(table)).collect();
    compile(&settings, &Model::builtin()).err().unwrap_or_default()
}

/// The only fault of this table: its key and problem.
fn fault(table: &str) -> (String, String) {
    let mut faults = faults(&[table]);
    assert_eq!(faults.len(), 1, "{table}: {faults:#?}");
    let fault = faults.remove(0);
    assert!(!fault.fix.is_empty());
    (fault.key, fault.problem)
}

const TEMPERATURE: &str = r#"topic = "sensors/{room}/temperature"
    value = "/t"
    object = 3303
    resource = 5700
    instance = "{room}""#;
const LAMP: &str = r#"topic = "lamps/{lamp}/order"
    value = "/dim"
    object = 3416
    resource = 1
    instance = "{lamp}"
    command = { topic = "lamps/{lamp}/set", payload = '{"dim": {value}}' }"#;

#[test]
fn mappings_without_a_fault_compile() {
    let reset = r#"object = 3416
        resource = 16
        instance = "{lamp}"
        command = { topic = "lamps/{lamp}/reset" }"#;
    let parking = r#"topic = "parking/z3/pk-0412"
        object = 3431
        resources = [{ resource = 1, value = "/occ" }, { resource = 4, value = "/bad", invert = true }]"#;
    let all = [TEMPERATURE, LAMP, reset, parking].map(settings);
    let mappings = compile(&all, &Model::builtin()).unwrap();
    assert_eq!(mappings.mappings.len(), 4);
    let access: Vec<_> = mappings.access().collect();
    assert_eq!(access.len(), 2);
    assert!(access[0].writable && !access[0].executable && access[0].resource == 1);
    assert!(!access[1].writable && access[1].executable && access[1].resource == 16);
}

#[test]
fn every_fault_is_told_with_its_key() {
    let faults = faults(&[
        TEMPERATURE,
        r##"topic = "sensors/#/x"
        value = "t..x"
        object = 3303
        resource = 5701
        invert = true
        instance = 0"##,
        r#"topic = "a"
        object = 64999
        resource = 1"#,
        r#"topic = "a/{b}"
        object = 3303
        resources = [{ resource = 5700, value = "/~" }, { resource = 99 }]
        instance = "{c}""#,
    ]);
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "mappings[1].topic",
            "mappings[1].invert",
            "mappings[1].value",
            "mappings[2].object",
            "mappings[3].instance",
            "mappings[3].resources[0].value",
            "mappings[3].resources[1].resource",
        ]
    );
}

#[test]
fn a_fault_reads_as_key_problem_and_fix() {
    let faults = faults(&[&TEMPERATURE.replace("5700", "5")]);
    insta::assert_snapshot!(faults[0].to_string(), @"mappings[0].resource: object 3303 Temperature has no resource 5; take one of its resources: 5700 Sensor Value, 5518 Timestamp, 5601 Min Measured Value, 5602 Max Measured Value, 5603 Min Range Value, 5604 Max Range Value, …");
}

#[test]
fn a_read_only_resource_takes_no_command() {
    let (key, problem) = fault(&LAMP.replace("resource = 1", "resource = 3"));
    assert_eq!(key, "mappings[0].command");
    assert!(problem.contains("3 Dimming level is read-only"), "{problem}");
}

#[test]
fn captures_must_exist_and_a_write_must_tell_them() {
    assert_eq!(fault(&TEMPERATURE.replace("= \"{room}\"", "= \"{rom}\"")).0, "mappings[0].instance");
    assert_eq!(fault(&TEMPERATURE.replace("= \"{room}\"", "= \"room\"")).0, "mappings[0].instance");
    assert_eq!(fault(&LAMP.replace("{lamp}/set", "{lump}/set")).0, "mappings[0].command.topic");
    assert_eq!(fault(&LAMP.replace("{value}", "{valu}")).0, "mappings[0].command.payload");
    let other_site = LAMP.replace("lamps/{lamp}", "{site}/{lamp}");
    assert_eq!(fault(&other_site).0, "mappings[0].command.topic");
    assert!(faults(&[&other_site.replace("= \"{lamp}\"", "= \"{site}/{lamp}\"")]).is_empty());
}

#[test]
fn placeholders_for_arguments_are_for_what_is_executed() {
    let reset = r#"object = 3416
        resource = 16
        instance = "{lamp}"
        command = { topic = "lamps/{lamp}/reset", payload = '{"all": "{args}", "first": {arg0}}' }"#;
    assert!(faults(&[reset]).is_empty());
    assert_eq!(fault(&reset.replace("arg0", "arg10")).0, "mappings[0].command.payload");
    let written = fault(&LAMP.replace("{value}", "{arg0}"));
    assert!(written.1.contains("for what is executed"), "{}", written.1);
}

#[test]
fn every_part_of_a_reply_is_checked() {
    let with = |reply: &str| {
        LAMP.replace(" }'\n", "").replace("{value}}' }", &format!("{{value}}}}', reply = {reply} }}"))
    };
    let good = r#"{ topic = "stat/{lamp}/RESULT", value = "/dim", success = ["{value}", 30, true], within = "10s" }"#;
    assert_eq!(faults(&[&with(good)]), []);
    for (from, to, key) in [
        ("{lamp}/RESULT", "{lump}/RESULT", "topic"),
        ("{lamp}/RESULT", "+/RESULT", "topic"),
        ("{lamp}/RESULT", "lamp-{lamp}", "topic"),
        ("stat/{lamp}/RESULT", "lamps/{lamp}/set", "topic"),
        ("/dim", "/~", "value"),
        ("{value}", "{valu}", "success"),
        ("10s", "10m", "within"),
    ] {
        let (found, _) = fault(&with(&good.replace(from, to)));
        assert_eq!(found, format!("mappings[0].command.reply.{key}"), "{to}");
    }
}

#[test]
fn many_topics_need_an_instance_and_one_topic_has_instance_0() {
    let without = TEMPERATURE.replace("instance = \"{room}\"", "");
    assert_eq!(fault(&without).0, "mappings[0].instance");
    assert!(faults(&[&without.replace("{room}", "cellar")]).is_empty());
    assert!(faults(&[&format!("{without}\ninstance = 0")]).is_empty());
    assert_eq!(fault(&format!("{without}\ninstance = 65535")).0, "mappings[0].instance");
    assert_eq!(fault(&format!("{without}\ninstance = -1")).0, "mappings[0].instance");
}

#[test]
fn bounds_of_instances_are_for_captures_and_in_bounds() {
    let with = |keys: &str| format!("{TEMPERATURE}\n{keys}");
    assert!(faults(&[&with("max_instances = 16384\nforget_after = \"30days\"")]).is_empty());
    for bad in ["max_instances = 0", "max_instances = 16385"] {
        assert_eq!(fault(&with(bad)).0, "mappings[0].max_instances");
    }
    assert_eq!(fault(&with("forget_after = \"23h\"")).0, "mappings[0].forget_after");
    let one = "topic = \"a\"\nobject = 3303\nresource = 5700\nforget_after = \"2days\"";
    assert_eq!(fault(one).0, "mappings[0].forget_after");
}

#[test]
fn an_object_with_one_instance_takes_no_other() {
    let location = "topic = \"gps/{car}\"\nvalue = \"/lat\"\nobject = 6\nresource = 0";
    assert!(faults(&[location]).is_empty());
    for instance in ["\"{car}\"", "1"] {
        assert_eq!(fault(&format!("{location}\ninstance = {instance}")).0, "mappings[0].instance");
    }
}

#[test]
fn the_gateways_own_objects_are_not_for_mapping() {
    for object in ["3", "7", "21"] {
        assert!(fault(&TEMPERATURE.replace("3303", object)).1.contains("the gateway itself"));
    }
}

#[test]
fn resources_that_no_message_can_feed_are_faults() {
    // Multiple, executable without a command, fed by nothing.
    assert_eq!(fault(&LAMP.replace("resource = 1", "resource = 13")).0, "mappings[0].resource");
    assert_eq!(fault("topic = \"a\"\nobject = 3416\nresource = 16").0, "mappings[0].resource");
    assert_eq!(fault("object = 3416\nresource = 3").0, "mappings[0].resource");
    assert_eq!(fault(&LAMP.replace("resource = 1", "resource = 16")).0, "mappings[0].value");
}

#[test]
fn short_form_and_list_do_not_mix() {
    assert_eq!(
        fault(&format!("{TEMPERATURE}\nresources = [{{ resource = 5701 }}]")).0,
        "mappings[0].resources"
    );
    let list = "topic = \"a\"\nobject = 3303\nvalue = \"/t\"\nresources = [{ resource = 5700 }]";
    assert_eq!(fault(list).0, "mappings[0].value");
    assert_eq!(fault("topic = \"a\"\nobject = 3303").0, "mappings[0].resource");
}

#[test]
fn two_commands_for_one_resource_are_a_fault() {
    let faults = faults(&[LAMP, &LAMP.replace("order", "other")]);
    assert_eq!(faults.iter().map(|fault| fault.key.as_str()).collect::<Vec<_>>(), ["mappings[1].command"]);
}

#[test]
fn unknown_keys_are_refused() {
    use figment::providers::{Format, Toml};
    let typo = TEMPERATURE.replace("value", "valeu");
    let error = figment::Figment::from(Toml::string(&typo)).extract::<Settings>().unwrap_err();
    assert!(error.to_string().contains("valeu"), "{error}");
}
