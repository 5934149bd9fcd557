"""What is different under LwM2M 1.0."""

from messages import OLD_TLV, TEXT, TLV
from payloads import holds
from steps import Row, answer, cancelled, get, notification, observe, post, publish, put, register, reply, update


def rows(_talk):
    return [
        Row(
            "REG-03 REG-06",
            "a Register names version 1.0 and the binding",
            post("/1/0/8"),
            answer("2.04"),
            update(),
            reply("4.04"),
            register(queries=["lwm2m=1.0", "ep=nbgate-odd", "lt=3600", "b=U"]),
            reply("2.01", location=("rd", "x")),
            own=True,
        ),
        Row(
            "RD-03",
            "more than one value without Accept comes as TLV",
            publish("sensors/kitchen", '{"t": 21.5}', shows=("/3303/0/5700", b"21.5")),
            get("/3303/0"),
            answer("2.05", TLV, body=holds("/3303/0", {"/3303/0/5700": 21.5})),
            get("/1"),
            answer("2.05", TLV, body=holds("/1", {"/1/0/0": 1, "/1/0/7": "U"}, only=False)),
        ),
        Row("RD-02", "one value without Accept comes as text", get("/3303/0/5700"), answer("2.05", TEXT, b"21.5")),
        Row(
            "TLV-08 OBS-02",
            "notifications under the old number of TLV",
            observe("/3303/0", "o", format=OLD_TLV, body=holds("/3303/0", {"/3303/0/5700": 21.5})),
            publish("sensors/kitchen", '{"t": 22.5}'),
            notification("o", "2.05", OLD_TLV, bytes.fromhex("e4164441b40000")),
            cancelled("/3303/0", "o", format=OLD_TLV),
        ),
        Row(
            "WR-03",
            "a Write under 1.0",
            put("/1/0/1", content_format=TLV, payload=bytes.fromhex("c2010e10")),
            answer("2.04"),
            get("/1/0/1", accept=TEXT),
            answer("2.05", TEXT, b"3600"),
        ),
    ]
