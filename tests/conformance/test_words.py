"""Packets and streams in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.conformance.case import Area
from serfcompat.conformance.faults import fault
from serfcompat.conformance.trace import ASKER, Sent, Trace
from serfcompat.conformance.words import packet_lines, stream_lines
from serfcompat.wire import compress
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Ack, Ping, PushPullNode
from serfcompat.wire.packet import build, compound
from serfcompat.wire.serf_messages import JoinIntent
from serfcompat.wire.stream import push_pull_message, seal

PLAIN = Layers(compress=False)
KEYED = Layers(label=b"blue", keys=(bytes(16),), compress=False)
NODE = PushPullNode(b"a", b"\x7f\0\0\1", 7946, None, 1, 0, bytes(6))


def packet(payload, layers=PLAIN, crc=False):
    return build(payload, layers, crc=crc, nonce=lambda: bytes(12))


def test_all_layers_of_a_packet_are_told():
    inner = compound([Ping(7, b"x").encode(), b"\x08" + JoinIntent(5, b"y").encode()])
    assert packet_lines(packet(compress.wrap(inner), KEYED, crc=True), KEYED) == [
        "label b'blue'",
        "encrypted, version 1",
        next(line for line in packet_lines(packet(compress.wrap(inner), KEYED, crc=True), KEYED) if "crc" in line),
        f"compressed, {len(compress.wrap(inner))} bytes instead of {len(inner)}",
        "  compound of 2",
        "    Ping(seq_no=7, node=b'x', source_addr=None, source_port=0, source_node=b'')",
        "    user message: Serf's JoinIntent(ltime=5, node=b'y')",
    ]


def test_a_stream_is_told():
    data = seal(push_pull_message(True, [NODE], b"state"), KEYED, lambda: bytes(12))
    lines = stream_lines(data, KEYED)
    assert lines[0].startswith("encryption frame of ")
    assert lines[1] == "push/pull, join=True, 1 nodes, 5 bytes beside"
    assert lines[2].startswith("  PushPullNode(name=b'a'")


@pytest.mark.parametrize(
    ("kind", "data", "area"),
    [
        ("packet", packet(Ack(1, None).encode()), None),
        ("packet", packet(Ack(1, None).encode(), crc=True)[:-1] + b"?", Area.CRC),
        ("packet", b"\x09\x81\xa3Buf\xa3abc", Area.COMPRESS),
        ("packet", b"\x07\x05\x00", Area.COMPOUND),
        ("packet", b"\xf4\x00", Area.LABEL),
        ("packet", b"\x02\x93\xc3", Area.BYTES),
        ("stream", seal(push_pull_message(False, [NODE], None), PLAIN, bytes), None),
        ("stream", b"\x06\x81\xa5Nodes\xa1x", Area.PUSH_PULL),
        ("stream", b"\x09\x82\xa4Algo\x01\xa3Buf\xa1x", Area.COMPRESS),
        ("stream", b"\x0a\x00\x00\x00\x02\x01\x01", Area.ENCRYPT),
    ],
)
def test_what_cannot_be_read_has_an_area(kind, data, area):
    assert fault(Sent(0.0, "end", False, kind, data, PLAIN)) == area


@pytest.mark.property
@given(st.binary(max_size=200), st.sampled_from([PLAIN, KEYED]))
def test_any_bytes_can_be_told(data, layers):
    assert packet_lines(data, layers)
    assert isinstance(stream_lines(data, layers), list)
    for kind in ("packet", "stream"):
        fault(Sent(0.0, "end", False, kind, data, layers))


def test_a_trace_shows_the_last_and_what_was_asked_over_and_over_once():
    trace = Trace()
    for number in range(30):
        trace.add(ASKER, True, "packet", packet(Ping(number, b"poll").encode()), PLAIN)
        trace.add("end", number % 2 == 0, "packet", packet(Ping(number, b"x").encode()), PLAIN)
    lines = trace.lines(last=4)
    assert lines[0] == "(28 earlier packets and streams are not shown)"
    assert "node -> end, packet" in lines[-2]
    assert sum("poll" in line for line in lines) == 2
