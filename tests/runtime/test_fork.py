"""After a fork: the child lets go and says so, or gets a node of its own; the parent never notices."""

import pytest

from serfcompat import Config, MemberlistConfig, UsageError
from serfcompat.runtime.inheritance import heir_config, heir_name, join_kin
from serfcompat.runtime.serf import Serf

from .programs import PATCHED, free_address, run

pytestmark = pytest.mark.socket

HOMES = pytest.mark.parametrize(
    ("first", "home"), [("", "thread"), ("", "inline"), (PATCHED, "inline"), (PATCHED, "thread")]
)


@HOMES
def test_a_child_is_told_at_once_whatever_it_calls(first, home):
    program = """
    a = Serf(config("a", sys.argv[1]), home=sys.argv[2]).start()
    events, answers = a.events(), a.query("q", timeout=60)
    def child():
        said = []
        for call in (a.members, a.stats, a.leave, a.start, events.get, answers.get, lambda: next(iter(events)),
                     lambda: a.user_event("x"), lambda: a.state, lambda: a.join(["127.0.0.1"]), a.events):
            try:
                said.append(repr(call()))
            except ForkedError as error:
                said.append("told" if "fork" in str(error) else str(error))
        a.shutdown()  # leaving a `with` block in a child must not fail
        return said
    print(in_child(child))
    print(sorted(m.name for m in a.members()), a.state)
    a.shutdown()
    """
    child, parent = run(program, free_address(), home, first=first).splitlines()
    assert child == repr(["told"] * 11)
    assert parent == "['a'] alive"


@HOMES
def test_a_child_that_asked_for_it_becomes_a_member_of_its_own(first, home):
    program = """
    a = Serf(config("a", sys.argv[1], tags={"role": "web"}, secret_key=b"k" * 16), home=sys.argv[2],
             on_fork="restart").start()
    a.set_tags({"role": "web", "shard": "7"})
    seen = a.events(["member-join"])
    def child():
        alive = a.wait_for(2, timeout=20)
        me = a.local_member()
        a.leave()
        a.shutdown()
        return me.name == f"a-{os.getpid()}", dict(me.tags), sorted(m.name for m in alive)[0], me.port != 7946
    print(in_child(child))
    print(seen.get(timeout=10).members[0].name.startswith("a-"))
    a.wait_for(1)
    print([m.name for m in a.members(status="alive")], a.state)
    a.shutdown()
    """
    child, joined, parent = run(program, free_address(), home, first=first).splitlines()
    assert child == repr((True, {"role": "web", "shard": "7"}, "a", True))
    assert joined == "True"
    assert parent == "['a'] alive"


def test_handlers_go_on_in_the_child_and_many_threads_get_one_node():
    program = """
    a = Serf(config("a", sys.argv[1]), on_fork="restart").start()
    a.on("query:who", lambda query: a.respond(query, str(os.getpid()).encode()))
    def child():
        names = []
        threads = [threading.Thread(target=lambda: names.append(a.local_member().name)) for _ in range(8)]
        for t in threads: t.start()
        for t in threads: t.join()
        a.wait_for(2, timeout=20)
        answers = {r.payload.decode() for r in a.query("who", timeout=20)}
        return len(set(names)), answers == {str(os.getpid()), str(os.getppid())}
    print(in_child(child))
    a.shutdown()
    """
    assert run(program, free_address()) == "(1, True)\n"


def test_a_memberlist_can_be_restarted_as_well():
    program = """
    a = Memberlist(MemberlistConfig.local(name="a", bind_addr=sys.argv[1]), on_fork="restart").start()
    b = Memberlist(MemberlistConfig.local(name="b", bind_addr=sys.argv[1], bind_port=0)).start()
    def child():
        try:
            b.members()
        except ForkedError:
            return sorted(node.name.decode().split("-")[0] for node in a.members()), a.ping(a.members()[0]) >= 0
    print(in_child(child))
    print([node.name.decode() for node in a.members() if node.name == b"a"])
    """
    assert run(program, free_address()) == "(['a', 'a'], True)\n['a']\n"


@pytest.mark.parametrize("first", ["", PATCHED])
def test_a_child_steals_no_packet_and_no_stream_of_an_inline_parent(first):
    """Greenlets of an inline node go on in a child, beside the parent's, on the same sockets."""
    program = """
    import gevent, signal
    from gevent import socket
    def main():
        a = Serf(config("a", sys.argv[1]), home="inline").start()
        stream = socket.create_connection((sys.argv[1], 7946))
        gevent.sleep(0.05)
        pid = os.fork()
        if pid == 0:
            gevent.sleep(30)  # its hub turns all the time
            os._exit(0)
        b = Serf(config("b", sys.argv[2]), home="thread").start()
        b.join([sys.argv[1]])
        heard = a.events(["user"], maxsize=0)
        for number in range(200):
            b.user_event("e", b"%d" % number)
        got = {heard.get(timeout=30).payload for _ in range(200)}
        members = sorted((m.name, str(m.status)) for m in b.members())
        # A stranger's stream that was open at the fork is still the parent's: it hangs up on nonsense.
        stream.settimeout(5)
        stream.sendall(bytes([200]) * 10)
        while stream.recv(1000):
            pass
        os.kill(pid, signal.SIGKILL)
        reap(pid)
        b.shutdown(); a.shutdown()
        print(len(got), members)
    gevent.spawn(main).get()
    """
    out = run(program, free_address(), free_address(), first=first)
    assert out == "200 [('a', 'alive'), ('b', 'alive')]\n"


def test_the_parent_goes_on_while_a_child_uses_gevent_and_a_node_of_its_own():
    program = """
    a = Serf(config("a", sys.argv[1])).start()
    def child():
        import gevent
        gevent.sleep(0.01)
        with Serf(config("b", sys.argv[2])) as b:
            b.join([sys.argv[1]])
            b.user_event("from the child")
            b.wait_for(2, timeout=10)
            b.leave()
        return "done"
    heard = a.events(["user"])
    print(in_child(child), heard.get(timeout=10).name)
    print(sorted((m.name, str(m.status)) for m in a.members()))
    a.shutdown()
    """
    out = run(program, free_address(), free_address())
    assert out.splitlines() == ["'done' from the child", "[('a', 'alive'), ('b', 'left')]"]


def test_a_node_made_before_the_fork_and_started_after_it_just_works():
    program = """
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    a = Serf(config("a", sys.argv[1]))
    import gevent
    assert gevent._hub_local.get_hub_if_exists() is None
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == (threads, files)
    def child():
        with a:
            return [m.name for m in a.members()]
    print(in_child(child), in_child(child))
    """
    assert run(program, free_address()) == "['a'] ['a']\n"


def test_a_child_forked_in_the_middle_of_calls_of_other_threads_is_not_stuck():
    program = """
    a = Serf(config("a", sys.argv[1]), on_fork="restart").start()
    go_on = True
    def work():
        while go_on:
            a.stats()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads: t.start()
    for _ in range(5):
        assert in_child(lambda: a.local_member().name.startswith("a-")) == "True"
    go_on = False
    for t in threads: t.join()
    a.shutdown()
    print("ok")
    """
    assert run(program, free_address()) == "ok\n"


def test_a_child_of_a_child_is_a_member_as_well():
    program = """
    a = Serf(config("a", sys.argv[1]), on_fork="restart").start()
    def child():
        first = a.local_member().name
        second = in_child(lambda: (a.local_member().name, os.getpid()))
        name, pid = eval(second)
        return first == f"a-{os.getpid()}" and name == f"a-{pid}"
    print(in_child(child))
    """
    assert run(program, free_address()) == "True\n"


def test_the_files_stay_the_parents(tmp_path):
    program = """
    a = Serf(config("a", sys.argv[1], snapshot_path=sys.argv[2]), on_fork="restart").start()
    def child():
        a.user_event("in the child")
        a.shutdown()
        return a.config.snapshot_path
    print(in_child(child))
    a.shutdown()
    """
    path = tmp_path / "snapshot"
    host = free_address()
    assert run(program, host, str(path)) == "''\n"
    text = path.read_text()
    assert [line for line in text.splitlines() if line.startswith("alive: a ")] == [f"alive: a {host}:7946"]
    assert "clock: -" not in text


def test_only_two_ways_are_known():
    with pytest.raises(UsageError, match="on_fork is 'error' or 'restart', not 'ignore'"):
        Serf(Config.local(node_name="x"), on_fork="ignore")


def test_what_an_heir_takes_over():
    parent = MemberlistConfig.lan(bind_addr="10.0.0.1", bind_port=7946, secret_key=b"o" * 16)
    heir = heir_config(parent, [b"n" * 16, b"o" * 16])
    assert (heir.bind_addr, heir.bind_port, heir.advertise_port) == ("10.0.0.1", 0, 0)
    assert heir.keyring == (b"n" * 16, b"o" * 16)
    assert heir_name("web").startswith("web-")


def test_kin_are_tried_until_one_answers_and_silence_is_logged(caplog):
    import logging

    from serfcompat import JoinError

    tried = []

    def join(seeds):
        tried.extend(seeds)
        if seeds != ["c"]:
            raise JoinError(["no"])
        return 1

    join_kin(join, ["a", "b", "c", "d"], logging.getLogger("test"))
    assert tried == ["a", "b", "c"]
    join_kin(join, ["a", "b", "x", "y", "z", "c"], logging.getLogger("test"))
    assert "after the fork none of a, b, x, y, z answered" in caplog.text
