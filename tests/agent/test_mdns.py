"""Finding each other by multicast DNS (spec agent §5)."""

from __future__ import annotations

import logging
import os
import socket
import time

import dns.flags
import dns.message
import dns.rdatatype
import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.agent import mdns
from serfcompat.agent.mdns import IPV4, Discovery
from serfcompat.agent.mdns_records import Announcement, found_in, question
from serfcompat.errors import JoinError
from tests.agent.multicast import multicast_interface
from tests.agents import GO_AGENTS, OURS, RPC_PORT, AgentProcess, free_host

N1 = Announcement("foo", node="n1", host="vm", ip="127.0.0.81", port=27946)
# Captured from a Go agent: its question, and its answer to it (spec agent §5).
GO_QUESTION = bytes.fromhex("abcd00000001000000000000095f736572665f666f6f045f746370056c6f63616c00000c0001")
GO_ANSWER = bytes.fromhex(
    "000084000000000400000000095f736572665f666f6f045f746370056c6f63616c00000c000100000078000 5026e31c00c"
    "c02c0021000100000078000a000a00016d2a02766d00c04300010001000000780004 7f000051"
    "c02c001000010000007800131253657266202766 6f6f2720636c7573746572".replace(" ", "")
)


def records(reply):
    message = dns.message.from_wire(reply)
    return [
        (str(each.name), dns.rdatatype.to_text(each.rdtype), each.ttl, each[0].to_text()) for each in message.answer
    ]


@pytest.mark.statement("A-252")
def test_the_answer_says_what_gos_says():
    reply = N1.answer(GO_QUESTION)
    assert reply[:4] == bytes.fromhex("00008400")
    message = dns.message.from_wire(reply)
    assert (message.question, message.authority, message.additional) == ([], [], [])
    assert records(reply) == records(GO_ANSWER)
    assert records(reply) == [
        ("_serf_foo._tcp.local.", "PTR", 120, "n1._serf_foo._tcp.local."),
        ("n1._serf_foo._tcp.local.", "SRV", 120, "10 1 27946 vm."),
        ("vm.", "A", 120, "127.0.0.81"),
        ("n1._serf_foo._tcp.local.", "TXT", 120, "\"Serf 'foo' cluster\""),
    ]


def ask(name, kind, *, announcement=N1, rdclass="IN", **header):
    query = dns.message.make_query(name, kind, rdclass)
    for field, value in header.items():
        setattr(query, field, value)
    reply = announcement.answer(query.to_wire())
    return [] if reply is None else [kind for _, kind, _, _ in records(reply)]


@pytest.mark.statement("A-253")
@pytest.mark.parametrize(
    ("name", "kind", "kinds"),
    [
        ("_serf_foo._tcp.local.", "PTR", ["PTR", "SRV", "A", "TXT"]),
        ("_serf_foo._tcp.local.", "ANY", ["PTR", "SRV", "A", "TXT"]),
        ("_serf_foo._tcp.local.", "A", []),
        ("_serf_bar._tcp.local.", "PTR", []),
        ("_SERF_foo._tcp.local.", "PTR", []),
        ("_services._dns-sd._udp.local.", "PTR", ["PTR"]),
        ("n1._serf_foo._tcp.local.", "ANY", ["SRV", "A", "TXT"]),
        ("n1._serf_foo._tcp.local.", "SRV", ["SRV", "A"]),
        ("n1._serf_foo._tcp.local.", "TXT", ["TXT"]),
        ("n1._serf_foo._tcp.local.", "A", ["A"]),
        ("n1._serf_foo._tcp.local.", "AAAA", []),
        ("n1._serf_foo._tcp.local.", "PTR", []),
        ("vm.", "A", ["A"]),
        ("vm.", "AAAA", []),
        ("vm.local.", "A", []),
    ],
)
def test_what_is_answered(name, kind, kinds):
    assert ask(name, kind) == kinds


def test_an_ipv6_address_is_another_record():
    announcement = Announcement("foo", node="n1", host="vm", ip="::1", port=1)
    assert ask("vm.", "AAAA", announcement=announcement) == ["AAAA"]
    assert found_in(announcement.answer(question("foo")), "foo") == [("::1", 1)]


def test_strange_questions_get_no_answer():
    for flags in (dns.flags.QR, dns.flags.TC, 0x0800, 0x0001):
        assert ask("_serf_foo._tcp.local.", "PTR", flags=flags) == []


def test_a_question_for_one_asker_gets_its_id_back():
    query = dns.message.from_wire(GO_QUESTION[:-2] + b"\x80\x01")
    assert N1.answer(query.to_wire())[:2] == b"\xab\xcd"
    assert N1.answer(GO_QUESTION)[:2] == b"\0\0"


def test_questions_are_gos():
    assert question("foo")[2:] == GO_QUESTION[2:]


def test_agents_are_found_in_gos_answer():
    assert found_in(GO_ANSWER, "foo") == [("127.0.0.81", 27946)]
    assert found_in(GO_ANSWER, "bar") == []
    without_text = GO_ANSWER[:7] + b"\3" + GO_ANSWER[8:-31]
    assert found_in(without_text, "foo") == []


def test_addresses_of_another_class_are_none():
    chaos = GO_ANSWER.replace(bytes.fromhex("c0430001 0001"), bytes.fromhex("c0430001 0003"))
    assert chaos != GO_ANSWER
    assert found_in(chaos, "foo") == []


def test_names_that_do_not_fit():
    with pytest.raises(ValueError):
        Announcement("x" * 64, node="n1", host="vm", ip="127.0.0.1", port=1)
    with pytest.raises(ValueError):
        Announcement("foo", node="x" * 64, host="vm", ip="127.0.0.1", port=1)


@pytest.mark.property
@given(
    st.binary(max_size=80)
    | st.builds(
        lambda at, byte: GO_ANSWER[:at] + byte + GO_ANSWER[at + 1 :], st.integers(0, 150), st.binary(max_size=2)
    )
)
def test_any_bytes_are_taken(data):
    N1.answer(data)
    found_in(data, "foo")


# --- asking again and again ------------------------------------------------------------------------------------------


class Network:
    """Stands for the multicast group: each question opens a socket to answer to."""

    def __init__(self, monkeypatch):
        self.asked = []
        self.joined = []
        monkeypatch.setattr(Discovery, "_ask", lambda discovery: self._ask())

    def _ask(self):
        near, far = gevent.socket.socketpair(type=socket.SOCK_DGRAM)
        self.asked.append((time.monotonic(), far))
        return [near]

    def join(self, addresses):
        self.joined.append((time.monotonic(), list(addresses)))
        return len(addresses)

    def answer(self, port):
        self.asked[-1][1].send(
            Announcement("foo", node=f"n{port}", host="vm", ip="127.0.0.1", port=port).answer(GO_QUESTION)
        )


@pytest.mark.socket
@pytest.mark.statement("A-254")
def test_who_is_new_is_joined_once_after_a_moment_of_quiet(monkeypatch):
    monkeypatch.setattr(mdns, "PERIOD", 1.2)
    network = Network(monkeypatch)
    started = time.monotonic()
    running = gevent.spawn(Discovery("foo", "", [IPV4], network.join).run)
    gevent.sleep(0.02)
    assert len(network.asked) == 1
    assert network.asked[0][0] - started < 0.02
    for port in (1, 2, 1, 3):
        network.answer(port)
        gevent.sleep(0.01)
    last = time.monotonic() - 0.01
    while not network.joined:
        gevent.sleep(0.01)
    when, addresses = network.joined[0]
    assert addresses == ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]
    assert 0.08 < when - last < 0.6
    while len(network.asked) < 2:
        gevent.sleep(0.01)
    assert 1.1 < network.asked[1][0] - network.asked[0][0] < 2
    network.answer(2)
    network.answer(4)
    while len(network.joined) < 2:
        gevent.sleep(0.01)
    assert network.joined[1][1] == ["127.0.0.1:4"]
    running.kill()
    for _, far in network.asked:
        far.close()
    assert mdns.PERIOD == 1.2


def test_the_period_is_a_minute():
    assert (mdns.PERIOD, mdns.LISTEN, mdns.QUIET) == (60.0, 1.0, 0.1)


@pytest.mark.socket
def test_a_join_that_fails_is_logged_and_not_repeated(monkeypatch, caplog):
    network = Network(monkeypatch)

    def refuse(addresses):
        network.joined.append(addresses)
        raise JoinError(["no"])

    discovery = Discovery("foo", "", [IPV4], refuse)
    with caplog.at_level(logging.INFO, logger="serfcompat"):
        for _ in range(2):
            polling = gevent.spawn(discovery.poll)
            gevent.sleep(0.02)
            network.answer(1)
            polling.join()
            network.asked[-1][1].close()
    assert len(network.joined) == 1
    assert "agent.mdns: Failed to join: 1 error occurred:" in caplog.text


class Broken:
    """A family that can't be asked."""

    kind, group = socket.AF_INET, "no address"


@pytest.mark.socket
def test_one_family_is_enough(monkeypatch):
    monkeypatch.setattr(mdns, "LISTEN", 0.01)
    Discovery("foo", "", [Broken, IPV4], lambda addresses: 0).poll()
    with pytest.raises(OSError):
        Discovery("foo", "", [Broken], lambda addresses: 0).poll()


# --- agents ----------------------------------------------------------------------------------------------------------


@pytest.mark.statement("A-251", "A-100")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(GO_AGENTS[1], GO_AGENTS[1], marks=pytest.mark.interop),
        pytest.param(GO_AGENTS[1], OURS, marks=pytest.mark.interop),
        pytest.param(OURS, GO_AGENTS[0], marks=pytest.mark.interop),
        pytest.param(OURS, OURS, marks=pytest.mark.socket),
    ],
)
def test_agents_find_each_other(first, second):
    interface, ip = multicast_interface()
    cluster = f"test-{os.getpid()}-{time.monotonic_ns()}"

    def agent(kind, name):
        host = free_host()
        with socket.socket() as probe:
            probe.bind((ip, 0))
            port = probe.getsockname()[1]
        flags = [f"-node={name}", f"-iface={interface}", f"-bind={ip}:{port}", f"-rpc-addr={host}:{RPC_PORT}"]
        return AgentProcess(kind, name, *flags, f"-discover={cluster}", "-profile=local", host=host, bare=True)

    with agent(first, "one") as one:
        assert f"                   mDNS cluster: {cluster}\n" in one.output
        one.wait_for("agent.mdns: Joined 1 hosts")  # itself
        with agent(second, "two") as two:
            two.wait_for("agent.mdns: Joined 2 hosts")
            one.wait_for("serf: EventMemberJoin: two")
