"""The words of the table. Each gives a step: a function of the dialogue that raises `Failure`."""

import time
from dataclasses import dataclass

from aiocoap.optiontypes import BlockOption

import messages
from dialogue import PATIENCE, Failure, Sent
from messages import ACK, CON, NON, RST
from payloads import Wrong

Block = BlockOption.BlockwiseTuple
# Reads, 20 ms apart, until what a sensor said must be there.
READS = 250


@dataclass
class Row:
    """One line of the table: which behaviours it proves, the claim, and the steps.

    `own`: Register, Update and De-register are steps of the row, and nobody else answers them.
    """

    ids: str
    claim: str
    steps: tuple
    own: bool

    def __init__(self, ids, claim, *steps, own=False):
        self.ids, self.claim, self.own = ids, claim, own
        # Helpers give several steps at once.
        self.steps = tuple(flat(steps))

    @property
    def title(self):
        return f"{self.ids}: {self.claim}"


def flat(steps):
    for step in steps:
        if callable(step):
            yield step
        else:
            yield from flat(step)


# ---- what is sent


def send(method, path, *, name=None, token=None, mid=None, by=None, odd=False, **more):
    """A request; `name` is for later steps, `mid` and `token` may be those of an earlier one. What a decoder
    has a right to find fault with is `odd`."""

    def step(talk):
        sent_mid = talk.next_mid() if mid is None else talk.names[mid].mid
        sent_token = talk.next_token() if token is None else token
        if isinstance(sent_token, str):
            sent_token = talk.names[sent_token].token
        octets = messages.request(method, path, sent_mid, sent_token, **more)
        sender = talk.stranger if by == "stranger" else None
        talk.tell(Sent(octets, sent_mid, sent_token, path), name=name, odd=odd, by=sender)

    return step


def method(name):
    return lambda path, **more: send(name, path, **more)


get, post, put, delete, fetch, ipatch = (method(name) for name in ("GET", "POST", "PUT", "DELETE", "FETCH", "IPATCH"))


def octets(text, *, odd=False, token=b"", name=None, by=None):
    """These octets, in hex; `mid` in them stands for a new Message ID."""

    def step(talk):
        mid = talk.next_mid()
        raw = bytes.fromhex(text.replace("mid", f"{mid:04x}"))
        sender = talk.stranger if by == "stranger" else None
        talk.tell(Sent(raw, mid, token, ""), name=name, odd=odd, by=sender)

    return step


def again(name=None):
    """The very same datagram once more."""
    return lambda talk: talk.tell(talk.names[name] if name else talk.last, name=name)


def acknowledge():
    """An Empty ACK to what came last."""
    return lambda talk: talk.acknowledge(talk.answer)


def reject():
    """An RST to what came last."""
    return lambda talk: talk.send(messages.empty(RST, talk.answer.mid))


def bare(kind, mid=None):
    """An Empty message, with a Message ID that nobody knows unless it is given."""
    return lambda talk: talk.send(messages.empty(kind, talk.next_mid() if mid is None else mid))


def reply(code, *, kind=ACK, mid=None, location=None, **more):
    """An answer to the gateway's own request."""

    def step(talk):
        number = talk.next_mid() if kind is not ACK and mid is None else mid
        options = dict(more)
        if location is not None:
            talk.location = list(location)
            options["location_path"] = tuple(location)
        talk.send(messages.response(talk.asked, code, kind=kind, mid=number, **options))

    return step


# ---- what must come back


def answer(code, format=None, payload=None, *, to=None, by=None, body=None, acknowledged=True, **options):
    """The answer to the last request, or to the one named.

    `by` is the message type: ACK for a piggybacked one; CON and NON come separately, and CON is acknowledged. By default a
    CON request has a piggybacked answer, a NON request a NON one. Options that are not named must not be there.
    """

    def step(talk):
        sent = talk.names[to] if to else talk.last
        kind = by if by is not None else (NON if sent.octets[0] >> 4 & 3 == NON else ACK)

        def fits(received):
            return received.token == sent.token and received.message.code.is_response()

        received = talk.take(f"answer {code}", fits)
        talk.answer = received
        if received.kind is CON and acknowledged:
            talk.acknowledge(received)
        if received.kind is not kind:
            raise Failure(f"the answer came as {received.kind}, not as {kind}")
        if kind is ACK and received.mid != sent.mid:
            raise Failure(f"the answer has Message ID {received.mid:04x}, not {sent.mid:04x}")
        judge(received, code, format, payload, body, options)

    return step


def judge(received, code, format, payload, body, options):
    if received.code != code:
        raise Failure(f"the code is {received.code}, not {code}")
    if received.format != format:
        raise Failure(f"the format is {received.format}, not {format}")
    if payload is not None and payload is not ... and received.message.payload != payload:
        raise Failure(f"the payload is {received.message.payload.hex()}, not {payload.hex()}")
    if format is None and payload is None and body is None and received.message.payload:
        raise Failure(f"there is a payload: {received.message.payload!r}")
    try:
        complaint = body(received) if body else None
    except (Wrong, ValueError, LookupError) as error:
        complaint = f"unreadable: {error!r}"
    if complaint:
        raise Failure(complaint)
    for name in ("observe", "block1", "block2", "location_path", "max_age", "etag", "size1"):
        check_option(name, getattr(received.message.opt, name), options.pop(name, None))
    if options:
        raise TypeError(f"unknown options: {options}")


def check_option(name, found, wanted):
    """`True` wants any value, `None` none at all; `...` takes both."""
    is_there = found is not None and found != ()
    if wanted is ... or (name == "etag" and wanted is None):
        return
    if isinstance(wanted, tuple) and name.startswith("block"):
        wanted = Block(*wanted)
    good = is_there if wanted is True else not is_there if wanted is None else found == wanted
    if not good:
        raise Failure(f"{name} is {found}, not {wanted}")


def notification(of, code="2.05", format=None, payload=None, *, body=None, kind=CON, then=acknowledge, **options):
    """A notification of the observation that the request of this name began; `then` says what it meets."""

    def step(talk):
        sent = talk.names[of]
        received = talk.take("notification", lambda received: received.token == sent.token)
        before, talk.answer = talk.names.get((of, "notified")), received
        talk.names[of, "notified"] = received
        if then is not None:
            then()(talk)
        if received.kind is not kind:
            raise Failure(f"the notification came as {received.kind}, not as {kind}")
        if "observe" not in options and code.startswith("2"):
            options["observe"] = True
        judge(received, code, format, payload, body, dict(options))
        if before and code.startswith("2") and not is_later(before.message.opt.observe, received.message.opt.observe):
            raise Failure("the Observe number does not grow (RFC 7641 §3.4)")

    return step


def is_later(before, after):
    return 0 < (after - before) % (1 << 24) < 1 << 23


def reset(of=None):
    """An RST with the Message ID of the last request."""

    def step(talk):
        wanted = messages.empty(RST, (talk.names[of] if of else talk.last).mid)
        talk.take("RST", lambda received: received.octets == wanted)

    return step


def empty_ack(within=PATIENCE):
    """An Empty ACK to the last request: the answer follows separately."""

    def step(talk):
        wanted = messages.empty(ACK, talk.last.mid)
        talk.take("Empty ACK", lambda received: received.octets == wanted, within)

    return step


def same():
    """The last answer once more, octet for octet."""
    return lambda talk: talk.take("repeated answer", lambda received: received.octets == talk.answer.octets)


def silence():
    """No answer at all: that of a ping behind it comes first."""
    return lambda talk: talk.expect_nothing()


def request_of_gateway(method, path, *, limit=PATIENCE, body=None, queries=None, format=None):
    """The gateway asks this of us; the answer is a step of its own."""

    def step(talk):
        code = messages.dotted(messages.METHODS[method])
        where = path if path is not None else "/" + "/".join(talk.location)
        received = talk.take(
            f"{method} {where}", lambda received: received.code == code and received.path == where, limit
        )
        talk.asked = talk.answer = received
        if queries is not None and sorted(received.message.opt.uri_query) != sorted(queries):
            raise Failure(f"the queries are {received.message.opt.uri_query}, not {queries}")
        if received.format != format:
            raise Failure(f"the format is {received.format}, not {format}")
        complaint = body(received) if body else None
        if complaint:
            raise Failure(complaint)

    return step


def update(**more):
    return request_of_gateway("POST", None, **more)


def register(**more):
    return request_of_gateway("POST", "/rd", format=messages.LINK, **more)


def repeated(limit=PATIENCE):
    """The gateway sends its last request again, octet for octet."""
    return lambda talk: talk.take("resend", lambda received: received.octets == talk.asked.octets, limit)


# ---- observing


def observe(path, name, *, format=messages.TEXT, payload=None, body=None, **more):
    """An observation whose first answer and first notification, if one is owed, are behind it."""
    begin = get(path, name=name, accept=format, observe=0, **more)
    first = answer("2.05", format, payload if payload is not None else ..., body=body, to=name, observe=True)
    return [begin, first, drained(name)]


def drained(name):
    """Acknowledges notifications of this observation until there are no more: a sample that was read but never
    acknowledged is told once more."""

    def step(talk):
        token = talk.names[name].token
        for _ in range(3):
            talk.fence()
            while any(received.token == token for received in talk.inbox):
                received = talk.take("notification", lambda received: received.token == token)
                talk.names[name, "notified"] = received
                if received.kind is CON:
                    talk.acknowledge(received)

    return step


def cancelled(path, name, *, format=messages.TEXT):
    """Ends an observation by GET with Observe 1."""
    return [
        get(path, name="cancel", token=name, accept=format, observe=1),
        answer("2.05", format, ..., to="cancel"),
    ]


# ---- order and time


def earlier(first, then):
    """One of two datagrams, by what they fit, came before the other."""

    def step(talk):
        order = [index for index, received in enumerate(talk.heard) if first(received) or then(received)]
        if not order or not first(talk.heard[order[0]]):
            raise Failure("they came in another order")

    return step


def quiet(seconds):
    """Nothing comes for so long."""

    def step(talk):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            talk.pump(until - time.monotonic())
        talk.expect_nothing()

    return step


def mark(name):
    """Remembers when it is now."""
    return lambda talk: talk.names.__setitem__((name, "at"), time.monotonic())


def took(name, least, most):
    """So many seconds have passed since the mark."""

    def step(talk):
        passed = time.monotonic() - talk.names[name, "at"]
        if not least <= passed <= most:
            raise Failure(f"it took {passed:.2f} s, not {least} to {most} s")

    return step


# ---- the world around


def publish(topic, payload, *, shows=None):
    """A sensor publishes; with `shows` (path, text) the step ends when the gateway has it."""

    def step(talk):
        talk.ask("publish", topic, payload)
        if shows:
            wait_until_shown(talk, *shows)

    return step


def wait_until_shown(talk, path, text):
    for _ in range(READS):
        token = talk.next_token()
        talk.send(messages.request("GET", path, talk.next_mid(), token, accept=messages.TEXT))
        received = talk.take("answer", lambda received, token=token: received.token == token)
        if received.message.payload == text:
            return
        time.sleep(0.02)
    raise Failure(f"{path} never shows {text!r}")


def ordered(topic, payload):
    """What was published on this topic since the last time."""

    def step(talk):
        found = talk.ask("ordered", topic)
        if found != payload:
            raise Failure(f"{topic} got {found!r}, not {payload!r}")

    return step


def broker(what):
    """`pause` and `resume`."""
    return lambda talk: talk.ask("broker", what)


def restart():
    """The gateway is killed and starts anew; its Register is the next that comes."""

    def step(talk):
        talk.ask("gateway", "restart")
        talk.gateway = None
        talk.inbox.clear()

    return step


def terminate():
    """The gateway is told to end."""
    return lambda talk: talk.ask("gateway", "terminate")


def ended():
    """The gateway has ended by itself, with success: nobody answers a ping any more."""

    def step(talk):
        talk.ask("gateway", "ended")
        talk.over = True

    return step


# ---- a second server


def at_other(*steps):
    """These steps are the other server's."""

    def step(talk):
        for inner in flat(steps):
            inner(talk.other)

    return step


def same_as_first(verb, path, **more):
    """A request with the Message ID and token of the first server's last."""

    def step(talk):
        sent = talk.other.last
        octets = messages.request(verb, path, sent.mid, sent.token, **more)
        talk.tell(Sent(octets, sent.mid, sent.token, path))

    return step
