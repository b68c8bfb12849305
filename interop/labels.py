"""Clusters with a label, which serf's binaries have no setting for: of ours alone, and with Alertmanagers."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TypeVar

from interop.steps import Outcome
from serfcompat.errors import JoinError, SerfCompatError
from serfcompat.runtime.memberlist import Memberlist
from serfcompat.swim.config import MemberlistConfig
from serfcompat.testing.backends import backend
from serfcompat.testing.containers import Containers
from serfcompat.testing.programs import NotHere

LABEL, OTHER = b"blue", b"green"
LIMIT = 40.0
"Seconds within which all know all; Alertmanager's push/pull comes every minute, its gossip five times a second."
ALERTMANAGER = "alertmanager:0.28"
PORT, WEB_PORT = 9094, 9093
T = TypeVar("T")
CONFIG = "route: {receiver: nobody}\\nreceivers: [{name: nobody}]\\n"


def alone(on: str) -> None:
    """Three of ours find each other; one with another label, or with none, joins nobody and is seen by nobody."""
    with ExitStack() as stack:
        nodes = [_ours(stack, f"n{number}", host, LABEL) for number, host in enumerate(_hosts(stack, 3), 1)]
        for node in nodes[1:]:
            assert node.join([str(nodes[0].local_node().address)]) == 1
        _until(lambda: {len(node.members()) for node in nodes}, lambda seen: seen == {3})
        for number, label in enumerate((OTHER, b"")):
            (host,) = _hosts(stack, 1)
            stranger = _ours(stack, f"stranger{number}", host, label)
            _refused(stranger, str(nodes[0].local_node().address))
        assert {len(node.members()) for node in nodes} == {3}


def alertmanager(on: str) -> None:
    """Two Alertmanagers and one of ours see each other; with another label ours joins nobody."""
    if on != "containers":
        raise NotHere("Alertmanager's package needs its files in /usr/share: only a container has them there")
    with ExitStack() as stack:
        network = backend(on)
        stack.callback(network.close)
        assert isinstance(network, Containers)
        hosts = [network.free_host() for _ in range(2)]
        for host in hosts:
            network.run(ALERTMANAGER, _script(host, [each for each in hosts if each != host]), host)
        both = {f"{host}:{PORT}" for host in hosts}
        for host in hosts:
            _until(lambda host=host: _peers(host), lambda seen: seen == both)
        stranger = _ours(stack, "zz-stranger", network.own_address, OTHER, PORT)
        _refused(stranger, f"{hosts[0]}:{PORT}")
        stranger.shutdown()
        member = _ours(stack, "zz-watcher", network.own_address, LABEL, PORT)
        assert member.join([f"{hosts[0]}:{PORT}"]) == 1
        everybody = {*both, f"{network.own_address}:{PORT}"}
        for host in hosts:
            _until(lambda host=host: _peers(host), lambda seen: seen == everybody)
        _until(lambda: {str(node.address) for node in member.members()}, lambda seen: seen == everybody)
        member.leave(timeout=10)
        for host in hosts:
            _until(lambda host=host: _peers(host), lambda seen: seen == both)


RUN: Mapping[str, Callable[[str], None]] = {"alone": alone, "alertmanager": alertmanager}


def run(name: str, on: str) -> Outcome:
    """What came of one of these."""
    began = time.monotonic()
    outcome = Outcome(step=name)
    try:
        RUN[name](on)
        outcome.step = ""
    except NotHere as error:
        outcome.missing = str(error)
    except (SerfCompatError, AssertionError, OSError) as error:
        outcome.wrong = f"{type(error).__name__}: {error}"
    outcome.seconds = time.monotonic() - began
    return outcome


def _hosts(stack: ExitStack, count: int) -> list[str]:
    """Loopback addresses: ours run in this process, on any back end."""
    network = backend("loopback")
    stack.callback(network.close)
    return [network.free_host() for _ in range(count)]


def _ours(stack: ExitStack, name: str, host: str, label: bytes, port: int = 7946) -> Memberlist:
    config = MemberlistConfig.lan(name=name, bind_addr=host, bind_port=port, label=label)
    return stack.enter_context(Memberlist(config, home="thread"))


def _refused(node: Memberlist, address: str) -> None:
    try:
        node.join([address])
    except JoinError:
        return
    raise AssertionError(f"{node.local_node().name.decode()} joined a cluster with another label")


def _script(host: str, others: list[str]) -> str:
    peers = " ".join(f"--cluster.peer={other}:{PORT}" for other in others)
    return (
        f"printf '{CONFIG}' > /tmp/alertmanager.yml && exec /usr/bin/prometheus-alertmanager"
        f" --config.file=/tmp/alertmanager.yml --storage.path=/tmp --web.listen-address={host}:{WEB_PORT}"
        f" --cluster.listen-address={host}:{PORT} --cluster.advertise-address={host}:{PORT}"
        f" --cluster.label={LABEL.decode()} {peers}"
    )


def _peers(host: str) -> set[str]:
    """Addresses of the peers that an Alertmanager shows, itself included; none before it serves."""
    try:
        with urllib.request.urlopen(f"http://{host}:{WEB_PORT}/api/v2/status", timeout=5) as answer:
            return {peer["address"] for peer in json.loads(answer.read())["cluster"].get("peers", [])}
    except OSError:
        return set()


def _until(ask: Callable[[], T], right: Callable[[T], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not right(answer := ask()):
        assert time.monotonic() < deadline, f"after {LIMIT:g} s: {answer}"
        time.sleep(0.05)
