"""A visit shows what a node knows, and changes nothing."""

from __future__ import annotations

import itertools
import os
import socket
import threading

import pytest

from serfcompat import Config, Serf, VisitError
from serfcompat.runtime.visit import visit

pytestmark = pytest.mark.socket
_hosts = itertools.count(1)


def node(name: str, **config: object) -> Serf:
    return Serf(Config.local(node_name=name, bind_addr=f"127.34.{os.getpid() % 250}.{next(_hosts)}", **config))


@pytest.mark.parametrize(
    "layers", [{}, {"keys": (b"k" * 16,)}, {"label": b"blue"}, {"keys": (b"k" * 32,), "label": b"b"}]
)
def test_a_visitor_sees_all_and_joins_nothing(layers):
    own = {"keyring": layers.get("keys", ()), "label": layers.get("label", b"")}
    with node("a", **own) as a, node("b", **own) as b:
        b.join([a.local_member().address])
        with a.events() as events:
            seen = visit([a.local_member().address], port=7946, **layers)
            assert {each.name for each in seen.state.nodes} == {b"a", b"b"}
            assert str(seen.address) == a.local_member().address
            assert {member.name for member in a.members()} == {"a", "b"}
            with pytest.raises(TimeoutError):
                events.get(0.3)


def test_addresses_are_tried_in_turn_and_each_failure_is_told():
    with node("a", keyring=[b"k" * 16]) as a:
        where = a.local_member().address
        seen = visit(["127.0.0.1:1", where.partition(":")[0]], port=7946, keys=[b"k" * 16])
        assert str(seen.address) == where
        with pytest.raises(VisitError) as error:
            visit(["127.0.0.1:1", "no such host", where], port=7946)
        refused, unknown, encrypted = error.value.failures
        assert refused == "127.0.0.1:1: connection refused"
        assert unknown.startswith("no such host: ")
        assert encrypted.startswith(f"{where}: ")
    with pytest.raises(VisitError, match="none was given"):
        visit([], port=7946)


def test_a_silent_peer_costs_the_timeout_and_no_more():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(VisitError, match="i/o timeout"):
            visit([address], port=1, timeout=0.2)


def test_a_peer_that_is_no_memberlist_is_told_so():
    with socket.create_server(("127.0.0.1", 0)) as stranger:

        def answer() -> None:
            stream, _ = stranger.accept()
            with stream:
                stream.recv(4096)
                stream.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(VisitError, match="received message type 72"):
            visit([f"127.0.0.1:{stranger.getsockname()[1]}"], port=1, timeout=5)
        thread.join()
