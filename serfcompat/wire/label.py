"""Labels keep clusters on one network apart (spec memberlist §1.8, §1.9, §2.3, §5.6).

    0xf4 | n:u8 | n label bytes

The header comes first of all, in clear, on packets and on what the dialer of a stream
writes. ⚠ Answers on a stream never have one.
"""

from __future__ import annotations

from serfcompat.errors import WireError
from serfcompat.wire.layers import Layers

MAGIC = 0xF4
MAX_LABEL = 255


def header(label: bytes) -> bytes:
    """What goes before everything else; nothing without a label."""
    return bytes((MAGIC, len(label))) + label if label else b""


def split(packet: bytes) -> tuple[bytes, bytes]:
    """A packet's label (b"" if it has none) and what follows. Raises WireError `label_malformed`."""
    if not packet or packet[0] != MAGIC:
        return b"", packet
    if len(packet) < 2 or packet[1] == 0 or len(packet) < 2 + packet[1]:
        raise WireError("label_malformed", "label header is empty or cut off")
    end = 2 + packet[1]
    return packet[2:end], packet[end:]


def check(found: bytes, layers: Layers) -> None:
    """Raise WireError unless `found` is the label to expect.

    `label_double`: there must be none any more. `label_mismatch`: another cluster's.
    """
    if layers.skip_inbound_label_check:
        if found:
            raise WireError("label_double", "a label where it should be taken off already")
    elif found != layers.label:
        raise WireError("label_mismatch", f"label {found!r} is not ours")
