"""What a payload says, by decoders of our own choice: TLV by hand, SenML by `json` and `cbor2`.

Each gives a flat mapping from path to value, so that a row can say what is to be there whatever the format.
"""

import base64
import json
import struct

import cbor2

from messages import CBOR, JSON, LINK, OLD_TLV, OPAQUE, TEXT, TLV


class Wrong(Exception):
    """A payload is not what it should be."""


def tlv(octets, base):
    """TLV under a path of this many segments: a mapping from path to raw octets."""
    found, levels = {}, base.split("/")[1:]
    read_tlv(octets, levels, found)
    return found


def read_tlv(octets, levels, found):
    while octets:
        kind, octets = octets[0], octets[1:]
        wide = 2 if kind & 0x20 else 1
        id_, octets = int.from_bytes(octets[:wide], "big"), octets[wide:]
        size_of_length = kind >> 3 & 3
        length = kind & 7 if size_of_length == 0 else int.from_bytes(octets[:size_of_length], "big")
        octets = octets[size_of_length:]
        if length > len(octets):
            raise Wrong("a TLV is longer than what is left")
        value, octets = octets[:length], octets[length:]
        depth = {0: 1, 2: 2, 3: 2, 1: 3}[kind >> 6]
        path = [*levels[:depth], str(id_)]
        if kind >> 6 in (0, 2):
            found["/" + "/".join(path)] = b""
            read_tlv(value, path, found)
        else:
            found["/" + "/".join(path)] = value


def tlv_of(kind, id_, value):
    """One TLV in its shortest form; kind 0 object instance, 1 resource instance, 2 multiple resource, 3 resource."""
    first, length = kind << 6, b""
    if id_ > 255:
        first |= 0x20
    if len(value) < 8:
        first |= len(value)
    else:
        size = (len(value).bit_length() + 7) // 8
        first, length = first | size << 3, len(value).to_bytes(size, "big")
    return bytes([first]) + id_.to_bytes(2 if id_ > 255 else 1, "big") + length + value


def instance(id_, *parts):
    return tlv_of(0, id_, b"".join(parts))


def multiple(id_, values):
    return tlv_of(2, id_, b"".join(tlv_of(1, index, value) for index, value in values.items()))


def single(id_, value):
    return tlv_of(3, id_, value)


def senml(records, labels):
    """Full names to values; `labels` translates the keys of SenML CBOR (RFC 8428 §6)."""
    base, found = "", {}
    for record in records:
        record = {labels.get(key, key): value for key, value in record.items()}
        base = record.get("bn", base)
        values = [record[key] for key in ("v", "vs", "vb", "vd", "vlo") if key in record]
        if len(values) != 1:
            raise Wrong(f"a SenML record has {len(values)} values")
        found[base + record.get("n", "")] = values[0]
    return found


LABELS = {
    -2: "bn",
    -3: "bt",
    -4: "bu",
    -5: "bv",
    -6: "bs",
    -1: "bver",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
    7: "ut",
    8: "vd",
}


def values(octets, format, base):
    if format in (TLV, OLD_TLV):
        return tlv(octets, base)
    if format == JSON:
        return senml(json.loads(octets), {})
    if format == CBOR:
        return senml(cbor2.loads(octets), LABELS)
    if format in (TEXT, OPAQUE):
        return {base: octets}
    raise Wrong(f"format {format} has no values")


def same(found, wanted):
    """The value that was found is the one that is wanted, in the coding of its format."""
    if isinstance(found, bytes) and not isinstance(wanted, bytes):
        return same_octets(found, wanted)
    if isinstance(wanted, bytes) and isinstance(found, str):
        return base64.urlsafe_b64decode(found + "=" * (-len(found) % 4)) == wanted
    return found == wanted and isinstance(found, bool) == isinstance(wanted, bool)


def same_octets(found, wanted):
    if isinstance(wanted, bool):
        return found == bytes([wanted])
    if isinstance(wanted, str):
        return found == wanted.encode()
    if isinstance(wanted, float):
        return len(found) in (4, 8) and struct.unpack(">f" if len(found) == 4 else ">d", found)[0] == wanted
    return len(found) in (1, 2, 4, 8) and int.from_bytes(found, "big", signed=True) == wanted


def holds(base, wanted, *, only=True):
    """A check of a payload: these values, and no others unless `only` is false."""

    def check(received):
        found = values(received.message.payload, received.format, base)
        for path, value in wanted.items():
            if path not in found:
                return f"{path} is missing in {found}"
            if not same(found[path], value):
                return f"{path} is {found[path]!r}, not {value!r}"
        leaves = {path for path in found if not any(other.startswith(path + "/") for other in found)}
        extra = leaves - wanted.keys()
        return f"not asked for: {sorted(extra)}" if only and extra else None

    return check


def lacks(*paths):
    """A check of TLV: none of these resources of one instance is there, and something else is."""

    def check(received):
        found = values(received.message.payload, received.format, paths[0].rsplit("/", 1)[0])
        return f"{found}" if not found or found.keys() & set(paths) else None

    return check


def lists(*wanted, first=None, without=()):
    """A check of link format: these links are there, `first` leads, and none of `without` is."""

    def check(received):
        if received.format != LINK:
            return f"format {received.format} is no link format"
        links = received.message.payload.decode().split(",")
        missing = [link for link in wanted if link not in links]
        present = [link for link in links if link.split(";")[0] in without]
        if missing or present:
            return f"missing {missing}, too many {present} in {links}"
        return f"{links[0]} comes first, not {first}" if first and links[0] != first else None

    return check


def is_like(form):
    """A check: the payload as text has this beginning."""
    return lambda received: None if received.message.payload.startswith(form) else f"{received.message.payload!r}"
