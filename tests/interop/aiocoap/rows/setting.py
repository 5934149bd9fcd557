"""What all other rows stand on: sensors that have published, and plain reads of what they said."""

from messages import TEXT, TLV
from payloads import holds
from steps import Row, answer, get, publish


def rows(_talk):
    return [
        Row(
            "RD-01",
            "what sensors published is what is read",
            publish("sensors/kitchen", '{"t": 21.5}', shows=("/3303/0/5700", b"21.5")),
            publish("lamps/l1/state", '{"dim": 30}', shows=("/3416/0/3", b"30")),
            get("/3303/0/5700", accept=TEXT),
            answer("2.05", TEXT, b"21.5"),
            get("/3416/0", accept=TLV),
            answer("2.05", TLV, body=holds("/3416/0", {"/3416/0/3": 30})),
        ),
    ]
