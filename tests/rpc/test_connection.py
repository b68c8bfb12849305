"""The connection against an agent that we script: odd orders, odd cuts, odd bytes, and many threads."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import threading
import time

import pytest

from serfcompat.errors import AgentUnreachable, RPCError
from serfcompat.rpc import codec, protocol
from serfcompat.rpc.connection import MAX_QUEUED, Connection, Inbox
from serfcompat.rpc.protocol import ReplyHeader, RequestHeader
from serfcompat.rpc.records import event_of
from tests.rpc.exchanges import EXCHANGES

pytestmark = pytest.mark.socket


@pytest.fixture
def pair():
    """(connection, the agent's end of its socket)"""
    near, far = socket.socketpair()
    far.settimeout(10)
    connection = Connection(near, 10)
    yield connection, far
    connection.close()
    far.close()


def header(seq, error=""):
    return ReplyHeader(seq, error).encode()


def requests(far):
    """Headers of requests, as they come; ends when the connection does."""
    objects = codec.Objects()
    while data := far.recv(65536):
        objects.feed(data)
        while (item := objects.next()) is not None:
            value = codec.unpack(item)
            if isinstance(value, dict) and "Seq" in value:
                yield RequestHeader.decode(value, RequestHeader())


@pytest.mark.statement("A-249")
def test_header_and_body_may_be_cut_at_any_byte(pair):
    connection, far = pair
    body, seen = EXCHANGES["members ok"].replies[1], requests(far)
    for cut in range(1, len(header(1) + body)):
        call = connection.submit(protocol.MembersRequest())
        next(seen)
        reply = header(call.seq) + body
        far.sendall(reply[:cut])
        with pytest.raises(TimeoutError):
            call.result(0)
        far.sendall(reply[cut:])
        assert call.result(10).members[0].name == "n1"


def test_a_call_answers_like_its_two_halves(pair):
    connection, far = pair
    objects = codec.pack({"agent": {"name": "x"}})

    def agent():
        seen = requests(far)
        for error, body in ("", objects), ("no", b""), ("", objects):
            far.sendall(header(next(seen).seq, error) + body)

    answering = threading.Thread(target=agent)
    answering.start()
    assert connection.call(protocol.StatsRequest()).sections == {"agent": {"name": "x"}}
    with pytest.raises(RPCError, match="no"):
        connection.call(protocol.EventRequest("x"))
    assert connection.call(protocol.StatsRequest(), 10).sections == {"agent": {"name": "x"}}
    answering.join()
    with pytest.raises(TimeoutError):
        connection.call(protocol.StatsRequest(), 0)


def test_closing_ends_a_call_whenever_it_comes(pair):
    connection, far = pair
    ended = []

    def call():
        try:
            connection.call(protocol.StatsRequest())
        except AgentUnreachable as error:
            ended.append(error)

    callers = [threading.Thread(target=call) for _ in range(3)]
    for each in callers:
        each.start()
    seen = requests(far)
    for _ in callers:
        next(seen)
    connection.close()
    for each in callers:
        each.join(10)
    assert len(ended) == 3
    with pytest.raises(AgentUnreachable):
        connection.call(protocol.StatsRequest())


@pytest.mark.statement("A-247")
@pytest.mark.parametrize("body", [b"", codec.pack({"Log": "x"}), codec.pack({"Num": 1}), codec.pack([1, 2])])
def test_replies_to_nobody_are_skipped_with_and_without_a_body(pair, body):
    connection, far = pair
    call = connection.submit(protocol.StatsRequest())
    far.sendall(header(99) + body + header(call.seq) + codec.pack({"agent": {"name": "x"}}))
    assert call.result(10).sections == {"agent": {"name": "x"}}


def test_answers_may_come_in_any_order(pair):
    connection, far = pair
    calls = [connection.submit(protocol.JoinRequest((str(number),))) for number in range(3)]
    for call in reversed(calls):
        far.sendall(header(call.seq) + codec.pack({"Num": call.seq}))
    assert [call.result(10).num for call in calls] == [1, 2, 3]


def test_a_record_may_overtake_the_reply_to_its_cause(pair):
    connection, far = pair
    inbox = Inbox()
    stream = connection.submit(protocol.StreamRequest("*"), lambda item: inbox.put(event_of(item)), inbox)
    far.sendall(header(stream.seq))
    stream.result(10)
    event = connection.submit(protocol.EventRequest("deploy"))
    record = EXCHANGES["event with stream open (reply, then record; order free)"].replies[1]
    far.sendall(header(stream.seq) + record + header(event.seq))
    event.result(10)
    assert [record.name for record in inbox.records] == ["deploy"]


@pytest.mark.parametrize("error", sorted(protocol.BODYLESS_ERRORS))
def test_refusals_from_before_the_command_have_no_body(pair, error):
    connection, far = pair
    join = connection.submit(protocol.JoinRequest(("x",)))
    stats = connection.submit(protocol.StatsRequest())
    far.sendall(header(join.seq, error) + header(join.seq, error) + header(stats.seq) + codec.pack({}))
    with pytest.raises(RPCError, match=error):
        join.result(10)
    assert stats.result(10).sections == {}


def test_one_thread_reads_for_all(pair):
    connection, far = pair
    calls = [connection.submit(protocol.JoinRequest(("x",))) for _ in range(20)]
    results = {}

    def wait(call):
        results[call.seq] = call.result(10).num

    threads = [threading.Thread(target=wait, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for call in calls[::2] + calls[1::2]:
        far.sendall(header(call.seq) + codec.pack({"Num": call.seq}))
    for thread in threads:
        thread.join(10)
    assert results == {call.seq: call.seq for call in calls}


def test_a_thread_that_gives_up_passes_the_reading_on(pair):
    connection, far = pair
    impatient, patient = (connection.submit(protocol.JoinRequest(("x",))) for _ in range(2))
    got = []

    def give_up():
        with pytest.raises(TimeoutError):
            impatient.result(0.2)
        got.append("gave up")

    leader = threading.Thread(target=give_up)
    leader.start()
    follower = threading.Thread(target=lambda: got.append(patient.result(10).num))
    follower.start()
    leader.join(10)
    far.sendall(header(patient.seq) + codec.pack({"Num": 5}))
    follower.join(10)
    assert got == ["gave up", 5]


@pytest.mark.parametrize("garbage", [b"\xc1", b"\x05", header(1) + b"\xa1x", header(1) + codec.pack({"Members": 5})])
def test_garbage_ends_the_connection_and_every_call(pair, garbage):
    connection, far = pair
    call = connection.submit(protocol.MembersRequest())
    other = connection.submit(protocol.StatsRequest())
    far.sendall(garbage)
    for each in (call, other):
        with pytest.raises(AgentUnreachable, match="client closed"):
            each.result(10)
    assert connection.closed
    assert far.recv(1 << 16)  # the requests
    assert far.recv(1) == b""


def test_a_stream_that_is_not_open_yet_says_so(pair):
    connection, far = pair
    call = connection.submit(protocol.StreamRequest("*"), lambda item: None, Inbox())
    far.close()
    with pytest.raises(AgentUnreachable, match="Stream closed"):
        call.result(10)


def test_closing_wakes_whoever_waits(pair):
    connection, far = pair
    errors = []

    def wait():
        try:
            connection.submit(protocol.StatsRequest()).result()
        except AgentUnreachable as error:
            errors.append(str(error))

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert [request.command for request in itertools.islice(requests(far), 3)] == ["stats"] * 3
    connection.close()
    for thread in threads:
        thread.join(10)
    assert errors == ["client closed"] * 3
    with pytest.raises(AgentUnreachable, match="client closed"):
        connection.submit(protocol.StatsRequest())


def test_more_requests_than_the_sockets_hold_do_not_block(pair):
    connection, far = pair
    count = 20_000

    def agent():
        for request in itertools.islice(requests(far), count):
            far.sendall(header(request.seq))

    thread = threading.Thread(target=agent)
    thread.start()
    calls = [connection.submit(protocol.StopRequest(number)) for number in range(count)]
    for call in calls:
        call.result(10)
    thread.join(10)


def test_an_untaken_stream_stops_growing_and_counts_its_losses():
    inbox = Inbox()
    for number in range(MAX_QUEUED + 3):
        inbox.put(number)
    assert (len(inbox.records), inbox.dropped) == (MAX_QUEUED, 3)
    assert inbox.records[0] == 0


def test_looking_notices_a_loss_without_waiting(pair):
    connection, far = pair
    connection.look()
    assert not connection.closed
    far.close()
    deadline = time.monotonic() + 10
    while not connection.closed and time.monotonic() < deadline:
        connection.look()
    assert connection.closed


PATCHED = """
import serfcompat.rpc.client, serfcompat.rpc.connection          # imported before patching, as programs do
from gevent import monkey; monkey.patch_all()
import socket, threading, gevent
from serfcompat.rpc import codec, protocol
from serfcompat.rpc.connection import Connection
near, far = socket.socketpair()
connection = Connection(near, 10)
calls = [connection.submit(protocol.JoinRequest(("x",))) for _ in range(3)]
ticks = []
def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.005)
ticker = gevent.spawn(tick)
waiting = [gevent.spawn(call.result) for call in calls]
while len(ticks) < 4:                                            # not if waiting for the agent stopped other greenlets
    gevent.sleep(0.005)
for call in reversed(calls):
    far.sendall(protocol.ReplyHeader(call.seq).encode() + codec.pack({"Num": call.seq}))
gevent.joinall(waiting, timeout=10)
ticker.kill()
assert [greenlet.value.num for greenlet in waiting] == [1, 2, 3], waiting
print("ok")
"""


def test_a_patched_program_waits_cooperatively():
    done = subprocess.run([sys.executable, "-c", PATCHED], capture_output=True, timeout=60, text=True, check=False)
    assert (done.stdout, done.stderr) == ("ok\n", "")
