"""Register, Update, De-register (LwM2M Core 1.1.1 §6.2), answered in every way but the usual one.

Execute of /1/0/8 asks for an Update; an Update that is refused makes a Register. So one gateway plays it all.
"""

import re
import time

from aiocoap.numbers.optionnumbers import OptionNumber

import messages
from messages import ACK, CON, LINK, NON, RST, TEXT, TLV
from payloads import instance, multiple
from steps import (
    Failure,
    Row,
    acknowledge,
    answer,
    cancelled,
    delete,
    earlier,
    ended,
    get,
    mark,
    notification,
    observe,
    post,
    put,
    quiet,
    register,
    reject,
    repeated,
    reply,
    request_of_gateway,
    restart,
    silence,
    terminate,
    took,
    update,
)

# Stands for the last block.
LAST = 1 << 30
NTH = {1: "first", 17: "second", LAST: "last"}
QUERIES = {"lwm2m=1.1", "ep=nbgate-odd", "lt=3600", "b=U"}


def rows(_talk):
    return [*registers(), *updates(), *answers(), *blocks(), *disables(), *refusals(), *ends()]


TRIGGER = [post("/1/0/8", name="trigger"), answer("2.04", to="trigger")]


def own(ids, claim, *steps):
    return Row(ids, claim, *steps, own=True)


def registered_anew(*, location=("rd", "x")):
    """An Update that is not known leads to a Register, which is accepted."""
    return [TRIGGER, update(), reply("4.04"), register(), reply("2.01", location=location)]


def check_register(received):
    if set(received.message.opt.uri_query) != QUERIES:
        return f"the queries are {received.message.opt.uri_query}"
    text = received.message.payload.decode()
    links = text.split(",")
    for wanted in ("</1/0>", "</3/0>", "</3303/0>", "</3416/0>", "</16>", "</19>", "</3303>;ver=1.1"):
        if wanted not in links:
            return f"{wanted} is missing in {links}"
    if re.search(r"</(0|21)(/\d+)?>", text) or " " in text:
        return f"keys, or blanks: {links}"
    return None if links.index("</3303>;ver=1.1") < links.index("</3303/0>") else "a version comes before its instances"


def registers():
    return [
        own(
            "REG-01 REG-03 REG-04 REG-05 REG-07 REG-11 REG-12 REG-15 UPD-07",
            "a Register says what it must, once an Update was not known",
            TRIGGER,
            update(),
            reply("4.04"),
            register(body=check_register),
            reply("2.01", location=("rd", "x")),
        ),
        own(
            "REG-16",
            "a location of one segment, of many, with blanks, with nothing in a segment",
            [
                [registered_anew(location=location), TRIGGER, update(), reply("2.04")]
                for location in (
                    ("5a3f",),
                    ("x", "rd", "a", "b", "c", "d"),
                    ("rd", "a b", "é"),
                    ("rd", "", "1"),
                    ("rd", "x"),
                )
            ],
        ),
        own(
            "REG-18 OBS-09",
            "a Register ends all observations",
            observe("/1/0/6", "o"),
            registered_anew(),
            put("/1/0/6", content_format=TEXT, payload=b"0"),
            answer("2.04"),
            put("/1/0/6", content_format=TEXT, payload=b"1"),
            answer("2.04"),
            silence(),
        ),
        own(
            "REG-18 WA-11",
            "a Register leaves attributes",
            put("/3303/0", uri_query=["pmin=4"]),
            answer("2.04"),
            registered_anew(),
            get("/3303", accept=LINK),
            answer(
                "2.05", LINK, body=lambda received: None if b"</3303/0>;pmin=4" in received.message.payload else "gone"
            ),
            put("/3303/0", uri_query=["pmin"]),
            answer("2.04"),
        ),
        own(
            "REG-19",
            "requests are served while a Register waits for its answer",
            TRIGGER,
            update(),
            reply("4.04"),
            register(),
            get("/3/0/16", accept=TEXT),
            answer("2.05", TEXT, b"U"),
            reply("2.01", location=("rd", "x")),
        ),
    ]


def updates():
    return [
        own(
            "UPD-01 UPD-04 EX-05",
            "Execute of the trigger is answered first; the Update that follows has nothing in it",
            post("/1/0/8"),
            answer("2.04"),
            update(queries=[], body=lambda received: received.message.payload or None),
            earlier(lambda received: received.code == "2.04", lambda received: received.code == "0.02"),
            reply("2.04"),
        ),
        own(
            "UPD-02 UPD-03 WR-16",
            "a new lifetime is told, alone; the same once more is not",
            put("/1/0/1", content_format=TEXT, payload=b"7200"),
            answer("2.04"),
            update(queries=["lt=7200"]),
            reply("2.04"),
            put("/1/0/1", content_format=TEXT, payload=b"7200"),
            answer("2.04"),
            quiet(0.5),
            put("/1/0/1", content_format=TEXT, payload=b"3600"),
            answer("2.04"),
            update(queries=["lt=3600"]),
            reply("2.04"),
        ),
        own(
            "UPD-10",
            "what changes while an Update is open is told by another",
            put("/1/0/1", content_format=TEXT, payload=b"7200"),
            answer("2.04"),
            update(queries=["lt=7200"]),
            put("/1/0/1", name="second", content_format=TEXT, payload=b"3600"),
            answer("2.04", to="second"),
            reply("2.04"),
            update(queries=["lt=3600"]),
            reply("2.04"),
        ),
        own(
            "UPD-07 REG-20",
            "each refusal of an Update leads to a Register at once",
            [
                [TRIGGER, update(), reply(code), register(), reply("2.01", location=("rd", "x"))]
                for code in ("4.00", "4.03", "4.04", "4.05", "5.00", "5.03")
            ],
        ),
        own(
            "UPD-07 COAP-17",
            "so does RST",
            TRIGGER,
            update(),
            reject(),
            register(),
            reply("2.01", location=("rd", "x")),
        ),
        own(
            "REG-19 DM-13",
            "requests are served while an Update waits for its answer",
            TRIGGER,
            update(),
            get("/3/0/16", accept=TEXT),
            answer("2.05", TEXT, b"U"),
            reply("2.04"),
        ),
        own(
            "COAP-18",
            "one exchange of the gateway's own at a time: a notification waits for the Update's answer",
            observe("/1/0/6", "o"),
            TRIGGER,
            update(),
            put("/1/0/6", name="w", content_format=TEXT, payload=b"0"),
            answer("2.04", to="w"),
            silence(),
            reply("2.04"),
            notification("o", "2.05", TEXT, b"0"),
            put("/1/0/6", name="w", content_format=TEXT, payload=b"1"),
            answer("2.04", to="w"),
            notification("o", "2.05", TEXT, b"1"),
            cancelled("/1/0/6", "o"),
        ),
    ]


def acknowledged_by_gateway(times=1):
    """The gateway acknowledges our last separate message so many times."""

    def step(talk):
        wanted = messages.empty(ACK, talk.separate)
        for _ in range(times):
            talk.take("Empty ACK", lambda received: received.octets == wanted)

    return step


def separately(code, *, times=1, **more):
    """The answer as a CON message of its own, sent so many times."""

    def step(talk):
        talk.separate = talk.next_mid()
        location = more.get("location")
        options = {"location_path": tuple(location)} if location else {}
        if location:
            talk.location = list(location)
        octets = messages.response(talk.asked, code, kind=CON, mid=talk.separate, **options)
        for _ in range(times):
            talk.send(octets)

    return step


def answers():
    return [
        own(
            "COAP-04 COAP-16",
            "an Empty ACK, and the answer later: no resend in between, and the answer is acknowledged",
            TRIGGER,
            update(),
            acknowledge(),
            quiet(3.5),
            separately("2.04"),
            acknowledged_by_gateway(),
        ),
        own(
            "COAP-11",
            "a separate answer that comes twice is acknowledged twice",
            TRIGGER,
            update(),
            acknowledge(),
            separately("2.04", times=2),
            acknowledged_by_gateway(times=2),
        ),
        own(
            "COAP-12",
            "a separate answer that overtakes the Empty ACK counts for it",
            TRIGGER,
            update(),
            separately("2.04"),
            acknowledged_by_gateway(),
            quiet(3.5),
            acknowledge(),
            silence(),
        ),
        own(
            "COAP-09",
            "a NON answer is one, too",
            TRIGGER,
            update(),
            acknowledge(),
            reply("2.04", kind=NON),
            quiet(0.3),
        ),
        own(
            "COAP-09 COAP-13",
            "answers with a foreign Message ID or token are ignored, and the resend is the same octets",
            TRIGGER,
            update(),
            mark("sent"),
            lambda talk: talk.send(messages.response(talk.asked, "4.04", mid=talk.asked.mid ^ 0x55)),
            lambda talk: talk.send(bytes.fromhex("6184") + talk.asked.mid.to_bytes(2, "big") + b"\x77"),
            repeated(),
            took("sent", 1.8, 3.5),
            reply("2.04"),
            quiet(0.3),
        ),
        own(
            "COAP-13",
            "the second resend waits twice as long as the first",
            TRIGGER,
            update(),
            mark("sent"),
            repeated(),
            repeated(limit=10),
            took("sent", 5.5, 9.5),
            reply("2.04"),
            quiet(0.3),
        ),
        own(
            "COAP-10 COAP-11",
            "an answer long after the exchange is over: CON is rejected, an ACK ignored",
            TRIGGER,
            update(),
            reply("2.04"),
            reply("2.04"),
            silence(),
            separately("2.04"),
            lambda talk: talk.take("RST", lambda received: received.octets == messages.empty(RST, talk.separate)),
        ),
        own(
            "COAP-20",
            "an answer with an unknown critical option is rejected, and the Update has failed",
            TRIGGER,
            update(),
            acknowledge(),
            odd_separately("2.04", [(2049, b"x")]),
            lambda talk: talk.take("RST", lambda received: received.octets == messages.empty(RST, talk.separate)),
            register(),
            reply("2.01", location=("rd", "x")),
        ),
        own(
            "COAP-04 REG-01",
            "a Register that is answered separately, and twice",
            TRIGGER,
            update(),
            reply("4.04"),
            register(),
            acknowledge(),
            separately("2.01", times=2, location=("rd", "x")),
            acknowledged_by_gateway(times=2),
            TRIGGER,
            update(),
            reply("2.04"),
        ),
    ]


def odd_separately(code, options):
    def step(talk):
        talk.separate = talk.next_mid()
        talk.send(messages.response(talk.asked, code, kind=CON, mid=talk.separate, options=options), odd=True)

    return step


def takes_blocks(szx, *, shrink=None, end="2.01", location=("rd", "x"), path="/rd", stop_at=0, stop=None):
    """A request of the gateway's own in Block1, from its first block on; what was collected must be a link list.

    `shrink`: the first block is answered with this smaller size. `stop`: a step instead of the answer to block `stop_at`.
    """

    def step(talk):
        body, size = b"", szx
        where = path or "/" + "/".join(talk.location)
        while True:
            asked = talk.take(f"a block of {where}", lambda received: received.path == where)
            talk.asked = talk.answer = asked
            block = asked.message.opt.block1
            if block is None or block.size_exponent != size or block.start != len(body):
                raise Failure(f"the block is {block}, after {len(body)} octets")
            body += asked.message.payload
            if stop and (len(body) >= stop_at if block.more else stop_at is LAST):
                return stop(talk)
            if not block.more:
                break
            if len(asked.message.payload) != block.size:
                raise Failure(f"a block of {len(asked.message.payload)} octets")
            told = shrink if shrink is not None else size
            talk.send(with_block(asked, "2.31", (block.block_number, True, told)))
            size = told
        if not body.startswith(b"<") or not body.endswith(b">") or b"</3/0>" not in body:
            raise Failure(f"the list is {body!r}")
        options = {"location_path": location} if end == "2.01" else {}
        talk.send(with_block(asked, end, (block.block_number, False, size), **options))

    return step


def with_block(asked, code, block, **options):
    return messages.response(asked, code, options=[(OptionNumber.BLOCK1, block_value(*block))], **options)


def block_value(num, more, szx):
    value = num << 4 | more << 3 | szx
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def too_large(szx):
    """4.13 that says how large a block may be."""
    return lambda talk: talk.send(with_block(talk.asked, "4.13", (0, False, szx)))


def blocks():
    registering = [TRIGGER, update(), reply("4.04"), register()]
    again = [register(), reply("2.01", location=("rd", "x"))]
    middle = [
        ("RST", reject()),
        ("4.04", reply("4.04")),
        ("4.08", reply("4.08")),
        ("5.00", reply("5.00")),
    ]
    return [
        own(
            "BLK-22 BLK-20",
            "a Register that is too large for the server comes in blocks",
            registering,
            too_large(2),
            takes_blocks(2),
            TRIGGER,
            update(),
            reply("2.04"),
        ),
        own(
            "BLK-20",
            "a smaller size in the answer to the first block holds from the next on",
            registering,
            too_large(2),
            takes_blocks(2, shrink=0),
            TRIGGER,
            update(),
            reply("2.04"),
        ),
        own(
            "BLK-23",
            "requests between the blocks of a Register are served",
            registering,
            too_large(2),
            takes_blocks(2, stop_at=64, stop=lambda talk: None),
            get("/3/0/16", accept=TEXT),
            answer("2.05", TEXT, b"U"),
            lambda talk: talk.send(with_block(talk.asked, "2.31", (0, True, 2))),
            takes_the_rest(2, 64),
            TRIGGER,
            update(),
            reply("2.04"),
        ),
        *(
            own(
                "BLK-21",
                f"{what} to the {NTH[octet]} block of an Update: it has failed, and a Register follows",
                new_instance(number),
                update(format=LINK),
                too_large(0),
                takes_blocks(0, end="2.04", path=None, stop_at=octet, stop=stop),
                again,
                old_instance(number),
            )
            for number, (octet, (what, stop)) in enumerate(
                [
                    (1, middle[0]),
                    (1, middle[1]),
                    (17, middle[0]),
                    (17, middle[1]),
                    (17, middle[2]),
                    (17, middle[3]),
                    (LAST, middle[0]),
                    (LAST, middle[3]),
                ]
            )
        ),
    ]


def takes_the_rest(szx, octets):
    def step(talk):
        size, seen = szx, octets
        while True:
            asked = talk.take("a block of the Register", lambda received: received.path == "/rd")
            block = asked.message.opt.block1
            if block is None or block.start != seen:
                raise Failure(f"the block is {block}, after {seen} octets")
            seen += len(asked.message.payload)
            if not block.more:
                break
            talk.send(with_block(asked, "2.31", (block.block_number, True, size)))
        talk.send(with_block(asked, "2.01", (block.block_number, False, size), location_path=tuple(talk.location)))

    return step


def new_instance(number):
    payload = instance(100 + number, multiple(0, {0: b"x"}))
    return [post("/16", content_format=TLV, payload=payload), answer("2.01", location_path=("16", str(100 + number)))]


def old_instance(number):
    return [delete(f"/16/{100 + number}"), answer("2.02"), update(format=LINK), reply("2.04")]


def disables():
    return [
        own(
            "DER-02 EX-05",
            "Disable: 2.04, De-register, deaf and silent for the time that was set, then Register",
            put("/1/0/5", content_format=TEXT, payload=b"2"),
            answer("2.04"),
            post("/1/0/4"),
            answer("2.04"),
            request_of_gateway("DELETE", None),
            earlier(lambda received: received.code == "2.04", lambda received: received.code == "0.04"),
            reply("2.02"),
            mark("disabled"),
            get("/3/0/16", accept=TEXT),
            lambda talk: nothing_for(talk, 1.0),
            register(),
            took("disabled", 1.5, 4.0),
            reply("2.01", location=("rd", "x")),
        ),
    ]


def nothing_for(talk, seconds):
    """Not even a ping is answered."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        talk.pump(until - time.monotonic())
    if talk.inbox:
        raise Failure(f"not deaf: {[str(received) for received in talk.inbox]}")


def refusals():
    """A Register that fails is not tried again in haste; the gateway is started anew after each."""
    cases = [
        ("REG-17 RTY-10", "4.00 to a Register", reply("4.00")),
        ("REG-17", "4.03 to a Register", reply("4.03")),
        ("REG-17", "4.12 to a Register", reply("4.12")),
        ("REG-17", "5.00 to a Register", reply("5.00")),
        ("REG-16", "2.01 without a location", reply("2.01")),
        ("REG-01 COAP-17", "RST to a Register", reject()),
        ("REG-01", "2.05 to a Register", reply("2.05", payload=b"x")),
    ]
    return [
        own(ids, f"{what}: no registration, and no haste", restart(), register(), step, quiet(2.5))
        for ids, what, step in cases
    ] + [
        own(
            "REG-01 COAP-13",
            "a gateway that is started anew and whose first Register is lost sends it again",
            restart(),
            register(),
            repeated(),
            reply("2.01", location=("rd", "x")),
            TRIGGER,
            update(),
            reply("2.04"),
        )
    ]


def ends():
    return [
        own(
            "DER-01 DER-04 UPD-13",
            "told to end, the gateway de-registers, and a refusal is the end as well",
            terminate(),
            request_of_gateway("DELETE", None),
            reply("4.04"),
            ended(),
        ),
    ]
