"""Observe, notify and cancel (RFC 7641, LwM2M Core 1.1.1 §6.4).

What is observed is mostly /1/0/6, a setting that nothing else depends on: a Write by the server changes it at once.
"""

from messages import CBOR, JSON, LINK, TEXT, TLV
from payloads import holds, lists
from steps import (
    Row,
    again,
    answer,
    cancelled,
    drained,
    get,
    mark,
    notification,
    observe,
    publish,
    put,
    quiet,
    reject,
    silence,
    took,
)

FLAG = "/1/0/6"
DIM = "/3416/0/3"


def rows(_talk):
    return [*beginning(), *delivery(), *ending(), *periods(), *thresholds(), *attributes()]


def flag(value, *, to=None):
    """The server writes the flag."""
    name = to or f"flag {value}"
    return [put(FLAG, name=name, content_format=TEXT, payload=value), answer("2.04", to=name)]


def told(name, value):
    return notification(name, "2.05", TEXT, value)


def attributes_of(path, *queries):
    return [put(path, name="attributes", uri_query=queries), answer("2.04", to="attributes")]


def beginning():
    return [
        Row(
            "OBS-01 OBS-12",
            "an observation: the answer of a Read with Observe, then a notification for each change",
            flag(b"1"),
            observe(FLAG, "o", payload=b"1"),
            flag(b"0"),
            told("o", b"0"),
            flag(b"1"),
            told("o", b"1"),
            cancelled(FLAG, "o"),
        ),
        Row(
            "OBS-05",
            "one path under two tokens: two observations, and the end of one leaves the other",
            observe(FLAG, "a"),
            observe(FLAG, "b"),
            flag(b"0"),
            told("a", b"0"),
            told("b", b"0"),
            cancelled(FLAG, "a"),
            flag(b"1"),
            told("b", b"1"),
            silence(),
            cancelled(FLAG, "b"),
        ),
        Row(
            "OBS-05",
            "the same token again takes the earlier observation's place, also for another path",
            observe(FLAG, "a"),
            observe("/1/0", "b", token="a", format=TLV, body=holds("/1/0", {"/1/0/0": 1}, only=False)),
            flag(b"0"),
            notification("b", "2.05", TLV, body=holds("/1/0", {"/1/0/6": False}, only=False)),
            silence(),
            flag(b"1"),
            notification("b", "2.05", TLV, body=holds("/1/0", {"/1/0/6": True}, only=False)),
            cancelled("/1/0", "b", format=TLV),
        ),
        Row(
            "OBS-16",
            "an observation under the empty token",
            observe(FLAG, "o", token=b""),
            flag(b"0"),
            told("o", b"0"),
            flag(b"1"),
            told("o", b"1"),
            cancelled(FLAG, "o"),
        ),
        Row(
            "OBS-02",
            "notifications keep the format of the first answer: SenML JSON",
            observe(FLAG, "o", format=JSON, body=holds(FLAG, {FLAG: True})),
            flag(b"0"),
            notification("o", "2.05", JSON, body=holds(FLAG, {FLAG: False})),
            flag(b"1"),
            notification("o", "2.05", JSON, body=holds(FLAG, {FLAG: True})),
            cancelled(FLAG, "o", format=JSON),
        ),
        Row(
            "OBS-02",
            "notifications keep the format of the first answer: SenML CBOR",
            observe(FLAG, "o", format=CBOR, body=holds(FLAG, {FLAG: True})),
            flag(b"0"),
            notification("o", "2.05", CBOR, body=holds(FLAG, {FLAG: False})),
            flag(b"1"),
            notification("o", "2.05", CBOR, body=holds(FLAG, {FLAG: True})),
            cancelled(FLAG, "o", format=CBOR),
        ),
        Row(
            "OBS-03 OBS-04",
            "an error in the first answer has no Observe, and nothing is observed",
            get("/3/0/4", observe=0),
            answer("4.05"),
            get("/3/9", observe=0),
            answer("4.04"),
            get(FLAG, observe=0, accept=65000),
            answer("4.06"),
            flag(b"0"),
            flag(b"1"),
            silence(),
        ),
        Row(
            "OBS-01",
            "an Observe that comes twice is one observation",
            get(FLAG, name="o", accept=TEXT, observe=0),
            answer("2.05", TEXT, b"1", observe=True),
            again("o"),
            answer("2.05", TEXT, b"1", observe=True, to="o"),
            drained("o"),
            flag(b"0"),
            told("o", b"0"),
            silence(),
            flag(b"1"),
            told("o", b"1"),
            cancelled(FLAG, "o"),
        ),
        Row(
            "OBS-01 COAP-06",
            "a NON Observe is answered NON, and observes",
            get(FLAG, name="o", accept=TEXT, observe=0, non=True),
            answer("2.05", TEXT, b"1", observe=True),
            drained("o"),
            flag(b"0"),
            told("o", b"0"),
            flag(b"1"),
            told("o", b"1"),
            cancelled(FLAG, "o"),
        ),
        Row(
            "OBS-06",
            "Observe 1 where nothing is observed is a plain Read",
            get(FLAG, accept=TEXT, observe=1),
            answer("2.05", TEXT, b"1"),
        ),
        Row(
            "OBS-01",
            "an Observe value that is neither 0 nor 1 means nothing",
            get(FLAG, accept=TEXT, observe=2),
            answer("2.05", TEXT, b"1"),
            get(FLAG, accept=TEXT, observe=0xFFFFFF),
            answer("2.05", TEXT, b"1"),
        ),
        Row(
            "OBS-01",
            "a sensor's sample is told to who observes the instance",
            observe("/3416/0", "o", format=TLV, body=holds("/3416/0", {DIM: 30}, only=False)),
            publish("lamps/l1/state", '{"dim": 31}'),
            notification("o", "2.05", TLV, body=holds("/3416/0", {DIM: 31}, only=False)),
            cancelled("/3416/0", "o", format=TLV),
        ),
        Row(
            "OBS-01",
            "a sample that an Observe's answer showed is told once more: only an acknowledgement counts",
            publish("lamps/l1/state", '{"dim": 32}', shows=(DIM, b"32")),
            get(DIM, name="o", accept=TEXT, observe=0),
            answer("2.05", TEXT, b"32", observe=True),
            notification("o", "2.05", TEXT, b"32"),
            silence(),
            cancelled(DIM, "o"),
        ),
    ]


def delivery():
    return [
        Row(
            "OBS-15",
            "one notification in flight: changes meanwhile are merged into the next",
            observe(FLAG, "o"),
            flag(b"0"),
            notification("o", "2.05", TEXT, b"0", then=None),
            flag(b"1", to="w1"),
            flag(b"0", to="w2"),
            flag(b"1", to="w3"),
            silence(),
            lambda talk: talk.acknowledge(talk.names["o", "notified"]),
            told("o", b"1"),
            silence(),
            cancelled(FLAG, "o"),
        ),
        Row(
            "COAP-13",
            "a notification without acknowledgement comes again, octet for octet, after two to three seconds",
            observe(FLAG, "o"),
            flag(b"0"),
            notification("o", "2.05", TEXT, b"0", then=None),
            mark("sent"),
            lambda talk: talk.take("resend", lambda other: other.octets == talk.names["o", "notified"].octets),
            took("sent", 1.8, 3.5),
            lambda talk: talk.acknowledge(talk.names["o", "notified"]),
            lambda talk: talk.acknowledge(talk.names["o", "notified"]),
            flag(b"1"),
            told("o", b"1"),
            cancelled(FLAG, "o"),
        ),
        Row(
            "COAP-09",
            "an acknowledgement of something else does not count",
            observe(FLAG, "o"),
            flag(b"0"),
            notification("o", "2.05", TEXT, b"0", then=None),
            lambda talk: talk.send(bytes.fromhex("6000") + (talk.names["o", "notified"].mid ^ 1).to_bytes(2, "big")),
            flag(b"1"),
            silence(),
            lambda talk: talk.acknowledge(talk.names["o", "notified"]),
            told("o", b"1"),
            cancelled(FLAG, "o"),
        ),
        Row(
            "OBS-15 DM-13",
            "requests are answered while a notification waits for its acknowledgement",
            observe(FLAG, "o"),
            flag(b"0"),
            notification("o", "2.05", TEXT, b"0", then=None),
            get("/3/0/16", accept=TEXT, name="read"),
            answer("2.05", TEXT, b"U", to="read"),
            lambda talk: talk.acknowledge(talk.names["o", "notified"]),
            flag(b"1"),
            told("o", b"1"),
            cancelled(FLAG, "o"),
        ),
        Row(
            "WR-15",
            "a Write of the value that is there already is 2.04 and no news",
            observe(FLAG, "o"),
            flag(b"1"),
            silence(),
            cancelled(FLAG, "o"),
        ),
    ]


def ending():
    return [
        Row(
            "OBS-06",
            "GET with Observe 1 and the token ends it: the value without Observe, then silence",
            observe(FLAG, "o"),
            cancelled(FLAG, "o"),
            flag(b"0"),
            flag(b"1"),
            silence(),
        ),
        Row(
            "OBS-06",
            "a cancel that comes twice is answered twice and ends one observation",
            observe(FLAG, "o"),
            observe(FLAG, "p"),
            cancelled(FLAG, "o"),
            again("cancel"),
            answer("2.05", TEXT, b"1", to="cancel"),
            flag(b"0"),
            told("p", b"0"),
            flag(b"1"),
            told("p", b"1"),
            silence(),
            cancelled(FLAG, "p"),
        ),
        Row(
            "OBS-07",
            "RST to a notification ends that observation and no other",
            observe(FLAG, "o"),
            observe(FLAG, "p"),
            flag(b"0"),
            notification("o", "2.05", TEXT, b"0", then=reject),
            told("p", b"0"),
            flag(b"1"),
            told("p", b"1"),
            silence(),
            cancelled(FLAG, "p"),
        ),
        Row(
            "OBS-06",
            "a cancel that crosses a notification: the value, and no resend of what nobody wants",
            observe(FLAG, "o"),
            flag(b"0"),
            notification("o", "2.05", TEXT, b"0", then=None),
            cancelled(FLAG, "o"),
            quiet(3.5),
            flag(b"1"),
            silence(),
        ),
    ]


def periods():
    return [
        Row(
            "NTF-03",
            "pmin: a change that comes too early waits until it is over, and the value is that of then",
            attributes_of(FLAG, "pmin=2"),
            observe(FLAG, "o"),
            mark("observed"),
            flag(b"0", to="w1"),
            flag(b"1", to="w2"),
            flag(b"0", to="w3"),
            silence(),
            told("o", b"0"),
            took("observed", 1.5, 3.0),
            flag(b"1"),
            silence(),
            told("o", b"1"),
            attributes_of(FLAG, "pmin"),
            cancelled(FLAG, "o"),
        ),
        Row(
            "NTF-04 NTF-17",
            "pmax: a notification without any change",
            attributes_of(FLAG, "pmin=1", "pmax=1"),
            observe(FLAG, "o"),
            mark("observed"),
            told("o", b"1"),
            told("o", b"1"),
            took("observed", 1.5, 3.5),
            attributes_of(FLAG, "pmin", "pmax"),
            cancelled(FLAG, "o"),
        ),
        Row(
            "WA-09",
            "pmax=0 is none",
            attributes_of(FLAG, "pmax=0"),
            observe(FLAG, "o"),
            quiet(1.5),
            attributes_of(FLAG, "pmax"),
            cancelled(FLAG, "o"),
        ),
        Row(
            "WA-07 NTF-17",
            "pmax below pmin is accepted and ignored",
            attributes_of(FLAG, "pmin=5", "pmax=1"),
            observe(FLAG, "o"),
            quiet(2.0),
            attributes_of(FLAG, "pmin", "pmax"),
            cancelled(FLAG, "o"),
        ),
        Row(
            "WA-10",
            "attributes act on a running observation, and are no reason for a notification themselves",
            observe(FLAG, "o"),
            attributes_of(FLAG, "pmin=1", "pmax=1"),
            silence(),
            told("o", b"1"),
            attributes_of(FLAG, "pmin", "pmax"),
            quiet(1.5),
            cancelled(FLAG, "o"),
        ),
        Row(
            "NTF-01",
            "what the instance says holds for the resource, until the resource says otherwise",
            attributes_of("/1/0", "pmax=1"),
            observe(FLAG, "o"),
            told("o", b"1"),
            attributes_of(FLAG, "pmax=100"),
            quiet(1.5),
            attributes_of("/1/0", "pmax"),
            attributes_of(FLAG, "pmax"),
            cancelled(FLAG, "o"),
        ),
        Row(
            "NTF-02",
            "what a resource says does not hold for an observation of its instance",
            attributes_of(FLAG, "pmax=1"),
            observe("/1/0", "o", format=TLV),
            quiet(1.5),
            attributes_of(FLAG, "pmax"),
            cancelled("/1/0", "o", format=TLV),
        ),
        Row(
            "NTF-01 NTF-19",
            "the server's default period, /1/x/3, acts on observations without their own",
            observe(FLAG, "o"),
            put("/1/0/3", name="default", content_format=TEXT, payload=b"1"),
            answer("2.04", to="default"),
            told("o", b"1"),
            put("/1/0/3", name="default", content_format=TEXT, payload=b"0"),
            answer("2.04", to="default"),
            quiet(1.5),
            cancelled(FLAG, "o"),
        ),
    ]


def sample(value):
    return publish("sensors/kitchen", f'{{"t": {value}}}', shows=("/3303/0/5700", str(value).encode()))


def thresholds():
    path = "/3303/0/5700"

    def value(text):
        return notification("o", "2.05", TEXT, text)

    return [
        Row(
            "NTF-05 NTF-06",
            "gt: a notification when the limit is crossed, upwards and downwards, and none between",
            attributes_of(path, "gt=25"),
            sample("21.5"),
            observe(path, "o"),
            sample("24"),
            sample("25"),
            silence(),
            sample("25.5"),
            value(b"25.5"),
            sample("26"),
            sample("25"),
            silence(),
            sample("24.5"),
            value(b"24.5"),
            attributes_of(path, "gt"),
            cancelled(path, "o"),
        ),
        Row(
            "NTF-07",
            "lt: the same at the lower limit",
            attributes_of(path, "lt=10"),
            sample("21.5"),
            observe(path, "o"),
            sample("10"),
            silence(),
            sample("9.5"),
            value(b"9.5"),
            sample("8"),
            silence(),
            sample("11"),
            value(b"11"),
            attributes_of(path, "lt"),
            cancelled(path, "o"),
        ),
        Row(
            "NTF-08 NTF-11",
            "st: a step is counted from what was told last, not from the last sample",
            attributes_of(path, "st=2"),
            sample("20"),
            observe(path, "o"),
            sample("21"),
            sample("21.5"),
            silence(),
            sample("22"),
            value(b"22"),
            sample("20.5"),
            silence(),
            sample("20"),
            value(b"20"),
            attributes_of(path, "st"),
            cancelled(path, "o"),
        ),
        Row(
            "NTF-10",
            "one of several conditions is enough",
            attributes_of(path, "gt=30", "lt=10", "st=5"),
            sample("20"),
            observe(path, "o"),
            sample("24"),
            silence(),
            sample("25"),
            value(b"25"),
            sample("30.5"),
            value(b"30.5"),
            attributes_of(path, "gt", "lt", "st"),
            cancelled(path, "o"),
        ),
        Row(
            "NTF-12",
            "a value that crossed and came back inside pmin is told all the same, then the one that came back",
            attributes_of(path, "pmin=2", "gt=25"),
            sample("20"),
            observe(path, "o", format=JSON),
            sample("26.5"),
            sample("21"),
            silence(),
            notification("o", "2.05", JSON, body=holds(path, {path: 26.5})),
            notification("o", "2.05", JSON, body=holds(path, {path: 21})),
            quiet(2.5),
            attributes_of(path, "pmin", "gt"),
            cancelled(path, "o", format=JSON),
        ),
    ]


def attributes():
    path = "/3303/0/5700"
    bad = [
        "pmin=-1",
        "pmin=x",
        "pmin=1.5",
        "pmin=",
        "gt=x",
        "gt=",
        "gt=NaN",
        "st=-1",
        "st=0",
        "pmin=99999999999999999999",
    ]
    return [
        Row(
            "WA-01 DSC-06 DSC-12",
            "attributes that were written are shown by Discover, without needless digits",
            attributes_of(path, "pmin=10", "pmax=60", "gt=50.0", "lt=42.20", "st=1"),
            get(path, accept=LINK),
            answer("2.05", LINK, body=shows(path, pmin="10", pmax="60", gt="50", lt="42.2", st="1")),
            attributes_of(path, "pmin", "pmax", "gt", "lt", "st"),
            get(path, accept=LINK),
            answer("2.05", LINK, b"</3303/0/5700>"),
        ),
        Row(
            "WA-02",
            "a name with a value sets, one without takes away, others stay",
            attributes_of(path, "pmin=10", "pmax=60"),
            attributes_of(path, "pmin=20", "pmax"),
            get(path, accept=LINK),
            answer("2.05", LINK, b"</3303/0/5700>;pmin=20"),
            attributes_of(path, "pmin"),
        ),
        Row(
            "DSC-07",
            "the addressed link also shows what it inherits, the links below only their own",
            attributes_of("/3303", "pmin=3"),
            attributes_of("/3303/0", "pmax=70"),
            get(path, accept=LINK),
            answer("2.05", LINK, body=shows(path, pmin="3", pmax="70")),
            get("/3303/0", accept=LINK),
            answer("2.05", LINK, body=lists("</3303/0>;pmin=3;pmax=70", f"<{path}>")),
            attributes_of("/3303/0", "pmax"),
            attributes_of("/3303", "pmin"),
        ),
        Row(
            "DSC-09",
            "Discover of an object shows what is written below its instances",
            attributes_of(path, "pmin=8"),
            get("/3303", accept=LINK),
            answer("2.05", LINK, body=lists("</3303>;ver=1.1", "</3303/0>", f"<{path}>;pmin=8")),
            attributes_of(path, "pmin"),
        ),
        Row(
            "WA-08 WA-04",
            "values that cannot be read, or make no sense: 4.00, and nothing changes",
            [[put(path, uri_query=[query]), answer("4.00")] for query in bad],
            put(path, uri_query=["pmin=5", "pmax=x"]),
            answer("4.00"),
            get(path, accept=LINK),
            answer("2.05", LINK, b"</3303/0/5700>"),
        ),
        Row("WA-08", "an attribute that nobody knows: 4.00", put(path, uri_query=["colour=red"]), answer("4.00")),
        Row(
            "WA-06",
            "limits that contradict each other, also with what is there already: 4.00",
            put(path, uri_query=["gt=10", "lt=20"]),
            answer("4.00"),
            put(path, uri_query=["gt=20", "lt=10", "st=5"]),
            answer("4.00"),
            attributes_of(path, "gt=20"),
            put(path, uri_query=["lt=30"]),
            answer("4.00"),
            get(path, accept=LINK),
            answer("2.05", LINK, b"</3303/0/5700>;gt=20"),
            attributes_of(path, "gt"),
        ),
        Row(
            "WA-05",
            "limits are for numbers: not for text, Booleans, instances, objects",
            put("/1/0/7", uri_query=["gt=1"]),
            answer("4.00"),
            put(FLAG, uri_query=["st=1"]),
            answer("4.00"),
            put("/3303/0", uri_query=["gt=1"]),
            answer("4.00"),
            put("/3303", uri_query=["lt=1"]),
            answer("4.00"),
        ),
        Row(
            "WA-12",
            "attributes for what is not there: 4.04; for keys: 4.01",
            put("/3303/77", uri_query=["pmin=1"]),
            answer("4.04"),
            put("/9999", uri_query=["pmin=1"]),
            answer("4.04"),
            put("/0", uri_query=["pmin=1"]),
            answer("4.01"),
        ),
        Row(
            "WA-01",
            "a PUT with neither format nor attributes nor payload changes nothing",
            put(path, name="bare"),
            take_any("bare", "2.04", "4.00"),
        ),
        Row("WA-01", "a payload without a format is no Write", put(FLAG, payload=b"1"), take_any(None, "4.00", "4.15")),
        Row(
            "WA-11",
            "attributes outlive the observation",
            attributes_of(FLAG, "pmin=7"),
            observe(FLAG, "o"),
            cancelled(FLAG, "o"),
            get(FLAG, accept=LINK),
            answer("2.05", LINK, b"</1/0/6>;pmin=7"),
            attributes_of(FLAG, "pmin"),
        ),
    ]


def take_any(name, *codes):
    """One of these codes."""

    def step(talk):
        sent = talk.names[name] if name else talk.last
        talk.take(" or ".join(codes), lambda received: received.token == sent.token and received.code in codes)

    return step


def shows(path, **wanted):
    """A check: the link of the path has exactly these attributes."""

    def check(received):
        for link in received.message.payload.decode().split(","):
            first, *rest = link.split(";")
            if first == f"<{path}>":
                found = dict(part.split("=") for part in rest)
                return None if found == wanted else f"{found}, not {wanted}"
        return f"no link to {path}"

    return check
