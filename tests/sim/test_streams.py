"""Streams between simulated hosts: real bytes, and the ways in which they fail."""

import random

import pytest

from serfcompat.errors import MergeRefused
from serfcompat.serf.config import Config
from serfcompat.sim import streams
from serfcompat.sim.cluster import Cluster
from serfcompat.sim.latency import Fixed
from serfcompat.sim.network import Conditions
from serfcompat.swim.config import MemberlistConfig
from serfcompat.wire.address import Address
from serfcompat.wire.messages import Ack, Ping
from serfcompat.wire.stream import user_message

pytestmark = pytest.mark.sim
MS = 1_000_000


def pair(**config):
    cluster = Cluster(
        2, seed=1, dice=random.Random, config=MemberlistConfig.lan(**config), start="apart",
        conditions=Conditions(latency=Fixed(MS)),
    )  # fmt: skip
    return cluster, cluster["n1"], cluster["n2"]


def exchange(cluster, a, b, *, seconds=20.0, to=None):
    """One push/pull; (seconds it took, None or why it failed)."""
    ended = []
    began = cluster.now
    cluster.driver.push_pull(
        a, to or b.address, join=True, then=lambda failure: ended.append((cluster.now - began, failure))
    )
    cluster.run(seconds)
    [result] = ended
    return result


def test_an_exchange_takes_two_round_trips_and_tells_both():
    cluster, a, b = pair()
    assert exchange(cluster, a, b) == (pytest.approx(0.004), None)
    assert a.view() == b.view() == {"n1": "alive", "n2": "alive"}


def test_encryption_and_label_are_in_the_bytes():
    cluster, a, b = pair(secret_key=b"0123456789abcdef", label=b"blue")
    assert exchange(cluster, a, b)[1] is None
    request = streams.dial(a.engine, a.engine.local_state(True), a.nonce)
    assert request.startswith(b"\xf4\x04blue\x0a")
    assert b"n1" not in request


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        (lambda b: setattr(b.engine.layers, "label", b"green"), streams.NO_ANSWER),
        (lambda b: b.engine.keyring.add(b"0123456789abcdef"), "enc_unconfigured: "),
    ],
    ids=["another label", "a key"],
)
def test_strangers_fail_as_they_do_on_sockets(change, failure):
    cluster, a, b = pair()
    change(b)
    took, why = exchange(cluster, a, b)
    assert why.startswith(failure)
    assert took == pytest.approx(0.004)
    assert a.view() == {"n1": "alive"}


def test_nobody_is_a_timeout_a_dead_process_refuses_at_once_and_a_cut_takes_long():
    cluster, a, b = pair()
    assert exchange(cluster, a, b, to=Address(b"\x0a\x09\x09\x09", 1)) == (10.0, streams.TIMEOUT)
    cut = cluster.partition("n1", "n2")
    assert exchange(cluster, a, b) == (10.0, streams.TIMEOUT)
    cluster.mend(cut)
    cluster.crash("n2")
    assert exchange(cluster, a, b) == (pytest.approx(0.002), streams.REFUSED)


def test_a_paused_server_answers_when_it_goes_on_if_somebody_still_waits():
    cluster, a, b = pair()
    cluster.pause("n2")
    cluster.after(3, lambda: cluster.resume("n2"))
    assert exchange(cluster, a, b) == (pytest.approx(3.001, abs=0.002), None)
    cluster, a, b = pair()
    cluster.pause("n2")
    cluster.after(15, lambda: cluster.resume("n2"))
    assert exchange(cluster, a, b) == (10.0, streams.TIMEOUT)
    assert b.sees("n1") == "alive"  # it read what was waiting, though nobody waits for its answer


def test_a_stalled_client_waits_in_vain():
    cluster, a, b = pair()
    cluster.stall("n1")
    assert exchange(cluster, a, b) == (10.0, streams.TIMEOUT)


def test_a_client_that_died_meanwhile_hears_nothing():
    cluster, a, b = pair()
    ended = []
    cluster.driver.push_pull(a, b.address, join=True, then=ended.append)
    cluster.crash("n1")
    cluster.run(30)
    assert ended == []


def test_pings_are_answered_to_whom_they_are_for():
    _, a, b = pair()
    source = a.address
    right = streams.serve(b.engine, streams.dial(a.engine, Ping(7, b"n2").encode(), a.nonce), source, b.nonce)
    assert streams.acknowledged(a.engine, right.answer, 7)
    assert not streams.acknowledged(a.engine, right.answer, 8)
    wrong = streams.serve(b.engine, streams.dial(a.engine, Ping(7, b"n9").encode(), a.nonce), source, b.nonce)
    assert wrong.answer == b""
    assert not streams.acknowledged(a.engine, wrong.answer, 7)


def test_user_messages_are_handed_over():
    _, a, b = pair()
    served = streams.serve(b.engine, streams.dial(a.engine, user_message(b"hi"), a.nonce), a.address, b.nonce)
    assert (served.payload, served.answer, served.remote) == (b"hi", b"", None)


@pytest.mark.parametrize("answer", [b"", b"\x06", b"\x02\x80", Ack(1, None).encode(), bytes(40)])
def test_bad_answers_are_refused(answer):
    _, a, _ = pair()
    with pytest.raises(MergeRefused):
        streams.remote_state(a.engine, answer)


@pytest.mark.parametrize("request_", [b"", b"\xf4", b"\xf4\x00", b"\x06", b"\x06\x81", bytes(3), b"\xff" * 50])
def test_bad_requests_do_no_harm(request_):
    _, a, b = pair()
    served = streams.serve(b.engine, request_, a.address, b.nonce)
    assert served.remote is None
    assert served.payload == b""


def test_serf_joins_tell_their_end():
    cluster = Cluster(3, seed=1, dice=random.Random, config=Config.lan(), start="apart")
    cluster.crash("n3")
    cluster.join("n1", "n3", "n2")  # the first one is dead, the second one answers
    cluster.run(5)
    assert cluster["n1"].view() == {"n1": "alive", "n2": "alive"}
