"""The server's side of the wire: a UDP socket, the gateway at its other end, and what was said in a row."""

import socket
import sys
import time
from collections import deque
from dataclasses import dataclass

from aiocoap.error import UnparsableMessage

from messages import ACK, CON, RST, Received, describe, empty, read, response

# Longer than any answer takes on loopback, also while the machine compiles something.
PATIENCE = 5.0
# A datagram of 64 KiB is the largest there is.
LARGEST = 65536


class Failure(Exception):
    """The gateway did not do what the row says."""


@dataclass(frozen=True)
class Sent:
    """What was sent, and what an answer to it is known by."""

    octets: bytes
    mid: int | None
    token: bytes
    path: str


class Dialogue:
    """One server. Registration goes by itself unless a row has taken it over (`own`)."""

    def __init__(self):
        self.socket = bound()
        self.stranger = bound()
        self.gateway = None
        self.heard = []
        self.inbox = deque()
        self.story = []
        self.own = False
        self.over = False
        # Another server that the gateway has, if any.
        self.other = None
        # Tokens of rows that failed: what still comes under them is rejected.
        self.dead = set()
        self.location = ["rd", "x"]
        self.mid = 0x0FF0
        self.token = 0
        self.begin("")

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def begin(self, title):
        """A new row: what the last one left behind is forgotten."""
        self.story = [title]
        self.names, self.last, self.answer, self.asked = {}, None, None, None
        self.heard = []
        self.own = False

    # ---- sending

    def next_mid(self):
        self.mid = (self.mid + 1) & 0xFFFF
        return self.mid

    def next_token(self):
        self.token += 1
        return self.token.to_bytes(2, "big")

    def send(self, octets, *, odd=False, by=None):
        self.story.append(f"  → {describe(octets)}")
        if odd:
            # The capture will show faults in these, and in no others.
            say(f"odd {octets.hex()}")
        (by or self.socket).sendto(octets, self.gateway)

    def tell(self, sent, *, name=None, odd=False, by=None):
        self.last = sent
        self.names[name] = sent
        self.send(sent.octets, odd=odd, by=by)

    # ---- receiving

    def take(self, what, fits, limit=PATIENCE):
        """The first datagram that fits, with others left for later."""
        until = time.monotonic() + limit
        while True:
            for received in self.inbox:
                if fits(received):
                    self.inbox.remove(received)
                    return received
            if not self.pump(until - time.monotonic()):
                raise Failure(f"no {what} within {limit} s")

    def pump(self, limit):
        """Waits for one datagram; false if none came in time."""
        self.socket.settimeout(max(limit, 0.0001))
        try:
            octets, address = self.socket.recvfrom(LARGEST)
        except (TimeoutError, BlockingIOError):
            return False
        self.story.append(f"  ← {describe(octets)}")
        try:
            received = read(octets)
        except (UnparsableMessage, ValueError) as error:
            raise Failure(f"aiocoap cannot read it: {error}") from error
        self.heard.append(received)
        # Another port after a restart.
        self.gateway = self.gateway or address
        if address != self.gateway:
            raise Failure(f"a datagram from {address}, where nobody is known")
        if received.token in self.dead and received.message.code.is_response():
            self.send(empty(RST, received.mid))
        elif self.own or not self.serve(received):
            self.inbox.append(received)
        return True

    def serve(self, received):
        """Answers Register, Update and De-register as any server does. False if it is none of them."""
        location = "/" + "/".join(self.location)
        if received.kind is not CON or not received.message.code.is_request():
            return False
        if received.path == "/rd":
            self.send(response(received, "2.01", location_path=tuple(self.location)))
        elif received.path == location:
            code = "2.02" if received.code == "0.04" else "2.04"
            self.send(response(received, code))
        else:
            return False
        return True

    def wait_for_registration(self):
        """Waits for a Register and accepts it."""
        self.own = True
        received = self.take("Register", lambda received: received.path == "/rd", 4 * PATIENCE)
        self.own = False
        self.serve(received)

    def wait_for_update(self, fits=lambda received: True):
        """Waits for an Update that fits, and answers it."""
        self.own = True
        location = "/" + "/".join(self.location)
        received = self.take("Update", lambda received: received.path == location and fits(received))
        self.own = False
        self.serve(received)

    def settle(self, *, failed):
        """What still comes of a failed row does not count against the next one."""
        self.own = False
        for received in [received for received in self.inbox if not self.serve(received)]:
            if received.kind is CON:
                self.send(empty(RST, received.mid))
        self.inbox.clear()
        if failed:
            self.dead.update(sent.token for sent in self.names.values() if isinstance(sent, Sent))

    def fence(self):
        """A ping and its answer: what the gateway had to say to all before it has arrived."""
        if self.over:
            return
        mid = self.next_mid()
        self.send(empty(CON, mid))
        self.take("answer to a ping", lambda received: received.octets == empty(RST, mid))

    def expect_nothing(self):
        """Nothing has come that the row does not name."""
        self.fence()
        if self.inbox:
            stray = [str(received) for received in self.inbox]
            self.inbox.clear()
            raise Failure("not asked for: " + "\n    ".join(stray))

    def acknowledge(self, received: Received):
        self.send(empty(ACK, received.mid))

    # ---- the test around it

    def ask(self, *words):
        """Has the test do something to broker or gateway, and waits until it is done."""
        self.story.append("  · " + " ".join(words))
        return ask(*words)


def bound():
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    return made


def say(line):
    print(line, flush=True)


def ask(*words):
    """Says what the test is to do; gives what came of it."""
    say("> " + " ".join(words))
    done = sys.stdin.readline()
    if not done:
        raise SystemExit("the test has gone")
    return done.removeprefix("done").strip()
