"""Data formats (LwM2M Core 1.1.1 §7.4), read and written, well-formed and hostile.

Written to and read from are instances of objects that servers may create: /16/0 (text) and /19/0 (octets and numbers).
"""

import base64

import cbor2

from messages import CBOR, JSON, OLD_TLV, OPAQUE, TEXT, TLV
from payloads import holds, instance, multiple, single
from steps import Row, answer, delete, get, post, put

# FB EF FF 01: its base64 needs both special letters.
SPECIAL = bytes.fromhex("fbefff01")
HEADER = {"content_format": TLV}


def rows(_talk):
    return [begin(), *read(), *written(), *senml(), *hostile(), end()]


def begin():
    data = [
        multiple(0, {0: SPECIAL, 300: b""}),
        single(1, b"\x05"),
        single(2, (1767225600).to_bytes(4, "big")),
        single(3, b""),
        single(5, (300).to_bytes(2, "big")),
    ]
    return Row(
        "CR-01 TYP-01",
        "two instances to read and write",
        post("/19", **HEADER, payload=instance(0, *data)),
        answer("2.01", location_path=("19", "0")),
        post("/16", **HEADER, payload=instance(0, multiple(0, {0: 'é"\\\n'.encode()}))),
        answer("2.01", location_path=("16", "0")),
    )


def end():
    return Row(
        "DL-01",
        "the instances of these rows are deleted",
        delete("/19/0"),
        answer("2.02"),
        delete("/16/0"),
        answer("2.02"),
    )


ALL = {
    "/19/0/0/0": SPECIAL,
    "/19/0/0/300": b"",
    "/19/0/1": 5,
    "/19/0/2": 1767225600,
    "/19/0/3": "",
    "/19/0/5": 300,
}


def read():
    return [
        *(
            Row(
                f"RD-01 {ids}",
                f"an instance in format {format}: every value in its type",
                get("/19/0", accept=format),
                answer("2.05", format, body=holds("/19/0", ALL)),
            )
            for ids, format in (("TLV-03", TLV), ("TLV-08", OLD_TLV), ("SML-05 SML-06", JSON), ("SML-05 SML-07", CBOR))
        ),
        Row(
            "RD-03",
            "more than one value without Accept comes as SenML CBOR",
            get("/19/0"),
            answer("2.05", CBOR, body=holds("/19/0", ALL)),
        ),
        Row(
            "SML-12 RD-13",
            "no time in a plain Read; base name down to the instance, names below it",
            get("/19/0/5", accept=JSON),
            answer("2.05", JSON, b'[{"bn":"/19/0/5","v":300}]'),
            get("/19/0", accept=CBOR),
            answer("2.05", CBOR, body=names("/19/0/", ["0/0", "0/300", "1", "2", "3", "5"])),
        ),
        Row(
            "RD-12 RD-10",
            "one resource instance in text, octets, TLV and SenML",
            get("/19/0/0/0", accept=OPAQUE),
            answer("2.05", OPAQUE, SPECIAL),
            get("/19/0/0/0", accept=TEXT),
            answer("2.05", TEXT, b"++//AQ=="),
            get("/19/0/0/0", accept=CBOR),
            answer("2.05", CBOR, body=holds("/19/0/0/0", {"/19/0/0/0": SPECIAL})),
            get("/19/0/0/0", accept=JSON),
            answer("2.05", JSON, b'[{"bn":"/19/0/0/0","vd":"--__AQ"}]'),
            get("/19/0/0/7", accept=OPAQUE),
            answer("4.04"),
        ),
        Row(
            "RD-11",
            "values of no octets are values",
            get("/19/0/3", accept=TEXT),
            answer("2.05", TEXT, b""),
            get("/19/0/0/300", accept=OPAQUE),
            answer("2.05", OPAQUE, b""),
            get("/19/0/0/300", accept=TEXT),
            answer("2.05", TEXT, b""),
        ),
        Row(
            "RD-02",
            "one value without Accept: text, and octets as octets",
            get("/19/0/5"),
            answer("2.05", TEXT, b"300"),
            get("/19/0/0/0"),
            answer("2.05", OPAQUE, SPECIAL),
        ),
        Row(
            "RD-05",
            "an object without instances: the empty document of each format",
            delete("/16/0"),
            answer("2.02"),
            get("/16", accept=TLV),
            answer("2.05", TLV, b""),
            get("/16", accept=JSON),
            answer("2.05", JSON, b"[]"),
            get("/16", accept=CBOR),
            answer("2.05", CBOR, b"\x80"),
            post("/16", **HEADER, payload=instance(0, multiple(0, {0: b"again"}))),
            answer("2.01", location_path=("16", "0")),
        ),
    ]


def names(base, wanted):
    """A check: SenML CBOR with this base name, once, and these names in this order."""

    def check(received):
        records = cbor2.loads(received.message.payload)
        found = [record.get(-2) for record in records], [record.get(0) for record in records]
        return None if found == ([base] + [None] * (len(records) - 1), wanted) else f"{found}"

    return check


def write(path, format, payload, *, method=put, code="2.04", **more):
    return [method(path, content_format=format, payload=payload, **more), answer(code)]


def is_now(path, text):
    return [get(path, accept=TEXT), answer("2.05", TEXT, text)]


def written():
    return [
        Row(
            "TXT-01",
            "text of each type",
            write("/19/0/5", TEXT, b"65535"),
            is_now("/19/0/5", b"65535"),
            write("/19/0/2", TEXT, b"-1767225601"),
            is_now("/19/0/2", b"-1767225601"),
            write("/19/0/3", TEXT, "grün".encode()),
            is_now("/19/0/3", "grün".encode()),
            write("/1/0/6", TEXT, b"0"),
            is_now("/1/0/6", b"0"),
            write("/1/0/6", TEXT, b"1"),
        ),
        Row("WR-12", "empty text empties a string", write("/19/0/3", TEXT, b""), is_now("/19/0/3", b"")),
        Row(
            "TXT-02",
            "text that is no Boolean, no base64, no UTF-8",
            [write("/1/0/6", TEXT, bad, code="4.00") for bad in (b"", b"2", b"true", b"1 ")],
            [write("/19/0/0/0", TEXT, bad, code="4.00") for bad in (b"A", b"AB", b"AB=", b"A===", b"AB C", b"_-==")],
            write("/19/0/3", TEXT, b"\xff\xfe", code="4.00"),
            is_now("/19/0/0/0", b"++//AQ=="),
        ),
        Row(
            "TXT-03",
            "base64 of any length",
            [
                [
                    write("/19/0/0/0", TEXT, base64.b64encode(body)),
                    get("/19/0/0/0", accept=OPAQUE),
                    answer("2.05", OPAQUE, body),
                ]
                for body in (b"", b"a", b"ab", b"abc", b"abcd", bytes(range(256)))
            ],
        ),
        Row(
            "OPQ-01",
            "octets as they are, none included",
            write("/19/0/0/0", OPAQUE, b""),
            get("/19/0/0/0", accept=OPAQUE),
            answer("2.05", OPAQUE, b""),
            write("/19/0/0/0", OPAQUE, SPECIAL),
            get("/19/0/0/0", accept=OPAQUE),
            answer("2.05", OPAQUE, SPECIAL),
        ),
        Row(
            "TLV-08",
            "TLV under its old number is written, too",
            write("/19/0/5", OLD_TLV, single(5, b"\x07")),
            is_now("/19/0/5", b"7"),
        ),
        Row(
            "TYP-03",
            "sizes of the registry: a byte, two bytes, 32 bytes of text",
            write("/19/0/1", TEXT, b"127"),
            [write("/19/0/1", TEXT, bad, code="4.00") for bad in (b"256", b"100000")],
            write("/19/0/3", TEXT, b"x" * 32),
            write("/19/0/3", TEXT, b"x" * 33, code="4.00"),
            is_now("/19/0/3", b"x" * 32),
        ),
        Row(
            "WR-02",
            "POST on an instance changes what it names, resource instances too, and leaves the rest",
            write("/19/0", TLV, multiple(0, {1: b"one"}) + single(5, b"\x09"), method=post),
            get("/19/0/0", accept=TLV),
            answer("2.05", TLV, body=holds("/19/0/0", {"/19/0/0/0": SPECIAL, "/19/0/0/1": b"one", "/19/0/0/300": b""})),
            is_now("/19/0/5", b"9"),
            is_now("/19/0/2", b"-1767225601"),
        ),
        Row(
            "WR-03",
            "PUT on a multiple-instance resource leaves only what it names, or nothing",
            write("/19/0/0", TLV, multiple(0, {2: b"two"})),
            get("/19/0/0", accept=TLV),
            answer("2.05", TLV, body=holds("/19/0/0", {"/19/0/0/2": b"two"})),
            write("/19/0/0", TLV, multiple(0, {})),
            get("/19/0/0", accept=TLV),
            answer("2.05", TLV, bytes.fromhex("8000")),
        ),
        Row(
            "WR-01",
            "PUT on an instance takes away what it does not name; without the mandatory resource it is refused",
            write("/19/0", TLV, single(5, b"\x01"), code="4.00"),
            is_now("/19/0/5", b"9"),
            write("/19/0", TLV, multiple(0, {0: SPECIAL}) + single(5, b"\x0a")),
            get("/19/0", accept=TLV),
            answer("2.05", TLV, body=holds("/19/0", {"/19/0/0/0": SPECIAL, "/19/0/5": 10})),
            get("/19/0/1"),
            answer("4.04"),
        ),
        Row(
            "WR-04",
            "PUT on a resource instance: one that is there, and one that is not",
            write("/19/0/0/0", OPAQUE, b"zero"),
            write("/19/0/0/9", OPAQUE, b"nine", code="4.04"),
            write("/19/0/0/0", OPAQUE, SPECIAL),
        ),
        Row(
            "DM-05",
            "65535 in a payload",
            write("/19/0", TLV, bytes.fromhex("e1 ff ff 05"), method=post, code="4.00"),
            write("/19/0", TLV, bytes.fromhex("84 00 61 ff ff 05"), method=post, code="4.00"),
            write("/19/0", JSON, b'[{"bn":"/19/0/65535","v":1}]', method=post, code="4.00"),
        ),
        Row(
            "TLV-04",
            "an instance Write with the instance around its resources",
            write("/19/0", TLV, instance(0, single(5, b"\x0b")), method=post),
            is_now("/19/0/5", b"11"),
            write("/19/0", TLV, instance(1, single(5, b"\x0c")), method=post, code="4.00"),
        ),
    ]


def senml():
    def both(records):
        """The same records in JSON text and in CBOR."""
        labels = {"bn": -2, "bt": -3, "bver": -1, "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "vd": 8}
        return cbor2.dumps([{labels.get(key, key): value for key, value in record.items()} for record in records])

    def json_write(text, *, path="/19/0", code="2.04", method=post):
        return write(path, JSON, text.encode(), method=method, code=code)

    def cbor_write(records, *, path="/19/0", code="2.04", method=post):
        return write(path, CBOR, both(records), method=method, code=code)

    return [
        Row(
            "SML-01 SML-03",
            "base name and name, cut anywhere",
            json_write('[{"bn":"/19/0/","n":"5","v":12}]'),
            is_now("/19/0/5", b"12"),
            json_write('[{"bn":"/19/0","n":"/5","v":13}]'),
            is_now("/19/0/5", b"13"),
            json_write('[{"bn":"/1","n":"9/0/5","v":14}]'),
            is_now("/19/0/5", b"14"),
            json_write('[{"n":"/19/0/5","v":15}]'),
            is_now("/19/0/5", b"15"),
            json_write('[{"bn":"/19/0/5","v":16}]'),
            is_now("/19/0/5", b"16"),
            cbor_write([{"bn": "/19/0", "n": "/5", "v": 17}]),
            is_now("/19/0/5", b"17"),
        ),
        Row(
            "SML-02",
            "a base name holds until the next",
            cbor_write(
                [{"bn": "/19/0/", "n": "5", "v": 18}, {"n": "1", "v": 6}, {"bn": "/19/0/0/", "n": "0", "vd": b"x"}]
            ),
            is_now("/19/0/5", b"18"),
            is_now("/19/0/1", b"6"),
            get("/19/0/0/0", accept=OPAQUE),
            answer("2.05", OPAQUE, b"x"),
        ),
        Row(
            "SML-05 SML-06",
            "each kind of value in JSON",
            json_write(
                '[{"bn":"/19/0/","n":"0/0","vd":"--__AQ"},{"n":"2","v":1767225602},{"n":"3","vs":"\\u00e9\\ud83d\\ude00"}]'
            ),
            get("/19/0/0/0", accept=OPAQUE),
            answer("2.05", OPAQUE, SPECIAL),
            is_now("/19/0/3", "é😀".encode()),
            json_write('[{"bn":"/1/0/","n":"6","vb":true}]', path="/1/0"),
            json_write('[{"bn":"/19/0/0/0","vd":"-_8="}]'),
            get("/19/0/0/0", accept=OPAQUE),
            answer("2.05", OPAQUE, b"\xfb\xff"),
        ),
        Row(
            "SML-15",
            "JSON numbers of any shape",
            json_write('[{"bn":"/19/0/5","v":19.0}]'),
            is_now("/19/0/5", b"19"),
            json_write('[{"bn":"/19/0/5","v":2e1}]'),
            is_now("/19/0/5", b"20"),
            json_write('[{"bn":"/19/0/5","v":1.5}]', code="4.00"),
            json_write('[{"bn":"/19/0/2","v":9007199254740993}]'),
            is_now("/19/0/2", b"9007199254740993"),
        ),
        Row(
            "TYP-04",
            "the ends of 64 bits, without loss, in each format",
            [
                [
                    put("/19/0/2", content_format=TEXT, payload=str(value).encode()),
                    answer("2.04"),
                    [
                        [
                            get("/19/0/2", accept=format),
                            answer("2.05", format, body=holds("/19/0/2", {"/19/0/2": value})),
                        ]
                        for format in (TLV, JSON, CBOR)
                    ],
                ]
                for value in (2**63 - 1, -(2**63), 2**53 + 1)
            ],
            put("/19/0/2", content_format=TEXT, payload=b"0"),
            answer("2.04"),
        ),
        Row(
            "SML-13",
            "CBOR of indefinite length, in any order, in any width",
            write("/19/0", CBOR, bytes.fromhex("9f bf 02 18 15 21 67 2f31392f302f35 ff ff"), method=post),
            is_now("/19/0/5", b"21"),
            write(
                "/19/0", CBOR, bytes.fromhex("81 a2 02 1b 00 00 00 00 00 00 00 16 21 67 2f31392f302f35"), method=post
            ),
            is_now("/19/0/5", b"22"),
            write(
                "/19/0",
                CBOR,
                bytes.fromhex("81 a2 39 00 01 67 2f31392f302f35 02 fb 40 37 00 00 00 00 00 00"),
                method=post,
            ),
            is_now("/19/0/5", b"23"),
        ),
        Row(
            "SML-09",
            "fields that nobody knows are ignored, unless they must be understood",
            json_write('[{"bn":"/19/0/5","v":24,"x":{"y":[1]},"u":"m"}]'),
            is_now("/19/0/5", b"24"),
            json_write('[{"bn":"/19/0/5","v":25,"x_":1}]', code="4.00"),
            json_write('[{"bver":99,"bn":"/19/0/5","v":25}]', code="4.00"),
            is_now("/19/0/5", b"24"),
        ),
        Row(
            "SML-04",
            "a record with two values, with none, with null",
            json_write('[{"bn":"/19/0/5","v":1,"vs":"1"}]', code="4.00"),
            json_write('[{"bn":"/19/0/5"}]', code="4.00"),
            json_write('[{"bn":"/19/0/5","v":null}]', code="4.00"),
            cbor_write([{"bn": "/19/0/5", "v": 1, "vb": True}], code="4.00"),
            cbor_write([{"bn": "/19/0/5", "v": None}], code="4.00"),
            is_now("/19/0/5", b"24"),
        ),
        Row(
            "SML-11 WR-13",
            "names that are no path, too deep, outside the request's path",
            [
                json_write(f'[{{"bn":"{name}","v":1}}]', code="4.00")
                for name in (
                    "",
                    "19/0/5",
                    "/19/0/5/",
                    "/19//5",
                    "/19/0/5/0/0",
                    "/19/0/x",
                    "/19/0/65535",
                    "/16/0/0/0",
                    "/19/1/5",
                    "/",
                )
            ],
            json_write('[{"bn":"/19/0/5","v":1}]', path="/19/0/1", method=put, code="4.00"),
            json_write('[{"bn":"/19/0/0","vd":"AA"}]', code="4.00"),
            json_write('[{"bn":"/19/0","v":1}]', code="4.00"),
            is_now("/19/0/5", b"24"),
        ),
        Row(
            "WR-05 WR-13",
            "one bad record spoils the whole",
            json_write('[{"bn":"/19/0/","n":"5","v":30},{"n":"1","vs":"no number"}]', code="4.00"),
            cbor_write([{"bn": "/19/0/", "n": "5", "v": 30}, {"n": "1", "v": 100000}], code="4.00"),
            is_now("/19/0/5", b"24"),
        ),
        Row(
            "TYP-05",
            "no number at all",
            cbor_write([{"bn": "/19/0/5", "v": float("nan")}], code="4.00"),
            cbor_write([{"bn": "/19/0/5", "v": float("inf")}], code="4.00"),
            json_write('[{"bn":"/19/0/5","v":NaN}]', code="4.00"),
            json_write('[{"bn":"/19/0/5","v":1e400}]', code="4.00"),
        ),
    ]


def hostile():
    def refused(path, format, payloads):
        return [[post(path, content_format=format, payload=bad, odd=True), answer("4.00")] for bad in payloads]

    return [
        Row(
            "SML-16 WR-13",
            "text that is no SenML JSON",
            refused(
                "/19/0",
                JSON,
                [
                    b"",
                    b"{",
                    b"[",
                    b"[{]",
                    b"{}",
                    b"null",
                    b"[1]",
                    b'[{"bn":"/19/0/5","v":1}] x',
                    b'[{"bn":"/19/0/5","v":1}][]',
                    b'[{"bn":5,"v":1}]',
                    b'[{"bn":"/19/0/5","v":"1"}]',
                    b'[{"bn":"/19/0/3","vs":"\xff"}]',
                    b'[{"bn":"/19/0/3","vs":"\\ud83d"}]',
                    b'[{"bn":"/19/0/0/0","vd":"A"}]',
                    b"\xef\xbb\xbf[]x",
                ],
            ),
        ),
        Row(
            "SML-16",
            "JSON nested 500 deep",
            refused("/19/0", JSON, [b"[" * 500, b'[{"x":' + b"[" * 500 + b"]" * 500 + b"}]"]),
        ),
        Row(
            "SML-13 WR-13",
            "octets that are no SenML CBOR",
            refused(
                "/19/0",
                CBOR,
                [
                    b"",
                    b"\xa0",
                    b"\x81",
                    b"\x81\x01",
                    b"\xf6",
                    bytes.fromhex("81a2 2167 2f31392f302f35 02 01 00"),
                    bytes.fromhex("9f"),
                    bytes.fromhex("9fbf"),
                    bytes.fromhex("81a1 02"),
                    bytes.fromhex("81a2 2167 2f31392f302f35 02 1c"),
                    bytes.fromhex("81a2 2162 c328 02 01"),
                    bytes.fromhex("ff"),
                ],
            ),
        ),
        Row(
            "SML-13",
            "CBOR that promises 2^64 octets, records, fields",
            refused(
                "/19/0",
                CBOR,
                [
                    bytes.fromhex("9bffffffffffffffff"),
                    bytes.fromhex("81bbffffffffffffffff"),
                    bytes.fromhex("81a1 21 7bffffffffffffffff"),
                    bytes.fromhex("81a1 08 5bffffffffffffffff"),
                    bytes.fromhex("9b7fffffffffffffff a1"),
                    bytes.fromhex("81a1 08 5b00000000ffffffff 00"),
                ],
            ),
        ),
        Row(
            "SML-13",
            "CBOR nested 500 deep",
            refused("/19/0", CBOR, [b"\x81" * 500, b"\x81\xa1\x18\x63" + b"\x81" * 500 + b"\x01", b"\xd8\x20" * 300]),
        ),
        Row(
            "TLV-07",
            "TLV nested deeper than there are levels",
            refused("/19/0", TLV, [nested(12), bytes.fromhex("0003 0000"), bytes.fromhex("4100")]),
        ),
        Row(
            "DM-11",
            "after all that the instance is what it was",
            is_now("/19/0/5", b"24"),
        ),
    ]


def nested(depth):
    body = b""
    for _ in range(depth):
        body = instance(0, body)
    return body
