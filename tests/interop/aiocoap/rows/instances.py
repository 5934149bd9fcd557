"""Create and Delete (LwM2M Core 1.1.1 §6.3.6, §6.3.7), on objects that servers may create instances of."""

from messages import CBOR, JSON, LINK, OPAQUE, TEXT, TLV
from payloads import holds, instance, lists, multiple, single
from steps import Row, answer, delete, get, notification, observe, post, put, reply, silence, update

A = multiple(0, {0: b"A"})
B = multiple(0, {0: b"B"})


def rows(_talk):
    return [*creates(), *deletes(), *told()]


def create(payload, *, format=TLV, path="/16", code="2.01", at=None, **more):
    options = {"location_path": ("16", str(at)) if at is not None else ...} if code == "2.01" else {}
    return [post(path, content_format=format, payload=payload, **more), answer(code, **options)]


def drop(*ids):
    return [[delete(f"/16/{id_}"), answer("2.02")] for id_ in ids]


def creates():
    return [
        Row(
            "CR-03 CR-01",
            "without a number the gateway takes a free one and says which",
            create(A, at=0),
            create(B, at=1),
            get("/16", accept=TLV),
            answer("2.05", TLV, body=holds("/16", {"/16/0/0/0": "A", "/16/1/0/0": "B"})),
            drop(0, 1),
        ),
        Row(
            "CR-02",
            "with a number, which must be free",
            create(instance(7, A), at=7),
            create(instance(7, B), code="4.00"),
            get("/16/7/0/0", accept=TEXT),
            answer("2.05", TEXT, b"A"),
            drop(7),
        ),
        Row(
            "CR-02",
            "the number in SenML, in base name or name",
            create(b'[{"bn":"/16/8/","n":"0/0","vs":"A"}]', format=JSON, at=8),
            create(bytes.fromhex("81a2 00 69 2f31362f392f302f30 03 61 42"), format=CBOR, at=9),
            get("/16/9/0/0", accept=TEXT),
            answer("2.05", TEXT, b"B"),
            create(b'[{"bn":"/16/8/","n":"0/0","vs":"A"}]', format=JSON, code="4.00"),
            create(b'[{"bn":"/19/8/","n":"3","vs":"A"}]', format=JSON, code="4.00"),
            drop(8, 9),
        ),
        Row(
            "CR-04",
            "the mandatory resource must be there; what nobody knows is ignored",
            create(b"", code="4.00"),
            create(instance(3), code="4.00"),
            create(instance(3, A, single(5000, b"\x01")), at=3),
            get("/16/3", accept=LINK),
            answer("2.05", LINK, body=lists("</16/3>", "</16/3/0>;dim=1")),
            drop(3),
        ),
        Row(
            "CR-05",
            "objects that are not there, that hold keys, that have one instance, that belong to sensors",
            create(A, path="/9999", code="4.04"),
            create(A, path="/0", code="4.01"),
            create(b"", path="/3", code="4.05"),
            create(b"", path="/3303", code="4.05"),
        ),
        Row(
            "CR-06",
            "formats of one value, and one that nobody knows",
            create(b"A", format=TEXT, code="4.00"),
            create(b"A", format=OPAQUE, code="4.00"),
            create(b"A", format=65000, code="4.15"),
            create(b"</16/0>", format=LINK, code="4.15"),
        ),
        Row(
            "CR-07",
            "several at once: all, or none when one of them cannot be",
            create(instance(1, A) + instance(2, B)),
            get("/16", accept=TLV),
            answer("2.05", TLV, body=holds("/16", {"/16/1/0/0": "A", "/16/2/0/0": "B"})),
            create(instance(3, A) + instance(2, B), code="4.00"),
            get("/16/3"),
            answer("4.04"),
            drop(1, 2),
        ),
        Row(
            "CR-01 COAP-07",
            "a Create that comes twice creates once",
            post("/16", content_format=TLV, payload=A),
            answer("2.01", location_path=("16", "0")),
            lambda talk: talk.tell(talk.last),
            lambda talk: talk.take("same answer", lambda received: received.octets == talk.answer.octets),
            get("/16", accept=TLV),
            answer("2.05", TLV, body=holds("/16", {"/16/0/0/0": "A"})),
            drop(0),
        ),
        Row("CR-01 DM-05", "65535 is no number for an instance", create(instance(65535, A), code="4.00")),
        Row("CR-01", "a Create without a format", post("/16", payload=A), answer("4.00", payload=...)),
    ]


def deletes():
    return [
        Row(
            "DL-01", "an instance that is not there", delete("/16/0"), answer("4.04"), delete("/9999/0"), answer("4.04")
        ),
        Row(
            "DL-02",
            "objects, resources and resource instances are not deleted",
            create(A, at=0),
            delete("/16"),
            answer("4.05"),
            delete("/16/0/0"),
            answer("4.05"),
            delete("/16/0/0/0"),
            answer("4.05"),
            drop(0),
        ),
        Row(
            "DL-03",
            "what the gateway is made of is not deleted",
            delete("/3/0"),
            answer("4.05"),
            delete("/0/1"),
            answer("4.01"),
            delete("/1/0"),
            answer("4.05"),
            delete("/3303/0"),
            answer("4.05"),
        ),
    ]


def told():
    def links(*wanted, without=()):
        return lists(*wanted, without=without)

    return [
        Row(
            "CR-09 UPD-08",
            "instances that come and go are told by an Update with the whole list",
            create(A, at=0),
            update(format=LINK, body=links("</16/0>", "</3/0>", "</3303/0>")),
            reply("2.04"),
            drop(0),
            update(format=LINK, body=links("</16>", "</3/0>", without=["</16/0>"])),
            reply("2.04"),
            own=True,
        ),
        Row(
            "OBS-13 DL-05",
            "what was observed and is gone: one 4.04 without Observe, and no more",
            create(A, at=0),
            observe("/16/0/0/0", "o"),
            delete("/16/0", name="d"),
            answer("2.02", to="d"),
            notification("o", "4.04"),
            create(B, at=0),
            silence(),
            drop(0),
        ),
        Row(
            "OBS-14",
            "who observes an object is told of instances that come and go",
            observe("/16", "o", format=TLV, payload=b""),
            post("/16", name="c", content_format=TLV, payload=A),
            answer("2.01", location_path=("16", "0"), to="c"),
            notification("o", "2.05", TLV, body=holds("/16", {"/16/0/0/0": "A"})),
            delete("/16/0", name="d"),
            answer("2.02", to="d"),
            notification("o", "2.05", TLV, b""),
            get("/16", name="cancel", token="o", accept=TLV, observe=1),
            answer("2.05", TLV, b"", to="cancel"),
        ),
        Row(
            "WA-11 DL-05",
            "attributes go with their instance",
            create(A, at=0),
            put("/16/0", uri_query=["pmin=5"]),
            answer("2.04"),
            drop(0),
            create(A, at=0),
            get("/16/0/0", accept=LINK),
            answer("2.05", LINK, b"</16/0/0>;dim=1,</16/0/0/0>"),
            drop(0),
        ),
    ]
