"""A bare memberlist of ours among Prometheus Alertmanagers, which gossip their own messages on memberlist."""

from __future__ import annotations

import queue
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serfcompat import Delegate, JoinError, Memberlist, MemberlistConfig, NodeState
from tests.agents import free_host
from tests.foreign.alertmanager import CLUSTER_PORT, Alertmanager

pytestmark = [pytest.mark.interop, pytest.mark.socket]
KINDS = [("0.21", ""), ("0.28", ""), ("0.28", "blue")]
PATIENCE = 40.0


class Ears(Delegate):
    """Keeps what it is told of others."""

    def __init__(self) -> None:
        self.heard: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self.updates = 0

    def notify_join(self, node) -> None:
        self.heard.put(("join", node.name))

    def notify_leave(self, node) -> None:
        self.heard.put((node.state.name.lower(), node.name))

    def next(self) -> tuple[str, bytes]:
        return self.heard.get(timeout=PATIENCE)


def ours(label: str = "", ears: Delegate | None = None, name: str = "watcher") -> Memberlist:
    config = MemberlistConfig.lan(
        name=name, bind_addr=free_host(CLUSTER_PORT), bind_port=CLUSTER_PORT, label=label.encode()
    )
    return Memberlist(config, ears)


@pytest.mark.parametrize(("version", "label"), KINDS)
def test_a_member_sees_all_is_seen_and_leaves(version, label, tmp_path):
    with (
        Alertmanager(version, tmp_path, label=label) as first,
        Alertmanager(version, tmp_path, first.gossip, label=label) as second,
    ):
        both = {first.gossip, second.gossip}
        first.wait_for_peers(both)
        ears = Ears()
        with ours(label, ears) as member:
            assert member.join([first.gossip]) == 1
            me = str(member.local_node().address)
            for each in (first, second):
                each.wait_for_peers({*both, me})
            assert {str(node.address) for node in member.members()} == {*both, me}
            assert {node.name.decode() for node in member.members()} == set(first.peers())
            names = {address: name.encode() for name, address in first.peers().items()}

            with Alertmanager(version, tmp_path, second.gossip, label=label) as third:
                while ears.next()[1] not in (known := {name.encode() for name in third.peers()} - set(names.values())):
                    pass
                third.wait_for_peers({*both, me, third.gossip})
                third.process.terminate()
                assert third.wait_exit() == 0
                assert ears.next() == ("left", known.pop())
            assert first.metric("alertmanager_cluster_members") == 3
            member.leave(timeout=10)
        for each in (first, second):
            each.wait_for_peers(both)
            assert each.metric("alertmanager_cluster_health_score") == 0
            assert not each.complaints()


def test_another_label_keeps_out(tmp_path):
    with Alertmanager("0.28", tmp_path, label="blue") as blue:
        for label in ("", "green"):
            with ours(label) as stranger:
                with pytest.raises(JoinError):
                    stranger.join([blue.gossip])
                assert len(stranger.members()) == 1
        assert set(blue.peers().values()) == {blue.gossip}


@pytest.mark.slow
@pytest.mark.parametrize(("version", "label"), KINDS)
def test_a_member_is_stable_for_a_minute(version, label, tmp_path):
    with (
        Alertmanager(version, tmp_path, label=label) as first,
        Alertmanager(version, tmp_path, first.gossip, label=label) as second,
        ours(label, ears := Ears()) as member,
    ):
        member.join([first.gossip])
        wanted = {first.gossip, second.gossip, str(member.local_node().address)}
        for each in (first, second):
            each.wait_for_peers(wanted)
        while not ears.heard.empty():
            ears.heard.get()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert {str(node.address) for node in member.members() if node.state is NodeState.ALIVE} == wanted
            for each in (first, second):
                assert set(each.peers().values()) == wanted
                assert each.metric("alertmanager_cluster_failed_peers") == 0
            time.sleep(1)
        assert ears.heard.empty()
        assert member.health_score == 0
        member.leave(timeout=10)
        for each in (first, second):
            each.wait_for_peers({first.gossip, second.gossip})
            assert not each.complaints()


def test_the_example(tmp_path):
    example = Path(__file__).resolve().parents[2] / "examples" / "alertmanager_peers.py"
    host = free_host(CLUSTER_PORT)
    with Alertmanager("0.28", tmp_path, label="blue") as first:
        process = subprocess.Popen(
            [sys.executable, example, "zz-watcher", host, "blue", first.gossip],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout.readline() == f"+ {first.gossip}\n"
            with Alertmanager("0.28", tmp_path, first.gossip, label="blue") as second:
                assert process.stdout.readline() == f"+ {second.gossip}\n"
                # It is ready before it listens to signals: an answer that needs all of it comes after.
                second.wait_for_peers({first.gossip, second.gossip, f"{host}:{CLUSTER_PORT}"})
                second.process.terminate()
                assert second.wait_exit() == 0
                assert process.stdout.readline() == f"- {second.gossip} left\n"
            process.stdin.close()
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        first.wait_for_peers({first.gossip})
