"""Cases 16 and 17: a gossip packet of ten messages, compressed, checksummed and encrypted, comes in.

Peeled only, with its messages put into the handoff queues and taken out unseen; and all the way
through a node that knows 1000 others, to which the ten messages are no news. What a node keeps of packets
and claims that it has met before is forgotten each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.case import Case, require
from benchmarks.crypto import libraries, library
from benchmarks.inputs import Inputs
from benchmarks.node import NOW_NS, node_that_knows, thousand_nodes
from serfcompat.swim import engine
from serfcompat.swim.handoff import HandoffQueue
from serfcompat.wire import compress
from serfcompat.wire.address import Address
from serfcompat.wire.layers import Layers
from serfcompat.wire.packet import peel
from serfcompat.wire.types import MessageType

SOURCE = Address(b"\x0a\0\0\x01", 7946)


def cases(inputs: Inputs) -> Iterator[Case]:
    for name in libraries():
        within = partial(library, name)
        yield Case(16, partial(_peel, inputs), variant=name, within=within)
        yield Case(17, partial(_receive, inputs), variant=name, within=within)


def _peel(inputs: Inputs) -> Callable[[], object]:
    packet, layers, handoff = inputs["packet10"], Layers(keys=[inputs["key16"]]), HandoffQueue(1024)
    require(peel(packet, layers).messages == inputs.all("packet10_messages"), "the messages of the packet")

    def peel_and_hand_off() -> None:
        compress.forget()
        for message in peel(packet, layers).messages:
            handoff.put(message, high=message[0] == MessageType.ALIVE)
        while handoff.pop() is not None:
            pass

    return peel_and_hand_off


def _receive(inputs: Inputs) -> Callable[[], object]:
    packet = inputs["packet10"]
    node = node_that_knows(thousand_nodes(inputs), inputs["key16"])
    before = node.local_state(False)
    require(node.on_packet(packet, SOURCE, NOW_NS) == [], "old news had an effect")
    require(node.local_state(False) == before and len(node.members()) == 1001, "old news changed something")

    def receive() -> None:
        compress.forget()
        engine.forget()
        node.on_packet(packet, SOURCE, NOW_NS)

    return receive
