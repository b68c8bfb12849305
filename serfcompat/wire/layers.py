"""How a node wraps what it sends and what it insists on in what it receives: one value for packets and streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serfcompat.wire.security import ENCRYPTION_OVERHEAD


@dataclass(slots=True)
class Layers:
    """The settings of every layer around a message (spec memberlist §1.2, §2.1, §5.5)."""

    label: bytes = b""
    "At most 255 bytes, sent in clear and authenticated if there are keys (Label)."
    keys: Sequence[bytes] = ()
    """16, 24 or 32 bytes each; the first one encrypts, all decrypt. None: no encryption.

    May be a live keyring: it is asked at each use, so a key counts from the moment it is added.
    """
    compress: bool = True
    "Compress what is sent (EnableCompression). Compressed input is always understood."
    encryption_version: int = 1
    "0 for protocol 1, else 1. Both are understood."
    verify_incoming: bool = True
    "With keys: refuse what is not encrypted (GossipVerifyIncoming)."
    verify_outgoing: bool = True
    "With keys: encrypt (GossipVerifyOutgoing)."
    skip_inbound_label_check: bool = False
    "Something before us took the label off; input must be without (SkipInboundLabelCheck)."


def label_overhead(label: bytes) -> int:
    """Bytes of a label header; none without a label (LABEL_OVERHEAD)."""
    return 2 + len(label) if label else 0


def encryption_overhead(version: int) -> int:
    """Bytes to reserve for encryption in a packet: 45 for version 0, 29 for version 1 (ENC_OVERHEAD)."""
    return ENCRYPTION_OVERHEAD[version]
