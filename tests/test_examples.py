"""Each program of `examples/`, run as its first line says, in a cluster with a node of the test."""

from __future__ import annotations

import base64
import queue

import pytest

from serfcompat import Delegate, Memberlist, MemberlistConfig
from tests.example_programs import PATIENCE, free_address, node, starter, where

pytestmark = pytest.mark.socket


@pytest.fixture
def run():
    with starter() as start:
        yield start


def test_cluster_view_tells_members_failures_and_events(run):
    with node("seed") as seed, node("victim") as victim:
        victim.join([where(seed)])
        events = seed.events(["member-leave"])
        address = free_address()
        program = run("cluster_view.py", "view", address, where(seed))
        assert {program.line() for _ in range(3)} == {
            f"view {address}:7946 alive",
            f"seed {where(seed)} alive",
            f"victim {where(victim)} alive",
        }
        victim.shutdown()
        program.until("lost victim")
        seed.user_event("hello", b"there")
        program.until("heard hello b'there'")
        seed.user_event("goodbye")
        program.until("heard goodbye None")
        program.ends()
        assert events.get(timeout=PATIENCE).members[0].name == "view"


def test_watch_failures_tells_who_was_lost_and_how_many_are_left(run):
    with node("seed") as seed, node("web-1", tags={"role": "web"}) as one, node("web-2", tags={"role": "web"}) as two:
        for each in (one, two):
            each.join([where(seed)])
        seed.wait_for(3, timeout=PATIENCE)
        program = run("watch_failures.py", "watcher", free_address(), where(seed))
        assert program.line() == "watching 4 members"
        address = where(two)
        two.shutdown()
        assert program.line() == f"lost web web-2 at {address} - 1 left"
        seed.user_event("stop")
        program.ends()


def test_load_balancer_follows_the_members_of_its_role(run):
    with node("seed") as seed:
        program = run("load_balancer.py", "balancer", free_address(), "web", where(seed))
        assert program.line() == "back ends: "
        with node("web-1", tags={"role": "web", "port": "8080"}) as one:
            one.join([where(seed)])
            host = one.config.memberlist.bind_addr
            assert program.line() == f"back ends: {host}:8080"
            one.set_tags({"role": "web", "port": "8081"})
            assert program.line() == f"back ends: {host}:8081"
            one.set_tags({"role": "db", "port": "5432"})
            assert program.line() == "back ends: "
            one.set_tags({"role": "web", "port": "8082"})
            assert program.line() == f"back ends: {host}:8082"
        assert program.line() == "back ends: "  # it went without a word, and was seen to fail
        seed.user_event("stop")
        program.ends()


def test_threads_share_one_node(run):
    with node("seed") as seed:
        program = run("threads.py", "workers", free_address(), where(seed))
        program.until("ready")
        for number in range(6):
            seed.user_event("job", b"%d" % number)
        assert sorted(program.line() for _ in range(6)) == [f"done: {n} by worker {n % 3}" for n in range(6)]
        seed.user_event("stop")
        program.ends()


def test_gevent_program_answers_from_a_greenlet(run):
    with node("seed") as seed:
        program = run("gevent_program.py", "green", free_address(), where(seed))
        program.until("asked for 2 coordinates at once")
        (answer,) = seed.query("load", filter_nodes=["green"], timeout=PATIENCE)
        assert (answer.from_, answer.payload) == ("green", b"0.25")
        seed.user_event("stop")
        program.until("left")
        program.ends()


def test_prefork_makes_each_worker_a_member(run):
    with node("seed") as seed:
        program = run("prefork.py", "app", free_address(), "2", where(seed))
        workers = {program.line().removeprefix("worker ") for _ in range(2)}
        alive = {member.name for member in seed.wait_for(3, tags={"role": "app"}, timeout=PATIENCE)}
        assert alive == {"app", *workers}
        answers = {answer.from_ for answer in seed.query("pid", filter_tags={"role": "app"}, timeout=PATIENCE)}
        assert answers == alive
        seed.user_event("stop")
        program.until("master app is alive")
        program.ends()


def test_one_process_has_its_member_within(run, tmp_path):
    with node("seed") as seed, seed.events("member-leave") as left:
        program = run("one_process.py", "script", free_address(), where(seed), str(tmp_path))
        assert program.line() == "script seed"
        seed.user_event("deploy", b"v2")
        program.until("deployed v2")
        seed.user_event("stop")
        program.ends()
        assert [member.name for member in left.get(timeout=PATIENCE).members] == ["script"]


def test_memberlist_chat_talks_both_ways(run):
    class Ear(Delegate):
        def __init__(self) -> None:
            self.said: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        def notify_msg(self, payload: bytes) -> None:
            self.said.put(payload)

    ear = Ear()
    with Memberlist(MemberlistConfig.local(name="seed", bind_addr=free_address()), ear) as seed:
        program = run("memberlist_chat.py", "chat", free_address(), str(seed.local_node().address))
        program.until("* seed is here")
        program.say("good morning")
        assert ear.said.get(timeout=PATIENCE) == b"chat: good morning"
        (chat,) = (each for each in seed.members() if each.name == b"chat")
        seed.send_reliable(chat, b"seed: good evening")
        program.until("seed: good evening")
        program.ends()


def test_rotate_key_changes_the_key_of_the_whole_cluster(run):
    old, new = b"o" * 16, b"n" * 32
    with node("seed", secret_key=old) as seed, node("other", secret_key=old) as other:
        other.join([where(seed)])
        keys = [base64.b64encode(key).decode() for key in (old, new)]
        program = run("rotate_key.py", "rotator", free_address(), *keys, where(seed))
        program.until("3 of 3 members use the new key, and no other")
        program.ends()
        assert seed.keys.list().keys == {keys[1]: 2}
        events = other.events(["user"])
        seed.user_event("still together")
        assert events.get(timeout=PATIENCE).name == "still together"
