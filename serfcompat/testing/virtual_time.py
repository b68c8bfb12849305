"""The whole public API, and your own blocking code, on virtual time.

    with virtual_time(seed=7) as world:
        a = Serf(Config.local(node_name="a", bind_addr="10.0.0.1")).start()
        b = Serf(Config.local(node_name="b", bind_addr="10.0.0.2")).start()
        b.join(["10.0.0.1"])
        world.network.partition([a], [b])
        world.until(lambda: a.members(status="failed"))     # some 10 s, in a few milliseconds

Inside the block `gevent.sleep`, timeouts, events and queues of gevent take no real time;
the clock jumps whenever everybody waits. ⚠ `time.time` and `time.monotonic` stay real. Start nodes
inside the block, and use no gevent object that waited outside of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import gevent
from gevent._hub_local import get_hub_if_exists, set_hub
from gevent.hub import Hub

from serfcompat.errors import DeadlineExceeded
from serfcompat.sim.network import Conditions
from serfcompat.testing.memory_network import MemoryNetwork
from serfcompat.testing.virtual_loop import VirtualLoop

_POLL = 0.01
"Seconds between looks of `until`."


class VirtualTime:
    """The world inside a `virtual_time` block."""

    def __init__(self, network: MemoryNetwork) -> None:
        self.network = network
        "Partitions, losses, host names."

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning of the block."""
        return self.network.loop.now()

    def sleep(self, seconds: float) -> None:
        """Let time pass; the same as `gevent.sleep`."""
        gevent.sleep(seconds)

    def until(self, condition: Callable[[], object], within: float = 60.0) -> float:
        """Let time pass until something holds; returns the time.

        Raises:
            DeadlineExceeded: It did not come about within so many virtual seconds.
        """
        end = self.now + within
        while not condition():
            if self.now >= end:
                raise DeadlineExceeded(f"it did not come about within {within} virtual seconds")
            gevent.sleep(_POLL)
        return self.now


@contextlib.contextmanager
def virtual_time(seed: int | str = 0, conditions: Conditions | None = None) -> Iterator[VirtualTime]:
    """Swap this thread's gevent hub for one on virtual time, with a network in memory.

    Args:
        seed: What all chance in nodes and network comes from. (Nonces and your own dice are not from it.)
        conditions: Latency, loss and so on; None: a quiet local network.
    """
    before = get_hub_if_exists()
    loop = VirtualLoop()
    network = MemoryNetwork(loop, seed, conditions)
    loop.surroundings = network
    hub = Hub(loop=loop)
    set_hub(hub)
    try:
        yield VirtualTime(network)
    finally:
        hub.destroy(destroy_loop=True)
        set_hub(before)
