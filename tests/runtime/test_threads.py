"""A node in a thread of its own: what it must not do to the program, nor the program to it."""

import ast
import threading
from pathlib import Path

import gevent
import pytest
from gevent.lock import RLock, Semaphore

import serfcompat
from serfcompat import Config, Serf
from serfcompat.runtime.home import ThreadHome

from .programs import PATCHED, free_address, run

PACKAGE = Path(serfcompat.__file__).parent


@pytest.mark.socket
def test_in_a_patched_program_the_thread_is_real_and_the_programs_hub_is_left_alone():
    program = """
    import gevent
    from gevent import monkey
    mine = monkey.get_original("_thread", "get_ident")()
    a = Serf(config("a", sys.argv[1]), home="thread").start()
    assert a._node.home_thread != mine
    ticks = []
    def tick():
        while True:
            ticks.append(1)
            gevent.sleep(0.001)
    ticking = gevent.spawn(tick)
    events = a.events(["user"])
    def fire():
        gevent.sleep(0.05)
        a.user_event("x")
    gevent.spawn(fire)
    assert events.get(timeout=10).name == "x"  # the main greenlet waits, and others go on
    assert len(ticks) > 5, len(ticks)
    a.shutdown()
    seen = len(ticks)
    gevent.sleep(0.02)
    assert len(ticks) > seen
    ticking.kill()
    print("ok")
    """
    assert run(program, free_address(), first=PATCHED) == "ok\n"


@pytest.mark.socket
@pytest.mark.parametrize("first", ["", PATCHED])
def test_two_threads_that_start_their_first_node_together_do_not_block_each_other(first):
    program = """
    from gevent import monkey
    start = monkey.get_original("_thread", "start_new_thread")
    done = []
    def node(host):
        with Serf(config(host, host), home="thread"):
            done.append(host)
    for host in sys.argv[1:]:
        start(node, (host,))
    while len(done) < 2:
        time.sleep(0.01)
    print("ok")
    """
    assert run(program, free_address(), free_address(), first=first) == "ok\n"


@pytest.mark.socket
def test_many_threads_may_shut_a_node_down_at_once():
    for _ in range(10):
        node, failed = Serf(Config.local(node_name="a", bind_addr=free_address()), home="thread").start(), []

        def end(node=node, failed=failed):
            try:
                node.shutdown()
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=end) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
        assert failed == []
        assert str(node.state) == "shutdown"


@pytest.mark.socket
@pytest.mark.parametrize("first", ["", PATCHED])
def test_a_program_that_forgets_to_shut_down_ends_well(first, tmp_path):
    program = """
    a = Serf(config("a", sys.argv[1], snapshot_path=sys.argv[2]), home="thread").start()
    b = Serf(config("b", sys.argv[3]), home="thread").start()
    a.join([sys.argv[3]])
    a.on("user", lambda event: None)
    print("ok")
    """
    path = tmp_path / "snapshot"
    host = free_address()
    assert run(program, free_address(), str(path), host, first=first) == "ok\n"
    assert f"alive: b {host}:7946\n" in path.read_text()  # even what still was in the buffer


@pytest.mark.socket
def test_members_are_seen_while_the_node_itself_is_stuck():
    with Serf(Config.local(node_name="a", bind_addr=free_address()), home="thread") as a:
        stuck, go_on = threading.Lock(), threading.Lock()
        stuck.acquire()
        go_on.acquire()

        def block():
            stuck.release()
            go_on.acquire()  # natively: the node's hub stands still

        blocking = threading.Thread(target=a._node.call, args=(block,))
        blocking.start()
        stuck.acquire()
        assert [member.name for member in a.members(tags={}, status="alive")] == ["a"]
        go_on.release()
        blocking.join()


@pytest.mark.socket
def test_handlers_run_beside_the_node_not_in_it():
    with Serf(Config.local(node_name="a", bind_addr=free_address()), home="thread") as a:
        where, told = [], threading.Event()

        def handler(event):
            where.append(threading.get_ident())
            a.stats()  # a call of its own works
            told.set()

        a.on("user", handler)
        a.user_event("x")
        assert told.wait(10)
        assert where[0] not in (a._node.home_thread, threading.get_ident())


def test_a_greenlet_of_another_hub_waits_and_its_siblings_go_on():
    home = ThreadHome()
    try:
        gate = home.call(gevent.event.Event)
        ticks = []

        def tick():
            while len(ticks) < 3:
                ticks.append(1)
                gevent.sleep(0)
            home.call(gate.set)

        waiting = gevent.spawn(home.call, gate.wait)
        gevent.spawn(tick)
        assert waiting.get(timeout=10)
        assert len(ticks) == 3
    finally:
        home.close()


@pytest.mark.socket
def test_a_hub_that_stood_still_is_told_of_with_the_cure(caplog):
    import time

    def program():
        with Serf(Config.local(node_name="a", bind_addr=free_address(), gossip_interval=0.01), home="inline") as a:
            time.sleep(1.3)  # the program hogs the hub
            gevent.sleep(0.01)
            a.stats()

    gevent.spawn(program).get()
    assert "could not act for 1." in caplog.text
    assert "home='thread'" in caplog.text


def test_the_package_takes_nothing_from_threading_that_a_patch_could_not_reach():
    """`from threading import Thread`, imported before `patch_all`, stays what it was: look it up when it is used."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in ("threading", "_thread", "queue"):
                raise AssertionError(f"{path}:{node.lineno}")


def test_no_module_keeps_something_that_remembers_a_hub():
    """gevent's locks and events belong to the hub that first waited for them; virtual time brings another."""
    import importlib
    import pkgutil

    for part in ("wire", "swim", "serf", "runtime", "rpc", "agent", "cli", "testing"):
        package = importlib.import_module(f"serfcompat.{part}")
        for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if info.name == "serfcompat.testing.plugin":  # pytest has it
                continue
            module = importlib.import_module(info.name)
            for name, value in vars(module).items():
                assert not isinstance(value, (gevent.event.Event, RLock, Semaphore, gevent.hub.Hub)), (info.name, name)
