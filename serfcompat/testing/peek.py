"""What a node of any kind believes about the others, asked in memberlist's own tongue.

Serf's RPC shows a suspected member as alive, and no incarnations. But a node tells its whole table to
whoever starts a push/pull with it (spec memberlist §2.6), and one that brings no nodes changes nothing.
"""

from __future__ import annotations

import os
import socket

from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import PushPullNode
from serfcompat.wire.stream import StreamReader, label_header, push_pull_message, seal
from serfcompat.wire.types import MessageType

TIMEOUT = 5.0
"Seconds for connecting, and for each read."


def table_of(host: str, port: int, *, key: bytes | None = None, label: bytes = b"") -> dict[bytes, PushPullNode]:
    """The member table of the node at this gossip address, by name.

    Raises:
        OSError: It cannot be reached, or says nothing.
        WireError: It says something else, as one with another key does.
    """
    layers = Layers(label=label, keys=() if key is None else (key,))
    with socket.create_connection((host, port), TIMEOUT) as stream:
        request = push_pull_message(False, [], None)
        stream.sendall(label_header(label) + seal(request, layers, lambda: os.urandom(12)))
        reader = StreamReader(stream.recv, layers)
        try:
            kind = reader.read_type()
            if kind != MessageType.PUSH_PULL:
                raise ConnectionError(f"message type {kind} instead of a push/pull")
            return {node.name: node for node in reader.read_push_pull().nodes}
        except EOFError:
            raise ConnectionError("the node hung up") from None
