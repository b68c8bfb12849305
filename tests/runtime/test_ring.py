"""The ring around an engine, on loopback sockets: what it counts, and what it does about lost nodes."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading

import pytest

from serfcompat import JoinError, Memberlist, MemberlistConfig
from serfcompat.runtime.surroundings import Surroundings
from serfcompat.swim.metrics import CountingMetrics
from serfcompat.wire.address import Address, ip_bytes
from serfcompat.wire.stream import label_header

pytestmark = pytest.mark.socket

_hosts = itertools.count(1)
KEY = b"0123456789abcdef"


class Watched(CountingMetrics):
    """Lets a test wait until something was counted."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def incr(self, name, value=1):
        with self._changed:
            super().incr(name, value)
            self._changed.notify_all()

    def sample(self, name, value):
        with self._changed:
            super().sample(name, value)
            self._changed.notify_all()

    def wait_for(self, *names: str) -> None:
        with self._changed:
            seen = self._changed.wait_for(lambda: set(names) <= set(self.counters) | set(self.samples), timeout=20)
        assert seen, set(names) - set(self.counters) - set(self.samples)


@pytest.fixture
def start():
    """Starts nodes, and shuts down what a test left running."""
    with contextlib.ExitStack() as stack:

        def start(name, metrics=None, **config):
            address = f"127.31.{os.getpid() % 250}.{next(_hosts)}"
            node = Memberlist(MemberlistConfig.local(name=name, bind_addr=address, **config), metrics=metrics)
            return stack.enter_context(node)

        yield start


def where(node) -> str:
    return f"{node.config.bind_addr}:{node.config.bind_port}"


@pytest.mark.statement("M-205", "M-206")
def test_streams_and_durations_are_measured(start):
    asked, asking = Watched(), Watched()
    a = start("a", asked, secret_key=KEY, label=b"blue")
    b = start("b", asking, secret_key=KEY, label=b"blue")
    b.join([where(a)])
    asking.wait_for("memberlist.tcp.connect", "memberlist.tcp.sent", "memberlist.pushPullNode", "memberlist.gossip")
    asked.wait_for("memberlist.tcp.accept", "memberlist.tcp.sent", "memberlist.size.remote")
    (frame,) = asked.samples["memberlist.size.remote"]
    # Type byte and length lie around the frame; the label does not count.
    assert asking.counters["memberlist.tcp.sent"] == frame + 5
    assert all(0 <= took_ms < 10_000 for took_ms in asking.samples["memberlist.pushPullNode"])


def test_a_lost_node_is_asked_to_join_and_comes_back(start):
    metrics = Watched()
    a, b = start("a", push_pull_interval=0.2), start("b", metrics)
    address = Address(ip_bytes(b.config.bind_addr), b.config.bind_port)
    inside = a._node
    inside.call(lambda: inside.engine.table.lost.remember(b"b", address, inside.ring.clock.now_ns()))
    metrics.wait_for("memberlist.tcp.accept")
    with metrics._changed:
        metrics._changed.wait_for(lambda: len(a.members()) == 2, timeout=20)
    assert {node.name for node in a.members()} == {b"a", b"b"}


def test_a_broadcast_that_finishes_at_once_is_not_missed(start):
    """Alone there is nobody to wait for: the engine says so within the very step that the caller makes."""
    a = start("a")
    a.update_node(timeout=20)
    a.leave(timeout=20)


def test_a_connection_that_breaks_at_its_first_bytes_is_closed(start, monkeypatch):
    class Broken(contextlib.AbstractContextManager):
        sent, closed = b"", False

        def sendall(self, data):
            self.sent += data
            raise ConnectionResetError("gone")

        def __exit__(self, *_):
            self.closed = True

    broken = Broken()
    a = start("a", label=b"blue")
    monkeypatch.setattr(Surroundings, "dial", lambda *_: broken)
    with pytest.raises(JoinError, match="gone"):
        a.join(["127.0.0.1:9"])
    assert broken.sent.startswith(label_header(b"blue"))
    assert broken.closed
