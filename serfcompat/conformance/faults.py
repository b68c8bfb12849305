"""Which part of the protocol is at fault when a packet or stream can't be read.

A node that writes wrong checksums fails cases of every area. The one to mend is the checksum.
"""

from __future__ import annotations

from serfcompat.conformance.case import Area
from serfcompat.conformance.trace import Sent
from serfcompat.conformance.words import MESSAGES
from serfcompat.errors import WireError
from serfcompat.wire.gostruct import Message
from serfcompat.wire.packet import peel
from serfcompat.wire.stream import StreamReader

_BY_REASON = {
    "label": Area.LABEL,
    "decrypt": Area.ENCRYPT,
    "enc": Area.ENCRYPT,
    "no": Area.ENCRYPT,
    "plaintext": Area.ENCRYPT,
    "too": Area.ENCRYPT,
    "crc": Area.CRC,
    "compound": Area.COMPOUND,
    "empty": Area.COMPOUND,
    "decompress": Area.COMPRESS,
    "algo": Area.COMPRESS,
    "decomp": Area.COMPRESS,
    "receive": Area.COMPRESS,
    "remote": Area.PUSH_PULL,
}
"First word of the wire's reasons."


def fault(entry: Sent) -> Area | None:
    """The area whose rules these bytes of the node break; None if they can be read."""
    return _packet(entry) if entry.kind == "packet" else _stream(entry)


def _packet(entry: Sent) -> Area | None:
    peeled = peel(entry.data, entry.layers)
    for reason in peeled.drops:
        return _area(reason)
    if peeled.unsupported:
        # A packet that is still encrypted begins with the version: a ping, or an indirect one.
        return Area.COMPOUND
    for message in peeled.messages:
        known: type[Message] | None = MESSAGES.get(message[0])
        if known is not None:
            try:
                known.decode(message[1:])
            except WireError:
                return Area.BYTES
    return None


def _stream(entry: Sent) -> Area | None:
    rest = bytearray(entry.data)

    def recv(size: int) -> bytes:
        taken = bytes(rest[:size])
        del rest[:size]
        return taken

    reader = StreamReader(recv, entry.layers)
    try:
        kind = reader.read_type()
        if kind == 6:
            reader.read_push_pull()
    except WireError as error:
        return _area(error.reason)
    except EOFError:
        return None
    return None


def _area(reason: str) -> Area:
    return _BY_REASON.get(reason.partition("_")[0].partition(":")[0], Area.BYTES)
