"""CoAP messages, built and read by aiocoap's codec; what the table calls things is translated here."""

import warnings
from dataclasses import dataclass

import aiocoap
from aiocoap.error import UnparsableMessage
from aiocoap.numbers import Code
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.numbers.types import ACK as ACK
from aiocoap.numbers.types import CON as CON
from aiocoap.numbers.types import NON as NON
from aiocoap.numbers.types import RST as RST
from aiocoap.optiontypes import BlockOption, OpaqueOption

# Message IDs and types are the table's business: aiocoap would rather choose them itself.
warnings.simplefilter("ignore", DeprecationWarning)

TEXT, LINK, OPAQUE, JSON, CBOR, TLV, OLD_TLV = 0, 40, 42, 110, 112, 11542, 1542

METHODS = {"GET": 1, "POST": 2, "PUT": 3, "DELETE": 4, "FETCH": 5, "PATCH": 6, "IPATCH": 7}


@dataclass(frozen=True)
class Received:
    """A datagram of the gateway: its octets and what aiocoap reads in them."""

    octets: bytes
    message: aiocoap.Message

    @property
    def kind(self):
        return self.message.mtype

    @property
    def mid(self):
        return self.message.mid

    @property
    def token(self):
        return self.message.token

    @property
    def code(self):
        return dotted(self.message.code)

    @property
    def format(self):
        number = self.message.opt.content_format
        return None if number is None else int(number)

    @property
    def path(self):
        return "/" + "/".join(self.message.opt.uri_path)

    def __str__(self):
        return describe(self.octets)


def read(octets):
    return Received(octets, aiocoap.Message.decode(octets))


def dotted(code):
    return f"{int(code) >> 5}.{int(code) & 31:02}"


def request(method, path, mid, token, *, non=False, payload=b"", block1=None, block2=None, options=(), **more):
    """The octets of a request; `more` are options by aiocoap's names, `options` pairs of number and octets."""
    code = METHODS[method] if isinstance(method, str) else method
    message = aiocoap.Message(_mtype=NON if non else CON, code=code, _mid=mid, _token=token, payload=payload)
    message.opt.uri_path = tuple(segment for segment in path.split("/")[1:]) if path != "/" else ()
    for name, value in more.items():
        if value is not None:
            setattr(message.opt, name, value)
    for number, value in ((OptionNumber.BLOCK1, block1), (OptionNumber.BLOCK2, block2)):
        if value is not None:
            message.opt.add_option(BlockOption(number, BlockOption.BlockwiseTuple(*value)))
    for number, value in options:
        message.opt.add_option(OpaqueOption(OptionNumber(number), value))
    return message.encode()


def response(to, code, *, kind=ACK, mid=None, payload=b"", options=(), **more):
    """The octets of a response to a request of the gateway."""
    message = aiocoap.Message(
        _mtype=kind, code=Code(number(code)), _mid=to.mid if mid is None else mid, _token=to.token, payload=payload
    )
    for name, value in more.items():
        setattr(message.opt, name, value)
    for option, value in options:
        message.opt.add_option(OpaqueOption(OptionNumber(option), value))
    return message.encode()


def empty(kind, mid):
    return aiocoap.Message(_mtype=kind, code=Code.EMPTY, _mid=mid).encode()


def number(code):
    """`2.05` as the octet on the wire."""
    major, minor = code.split(".")
    return int(major) << 5 | int(minor)


def describe(octets):
    """One line for the story of a row: as much as can be read, and the octets."""
    try:
        message = aiocoap.Message.decode(octets)
        options = " ".join(f"{name(option.number)}={option}" for option in message.opt.option_list())
        head = f"{message.mtype!s} {dotted(message.code)} mid={message.mid:04x} token={message.token.hex()} {options}"
    except (UnparsableMessage, ValueError, IndexError) as error:  # Hostile octets are shown, too.
        head = f"unreadable ({error})"
    return f"{head}\n      {octets.hex()}"


def name(option):
    return getattr(option, "name", None) or str(int(option))
