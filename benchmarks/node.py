"""A SWIM engine that knows a thousand nodes, or none yet."""

from __future__ import annotations

import os
import random

from benchmarks.inputs import Inputs
from serfcompat.swim.config import MemberlistConfig
from serfcompat.swim.engine import Swim
from serfcompat.wire.address import Address
from serfcompat.wire.layers import Layers
from serfcompat.wire.stream import PushPull, StreamReader

NOW_NS = 1_000_000_000_000


def new_node(key: bytes = b"") -> Swim:
    """Alone so far."""
    config = MemberlistConfig.lan(name="self", secret_key=key or None, delegate_protocol=(2, 5, 4))
    node = Swim(config, advertise=Address(b"\x0a\0\0\xff", 7946), dice=random.Random(1), nonce=lambda: os.urandom(12))
    node.start(NOW_NS)
    return node


def node_that_knows(remote: PushPull, key: bytes = b"") -> Swim:
    node = new_node(key)
    node.merge_remote_state(remote, False, NOW_NS)
    return node


def read_push_pull(message: bytes) -> PushPull:
    """From an unencrypted stream that has it all at once."""
    chunks = [message]
    reader = StreamReader(lambda _: chunks.pop() if chunks else b"", Layers())
    reader.read_type()
    return reader.read_push_pull()


def thousand_nodes(inputs: Inputs) -> PushPull:
    return read_push_pull(inputs["pushpull1000"])
