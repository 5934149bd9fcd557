"""Block-wise transfer (RFC 7959), in both directions.

What is written and read in blocks is /19/1, an instance that the rows create: 600 octets of its own making in /19/1/0/0.
"""

from messages import OPAQUE, TEXT, TLV
from payloads import instance, multiple
from steps import (
    Failure,
    Row,
    again,
    answer,
    cancelled,
    delete,
    get,
    notification,
    octets,
    post,
    put,
    reset,
    same,
    send,
    silence,
)

DATA = "/19/1/0/0"
BODY = bytes(index * 7 & 0xFF for index in range(600))
OTHER = bytes(index * 11 & 0xFF for index in range(600))
# More than any datagram on Ethernet takes.
LONG = (BODY + OTHER + BODY)[:1700]
WHOLE = multiple(0, {0: BODY})


def rows(_talk):
    return [create(), *writes(), *reads(), gone()]


def create():
    return Row(
        "CR-01 CR-02 BLK-08",
        "an instance of 600 octets is created in one datagram",
        post("/19", content_format=TLV, payload=instance(1, WHOLE)),
        answer("2.01", location_path=("19", "1")),
        holds_body(BODY),
    )


def gone():
    return Row("DL-01", "the instance of the block-wise rows is deleted", delete("/19/1"), answer("2.02"))


def holds_body(body):
    """A read in one go, or in as many blocks as the gateway makes."""

    def step(talk):
        found, num = b"", 0
        while True:
            get(DATA, accept=OPAQUE, block2=(num, False, 6) if num else None)(talk)
            answer("2.05", OPAQUE, ..., block2=...)(talk)
            message = talk.answer.message
            found += message.payload
            if message.opt.block2 is None or not message.opt.block2.more:
                break
            num += 1
        if found != body:
            raise Failure(f"{DATA} holds {found.hex()}")

    return step


def block(num, more, szx, body=BODY, *, path=DATA, method="PUT", format=OPAQUE, name=None, **options):
    """One block of a Write, cut from the body."""
    size = 16 << szx
    payload = options.pop("payload", body[num * size : (num + 1) * size])
    return send(method, path, name=name, content_format=format, block1=(num, more, szx), payload=payload, **options)


def continues(num, szx):
    return answer("2.31", block1=(num, True, szx))


def written(szx, body=BODY, *, last="2.04", path=DATA, method="PUT", format=OPAQUE, **options):
    """A whole Write in blocks of this size."""
    size = 16 << szx
    count = -(-len(body) // size)
    for num in range(count):
        more = num + 1 < count
        yield block(num, more, szx, body, path=path, method=method, format=format)
        yield continues(num, szx) if more else answer(last, block1=(num, False, szx), **options)


def writes():
    sizes = [
        Row(
            "BLK-02 BLK-08",
            f"a Write in blocks of {16 << szx}",
            written(szx, OTHER),
            holds_body(OTHER),
            written(szx, BODY),
            holds_body(BODY),
        )
        for szx in range(7)
    ]
    refused = [
        Row(
            "BLK-03", "a first block with a number above 0", block(1, True, 2), answer("4.08", block1=..., payload=...)
        ),
        Row(
            "BLK-04",
            "a gap ends the transfer",
            block(0, True, 4),
            continues(0, 4),
            block(2, False, 4),
            answer("4.08", block1=..., payload=...),
            block(1, True, 4),
            answer("4.08", block1=..., payload=...),
            holds_body(BODY),
        ),
        Row(
            "BLK-06",
            "a block that is shorter than it says",
            block(0, True, 4, payload=b"x" * 255),
            answer("4.00", block1=..., payload=...),
            holds_body(BODY),
        ),
        Row(
            "BLK-06",
            "a block that is longer than it says",
            block(0, True, 2, payload=b"x" * 65),
            answer("4.00", block1=..., payload=...),
            holds_body(BODY),
        ),
        Row(
            "BLK-06",
            "blocks that grow in the middle",
            block(0, True, 2),
            continues(0, 2),
            block(1, True, 4),
            take_code("4.00", "4.08"),
            holds_body(BODY),
        ),
        Row(
            "BLK-01",
            "block size 7 means nothing over UDP",
            block(0, True, 7, payload=BODY, odd=True),
            answer("4.00", block1=..., payload=...),
            get(DATA, accept=OPAQUE, block2=(0, False, 7), odd=True),
            answer("4.00", block2=..., payload=...),
        ),
        Row(
            "BLK-01 COAP-22",
            "a block option of four octets, and two block options",
            put(DATA, content_format=OPAQUE, payload=b"x" * 16, options=[(27, b"\0\0\0\x08")], odd=True),
            take_code("4.00", "4.02"),
            put(DATA, content_format=OPAQUE, payload=b"x" * 16, options=[(27, b"\x08"), (27, b"\x08")], odd=True),
            take_code("4.00", "4.02"),
            holds_body(BODY),
        ),
        Row(
            "BLK-09",
            "a body without end is refused before it fills the memory",
            endless(),
            holds_body(BODY),
        ),
        Row(
            "BLK-09",
            "a body that says it will be too long",
            block(0, True, 6, body=bytes(1024), size1=50_000_000),
            take_code("4.13"),
            holds_body(BODY),
        ),
    ]
    return [
        *sizes,
        *refused,
        Row(
            "BLK-05 COAP-07",
            "each block comes twice: the same answers, and the body is right",
            [
                [
                    block(num, num < 2, 4, OTHER),
                    continues(num, 4) if num < 2 else answer("2.04", block1=(num, False, 4)),
                    again(),
                    same(),
                ]
                for num in range(3)
            ],
            holds_body(OTHER),
            written(5, BODY),
        ),
        Row(
            "BLK-25 BLK-10",
            "a Write in blocks is not seen before its end, and other requests are served in between",
            block(0, True, 4, OTHER),
            continues(0, 4),
            holds_body(BODY),
            get("/3/0/16", accept=TEXT),
            answer("2.05", TEXT, b"U"),
            block(1, True, 4, OTHER),
            continues(1, 4),
            holds_body(BODY),
            block(2, False, 4, OTHER),
            answer("2.04", block1=(2, False, 4)),
            holds_body(OTHER),
            written(5, BODY),
        ),
        Row(
            "COAP-03 BLK-10",
            "a ping between two blocks",
            block(0, True, 4, OTHER),
            continues(0, 4),
            octets("40 00 mid"),
            reset(),
            block(1, True, 4, OTHER),
            continues(1, 4),
            block(2, False, 4, OTHER),
            answer("2.04", block1=(2, False, 4)),
            holds_body(OTHER),
            written(5, BODY),
        ),
        Row(
            "BLK-02",
            "a transfer that begins again starts from nothing",
            block(0, True, 4, OTHER),
            continues(0, 4),
            block(1, True, 4, OTHER),
            continues(1, 4),
            written(4, BODY),
            holds_body(BODY),
        ),
        Row(
            "BLK-08",
            "a body that is one block",
            block(0, False, 6, b"short"),
            answer("2.04", block1=(0, False, 6)),
            holds_body(b"short"),
            written(5, BODY),
        ),
        Row(
            "BLK-02",
            "blocks of two Writes to two paths, by turns",
            block(0, True, 4, OTHER),
            continues(0, 4),
            put("/1/0/1", content_format=TEXT, block1=(0, True, 0), payload=b"0" * 16),
            continues(0, 0),
            block(1, True, 4, OTHER),
            continues(1, 4),
            put("/1/0/1", content_format=TEXT, block1=(1, False, 0), payload=b"3600"),
            answer("2.04", block1=(1, False, 0)),
            block(2, False, 4, OTHER),
            answer("2.04", block1=(2, False, 4)),
            holds_body(OTHER),
            written(5, BODY),
        ),
        Row(
            "BLK-02 DM-11",
            "what is wrong with the whole is said at the end",
            written(5, bytes(600), path="/19/1", format=TLV, last="4.00"),
            holds_body(BODY),
        ),
        Row(
            "BLK-08",
            "TLV cut anywhere: an instance Write in blocks of 16",
            written(0, multiple(0, {0: OTHER}), path="/19/1", format=TLV),
            holds_body(OTHER),
            written(0, WHOLE, path="/19/1", format=TLV),
            holds_body(BODY),
        ),
        Row(
            "BLK-02",
            "a transfer that nobody ends costs the next one nothing",
            block(0, True, 4, OTHER),
            continues(0, 4),
            block(0, True, 4, OTHER, path="/19/1/0"),
            take_code("2.31", "4.00", "4.15", "5.03"),
            written(6, BODY),
            holds_body(BODY),
        ),
    ]


def take_code(*codes):
    def step(talk):
        sent = talk.last
        talk.answer = talk.take(
            " or ".join(codes), lambda received: received.token == sent.token and received.code in codes
        )

    return step


def endless():
    """Blocks until they are refused: 64 KiB are enough for anything that is written here."""

    def step(talk):
        for num in range(80):
            block(num, True, 6, payload=bytes(1024))(talk)
            take_code("2.31", "4.13")(talk)
            if talk.answer.code == "4.13":
                return
        raise Failure("80 KiB were taken, and there is no end")

    return step


def part(num, szx, *, more, name=None):
    """One block of a Read in blocks of this size."""
    size = 16 << szx
    return [
        get(DATA, accept=OPAQUE, block2=(num, False, szx), name=name),
        answer("2.05", OPAQUE, BODY[num * size : (num + 1) * size], block2=(num, more, szx), etag=True),
    ]


def reads():
    def count(szx):
        return -(-len(BODY) // (16 << szx))

    return [
        *(
            Row(
                "BLK-12 BLK-13",
                f"a Read in blocks of {16 << szx}",
                [part(num, szx, more=num + 1 < count(szx)) for num in range(count(szx))],
            )
            for szx in (0, 2, 5)
        ),
        Row(
            "BLK-12",
            "blocks asked for out of order",
            [part(num, 3, more=num < 4) for num in (0, 4, 2, 1, 3)],
        ),
        Row(
            "BLK-16",
            "the first request once more, and the transfer goes on",
            part(0, 4, more=True),
            again(),
            same(),
            part(1, 4, more=True),
            again(),
            same(),
            part(2, 4, more=False),
        ),
        Row(
            "BLK-13",
            "a smaller size in the middle, counted in the new size",
            part(0, 5, more=True),
            part(8, 2, more=True),
            part(9, 2, more=False),
        ),
        Row(
            "BLK-15",
            "a block behind the end",
            part(0, 5, more=True),
            get(DATA, accept=OPAQUE, block2=(2, False, 5)),
            answer("4.02", block2=..., payload=...),
            get(DATA, accept=OPAQUE, block2=(0xFFFFF, False, 5)),
            answer("4.02", block2=..., payload=...),
        ),
        Row(
            "BLK-14 COAP-34",
            "all blocks are of one moment, although the value changes meanwhile",
            part(0, 4, more=True),
            put(DATA, content_format=OPAQUE, payload=OTHER),
            answer("2.04"),
            part(1, 4, more=True),
            part(2, 4, more=False),
            get(DATA, accept=OPAQUE, block2=(0, False, 4)),
            answer("2.05", OPAQUE, OTHER[:256], block2=(0, True, 4), etag=True),
            put(DATA, content_format=OPAQUE, payload=BODY),
            answer("2.04"),
        ),
        Row(
            "BLK-12 COAP-07",
            "blocks under tokens of their own, by turns with another Read",
            part(0, 4, more=True, name="first"),
            get("/3/0/16", accept=TEXT),
            answer("2.05", TEXT, b"U"),
            part(1, 4, more=True),
            get("/3/0/17", accept=TEXT),
            answer("2.05", TEXT, b"NB-IoT gateway"),
            part(2, 4, more=False),
        ),
        Row(
            "BLK-13",
            "a value that fits has Block2 without more to come",
            get("/3/0/16", accept=TEXT, block2=(0, False, 2)),
            answer("2.05", TEXT, b"U", block2=(0, False, 2), etag=...),
        ),
        Row(
            "BLK-24",
            "an answer that is longer than a block is cut without being asked",
            written(6, LONG),
            get(DATA, accept=OPAQUE),
            answer("2.05", OPAQUE, LONG[:1024], block2=(0, True, 6), etag=True),
            get(DATA, accept=OPAQUE, block2=(1, False, 6)),
            answer("2.05", OPAQUE, LONG[1024:], block2=(1, False, 6), etag=True),
            put(DATA, content_format=OPAQUE, payload=BODY),
            answer("2.04"),
        ),
        Row(
            "BLK-17",
            "a long notification: the first block with Observe, the rest by Reads without, all of one moment",
            get(DATA, name="o", accept=OPAQUE, observe=0),
            answer("2.05", OPAQUE, BODY, observe=True),
            written(6, LONG),
            notification("o", "2.05", OPAQUE, LONG[:1024], block2=(0, True, 6), etag=True),
            get(DATA, accept=OPAQUE, block2=(1, False, 6)),
            answer("2.05", OPAQUE, LONG[1024:], block2=(1, False, 6), etag=True),
            put(DATA, name="w", content_format=OPAQUE, payload=BODY),
            answer("2.04", to="w"),
            notification("o", "2.05", OPAQUE, BODY),
            cancelled(DATA, "o", format=OPAQUE),
            silence(),
        ),
    ]
