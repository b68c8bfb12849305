"""One member for all workers of a host: who starts it, and what becomes of it when something dies."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from serfcompat.contrib.host_agent import FAILED_PAUSE
from tests.agents import AgentProcess
from tests.contrib.hosts import SYSTEM_PYTHON, Refused, address, incarnation, until

pytestmark = pytest.mark.socket
NOBODY = 65534
SHORT_LIVED = """
import json, sys
from serfcompat.contrib import local
local().configure(json.loads(sys.argv[1]))
local().members()
"""


def test_workers_that_come_together_start_one_member(host):
    web = host()
    workers = [web.worker(start=False) for _ in range(4)]
    for worker in workers:
        worker.do("start")
    reports = [worker.until(lambda report: report["attached"]) for worker in workers]
    assert len({report["member"] for report in reports}) == 1
    assert sum(report["started"] for report in reports) == 1
    until(lambda: sum(worker.report["supervises"] for worker in workers) == 1)
    assert all(worker.do("members") == {"web": "alive"} for worker in workers)


def test_a_killed_member_comes_back_as_itself_at_a_higher_incarnation(host, watcher, seen):
    web = host(retry_join=[address(watcher)])
    workers = [web.worker() for _ in range(3)]
    for worker in workers:
        worker.do("listen")
    until(lambda: seen() == ["join web"])
    until(lambda: incarnation(watcher, "web") > 1)
    before, where = incarnation(watcher, "web"), workers[0].do("member", "web")
    victim = workers[0].report["member"]
    os.kill(victim, signal.SIGKILL)
    reports = [worker.until_replaced(victim) for worker in workers]
    assert len({report["member"] for report in reports}) == 1
    until(lambda: incarnation(watcher, "web") > before)
    assert workers[2].do("member", "web") == where
    assert [member.name for member in watcher.members(status="alive")] == ["watcher", "web"]
    assert seen() == ["join web"]
    assert all(worker.do("wait_heard", "gap") for worker in workers)
    # Its old clock came with it: what is said now is news to all.
    workers[1].do("event", "hello")
    assert all(worker.do("wait_heard", "user-event: hello") for worker in workers)


def test_when_the_supervising_worker_is_killed_another_takes_over_and_the_member_stays(host):
    web = host(linger=30.0)
    workers = [web.worker() for _ in range(3)]
    member = workers[0].report["member"]
    while len(workers) > 1:
        supervisor = until(lambda: next((each for each in workers if each.report["supervises"]), None))
        supervisor.kill()
        workers.remove(supervisor)
        until(lambda: any(each.report["supervises"] for each in workers))
        assert {each.report["member"] for each in workers} == {member}


def test_a_reload_keeps_the_member(host, watcher, seen):
    web = host(retry_join=[address(watcher)], linger=30.0)
    old = web.worker()
    member = old.report["member"]
    new = web.worker()
    old.kill(signal.SIGTERM)
    new.until(lambda report: report["supervises"])
    assert new.report["member"] == member
    new.kill(signal.SIGTERM)  # and a gap that is shorter than `linger`
    assert web.worker().report["member"] == member
    assert seen() == ["join web"]


def test_the_member_leaves_when_the_last_worker_has_gone(host, watcher, seen):
    web = host(retry_join=[address(watcher)])
    worker = web.worker()
    member = worker.report["member"]
    worker.kill()
    until(lambda: seen() == ["join web", "left web"])
    until(lambda: web.state["phase"] == "left")
    with pytest.raises(ProcessLookupError):
        until(lambda: os.kill(member, 0))
    assert web.worker().do("member", "web")[2] == "alive"
    until(lambda: seen() == ["join web", "left web", "join web"])


def test_a_terminated_member_leaves_and_only_new_workers_bring_it_back(host, watcher, seen):
    web = host(retry_join=[address(watcher)])
    old = web.worker()
    os.kill(old.report["member"], signal.SIGTERM)
    until(lambda: seen() == ["join web", "left web"])
    report = old.until(lambda report: report["problem"])
    assert (report["attached"], report["problem"]) == (False, "the host's member has left the cluster")
    assert old.do("members") != {}  # the last that it knew
    assert web.worker().report["started"] == 1


def test_a_worker_can_let_the_host_leave(host, watcher, seen):
    web = host(retry_join=[address(watcher)])
    web.worker().do("leave")
    until(lambda: seen() == ["join web", "left web"])


def test_files_left_behind_mean_nothing(host):
    web = host()
    web.run_dir.mkdir(mode=0o700)
    (web.run_dir / "lock").write_text("1")
    (web.run_dir / "workers").write_text("4711")
    (web.run_dir / "state.json").write_text('{"pid": 1, "phase": "running"')
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(web.run_dir / "agent.sock"))
    assert web.worker().do("members") == {"web": "alive"}


def test_a_member_that_hangs_is_replaced(host, watcher, seen):
    web = host(retry_join=[address(watcher)], profile="lan")
    workers = [web.worker() for _ in range(2)]
    until(lambda: any(each.report["supervises"] for each in workers))
    stuck = workers[0].report["member"]
    os.kill(stuck, signal.SIGSTOP)
    for worker in workers:
        worker.until_replaced(stuck)


def test_two_apps_share_the_member_of_their_host(host, watcher):
    web = host(retry_join=[address(watcher)])
    shop, blog = web.worker(tags={"shop": "8000"}), web.worker(tags={"blog": "8001"})
    assert shop.report["member"] == blog.report["member"]
    until(lambda: shop.do("member", "web")[1] == {"shop": "8000", "blog": "8001"})
    assert blog.do("members", tags={"shop": ".+"}) == {"web": "alive"}
    until(lambda: any(dict(each.tags) == {"shop": "8000", "blog": "8001"} for each in watcher.members()))
    # The member's next life knows only the tags of the app that started it, until all have said theirs again.
    victim = shop.report["member"]
    os.kill(victim, signal.SIGKILL)
    shop.until_replaced(victim)
    until(lambda: shop.do("member", "web")[1] == {"shop": "8000", "blog": "8001"})


def test_an_app_that_wants_another_name_is_told_whose_member_it_shares(host):
    web = host()
    web.worker()
    web.worker(node_name="shop")
    until(lambda: "the member that this host's workers share is web, not shop" in web.log.read_text())


def test_a_member_that_can_not_even_start_is_not_tried_all_the_time(host, short_dir):
    web = host()
    worker = web.worker(start=False, log_file=str(short_dir / "nowhere" / "log"))
    began = time.monotonic()
    worker.do("start")
    problem = worker.until(lambda report: report["problem"])["problem"]
    assert problem == "the host's member ended while it was starting: its log says why"
    started = worker.report["started"]
    assert started <= 1 + (time.monotonic() - began) / FAILED_PAUSE


@pytest.mark.interop
def test_an_agent_that_is_there_already_is_used_instead(host):
    with AgentProcess("go-0.10.1", "go") as go:
        web = host(attach=go.rpc)
        workers = [web.worker() for _ in range(2)]
        for worker in workers:
            worker.do("listen", "deploy")
        assert workers[0].do("members") == {"go": "alive"}
        assert sum(worker.report["started"] for worker in workers) == 0
        until(lambda: sum(worker.report["supervises"] for worker in workers) == 1)
        workers[0].do("event", "deploy", "v2")
        assert all(worker.do("wait_heard", "user-event: deploy v2") for worker in workers)


def test_the_log_is_bounded_and_nobody_waits_for_the_member_who_reads_a_worker_to_its_end(host):
    web = host(log_file="", log_level="DEBUG", linger=30.0)
    command = [sys.executable, "-c", SHORT_LIVED, json.dumps(web.settings)]
    subprocess.run(command, check=True, capture_output=True, timeout=25)
    log = web.run_dir / "member.log"
    assert "Serf agent starting" in log.read_text()
    with log.open("a") as file:
        file.write("x" * 1_000_000)
    worker = web.worker()
    until(lambda: (web.run_dir / "member.log.1").exists())
    worker.do("tag", colour="red")
    until(lambda: "EventMemberUpdate: web" in log.read_text())
    assert log.stat().st_size < 100_000


def test_a_run_directory_that_was_removed_is_made_anew(host, watcher):
    web = host(retry_join=[address(watcher)])
    worker = web.worker()
    old = worker.report["member"]
    shutil.rmtree(web.run_dir)
    new = worker.until_replaced(old)["member"]
    with pytest.raises(ProcessLookupError):
        until(lambda: os.kill(old, 0))
    until(lambda: worker.do("members") == {"watcher": "alive", "web": "alive"})
    looks = web.log.read_text().count("no worker for")  # it sees that there is one
    assert (looks, worker.report["member"]) == (0, new)


def test_a_port_that_is_taken_is_told_and_tried_again(host):
    web = host()
    ip, port = web.address.split(":")
    with socket.socket() as other:
        other.bind((ip, int(port)))
        other.listen()
        worker = web.worker(start=False)
        worker.do("start")
        problem = worker.until(lambda report: report["problem"])["problem"]
        assert "address already in use" in problem
        assert "`bind` and a `node_name` of its own" in problem
        with pytest.raises(Refused, match=r"AgentUnreachable: .*address already in use"):
            worker.do("members")
    worker.until(lambda report: report["attached"])
    assert worker.report["problem"] == ""


def test_a_forked_child_uses_the_same_member_by_a_thread_of_its_own(host):
    web = host()
    worker = web.worker()
    child = worker.do("fork_and_report")
    assert child["before"] == ["MainThread"]
    assert child["members"] == {"web": "alive"}
    assert child["member"] == worker.report["member"]
    assert (worker.report["attached"], worker.report["supervises"]) == (True, True)


def test_nothing_starts_before_it_is_needed(host):
    worker = host().worker(start=False)
    worker.do("listen")
    assert worker.report["threads"] == ["MainThread"]
    assert worker.do("members") == {"web": "alive"}
    assert "serfcompat-follower" in worker.report["threads"]


@pytest.mark.parametrize("flags", [(), ("gevent",)], ids=["threads", "gevent"])
def test_every_worker_hears_and_one_answers(host, watcher, flags):
    web = host(retry_join=[address(watcher)])
    workers = [web.worker(*flags) for _ in range(3)]
    for number, worker in enumerate(workers):
        worker.do("listen", "deploy")
        worker.do("answer", "load", f"{number}")
    watcher.user_event("deploy", b"v2")
    assert all(worker.do("wait_heard", "user-event: deploy v2") for worker in workers)
    answers = workers[0].do("query", "load", 1.0)
    assert [name for name, _ in answers] == ["web"]
    assert workers[1].do("members", name="w.*") == {"watcher": "alive", "web": "alive"}
    assert workers[1].report["staleness"] < 60


def test_a_handler_per_host_runs_in_one_worker(host, watcher):
    web = host(retry_join=[address(watcher)])
    workers = [web.worker() for _ in range(3)]
    until(lambda: sum(worker.report["supervises"] for worker in workers) == 1)
    for worker in workers:
        worker.do("listen_per_host", "heal")
        worker.do("listen", "done")
    watcher.user_event("heal")
    watcher.user_event("done")
    assert all(worker.do("wait_heard", "user-event: done") for worker in workers)
    assert sum("user-event: heal" in worker.do("heard") for worker in workers) == 1


def test_a_worker_that_holds_its_interpreter_does_not_hurt_the_member(host, watcher, seen):
    web = host(retry_join=[address(watcher)])
    worker = web.worker()
    until(lambda: seen() == ["join web"])
    before = incarnation(watcher, "web")
    worker.tell("spin", 5.0)  # the local profile calls a silent member failed in less
    worker.answer()
    assert seen() == ["join web"]
    assert incarnation(watcher, "web") - before <= 1  # nothing to refute; one word is its own


@pytest.mark.skipif(
    os.getuid() != 0 or not os.access(SYSTEM_PYTHON, os.X_OK),
    reason="needs root, to become somebody else, and a Python for all",
)
class TestUsers:
    def test_a_directory_that_may_not_be_written_to_is_told_and_tried_again(self, host, short_dir):
        web = host()
        worker = web.worker(start=False, user=NOBODY, run_dir=str(short_dir / "its own"), log_file="")
        worker.do("start")
        problem = worker.until(lambda report: report["problem"])["problem"]
        assert f"as user {NOBODY}: Permission denied: let run_dir" in problem
        (short_dir / "its own").mkdir(mode=0o700)
        os.chown(short_dir / "its own", NOBODY, NOBODY)
        worker.until(lambda report: report["attached"])
        assert worker.do("members") == {"web": "alive"}

    def test_users_do_not_share_a_member(self, host, short_dir):
        web = host()
        web.worker()
        stranger = web.worker(start=False, user=NOBODY)
        stranger.do("start")
        problem = stranger.until(lambda report: report["problem"])["problem"]
        assert "need the same user; give others a run_dir, a node_name and a bind address of their own" in problem
        own = short_dir / "own"
        own.mkdir(mode=0o700)
        os.chown(own, NOBODY, NOBODY)
        other = host("other").worker(user=NOBODY, run_dir=str(own), retry_join=[web.address])
        until(lambda: other.do("members") == {"other": "alive", "web": "alive"})


def test_the_member_holds_nothing_of_its_worker(host):
    """Neither listening sockets nor other descriptors: a web server could not bind its port again."""
    web = host()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.set_inheritable(True)
        command = [sys.executable, "-c", SHORT_LIVED, json.dumps(web.settings)]
        subprocess.run(command, check=True, close_fds=False, timeout=60, stderr=subprocess.DEVNULL)
        inode = f"socket:[{os.fstat(listener.fileno()).st_ino}]"
        held = {os.readlink(f"/proc/{web.state['pid']}/fd/{fd}") for fd in os.listdir(f"/proc/{web.state['pid']}/fd")}
        assert inode not in held
        assert any(each.endswith("/lock") for each in held)
