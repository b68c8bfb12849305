"""`Memberlist` on real loopback sockets, from a plain thread and from greenlets."""

import contextlib
import itertools
import os
import socket
import threading

import gevent
import pytest

from serfcompat import (
    DeadlineExceeded,
    Delegate,
    ForkedError,
    JoinError,
    Memberlist,
    MemberlistConfig,
    NodeState,
    StartError,
    StateError,
    UsageError,
)
from serfcompat.swim.metrics import CountingMetrics
from serfcompat.wire.address import Address, ip_bytes

pytestmark = pytest.mark.socket

_hosts = itertools.count(1)
KEY, NEW_KEY = b"0123456789abcdef", b"fedcba9876543210"


def free_address() -> str:
    """A loopback address that no other test of this process uses."""
    return f"127.30.{os.getpid() % 250}.{next(_hosts)}"


class Told(Delegate):
    """Remembers what it is told, and lets tests wait for it."""

    def __init__(self):
        self.messages = []
        self.joined = []
        self.left = []
        self._changed = threading.Condition()

    def _note(self, where, what):
        with self._changed:
            where.append(what)
            self._changed.notify_all()

    def notify_msg(self, payload):
        self._note(self.messages, payload)

    def notify_join(self, node):
        self._note(self.joined, node.name)

    def notify_leave(self, node):
        self._note(self.left, (node.name, node.state))

    def wait(self, condition, timeout=15):
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), timeout), vars(self)


@pytest.fixture
def cluster():
    """Starts nodes, and shuts down whatever a test left running."""
    with contextlib.ExitStack() as stack:

        def start(name, delegate=None, *, home="auto", metrics=None, **config):
            config = {"bind_addr": free_address()} | config
            node = Memberlist(MemberlistConfig.local(name=name, **config), delegate, home=home, metrics=metrics)
            return stack.enter_context(node)

        yield start


def where(node) -> str:
    return f"{node.config.bind_addr}:{node.config.bind_port}"


def names(node) -> set[bytes]:
    return {member.name for member in node.members()}


def test_two_nodes_join_talk_and_part(cluster):
    told = Told()
    a, b = cluster("a", told), cluster("b")
    assert b.join([where(a)]) == 1
    assert names(a) == names(b) == {b"a", b"b"}
    told.wait(lambda t: t.joined == [b"a", b"b"])
    to_a = next(node for node in b.members() if node.name == b"a")
    b.send_best_effort(to_a, b"by packet")
    told.wait(lambda t: t.messages == [b"by packet"])
    b.send_reliable(to_a, b"by stream" * 10_000)
    told.wait(lambda t: len(t.messages) == 2 and len(t.messages[1]) == 90_000)
    assert 0 < b.ping(to_a) < 0.2
    b.leave(timeout=10)
    told.wait(lambda t: t.left == [(b"b", NodeState.LEFT)])


@pytest.mark.statement("M-190")
def test_after_leave_a_node_still_answers_and_after_shutdown_it_does_not(cluster):
    a, b = cluster("a"), cluster("b")
    b.join([where(a)])
    node_b = b.local_node()
    b.leave(timeout=10)
    assert a.ping(node_b) > 0
    assert a.join([where(b)]) == 1
    b.shutdown()
    with pytest.raises(DeadlineExceeded):
        a.ping(node_b)
    with pytest.raises(JoinError, match="connection refused"):
        a.join([where(b)])


@pytest.mark.statement("M-189")
def test_a_second_leave_does_nothing_more(cluster):
    a, b = cluster("a"), cluster("b")
    b.join([where(a)])
    b.leave(timeout=10)
    b.leave(timeout=0.0)


@pytest.mark.statement("M-191")
def test_shutdown_may_be_repeated_and_sends_nothing(cluster):
    metrics = CountingMetrics()
    told = Told()
    a, b = cluster("a", told), cluster("b", metrics=metrics, gossip_interval=0, probe_interval=0)
    b.join([where(a)])
    before = metrics.counters.get("memberlist.udp.sent", 0)
    b.shutdown()
    b.shutdown()
    assert metrics.counters.get("memberlist.udp.sent", 0) == before
    with pytest.raises(StateError, match="shut down"):
        b.members()


@pytest.mark.statement("M-180")
def test_join_counts_who_answered_and_fails_only_if_nobody_did(cluster):
    a, b, c = cluster("a"), cluster("b"), cluster("c")
    nobody = f"{free_address()}:1"
    assert c.join([where(a), nobody, where(b)]) == 2
    assert c.join([]) == 0
    with pytest.raises(JoinError) as caught:
        c.join([nobody, "no/such/thing:port"])
    assert len(caught.value.failures) == 2
    assert "connection refused" in caught.value.failures[0]


@pytest.mark.statement("M-185")
def test_port_0_takes_a_port_that_is_free_for_both_and_advertises_it(cluster):
    a = cluster("a", bind_port=0)
    assert a.config.bind_port == a.config.advertise_port == a.local_node().port != 0
    b = cluster("b", bind_port=0)
    assert b.join([where(a)]) == 1
    assert names(a) == {b"a", b"b"}


@pytest.mark.statement("M-186", "M-187")
def test_what_is_advertised(cluster):
    bound = free_address()
    node = cluster("a", bind_addr=bound, advertise_port=1)
    assert node.local_node().address == Address(ip_bytes(bound), node.config.bind_port)
    node = cluster("b", advertise_addr="10.1.2.3", advertise_port=1)
    assert node.local_node().address == Address(b"\x0a\x01\x02\x03", 1)


@pytest.mark.statement("M-022")
def test_packets_leave_from_the_bound_port(cluster):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((free_address(), 0))
        listener.settimeout(5)
        a = cluster("a")
        host, port = listener.getsockname()
        a.send_to(Address(ip_bytes(host), port), b"hello")
        data, source = listener.recvfrom(2048)
    assert data == b"\x08hello"
    assert source == (a.config.bind_addr, a.config.bind_port)


@pytest.mark.statement("M-025")
def test_datagrams_larger_than_the_buffer_size_are_taken(cluster):
    told = Told()
    a, b = cluster("a", told, udp_buffer_size=512), cluster("b", enable_compression=False)
    b.send_to(a.local_node().address, b"x" * 60_000)
    told.wait(lambda t: [len(m) for m in t.messages] == [60_000])


@pytest.mark.statement("M-112")
def test_a_key_installed_at_runtime_encrypts_at_once(cluster):
    told = Told()
    a, b = cluster("a", told), cluster("b")
    b.join([where(a)])
    a.keyring.add(KEY)
    with pytest.raises(JoinError, match="encrypt"):
        b.join([where(a)])
    b.keyring.add(KEY)
    assert b.join([where(a)]) == 1
    b.send_best_effort(a.local_node(), b"secret")
    told.wait(lambda t: t.messages == [b"secret"])


@pytest.mark.statement("M-113")
def test_the_three_steps_of_a_migration_to_encryption_keep_two_nodes_together(cluster):
    steps = [
        {},
        {"secret_key": KEY, "gossip_verify_incoming": False, "gossip_verify_outgoing": False},
        {"secret_key": KEY, "gossip_verify_incoming": False},
        {"secret_key": KEY},
    ]
    for old, new in itertools.pairwise(steps):
        told = {name: Told() for name in "ab"}
        a, b = cluster("a", told["a"], **old), cluster("b", told["b"], **new)
        assert b.join([where(a)]) == 1
        assert a.join([where(b)]) == 1
        a.send_best_effort(b.local_node(), b"to b")
        b.send_best_effort(a.local_node(), b"to a")
        told["a"].wait(lambda t: t.messages == [b"to a"])
        told["b"].wait(lambda t: t.messages == [b"to b"])


@pytest.mark.statement("M-027")
def test_another_label_keeps_clusters_apart_and_is_complained_of_once(cluster, caplog):
    a, b = cluster("a", label=b"blue"), cluster("b", label=b"red")
    for _ in range(3):
        with pytest.raises(JoinError):
            b.join([where(a)])
    assert names(a) == {b"a"}
    complaints = [record for record in caplog.records if "another label" in record.message]
    assert len(complaints) == 1


def test_a_wrong_key_is_complained_of_once_and_never_printed(cluster, caplog):
    caplog.set_level("DEBUG")
    a, b = cluster("a", secret_key=KEY), cluster("b", secret_key=NEW_KEY)
    for _ in range(3):
        with pytest.raises(JoinError, match="key"):
            b.join([where(a)])
    assert len([r for r in caplog.records if "is the sender's encryption key the same" in r.message]) == 1
    assert KEY.decode() not in caplog.text
    assert NEW_KEY.decode() not in caplog.text
    assert KEY.decode() not in repr(a.config)


def test_a_port_in_use_is_named(cluster):
    a = cluster("a")
    with pytest.raises(StartError, match=r"Failed to start TCP listener.*address already in use"):
        cluster("b", bind_addr=a.config.bind_addr)


def test_an_address_that_is_not_ours_is_named(cluster):
    with pytest.raises(StartError, match=r"8\.8\.8\.8:7946: bind: cannot assign requested address"):
        cluster("a", bind_addr="8.8.8.8")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"secret_key": b"short"}, "16, 24 or 32 bytes"),
        ({"label": b"x" * 256}, "256 bytes long"),
        ({"protocol_version": 6}, r"\[1, 5\]"),
        ({"cidrs_allowed": ["10.0.0.0/99"]}, "CIDR"),
    ],
)
@pytest.mark.statement("M-184")
def test_a_configuration_that_cannot_work_is_refused_with_what_is_wrong(config, says):
    with (
        pytest.raises(UsageError, match=says),
        Memberlist(MemberlistConfig.local(name="x", bind_addr=free_address(), **config)),
    ):
        pass


def test_ipv6(cluster):
    if not socket.has_ipv6:
        pytest.skip("this system has no IPv6")
    told = Told()
    a, b = cluster("a", told, bind_addr="::1", bind_port=0), cluster("b", bind_addr="::1", bind_port=0)
    assert b.join([f"[::1]:{a.config.bind_port}"]) == 1
    b.send_best_effort(a.local_node(), b"six")
    told.wait(lambda t: t.messages == [b"six"])


def test_inside_a_greenlet_the_node_lives_on_the_callers_hub(cluster):
    def program():
        node = cluster("inline", home="auto")
        return node._node.home_thread == threading.get_ident(), names(node)

    assert gevent.spawn(program).get(timeout=10) == (True, {b"inline"})


def test_in_a_plain_program_it_lives_in_a_thread_of_its_own(cluster):
    assert cluster("threaded")._node.home_thread != threading.get_ident()


def test_a_failing_delegate_stops_nothing(cluster, caplog):
    class Failing(Told):
        def notify_join(self, node):
            super().notify_join(node)
            raise RuntimeError("the application's fault")

    told = Failing()
    a, b = cluster("a", told), cluster("b")
    assert b.join([where(a)]) == 1
    told.wait(lambda t: b"b" in t.joined)
    assert "the application's fault" in caplog.text
    assert names(a) == {b"a", b"b"}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_told_and_the_parent_lives_on(cluster):
    a, b = cluster("a"), cluster("b")
    b.join([where(a)])
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            a.members()
        except ForkedError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with os.fdopen(reader) as said:
        assert f"was started in process {os.getpid()}" in said.read()
    assert a.join([where(b)]) == 1
    assert b.ping(a.local_node()) > 0
