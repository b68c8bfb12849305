"""Coordinates on the wire."""

import logging

import pytest

from serfcompat.swim.events import PingCompleted
from serfcompat.wire.serf_messages import CoordinatePayload

from .nodes import Node, view

PLAIN = [0.001, 0, 0, 0, 0, 0, 0, 0]


def payload(vec=PLAIN, error=0.5, adjustment=0.0, height=0.002):
    return CoordinatePayload([float(x) for x in vec], error, adjustment, height).encode()


def pinged(node, data, rtt_ns=20_000_000, name="b"):
    node.swim(PingCompleted(view(name), rtt_ns, data))


@pytest.mark.statement("S-186")
def test_a_fresh_node_sends_the_origin():
    expected = (
        "0184aa41646a7573746d656e74cb0000000000000000a54572726f72cb3ff8000000000000a6486569676874cb3ee4f8b588e368f1"
        "a356656398" + 8 * "cb0000000000000000"
    )
    node = Node()
    assert node.core.coordinates.ack_payload().hex() == expected
    assert node.core.swim.table.hooks.ack_payload().hex() == expected


def test_an_answer_moves_us_and_is_remembered():
    node = Node()
    before, sent = node.engine.coordinate(), node.core.coordinates.ack_payload()
    pinged(node, payload())
    assert node.engine.coordinate() != before
    assert node.core.coordinates.ack_payload() != sent
    assert node.engine.cached_coordinate("b").vec == (0.001, *[0.0] * 7)
    assert node.engine.cached_coordinate("me") == node.engine.coordinate()
    [moved] = node.metrics.samples["serf.coordinate.adjustment-ms"]
    assert moved == before.distance_ns(node.engine.coordinate()) / 1e6


@pytest.mark.statement("S-195")
def test_another_version_of_the_payload_is_refused(caplog):
    node = Node()
    pinged(node, b"\x02" + payload()[1:])
    assert caplog.messages == ["serf: Unsupported ping version: 2"]
    assert caplog.records[0].levelno == logging.ERROR
    assert node.engine.cached_coordinate("b") is None


@pytest.mark.parametrize("data", [None, b""])
def test_nodes_without_coordinates_say_nothing_and_are_no_error(data, caplog):
    node = Node()
    pinged(node, data)
    assert not caplog.records
    assert node.engine.cached_coordinate("b") is None


def test_what_cannot_be_decoded_is_logged(caplog):
    pinged(Node(), b"\x01\xff")
    assert caplog.messages[0].startswith("serf: Failed to decode coordinate from ping: ")


@pytest.mark.statement("S-196")
@pytest.mark.parametrize(
    ("data", "rtt_ns", "why"),
    [
        (payload([0.0] * 3), 1, "dimensions aren't compatible"),
        (payload([]), 1, "dimensions aren't compatible"),
        (payload(error=float("nan")), 1, "coordinate is invalid"),
        (payload(), 10_000_000_001, "round trip time not in valid range, duration 10.000000001s is not a positive"),
    ],
)
def test_a_refused_coordinate_is_counted_and_replaces_nothing(data, rtt_ns, why, caplog):
    caplog.set_level(5, "serfcompat.serf")
    node = Node()
    pinged(node, payload())
    before = node.engine.coordinate(), node.engine.cached_coordinate("b")
    pinged(node, data, rtt_ns)
    assert node.metrics.counters["serf.coordinate.rejected"] == 1
    assert (node.engine.coordinate(), node.engine.cached_coordinate("b")) == before
    [record] = caplog.records
    assert record.getMessage().startswith(f"serf: Rejected coordinate from b: {why}")
    assert record.levelno < logging.DEBUG


@pytest.mark.statement("S-098", "S-194")
def test_a_forgotten_member_is_forgotten_here_as_well():
    node = Node()
    node.joins("b")
    for _ in range(3):
        pinged(node, payload())
    node.leaves("b")
    node.now_ns = 2 * 86400 * 10**9
    node.timer("serf-reap")
    assert node.told()[-1] == "member-reap b"
    assert node.engine.cached_coordinate("b") is None
    assert node.core.coordinates._client._latencies == {}


def test_resets_are_told():
    node = Node()
    node.core.coordinates._client.resets = 3
    assert node.engine.stats()["coordinate_resets"] == "3"
