"""The host's member in a thread of a worker, instead of a process of its own: `in_process`."""

from __future__ import annotations

import os
import signal

import pytest

from serfcompat.contrib.host_agent import STUCK_AFTER, HostAgent
from serfcompat.contrib.settings import HostSettings
from tests.contrib.hosts import address, incarnation, until

pytestmark = pytest.mark.socket
KINDS = pytest.mark.parametrize("flags", [(), ("gevent",)], ids=["threads", "gevent"])


def pair(host, watcher, *flags):
    """A host with two workers, the first of which runs the member."""
    web = host(retry_join=[address(watcher)], in_process=True)
    return web, web.worker(*flags), web.worker(*flags)


@KINDS
def test_one_worker_runs_the_member_and_the_others_use_it(host, watcher, flags):
    _, owner, other = pair(host, watcher, *flags)
    assert owner.report["member"] == other.report["member"] == owner.report["pid"]
    assert [owner.report["started"], other.report["started"]] == [1, 0]
    until(lambda: other.do("members") == {"watcher": "alive", "web": "alive"})
    for worker in (owner, other):
        worker.do("listen")
    watcher.user_event("deploy", b"v2")
    assert all(worker.do("wait_heard", "user-event: deploy v2") for worker in (owner, other))
    owner.do("answer", "load", "0.5")
    until(lambda: [each.payload for each in watcher.query("load", timeout=1)] == [b"0.5"])


@KINDS
def test_when_its_worker_is_killed_another_goes_on_as_the_same_member(host, watcher, seen, flags):
    _, owner, other = pair(host, watcher, *flags)
    until(lambda: incarnation(watcher, "web") > 1)
    before, where = incarnation(watcher, "web"), other.do("member", "web")
    owner.kill()
    report = other.until(lambda report: report["attached"] and report["member"] == report["pid"])
    assert report["started"] == 1
    until(lambda: incarnation(watcher, "web") > before)
    assert other.do("member", "web") == where
    assert seen() == ["join web"]


def test_a_worker_that_ends_leaves_the_member_to_the_others_and_the_last_one_lets_it_leave(host, watcher, seen):
    web, owner, other = pair(host, watcher)
    owner.finish()
    other.until(lambda report: report["attached"] and report["member"] == report["pid"])
    assert seen() == ["join web"]
    other.finish()
    until(lambda: seen() == ["join web", "left web"])
    assert web.state["phase"] == "left"


def test_a_child_of_its_worker_holds_nothing_of_the_member(host, watcher, seen):
    _, owner, other = pair(host, watcher)
    child = owner.do("fork_and_stay")
    try:
        owner.kill()
        report = other.until(lambda report: report["attached"] and report["member"] == report["pid"])
        assert report["started"] == 1
        assert seen() == ["join web"]
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_worker_that_blocks_does_not_hurt_it(host, watcher, seen):
    _, owner, other = pair(host, watcher)
    owner.tell("sleep", 5.0)
    other.do("event", "hello")
    until(lambda: other.do("members") == {"watcher": "alive", "web": "alive"})
    assert owner.answer() is None
    assert seen() == ["join web"]


def test_nobody_kills_the_worker_for_a_member_that_hangs(host, caplog):
    web = host(in_process=True)
    supervisor = HostAgent(HostSettings.of(web.settings))
    supervisor.dir.make()
    assert supervisor.supervises()
    owner = web.worker()
    for _ in range(STUCK_AFTER):
        supervisor.owes_an_answer()
    assert f"in the worker with process {owner.process.pid}, does not answer" in caplog.text
    assert owner.report["attached"]
    supervisor.close()


def test_it_can_leave_and_comes_back_with_a_new_worker(host, watcher, seen):
    web, _, other = pair(host, watcher)
    other.do("leave")
    until(lambda: seen() == ["join web", "left web"])
    new = web.worker()
    assert new.report["member"] == new.report["pid"]
    until(lambda: seen() == ["join web", "left web", "join web"])
