"""How OneNET opens a registration: a Discover of each object, an Observe of each instance, last a Read of /3/0.

On aiocoap's own server. All requests leave at once, as a platform sends them that has much else to do; each must be answered
within five seconds. TLV is asked for by its number of the early days, 1542.
"""

import asyncio
import re
import socket
import time

import aiocoap
from aiocoap import resource
from aiocoap.numbers.codes import CHANGED, CONTENT, CREATED, DELETED, GET

from dialogue import ask, say
from messages import LINK, OLD_TLV
from payloads import tlv

ANSWER_WITHIN = 5.0
# From the modem's start to the registration, and from a sample to its notification.
PATIENCE = 60.0
LOCATION = ("rd", "1a2b")
# There at least; the sensors have spoken before the registration.
EXPECTED = {"/1/0", "/3/0", "/4/0", "/3303/0", "/3303/1", "/3303/2", "/3416/0"}


class Registrations(resource.Resource):
    """`/rd` and, for Update and De-register, the location below it."""

    def __init__(self):
        super().__init__()
        self.news = asyncio.Queue()
        self.gone = asyncio.Event()

    async def render_post(self, request):
        await self.news.put(request)
        if request.opt.uri_path == LOCATION:
            return aiocoap.Message(code=CHANGED)
        return aiocoap.Message(code=CREATED, location_path=LOCATION)

    async def render_delete(self, _request):
        self.gone.set()
        return aiocoap.Message(code=DELETED)


class NoBacklog(dict):
    """Takes the place of aiocoap's queue of what NSTART = 1 holds back."""

    def __contains__(self, _remote):
        return False


def raise_nstart(context):
    """aiocoap sends one request after the other; a platform need not."""
    for interface in context.request_interfaces:
        manager = interface.token_interface
        manager._backlogs = NoBacklog()
        manager._continue_backlog = lambda _remote: None


class Opening:
    """What was asked, and what became of it, a row each."""

    def __init__(self, context, remote):
        self.context, self.remote = context, remote
        self.rows, self.failed = 0, 0
        self.observed = {}

    def judge(self, title, complaint):
        self.rows += 1
        self.failed += complaint is not None
        say(f"ok {title}" if complaint is None else f"FAILED {title}\n    {complaint}")

    async def ask(self, title, path, accept, check, observe=None):
        message = aiocoap.Message(code=GET, accept=accept, observe=observe)
        message.opt.uri_path = tuple(path.split("/")[1:])
        message.remote = self.remote
        start = time.monotonic()
        request = self.context.request(message)
        if observe is not None:
            self.observed[path] = request.observation
        try:
            response = await asyncio.wait_for(asyncio.shield(request.response), PATIENCE)
        except (TimeoutError, aiocoap.error.Error) as error:
            return self.judge(title, f"no answer: {error!r}")
        took = time.monotonic() - start
        self.judge(
            f"{title} after {took:.2f} s",
            check(response) or (f"later than {ANSWER_WITHIN} s" if took > ANSWER_WITHIN else None),
        )


def content(format, check):
    def judge(response):
        if response.code is not CONTENT:
            return f"the code is {response.code}"
        if response.opt.content_format != format:
            return f"the format is {response.opt.content_format}"
        return check(response)

    return judge


def lists(path):
    def check(response):
        first = response.payload.decode().split(",")[0].split(";")[0]
        return None if first == f"<{path}>" else f"it begins with {first}"

    return content(LINK, check)


def reads(path, *, observed):
    def check(response):
        found = tlv(response.payload, path)
        if (response.opt.observe is not None) is not observed:
            return f"Observe is {response.opt.observe}"
        return None if found else "there is nothing in it"

    return content(OLD_TLV, check)


def check_register(request):
    queries = dict(query.split("=", 1) for query in request.opt.uri_query)
    if not re.fullmatch(r"\d{15};\d{15}", queries.pop("ep", "")):
        return f"the endpoint is not IMEI;IMSI: {request.opt.uri_query}"
    if "lwm2m" in queries:
        return f"there is an lwm2m parameter: {request.opt.uri_query}"
    if queries != {"lt": "86400", "b": "U"}:
        return f"lifetime and binding are {queries}"
    return None if b"</3303>;ver=1.1," in request.payload else f"no version of 3303: {request.payload!r}"


def instances(request):
    return {link[1:-1] for link in request.payload.decode().split(",") if re.fullmatch(r"</\d+/\d+>", link)}


async def run():
    registrations = Registrations()
    site = resource.Site()
    site.add_resource(["rd"], registrations)
    site.add_resource(list(LOCATION), registrations)
    port = free_port()
    context = await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", port), transports=["udp6"])
    raise_nstart(context)
    say(f"ready coap://127.0.0.1:{port}")
    try:
        await opening(context, registrations)
    finally:
        await context.shutdown()


async def opening(context, registrations):
    register = await asyncio.wait_for(registrations.news.get(), PATIENCE)
    told = register
    run = Opening(context, register.remote)
    run.judge("REG-01 REG-04 REG-06 REG-12: OneNET's registration", check_register(register))
    while not EXPECTED <= instances(told):
        told = await asyncio.wait_for(registrations.news.get(), PATIENCE)
    listed = sorted(instances(told))
    objects = sorted({path.rsplit("/", 1)[0] for path in listed})
    burst = [
        *(run.ask(f"DSC-01: Discover of {path}", path, LINK, lists(path)) for path in objects),
        *(
            run.ask(f"OBS-01 TLV-08: Observe of {path}", path, OLD_TLV, reads(path, observed=True), observe=0)
            for path in listed
        ),
    ]
    await asyncio.gather(*burst, run.ask("RD-01 TLV-08: Read of /3/0", "/3/0", OLD_TLV, reads("/3/0", observed=False)))
    await notified(run)
    await deregistered(run, registrations)
    say(f"end {run.rows} rows, {run.failed} failed")


async def notified(run):
    """What a sensor says now comes as a notification in the format of the Observe."""
    notifications = aiter(run.observed["/3303/1"])
    await asyncio.to_thread(ask, "publish", "sensors/1", '{"t": 22.5}')
    try:
        told = await asyncio.wait_for(anext(notifications), PATIENCE)
    except (TimeoutError, StopAsyncIteration) as error:
        return run.judge("OBS-02 OBS-12: a notification", f"none came: {error!r}")
    found = tlv(told.payload, "/3303/1").get("/3303/1/5700")
    good = told.opt.content_format == OLD_TLV and found == bytes.fromhex("41b40000")
    run.judge("OBS-02 OBS-12: a notification", None if good else f"{told!r}: {told.payload.hex()}")


async def deregistered(run, registrations):
    """Told to end, the gateway de-registers, and does not end before it has the answer."""
    await asyncio.to_thread(ask, "gateway", "terminate")
    try:
        await asyncio.wait_for(registrations.gone.wait(), PATIENCE)
    except TimeoutError:
        return run.judge("DER-04: De-register", "none came")
    # Meanwhile aiocoap answers.
    await asyncio.to_thread(ask, "gateway", "ended")
    run.judge("DER-04: De-register", None)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    asyncio.run(run())
