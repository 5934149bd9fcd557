"""The message layer (RFC 7252): formats, types, duplicates, options."""

from messages import ACK, CON, NON, RST, TEXT, TLV
from steps import (
    Row,
    again,
    answer,
    bare,
    broker,
    empty_ack,
    get,
    octets,
    ordered,
    put,
    reset,
    same,
    send,
    silence,
)

# GET /3/0/16, with nothing before or behind: what hostile octets are made around.
READ = "b1 33 01 30 02 31 36"
U = b"U"


def rows(_talk):
    return [*formats(), *types(), *duplicates(), *options()]


def formats():
    faults = [
        ("token length 9", f"49 01 mid 01 02 03 04 05 06 07 08 09 {READ}"),
        ("token length 15", f"4f 01 mid 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f {READ}"),
        ("a token that ends with the datagram", "44 01 mid 01 02"),
        ("an option cut short", "41 01 mid 01 b1 33 01 30 05 31 36"),
        ("an option's extended length cut short", "41 01 mid 01 b1 33 0d"),
        ("option delta 15", "41 01 mid 01 b1 33 f1 30"),
        ("option length 15", "41 01 mid 01 b1 33 0f 30"),
        ("a payload marker and nothing behind it", f"41 01 mid 01 {READ} ff"),
        ("an Empty message with a token", "41 00 mid 01"),
        ("an Empty message with octets behind it", "40 00 mid ff 41"),
        ("code class 1", f"41 20 mid 01 {READ}"),
        ("code class 7", f"41 e1 mid 01 {READ}"),
    ]
    for what, text in faults:
        yield Row("COAP-02", f"{what} in a CON message is rejected by RST", octets(text, odd=True), reset())
        # Type NON: bit 4 of the first octet.
        quiet = f"{int(text[:2], 16) | 0x10:02x}{text[2:]}"
        yield Row("COAP-02", f"{what} in a NON message is dropped", octets(quiet, odd=True), silence())
    for version in (0, 2, 3):
        first = f"{version << 6 | 1:02x}"
        yield Row(
            "COAP-01",
            f"a datagram of version {version} is dropped",
            octets(f"{first} 01 mid 01 {READ}", odd=True),
            silence(),
        )
    for size in (1, 2, 3):
        yield Row(
            "COAP-01",
            f"a datagram of {size} octets is dropped",
            octets("40 01 00"[: 3 * size - 1], odd=True),
            silence(),
        )
    yield Row(
        "COAP-27",
        "a datagram from another port is dropped, whatever it asks",
        octets(f"41 01 mid 01 {READ}", by="stranger"),
        silence(),
    )


def types():
    return [
        Row("COAP-03", "a ping is answered by RST with its Message ID", octets("40 00 mid"), reset()),
        Row("COAP-03", "a ping sent twice is answered twice", octets("40 00 mid"), reset(), again(), reset()),
        Row("COAP-10", "an ACK that nobody waits for is ignored", bare(ACK), silence()),
        Row("COAP-10 OBS-08", "an RST that fits nothing is ignored", bare(RST), silence()),
        Row("COAP-10", "an Empty NON message is ignored", bare(NON), silence()),
        Row("COAP-10", "a CON response that fits no request is rejected", octets("41 45 mid 7f ff 41"), reset()),
        Row("COAP-10", "a NON response that fits no request is ignored", octets("51 45 mid 7f ff 41"), silence()),
        Row("COAP-10", "a response in an ACK that fits no request is ignored", octets("61 45 mid 7f ff 41"), silence()),
        Row("COAP-10", "a request in an ACK is ignored", octets(f"61 01 mid 7f {READ}"), silence()),
        Row("COAP-10", "a request in an RST is ignored", octets(f"71 01 mid 7f {READ}"), silence()),
        Row(
            "COAP-10",
            "a NON notification that nobody asked for is rejected (RFC 7641 §3.6)",
            octets("51 45 mid 7f 61 05 ff 41"),
            reset(),
        ),
        Row(
            "COAP-04", "the answer to a CON request is in the ACK", get("/3/0/16", accept=TEXT), answer("2.05", TEXT, U)
        ),
        Row(
            "COAP-06",
            "a NON request has a NON answer with a Message ID of the gateway's own",
            get("/3/0/16", accept=TEXT, non=True),
            answer("2.05", TEXT, U),
        ),
        Row("COAP-06", "a NON request that fails is answered, too", get("/9999", non=True), answer("4.04")),
        Row("COAP-24", "an empty token is a token", get("/3/0/16", accept=TEXT, token=b""), answer("2.05", TEXT, U)),
        Row(
            "COAP-24",
            "an empty token right after one of eight octets",
            get("/3/0/16", accept=TEXT, token=bytes(range(8))),
            answer("2.05", TEXT, U),
            get("/3/0/16", accept=TEXT, token=b""),
            answer("2.05", TEXT, U),
        ),
        Row("COAP-29", "method code 0.08 is not known", send(8, "/3/0/16"), answer("4.05")),
        Row("COAP-29", "method code 0.31 is not known", send(31, "/3/0/16"), answer("4.05")),
        Row(
            "COAP-29",
            "an unknown method in a NON request is answered, too",
            send(9, "/3/0/16", non=True),
            answer("4.05"),
        ),
    ]


def duplicates():
    write = {"content_format": TEXT, "payload": b"41"}
    return [
        Row(
            "COAP-07",
            "a repeated Read gets the very same octets",
            get("/3/0", accept=TLV),
            answer("2.05", TLV, body=lambda _: None),
            again(),
            same(),
            again(),
            same(),
        ),
        Row(
            "COAP-07",
            "a repeated NON request is not answered again",
            get("/3/0/16", accept=TEXT, non=True),
            answer("2.05", TEXT, U),
            again(),
            silence(),
        ),
        Row("COAP-07", "a repeated refusal is the same", get("/9999"), answer("4.04"), again(), same()),
        Row(
            "COAP-07",
            "a repeated Write is published once",
            put("/3416/0/1", **write),
            answer("2.04"),
            again(),
            same(),
            ordered("lamps/l1/set", '{"dim": 41}'),
        ),
        Row(
            "COAP-07 COAP-09",
            "requests out of order: the older duplicate comes after a newer request, and each has its own answer",
            get("/3/0/16", accept=TEXT, name="old"),
            answer("2.05", TEXT, U),
            get("/1/0/7", accept=TEXT, name="new"),
            answer("2.05", TEXT, U, to="new"),
            again("old"),
            answer("2.05", TEXT, U, to="old"),
            again("new"),
            answer("2.05", TEXT, U, to="new"),
        ),
        Row(
            "COAP-07",
            "the Message ID of an earlier request under another token is another request: servers that restart count anew",
            get("/3/0/16", accept=TEXT, name="first"),
            answer("2.05", TEXT, U),
            get("/3/0/17", accept=TEXT, mid="first"),
            answer("2.05", TEXT, b"NB-IoT gateway"),
        ),
        Row(
            "COAP-04 COAP-05",
            "a Write that waits for the broker: an Empty ACK after a second, the answer by itself later",
            broker("pause"),
            put("/3416/0/1", content_format=TEXT, payload=b"42"),
            empty_ack(within=1.9),
            broker("resume"),
            answer("2.04", by=CON),
            ordered("lamps/l1/set", '{"dim": 42}'),
        ),
        Row(
            "COAP-05 COAP-07",
            "a request repeated while it waits for the broker is acknowledged at once and done once",
            broker("pause"),
            put("/3416/0/1", content_format=TEXT, payload=b"43"),
            again(),
            empty_ack(within=0.9),
            broker("resume"),
            answer("2.04", by=CON),
            ordered("lamps/l1/set", '{"dim": 43}'),
        ),
        Row(
            "COAP-06",
            "a NON Write that waits for the broker has no Empty ACK, only its answer",
            broker("pause"),
            put("/3416/0/1", non=True, content_format=TEXT, payload=b"44"),
            broker("resume"),
            answer("2.04", by=NON),
            ordered("lamps/l1/set", '{"dim": 44}'),
        ),
        Row(
            "COAP-04 DM-13",
            "a Read is answered while a Write waits for the broker",
            broker("pause"),
            put("/3416/0/1", name="slow", content_format=TEXT, payload=b"45"),
            get("/3/0/16", accept=TEXT, name="quick"),
            answer("2.05", TEXT, U, to="quick"),
            broker("resume"),
            lambda talk: take_either_way(talk),
            ordered("lamps/l1/set", '{"dim": 45}'),
        ),
    ]


def take_either_way(talk):
    """The Write's answer, whether the broker was quick enough for the ACK or not."""
    sent = talk.names["slow"]
    received = talk.take("answer 2.04", lambda received: received.token == sent.token and received.code == "2.04")
    if received.kind is CON:
        talk.take("Empty ACK", lambda other: other.mid == sent.mid)
        talk.acknowledge(received)


def options():
    plain = (get("/3/0/16", accept=TEXT), answer("2.05", TEXT, U))
    return [
        Row(
            "COAP-20",
            "an unknown critical option: 4.02, and the next plain Read works",
            get("/3/0/16", odd=True, options=[(2049, b"x")]),
            answer("4.02", payload=...),
            *plain,
        ),
        Row(
            "COAP-20",
            "an unknown critical option in a NON request: silence",
            get("/3/0/16", non=True, odd=True, options=[(2049, b"x")]),
            silence(),
        ),
        Row(
            "COAP-20",
            "If-None-Match on a Read: 4.02",
            get("/3/0/16", options=[(5, b"")]),
            answer("4.02", payload=...),
            *plain,
        ),
        Row(
            "COAP-21",
            "an unknown elective option is ignored",
            get("/3/0/16", accept=TEXT, odd=True, options=[(2050, b"x")]),
            answer("2.05", TEXT, U),
        ),
        Row(
            "COAP-21",
            "options with deltas of 13 and 14 and long values are read over",
            get("/3/0/16", accept=TEXT, odd=True, options=[(2048 + 14, bytes(300)), (65000, bytes(13))]),
            answer("2.05", TEXT, U),
        ),
        Row(
            "COAP-22",
            "Accept twice: the second counts as an unknown critical option",
            get("/3/0/16", accept=TEXT, options=[(17, b"")]),
            answer("4.02", payload=...),
        ),
        Row(
            "COAP-22",
            "Content-Format twice: the second is elective and ignored",
            put("/1/0/1", content_format=TEXT, options=[(12, b"\x2a")], payload=b"3600"),
            answer("2.04"),
        ),
        Row(
            "COAP-23",
            "Uri-Host and Uri-Port are taken and ignored",
            get("/3/0/16", accept=TEXT, uri_host="example.org", uri_port=1),
            answer("2.05", TEXT, U),
        ),
        Row(
            "COAP-23",
            "Proxy-Uri: 5.05",
            get("/3/0/16", options=[(35, b"coap://example.org/3/0/16")]),
            answer("5.05", payload=...),
        ),
        Row("COAP-23", "Proxy-Scheme: 5.05", get("/3/0/16", options=[(39, b"coap")]), answer("5.05", payload=...)),
        Row(
            "COAP-32",
            "one Uri-Path of no octets is no path: the root, which has no Read",
            octets("41 01 mid 55 b0", token=b"\x55"),
            answer("4.05"),
        ),
        Row(
            "COAP-33",
            "Observe on a Write is ignored",
            put("/1/0/1", observe=0, content_format=TEXT, payload=b"3600"),
            answer("2.04"),
        ),
        Row("COAP-31", "Uri-Path options in another order name another path", get("/0/16/3"), answer("4.01")),
        Row(
            "COAP-21",
            "an ETag that the server knows changes nothing",
            get("/3/0/16", accept=TEXT, options=[(4, b"\x01\x02")]),
            answer("2.05", TEXT, U),
        ),
        Row(
            "COAP-30",
            "a request of 64 KiB less headers is answered, not crashed at",
            put("/3416/0/1", content_format=TEXT, payload=bytes(60_000)),
            lambda talk: take_refusal(talk),
        ),
    ]


def take_refusal(talk):
    """4.13 or 4.00: it is too long, or no number."""
    token = talk.last.token
    talk.take("refusal", lambda received: received.token == token and received.code in ("4.13", "4.00"))
