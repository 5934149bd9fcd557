"""Device management (LwM2M Core 1.1.1 §6.3): which operation, on what, and what is refused."""

from messages import LINK, OPAQUE, TEXT, TLV
from payloads import holds, lacks, lists
from steps import Row, answer, delete, get, ordered, post, put


def rows(_talk):
    return [*paths(), *reads(), *writes(), *executes()]


def paths():
    return [
        Row(
            "DM-02",
            "no operation but the composite ones is for the root",
            get("/"),
            answer("4.05"),
            put("/", content_format=TLV),
            answer("4.05"),
            post("/"),
            answer("4.05"),
            delete("/"),
            answer("4.05"),
        ),
        Row("DM-03", "five segments name nothing", get("/3/0/11/0/0"), answer("4.04")),
        Row("DM-04", "a segment that is no number names nothing", get("/three/0"), answer("4.04")),
        Row("DM-04", "a leading zero is no number", get("/03/0"), answer("4.04"), get("/3/00"), answer("4.04")),
        Row("DM-04", "a sign is no number", get("/3/-1"), answer("4.04"), get("/3/+0"), answer("4.04")),
        Row(
            "DM-05",
            "65535 names nothing",
            get("/65535"),
            answer("4.04"),
            get("/3/65535"),
            answer("4.04"),
            get("/3/0/65535"),
            answer("4.04"),
        ),
        Row(
            "DM-04",
            "a number beyond 16 bits names nothing",
            get("/65536"),
            answer("4.04"),
            get("/99999999999999999999"),
            answer("4.04"),
        ),
        Row(
            "DM-06",
            "an object, an instance, a resource that is not there",
            get("/9999"),
            answer("4.04"),
            get("/3/1"),
            answer("4.04"),
            get("/3/0/9999"),
            answer("4.04"),
        ),
        Row(
            "DM-06",
            "writes and executes of what is not there",
            put("/9999/0", content_format=TLV),
            answer("4.04"),
            post("/3/0/9999"),
            answer("4.04"),
            delete("/3303/77"),
            answer("4.04"),
        ),
        Row(
            "DM-07",
            "the Security object answers 4.01 to everything",
            get("/0"),
            answer("4.01"),
            get("/0/1/0"),
            answer("4.01"),
            put("/0/1/0", content_format=TEXT, payload=b"x"),
            answer("4.01"),
            post("/0", content_format=TLV),
            answer("4.01"),
            delete("/0/1"),
            answer("4.01"),
            get("/0", accept=LINK),
            answer("4.01"),
            get("/0", observe=0),
            answer("4.01"),
        ),
        Row("DM-07", "so does OSCORE", get("/21/0"), answer("4.01")),
        Row(
            "DM-09",
            "an executable resource cannot be read or written",
            get("/3/0/4"),
            answer("4.05"),
            put("/3/0/4", content_format=TEXT, payload=b"1"),
            answer("4.05"),
        ),
        Row(
            "DM-09",
            "a readable resource cannot be written or executed",
            put("/3/0/16", content_format=TEXT, payload=b"T"),
            answer("4.05"),
            post("/3/0/16"),
            answer("4.05"),
            get("/3/0/16", accept=TEXT),
            answer("2.05", TEXT, b"U"),
        ),
        Row(
            "DM-10",
            "a format that is not known: 4.06 for Accept, 4.15 for Content-Format",
            get("/3/0", accept=65000),
            answer("4.06"),
            put("/1/0/1", content_format=65000, payload=b"1"),
            answer("4.15"),
        ),
        Row(
            "DM-10",
            "link format is no format to write in",
            put("/1/0", content_format=LINK, payload=b"</1/0>"),
            answer("4.15"),
        ),
    ]


def reads():
    return [
        Row(
            "RD-08",
            "one value's format for more than one value: 4.06",
            get("/3/0", accept=TEXT),
            answer("4.06"),
            get("/3", accept=TEXT),
            answer("4.06"),
            get("/3/0/11", accept=TEXT),
            answer("4.06"),
        ),
        Row("RD-09", "octets of what is not Opaque: 4.06", get("/3/0/16", accept=OPAQUE), answer("4.06")),
        Row(
            "RD-04",
            "an instance without what cannot be read, and without what has no value",
            get("/3416/0", accept=TLV),
            answer("2.05", TLV, body=lacks("/3416/0/4")),
            get("/1/0", accept=TLV),
            answer("2.05", TLV, body=lacks("/1/0/4", "/1/0/8")),
        ),
        Row("RD-02", "a single resource without Accept comes as text", get("/3/0/16"), answer("2.05", TEXT, b"U")),
        Row("RD-07", "an optional resource without a value: 4.04", get("/3303/0/5601"), answer("4.04")),
        Row(
            "RD-01 TLV-04",
            "an object as TLV holds its instances",
            get("/1", accept=TLV),
            answer("2.05", TLV, body=holds("/1", {"/1/0/0": 1, "/1/0/7": "U"}, only=False)),
        ),
        Row(
            "TLV-05",
            "a multiple-instance resource is a multiple-resource TLV also with one instance",
            get("/3/0/11", accept=TLV),
            answer("2.05", TLV, bytes.fromhex("83 0b 41 00 00")),
        ),
        Row(
            "DSC-01 DSC-05",
            "Discover of an object lists what is there",
            get("/3303", accept=LINK),
            answer("2.05", LINK, body=lists("</3303>;ver=1.1", "</3303/0>", "</3303/0/5700>", first="</3303>;ver=1.1")),
        ),
        Row(
            "DSC-01",
            "Discover of an instance",
            get("/3303/0", accept=LINK),
            answer("2.05", LINK, body=lists("</3303/0>", "</3303/0/5700>", first="</3303/0>", without=["</3303>"])),
        ),
        Row(
            "DSC-02",
            "Discover also lists what cannot be read",
            get("/3/0", accept=LINK),
            answer("2.05", LINK, body=lists("</3/0/4>")),
        ),
        Row(
            "DSC-04",
            "Discover tells the number of a resource's instances",
            get("/3/0/11", accept=LINK),
            answer("2.05", LINK, b"</3/0/11>;dim=1,</3/0/11/0>"),
        ),
        Row("DSC-01", "Discover of a resource instance: 4.05", get("/3/0/11/0", accept=LINK), answer("4.05")),
    ]


def writes():
    dim = "lamps/l1/set"
    return [
        Row(
            "WR-03",
            "a Write of a mapped resource is published and then read",
            put("/3416/0/1", content_format=TEXT, payload=b"55"),
            answer("2.04"),
            ordered(dim, '{"dim": 55}'),
            get("/3416/0/1", accept=TEXT),
            answer("2.05", TEXT, b"55"),
        ),
        Row(
            "TXT-02",
            "text that is no number",
            *[
                step
                for bad in (b"", b" 5", b"5 ", b"0x5", b"5.5", b"1e2", b"--5", b"\xff", b"99999999999999999999")
                for step in (put("/3416/0/1", content_format=TEXT, payload=bad), answer("4.00"))
            ],
            ordered(dim, ""),
        ),
        Row(
            "DM-11 TYP-03",
            "a number outside the range of the registry",
            put("/3416/0/1", content_format=TEXT, payload=b"101"),
            answer("4.00"),
            put("/3416/0/1", content_format=TEXT, payload=b"-1"),
            answer("4.00"),
            ordered(dim, ""),
        ),
        Row(
            "WR-07",
            "another resource in the payload than in the path",
            put("/3416/0/1", content_format=TLV, payload=bytes.fromhex("c1 04 19")),
            answer("4.00"),
            ordered(dim, ""),
        ),
        Row(
            "WR-08",
            "one value sent as a multiple-resource TLV",
            put("/3416/0/1", content_format=TLV, payload=bytes.fromhex("83 01 41 00 19")),
            answer("4.00"),
            ordered(dim, ""),
        ),
        Row(
            "WR-06 WR-05",
            "a read-only resource in an instance Write spoils the whole",
            post("/3416/0", content_format=TLV, payload=bytes.fromhex("c1 01 19 c1 03 19")),
            answer("4.05"),
            ordered(dim, ""),
        ),
        Row(
            "WR-05",
            "one bad value in an instance Write spoils the whole",
            post("/3416/0", content_format=TLV, payload=bytes.fromhex("c1 01 19 c1 04 7f")),
            answer("4.00"),
            ordered(dim, ""),
        ),
        Row(
            "WR-10",
            "text on an instance: 4.00; TLV of no octets changes nothing",
            post("/3416/0", content_format=TEXT, payload=b"5"),
            answer("4.00"),
            post("/3416/0", content_format=TLV),
            answer("2.04"),
            ordered(dim, ""),
        ),
        Row(
            "WR-11",
            "octets for what is not Opaque",
            put("/3416/0/1", content_format=OPAQUE, payload=b"\x05"),
            answer("4.00"),
            ordered(dim, ""),
        ),
        Row(
            "WR-09",
            "an unknown resource is ignored beside others, and missed alone",
            post("/3416/0", content_format=TLV, payload=bytes.fromhex("c1 01 38 e1 13 88 01")),
            answer("2.04"),
            ordered(dim, '{"dim": 56}'),
            put("/3416/0/5000", content_format=TEXT, payload=b"1"),
            answer("4.04"),
        ),
        Row(
            "TLV-07",
            "TLVs that promise more than there is",
            *[
                step
                for bad in (
                    "c8 01",
                    "c8 01 05 01",
                    "c4 01 00",
                    "e1 01",
                    "d0 01 ff",
                    "d8 01 ff ff ff",
                    "08 00 ff c1 01 05",
                    "83 01 41 00",
                    "ff",
                )
                for step in (post("/3416/0", content_format=TLV, payload=bytes.fromhex(bad), odd=True), answer("4.00"))
            ],
            ordered(dim, ""),
        ),
        Row(
            "TLV-03",
            "integers of a length that is none",
            *[
                step
                for bad in ("c3 01 00 00 05", "c5 01 00 00 00 00 05", "c0 01")
                for step in (put("/3416/0/1", content_format=TLV, payload=bytes.fromhex(bad), odd=True), answer("4.00"))
            ],
            ordered(dim, ""),
        ),
        Row(
            "TLV-02",
            "lengths written longer than needed are read",
            put("/3416/0/1", content_format=TLV, payload=bytes.fromhex("d0 01 00 01 39")),
            answer("2.04"),
            ordered(dim, '{"dim": 57}'),
            put("/3416/0/1", content_format=TLV, payload=bytes.fromhex("e8 00 01 08 00 00 00 00 00 00 00 3a")),
            answer("2.04"),
            ordered(dim, '{"dim": 58}'),
        ),
    ]


def executes():
    return [
        Row(
            "EX-03",
            "arguments against the grammar",
            *[
                step
                for bad in (b",", b"5,", b"a", b"10", b"0=5", b"0='", b"0='a b'", b"0='a\\b'", b"5='a''b'", b"\xff")
                for step in (post("/1/0/8", content_format=TEXT, payload=bad), answer("4.00"))
            ],
        ),
        Row(
            "EX-04",
            "what is not executable, what is not there, what is no resource",
            post("/3/0/16"),
            answer("4.05"),
            post("/3/0/99"),
            answer("4.04"),
            post("/3/0"),
            answer("4.00"),
            post("/3/0/11/0"),
            answer("4.05"),
        ),
        Row(
            "EX-01",
            "arguments in another format than text",
            post("/1/0/8", content_format=TLV, payload=b"5", odd=True),
            answer("4.15"),
        ),
    ]
