"""Some cases on real agents: what holds for Go is to hold for ours."""

from __future__ import annotations

import sys

import pytest

from serfcompat.cli.main import main
from serfcompat.conformance.cases import probe
from tests.peers import go_serf

pytestmark = [pytest.mark.interop, pytest.mark.socket]

FEW = (
    "ping-by-name",
    "ping-to-source",
    "compound-127",
    "compress-packet",
    "crc-gossip",
    "encrypt-packet",
    "encrypt-stream",
    "stream-ping",
    "push-pull-answer",
    "refute-suspect",
    "read-array",
    "bytes-ack",
    "bytes-push-pull",
    "join",
    "event-sent",
    "query-ack",
    "rpc-handshake",
)
FLAGS = "agent -node={name} -bind={bind} -rpc-addr={rpc} {extra}"
RELEASES = {"0.9.4": "0.2.2", "0.10.1": "0.5.0"}
"memberlist in each serf."


def conformance(*args):
    return main(["conformance", "-quiet", *args])


@pytest.mark.parametrize("version", RELEASES)
def test_go_passes(version, capfd):
    only = [f"-only={id}" for id in FEW]
    assert conformance(f"-impl={go_serf(version)} {FLAGS}", f"-as={RELEASES[version]}", *only) == 0
    assert f"{len(FEW)} passed" in capfd.readouterr().out


def test_ours_passes(capfd):
    assert conformance(f"-impl={sys.executable} -m serfcompat {FLAGS}", *(f"-only={id}" for id in FEW)) == 0
    assert f"{len(FEW)} passed" in capfd.readouterr().out


def test_an_agent_that_does_not_start_cannot_be_judged(capfd):
    assert conformance(f"-impl=false {FLAGS}", "-only=ping-by-name", "-attempts=1") == 2
    assert "the node couldn't be made ready" in capfd.readouterr().out


def test_a_kit_that_is_too_late_itself_blames_nobody(capfd, monkeypatch):
    class Slow(probe._Tardy):
        def __init__(self, member, to, wait):
            super().__init__(member, to, 4 * wait)

    monkeypatch.setattr(probe, "_Tardy", Slow)
    impl = f"-impl={sys.executable} -m serfcompat {FLAGS}"
    assert conformance(impl, "-only=probe-late-ack", "-attempts=1") == 2
    assert "too busy a machine" in capfd.readouterr().out
