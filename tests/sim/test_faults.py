"""Words of a scenario become calls, and are taken back."""

import random

import pytest

from serfcompat.errors import UsageError
from serfcompat.sim.cluster import Cluster
from serfcompat.sim.faults import KINDS, apply, kind_of, names_in
from serfcompat.sim.observer import Observer

pytestmark = pytest.mark.sim


class Notes(Observer):
    def __init__(self):
        self.texts = []

    def on_fault(self, now_ns, text):
        self.texts.append(text)


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def cluster(notes):
    return Cluster(4, seed=1, dice=random.Random, observers=[notes])


def state(cluster):
    """All that a fault may change."""
    network = cluster.network
    hosts = [
        (h.running, h.life, h.held is None, h.stalled is None, h.lag_ns, h.clock.rate, h.address) for h in cluster.hosts
    ]
    return hosts, network.blocked, network.unplugged, network.host_loss, network.conditions


@pytest.mark.parametrize(
    "words",
    [
        "pause n2", "stall n2", "slow n2 by 300ms", "clock n2 150%", "partition n1 n2", "partition n1 | n2 | n3",
        "block n1 -> n2", "unplug n2", "loss 30% n2", "loss 30%", "duplicate 5%", "reorder 5%", "latency ~3ms",
        "size-limit 600",
    ],
)  # fmt: skip
def test_what_may_last_changes_something_and_can_be_undone(cluster, notes, words):
    before = state(cluster)
    undo = apply(cluster, words.split())
    assert state(cluster) != before
    assert notes.texts
    undo()
    assert state(cluster) == before
    assert len(notes.texts) == 2  # laws must hear when a fault ends


@pytest.mark.parametrize(
    "words", ["crash n2", "restart n2", "restart n2 moved", "restart n2 via n3", "restart n2 moved via n3", "heal n1"]
)
def test_what_happens_once_can_not_be_undone(cluster, notes, words):
    assert apply(cluster, words.split()) is None
    assert notes.texts == [words]


@pytest.mark.parametrize(
    ("words", "note"),
    [
        ("event n1 deploy v2", "event n1 deploy"),
        ("query n1 load", "query n1 load"),
        ("tags n1 role=web zone=a", "tags n1 role=web zone=a"),
        ("force-leave n1 n3 prune", "force-leave n1 n3 prune"),
        ("join n1 n2 n3", "join n1 n2 n3"),
        ("leave n2", "leave n2"),
    ],
)
def test_what_applications_do_needs_a_running_one(cluster, notes, words, note):
    apply(cluster, words.split())
    assert notes.texts == [note]
    name = words.split()[1]
    cluster.crash(name)
    apply(cluster, words.split())
    assert notes.texts == [note, f"crash {name}"]


def test_nobody_leaves_twice(cluster, notes):
    apply(cluster, ["leave", "n2"])
    apply(cluster, ["leave", "n2"])
    assert notes.texts == ["leave n2"]


def test_who_leaves_is_not_described_anew(cluster, notes):
    apply(cluster, ["leave", "n2"])
    apply(cluster, ["tags", "n2", "version=1"])
    assert notes.texts == ["leave n2"]


@pytest.mark.parametrize(
    "words",
    ["", "explode n1", "crash", "crash n1 n2", "slow n1 300ms", "clock n1 0", "block n1 n2", "join n1", "heal a b"],
)
def test_nonsense_is_refused(cluster, words):
    with pytest.raises(UsageError):
        apply(cluster, words.split())


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("partition n1 n2 | n3", ["n1", "n2", "n3"]),
        ("block n1 -> n2", ["n1", "n2"]),
        ("restart n2 moved via n3", ["n2", "n3"]),
        ("restart n2 moved", ["n2"]),
        ("join n1 n2 n3", ["n1", "n2", "n3"]),
        ("force-leave n1 n3 prune", ["n1", "n3"]),
        ("loss 30% n2", ["n2"]),
        ("loss 30%", []),
        ("latency 1ms", []),
        ("event n1 deploy", ["n1"]),
        ("heal", []),
    ],
)
def test_it_knows_whom_words_speak_of(words, names):
    assert names_in(words.split()) == names


def test_every_kind_has_words():
    words = [
        "partition n1", "block n1 -> n2", "unplug n1", "loss 5%", "loss 5% n1", "duplicate 5%", "reorder 5%",
        "latency 1ms", "size-limit 5", "crash n1", "restart n1", "restart n1 moved", "pause n1", "stall n1",
        "slow n1 by 1s", "clock n1 2", "leave n1",
    ]  # fmt: skip
    assert tuple(kind_of(text.split()) for text in words) == KINDS
    assert kind_of(["event", "n1", "x"]) is None
