"""One client's connection, without a network: hostile input, order of replies, drops (spec agent §4.5)."""

from __future__ import annotations

import logging
import random
from collections import deque

import gevent
import pytest
from gevent.event import Event as Flag
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.agent.agent import Agent
from serfcompat.agent.logs import LogPipeline
from serfcompat.agent.rpc_commands import COMMANDS
from serfcompat.agent.rpc_queue import LIMIT
from serfcompat.agent.rpc_session import STRANGER_LIMIT, Session
from serfcompat.errors import JoinError, StateError
from serfcompat.rpc import codec, protocol
from serfcompat.rpc.protocol import REQUESTS, RequestHeader
from serfcompat.serf.events import UserEvent
from serfcompat.swim.metrics import CountingMetrics
from tests.agent.fake_serf import FakeSerf, query_event
from tests.rpc.exchanges import EXCHANGES

HANDSHAKE = protocol.HandshakeRequest(1).encode_with(1)
TOKEN = "sesame-of-a-length-to-grep-for"


class MemorySocket:
    """Gives what it was given, keeps what is sent; then the end."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = deque(chunks)
        self.sent = b""
        self.closed = False
        self.read = Flag()
        self.read.set()
        self.more = Flag()

    def recv(self, size: int) -> bytes:
        if not self.chunks:
            self.more.wait(0.001 if self.more.is_set() else None)
        return self.chunks.popleft() if self.chunks else b""

    def send(self, data: bytes) -> int:
        """Takes the beginning, as a full socket does."""
        self.read.wait()
        self.sent += data[:100]
        return min(len(data), 100)

    def sendall(self, data: memoryview) -> None:
        self.read.wait()
        self.sent += data

    def close(self) -> None:
        self.closed = True
        self.more.set()
        self.read.set()

    @property
    def objects(self) -> list[object]:
        objects, found = codec.Objects(codec.MAX_REPLY), []
        objects.feed(self.sent)
        while (item := objects.next()) is not None:
            found.append(codec.unpack(item))
        return found


class Harness:
    """A session on a fake node."""

    def __init__(self, *chunks: bytes, auth_key: str = "") -> None:
        self.serf = FakeSerf()
        self.agent = Agent(self.serf)
        self.socket = MemorySocket(*chunks)
        self.logs = LogPipeline(lambda line: None)
        self.metrics = CountingMetrics()
        self.session = Session(
            self.socket, "1.2.3.4:5", self.agent, self.logs, COMMANDS, auth_key=auth_key, metrics=self.metrics
        )

    def serve(self, *, stay: bool = False) -> list[object]:
        """Serve what was given to its end; `stay`: the client stays connected afterwards."""
        if not stay:
            self.socket.more.set()
            self.session.serve()
        else:
            gevent.spawn(self.session.serve)
            self.settle()
        return self.socket.objects

    def settle(self) -> None:
        """Let every greenlet run as far as it can."""
        for _ in range(10):
            gevent.sleep(0)

    def say(self, data: bytes) -> None:
        self.socket.chunks.append(data)
        self.socket.more.set()
        self.socket.more.clear()
        self.settle()


def replies(*requests, **options):
    harness = Harness(HANDSHAKE + b"".join(requests), **options)
    return harness, harness.serve()[1:]


def test_requests_are_carried_out_in_order_however_they_are_cut():
    data = b"".join(protocol.EventRequest(f"e{seq}").encode_with(seq) for seq in range(2, 6))
    whole = replies(data)[0]
    assert [call[1] for call in whole.serf.calls] == ["e2", "e3", "e4", "e5"]
    for size in (1, 2, 7):
        everything = HANDSHAKE + data
        harness = Harness(*(everything[start : start + size] for start in range(0, len(everything), size)))
        assert harness.serve() == whole.socket.objects
    assert whole.metrics.counters == {"agent.ipc.command": 5}


def test_what_the_node_refuses_becomes_the_error():
    harness = Harness(HANDSHAKE + protocol.LeaveRequest().encode_with(7))
    harness.serf.fail = StateError("Leave already in progress")
    assert harness.serve()[1:] == [{"Error": "Leave already in progress", "Seq": 7}]
    assert harness.agent.ended.is_set()  # ⚠ it ends all the same
    harness = Harness(HANDSHAKE + protocol.JoinRequest(("a",)).encode_with(7))
    harness.serf.fail = JoinError(["Failed to join a"])
    header, body = harness.serve()[1:]
    assert header["Error"] == "1 error occurred:\n\t* Failed to join a\n\n"
    assert body == {"Num": 0}


def test_join_replays_only_when_asked():
    for replay in (True, False):
        harness, _ = replies(protocol.JoinRequest(("a",), replay).encode_with(2))
        assert harness.serf.calls == [("join", ["a"], not replay)]


def test_a_query_goes_out_as_it_was_asked():
    request = protocol.QueryRequest(("n1",), {"role": "w.*"}, True, 3, 15_000_000_000, "load", b"15m")
    harness, _ = replies(request.encode_with(2))
    options = {
        "filter_nodes": ("n1",),
        "filter_tags": {"role": "w.*"},
        "request_ack": True,
        "relay_factor": 3,
        "timeout": 15.0,
        "until_deadline": True,
    }
    assert harness.serf.calls == [("query", "load", b"15m", options)]
    harness, _ = replies(protocol.QueryRequest(name="load").encode_with(2))
    assert harness.serf.calls[0][3]["timeout"] is None


def test_an_empty_payload_is_no_ping():
    _, (header,) = replies(protocol.QueryRequest(name="_serf_ping", payload=b"").encode_with(2))
    assert header["Error"] == "Queries cannot contain the '_serf_' prefix"


def test_queries_are_forgotten_at_their_deadline():
    harness = Harness(HANDSHAKE + protocol.StreamRequest("query").encode_with(2))
    harness.serve(stay=True)
    harness.session.deliver(query_event(seconds=10))
    harness.session.deliver(query_event(seconds=-1))
    harness.settle()
    records = [item for item in harness.socket.objects if "Event" in item]
    assert [record["ID"] for record in records] == [1, 2]
    harness.say(protocol.RespondRequest(2, b"late").encode_with(3))
    harness.say(protocol.RespondRequest(1, b"ok").encode_with(4))
    errors = {item["Seq"]: item["Error"] for item in harness.socket.objects if "Seq" in item}
    assert (errors[3], errors[4]) == ("No pending queries matching ID", "")
    assert harness.serf.calls == [("respond", "load", b"ok")]


@pytest.mark.statement("A-239")
def test_a_stream_holds_512_records_and_drops_the_rest(caplog):
    harness = Harness(HANDSHAKE + protocol.StreamRequest("user").encode_with(2))
    harness.serve(stay=True)
    harness.socket.read.clear()
    event = UserEvent(1, "x", None, False)
    harness.session.deliver(event)
    harness.settle()  # one is on its way now
    with caplog.at_level(logging.WARNING, logger="serfcompat"):
        for _ in range(LIMIT + 3):
            harness.session.deliver(event)
    assert [record.getMessage() for record in caplog.records] == [
        "agent.ipc: Dropping event to ipc.client: 1.2.3.4:5"
    ] * 3
    harness.socket.read.set()
    harness.settle()
    assert sum("Event" in item for item in harness.socket.objects) == LIMIT + 1
    harness.session.close()


def test_a_monitor_that_is_full_says_so_once():
    harness = Harness(HANDSHAKE + protocol.MonitorRequest("info").encode_with(2))
    harness.serve(stay=True)
    harness.socket.read.clear()
    logger = logging.getLogger("serfcompat.agent")
    logger.addHandler(harness.logs)
    logger.propagate = False
    try:
        for number in range(LIMIT + 100):
            harness.logs.emit(logging.LogRecord("x", logging.INFO, "", 0, f"line {number}", None, None))
        harness.settle()
    finally:
        logger.removeHandler(harness.logs)
        logger.propagate = True
    dropped = [line for line in harness.logs.history if "Dropping logs to ipc.client: 1.2.3.4:5" in line]
    assert len(dropped) == 1
    harness.session.close()


def test_stopping_a_stream_cuts_no_record():
    harness = Harness(HANDSHAKE + protocol.StreamRequest("user").encode_with(2))
    harness.serve(stay=True)
    harness.socket.read.clear()
    for _ in range(5):
        harness.session.deliver(UserEvent(1, "x", None, False))
    harness.settle()
    harness.session.stop_stream(2)
    harness.socket.read.set()
    harness.settle()
    assert harness.socket.objects  # they parse: all are whole
    harness.session.close()


# --- strangers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"\xc6" + (STRANGER_LIMIT + 1).to_bytes(4, "big"), b"\xdd\xff\xff\xff\xff", b"\x91" * 50]
)
def test_strangers_get_little_room(data):
    harness = Harness(HANDSHAKE + data, auth_key=TOKEN)
    assert len(harness.serve()) == 1
    assert harness.socket.closed


def test_a_token_never_reaches_the_log(caplog):
    with caplog.at_level(logging.DEBUG, logger="serfcompat"):
        replies(
            protocol.AuthRequest("wrong").encode_with(2),
            protocol.AuthRequest(TOKEN).encode_with(3),
            protocol.InstallKeyRequest("c2VjcmV0LXNlY3JldC0=").encode_with(4),
            b"\xc1",
            auth_key=TOKEN,
        )
    assert TOKEN not in caplog.text
    assert "c2VjcmV0LXNlY3JldC0=" not in caplog.text


RECORDED = [b"".join(exchange.request) for exchange in EXCHANGES.values() if exchange.request]


def mutated(dice: random.Random) -> bytes:
    """Recorded requests with bytes changed, dropped, doubled or put in."""
    data = bytearray(b"".join(dice.choice(RECORDED) for _ in range(dice.randrange(1, 4))))
    for _ in range(dice.randrange(4)):
        at = dice.randrange(len(data) or 1)
        match dice.randrange(4):
            case 0:
                data[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                del data[at : at + dice.randrange(1, 9)]
            case 2:
                data[at:at] = data[at : at + dice.randrange(1, 40)]
            case _:
                data[at:at] = dice.randbytes(dice.randrange(1, 9))
    return bytes(data)


def fuzz(count: int, seed: int) -> None:
    """No input may raise, hang, or get past the token."""
    dice = random.Random(seed)
    for _ in range(count):
        data = mutated(dice)
        guarded = Harness(HANDSHAKE + data, auth_key=TOKEN)
        guarded.serve()
        assert guarded.serf.calls == [], data.hex()
        open_ = Harness(HANDSHAKE + data)
        open_.serve()
        assert open_.socket.closed
        assert not open_.session.streams
        assert open_.session.monitor is None


@pytest.fixture
def silence():
    logger = logging.getLogger("serfcompat")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(level)


@pytest.mark.usefixtures("silence")
def test_mutated_requests_crash_nothing_and_pass_no_check():
    fuzz(1500, seed=1)


@pytest.mark.slow
@pytest.mark.usefixtures("silence")
def test_many_mutated_requests_crash_nothing_and_pass_no_check():
    fuzz(50_000, seed=2)


@pytest.mark.property
@given(st.binary(max_size=100), st.sampled_from(sorted(REQUESTS)))
def test_any_body_is_answered_or_refused(data, command):
    harness = Harness(HANDSHAKE + RequestHeader(command, 2).encode() + data)
    harness.serve()
    assert harness.socket.closed
