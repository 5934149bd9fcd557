//! Every key of the configuration: the one place for names, ranges, defaults and what each is for.
//!
//! `docs/configuration.md` is made from it, `check` and `config show` go by it, and `file` has the same shape in types.

use std::time::Duration;

use super::keys::Default::{Absent, Below, Is, Own, OwnByProfile, Profile, Required};
use super::keys::{Key, Kind};

const fn key(name: &'static str, kind: Kind, default: super::keys::Default, doc: &'static str) -> Key {
    Key::new(name, kind, default, doc)
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const DAY: u64 = 86_400;
const ID: Kind = Kind::Integer(0, 65_534);
const ANY_NUMBER: Kind = Kind::Number(f64::NEG_INFINITY, f64::INFINITY);
const POSITIVE: Kind = Kind::Number(f64::MIN_POSITIVE, f64::INFINITY);

/// The whole configuration.
pub const ROOT: &[Key] = &[
    key(
        "uplink",
        Kind::Choice(&["modem", "udp"]),
        Is(r#""modem""#),
        "How datagrams leave: `modem` by AT commands on a serial port, `udp` by the kernel's sockets (Ethernet, tests).",
    ),
    key(
        "state_dir",
        Kind::File,
        Is(r#""/var/lib/nbgate""#),
        "Folder for what must outlast a restart; empty: nothing does. systemd's `$STATE_DIRECTORY` wins.",
    ),
    key(
        "runtime_dir",
        Kind::File,
        Is(r#""/run/nbgate""#),
        "Folder for the socket that `nbgate status` asks. systemd's `$RUNTIME_DIRECTORY` wins.",
    ),
    key("log", Kind::Table(LOG), Below, "What the service logs."),
    key("metrics", Kind::Table(METRICS), Below, "Figures for Prometheus."),
    key("modem", Kind::Table(MODEM), Below, "The modem and its port."),
    key("lwm2m", Kind::Table(LWM2M), Below, "The LwM2M client."),
    key(
        "location",
        Kind::Table(LOCATION),
        Absent("object 6 is left to a mapping, or to nobody"),
        "Where this gateway stands, shown as object 6.",
    ),
    key("mqtt", Kind::Table(MQTT), Below, "The broker."),
    key("bridge", Kind::Table(BRIDGE), Below, "Between topics and resources."),
    key(
        "mappings",
        Kind::Tables(MAPPING),
        Absent("nothing is bridged"),
        "From topics to resources and back. Those of all files count, in the order of the files.",
    ),
];

const LOG: &[Key] = &[
    key(
        "level",
        Kind::Choice(&["off", "error", "warn", "info", "debug", "trace"]),
        Is(r#""info""#),
        "From which level on; `--log` wins.",
    ),
    key(
        "format",
        Kind::Choice(&["text", "json"]),
        Is(r#""text""#),
        "One line of text or one JSON object for each event; `--log-format` wins.",
    ),
];

const METRICS: &[Key] = &[key(
    "listen",
    Kind::Address,
    Absent("nobody may ask"),
    "Loopback address and port where Prometheus may ask for `/metrics`, e.g. `\"127.0.0.1:9464\"`.",
)];

const MODEM: &[Key] = &[
    key(
        "port",
        Kind::File,
        Absent("a fault with `uplink = \"modem\"`"),
        "The AT port. Names under `/dev/serial/by-id/` survive re-plugging.",
    ),
    key(
        "baud",
        Kind::Integer(300, 4_000_000),
        Is("115200"),
        "Baud rate. USB modems ignore it; a UART behind an adapter does not.",
    ),
    key(
        "dialect",
        Kind::Text,
        Is(r#""auto""#),
        "Family of modems: `auto` asks the modem; `quectel-bg9x` is BG95, BG96, BG77, BG600L.",
    ),
    key("apn", Kind::Text, Absent("what the modem has stored stays"), "Access point name of the carrier."),
];

const LWM2M: &[Key] = &[
    key(
        "endpoint",
        Kind::Text,
        Is(r#""urn:imei:{imei}""#),
        "Name at the servers. Placeholders: `{imei}`, `{imsi}` (of the modem), `{hostname}`, `{machine_id}`.",
    ),
    key("version", Kind::Choice(&["1.0", "1.1"]), Is(r#""1.1""#), "Version of the LwM2M enabler."),
    key(
        "lwm2m_parameter",
        Kind::Flag,
        Is("true"),
        "A Register names the version (`lwm2m=1.0`). Only version 1.0 can do without: OneNET wants that.",
    ),
    key(
        "start_jitter",
        Kind::SpanOrZero(Duration::ZERO, seconds(3600)),
        Profile { nbiot: r#""1m""#, lan: r#""0s""# },
        "The first Register after the start waits up to this long, by chance, so that after a power cut the gateways of a \
         district do not come back in one second.",
    ),
    key(
        "nat_idle",
        Kind::SpanOrZero(seconds(1), seconds(30 * DAY)),
        Profile { nbiot: r#""2m""#, lan: r#""0s""# },
        "So long the carrier remembers our UDP mapping; before a notification after a longer silence goes an Update. `0s`: \
         it never forgets.",
    ),
    key(
        "held_objects",
        Kind::List(&Kind::Integer(0, 65_535)),
        Is("[]"),
        "Objects whose instances servers create, write and delete here. Their values live in memory: a restart forgets them.",
    ),
    key(
        "on_stop",
        Kind::Choice(&["deregister", "keep"]),
        Is(r#""deregister""#),
        "What becomes of the registrations when the service stops; `keep` suits a short restart.",
    ),
    key(
        "coap",
        Kind::Table(COAP),
        Below,
        "Transmission parameters (RFC 7252, section 4.8). A parameter that is given itself switches off the estimate of the \
         round trip, which may raise the time-out.",
    ),
    key("servers", Kind::Tables(SERVER), Absent("a fault"), "The servers: one block for each, at least one."),
];

const COAP: &[Key] = &[
    key(
        "profile",
        Kind::Choice(&["nbiot", "lan"]),
        Is(r#""nbiot""#),
        "`nbiot` is for round trips of seconds, `lan` is RFC 7252 as written.",
    ),
    key(
        "ack_timeout",
        Kind::Span(Duration::from_millis(100), seconds(120)),
        OwnByProfile { nbiot: r#""10s""#, lan: r#""2s""# },
        "First wait for an acknowledgement, before the random factor.",
    ),
    key(
        "ack_random_factor",
        Kind::Number(1.0, 4.0),
        OwnByProfile { nbiot: "1.5", lan: "1.5" },
        "The first wait is longer by up to this factor, by chance.",
    ),
    key(
        "max_retransmit",
        Kind::Integer(0, 10),
        OwnByProfile { nbiot: "3", lan: "4" },
        "How often a message is sent again; each wait is twice the one before.",
    ),
    key(
        "nstart",
        Kind::Integer(1, 16),
        OwnByProfile { nbiot: "1", lan: "1" },
        "Confirmable messages that may be open towards one server.",
    ),
];

const SERVER: &[Key] = &[
    key(
        "uri",
        Kind::Text,
        Required(r#""coap://lwm2m.example:5683""#),
        "Where it is; port 5683 if none is named. Path and query go in front of those of our own requests.",
    ),
    key("short_server_id", Kind::Integer(1, 65_534), Is("1"), "Short Server ID; each server has its own."),
    key(
        "lifetime",
        // The protocol has 32 bits of seconds for it.
        Kind::Span(seconds(10), seconds(49_710 * DAY)),
        Is(r#""1d""#),
        "Lifetime of the registration; an Update comes before it ends.",
    ),
    key("binding", Kind::Choice(&["U"]), Is(r#""U""#), "Binding mode: UDP."),
    key("instance", ID, Absent("counted from 0"), "Object Instance ID in object 1."),
    key("security_instance", ID, Absent("counted from 1"), "Object Instance ID in object 0."),
];

const LOCATION: &[Key] = &[
    key("latitude", Kind::Number(-90.0, 90.0), Required("52.5186"), "Degrees, north positive."),
    key("longitude", Kind::Number(-180.0, 180.0), Required("13.4083"), "Degrees, east positive."),
    key("altitude", Kind::Number(-100_000.0, 100_000.0), Absent("not told"), "Metres above sea level."),
];

const MQTT: &[Key] = &[
    key(
        "url",
        Kind::Text,
        Is(r#""mqtt://127.0.0.1:1883""#),
        "Where the broker is: `mqtt://host:port`, or `mqtts://host:port` with TLS. Port 1883, or 8883, if none is named.",
    ),
    key("client_id", Kind::Text, Is(r#""nbgate""#), "Our name at the broker; each client has its own."),
    key(
        "ca_file",
        Kind::File,
        Absent("the system's authorities"),
        "PEM file of the authorities that may vouch for the broker, for `mqtts://`.",
    ),
    key(
        "client_cert_file",
        Kind::File,
        Absent("we show none"),
        "PEM file with our certificate and its chain; needs `client_key_file`.",
    ),
    key("client_key_file", Kind::File, Absent("we show no certificate"), "PEM file with its private key."),
    key("user", Kind::Text, Absent("no user"), "User name; or `user_file`."),
    key("user_file", Kind::File, Absent("no user"), "File that holds the user name."),
    key(
        "password_file",
        Kind::File,
        Absent("no password"),
        "File that holds the password, readable by its owner alone. A relative name is looked up in systemd's \
         `$CREDENTIALS_DIRECTORY`, then beside the configuration; so are the other files of this section.",
    ),
    key("persistent_session", Kind::Flag, Is("true"), "The broker keeps messages for us while we are away."),
    key(
        "keep_alive",
        Kind::Span(seconds(1), seconds(65_535)),
        Is(r#""30s""#),
        "Longest silence towards the broker before a ping.",
    ),
    key(
        "status_topic",
        Kind::Text,
        Is(r#""nbgate/status""#),
        "Where our state is published, retained; empty: nowhere.",
    ),
];

const BRIDGE: &[Key] = &[key(
    "announce_after",
    Kind::SpanOrZero(Duration::ZERO, seconds(DAY)),
    Profile { nbiot: r#""30s""#, lan: r#""2s""# },
    "New instances gather this long before one Update announces them.",
)];

/// The keys that say how a value is made out of a payload: for a mapping with one resource, or an entry of `resources`.
const VALUE: Key = key(
    "value",
    Kind::Text,
    Absent("the payload is the value"),
    "Where the value stands in a JSON payload: a JSON pointer such as `/t`, or names such as `readings[ch=flow].val`.",
);
const INVERT: Key = key("invert", Kind::Flag, Own("false"), "Exchange true and false, both ways.");
const WORDS: Key = key(
    "words",
    Kind::Table(&[
        key("true", Kind::List(&Kind::Text), Own("[]"), "Stand for true."),
        key("false", Kind::List(&Kind::Text), Own("[]"), "Stand for false."),
    ]),
    Absent("`true`, `on`, `1` and their opposites"),
    "Texts that stand for true and false beside the usual ones: `{ true = [\"open\"], false = [\"shut\"] }`.",
);
const ENUM: Key = key(
    "enum",
    Kind::Named(&Kind::Either(&Kind::Integer(i64::MIN, i64::MAX), &Kind::Text)),
    Absent("the payload's own number or text"),
    "What texts and numbers of the payload stand for: `{ idle = 0, busy = 1 }`. One without an entry is refused.",
);
const SCALE: Key = key("scale", ANY_NUMBER, Absent("1"), "The payload's number is multiplied by this.");
const OFFSET: Key = key("offset", ANY_NUMBER, Absent("0"), "This is added to the scaled number.");
const UNIT: Key = key(
    "unit",
    Kind::Text,
    Absent("the resource's unit"),
    "Unit of the payload's number, e.g. `\"kWh\"`; it is converted to the resource's.",
);
const PRECISION: Key = key(
    "precision",
    POSITIVE,
    Absent("as the payload has it"),
    "Step that the value is rounded to, in the resource's unit; nothing finer is sent.",
);
const DEADBAND: Key = key(
    "deadband",
    POSITIVE,
    Absent("every value counts"),
    "A value that differs by less than this from the last one is dropped; in the resource's unit.",
);
const MIN_INTERVAL: Key = key(
    "min_interval",
    Kind::Span(Duration::from_millis(1), seconds(30 * DAY)),
    Absent("none"),
    "Shortest time between two values; the newest one waits.",
);
const NULL: Key = key(
    "null",
    Kind::Choice(&["skip", "refuse"]),
    Own(r#""skip""#),
    "What becomes of null, NaN and an empty payload: no sample, or one that is refused.",
);
const COMMAND: Key = key(
    "command",
    Kind::Table(&[
        key(
            "topic",
            Kind::Text,
            Required(r#""lamps/{lamp}/set""#),
            "Where to publish; may contain captures that `instance` names.",
        ),
        key(
            "payload",
            Kind::Text,
            Own(r#""{value}""#),
            "What to publish: text with `{value}` and captures, and for an Execute `{args}` and `{arg0}` to `{arg9}`.",
        ),
        key(
            "reply",
            Kind::Table(REPLY),
            Absent("the broker's confirmation counts"),
            "What shows that the command was carried out.",
        ),
    ]),
    Absent("no server can write or execute it"),
    "What a Write or Execute of a server publishes.",
);
const REPLY: &[Key] = &[
    key(
        "topic",
        Kind::Text,
        Required(r#""lamps/{lamp}/result""#),
        "Where it comes from; may contain captures that `instance` names.",
    ),
    key(
        "value",
        Kind::Text,
        Absent("the payload is the word"),
        "Where in a JSON payload the word for success stands.",
    ),
    key("success", Kind::List(&Kind::Plain), Own("[]"), "What is taken for success; empty: any reply."),
    key(
        "within",
        Kind::Span(Duration::from_millis(100), seconds(60)),
        Own(r#""5s""#),
        "How long it may take.",
    ),
];
const RESOURCE: &[Key] = &[
    key("resource", ID, Required("5700"), "Resource ID."),
    VALUE,
    INVERT,
    WORDS,
    ENUM,
    SCALE,
    OFFSET,
    UNIT,
    PRECISION,
    DEADBAND,
    MIN_INTERVAL,
    NULL,
    COMMAND,
];

const MAPPING: &[Key] = &[
    key(
        "topic",
        Kind::Text,
        Absent("only for commands"),
        "Topic filter; `{room}` captures a level, `+` and `#` are MQTT's.",
    ),
    key("object", ID, Required("3303"), "Object ID, out of the registry."),
    key(
        "instance",
        Kind::Either(&ID, &Kind::Text),
        Absent("0, where the topic has neither captures nor wildcards"),
        "Object Instance ID, or the captures that each have one of their own: `\"{room}\"`, `\"{site}/{room}\"`.",
    ),
    key("resource", ID, Absent("see `resources`"), "Resource ID, where one message feeds one resource."),
    key(
        "resources",
        Kind::Tables(RESOURCE),
        Absent("see `resource`"),
        "Several resources that one message feeds, each with keys of its own.",
    ),
    VALUE,
    INVERT,
    WORDS,
    ENUM,
    SCALE,
    OFFSET,
    UNIT,
    PRECISION,
    DEADBAND,
    MIN_INTERVAL,
    NULL,
    COMMAND,
    key(
        "retained",
        Kind::Choice(&["take", "ignore"]),
        Own(r#""take""#),
        "What becomes of messages that the broker had kept from before.",
    ),
    key(
        "max_instances",
        Kind::Integer(1, 16_384),
        Own("256"),
        "Most instances of this mapping; messages of more are refused.",
    ),
    key(
        "forget_after",
        Kind::Span(seconds(DAY), seconds(3650 * DAY)),
        Absent("never"),
        "An instance without a message for so long is deleted; whole days count.",
    ),
];
