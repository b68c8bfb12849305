"""A node bound to every address hears both families, as Go's does."""

import contextlib
import socket

import pytest

from serfcompat import Config, MemberStatus, Serf
from serfcompat.runtime import dual_stack
from serfcompat.wire.address import ip_bytes

from .programs import free_address


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


@pytest.mark.socket
@needs_ipv6
@pytest.mark.parametrize("wildcard", dual_stack.WILDCARDS)
@pytest.mark.parametrize("peer", ["127.0.0.1", "::1"])
def test_peers_of_both_families_join_gossip_and_are_probed(wildcard, peer):
    host = free_address() if "." in peer else "::1"
    everywhere = Config.local(node_name="everywhere", bind_addr=wildcard, bind_port=0, advertise_addr=peer)
    with (
        Serf(everywhere) as a,
        Serf(Config.local(node_name="peer", bind_addr=host, bind_port=0, probe_interval=0.05, probe_timeout=0.04)) as b,
    ):
        heard = a.events(["user"])
        port = a.config.memberlist.bind_port
        b.join([f"[::1]:{port}" if ":" in peer else f"127.0.0.1:{port}"])
        a.wait_for(2, timeout=20)
        b.user_event("over UDP")
        assert heard.get(timeout=20).name == "over UDP"
        events = b.events(["user"])
        a.user_event("and back")
        assert events.get(timeout=20).name == "and back"
        while b.cached_coordinate("everywhere") is None:  # an ack of a probe has come
            b.stats()
        assert {m.name for m in b.members(status=MemberStatus.ALIVE)} == {"everywhere", "peer"}


def test_addresses_of_a_dual_socket_are_plain_for_all_others():
    v4, v6 = ip_bytes("10.0.0.1"), ip_bytes("2001:db8::1")
    assert dual_stack.plain(dual_stack.mapped(v4)) == v4
    assert dual_stack.plain(dual_stack.mapped(v6)) == v6


@pytest.mark.socket
def test_a_port_that_is_taken_is_an_error_not_a_reason_for_one_family():
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            dual_stack.bound(lambda family: socket.socket(family, socket.SOCK_STREAM), "0.0.0.0", port)


@pytest.mark.socket
def test_without_ipv6_the_wildcard_is_ipv4():
    def make(family):
        if family == socket.AF_INET6:
            raise OSError("Address family not supported by protocol")
        return socket.socket(family, socket.SOCK_DGRAM)

    original = dual_stack._no_ipv6
    dual_stack._no_ipv6 = lambda: True
    try:
        with dual_stack.bound(make, "0.0.0.0", 0) as sock:
            assert sock.family == socket.AF_INET
        with pytest.raises(OSError, match="not supported"):
            dual_stack.bound(make, "::", 0)
    finally:
        dual_stack._no_ipv6 = original
